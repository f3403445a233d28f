"""Reading a plan: every file ends in a report entry, and nothing bad stops the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.datasets import ingest
from engine.datasets.source import UnreadableSource
from engine.imaging import codec
from tests.assets import bad_files
from tests.assets.bad_files import disk, encoded, picture
from tests.support.installation import add_discs


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read_all(path: Path) -> tuple[list[ingest.Decoded], dict[str, tuple[bool, str]]]:
    source = ingest.open_zip_or_folder(path)
    planned = ingest.plan(source)
    entries = list(planned.entries)
    decoded = [ingest.read(source, item) for item in planned.items]
    source.close()
    for one in decoded:
        entries.extend(one.entries)
    assert len({entry.name for entry in entries}) == len(entries)
    return decoded, {entry.name: (entry.taken, entry.reason) for entry in entries}


def paired(planned: ingest.Plan) -> dict[str, list[str]]:
    return {item.image.name: [file.name for file in item.truth] for item in planned.items}


def test_every_file_gets_one_entry_whatever_it_is(tmp_path):
    files = {
        "images/good.png": encoded(picture(seed=1)),
        "images/text.jpg": bad_files.text_named_jpg(),
        "images/cut.jpg": bad_files.truncated_jpeg(),
        "images/dot.png": encoded(np.zeros((1, 1, 3), np.uint8)),
        "images/huge.png": bad_files.png_claiming(20_000, 20_000),
        "images/empty.png": b"",
        "truth/good.png": encoded(disk()),
        "truth/cut.png": encoded(disk()),
        "truth/alone.png": encoded(disk()),
        "readme.txt": b"hello",
    }
    decoded, report = read_all(write(tmp_path, files))
    assert report.keys() == files.keys()
    assert {name for name, (taken, _) in report.items() if taken} == {"images/good.png", "truth/good.png"}
    assert all(reason.endswith(".") for taken, reason in report.values() if not taken)
    assert "text file" in report["images/text.jpg"][1]
    assert "20000 × 20000" in report["images/huge.png"][1]
    assert "images/cut.jpg could not be read" in report["truth/cut.png"][1]
    good = next(one for one in decoded if one.name == "images/good.png")
    np.testing.assert_array_equal(good.image, picture(seed=1))
    np.testing.assert_array_equal(good.truth.values, disk())


def test_a_zip_reads_like_the_folder(tmp_path):
    files = {"set/images/a.png": encoded(picture()), "set/masks/a.png": encoded(disk())}
    path = tmp_path / "without a suffix"
    path.write_bytes(bad_files.zipped(files))
    decoded, report = read_all(path)
    assert decoded[0].truth is not None
    assert all(taken for taken, _ in report.values())


def test_truth_of_another_size(tmp_path):
    files = {
        "images/same shape.png": encoded(picture(48, 64, seed=1)),
        "truth/same shape.png": encoded(disk(96, 128, value=127)),
        "images/other shape.png": encoded(picture(48, 64, seed=2)),
        "truth/other shape.png": encoded(disk(64, 48)),
    }
    decoded, report = read_all(write(tmp_path, files))
    fitted = next(one for one in decoded if "same" in one.name)
    assert fitted.truth.values.shape == (48, 64)
    assert np.unique(fitted.truth.values).tolist() == [0, 127]
    taken, note = report["truth/same shape.png"]
    assert taken
    assert "128 × 96" in note
    assert "64 × 48" in note
    taken, reason = report["truth/other shape.png"]
    assert not taken
    assert "48 × 64" in reason
    assert report["images/other shape.png"] == (True, "")
    assert next(one for one in decoded if "other" in one.name).truth is None


def test_damaged_truth_leaves_the_image(tmp_path):
    files = {"images/a.png": encoded(picture()), "truth/a.png": encoded(picture(99, 99))[:-200]}
    decoded, report = read_all(write(tmp_path, files))
    assert decoded[0].image is not None
    assert decoded[0].truth is None
    assert report["truth/a.png"] == (False, "It is damaged or cut short and cannot be decoded.")


def test_all_black_truth_is_truth(tmp_path):
    files = {"images/a.png": encoded(picture()), "truth/a.png": encoded(disk(value=0))}
    decoded, _ = read_all(write(tmp_path, files))
    assert decoded[0].truth is not None
    assert not decoded[0].truth.values.any()


def test_the_hash_is_of_the_picture_and_not_of_the_file():
    same = {ingest.content_hash(codec.decode_image(encoded(picture(), kind))) for kind in ("PNG", "BMP", "TIFF")}
    assert len(same) == 1
    assert ingest.content_hash(picture(seed=1)) not in same
    assert ingest.content_hash(np.zeros((4, 9, 3), np.uint8)) != ingest.content_hash(np.zeros((9, 4, 3), np.uint8))


def test_an_upload_of_files_and_zips(tmp_path):
    images, masks = {"a.png": encoded(picture())}, {"a.png": encoded(disk())}
    both = tmp_path / "both"
    write(both, {"images.zip": bad_files.zipped(images), "masks.zip": bad_files.zipped(masks)})
    source = ingest.open_upload(both)
    planned = ingest.plan(source)
    assert planned.entries == ()
    assert paired(planned) == {"images/a.png": ["masks/a.png"]}
    assert ingest.read(source, planned.items[0]).truth is not None
    source.close()

    one = write(tmp_path / "one", {"set.zip": bad_files.zipped({"images/b.png": encoded(picture())})})
    source = ingest.open_upload(one)
    assert [file.name for file in source.files] == ["images/b.png"]
    source.close()

    loose = ingest.open_upload(write(tmp_path / "loose", {"c.png": encoded(picture()), "c_mask.png": encoded(disk())}))
    assert paired(ingest.plan(loose)) == {"c.png": ["c_mask.png"]}


def test_a_folder_of_zips_alone_is_what_is_in_them(tmp_path):
    images, masks = {"a.png": encoded(picture())}, {"a.png": encoded(disk())}
    files = {"images.zip": bad_files.zipped(images), "masks.zip": bad_files.zipped(masks)}
    source = ingest.open_zip_or_folder(write(tmp_path / "zips", files))
    assert paired(ingest.plan(source)) == {"images/a.png": ["masks/a.png"]}
    source.close()

    beside = ingest.open_zip_or_folder(write(tmp_path / "beside", files | {"b.png": encoded(picture())}))
    assert paired(ingest.plan(beside)) == {"b.png": []}
    assert sorted(entry.name for entry in beside.skipped) == ["images.zip", "masks.zip"]


def test_an_upload_with_a_broken_zip_is_named(tmp_path):
    with pytest.raises(UnreadableSource, match=r"^broken\.zip: The zip is damaged"):
        ingest.open_upload(write(tmp_path, {"broken.zip": b"PK not really"}))


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(UnreadableSource, match="no folder, zip or picture"):
        ingest.open_zip_or_folder(tmp_path / "nowhere")


def test_the_data_of_an_installation_is_no_folder_of_images(installation):
    dataset = add_discs(installation, 2)
    with pytest.raises(UnreadableSource, match="the data of a Maskloom"):
        ingest.open_zip_or_folder(installation.settings.data_root)
    with pytest.raises(
        UnreadableSource, match=f"'{installation.settings.data_root.name}' in .* the data of a Maskloom"
    ):
        ingest.open_zip_or_folder(installation.settings.data_root.parent)
    assert (
        len(ingest.open_zip_or_folder(installation.settings.data_root / "datasets" / dataset.id / "images").files) == 2
    )
