"""COCO of a measurement, read by the authors' own reader: one annotation an object, with exactly its pixels."""

import numpy as np
from pycocotools.coco import COCO

from engine.exports.base import find_format
from tests.support.measured_objects import CLASSES, EMPTY, MAPS, class_of, measured_objects


def written(source, folder):
    done = []
    find_format("coco-objects").write(source, folder / "objects.json", done.append)
    assert done == list(range(1, len(source.images) + 1))
    return COCO(str(folder / "objects.json"))


def test_each_annotation_has_exactly_the_pixels_of_its_object(tmp_path):
    found = written(measured_objects(tmp_path), tmp_path)
    assert [each["name"] for each in found.loadCats(found.getCatIds())] == list(CLASSES)
    assert found.dataset["info"]["description"] == "Objects for a test."
    kinds = {}
    for image_id, (name, labels) in enumerate(MAPS.items(), start=1):
        assert found.imgs[image_id]["file_name"] == name
        drawn = np.zeros_like(labels)
        for annotation in found.loadAnns(found.getAnnIds([image_id])):
            inside, number = found.annToMask(annotation).astype(bool), annotation["object"]
            assert not drawn[inside].any()
            drawn[inside] = number
            left, top, wide, high = annotation["bbox"]
            rows, columns = np.nonzero(labels == number)
            assert (left, top, wide, high) == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
            assert annotation["area"] == len(rows) and annotation["iscrowd"] == 0
            assert annotation["category_id"] == class_of(number)
            kinds[image_id, number] = type(annotation["segmentation"]), len(annotation["segmentation"])
        assert (drawn == labels).all()
    assert kinds[1, 1] == (list, 1) and kinds[1, 2][0] is dict and kinds[1, 6] == (list, 2)


def test_without_objects_there_are_images_and_categories(tmp_path):
    found = written(measured_objects(tmp_path, EMPTY), tmp_path)
    assert len(found.imgs) == 2 and not found.anns and len(found.cats) == 2
