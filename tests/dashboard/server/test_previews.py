"""Previews on real processes: what is drawn, what is remembered, and what survives a killed process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard.server.previews import PreviewPool, Source, preview_params
from engine.imaging import codec, metrics
from engine.labelling.base import draw, find_method, fit_state, look_at
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.quality import assess
from engine.store import keys as stored
from engine.store.local import LocalStore
from tests.support.installation import REPOSITORY, disc

LOOKUP = tuple(int(value >= 128) for value in range(256))


class GivenUp(BaseException):
    """Stands for Streamlit's own signal that a newer rerun waits; it is no Exception either."""


@pytest.fixture(scope="module")
def pool() -> Iterator[PreviewPool]:
    drawing = PreviewPool(workers=2)
    yield drawing
    drawing.close()


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    found = []
    for number in range(4):
        image, mask = disc(160, 40, seed=number)
        image_path, truth_path = tmp_path / f"{number}.png", tmp_path / f"{number}-truth.png"
        image_path.write_bytes(codec.encode_png(image))
        truth_path.write_bytes(codec.encode_png(mask.astype(np.uint8) * 255))
        found.append(Source(f"{tmp_path}-{number}", 160, image_path, truth_path, LOOKUP))
    return found


def params(method: str, **values: object):
    return find_method(method).params(**values)


def test_a_preview_is_what_the_method_draws_at_that_size_and_scores_against_truth(pool, sources):
    chosen = params("kmeans", longest_side_px=96)
    previews = pool.draw("kmeans", chosen, sources, seed=3)
    for number, preview in enumerate(previews):
        image, mask = disc(160, 40, seed=number)
        small = codec.resize_image(image, (96, 96))
        expected = metrics.probability_to_u8(draw(find_method("kmeans"), small, chosen, seed=3))
        assert np.array_equal(codec.decode_png(preview.png), expected)
        truth = codec.resize_mask(mask, (96, 96))
        at_half = metrics.threshold_index(0.5)
        assert metrics.dice_curve(preview.counts)[at_half] == metrics.dice(metrics.to_mask(expected, 0.5), truth)
        assert preview.seconds > 0


def test_without_truth_there_is_no_score(pool, sources):
    bare = [replace(source, truth=None, lookup=()) for source in sources]
    assert all(preview.counts is None for preview in pool.draw("threshold", params("threshold"), bare))


def test_what_was_drawn_is_not_drawn_again_and_pictures_are_loaded_once(pool, sources):
    first = pool.draw("threshold", params("threshold"), sources)
    for source in sources:
        source.image.unlink()
    assert pool.draw("threshold", params("threshold"), sources) == first
    moved = pool.draw("threshold", params("threshold", offset=20), sources)
    assert not any(preview.error for preview in moved)
    assert [preview.png for preview in moved] != [preview.png for preview in first]


def test_another_mapping_of_truth_scores_anew(pool, sources):
    before = pool.draw("threshold", params("threshold"), sources[:1])[0]
    turned = replace(sources[0], lookup=tuple(1 - value for value in LOOKUP))
    after = pool.draw("threshold", params("threshold"), [turned])[0]
    assert after.png == before.png
    assert after.counts.reference == 160 * 160 - before.counts.reference


@pytest.mark.slow
def test_memory_is_bounded(sources):
    small = PreviewPool(workers=1, memory_bytes=200_000)
    try:
        for offset in range(30):
            small.draw("threshold", params("threshold", offset=offset), sources)
        assert 1 < len(small._drawn._entries) < 120
        assert small._drawn._total_bytes <= 200_000
        assert small._pictures._total_bytes <= 200_000
    finally:
        small.close()


def test_one_bad_picture_is_named_and_takes_no_other_mask_away(pool, sources):
    gone = replace(sources[0], content_hash="gone", image=Path("/nowhere/gone.png"))
    previews = pool.draw("threshold", params("threshold"), [gone, sources[1]])
    assert "gone.png" in previews[0].error
    assert not previews[0].png
    assert previews[1].png


def test_a_newer_position_drops_what_has_not_begun(pool, sources):
    many = [replace(sources[0], content_hash=f"many-{number}") for number in range(200)]

    def give_up(done: int) -> None:
        raise GivenUp

    with pytest.raises(GivenUp):
        pool.draw("kmeans", params("kmeans"), many, while_waiting=give_up)
    # Of the 200 at most the few that were under way are still drawn; the newer position gets the processes.
    assert all(preview.png for preview in pool.draw("kmeans", params("kmeans", clusters=2), sources))
    assert sum(pool._drawn.get(key) is not None for key in list(pool._drawn._entries) if "many" in repr(key)) < 20


