"""The label job on a real database: look, learn, draw, judge, copy; stopped, killed and taken up again."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from db import datasets, jobs, recipes, submissions
from db.columns import utc_now
from db.models import Dataset, JobStatus, Label, LabelSet
from engine.core.parameters import parse
from engine.imaging import class_maps, codec, metrics
from engine.labelling import job as label
from engine.labelling.base import draw, find_method, fit_sample, fit_state, look_at
from engine.labelling.quality import assess
from engine.labelling.recipe_key import recipe_key
from engine.store import keys as stored
from engine.work.context import JobFailed, JobStopped
from engine.work.worker import work
from tests.support.installation import REPOSITORY, add_discs
from tests.support.training_job import Context
from tests.support.two_classes import NAMES, add_scenes

CLUSTERS = {"clusters": 3, "longest_side_px": 64}
PATIENCE_S = 120


def submit(installation, dataset, name="set", method="threshold", values=None, **more):
    params = parse(find_method(method).params, values or {}).model_dump(mode="json")
    with installation.database.writing() as session:
        return submissions.submit_label(session, dataset.id, name, method, params, more.pop("seed", 0), "test", **more)


def rows_of(installation, label_set):
    """Return {image id: every column but the set's} of a mask set, and its masks by image id."""
    with installation.database.reading() as session:
        found = recipes.labels(session, label_set.id)
    rows = {
        row.image_id: (row.area, row.dice, row.iou, row.quality, row.quality_parts, row.unclear, row.dropped)
        for row in found
    }
    return rows, {id_: installation.files.read(stored.label_key(label_set.id, id_)) for id_ in rows}


def stored_set(installation, label_set):
    with installation.database.reading() as session:
        return session.get_one(LabelSet, label_set.id)


def pictures(installation, dataset):
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    return {
        image.id: codec.decode_png(installation.files.read(stored.image_key(dataset.id, image.id))) for image in images
    }


def test_each_mask_is_what_the_recipe_draws_with_its_quality(installation):
    dataset = add_discs(installation, 4)
    label_set, job = submit(installation, dataset, method="kmeans", seed=7)
    result = label.run(job, Context(installation))
    assert (result["images"], result["looked_at"], result["copied"]) == (4, 0, 0)
    method = find_method("kmeans")

    def redraw(view):
        return draw(method, view, method.params(), 7)

    rows, masks = rows_of(installation, label_set)
    for image_id, image in pictures(installation, dataset).items():
        expected = redraw(image)
        assert np.array_equal(codec.decode_png(masks[image_id]), metrics.probability_to_u8(expected))
        quality = assess(image, expected, redraw)
        assert rows[image_id][3:] == (quality.score, quality.parts, not quality.clear, False)
        assert rows[image_id][1] > 0.9  # Dice against truth


def test_a_method_that_learns_looks_first_and_all_masks_are_drawn_with_what_it_learned(installation, one_core):
    dataset = add_discs(installation, 5)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS, seed=2)
    context = Context(installation)
    result = label.run(job, context)
    assert result["looked_at"] == 5
    method, images = find_method("dataset_clusters"), pictures(installation, dataset)
    params = method.params(**CLUSTERS)
    state = fit_state(method, [look_at(method, image, params, 2) for image in images.values()], params, 2)
    row = stored_set(installation, label_set)
    assert row.state == state
    assert row.recipe_key == recipe_key("dataset_clusters", params, 2, state)
    _, masks = rows_of(installation, label_set)
    for image_id, image in images.items():
        expected = metrics.probability_to_u8(draw(method, image, params, 2, state))
        assert np.array_equal(codec.decode_png(masks[image_id]), expected)
    assert [entry.phase for entry in context.said] == [label.LOOKING] * 6 + [label.DRAWING] * 6
    done = [entry.done for entry in context.said]
    assert done == sorted(done)
    assert (context.said[-1].done, context.said[-1].total) == (10, 10)


def test_automatic_stores_its_choice_and_why(installation, one_core):
    dataset = add_discs(installation, 3)
    label_set, job = submit(installation, dataset, method="auto")
    label.run(job, Context(installation))
    state = stored_set(installation, label_set).state
    assert state["method"] in {entry["method"] for entry in state["ranking"]}
    assert state["sentence"]
    assert len(rows_of(installation, label_set)[0]) == 3


def test_a_mask_set_has_the_verdict_on_its_masks_or_that_of_the_choice(installation, one_core):
    dataset = add_discs(installation, 4)
    _, job = submit(installation, dataset)
    found = label.run(job, Context(installation))
    assert (found["verdict"], found["reason"].split(",")[0]) == ("trust", "The masks follow edges and colours")
    label_set, job = submit(installation, dataset, name="chosen", method="auto")
    found = label.run(job, Context(installation))
    reached = stored_set(installation, label_set).state["verdict"]
    assert (found["verdict"], found["reason"]) == (reached["verdict"], reached["reason"])


