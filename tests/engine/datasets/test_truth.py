"""Which classes grey values stand for, on the kinds of masks that people bring."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from engine.datasets import truth
from engine.imaging.codec import decode_truth
from tests.assets.bad_files import disk, encoded
from tests.support.shared_data import SHARED_DATA


def propose(*masks: np.ndarray) -> truth.TruthClasses:
    return truth.propose_classes(sum(truth.value_counts(mask) for mask in masks))


def peaks(found: truth.TruthClasses) -> list[int]:
    return [entry.value for entry in found.classes]


def as_jpeg(mask: np.ndarray, quality: int = 60) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded(mask, "JPEG", quality=quality))))


def pan_and_egg() -> np.ndarray:
    """Return 0, about 128 and 255 with greys strewn about each, as image editors leave them."""
    rng = np.random.default_rng(0)
    mask = disk(240, 320)
    mask[100:140, 140:180] = 128
    stray = rng.random(mask.shape) < 0.02
    return np.where(stray, np.clip(mask + rng.normal(0, 3, mask.shape), 0, 255), mask).astype(np.uint8)


def test_two_values():
    for value in (1, 7, 76, 200, 255):
        found = propose(disk(value=value))
        assert peaks(found) == [0, value]
        assert [entry.name for entry in found.classes] == ["background", "foreground"]
        assert found.lookup[value] == 1
        assert found.lookup[0] == 0


def test_three_values_with_stray_greys_are_three_classes():
    found = propose(pan_and_egg())
    assert peaks(found) == [0, 128, 255]
    assert truth.class_map(np.array([[0, 6, 120, 134, 250]], np.uint8), found.lookup).tolist() == [[0, 0, 1, 1, 2]]


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_jpeg_noise_makes_no_classes(quality):
    noisy = as_jpeg(disk(240, 320), quality)
    found = propose(noisy)
    assert [found.lookup[value] for value in (0, 40, 120, 135, 215, 255)] == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(truth.class_map(noisy, found.lookup) > 0, disk(240, 320) > 0)


def test_soft_edges_make_no_classes():
    soft = cv2.GaussianBlur(disk(240, 320), (0, 0), 4)
    assert len(propose(soft).classes) == 2
    assert len(propose(cv2.resize(disk(60, 80), (320, 240), interpolation=cv2.INTER_CUBIC)).classes) == 2


def test_class_indices_keep_every_class_even_a_rare_one():
    indices = np.zeros((100, 210), np.uint8)
    indices[:, :] = np.repeat(np.arange(21), 10)
    indices[indices == 13] = 0
    indices[3, 7] = 13
    found = propose(indices)
    assert peaks(found) == list(range(21))
    np.testing.assert_array_equal(truth.class_map(indices, found.lookup), indices)


def test_void_beside_class_indices_is_a_class_of_its_own():
    indices = np.repeat([[0, 1, 2, 15, 255]], 20, axis=0).astype(np.uint8)
    found = propose(indices)
    assert peaks(found) == [0, 1, 2, 15, 255]
    assert found.classes[-1].name == "void"


def test_masks_of_ones_beside_masks_of_255_both_count_as_foreground():
    found = propose(disk(value=1), disk(value=255))
    assert found.lookup[1] > 0
    assert found.lookup[255] > 0


def test_well_separated_greys_are_classes_however_rare():
    greys = np.zeros((400, 400), np.uint8)
    greys[0, :5] = (50, 100, 150, 200, 250)
    assert peaks(propose(greys)) == [0, 50, 100, 150, 200, 250]


def test_all_black_and_no_truth_at_all_are_one_class():
    for counts in (truth.value_counts(np.zeros((9, 9), np.uint8)), np.zeros(256, int)):
        found = truth.propose_classes(counts)
        assert peaks(found) == [0]
        assert set(found.lookup) == {0}


def test_all_white_is_foreground():
    found = propose(np.full((9, 9), 255, np.uint8))
    assert peaks(found) == [0, 255]


def test_a_tiny_foreground_with_soft_edges_is_still_found():
    tiny = cv2.GaussianBlur(np.pad(np.full((9, 9), 255, np.uint8), 600), (0, 0), 2)
    found = propose(tiny)
    assert len(found.classes) == 2
    assert found.lookup[255] == 1


def test_a_photograph_given_as_truth_still_ends_in_two_classes_at_most():
    smooth = np.linspace(10, 240, 90_000).reshape(300, 300).astype(np.uint8)
    assert len(propose(smooth).classes) == 2


def test_the_proposal_survives_json():
    found = propose(pan_and_egg())
    assert truth.TruthClasses.model_validate_json(found.model_dump_json()) == found


def test_a_broken_mapping_is_refused():
    found = propose(disk())
    with pytest.raises(ValidationError, match="256"):
        truth.TruthClasses(classes=found.classes, lookup=(0, 1))
    with pytest.raises(ValidationError, match="2 classes"):
        truth.TruthClasses(classes=found.classes, lookup=(2,) * 256)
    with pytest.raises(ValueError, match="ascend"):
        truth.from_peaks([0, 200, 100])


@pytest.mark.shared
@pytest.mark.parametrize(("name", "expected"), [("eggs-and-pans", 3), ("ecssd", 2), ("nuclei", 2)])
def test_real_sets(name, expected):
    files = sorted((SHARED_DATA / name / "truth").glob("*.png"))
    if not files:
        pytest.skip(f"no real {name} here")
    found = propose(*(decode_truth(file.read_bytes()) for file in files))
    assert len(found.classes) == expected
    if expected == 3:
        assert [found.lookup[value] for value in (0, 7, 120, 136, 248, 255)] == [0, 0, 1, 1, 2, 2]