@pytest.mark.slow
def test_killed_processes_are_replaced(pool, sources):
    pool.draw("threshold", params("threshold"), sources)
    for pid in list(pool._processes._executor._processes):
        os.kill(pid, signal.SIGKILL)
    previews = pool.draw("threshold", params("threshold", offset=-7), sources)
    assert all(preview.png and not preview.error for preview in previews)


def test_after_closing_it_draws_with_new_processes(sources):
    before = set(multiprocessing.active_children())
    short = PreviewPool(workers=1)
    short.draw("threshold", params("threshold"), sources[:1])
    processes = list(short._processes._executor._processes.values())
    short.close()
    assert not any(process.is_alive() for process in processes)
    assert set(multiprocessing.active_children()) <= before
    assert short.draw("threshold", params("threshold", offset=9), sources[:1])[0].png
    short.close()


def test_the_processes_do_not_run_the_page(tmp_path, sources, monkeypatch):
    """Streamlit makes the page `__main__`, and a spawned process would run that again."""
    page = tmp_path / "page.py"
    page.write_text("import pathlib; pathlib.Path(__file__).with_name('ran').touch()")
    main = types.ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    fresh = PreviewPool(workers=1)
    assert fresh.draw("threshold", params("threshold"), sources[:1])[0].png
    fresh.close()
    assert not (tmp_path / "ran").exists()
    assert sys.modules["__main__"] is main


def test_the_processes_do_not_load_streamlit():
    code = "import sys, dashboard.server.previews; print('streamlit' in sys.modules, 'tensorflow' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["False", "False"]


