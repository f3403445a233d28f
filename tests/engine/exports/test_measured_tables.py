"""Tables of a measurement: the same rows as CSV and Parquet, without the internal column, safe in a spreadsheet."""

import csv

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.exports.base import find_format
from tests.support.measured_objects import EMPTY, MAPS, measured_objects

TABLES = {"objects": lambda source: source.objects, "images": lambda source: source.per_image}


def written(source, name, folder):
    done = []
    target = folder / f"{name}.part"
    find_format(name).write(source, target, done.append)
    assert done == [len(source.images)]
    return target


@pytest.mark.parametrize("table", TABLES)
def test_both_files_have_the_rows_of_the_measurement(tmp_path, table):
    source = measured_objects(tmp_path)
    stored = pd.read_parquet(TABLES[table](source)).drop(columns="image_id")
    exact = pd.read_parquet(written(source, f"{table}-parquet", tmp_path))
    pd.testing.assert_frame_equal(exact, stored)
    rounded = pd.read_csv(written(source, f"{table}-csv", tmp_path))
    assert list(rounded) == list(stored) and len(rounded) == len(stored) > 1
    numbers = stored.select_dtypes(["number", "bool"])
    pd.testing.assert_frame_equal(rounded[list(numbers)], numbers, check_dtype=False, rtol=1e-5)


def test_units_are_in_the_names_and_text_is_no_formula(tmp_path):
    content = written(measured_objects(tmp_path), "objects-csv", tmp_path).read_bytes()
    assert content.startswith("\ufeffimage,object,class,class_name,area_px,".encode()) and b"\r" not in content
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert {"area_um2", "feret_max_px", "feret_max_um", "orientation_deg"} <= rows[0].keys()
    assert {row["image"].removeprefix("'") for row in rows} == {name for name in MAPS if MAPS[name].any()}
    assert rows[0]["image"] == "Platte 1/Zelle ä.png" and rows[-1]["image"] == "'=1+1 🥚.png"
    assert {row["class_name"] for row in rows} == {"Ei", "'=Pfanne"}
    assert rows[-1]["area_um2"] == "" and rows[0]["area_um2"] == "158.6"


def test_a_parquet_file_says_where_its_masks_are_from(tmp_path):
    target = written(measured_objects(tmp_path), "objects-parquet", tmp_path)
    assert pq.read_schema(target).metadata[b"description"] == b"Objects for a test."


@pytest.mark.parametrize("table", TABLES)
def test_without_objects_there_are_columns(tmp_path, table):
    source = measured_objects(tmp_path, EMPTY)
    rows = 0 if table == "objects" else 2
    for name, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        found = read(written(source, f"{table}-{name}", tmp_path))
        assert len(found) == rows and found.columns[0] == "image" and "image_id" not in found


def test_many_rows_are_written_a_part_at_a_time(tmp_path):
    source = measured_objects(tmp_path)
    many = pa.table({"image": ["a.png"] * 200_000, "image_id": ["0"] * 200_000, "object": range(1, 200_001)})
    pq.write_table(many, source.objects, row_group_size=50_000)
    for name, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        found = read(written(source, f"objects-{name}", tmp_path))
        assert found["object"].tolist() == many["object"].to_pylist()
