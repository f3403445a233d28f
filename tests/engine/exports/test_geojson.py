"""GeoJSON as QuPath reads it: valid rings that enclose exactly the pixels of each object, classes and measurements."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from engine.exports.base import find_format
from engine.exports.outlines import signed_area
from tests.support.measured_objects import CLASSES, EMPTY, MAPS, class_of, enclosed, measured_objects, names_of


def written(source, folder):
    """Return {image: its FeatureCollection}."""
    done = []
    find_format("geojson").write(source, folder / "shapes.zip", done.append)
    assert done == list(range(1, len(source.images) + 1))
    archive = zipfile.ZipFile(folder / "shapes.zip")
    assert archive.testzip() is None
    return {image: json.loads(archive.read(file)) for image, (file, _) in names_of(archive).items()}


def polygons(feature):
    """Return the polygons of a feature, each a list of rings (N, 2)."""
    kind, shape = feature["geometry"]["type"], feature["geometry"]["coordinates"]
    assert kind in ("Polygon", "MultiPolygon")
    return [[np.array(ring) for ring in polygon] for polygon in (shape if kind == "MultiPolygon" else [shape])]


@pytest.mark.parametrize("name", MAPS)
def test_each_feature_encloses_exactly_its_object(tmp_path, name):
    collection, labels = written(measured_objects(tmp_path), tmp_path)[name], MAPS[name]
    assert collection["type"] == "FeatureCollection" and collection["image"] == name
    drawn = np.zeros_like(labels)
    for feature in collection["features"]:
        inside = enclosed([ring for polygon in polygons(feature) for ring in polygon], labels.shape)
        assert not drawn[inside].any()
        drawn[inside] = int(feature["properties"]["name"])
    assert len(collection["features"]) == labels.max() and (drawn == labels).all()


def test_rings_are_closed_simple_and_of_the_right_orientation(tmp_path):
    features = written(measured_objects(tmp_path), tmp_path)["Platte 1/Zelle ä.png"]["features"]
    for feature in features:
        for outer, *holes in polygons(feature):
            for ring in (outer, *holes):
                assert (ring[0] == ring[-1]).all()
                assert len({tuple(corner) for corner in ring.tolist()}) == len(ring) - 1
            assert signed_area(outer[:-1]) > 0 and all(signed_area(hole[:-1]) < 0 for hole in holes)
    shapes = {feature["properties"]["name"]: [len(polygon) for polygon in polygons(feature)] for feature in features}
    assert shapes["1"] == [1] and shapes["2"] == [2] and shapes["6"] == [1, 1] and shapes["9"] == [1, 1]
    assert shapes["10"] == [3] and shapes["11"] == [2] and shapes["13"] == [1] * 50


def test_properties_are_what_qupath_reads(tmp_path):
    source = measured_objects(tmp_path)
    table = pd.read_parquet(source.objects)
    for image, collection in written(source, tmp_path).items():
        for feature in collection["features"]:
            found = feature["properties"]
            number = int(found["name"])
            assert feature["type"] == "Feature" and found["objectType"] == "detection"
            assert found["classification"] == {"name": CLASSES[class_of(number) - 1]}
            (row,) = table[(table.image == image) & (table.object == number)].to_dict("records")
            measured = found["measurements"]
            assert all(type(value) is float for value in measured.values())
            assert measured["area_px"] == row["area_px"] and measured["touches_border"] == row["touches_border"]
            assert measured["perimeter_px"] == pytest.approx(row["perimeter_px"], rel=1e-5)
            assert ("area_um2" in measured) == (image.startswith("Platte"))
            assert not {"object", "class", "class_name", "image_id"} & measured.keys()


def test_images_without_objects_have_empty_collections(tmp_path):
    found = written(measured_objects(tmp_path, EMPTY), tmp_path)
    assert [collection["features"] for collection in found.values()] == [[], []]


def test_images_of_the_same_name_keep_their_own_objects(tmp_path):
    source = measured_objects(tmp_path, {"x.png": MAPS["Platte 1/Zelle ä.png"], "y.png": MAPS["=1+1 🥚.png"]})
    table = pd.read_parquet(source.objects).assign(image="x.png")
    table.to_parquet(source.objects, index=False)
    images = [type(image)(**(vars(image) | {"name": "x.png"})) for image in source.images]
    twice = type(source)(**(vars(source) | {"images": images}))
    find_format("geojson").write(twice, tmp_path / "twice.zip", lambda done: None)
    archive = zipfile.ZipFile(tmp_path / "twice.zip")
    counts = [len(json.loads(archive.read(file))["features"]) for file in ("x.geojson", "x-2.geojson")]
    areas = [json.loads(archive.read("x-2.geojson"))["features"][0]["properties"]["measurements"]["area_px"]]
    assert counts == [13, 1] and areas == [int((MAPS["=1+1 🥚.png"] > 0).sum())]
