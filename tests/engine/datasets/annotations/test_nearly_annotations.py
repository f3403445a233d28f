"""Files that are nearly annotations: whatever comes, every document has one entry, and nothing is raised."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.annotations.base import annotation_formats
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.shapes import draw
from tests.assets.annotation_files import IMAGES, SHAPE, coco, document, files, labelme
from tests.assets.mutations import mutated

SHORT = settings(max_examples=100)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, 2**63, 2**31, -1, 0, 1, 7, 1e308]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), NUMBERS, st.text(max_size=5), st.sampled_from(["a.png", "egg", "12", "\ud800"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


def check(name: str, documents: list[Document]) -> None:
    """Read documents, draw what they say, and check what is reported."""
    found = annotation_formats()[name].read(documents, IMAGES)
    assert [entry.name for entry in found.entries] and sorted(entry.name for entry in found.entries) == sorted(
        each.name for each in documents
    )
    for entry in found.entries:
        assert entry.taken or entry.reason
        assert not entry.reason or (entry.reason.endswith(".") and entry.reason[0].isupper()), entry.reason
        assert "\n" not in entry.reason and len(entry.reason) < 2000
        entry.reason.encode()
    assert len(found.classes) <= 254 and all(each.strip() and each.encode() for each in found.classes)
    assert set(found.shapes) <= set(IMAGES)
    for image, shapes in found.shapes.items():
        drawn = draw(shapes, SHAPE)
        assert drawn.shape == SHAPE and drawn.dtype == np.uint8
        assert set(np.unique(drawn)) <= {0, 255, *range(1, len(found.classes) + 1)}
        note = found.size_note(image, SHAPE)
        assert not note or note.endswith(".")


@pytest.mark.parametrize("name", files())
@SHORT
@given(rng=st.randoms(use_true_random=False))
def test_changed_files(name: str, rng: random.Random):
    documents = files()
    others = [each.data for several in documents.values() for each in several]
    check(name, [Document(each.name, mutated(each.data, rng.choice(others), rng)) for each in documents[name]])


@pytest.mark.parametrize("name", files())
@SHORT
@given(data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes):
    check(name, [Document(each.name, data) for each in files()[name]])


@pytest.mark.parametrize("name", files())
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xef\xbb\xbf",
        b"[" * 200_000,
        b'{"images":' + b"[" * 200_000,
        b"<a>" * 100_000,
        b"names: " + b"[" * 200_000,
        b"names: " + b"{" * 200_000,
        b"names: &a [*a, *a]\n",
        b'{"shapes": ' + b"9" * 10_000 + b"}",
        b'{"images": [], "annotations": ' + b"-" + b"9" * 10_000 + b"}",
        b"0 " + b"1e400 " * 8,
        b"1e300 " + b"0.5 " * 8,
        b"0 " + b"nan " * 8,
        b"0 " + b"9" * 16_000,
        "0 0.1 ٠ 0.3 0.4 0.5 0.6 0.7".encode(),
    ],
    ids=lambda data: data[:20].decode(errors="replace"),
)
def test_bombs(name: str, data: bytes):
    check(name, [Document(each.name, data) for each in files()[name]])


@SHORT
@given(st.dictionaries(st.sampled_from(["images", "annotations", "categories"]), VALUES, max_size=3))
def test_coco_of_wrong_types(changes: dict[str, object]):
    check("coco", [document("x.json", json.dumps(coco(**changes)))])


@SHORT
@given(
    st.dictionaries(st.sampled_from(["id", "image_id", "category_id", "segmentation", "iscrowd", "bbox"]), VALUES),
    st.dictionaries(st.sampled_from(["id", "file_name", "height", "width"]), VALUES),
    st.dictionaries(st.sampled_from(["id", "name"]), VALUES),
)
def test_coco_of_wrong_values(annotation: dict, image: dict, category: dict):
    content = coco()
    content["annotations"].append({"id": 3, "image_id": 1, "category_id": 1, "segmentation": []} | annotation)
    content["images"].append({"id": 3, "file_name": "b.png"} | image)
    content["categories"].append({"id": 3, "name": "x"} | category)
    check("coco", [document("x.json", content)])


@SHORT
@given(VALUES, VALUES, st.booleans())
def test_coco_run_lengths_of_wrong_values(counts: object, size: object, right_size: bool):
    content = coco()
    content["annotations"][0]["segmentation"] = {"counts": counts, "size": [12, 20] if right_size else size}
    check("coco", [document("x.json", content)])


@SHORT
@given(
    st.dictionaries(st.sampled_from(["imagePath", "imageHeight", "imageWidth", "shapes"]), VALUES),
    st.sampled_from(["polygon", "rectangle", "circle", "mask", "point", "rotation", None]),
    st.dictionaries(st.sampled_from(["label", "points", "mask", "shape_type"]), VALUES),
)
def test_labelme_of_wrong_values(changes: dict, kind: object, shape: dict):
    content = labelme()
    content["shapes"].append({**content["shapes"][0], "shape_type": kind} | shape)
    check("labelme", [document("labelme/a.json", content | changes)])


@SHORT
@given(
    st.text("0123456789.,;- \nae", max_size=60), st.sampled_from(["points", "rle", "left", "width", "z_order", "label"])
)
def test_cvat_of_wrong_values(value: str, attribute: str):
    content = f'''<annotations><image name="a.png"><polygon points="1,1;5,1;5,5" label="egg" />
        <mask label="x" rle="0,4" left="0" top="0" width="2" height="2" /><ellipse cx="{value}" cy="1" rx="2" ry="3" />
        <polygon {attribute}="{value}" /><mask {attribute}="{value}" /></image></annotations>'''
    check("cvat", [document("x.xml", content)])
