"""What an import would do, from real files."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np

from engine.datasets import ingest, plan
from tests.assets.bad_files import disk, encoded, picture, zipped


def planned(folder: Path, files: dict[str, bytes]) -> plan.Plan:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with closing(ingest.open_zip_or_folder(folder)) as source:
        return ingest.plan(source)


def truth(found: plan.Plan) -> dict[str, list[str]]:
    return {item.image.name: [file.name for file in item.truth] for item in found.items}


def test_the_facts_of_a_plan(tmp_path):
    files = {f"images/{n}.png": encoded(picture(seed=n)) for n in range(3)}
    files |= {"masks/0.png": encoded(disk()), "masks/1_0.png": encoded(disk()), "masks/1_1.png": encoded(disk())}
    found = planned(tmp_path, files | {"masks/9.png": encoded(disk()), "notes.txt": b"x", "old/masks/0.png": b"?"})
    assert truth(found) == {"images/0.png": ["masks/0.png"], "images/1.png": ["masks/1_0.png", "masks/1_1.png"]} | {
        "images/2.png": []
    }
    assert found.with_truth == 2
    assert found.rules == {"masks/ beside images/": 2}
    sentences = found.sentences()
    assert sentences[0] == "3 images, 2 with truth."
    assert sentences[1] == "Paired: masks/ beside images/ (2)."
    assert "1 image has several masks, which are joined." in sentences
    assert sentences[-1] == "3 files are skipped."
    left_out = json.loads(json.dumps(found.as_json()))["left_out"]
    assert {entry["name"] for entry in left_out} == {"masks/9.png", "old/masks/0.png", "notes.txt"}


def test_files_that_look_like_masks_are_named(tmp_path):
    files = {f"photos/{n}.png": encoded(picture(seed=n)) for n in range(4)}
    files |= {f"drawn by hand/{'abc'[n]}.png": encoded(disk(value=200 + n)) for n in range(3)}
    found = planned(tmp_path, files)
    assert [suspect.name for suspect in found.suspects] == sorted(files)[:3]
    assert found.doubts[0].startswith("3 files look like masks: two grey values, same size as an image (drawn by hand/")
    assert [item.note for item in found.items][:1] == ["It looks like a mask: two grey values, same size as an image."]
    with closing(ingest.open_zip_or_folder(tmp_path)) as source:
        entry = ingest.read(source, found.items[0]).entries[0]
    assert entry.taken and "looks like a mask" in entry.reason


def test_masks_alone_are_doubted(tmp_path):
    found = planned(tmp_path, {f"{n}.png": encoded(disk(value=100 + n)) for n in range(3)})
    assert found.doubts[0].startswith("3 files look like masks: two grey values, as all files of this import")


def test_photographs_raise_no_doubt(tmp_path):
    assert planned(tmp_path, {f"{n}.png": encoded(picture(seed=n)) for n in range(20)}).notes == []


def test_one_stem_with_two_suffixes(tmp_path):
    files = {f"{n}.jpg": encoded(picture(seed=n), "JPEG") for n in range(3)}
    masks = {f"{n}.png": encoded(disk(value=255 * (n > 0))) for n in range(3)}  # one is empty
    found = planned(tmp_path / "pairs", files | masks)
    assert truth(found) == {f"{n}.jpg": [f"{n}.png"] for n in range(3)}
    twice = {f"{n}.png": encoded(picture(seed=n)) for n in range(3)}
    assert not any(item.truth for item in planned(tmp_path / "twice", files | twice).items)


def test_several_masks_of_one_image_are_joined(tmp_path):
    left, right = disk(), np.roll(disk(), 20, axis=1)
    files = {"a.png": encoded(picture()), "a_mask.png": encoded(left), "a_mask_1.png": encoded(right)}
    found = planned(tmp_path, files | {"a_mask_2.png": encoded(left)[:-30]})
    with closing(ingest.open_zip_or_folder(tmp_path)) as source:
        decoded = ingest.read(source, found.items[0])
    np.testing.assert_array_equal(decoded.truth.values, np.maximum(left, right))
    assert {entry.name: entry.taken for entry in decoded.entries} == {
        "a.png": True,
        "a_mask.png": True,
        "a_mask_1.png": True,
        "a_mask_2.png": False,
    }


def test_a_zip_is_planned_like_a_folder(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped({"x/1.png": encoded(picture()), "y/1.png": encoded(disk())}))
    with closing(ingest.open_zip_or_folder(tmp_path / "x.zip")) as source:
        assert truth(ingest.plan(source)) == {"x/1.png": ["y/1.png"]}


def test_one_picture(tmp_path):
    (tmp_path / "a.jfif").write_bytes(encoded(picture(), "JPEG"))
    with closing(ingest.open_zip_or_folder(tmp_path / "a.jfif")) as source:
        found = ingest.plan(source)
        assert ingest.read(source, found.items[0]).image is not None
    assert truth(found) == {"a.jfif": []}
    for name, words in (("a.dcm", "DICOM"), ("a.NII.gz", "NIfTI"), ("a.npy", "Files ending in .npy")):
        (tmp_path / name).write_bytes(b"x" * 400)
        with closing(ingest.open_zip_or_folder(tmp_path / name)) as source:
            assert words in ingest.plan(source).entries[0].reason
