"""COCO files: what our exports write comes back, and what other tools write is read or reported."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as reference

from engine.datasets.annotations.base import BOXES_ONLY, format_of
from engine.datasets.annotations.coco import read
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.shapes import draw
from engine.exports.annotated import Annotated, MaskedImage
from engine.exports.formats import coco as export
from tests.assets.annotation_files import IMAGES, SHAPE, SQUARE, TRIANGLE, class_map, coco, document
from tests.support.drawn_masks import ADVERSARIAL, drawn_classes, real_masks

NAMED = {**ADVERSARIAL, **{f"real {number}": mask for number, mask in enumerate(real_masks(2))}}
A, B = IMAGES
TOO_MANY = "It holds too many entries for the memory that one annotation file may take; split it."


def read_one(content, name="annotations/x.json", images=IMAGES):
    found = read([document(name, content)], images)
    (entry,) = found.entries
    return found, entry


def drawn(found, image=A):
    return draw(found.shapes[image], SHAPE)


def changed(**annotation):
    """Return a COCO file whose first annotation, the square, is changed."""
    content = coco()
    content["annotations"][0] |= annotation
    return content


@pytest.mark.parametrize("shapes", ["rle", "image", "polygons"])
def test_exported_classes_come_back_to_the_pixel(tmp_path, shapes):
    maps = {
        "a.jpg": drawn_classes(3),
        "b.jpg": np.uint8([[2, 2, 0, 1], [2, 2, 0, 0]]),
        "c.jpg": np.zeros((5, 4), np.uint8),
    }
    images = [MaskedImage(at, name, *maps[name].shape[::-1], "", name) for at, name in enumerate(maps, start=1)]
    path, names = tmp_path / "x.json", ("egg", "pan", "cup")
    export.write(Annotated(images, names, maps.__getitem__, "Masks."), path, lambda done: None, shapes)
    found = read([Document("x.json", path.read_bytes())], list(maps))
    assert found.classes == names
    for name, drawn_map in maps.items():
        np.testing.assert_array_equal(draw(found.shapes[name], drawn_map.shape), drawn_map)


@pytest.mark.parametrize("shapes", ["rle", "image", "polygons"])
def test_an_export_comes_back(tmp_path, shapes):
    images = [
        MaskedImage(number, f"{name}.jpg", mask.shape[1], mask.shape[0], "", name)
        for number, (name, mask) in enumerate(NAMED.items(), start=1)
    ]
    path = tmp_path / "x.json"
    export.write(Annotated(images, ["egg"], NAMED.__getitem__, "Masks."), path, lambda done: None, shapes)
    assert format_of("x.json", path.read_bytes()[:500]).name == "coco"
    found = read([Document("x.json", path.read_bytes())], [f"photos/{image.name}" for image in images])
    assert found.classes == ("egg",) and found.entries[0].taken
    for image in images:
        mask = NAMED[image.key]
        back = draw(found.shapes[f"photos/{image.name}"], mask.shape)
        assert found.size_note(f"photos/{image.name}", mask.shape) == ""
        if shapes == "polygons":  # outlines of large objects are simplified
            assert ((back == 1) == mask).mean() > 0.985
        else:
            assert ((back == 1) == mask).all()


def test_classes_are_the_categories_and_images_without_objects_are_background():
    found, entry = read_one(coco())
    assert found.classes == ("egg", "pan") and (drawn(found) == class_map()).all()
    assert not drawn(found, B).any() and found.size_note(A, SHAPE) == ""
    assert entry.reason == "Images described: 2; objects: 2. Images without an object (1) count as background."


def test_small_objects_stay_visible_and_crowds_are_ignored_below_them():
    whole = [0, 0, 20, 0, 20, 12, 0, 12]
    found, entry = read_one(changed(segmentation=[whole], iscrowd=1))
    assert (drawn(found) == np.where(class_map(0) == 2, 2, 255)).all()
    assert "Crowds, regions of several objects, count neither as object nor as background (1)." in entry.reason
    content = coco()
    content["annotations"].append({"id": 3, "image_id": 1, "category_id": 1, "segmentation": [whole]})
    found, _ = read_one(content)
    assert (drawn(found) == np.maximum(class_map(), 1)).all()


def test_crowds_alone_are_objects():
    content = changed(iscrowd=1)
    content["annotations"][1] |= {"image_id": 2, "iscrowd": 0}
    found, entry = read_one(content)
    assert (drawn(found) == class_map(1, 0)).all()
    assert "Crowds without single objects beside them were read as objects (1)." in entry.reason
    content["annotations"][1] |= {"image_id": 1, "iscrowd": 1}
    assert (drawn(read_one(content)[0]) == class_map()).all()


def test_run_lengths_compressed_and_not():
    mask = (class_map() == 1).astype(np.uint8)
    counts = reference.encode(np.asfortranarray(mask))["counts"].decode()
    flat = mask.ravel(order="F")
    lengths = np.diff(np.flatnonzero(np.diff(flat, prepend=0)), prepend=0, append=flat.size).tolist()
    for given in (counts, lengths):
        found, _ = read_one(changed(segmentation={"counts": given, "size": [12, 20]}))
        assert (drawn(found) == class_map()).all()


@pytest.mark.parametrize("segmentation", [SQUARE, [[2, 3], [6, 3], [6, 7], [2, 7]], [SQUARE, [0, 0, 1, 1]]])
def test_polygons_in_other_lists(segmentation):
    assert (drawn(read_one(changed(segmentation=segmentation))[0]) == class_map()).all()


def test_lists_that_are_objects_by_id():
    content = {name: {str(part["id"]): part for part in parts} for name, parts in coco().items()}
    assert (drawn(read_one(content)[0]) == class_map()).all()


def test_several_rings_are_one_object():
    found, entry = read_one(changed(segmentation=[SQUARE, TRIANGLE], category_id=2))
    assert (drawn(found) == class_map(2)).all() and "objects: 2" in entry.reason


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (changed(id=2), "Annotations with the id of another one were drawn too (1, the first: 2)."),
        (changed(segmentation=[SQUARE, [1, 2]]), "Polygons without three points were left out (1, the first: 1)."),
        (coco(images=[*coco()["images"], {"id": 1, "file_name": "b.png"}]), "Images with the id of another one"),
        (coco(categories=[*coco()["categories"], {"id": 2, "name": "x"}]), "Categories with the id of another one"),
        (coco(images=[*coco()["images"], {"id": 9, "file_name": "../../etc/x.png"}]), "the first: “../../etc/x.png”)."),
        (
            coco(annotations=[*coco()["annotations"], {"image_id": 99}]),
            "Annotations of an image that the file does not",
        ),
        (coco(annotations=[*coco()["annotations"], {"image_id": 1, "bbox": [1, 1, 2, 2]}]), "Boxes were left out (1);"),
        (coco(annotations=[*coco()["annotations"], {"image_id": 1}]), "Annotations without an outline or mask"),
    ],
)
def test_what_is_wrong_with_one_part_leaves_the_others(content, sentence):
    found, entry = read_one(content)
    assert entry.taken and sentence in entry.reason
    assert (drawn(found) == class_map()).all()


def test_categories_without_names_and_unknown_ones_are_classes_by_number():
    found, entry = read_one(coco(categories=[{"id": 2}, {"name": "x"}]))
    assert found.classes == ("class 2", "class 1") and (drawn(found) == class_map(2, 1)).all()
    assert "Categories without a name were named by their id (1, the first: 2)." in entry.reason
    assert "Categories that the file does not list became classes of their own (1, the first: 1)." in entry.reason


def test_a_category_called_background_is_background():
    found, _ = read_one(coco(categories=[{"id": 2, "name": "Background"}, {"id": 1, "name": "egg"}]))
    assert found.classes == ("egg",) and (drawn(found) == class_map(1, 0)).all()


def test_boxes_alone_are_no_truth():
    content = coco()
    for annotation in content["annotations"]:
        annotation["segmentation"] = []
    found, entry = read_one(content)
    assert (entry.taken, entry.reason) == (False, BOXES_ONLY) and A not in found.shapes


def test_an_image_of_which_everything_was_left_out_has_no_truth():
    content = coco()
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[1, 1]]
    assert A not in read_one(content)[0].shapes


def test_another_size_than_declared_is_reported():
    found, _ = read_one(coco())
    assert found.size_note(A, (24, 40)) == (
        "Its annotations are for an image of 20 × 12 pixels, and it has 40 × 24; they were drawn as they are."
    )


def test_ids_as_text_and_numbers_are_the_same():
    assert (drawn(read_one(changed(image_id="1", category_id=1.0))[0]) == class_map()).all()


def test_two_files_of_one_image_are_both_drawn():
    one, other = coco(), coco()
    one["annotations"].pop()
    other["annotations"].pop(0)
    found = read([document("x.json", one), document("y.json", other)], IMAGES)
    assert (drawn(found) == class_map()).all()
    assert "Images that “x.json” also describes have the objects of both (2" in found.entries[1].reason


def test_more_classes_than_fit_are_joined():
    categories = [{"id": at, "name": f"c{at}"} for at in range(1, 1001)]
    found, _ = read_one(coco(categories=categories))
    assert found.classes == ("c1", "c2")
    annotations = [{"image_id": 1, "category_id": at, "segmentation": [SQUARE]} for at in range(1, 301)]
    found, _ = read_one(coco(categories=categories, annotations=annotations))
    assert len(found.classes) == 254 and found.classes[-1] == "other classes"
    assert {shape.value for shape in found.shapes[A]} == set(range(1, 255))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "It is empty."),
        (b'{"images": [', "It is damaged: line 1 is not valid JSON."),
        (b'{"a":' * 50_000, "Its JSON is nested too deeply."),
        (b'{"images": ' + b"7" * 9000 + b"}", "Its JSON has a number with too many digits."),
        ('{"images": "Zürich"}'.encode("latin-1"), "It is not UTF-8 text; save it with that encoding."),
        (b"[]", "Its JSON does not have the structure of this format."),
        (b'{"images": [], "annotations": []}', "It describes no image."),
        (b'{"images": 7, "annotations": "x", "categories": {}}', "It describes no image."),
        (
            b"[" + b"[]," * 14_000_000,
            TOO_MANY,
        ),
    ],
)
def test_what_is_no_coco_is_refused_with_a_sentence(data, sentence):
    found = read([Document("x.json", data), document("annotations/y.json", coco())], IMAGES)
    assert found.entries[0].taken is False and found.entries[0].reason == sentence
    assert (drawn(found) == class_map()).all()


def test_a_byte_order_mark_is_accepted():
    data = b"\xef\xbb\xbf" + json.dumps(coco()).encode()
    assert format_of("x.json", data).name == "coco"
    assert (drawn(read([Document("x.json", data)], IMAGES)) == class_map()).all()
