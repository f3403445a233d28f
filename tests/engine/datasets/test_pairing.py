"""Which mask belongs to which image, for the folder layouts that people have."""

from __future__ import annotations

import pytest

from engine.datasets.pairing import pair


def paired(*names: str) -> dict[str, str | None]:
    pairs, _ = pair(sorted(names))
    return {found.image: found.truth for found in pairs}


def left_out(*names: str) -> dict[str, str]:
    _, entries = pair(sorted(names))
    return {entry.name: entry.reason for entry in entries}


@pytest.mark.parametrize("folder", ["truth", "masks", "mask", "Labels", "GT", "annotations", "ground_truth"])
def test_folders_that_mean_truth(folder):
    assert paired("images/a.jpg", f"{folder}/a.png") == {"images/a.jpg": f"{folder}/a.png"}
    assert paired("a.jpg", f"{folder}/a.png") == {"a.jpg": f"{folder}/a.png"}
    assert paired("set/a.jpg", f"set/{folder}/a.png") == {"set/a.jpg": f"set/{folder}/a.png"}


def test_nested_folders_are_kept_apart():
    assert paired("train/images/a.jpg", "train/truth/a.png", "test/images/a.jpg", "test/truth/a.png") == {
        "train/images/a.jpg": "train/truth/a.png",
        "test/images/a.jpg": "test/truth/a.png",
    }
    assert paired("images/train/a.jpg", "images/test/a.jpg", "masks/train/a.png") == {
        "images/train/a.jpg": "masks/train/a.png",
        "images/test/a.jpg": None,
    }


def test_a_folder_beside_is_just_images():
    assert paired("images/a.jpg", "truth/a.png", "unlabelled/a.jpg", "unlabelled/b.jpg") == {
        "images/a.jpg": "truth/a.png",
        "unlabelled/a.jpg": None,
        "unlabelled/b.jpg": None,
    }
    assert "no image" in left_out("images/a.jpg", "unlabelled/b.jpg", "truth/b.png")["truth/b.png"]


def test_truth_in_another_place_finds_the_only_image_of_its_name():
    assert paired("cats/a.jpg", "dogs/b.jpg", "masks/a.png") == {"cats/a.jpg": "masks/a.png", "dogs/b.jpg": None}
    assert paired("cats/a.jpg", "dogs/a.jpg", "masks/a.png") == {"cats/a.jpg": None, "dogs/a.jpg": None}
    assert "no image" in left_out("cats/a.jpg", "dogs/a.jpg", "masks/a.png")["masks/a.png"]


def test_a_mask_ending_beside_its_image():
    assert paired("a.jpg", "a_mask.png", "b.jpg") == {"a.jpg": "a_mask.png", "b.jpg": None}
    assert paired("x/isic_1.jpg", "x/isic_1_segmentation.png") == {"x/isic_1.jpg": "x/isic_1_segmentation.png"}
    assert left_out("a.jpg", "a_mask.png", "b_mask.png").keys() == {"b_mask.png"}


def test_a_mask_ending_alone_is_a_photograph():
    assert paired("party_mask.jpg", "b.jpg") == {"party_mask.jpg": None, "b.jpg": None}


def test_endings_inside_a_truth_folder():
    assert paired("images/a.jpg", "masks/a_mask.png") == {"images/a.jpg": "masks/a_mask.png"}
    assert paired("images/a.jpg", "masks/a.jpg.png") == {"images/a.jpg": "masks/a.jpg.png"}


def test_case_and_dots_in_names():
    assert paired("Images/IMG_1.JPG", "Masks/img_1.png") == {"Images/IMG_1.JPG": "Masks/img_1.png"}
    assert paired("images/v1.2.jpg", "masks/v1.2.png") == {"images/v1.2.jpg": "masks/v1.2.png"}


def test_truth_without_image_and_a_second_truth():
    assert left_out("images/a.jpg", "truth/b.png") == {
        "truth/b.png": "It is truth, and there is no image of the same name for it."
    }
    second = left_out("images/a.jpg", "masks/a.png", "truth/a.png")
    assert second == {"truth/a.png": "The image already has its truth from masks/a.png."}


def test_nothing_and_truth_alone():
    assert paired() == {}
    assert paired("truth/a.png") == {}
    assert left_out("truth/a.png").keys() == {"truth/a.png"}
