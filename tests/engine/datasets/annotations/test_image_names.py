"""Which image a name in an annotation file means."""

from __future__ import annotations

import pytest

from engine.datasets.annotations.image_names import ImageNames

NAMED_LIKE_URLS = ["my photo.jpg", "50%20.png"]
SPLITS = ["images/train/1.jpg", "images/val/1.jpg", "images/val/2.jpg"]


@pytest.mark.parametrize(
    ("reference", "document", "image"),
    [
        ("1.jpg", "images/val/_annotations.coco.json", "images/val/1.jpg"),
        ("train/1.jpg", "annotations/all.json", "images/train/1.jpg"),
        ("images/train/1.jpg", "annotations/all.json", "images/train/1.jpg"),
        ("1.jpg", "annotations/instances_train.json", "images/train/1.jpg"),
        ("1.jpg", "all.json", None),
        ("2.JPG", "all.json", "images/val/2.jpg"),
        ("2.png", "all.json", "images/val/2.jpg"),
        ("D:\\photos\\2.jpg", "all.json", "images/val/2.jpg"),
        ("/etc/2.jpg", "all.json", "images/val/2.jpg"),
        ("../../etc/passwd", "all.json", None),
        ("", "all.json", None),
        (None, "all.json", None),
        (["1.jpg"], "all.json", None),
    ],
)
def test_by_path_then_by_file_name_then_by_stem(reference, document, image):
    assert ImageNames(SPLITS).find(reference, document) == image


@pytest.mark.parametrize(
    ("document", "image"),
    [
        ("labels/train/1.txt", "images/train/1.jpg"),
        ("labels/val/1.txt", "images/val/1.jpg"),
        ("labels/2.txt", "images/val/2.jpg"),
        ("labels/1.txt", None),
        ("labels/train/3.txt", None),
    ],
)
def test_by_the_stem_of_the_document(document, image):
    assert ImageNames(SPLITS).of_stem(document) == image


def test_the_innermost_folders_decide():
    images = ["one/train/images/1.png", "two/train/images/1.png", "two/images/train/1.png"]
    assert ImageNames(images).of_stem("two/train/labels/1.txt") is None
    assert ImageNames(images[:2]).of_stem("two/train/labels/1.txt") == images[1]


def test_names_as_in_urls():
    names = ImageNames(NAMED_LIKE_URLS)
    assert names.find("data/upload/my%20photo.jpg", "x.json") == "my photo.jpg"
    assert names.find("50%20.png", "x.json") == "50%20.png"


def test_many_images_of_one_name_are_found_by_path_alone():
    images = [f"{number}/image.png" for number in range(1000)]
    assert ImageNames(images).find("image.png", "all.json") is None
    assert ImageNames(images).find("777/image.png", "all.json") == "777/image.png"
