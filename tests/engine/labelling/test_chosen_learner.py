"""The label job of Automatic: a method that learns and was chosen on a few images then learns from more."""

from __future__ import annotations

import pytest

from db import recipes, submissions
from db.models import LabelSet
from engine.core.parameters import parse
from engine.labelling import job as label
from engine.labelling.base import find_method, fit_state
from engine.work.context import JobStopped
from tests.support.installation import Installation, add_discs
from tests.support.training_job import Context

CLUSTERS = {"clusters": 3, "longest_side_px": 64}


def submitted(installation: Installation, images: int, state: dict | None = None):
    dataset = add_discs(installation, images)
    params = parse(find_method("auto").params, {"longest_side_px": 64}).model_dump(mode="json")
    with installation.database.writing() as session:
        return submissions.submit_label(session, dataset.id, "set", "auto", params, 0, "test", state=state)


def choice(images: int) -> dict:
    """Return the state of Automatic that chose dataset clusters, fitted to so many images."""
    own = {"images": images, "clusters": [], "mixture": {}}
    return {"method": "dataset_clusters", "params": CLUSTERS, "state": own, "ranking": [], "images": images}


def learned(installation: Installation, label_set: LabelSet) -> dict:
    with installation.database.reading() as session:
        return session.get_one(LabelSet, label_set.id).state


def test_the_chosen_method_learns_from_all_images(installation: Installation, one_core: None) -> None:
    label_set, job = submitted(installation, 5, choice(2))
    assert label.run(job, Context(installation))["looked_at"] == 5
    state = learned(installation, label_set)
    assert (state["images"], state["state"]["images"]) == (2, 5)
    assert len(state["state"]["clusters"]) > 1
    with installation.database.reading() as session:
        assert len(recipes.labels(session, label_set.id)) == 5


def test_the_page_and_the_command_end_with_the_same(
    installation: Installation, one_core: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, job = submitted(installation, 5, choice(2))
    label.run(job, Context(installation))
    real = fit_state
    monkeypatch.setattr(
        label, "fit_state", lambda method, *rest: choice(2) if method.name == "auto" else real(method, *rest)
    )
    monkeypatch.setattr(label, "fit_sample", lambda tasks, method: tasks[:2] if method.name == "auto" else tasks)
    with installation.database.writing() as session:
        row = session.get_one(LabelSet, shown.id)
        again, job = submissions.submit_label(session, row.dataset_id, "again", "auto", row.params, 0, "test")
    assert label.run(job, Context(installation))["looked_at"] == 2 + 5
    assert learned(installation, again) == learned(installation, shown)


def test_stopped_while_it_learns_it_begins_anew_and_resumed_it_does_not_learn_again(
    installation: Installation, one_core: None
) -> None:
    label_set, job = submitted(installation, 5, choice(2))
    with pytest.raises(JobStopped):
        label.run(job, Context(installation, stop_after=3))
    assert learned(installation, label_set)["state"]["images"] == 2
    assert label.run(job, Context(installation))["looked_at"] == 5
    assert label.run(job, Context(installation))["looked_at"] == 0
