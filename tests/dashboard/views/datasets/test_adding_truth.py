"""Truth of a dataset on its page: added later, removed, in the colours of its classes."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from db import datasets
from db.models import Dataset, LabelSet
from engine.store import keys as stored
from tests.assets.bad_files import disk, encoded
from tests.support.installation import add_discs
from tests.support.live_page import given
from tests.support.pages import words
from tests.support.pressing import click, press_in_dialog
from tests.support.several_classes import add_eggs_and_pans

PAGE = "views/datasets/page.py"


def mask_form(open_page, dataset: Dataset, folder: Path, what: str) -> AppTest:
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Add images or masks"
    at.run()
    at.segmented_control("masks-what").set_value(what).run()
    at.segmented_control("masks-place").set_value("Folder on the server").run()
    at.text_input("masks-path").input(str(folder)).run()
    assert not at.exception
    return at


def test_truth_can_be_added_to_images_that_are_there(open_page, submitted, installation, tmp_path):
    dataset = add_discs(installation, count=2, truth=False)
    (tmp_path / "drawn").mkdir()
    for name in ("disc 1_mask.png", "nobody_mask.png"):
        (tmp_path / "drawn" / name).write_bytes(encoded(disk()))
    at = mask_form(open_page, dataset, tmp_path / "drawn", "Truth")
    assert "1 mask file for 1 of 2 images of the dataset" in words(at)
    pairs, left_out, uses = (frame.value for frame in at.dataframe)
    assert list(uses["Use as"]) == ["skip", "mask of disc 1.png"]
    assert (list(pairs["Mask"]), list(left_out["File"])) == (["disc 1_mask.png"], ["nobody_mask.png"])
    click(at, "masks-start")
    assert installation.job(submitted[0]).kind == "truth"
    assert "Importing files" in words(at)


def test_masks_of_another_tool_become_a_label_set(open_page, submitted, installation, tmp_path):
    dataset = add_discs(installation, count=2)
    (tmp_path / "sam").mkdir()
    (tmp_path / "sam" / "disc 0.png").write_bytes(encoded(disk()))
    at = mask_form(open_page, dataset, tmp_path / "sam", "Mask set")
    assert next(box for box in at.text_input if box.label == "Name of the mask set").value == "discs sam"
    click(at, "masks-start")
    job = installation.job(submitted[0])
    with installation.database.reading() as session:
        label_set = session.get_one(LabelSet, job.payload["label_set"])
    assert (job.kind, label_set.name, label_set.params) == ("masks", "discs sam", {"source": "sam"})


def test_masks_of_no_image_cannot_be_added(open_page, submitted, installation, tmp_path):
    dataset = add_discs(installation, count=2)
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "nobody.png").write_bytes(encoded(disk()))
    at = mask_form(open_page, dataset, tmp_path / "drawn", "Truth")
    assert "here disc 0.png or disc 0_mask.png" in at.warning[0].value.replace("\\", "")
    assert at.button("masks-start").disabled


def test_the_truth_tab_of_images_without_truth_takes_masks(open_page, submitted, installation, tmp_path):
    dataset = add_discs(installation, count=2, truth=False)
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "disc 1.png").write_bytes(encoded(disk()))
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Truth"
    at.run()
    at.segmented_control("masks-place").set_value("Folder on the server").run()
    at.text_input("masks-path").input(str(masks)).run()
    click(at, "masks-start")
    assert installation.job(submitted[0]).kind == "truth"


def test_truth_is_removed_after_a_confirmation(open_page, submitted, installation):
    dataset = add_discs(installation, count=2)
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Truth"
    at.run()
    click(at, "remove-truth")
    assert "The 2 truth masks of **discs**" in words(at)
    press_in_dialog(at, "remove-truth", "delete-go")
    assert not at.exception
    with installation.database.reading() as session:
        row, images = session.get_one(Dataset, dataset.id), datasets.images(session, dataset.id)
    assert (row.truth_count, row.classes, [image.has_truth for image in images]) == (0, [], [False, False])
    assert not installation.files.exists(stored.truth_key(dataset.id, images[0].id))


def test_truth_of_several_classes_is_in_their_colours_with_a_legend_and_a_filter(open_page, installation):
    dataset = add_eggs_and_pans(installation)
    at = open_page(PAGE, dataset=dataset.id)
    assert not at.exception
    assert any("6 images · 6 with truth · 2 classes" in caption.value for caption in at.caption)

    def drawn():
        grid = next(data for data in given(at) if data.get("tiles"))
        legend = next(html.proto.body for html in at.get("html") if "border-radius:3px" in html.proto.body)
        return grid, legend

    grid, legend = drawn()
    assert all("classes=1" in tile["reference_classes"] and tile["mask"] is None for tile in grid["tiles"])
    assert grid["settings"]["only_class"] is None and "egg" in legend and "pan" in legend
    at.selectbox(f"class-{dataset.id}").set_value("pan").run()
    assert not at.exception
    grid, legend = drawn()
    assert grid["settings"]["only_class"] == 2 and "egg" not in legend
    at.segmented_control("overlay").set_value("Images only").run()
    assert not any("border-radius:3px" in html.proto.body for html in at.get("html"))
