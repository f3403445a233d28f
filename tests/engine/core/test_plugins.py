"""Methods and formats of other installed packages are found, used like ours, and cannot keep the app from starting."""

import importlib
import json
import logging

import numpy as np
import pytest

from engine.exports.annotated import Annotated, MaskedImage
from engine.exports.base import UnknownFormat, find_format, formats, formats_of
from engine.labelling.base import draw, find_method, methods
from engine.labelling.recipe_key import recipe_key

MODULE = """
import json

import numpy as np

from engine.exports.base import MaskFormat
from engine.labelling.base import LabelParams, Method


def label(image, params, rng):
    return np.full(image.shape[:2], 0.25, np.float32)


def write(source, target, progress):
    areas = {image.name: int(mask.sum()) for image, mask in source.masks()}
    target.write_text(json.dumps(areas))
    return len(areas)


METHOD = Method("quarter", "A quarter everywhere", LabelParams, label)
FORMAT = MaskFormat(name="areas", title="Areas", sentence="Pixels of each mask.", suffix="json", write=write)
TAKEN = MaskFormat(name="coco", title="Ours", sentence="Not COCO.", suffix="txt", write=write)
"""
ENTRIES = """
[maskloom.methods]
quarter = other_package:METHOD
broken = other_package:GONE
missing = no_such_package:METHOD

[maskloom.formats]
areas = other_package:FORMAT
taken = other_package:TAKEN
wrong = other_package:METHOD
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package as pip would: its module and its dist-info in a folder of sys.path."""
    folder = tmp_path / "other_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "other_package.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for cached in (methods, formats):
        cached.cache_clear()
    yield tmp_path
    for cached in (methods, formats):
        cached.cache_clear()


def test_a_method_of_another_package_computes_masks(installed):
    ours = set(methods()) - {"quarter"}
    assert {"kmeans", "auto"} <= ours
    method = find_method("quarter")
    image = np.zeros((8, 6, 3), np.uint8)
    assert (draw(method, image, method.params(), seed=0) == 0.25).all()
    key = recipe_key("quarter", method.params(), 0, None)
    assert key != recipe_key("kmeans", find_method("kmeans").params(), 0, None)


def test_a_format_of_another_package_is_offered_for_masks_and_writes(installed, tmp_path):
    what = find_format("areas")
    assert what in formats_of("label_set") and what not in formats_of("run")
    assert list(formats())[-1] == "areas"
    images = [MaskedImage(1, "a.png", 3, 2, "", "a")]
    source = Annotated(images, ["disc"], lambda key: np.ones((2, 3), bool), "A test.")
    assert what.write(source, tmp_path / "areas.json", lambda done: None) == 1
    assert json.loads((tmp_path / "areas.json").read_text()) == {"a.png": 6}


def test_faulty_plugins_are_left_out_and_logged(installed, caplog):
    with caplog.at_level(logging.ERROR, "maskloom.plugins"):
        assert "broken" not in methods() and find_format("coco").title == "COCO JSON, objects"
    with pytest.raises(UnknownFormat):
        find_format("wrong")
    log = caplog.text
    assert "'no_such_package:METHOD' of maskloom.methods cannot be imported" in log
    assert "'other_package:GONE' of maskloom.methods cannot be imported" in log
    assert "'other_package:METHOD' of maskloom.formats is no Format" in log
    assert "'other_package:TAKEN' of maskloom.formats has the name of another one: 'coco'" in log