def test_a_choice_that_was_found_before_is_used_again_for_the_same_images_and_seed(installation, one_core):
    dataset = add_discs(installation, 3)
    first, job = submit(installation, dataset, method="auto")
    assert label.run(job, Context(installation))["looked_at"] == 3
    again, job = submit(installation, dataset, "again", "auto")
    assert label.run(job, Context(installation))["looked_at"] == 0
    assert stored_set(installation, again).state == stored_set(installation, first).state
    assert rows_of(installation, again)[1] == rows_of(installation, first)[1]
    _, job = submit(installation, dataset, "another seed", "auto", seed=5)
    assert label.run(job, Context(installation))["looked_at"] == 3


def test_the_state_that_the_page_showed_is_drawn_with_and_nothing_is_looked_at(installation, one_core):
    dataset = add_discs(installation, 4)
    method, images = find_method("dataset_clusters"), pictures(installation, dataset)
    params, other = method.params(**CLUSTERS, ticked="0"), method.params(**CLUSTERS | {"clusters": 2})
    # Not what the job itself would fit: two clusters, and from another seed.
    state = fit_state(method, [look_at(method, image, other, 9) for image in images.values()], other, 9)
    values = params.model_dump(mode="json")
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=values, state=state)
    context = Context(installation)
    assert label.run(job, context)["looked_at"] == 0
    assert label.LOOKING not in {entry.phase for entry in context.said}
    assert stored_set(installation, label_set).state == state
    _, masks = rows_of(installation, label_set)
    for image_id, image in images.items():
        expected = metrics.probability_to_u8(draw(method, image, params, 0, state))
        assert np.array_equal(codec.decode_png(masks[image_id]), expected)


def test_the_same_recipe_on_the_same_pictures_is_copied_and_not_drawn(installation, one_core, monkeypatch):
    dataset = add_discs(installation, 4)
    first, job = submit(installation, dataset)
    label.run(job, Context(installation))
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).lookup = [int(value < 128) for value in range(256)]
        recipes.set_dropped(session, first.id, None, True)
    monkeypatch.setattr(label, "draw", None)
    second, job = submit(installation, dataset, "again")
    assert label.run(job, Context(installation))["copied"] == 4
    (before, masks_before), (after, masks_after) = rows_of(installation, first), rows_of(installation, second)
    assert masks_after == masks_before
    for image_id, row in after.items():
        area, dice, _, *judged, dropped = row
        assert (area, judged) == (before[image_id][0], list(before[image_id][3:-1]))
        assert dice < 0.5  # truth means something else by now
        assert not dropped  # a mark is a person's on one mask set


def test_masks_of_several_classes_are_stored_with_their_classes_and_copied(installation, one_core, monkeypatch):
    dataset = add_scenes(installation, 3)
    values = {"clusters": 3, "position_weight": 0, "ticked": "2 1=2"}  # from dark to light: ground, square, disc
    first, job = submit(installation, dataset, method="kmeans", values=values)
    label.run(job, Context(installation))
    classes = [(entry["index"], entry["name"]) for entry in stored_set(installation, first).classes]
    assert classes == list(enumerate(NAMES))
    monkeypatch.setattr(label, "draw_mask", None)
    second, job = submit(installation, dataset, "again", method="kmeans", values=values)
    assert label.run(job, Context(installation))["copied"] == 3
    assert stored_set(installation, second).classes == stored_set(installation, first).classes
    for image_id in rows_of(installation, second)[0]:
        truth = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image_id)))
        for label_set in (first, second):
            levels, likely = (
                codec.decode_png(installation.files.read(key(label_set.id, image_id)))
                for key in (stored.label_key, stored.label_classes_key)
            )
            found = class_maps.to_classes(levels, likely, 0.5)
            assert all(metrics.dice(found == index, truth == index) > 0.8 for index in (1, 2))


def test_classes_that_a_dataset_does_not_name_are_numbered_and_one_class_is_foreground_alone(installation, one_core):
    dataset = add_discs(installation, 2)
    several, job = submit(installation, dataset, method="kmeans", values={"ticked": "3 0=2"})
    label.run(job, Context(installation))
    names = [entry["name"] for entry in stored_set(installation, several).classes]
    assert names == ["background", "class 1", "class 2"]
    one, job = submit(installation, dataset, "one", method="kmeans", values={"ticked": "3"})
    label.run(job, Context(installation))
    assert stored_set(installation, one).classes == []
    assert not list(installation.files.keys(stored.label_classes_folder(one.id)))