def test_the_processes_end_with_a_killed_app():
    code = """if True:
        import os, signal
        from pathlib import Path
        from dashboard.server.previews import PreviewPool, Source
        from engine.labelling.methods.threshold import METHOD
        pool = PreviewPool(workers=1)
        pool.draw("threshold", METHOD.params(), [Source("0", 8, Path("there is none"), None, ())])
        print(*pool._processes._executor._processes, flush=True)
        input()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    app = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    drawing = int(app.stdout.readline())
    assert is_alive(drawing)
    app.communicate("\n")
    deadline = time.monotonic() + 30
    while is_alive(drawing) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(drawing)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def test_lengths_shrink_with_the_picture():
    full = params("kmeans", longest_side_px=512, smoothing_px=4.0, clusters=6)
    small = preview_params(full, 256, picture_px=4000)
    assert (small.longest_side_px, small.smoothing_px, small.clusters) == (256, 2.0, 6)
    assert preview_params(full, 256, picture_px=320).smoothing_px == 4.0 * 256 / 320
    assert preview_params(full, 256, picture_px=200) == full
    assert preview_params(full, None, picture_px=4000) == full


def test_a_preview_is_no_larger_than_asked(pool, sources):
    small = pool.draw("threshold", params("threshold"), sources[:1], limit_px=64)[0]
    whole = pool.draw("threshold", params("threshold"), sources[:1], limit_px=None)[0]
    assert codec.decode_png(small.png).shape == (64, 64)
    assert codec.decode_png(whole.png).shape == (160, 160)


def bare(sources: list[Source]) -> list[Source]:
    return [replace(source, truth=None, lookup=()) for source in sources]


def test_a_preview_has_the_quality_that_the_mask_has_without_truth(pool, sources):
    chosen = params("threshold", longest_side_px=128)
    preview = pool.draw("threshold", chosen, sources[:1])[0]
    image = codec.resize_image(disc(160, 40, seed=0)[0], (128, 128))

    def redraw(view: np.ndarray) -> np.ndarray:
        return draw(find_method("threshold"), view, chosen, 0)

    assert preview.quality == assess(image, redraw(image), redraw)
    assert preview.quality.clear


def test_a_mask_is_drawn_first_and_judged_later_without_being_drawn_anew(pool, sources):
    chosen = params("kmeans")
    drawn = pool.draw("kmeans", chosen, sources[:2], judged=False)
    assert [preview.quality for preview in drawn] == [None, None]
    judged = pool.draw("kmeans", chosen, sources[:2])
    assert [preview.png for preview in judged] == [preview.png for preview in drawn]
    assert all(0 <= preview.quality.score <= 1 for preview in judged)
    assert all(preview.judged_s > 0 for preview in judged)
    assert pool.draw("kmeans", chosen, sources[:2], judged=False) == judged
    assert pool.draw("kmeans", chosen, sources[:2]) == judged


def test_the_state_is_what_the_method_fits_to_these_images_and_draws_their_masks(pool, sources):
    method, chosen = find_method("dataset_clusters"), params("dataset_clusters", clusters=3)
    state = pool.fit(method.name, chosen, bare(sources), seed=5)
    images = [codec.decode_png(source.image.read_bytes()) for source in sources]
    assert state == fit_state(method, [look_at(method, image, chosen, 5) for image in images], chosen, 5)
    preview = pool.draw(method.name, chosen, sources[:1], seed=5, state=state)[0]
    assert np.array_equal(
        codec.decode_png(preview.png), metrics.probability_to_u8(draw(method, images[0], chosen, 5, state))
    )


def test_another_state_draws_other_masks_and_none_at_all_says_what_is_missing(pool, sources):
    chosen = params("dataset_clusters", clusters=3)
    state = pool.fit("dataset_clusters", chosen, bare(sources))
    turned = state | {"clusters": [cluster | {"proposed": not cluster["proposed"]} for cluster in state["clusters"]]}
    first = pool.draw("dataset_clusters", chosen, sources[:1], state=state)[0]
    other = pool.draw("dataset_clusters", chosen, sources[:1], state=turned)[0]
    assert first.png != other.png
    missing = pool.draw("dataset_clusters", chosen, sources[:1])[0]
    assert "must be fitted to the dataset" in missing.error


def test_images_are_looked_at_once_and_a_fit_is_done_once(pool, sources):
    chosen, seen = params("dataset_clusters", clusters=3), []
    pool.fit("dataset_clusters", chosen, bare(sources), while_waiting=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)
    for source in sources:
        source.image.unlink()
    again = pool.fit("dataset_clusters", params("dataset_clusters", clusters=2), bare(sources))
    assert len(again["clusters"]) <= 2
    ticked = params("dataset_clusters", clusters=2, ticked="0")
    assert pool.fit("dataset_clusters", ticked, bare(sources)) is again


def test_a_choice_is_drafted_from_a_few_images_then_found_among_all_and_stored(pool, sources, tmp_path):
    dataset_id, chosen = "0" * 32, params("auto", longest_side_px=96)
    (tmp_path / stored.dataset_folder(dataset_id)).mkdir(parents=True)
    cache = FeatureCache(LocalStore(tmp_path), dataset_id)
    many = []
    for number in range(7):
        image = tmp_path / f"many-{number}.png"
        image.write_bytes(codec.encode_png(disc(96, 30, seed=number)[0]))
        many.append(Source(f"{tmp_path}-{number}", 96, image, cache=cache))
    first = pool.draft("auto", chosen, many)
    assert not first.final and first.state["images"] == 4 and first.state["untried"] == 1
    assert pool.draft("auto", chosen, many) == first
    last = pool.draft("auto", chosen, many, further=True)
    assert last.final and last.state == pool.fit("auto", chosen, many) and last.state["images"] == 7
    looks = [look_at(find_method("auto"), codec.decode_png(each.image.read_bytes()), chosen, 0) for each in many]
    assert last.state == fit_state(find_method("auto"), looks, chosen, 0)
    for source in many:
        source.image.unlink()
    restarted = PreviewPool(workers=1)
    assert restarted.draft("auto", chosen, many) == last
    with pytest.raises(ValueError, match=r"many-\d\.png"):  # looked at side by side: whichever fails first is named
        restarted.fit("auto", params("auto", longest_side_px=80), many)
    restarted.close()


def test_a_method_that_learns_nothing_has_no_state(pool, sources):
    assert pool.fit("threshold", params("threshold"), bare(sources)) is None


def test_an_image_that_cannot_be_looked_at_is_named(pool, sources):
    gone = replace(sources[0], content_hash="gone", image=Path("/nowhere/gone.png"))
    with pytest.raises(ValueError, match=r"gone\.png"):
        pool.fit("dataset_clusters", params("dataset_clusters"), bare([sources[1], gone]))
    with pytest.raises(ValueError, match="at least one image"):
        pool.fit("dataset_clusters", params("dataset_clusters"), [])


def test_looking_is_given_up_when_a_newer_position_waits_and_goes_on_where_it_was(pool, sources):
    many = [replace(source, content_hash=f"looked-{number}") for number in range(30) for source in bare(sources[:1])]

    def give_up(done: int, total: int) -> None:
        if done >= 2:
            raise GivenUp

    with pytest.raises(GivenUp):
        pool.fit("dataset_clusters", params("dataset_clusters"), many, while_waiting=give_up)
    before: list[int] = []
    pool.fit("dataset_clusters", params("dataset_clusters"), many, while_waiting=lambda done, _: before.append(done))
    assert 2 <= before[0] < 30
    assert before[-1] == 30


@pytest.mark.slow
def test_killed_processes_are_replaced_while_looking(pool, sources):
    pool.draw("threshold", params("threshold"), sources)
    for pid in list(pool._processes._executor._processes):
        os.kill(pid, signal.SIGKILL)
    assert pool.fit("dataset_clusters", params("dataset_clusters", longest_side_px=100), bare(sources))["clusters"]
