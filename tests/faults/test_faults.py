"""Faults one after the other on one running app; after each, the job is resumed in a real Chromium.

`make test` injects the first three, `make soak` all ten; `python -m benchmarks.faults inject` injects hundreds.
"""

from functools import partial

import pytest

from tests.faults import correction_faults
from tests.faults.browser import press
from tests.faults.episodes import Episodes
from tests.faults.kinds import KINDS
from tests.faults.rig import Rig
from tests.support.chromium import tab

SEED = 1145  # with it the file that is removed is one that the job needs, and the kills come before the end
FAULTS = [
    ("web killed", "import"),
    ("worker killed", "import"),
    ("database busy", "import"),
    ("file removed", "label"),
    ("disk full", "import"),
    ("checkpoint damaged", "train"),
    ("clock moved", "import"),
    ("disk full", "export"),
    ("web and worker killed", "import"),
    ("worker killed", "label"),
]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("count", [3, pytest.param(len(FAULTS), marks=pytest.mark.soak)])
def test_faults_lose_nothing_and_every_job_is_resumed_from_the_browser(tmp_path, browser, count):
    kinds = {kind.name: kind for kind in KINDS}
    assert {kind for kind, _ in FAULTS} == set(kinds)
    with Rig(tmp_path, lost_after_s=4.0) as rig, tab(browser) as page:
        rig.start_app()
        episodes = Episodes(rig)
        assert episodes.prepare(with_run=False) == []
        outcomes = []
        for number, (kind, job) in enumerate(FAULTS[:count]):
            pressing = partial(press, page) if job != "export" else None
            outcomes.append(episodes.run(SEED, number, kinds[kind], job, pressing, short=True))
            assert not outcomes[-1].broken, outcomes[-1]
        assert episodes.clean_up() == []
    injected = {kind for kind, _ in FAULTS[:count]}
    pressed = {outcome.kind for outcome in outcomes if outcome.pressed_by == "browser"}
    # An app that was just restarted queues a lost job again by itself, which may come before the press.
    resumed = pressed | {outcome.kind for outcome in outcomes if outcome.attempts > 1}
    assert {"checkpoint damaged"} & injected <= pressed, outcomes
    assert {"worker killed"} <= resumed, outcomes


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.soak
def test_no_stroke_is_lost_when_something_breaks_while_an_image_is_corrected(tmp_path, browser):
    with Rig(tmp_path) as rig:
        rig.start_app()
        outcomes = correction_faults.inject(rig, browser, 2 * len(correction_faults.KINDS), SEED)
    assert not [outcome for outcome in outcomes if outcome.broken]
