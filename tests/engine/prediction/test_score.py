"""Folders of masks against folders of truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from engine.prediction.mask_classes import NoClasses
from engine.prediction.score import CannotScore, score
from tests.assets.bad_files import disk, encoded


def folder(path: Path, files: dict[str, np.ndarray]) -> Path:
    path.mkdir()
    for name, pixels in files.items():
        kind = {"jpg": "JPEG", "bmp": "BMP"}.get(name.rpartition(".")[2], "PNG")
        (path / name).write_bytes(encoded(pixels, kind))
    return path


def left_half(value: int = 255) -> np.ndarray:
    half = np.zeros((40, 60), np.uint8)
    half[:, :30] = value
    return half


def test_known_scores_are_averaged_per_image(tmp_path):
    quarter = np.zeros((40, 60), np.uint8)
    quarter[:20, :30] = 255
    masks = folder(tmp_path / "m", {"a.png": left_half(), "b.png": quarter})
    truth = folder(tmp_path / "t", {"a.png": left_half(), "b.bmp": left_half()})
    result = score(masks, truth)
    assert result["images"] == 2
    assert result["dice"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["iou"] == pytest.approx((1 + 1 / 2) / 2)
    assert result["fbeta"] == pytest.approx((1 + 1.3 * 0.5 / (0.3 + 0.5)) / 2)
    assert result["mae"] == pytest.approx((0 + 0.25) / 2)
    assert result["unmatched"] == []


def test_probabilities_are_cut_at_128(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": left_half()})
    assert score(folder(tmp_path / "m", {"a.png": left_half(128)}), truth)["dice"] == 1
    below = score(folder(tmp_path / "n", {"a.png": left_half(127)}), truth)
    assert below["dice"] == 0
    assert below["mae"] == pytest.approx(0.5 * 128 / 255)


def test_both_empty_counts_as_one(tmp_path):
    nothing = np.zeros((40, 60), np.uint8)
    masks = folder(tmp_path / "m", {"a.png": nothing, "b.png": left_half()})
    truth = folder(tmp_path / "t", {"a.png": nothing, "b.png": left_half()})
    assert score(masks, truth)["iou"] == 1


@pytest.mark.parametrize("value", [1, 76, 255])
def test_any_two_values_are_understood_as_truth(tmp_path, value):
    truth = folder(tmp_path / "t", {"a.png": left_half(value)})
    assert score(folder(tmp_path / "m", {"a.png": left_half()}), truth)["dice"] == 1


def test_every_class_but_the_background_is_foreground_and_stray_greys_are_not(tmp_path):
    rng = np.random.default_rng(0)
    truth = left_half(255)
    truth[:20, :30] = 127
    truth[:, 40:] = rng.integers(0, 7, (40, 20))
    assert score(folder(tmp_path / "m", {"a.png": left_half()}), folder(tmp_path / "t", {"a.png": truth}))["dice"] == 1


def test_masks_of_another_size_are_brought_to_the_truth(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": disk(200, 300)})
    assert score(folder(tmp_path / "m", {"a.png": disk(100, 150)}), truth)["dice"] > 0.97
    assert score(folder(tmp_path / "n", {"a.png": disk(400, 600)}), truth)["dice"] > 0.97


def test_files_without_partner_are_listed(tmp_path):
    masks = folder(tmp_path / "m", {"a.png": left_half(), "only mask.png": left_half()})
    truth = folder(tmp_path / "t", {"A.png": left_half(), "only truth.png": left_half()})
    result = score(masks, truth)
    assert result["images"] == 1
    assert result["unmatched"] == ["only mask.png", "only truth.png"]


def test_what_gives_no_score_is_a_sentence(tmp_path):
    masks = folder(tmp_path / "m", {"a.png": left_half()})
    other = folder(tmp_path / "o", {"b.png": left_half()})
    empty = folder(tmp_path / "e", {})
    twice = folder(tmp_path / "w", {"a.png": left_half(), "a.jpg": left_half()})
    bad = folder(tmp_path / "b", {"a.png": left_half()})
    (bad / "a.png").write_text("no picture")
    for second, sentence in [
        (tmp_path / "nowhere", "no folder"),
        (empty, "no images"),
        (other, "same name"),
        (twice, "share a name"),
        (bad, "a text file"),
    ]:
        with pytest.raises(CannotScore, match=sentence):
            score(masks, second)


def drawn(values: list[int], seed: int = 0) -> np.ndarray:
    """Return one of `values` for each of three parts of an image: background, a wide and a narrow one."""
    part = np.zeros((40, 60), np.uint8)
    part[5:35, 5:30] = 1
    part[10:20, 35 : 45 + seed] = 2
    return np.array(values, np.uint8)[part]


def class_dice(result) -> list[float]:
    return [entry["dice"] for entry in result["classes"]]


def test_classes_are_scored_over_the_pixels_of_all_images(tmp_path):
    wrong = drawn([0, 1, 1])
    masks = folder(tmp_path / "m", {"a.png": drawn([0, 1, 2]), "b.png": wrong})
    truth = folder(tmp_path / "t", {"a.png": drawn([0, 1, 2]), "b.png": drawn([0, 1, 2])})
    result = score(masks, truth, classes=True)
    assert "classes" not in score(masks, truth)
    assert result["dice"] == score(masks, truth)["dice"] == 1  # of foreground
    first, second = result["classes"]
    assert (first["class"], first["name"], second["class"], second["name"]) == (1, "class 1", 2, "class 2")
    assert first["dice"] == pytest.approx(2 * 1500 / (1500 + 1600))
    assert first["iou"] == pytest.approx(1500 / 1600)
    assert second["dice"] == pytest.approx(2 * 100 / 300)
    assert second["iou"] == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 1, 2], "class numbers: 0 = background, 1 = class 1"),
        ([0, 127, 255], "values of truth: 0 = background, 127"),
    ],
)
def test_numbers_and_values_beside_grey_truth_with_stray_levels(tmp_path, values, words):
    truth = drawn([0, 127, 255])
    rng = np.random.default_rng(0)
    truth[36:] = rng.integers(0, 6, (4, 60))
    truth[10:12, 35:45] = rng.integers(248, 256, (2, 10))
    result = score(
        folder(tmp_path / "m", {"a.png": drawn(values)}), folder(tmp_path / "t", {"a.png": truth}), classes=True
    )
    assert class_dice(result) == [1, 1]
    assert words in result["masks_read_as"]


def test_truth_with_stray_levels_scores_fully_against_itself_and_as_jpeg(tmp_path):
    images = {f"{n}.png": drawn([0, 127, 255], seed=n).repeat(8, axis=0).repeat(8, axis=1) for n in range(3)}
    truth = folder(tmp_path / "t", images)
    assert class_dice(score(truth, truth, classes=True)) == [1, 1]
    jpeg = folder(tmp_path / "j", {name.replace("png", "jpg"): pixels for name, pixels in images.items()})
    assert min(class_dice(score(jpeg, truth, classes=True))) > 0.95


def test_colours_are_matched_by_colour_and_palettes_by_their_numbers(tmp_path):
    colours = np.uint8([[0, 0, 0], [64, 0, 128], [192, 192, 128], [10, 200, 10]])
    truth = folder(tmp_path / "t", {"a.png": colours[drawn([0, 1, 2])]})
    by_colour = score(folder(tmp_path / "c", {"a.png": colours[drawn([0, 1, 2])]}), truth, classes=True)
    assert class_dice(by_colour) == [1, 1]
    assert "#400080 = #400080" in by_colour["masks_read_as"]
    assert class_dice(score(folder(tmp_path / "n", {"a.png": drawn([0, 1, 2])}), truth, classes=True)) == [1, 1]
    further = score(folder(tmp_path / "f", {"a.png": colours[drawn([0, 1, 3])]}), truth, classes=True)
    assert class_dice(further) == [1, 0, 0]
    assert "no truth has #0ac80a" in further["masks_read_as"]
    palette = tmp_path / "p"
    palette.mkdir()
    picture = PIL.Image.fromarray(drawn([0, 1, 2]))
    picture.putpalette([0, 0, 0, 213, 94, 0, 86, 180, 233])
    picture.save(palette / "a.png")
    assert class_dice(score(palette, truth, classes=True)) == [1, 1]


def test_a_class_that_no_mask_has_scores_nothing_and_one_that_no_truth_has_is_added(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": drawn([0, 1, 2])})
    assert class_dice(score(folder(tmp_path / "m", {"a.png": drawn([0, 1, 0])}), truth, classes=True)) == [1, 0]
    empty = folder(tmp_path / "e", {"a.png": drawn([0, 0, 0])})
    assert class_dice(score(empty, truth, classes=True)) == [0, 0]
    further = score(folder(tmp_path / "f", {"a.png": drawn([0, 1, 3])}), truth, classes=True)
    assert class_dice(further) == [1, 0, 0]
    assert "no truth has 3" in further["masks_read_as"]
    gap = folder(tmp_path / "g", {"a.png": drawn([0, 1, 3])})
    assert class_dice(score(folder(tmp_path / "h", {"a.png": drawn([0, 1, 3])}), gap, classes=True)) == [1, 1]
    merged = folder(tmp_path / "o", {"a.png": drawn([0, 1, 1])})
    assert class_dice(score(folder(tmp_path / "k", {"a.png": drawn([0, 1, 2])}), merged, classes=True))[1] == 0


def test_a_class_that_only_masks_have_has_a_name_that_the_truth_does_not_have(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": drawn([0, 1, 3])})
    mask = drawn([0, 1, 3])
    mask[36:] = 2
    further = score(folder(tmp_path / "m", {"a.png": mask}), truth, classes=True)
    names = [entry["name"] for entry in further["classes"]]
    assert names == ["class 1", "class 2 (value 2)", "class 2"]


def test_ignored_pixels_count_for_no_class(tmp_path):
    truth = drawn([0, 1, 2])
    truth[:20, :20] = 255
    mask = drawn([0, 1, 2])
    mask[:20, :20] = 2
    result = score(folder(tmp_path / "m", {"a.png": mask}), folder(tmp_path / "t", {"a.png": truth}), classes=True)
    assert class_dice(result) == [1, 1]
    same = score(folder(tmp_path / "n", {"a.png": truth}), tmp_path / "t", classes=True)
    assert class_dice(same) == [1, 1]


def test_truth_without_zero_is_matched_by_value(tmp_path):
    """Pets: 1 = pet, 2 = background, 3 = border."""
    truth = folder(tmp_path / "t", {"a.png": drawn([2, 1, 3])})
    assert class_dice(score(folder(tmp_path / "m", {"a.png": drawn([2, 1, 2])}), truth, classes=True)) == [1, 0]
    assert class_dice(score(folder(tmp_path / "n", {"a.png": drawn([0, 1, 2])}), truth, classes=True)) == [1, 1]


@pytest.mark.parametrize("value", [1, 255])
def test_one_class_is_the_foreground_of_binary_masks(tmp_path, value):
    truth = folder(tmp_path / "t", {"a.png": drawn([0, value, value])})
    result = score(folder(tmp_path / "m", {"a.png": drawn([0, 255, 0])}), truth, classes=True)
    dice = pytest.approx(2 * 750 / (750 + 850))
    assert result["classes"] == [{"class": 1, "name": "foreground", "dice": dice, "iou": pytest.approx(750 / 850)}]
    assert result["masks_read_as"] == "0/255"


def test_objects_beside_binary_truth_are_no_classes(tmp_path):
    cells = np.zeros((40, 60), np.uint8)
    for number in range(1, 7):
        cells[5:15, number * 8 : number * 8 + 5] = number
    truth = folder(tmp_path / "t", {"a.png": (cells > 0).astype(np.uint8)})
    result = score(folder(tmp_path / "m", {"a.png": cells}), truth, classes=True)
    assert class_dice(result) == [1]


@pytest.mark.parametrize("values", [[0, 255, 0], [0, 7, 9], [0, 1, 200]])
def test_masks_that_hold_no_classes_of_the_truth_are_a_sentence(tmp_path, values):
    truth = folder(tmp_path / "t", {"a.png": drawn([0, 100, 220])})
    masks = folder(tmp_path / "m", {"a.png": drawn(values)})
    with pytest.raises(NoClasses, match=f"values 0, {sorted(values)[1] or 255}.* class numbers from 0 to 2 .*100, 220"):
        score(masks, truth, classes=True)
    numbers = folder(tmp_path / "n", {"a.png": drawn([0, 1, 2])})
    with pytest.raises(NoClasses, match="0, 255"):
        score(folder(tmp_path / "b", {"a.png": drawn([0, 255, 0])}), numbers, classes=True)


def test_class_masks_of_another_size_are_brought_to_the_truth(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": drawn([0, 1, 2])})
    double = drawn([0, 1, 2]).repeat(2, axis=0).repeat(2, axis=1)
    assert class_dice(score(folder(tmp_path / "m", {"a.png": double}), truth, classes=True)) == [1, 1]
