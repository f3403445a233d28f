"""The label job on a real database: look, learn, draw, judge and copy."""

import numpy as np
import pytest

from db import datasets, recipes
from db.models import Dataset
from engine.core.parameters import parse
from engine.imaging import class_maps, codec, metrics
from engine.labelling import job as label
from engine.labelling.base import draw, find_method, fit_sample, fit_state, look_at
from engine.labelling.quality import assess
from engine.labelling.recipe_key import recipe_key
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.label_job import CLUSTERS, pictures, rows_of, stored_set, submit
from tests.support.training_job import Context
from tests.support.two_classes import NAMES, add_scenes


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


@pytest.mark.slow
def test_what_is_looked_at_is_the_methods_sample_of_the_dataset(installation, one_core):
    dataset = add_discs(installation, 30)
    label_set, job = submit(installation, dataset, method="auto", values={"longest_side_px": 64})
    assert label.run(job, Context(installation))["looked_at"] == len(fit_sample(range(30), find_method("auto"))) == 24
    assert stored_set(installation, label_set).state["images"] == 24
