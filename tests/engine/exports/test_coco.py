"""COCO files, read by the authors' own reader: the masks come back, and crowds are crowds."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from engine.exports.annotated import Annotated, MaskedImage, foreground_category
from engine.exports.formats import coco
from tests.support.drawn_masks import ADVERSARIAL, real_masks

NAMED = {**ADVERSARIAL, **{f"real {number}": mask for number, mask in enumerate(real_masks(3))}}


@pytest.fixture
def source():
    images = [
        MaskedImage(number * 3, f'ä "{name}".jpg', mask.shape[1], mask.shape[0], "", name)
        for number, (name, mask) in enumerate(NAMED.items(), start=1)
    ]
    return Annotated(images, ["egg"], NAMED.__getitem__, "Masks for a test.")


def read(source, path, shapes):
    done = []
    count = coco.write(source, path, done.append, shapes)
    assert done == list(range(1, len(NAMED) + 1))
    assert json.loads(path.read_text("utf-8"))["info"]["description"] == "Masks for a test."
    found = COCO(str(path))
    assert len(found.anns) == count and found.loadCats(found.getCatIds())[0]["name"] == "egg"
    return found


def union(found, image_id):
    masks = [found.annToMask(annotation) for annotation in found.loadAnns(found.getAnnIds([image_id]))]
    return np.any(masks, axis=0) if masks else np.zeros((), bool)


@pytest.mark.parametrize("shapes", ["rle", "image"])
def test_runs_give_back_every_pixel(source, tmp_path, shapes):
    found = read(source, tmp_path / "masks.json", shapes)
    for image in source.images:
        assert found.imgs[image.number]["file_name"] == image.name
        assert (union(found, image.number) == NAMED[image.key]).all()


def test_polygons_overlap_large_objects_and_objects_with_holes_are_exact(source, tmp_path):
    found = read(source, tmp_path / "masks.json", "polygons")
    kinds = set()
    for image in source.images:
        mask = NAMED[image.key]
        for annotation in found.loadAnns(found.getAnnIds([image.number])):
            drawn = found.annToMask(annotation).astype(bool)
            kinds.add(type(annotation["segmentation"]))
            left, top, wide, high = annotation["bbox"]
            assert annotation["iscrowd"] == 0 and 0 <= left < left + wide <= image.width and high <= image.height
            if isinstance(annotation["segmentation"], dict):
                assert drawn.sum() == annotation["area"]
            elif annotation["area"] >= 400:
                inside = mask[top : top + high, left : left + wide]
                assert abs(int(drawn.sum()) - annotation["area"]) < 0.02 * annotation["area"]
                assert (drawn[top : top + high, left : left + wide] & ~inside).mean() < 0.02
    assert kinds == {list, dict}


def test_one_annotation_of_several_objects_is_a_crowd_and_of_one_is_not(source, tmp_path):
    found = read(source, tmp_path / "masks.json", "image")
    by_key = {image.key: found.getAnnIds([image.number]) for image in source.images}
    assert by_key["empty"] == []
    assert [found.anns[by_key[key][0]]["iscrowd"] for key in ("corners", "one pixel", "checkerboard")] == [1, 0, 0]
    annotation = found.anns[by_key["one pixel"][0]]
    assert (annotation["bbox"], annotation["area"]) == ([3, 2, 1, 1], 1)


def test_the_category_is_the_datasets_one_class_or_plain_foreground():
    background = {"index": 0, "name": "background"}
    assert foreground_category([background, {"index": 1, "name": "egg"}]) == "egg"
    assert foreground_category([background, {"index": 1, "name": "egg"}, {"index": 2, "name": "pan"}]) == "foreground"
    assert foreground_category([]) == "foreground"
