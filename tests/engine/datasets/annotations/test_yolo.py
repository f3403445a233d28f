"""YOLO text: our export comes back, and lines of boxes, class lists and pairs of names are understood."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from engine.datasets.annotations.base import BOXES_ONLY, format_of
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.shapes import draw
from engine.datasets.annotations.yolo import read
from engine.exports.annotated import Annotated, MaskedImage
from engine.exports.formats import yolo as export
from tests.assets.annotation_files import IMAGES, SHAPE, class_map, document, yolo_lines
from tests.support.drawn_masks import ADVERSARIAL, drawn_classes, real_masks

A, B = IMAGES
NAMED = {name: ADVERSARIAL[name] for name in ("empty", "full", "holes", "large", "one pixel")}
NAMED |= {f"real {number}": mask for number, mask in enumerate(real_masks(2))}


def read_lines(lines, *others):
    found = read([document("labels/a.txt", lines), *others], IMAGES)
    return found, found.entries[-1 - len(others) if not others else 0]


def of(found, name):
    return next(entry for entry in found.entries if entry.name == name)


def test_exported_classes_come_back_to_the_pixel(tmp_path):
    maps = {
        "a.jpg": drawn_classes(3),
        "b.jpg": np.uint8([[2, 2, 0, 1], [2, 2, 0, 0]]),
        "c.jpg": np.zeros((5, 4), np.uint8),
    }
    images = [MaskedImage(at, name, *maps[name].shape[::-1], "", name) for at, name in enumerate(maps, start=1)]
    names = ("egg", "pan: small", "cup")
    export.write(Annotated(images, names, maps.__getitem__, "Masks."), tmp_path / "y.zip", lambda done: None)
    with zipfile.ZipFile(tmp_path / "y.zip") as archive:
        documents = [Document(name, archive.read(name)) for name in sorted(archive.namelist())]
    found = read(documents, list(maps))
    assert found.classes == names
    for name, drawn_map in maps.items():
        np.testing.assert_array_equal(draw(found.shapes[name], drawn_map.shape), drawn_map)


def test_small_objects_in_holes_of_another_class_stay(tmp_path):
    grid = np.full((40, 60), 2, np.uint8)
    grid[1::3, 1::3] = 1  # 260 holes of a pixel, of which a line keeps 64
    image = MaskedImage(1, "a.jpg", 60, 40, "", "")
    export.write(Annotated([image], ["egg", "pan"], lambda key: grid, ""), tmp_path / "y.zip", lambda done: None)
    with zipfile.ZipFile(tmp_path / "y.zip") as archive:
        found = read([Document(name, archive.read(name)) for name in archive.namelist()], ["a.jpg"])
    np.testing.assert_array_equal(draw(found.shapes["a.jpg"], grid.shape), grid)


@pytest.mark.parametrize("renamed", [False, True])
def test_an_export_comes_back_beside_its_images_under_old_or_new_names(tmp_path, renamed):
    folders = ["a", "b", "c"]
    names = [f"{folders[at % 3]}/{'egg' if at < 3 else name}.jpg" for at, name in enumerate(NAMED)]
    images = [
        MaskedImage(at, name, mask.shape[1], mask.shape[0], "", key)
        for at, (name, (key, mask)) in enumerate(zip(names, NAMED.items(), strict=True), start=1)
    ]
    export.write(Annotated(images, ["egg"], NAMED.__getitem__, "Masks."), tmp_path / "y.zip", lambda done: None)
    with zipfile.ZipFile(tmp_path / "y.zip") as archive:
        documents = [Document(name, archive.read(name)) for name in sorted(archive.namelist())]
    assert {format_of(each.name, each.data).name for each in documents} == {"yolo"}
    stems = ["egg", "egg-2", "egg-3", *(name.split("/")[1].removesuffix(".jpg") for name in names[3:])]
    given = [f"images/{stem}.jpg" for stem in stems] if renamed else names
    found = read(documents, given)
    assert found.classes == ("egg",) and all(entry.taken for entry in found.entries)
    for name, mask in zip(given, NAMED.values(), strict=True):
        assert ((draw(found.shapes[name], mask.shape) == 1) == mask).mean() > 0.97, name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "path: ../x\nnc: 2\nnames: ['egg', \"pan\"]\n"),
        ("data.yaml", "names:\n- egg\n- pan\ntrain: images/train\n"),
        ("sub/../data.yml", "names: {0: egg, 1: pan}\n"),
        ("labels/classes.txt", "egg\r\npan\r\n"),
        ("obj.names", "egg\npan\n"),
    ],
)
def test_class_names(name, content):
    found, _ = read_lines(yolo_lines(), document(name, content))
    assert found.classes == ("egg", "pan") and (draw(found.shapes[A], SHAPE) == class_map()).all()


def test_class_names_stay_text_and_missing_ones_are_numbers():
    lines = yolo_lines() + yolo_lines().replace("0 ", "7 ", 1).splitlines()[0]
    found, _ = read_lines(lines, document("data.yaml", "names: [no, 1e3]"))
    assert found.classes == ("no", "1e3", "class 7")
    assert "Classes without a name were named by their number (1, the first: 7)." in of(found, "labels/a.txt").reason
    found, _ = read_lines(yolo_lines())
    assert found.classes == ("class 0", "class 1") and (draw(found.shapes[A], SHAPE) == class_map()).all()


def test_each_label_file_takes_the_class_names_of_its_own_set():
    documents = [
        document("one/data.yaml", "names: [egg, pan]"),
        document("two/data.yaml", "names: [pan, egg]"),
        document("one/labels/a.txt", yolo_lines()),
        document("two/labels/a.txt", yolo_lines()),
    ]
    found = read(documents, ["one/images/a.png", "two/images/a.png"])
    assert found.classes == ("egg", "pan")
    assert (draw(found.shapes["one/images/a.png"], SHAPE) == class_map(1, 2)).all()
    assert (draw(found.shapes["two/images/a.png"], SHAPE) == class_map(2, 1)).all()


def test_a_confidence_after_the_points_is_no_point():
    found, _ = read_lines("".join(f"{line} 0.91\n" for line in yolo_lines().splitlines()))
    assert (draw(found.shapes[A], SHAPE) == class_map()).all()


def test_an_empty_file_is_background_only_among_files_that_are_not():
    found = read([document("labels/a.txt", yolo_lines()), document("labels/b.txt", "")], IMAGES)
    assert found.shapes[B] == ()
    assert of(found, "labels/b.txt").reason == "It has no object, so its image counts as background."
    found = read([document("b.txt", " \n")], IMAGES)
    assert found.shapes == {} and found.entries[0].reason == "It is empty."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.1 0.1 0.2 0.2", "Boxes were left out (1); Maskloom needs outlines or masks."),
        (
            "egg 0.1 0.1 0.2 0.2 0.3 0.1",
            "Lines that are not numbers were left out, by their line number (1, the first: 3).",
        ),
        ("-1 0.1 0.1 0.2 0.2 0.3 0.1", "Lines without a class number were left out"),
        ("0 10 10 20 20 30 10", "Lines with coordinates that are not fractions were left out"),
        ("0 0.1 nan 0.2 0.2 0.3 0.1", "Lines with coordinates that are not fractions were left out"),
        ("0 0.1 0.2", "Polygons without three points were left out"),
    ],
)
def test_what_is_wrong_with_one_line_leaves_the_others(line, sentence):
    found, entry = read_lines(f"{yolo_lines()}{line}\n")
    assert sentence in entry.reason and (draw(found.shapes[A], SHAPE) == class_map()).all()


def test_boxes_alone_are_no_truth():
    found, entry = read_lines("0 0.1 0.1 0.2 0.2\n")
    assert (entry.taken, entry.reason) == (False, BOXES_ONLY) and found.shapes == {}


def test_a_file_of_no_image_is_reported():
    found = read([document("labels/c.txt", yolo_lines())], IMAGES)
    assert found.entries[0].reason == "There is no image of the same name, or more than one."


@pytest.mark.parametrize(
    ("name", "head", "is_yolo"),
    [
        ("labels/a.txt", yolo_lines(), True),
        ("a.txt", "0 0.5 0.5 0.1 0.1\n", True),
        ("a.txt", "", True),
        ("train.txt", "./images/a.jpg\n./images/b.jpg\n./ima", True),
        ("README.txt", "These are 5 eggs.\n", False),
        ("a.txt", "12,13,14,15\n", False),
        ("data.yaml", "names: [a]", True),
        ("docker-compose.yaml", "services:\n  names: x\n", False),
        ("names.csv", "image,file\n", True),
        ("scores.csv", "image,file\n", False),
    ],
)
def test_which_files_are_recognised(name, head, is_yolo):
    found = format_of(name, head.encode())
    assert (found is not None and found.name == "yolo") == is_yolo
