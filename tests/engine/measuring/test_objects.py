"""Objects of masks: what is one, how touching ones are split, and measurements of drawn shapes."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

from engine.core.parameters import ParameterError, parse
from engine.imaging import codec
from engine.measuring.mask_folder import mask_folder
from engine.measuring.measurements import Scale, measure
from engine.measuring.objects import ObjectParams, find_objects
from engine.measuring.table import CannotMeasure, parse_scale, write_table
from tests.assets.bad_files import encoded

ROWS, COLUMNS = np.mgrid[:240, :320]


def disc(x: float, y: float, radius: float) -> np.ndarray:
    return (COLUMNS - x) ** 2 + (ROWS - y) ** 2 <= radius**2


def turned_rectangle(wide: float, high: float, degrees: float) -> np.ndarray:
    turn = math.radians(degrees)
    x, y = COLUMNS - 160.3, ROWS - 119.7
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return (abs(along) <= wide / 2) & (abs(across) <= high / 2)


def measured(mask: np.ndarray, **params) -> dict[str, np.ndarray]:
    return measure(find_objects(mask.astype(np.uint8), ObjectParams(**params)))


@pytest.mark.parametrize("radius", [20, 50, 100])
def test_discs_have_their_known_size(radius):
    found = measured(disc(160, 120, radius))
    assert found["area_px"][0] == pytest.approx(math.pi * radius**2, rel=0.01)
    assert found["feret_max_px"][0] == pytest.approx(2 * radius + 1, rel=0.02)
    assert found["feret_min_px"][0] == pytest.approx(2 * radius, rel=0.02)
    assert found["perimeter_px"][0] == pytest.approx(2 * math.pi * radius, rel=0.03)
    assert found["circularity"][0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("degrees", [0, 15, 30, 45, 60])
@pytest.mark.parametrize(("wide", "high"), [(60, 60), (150, 20), (150, 5)])
def test_squares_and_lines_have_their_known_size_however_they_are_turned(wide, high, degrees):
    found = measured(turned_rectangle(wide, high, degrees))
    assert found["area_px"][0] == pytest.approx(wide * high, rel=0.01)
    assert found["feret_max_px"][0] == pytest.approx(math.hypot(wide, high), rel=0.02)
    assert found["perimeter_px"][0] == pytest.approx(2 * (wide + high), rel=0.03)


def test_a_hole_adds_its_outline_unless_it_is_filled():
    ring = disc(160, 120, 80) & ~disc(160, 120, 40)
    assert measured(ring)["perimeter_px"][0] == pytest.approx(2 * math.pi * 120, rel=0.03)
    assert measured(ring, fill_holes=True)["area_px"][0] == pytest.approx(math.pi * 80**2, rel=0.01)


def test_touching_discs_are_one_object_until_they_are_split():
    pair = disc(110, 120, 40) | disc(180, 120, 40)
    assert len(measured(pair)["object"]) == 1
    apart = measured(pair, split=True)
    assert apart["centroid_x_px"] == pytest.approx([110, 180], abs=3)
    assert int(apart["area_px"].sum()) == int(pair.sum())


def test_objects_of_two_classes_stay_apart_where_they_touch():
    classes = np.where(COLUMNS < 100, 1, 2).astype(np.uint8)
    found = find_objects(classes, ObjectParams())
    assert found.classes.tolist() == [1, 2]
    assert (np.unique(found.labels[:, :100]), np.unique(found.labels[:, 100:])) == ([1], [2])


@pytest.mark.parametrize(("border", "count"), [("keep", 2), ("drop", 1), ("half", 1.5)])
def test_objects_at_the_border_are_kept_dropped_or_count_half(border, count):
    mask = disc(0, 120, 30) | disc(200, 120, 30)
    assert find_objects(mask.astype(np.uint8), ObjectParams(border=border)).count == count


def test_sizes_outside_the_limits_are_left_out():
    mask = disc(50, 120, 5) | disc(150, 120, 20) | disc(250, 120, 40)
    found = measured(mask, least_area_px=200, greatest_area_px=2000)
    assert found["centroid_x_px"].tolist() == pytest.approx([150])
    with pytest.raises(ParameterError, match=r"greatest_area_px must be 0 or at least least_area_px\. Got 5 and 10"):
        parse(ObjectParams, {"least_area_px": 10, "greatest_area_px": 5})


@pytest.mark.parametrize(
    ("mask", "count"),
    [
        (np.zeros((40, 50), np.uint8), 0),
        (np.ones((40, 50), np.uint8), 1),
        (np.ones((1, 1), np.uint8), 1),
        (np.tile(np.array([[1, 0], [0, 0]], np.uint8), (32, 32)), 1024),
    ],
    ids=["none", "all", "one pixel", "specks"],
)
@pytest.mark.parametrize("split", [False, True])
def test_extreme_masks_are_measured(mask, count, split):
    found = find_objects(mask, ObjectParams(least_area_px=1, split=split))
    table = measure(found, np.zeros((*mask.shape, 3), np.uint8), mask * 255)
    assert {len(column) for column in table.values()} == {count}


def test_intensity_and_probability_are_those_of_each_object():
    mask = disc(80, 120, 30) | disc(240, 120, 30)
    image = np.zeros((240, 320, 3), np.uint8)
    image[:, :160, 0], image[:, 160:, 2] = 200, 90
    found = measure(find_objects(mask.astype(np.uint8), ObjectParams()), image, np.full(mask.shape, 204, np.uint8))
    assert found["red_mean"].tolist() == [200, 0]
    assert found["blue_max"].tolist() == [0, 90]
    assert found["mean_probability"] == pytest.approx([0.8, 0.8])


def test_lengths_have_units_only_where_pixels_are_square():
    objects = find_objects(disc(160, 120, 50).astype(np.uint8), ObjectParams())
    square = measure(objects, scale=Scale(0.5, 0.5, "user"))
    assert square["area_um2"] == pytest.approx(square["area_px"] / 4)
    assert square["feret_max_um"] == pytest.approx(square["feret_max_px"] / 2)
    oblong = measure(objects, scale=Scale(0.5, 2, "user"))
    assert oblong["area_um2"] == pytest.approx(oblong["area_px"])
    assert "feret_max_um" not in oblong
    assert "area_um2" not in measure(objects)


def test_pixel_sizes_are_read_with_their_unit_or_refused():
    assert parse_scale("0.65um") == Scale(0.65, 0.65, "user")
    assert parse_scale("1 x 2 mm") == Scale(1000, 2000, "user")
    assert parse_scale("0.01in").width_um == pytest.approx(254)
    with pytest.raises(CannotMeasure, match=r"above 0 and below 10 km\. Got '0um'"):
        parse_scale("0um")
    with pytest.raises(CannotMeasure, match=r"a number with a unit.*Got '0\.65'"):
        parse_scale("0.65")
    for size in ("1e999um", "1e-200um", "1e300m"):  # areas would be infinite, or zero
        with pytest.raises(CannotMeasure, match="above 0 and below 10 km"):
            parse_scale(size)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_folder_of_masks_becomes_a_table_and_label_maps(tmp_path, suffix):
    masks = tmp_path / "masks"
    masks.mkdir()
    for name, mask in {"a": disc(60, 60, 30) | disc(115, 60, 30), "b": np.zeros((20, 20), bool)}.items():
        (masks / f"{name}.png").write_bytes(encoded(mask.astype(np.uint8) * 255))
    sources, names = mask_folder(masks, 0.5, Scale(2, 2, "user"))
    out = tmp_path / f"objects.{suffix}"
    assert write_table(sources, out, ObjectParams(split=True), names, tmp_path / "maps") == 2
    table = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    assert table[["image", "object", "class"]].values.tolist() == [["a.png", 1, 1], ["a.png", 2, 1]]
    assert set(table["pixel_size_source"]) == {"user"}
    assert table["area_um2"].tolist() == pytest.approx((table["area_px"] * 4).tolist())
    numbers = codec.decode_png((tmp_path / "maps" / "a.png").read_bytes())
    assert (numbers.dtype, np.unique(numbers).tolist()) == (np.uint16, [0, 1, 2])
    assert np.bincount(numbers.ravel())[1:].tolist() == table["area_px"].tolist()


def test_ids_of_a_label_map_are_objects_as_they_are(tmp_path):
    numbers = np.zeros((240, 320), np.uint16)
    for index in range(80):  # in rows that touch
        row, column = divmod(index, 16)
        numbers[row * 20 : row * 20 + 20, column * 20 : column * 20 + 20] = 300 + index
    (tmp_path / "a.png").write_bytes(codec.encode_label_map(numbers))
    sources, names = mask_folder(tmp_path, 0.5, None)
    assert write_table(sources, tmp_path / "t.csv", ObjectParams(), names) == 80
    assert set(pd.read_csv(tmp_path / "t.csv")["area_px"]) == {400}


def test_another_suffix_or_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(CannotMeasure, match=r"written as \.csv or \.parquet\. Got 't\.xlsx'"):
        write_table([], tmp_path / "t.xlsx", ObjectParams())
    with pytest.raises(CannotMeasure, match="There are no masks in"):
        mask_folder(tmp_path, 0.5, None)


def test_class_numbers_with_a_void_border_are_read_as_in_an_import(tmp_path):
    values = np.zeros((60, 60), np.uint8)
    values[5:25, 5:25], values[30:50, 30:50] = 1, 2
    values[25:27, 5:25] = 255
    (tmp_path / "a.png").write_bytes(encoded(values))
    sources, names = mask_folder(tmp_path, 0.5, None)
    assert write_table(sources, tmp_path / "t.csv", ObjectParams(), names) == 2
    table = pd.read_csv(tmp_path / "t.csv")
    assert table[["class", "area_px"]].values.tolist() == [[1, 400], [2, 400]]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(np.full((20, 20), 255, np.uint8)))
    sources, names = mask_folder(tmp_path, 0.5, None)
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    for out in (tmp_path / "file" / "t.csv", tmp_path / "folder.csv"):
        with pytest.raises(
            CannotMeasure, match=f"{re.escape(out.name if out.is_dir() else 'file')}' cannot be written: "
        ):
            write_table(sources, out, ObjectParams(), names)
    with pytest.raises(CannotMeasure, match="file/maps' cannot be written: Not a directory"):
        write_table(sources, tmp_path / "t.csv", ObjectParams(), names, tmp_path / "file" / "maps")