@pytest.mark.parametrize(
    "change", [{"values": {"offset": 3.0}}, {"seed": 1}, {"method": "kmeans"}, {"values": {"longest_side_px": 64}}]
)
def test_another_recipe_is_drawn_anew(installation, one_core, change):
    dataset = add_discs(installation, 2)
    label.run(submit(installation, dataset)[1], Context(installation))
    assert label.run(submit(installation, dataset, "other", **change)[1], Context(installation))["copied"] == 0


def test_only_pictures_that_are_new_are_drawn(installation, one_core):
    dataset = add_discs(installation, 3)
    label.run(submit(installation, dataset)[1], Context(installation))
    other = add_discs(installation, 3, name="other")
    with installation.database.writing() as session:
        ours = datasets.images(session, dataset.id)
        theirs = [session.merge(image) for image in datasets.images(session, other.id)]
        theirs[0].content_hash, theirs[1].content_hash = ours[0].content_hash, ours[1].content_hash
    label_set, job = submit(installation, other, "others")
    assert label.run(job, Context(installation))["copied"] == 2
    assert len(rows_of(installation, label_set)[0]) == 3


def test_a_mask_whose_file_is_gone_is_drawn(installation, one_core):
    dataset = add_discs(installation, 3)
    first, job = submit(installation, dataset)
    label.run(job, Context(installation))
    _, masks = rows_of(installation, first)
    installation.files.delete(stored.label_folder(first.id))
    second, job = submit(installation, dataset, "again")
    label.run(job, Context(installation))
    assert rows_of(installation, second)[1] == masks


def test_automatic_shares_masks_with_the_recipe_that_it_chose(installation, one_core):
    dataset = add_discs(installation, 3)
    first, job = submit(installation, dataset, method="auto", seed=4)
    label.run(job, Context(installation))
    state = stored_set(installation, first).state
    second, job = submit(
        installation, dataset, "chosen", state["method"], state["params"], seed=4, state=state["state"]
    )
    assert label.run(job, Context(installation))["copied"] == 3
    method = find_method(state["method"])
    _, masks = rows_of(installation, second)
    for image_id, image in pictures(installation, dataset).items():
        drawn = draw(method, image, parse(method.params, state["params"]), 4, state["state"])
        assert np.array_equal(codec.decode_png(masks[image_id]), metrics.probability_to_u8(drawn))


def test_a_stop_while_looking_leaves_nothing_and_the_job_starts_over(installation, one_core):
    dataset = add_discs(installation, 12)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    with pytest.raises(JobStopped) as stopped:
        label.run(job, Context(installation, stop_after=3))
    assert stopped.value.result == {"images": 0}
    assert stored_set(installation, label_set).state is None
    assert rows_of(installation, label_set)[0] == {}
    assert label.run(job, Context(installation))["looked_at"] == 12
    assert len(rows_of(installation, label_set)[0]) == 12


def test_a_stop_while_drawing_keeps_the_state_and_the_job_goes_on_with_it(installation, one_core):
    dataset = add_discs(installation, 6)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    with pytest.raises(JobStopped) as stopped:
        label.run(job, Context(installation, stop_after=10))  # 7 while looking
    count = stopped.value.result["images"]
    assert 0 < count < 6
    assert len(rows_of(installation, label_set)[0]) == count
    state = stored_set(installation, label_set).state
    assert state["clusters"]
    assert label.run(job, Context(installation))["looked_at"] == 0
    assert stored_set(installation, label_set).state == state
    assert len(rows_of(installation, label_set)[0]) == 6


def test_a_retry_deletes_partial_masks_and_leaves_the_file_that_an_export_is_writing(installation, one_core):
    label_set, job = submit(installation, add_discs(installation, 2))
    folder = installation.files.path(stored.label_folder(label_set.id))
    partial_mask = folder / f"{'a' * 32}.1234abcd.part.png"
    partial_export = folder / "exports" / "coco" / f"{'b' * 32}.1234abcd.part.json"
    for path in (partial_mask, partial_export):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    job.attempt = 2
    label.run(job, Context(installation))
    assert not partial_mask.exists() and partial_export.exists()


