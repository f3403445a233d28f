"""Folders and zips as sources: what is listed, what is refused, and with which sentence."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from engine.datasets.archive import Zip
from engine.datasets.source import Folder, Limits, UnreadableSource, shown, why_not
from tests.assets import bad_files

PNG = bad_files.encoded(bad_files.picture())


def fill(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    return folder


def zip_file(folder: Path, data: bytes | dict[str, bytes]) -> Path:
    path = folder / "upload.zip"
    path.write_bytes(bad_files.zipped(data) if isinstance(data, dict) else data)
    return path


def reasons(source: Folder | Zip) -> dict[str, str]:
    assert not any(entry.taken for entry in source.skipped)
    return {entry.name: entry.reason for entry in source.skipped}


def test_a_folder_lists_pictures_and_says_what_else_it_holds(tmp_path):
    fill(
        tmp_path,
        ["b.png", "a/c.JPG", "no suffix", "notes.txt", "notes.md", "more.zip", ".DS_Store", ".git/x.png", "Thumbs.db"],
    )
    source = Folder(tmp_path)
    assert [file.name for file in source.files] == ["a/c.JPG", "b.png", "no suffix"]
    assert source.read(source.files[0]) == PNG
    assert [file.name for file in source.documents] == ["notes.txt"]
    assert reasons(source).keys() == {"notes.md", "more.zip"}
    assert ".md" in reasons(source)["notes.md"]
    assert "archive" in reasons(source)["more.zip"]


def test_links_and_special_files_in_a_folder(tmp_path):
    inner = fill(tmp_path / "in", ["a.png"])
    (inner / "loop").symlink_to(inner)
    (inner / "gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(inner / "pipe.png")
    source = Folder(inner)
    assert [file.name for file in source.files] == ["a.png"]
    found = reasons(source)
    assert "link" in found["loop"]
    assert "cannot be read" in found["gone.png"]
    assert "no ordinary file" in found["pipe.png"]


def test_names_in_any_script_are_text_in_nfc(tmp_path):
    names = ["日本/写真 1.png", "صورة.png", "Ёж.png", unicodedata.normalize("NFD", "Käse.png"), "😀.png"]
    source = Folder(fill(tmp_path, names))
    assert {file.name for file in source.files} == {unicodedata.normalize("NFC", name) for name in names}
    (tmp_path / "Käse.png").write_bytes(PNG)  # the same name in another spelling
    twice = Folder(tmp_path)
    assert reasons(twice) == {"Käse.png (again)": "Another file of the same name came first."}


def test_a_name_that_is_no_text_can_be_shown():
    assert shown("bad\udcff\x00\n.png") == "bad\ufffd\ufffd\ufffd.png"
    assert shown("") == shown(" \u00a0") == shown("\u200b\ufeff") == "(no name)"
    assert len(shown("long" * 500 + ".png")) == 500
    assert shown("long" * 500 + ".png").endswith("long.png")


def test_a_folder_that_is_none_or_too_full(tmp_path):
    with pytest.raises(UnreadableSource, match="no folder"):
        Folder(tmp_path / "nowhere")
    fill(tmp_path, ["1.png", "2.png", "3.png"])
    with pytest.raises(UnreadableSource, match="more than 2 files"):
        Folder(tmp_path, Limits(max_files=2))
    assert "0 MB" in reasons(Folder(tmp_path, Limits(max_file_bytes=10)))["1.png"]


def test_a_zip_lists_like_a_folder(tmp_path):
    members = {
        "set/images/b.png": PNG,
        "set\\images\\a.png": PNG,
        "__MACOSX/set/._b.png": b"x",
        "set/.DS_Store": b"x",
        "set/readme.md": b"x",
        "set/labels.json": b"{}",
        "set/inner.zip": bad_files.zipped({"c.png": PNG}),
        "写真/é.png": PNG,
    }
    with closing(Zip(zip_file(tmp_path, members))) as source:
        assert [file.name for file in source.files] == ["set/images/a.png", "set/images/b.png", "写真/é.png"]
        assert source.read(source.files[1]) == PNG
        assert source.read(source.documents[0]) == b"{}"
        assert reasons(source).keys() == {"set/readme.md", "set/inner.zip"}


def test_utf8_names_without_the_flag_that_says_so(tmp_path):
    data = bytearray(bad_files.zipped({"写真.png": PNG}))
    data[7] &= ~0x08
    data[data.rindex(b"PK\x01\x02") + 9] &= ~0x08
    with closing(Zip(zip_file(tmp_path, bytes(data)))) as source:
        assert [file.name for file in source.files] == ["写真.png"]


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png"])
def test_paths_that_climb_out_are_refused_one_by_one(tmp_path, name):
    with closing(Zip(zip_file(tmp_path, {name: PNG, "good.png": PNG}))) as source:
        assert [file.name for file in source.files] == ["good.png"]
        assert list(reasons(source).values()) == ["Its path leads out of the zip."]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["upload.zip"]


def test_links_and_encrypted_members_are_refused(tmp_path):
    with closing(Zip(zip_file(tmp_path, bad_files.zip_with_symlink("a.png", "/etc/passwd")))) as source:
        assert not source.files
        assert "link" in reasons(source)["a.png"]
    with closing(Zip(zip_file(tmp_path, bad_files.encrypted_zip()))) as source:
        assert not source.files
        assert "encrypted" in reasons(source)["images/secret.png"]


def test_the_same_name_twice_in_a_zip(tmp_path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", PNG)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", b"other")
    with closing(Zip(path)) as source:
        assert source.read(source.files[0]) == PNG
        assert "came first" in reasons(source)["a.png (again)"]


def test_bombs(tmp_path):
    bomb = bad_files.zip_bomb(megabytes=20)
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableSource, match=r"1,0\d\d times its size, as a zip bomb"):
        Zip(zip_file(tmp_path, bomb))
    ballast = os.urandom(200_000)
    with closing(Zip(zip_file(tmp_path, {"bomb.bmp": b"\0" * (20 << 20), "x.png": PNG, "y.png": ballast}))) as source:
        assert [file.name for file in source.files] == ["x.png", "y.png"]
        assert "zip bomb" in reasons(source)["bomb.bmp"]
    with pytest.raises(UnreadableSource, match=r"unpacks to 0\.0 GB; the limit is 0\.0 GB"):
        Zip(zip_file(tmp_path, bomb), Limits(max_total_bytes=1000))
    with pytest.raises(UnreadableSource, match="3 files; the limit is 2"):
        Zip(zip_file(tmp_path, dict.fromkeys("abc", b"")), Limits(max_files=2))


def test_plain_black_masks_are_no_bomb(tmp_path):
    black = bad_files.encoded(bad_files.disk(800, 800, value=0), "BMP")
    with closing(Zip(zip_file(tmp_path, {"images/a.png": PNG, "masks/a.bmp": black}))) as source:
        assert len(source.files) == 2


def test_a_member_that_lies_about_its_size_or_is_damaged(tmp_path):
    damaged = bytearray(bad_files.zipped({"a.png": PNG}))
    damaged[60:90] = bytes(30)
    for data in (bad_files.zip_lying_about_size(), bytes(damaged)):
        with closing(Zip(zip_file(tmp_path, data))) as source, pytest.raises(UnreadableSource, match="damaged"):
            source.read(source.files[0])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (bad_files.zipped({}), "The zip is empty"),
        (bad_files.zipped({"only/": b""}), "The zip is empty"),
        (b"", "damaged"),
        (b"this is no zip", "no zip at all"),
        (bad_files.zipped({"a.png": PNG})[:-30], "damaged"),
    ],
)
def test_zips_that_cannot_be_opened(tmp_path, data, sentence):
    with pytest.raises(UnreadableSource, match=sentence):
        Zip(zip_file(tmp_path, data))


def test_a_zip_that_is_not_there(tmp_path):
    with pytest.raises(UnreadableSource, match="not there"):
        Zip(tmp_path / "gone.zip")


def test_folders_that_windows_marks_with_a_backslash_are_not_files(tmp_path):
    files = {"set\\": b"", "set\\images\\": b"", "set\\images\\a.png": PNG}
    with closing(Zip(zip_file(tmp_path, files))) as source:
        assert [file.name for file in source.files] == ["set/images/a.png"]
        assert source.skipped == []


@pytest.mark.parametrize(("page", "name"), [("gbk", "细胞"), ("cp1252", "Präparat"), ("cp850", "Präparat")])
def test_names_in_the_code_page_of_the_packing_machine(tmp_path, page, name):
    raw = name.encode(page)
    data = bad_files.zipped({f"{'#' * len(raw)}.png": PNG}).replace(b"#" * len(raw), raw)
    with closing(Zip(zip_file(tmp_path, data))) as source:
        assert [file.name for file in source.files] == [f"{name}.png"]


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.dib", "a.avif", "a.jp2", "a.heic", "img.001", "noname"])
def test_names_that_pictures_have(name):
    assert why_not(name, 1, Limits()) == ""


@pytest.mark.parametrize(("name", "words"), [("a.dcm", "DICOM"), ("a.nii", "NIfTI"), ("a.NII.GZ", "NIfTI")])
def test_medical_formats_are_named(name, words):
    assert f"{words} is not read; export slices as PNG or TIFF" in why_not(name, 1, Limits())
