"""YOLO text: what its lines enclose, which images it lists, and names that are no path."""

import csv
import io
import zipfile

import cv2
import numpy as np

from engine.exports.annotated import Annotated, MaskedImage
from engine.exports.formats import yolo
from tests.support.drawn_masks import ADVERSARIAL, real_masks

SCALE = 4


def drawn(lines, shape):
    canvas = np.zeros((shape[0] * SCALE, shape[1] * SCALE), np.uint8)
    for line in lines:
        label, *numbers = line.split()
        assert label == "0" and len(numbers) >= 6 and len(numbers) % 2 == 0
        ring = np.array(numbers, float).reshape(-1, 2)
        assert ring.min() >= 0 and ring.max() <= 1
        cv2.fillPoly(canvas, [np.round(ring * (shape[1] * SCALE, shape[0] * SCALE)).astype(np.int32)], 1)
    return canvas[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE].astype(bool)


def test_the_lines_of_real_masks_enclose_them():
    for mask in real_masks(3):
        found = drawn(yolo.label_lines(mask), mask.shape)
        assert (found & mask).sum() / (found | mask).sum() > 0.97


def test_holes_are_kept_and_odd_masks_have_lines():
    mask = ADVERSARIAL["holes"]
    found = drawn(yolo.label_lines(mask), mask.shape)
    assert (found == mask).mean() > 0.98
    assert yolo.label_lines(ADVERSARIAL["empty"]) == []
    assert yolo.label_lines(ADVERSARIAL["full"]) == ["0 0 0 1 0 1 1 0 1"]
    for name in ("one pixel", "one row", "one column", "checkerboard"):
        assert drawn(yolo.label_lines(ADVERSARIAL[name]), ADVERSARIAL[name].shape).any()


def test_the_zip_lists_images_by_split_under_safe_names(tmp_path):
    names = ["../../etc/passwd.jpg", "a/egg.jpg", "b/egg.jpg", "=cmd.png"]
    splits = ["train", "validation", "train", "train"]
    images = [
        MaskedImage(number, name, 60, 60, split, "full")
        for number, (name, split) in enumerate(zip(names, splits, strict=True), start=1)
    ]
    masks = Annotated(images, ['egg: "raw"'], lambda key: np.ones((60, 60), bool), "From a test.\nTwo lines.")
    count = yolo.write(masks, tmp_path / "yolo.zip", lambda done: None)
    archive = zipfile.ZipFile(tmp_path / "yolo.zip")
    assert count == 4 and archive.testzip() is None
    labels = {name for name in archive.namelist() if name.startswith("labels/")}
    assert labels == {"labels/passwd.txt", "labels/egg.txt", "labels/egg-2.txt", "labels/=cmd.txt"}
    assert archive.read("val.txt").decode() == "./images/egg.jpg\n"
    assert archive.read("train.txt").decode().splitlines()[0] == "./images/passwd.jpg"
    data = archive.read("data.yaml").decode()
    assert data.startswith("# From a test. Two lines.\n") and 'names:\n  0: "egg: \\"raw\\""\n' in data
    rows = list(csv.reader(io.StringIO(archive.read("names.csv").decode("utf-8-sig"))))
    assert rows[3] == ["images/egg-2.jpg", "b/egg.jpg"] and rows[4][1] == "'=cmd.png"


def test_without_a_split_all_images_are_in_both_lists(tmp_path):
    images = [MaskedImage(1, "a.png", 7, 5, "", "full")]
    yolo.write(Annotated(images, ["x"], ADVERSARIAL.__getitem__, ""), tmp_path / "y.zip", lambda done: None)
    archive = zipfile.ZipFile(tmp_path / "y.zip")
    assert archive.read("val.txt") == archive.read("train.txt") == b"./images/a.png\n"