class Crash(BaseException):
    """Stands for a process that ends between two statements."""


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["set_state", "add_labels", "existing_labels"])
def test_a_crash_beside_any_write_is_mended_by_the_next_attempt(installation, one_core, monkeypatch, call, after):
    monkeypatch.setattr(label, "BATCH", 2)
    dataset = add_discs(installation, 5)
    whole, job = submit(installation, dataset, "undisturbed", method="dataset_clusters", values=CLUSTERS, seed=1)
    label.run(job, Context(installation))
    expected = rows_of(installation, whole), stored_set(installation, whole).state
    with installation.database.writing() as session:
        session.delete(session.get_one(LabelSet, whole.id))  # so that nothing can be copied
    label_set, job = submit(installation, dataset, "disturbed", method="dataset_clusters", values=CLUSTERS, seed=1)
    context = Context(installation)
    done = getattr(recipes, call)

    def crash(*arguments):
        if after:
            done(*arguments)
        raise Crash

    with monkeypatch.context() as disturbed, pytest.raises(Crash):
        disturbed.setattr(recipes, call, crash)
        label.run(job, context)
    label.run(job, Context(installation))
    assert (rows_of(installation, label_set), stored_set(installation, label_set).state) == expected


def test_a_set_that_older_code_began_is_finished_but_nobody_copies_from_it(installation, one_core):
    dataset = add_discs(installation, 3)
    first, job = submit(installation, dataset)
    label.run(job, Context(installation))
    with installation.database.writing() as session:
        session.get_one(LabelSet, first.id).recipe_key = None
        session.delete(session.query(Label).filter_by(label_set_id=first.id).first())
    label.run(job, Context(installation))
    assert len(rows_of(installation, first)[0]) == 3
    assert stored_set(installation, first).recipe_key is None
    assert label.run(submit(installation, dataset, "again")[1], Context(installation))["copied"] == 0


def test_ticks_that_name_no_cluster_end_in_a_sentence(installation, one_core):
    dataset = add_discs(installation, 3)
    _, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS | {"ticked": "31"})
    with pytest.raises(JobFailed, match="'ticked' names cluster 31"):
        label.run(job, Context(installation))


def test_what_cannot_be_learned_from_ends_in_a_sentence(installation, one_core, monkeypatch):
    def refuse(*arguments):
        raise ValueError("They are all of one colour.")

    monkeypatch.setattr(label, "fit_state", refuse)
    dataset = add_discs(installation, 2)
    _, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    with pytest.raises(JobFailed, match=r"cannot learn from these images\. They are all of one colour"):
        label.run(job, Context(installation))


def test_an_image_that_cannot_be_read_is_named_and_the_others_stay_drawn(installation):
    dataset = add_discs(installation, 6)
    label_set, job = submit(installation, dataset)
    with installation.database.reading() as session:
        broken = datasets.images(session, dataset.id)[3]
    installation.files.path(stored.image_key(dataset.id, broken.id)).write_bytes(b"no picture")
    with pytest.raises(JobFailed, match=rf"'{broken.name}' cannot be labelled with 'threshold'\. "):
        label.run(job, Context(installation))
    assert broken.id not in rows_of(installation, label_set)[0]


@pytest.mark.slow
def test_a_killed_drawing_process_ends_in_a_sentence_and_the_job_goes_on_later(installation):
    dataset = add_discs(installation, 30, size_px=256)
    label_set, job = submit(installation, dataset, method="kmeans")
    context, ended = Context(installation), threading.Event()

    def kill_one():
        while not ended.is_set():
            if any(entry.done for entry in context.said):
                for process in multiprocessing.active_children():
                    os.kill(process.pid, signal.SIGKILL)
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        with pytest.raises(JobFailed, match="memory ran out"):
            label.run(job, context)
    finally:
        ended.set()
        killer.join()
    label.run(job, Context(installation))
    assert len(rows_of(installation, label_set)[0]) == 30


@pytest.mark.slow
def test_a_worker_killed_while_looking_leaves_no_process_and_another_does_the_job(installation):
    dataset = add_discs(installation, 30, size_px=192)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    worker = subprocess.Popen(
        [sys.executable, "-m", "engine.work.worker"],
        cwd=REPOSITORY,
        env=installation.settings.as_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: installation.job(job.id).progress_done > 0)
    assert installation.job(job.id).progress_phase == label.LOOKING
    children = children_of(worker.pid)
    assert children
    worker.kill()
    worker.wait()
    wait_until(lambda: not any(is_alive(child) for child in children))
    with installation.database.writing() as session:
        jobs.requeue_lost(session, utc_now(), lost_after_s=-1)
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED
    assert len(rows_of(installation, label_set)[0]) == 30


@pytest.mark.slow
def test_what_is_looked_at_is_the_methods_sample_of_the_dataset(installation, one_core):
    dataset = add_discs(installation, 30)
    label_set, job = submit(installation, dataset, method="auto", values={"longest_side_px": 64})
    assert label.run(job, Context(installation))["looked_at"] == len(fit_sample(range(30), find_method("auto"))) == 24
    assert stored_set(installation, label_set).state["images"] == 24


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def children_of(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]


def is_alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
