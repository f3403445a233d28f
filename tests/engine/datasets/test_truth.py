"""Which classes grey values stand for, on the kinds of masks that people bring."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from engine.datasets import truth
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import TruthFile, read_truth
from engine.imaging.class_maps import IGNORE
from tests.assets import bad_images
from tests.assets.bad_files import disk, encoded
from tests.support.shared_data import SHARED_DATA


def facts_of(*masks: np.ndarray) -> truth.ValueFacts:
    return truth.facts(truth.value_rows(mask) for mask in masks)


def propose(*masks: np.ndarray) -> truth.TruthClasses:
    return truth.propose_classes(facts_of(*masks))


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


def class_map(values, lookup):
    return np.asarray(lookup, np.uint8)[values]


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
    assert class_map(np.array([[0, 6, 120, 134, 250]], np.uint8), found.lookup).tolist() == [[0, 0, 1, 1, 2]]


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_jpeg_noise_makes_no_classes(quality):
    noisy = as_jpeg(disk(240, 320), quality)
    found = propose(noisy)
    assert [found.lookup[value] for value in (0, 40, 120, 135, 215, 255)] == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(class_map(noisy, found.lookup) > 0, disk(240, 320) > 0)


def test_soft_edges_make_no_classes():
    soft = cv2.GaussianBlur(disk(240, 320), (0, 0), 4)
    assert len(propose(soft).classes) == 2
    assert len(propose(cv2.resize(disk(60, 80), (320, 240), interpolation=cv2.INTER_CUBIC)).classes) == 2


def test_class_indices_keep_every_class_even_a_rare_one():
    indices = np.zeros((100, 210), np.uint8)
    indices[:, :] = np.repeat(np.arange(21), 10)
    indices[indices == 13] = 0
    indices[3, 7] = 13
    indices = np.vstack([indices, indices[:, ::-1]])
    found = propose(indices)
    assert peaks(found) == list(range(21))
    np.testing.assert_array_equal(class_map(indices, found.lookup), indices)


def test_255_beside_class_indices_is_ignored():
    indices = np.repeat([[0, 1, 2, 15, 255]], 20, axis=0).astype(np.uint8)
    found = propose(indices)
    assert peaks(found) == [0, 1, 2, 15]
    assert [found.lookup[value] for value in (0, 1, 2, 15, 255)] == [0, 1, 2, 3, IGNORE]


def test_masks_that_are_wholly_255_among_class_indices_are_ignored():
    indices = np.zeros((30, 40), np.uint8)
    indices[5:15, 5:15], indices[20:25, 20:30] = 1, 2
    found = propose(indices, np.full((30, 40), 255, np.uint8), np.full((30, 40), 255, np.uint8))
    assert (peaks(found), found.lookup[255]) == ([0, 1, 2], IGNORE)


@pytest.mark.parametrize("ones", [1, 6, 11])
def test_masks_of_0_and_1_among_masks_of_0_and_255_are_the_same_foreground(ones):
    found = propose(*[disk(value=1)] * ones, *[disk(value=255)] * (12 - ones))
    assert len(found.classes) == 2
    assert (found.lookup[0], found.lookup[1], found.lookup[255]) == (0, 1, 1)


def test_binary_masks_of_several_codings_are_the_same_foreground():
    for values in ((1, 128), (1, 128, 255), (1, 100)):
        found = propose(*(disk(value=value) for value in values))
        assert [entry.name for entry in found.classes] == ["background", "foreground"]
        assert [found.lookup[value] for value in (0, *values)] == [0, *[1] * len(values)]
    assert len(propose(disk(value=1), disk(value=2)).classes) == 3, "class numbers, each in one image"


def test_values_below_0_are_background_where_nothing_else_is():
    codes = TruthCodes()
    inside = disk() > 0
    for dtype, outside in ((np.int16, -1), (np.float32, -9999)):
        file = read_truth(bad_images.tiff(np.where(inside, 1, outside).astype(dtype)))
        values = codes.encode(file)
        lookup = truth.propose_classes(facts_of(values), dict(codes.table)).lookup
        np.testing.assert_array_equal(class_map(values, lookup), inside)
    ids = np.where(inside, np.arange(inside.shape[1]) // 8 + 1, -1).astype(np.int32)
    codes = TruthCodes()
    values = codes.encode(read_truth(bad_images.tiff(ids)))
    lookup = truth.propose_classes(facts_of(values), dict(codes.table)).lookup
    np.testing.assert_array_equal(class_map(values, lookup) > 0, inside)
    (concern,) = truth.concerns(facts_of(values), lookup, dict(codes.table))
    assert "A negative number is taken as background" in concern


def cells(count: int, first: int = 1, side: int = 12, seed: int = 0) -> np.ndarray:
    """Return `count` squares on a grid with different ids from `first` on, int32."""
    across = int(np.ceil(np.sqrt(count)))
    rows, columns = np.mgrid[: across * side, : across * side]
    number = (rows // side) * across + columns // side
    inside = (rows % side >= 2) & (columns % side >= 2) & (number < count)
    ids = np.random.default_rng(seed).permutation(np.arange(first, first + max(count, across**2)))
    return np.where(inside, ids[np.minimum(number, len(ids) - 1)], 0).astype(np.int32)


@pytest.mark.parametrize("counts", [(36, 40), (169, 150), (6, 9, 5)])
def test_ids_of_one_region_each_are_objects_of_one_class(counts):
    found = propose(*(cells(count, seed=count).astype(np.uint8) for count in counts))
    assert [entry.name for entry in found.classes] == ["background", "object"]
    for count in counts:
        mask = cells(count, seed=count)
        np.testing.assert_array_equal(class_map(mask.astype(np.uint8), found.lookup) > 0, mask > 0)


def test_the_id_255_among_many_is_an_object():
    masks = [cells(225, first=31, seed=seed).astype(np.uint8) for seed in range(2)]
    assert propose(*masks).lookup[255] == 1


def test_numbers_that_return_in_several_regions_are_classes():
    masks = [cells(36, seed=seed) % 6 for seed in range(3)]
    found = propose(*(mask.astype(np.uint8) for mask in masks))
    assert peaks(found) == [0, 1, 2, 3, 4, 5]


def test_more_numbers_than_classes_are_one_class_and_this_is_said():
    scattered = [np.arange(64 * 64).reshape(64, 64)[:, ::-1].T.astype(np.uint8) for _ in range(3)]
    scattered = [np.kron(np.roll(mask, seed), np.ones((4, 4), np.uint8)) for seed, mask in enumerate(scattered)]
    found = propose(*scattered)
    assert found.lookup == (0, *[1] * 255)
    (sentence, *_) = truth.concerns(facts_of(*scattered), found.lookup)
    assert "256 values" in sentence and "at most 254 classes" in sentence
    with pytest.raises(ValueError, match=r"at most 254 classes beside background.* Got 255\."):
        truth.from_names({0: "background"} | {value: f"class {value}" for value in range(1, 256)}, range(256))
    assert (
        len(truth.from_names({0: "background"} | {v: f"class {v}" for v in range(1, 255)}, range(255)).classes) == 255
    )


@pytest.mark.parametrize("counts", [(400, 400), (20, 400)])
def test_more_ids_than_codes_are_all_kept_as_foreground(counts):
    codes = TruthCodes()
    masks = [cells(count, seed=count) for count in counts]
    stored = [codes.encode(read_truth(bad_images.tiff(mask.astype(np.uint16)))) for mask in masks]
    found = truth.propose_classes(facts_of(*stored), dict(codes.table))
    assert [entry.name for entry in found.classes] == ["background", "object"]
    assert IGNORE not in found.lookup
    for mask, values in zip(masks, stored, strict=True):
        np.testing.assert_array_equal(class_map(values, found.lookup) > 0, mask > 0)


def test_without_0_the_value_at_the_borders_is_background_and_is_said():
    trimap = np.full((48, 64), 2, np.uint8)
    trimap[10:30, 10:40], trimap[10:30, 8:10] = 1, 3
    facts = facts_of(trimap)
    found = truth.propose_classes(facts)
    assert [found.lookup[value] for value in (1, 2, 3)] == [1, 0, 2]
    assert found.classes[0].value == 2
    [sentence] = truth.concerns(facts, found.lookup)
    assert "Value 2 is taken as background, because it touches the borders most" in sentence
    chosen = [1] * 256
    chosen[3] = 0
    assert truth.concerns(facts, chosen)[0].endswith("Value 3 is taken as background: check this.")


def test_truth_that_is_mostly_or_wholly_foreground_is_a_concern():
    inverted = facts_of(255 - disk())
    [sentence] = truth.concerns(inverted, truth.propose_classes(inverted).lookup)
    assert "Foreground covers" in sentence
    full = facts_of(np.full((9, 9), 255, np.uint8))
    [sentence] = truth.concerns(full, truth.propose_classes(full).lookup)
    assert "no background" in sentence
    assert not truth.concerns(facts_of(disk()), propose(disk()).lookup)


def test_names_give_classes_that_may_share_values_and_be_ignored():
    found = truth.from_names({0: "background", 1: "pet", 2: "background", 3: "Ignore", 4: "pet"}, range(5))
    assert [entry.name for entry in found.classes] == ["background", "pet"]
    assert [found.lookup[value] for value in range(5)] == [0, 1, 0, IGNORE, 1]
    for names in ({0: "pet"}, {0: "background"}, {0: "background", 1: "ignore"}):
        with pytest.raises(ValueError, match="Got"):
            truth.from_names(names, [0, 1])


def test_rows_of_an_older_version_suggest_the_same_classes():
    masks = [pan_and_egg(), pan_and_egg()]
    rows = [[row[:2] for row in truth.value_rows(mask)] for mask in masks]
    assert peaks(truth.propose_classes(truth.facts(rows))) == [0, 128, 255]


def test_well_separated_greys_are_classes_however_rare():
    greys = np.zeros((400, 400), np.uint8)
    greys[0, :5] = (50, 100, 150, 200, 250)
    assert peaks(propose(greys)) == [0, 50, 100, 150, 200, 250]


def test_all_black_and_no_truth_at_all_are_one_class():
    for facts in (facts_of(np.zeros((9, 9), np.uint8)), facts_of()):
        found = truth.propose_classes(facts)
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
    found = propose(*(read_truth(file.read_bytes()).values for file in files))
    assert len(found.classes) == expected
    if expected == 3:
        assert [found.lookup[value] for value in (0, 7, 120, 136, 248, 255)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.shared
def test_real_label_maps_keep_every_nucleus():
    files = sorted((SHARED_DATA / "nuclei" / "instances").glob("*.png"))[::20]
    if not files:
        pytest.skip("no real nuclei here")
    codes = TruthCodes()
    stored = [codes.encode(read_truth(file.read_bytes())) for file in files]
    found = truth.propose_classes(facts_of(*stored), dict(codes.table))
    for file, values in zip(files, stored, strict=True):
        ids = np.asarray(Image.open(file))
        np.testing.assert_array_equal(class_map(values, found.lookup) > 0, ids > 0)


def test_classes_of_annotation_files_beside_masks():
    codes = TruthCodes(occupied=[0, 1, 255])
    assert codes.add_names(["egg", "pan", "ignore"]) == {"egg": 2, "pan": 3, "ignore": 4}
    assert codes.add_names(["pan", "cup"]) == {"cup": 5}
    values = np.zeros((40, 40), np.uint8)
    values[5:9, 5:9], values[20:30, 20:30], values[0, :9] = 1, 2, 255
    stored = codes.encode(TruthFile(values))  # class numbers stay apart from the names
    assert stored[0, 0] == codes.names["ignore"] and len({2, 3, 5, stored[6, 6], stored[25, 25]}) == 5
    soft = np.clip(np.hypot(*(np.indices((40, 40)) - 20)) * -20 + 300, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(codes.encode(TruthFile(soft)) > 0, soft > 127)
    found = truth.propose_classes(truth.facts([truth.value_rows(stored)]), dict(codes.table))
    index = {entry.name: entry.index for entry in found.classes}
    assert {name: found.lookup[code] for name, code in codes.names.items() if name != "ignore"} == {
        name: index[name] for name in ("egg", "pan", "cup", "foreground")
    }
    assert found.lookup[codes.names["ignore"]] == IGNORE and index.keys() >= {"background", "Value 1", "Value 2"}
