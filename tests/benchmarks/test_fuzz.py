"""The fuzzer finds what it looks for: files that raise, kill, hang, fill memory or reach outside."""

from __future__ import annotations

import json
import os
import random
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import fuzz
from tests.assets import annotation_files, bad_images, bad_zips
from tests.assets.bad_files import encoded, picture
from tests.assets.mutations import mutated, with_right_checksums
from tests.assets.structured_mutations import mutated_backup, mutated_json

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the fuzzer needs Linux")


def misbehave(kind: str, data: bytes, place: Path) -> str:
    """Do what the content says; this runs in the fuzzer's process."""
    if data == b"raise":
        raise RecursionError
    if data == b"die":
        os.kill(os.getpid(), 11)
    while data == b"hang":
        pass
    if data == b"fill":
        bytearray(4 << 30)
    if data == b"write":
        (place.parent / "fuzz-reached-outside").touch()
        (place.parent / "fuzz-reached-outside").unlink()
    if data == b"read":
        Path("/etc/passwd").read_bytes()
    return "taken"


def test_what_goes_wrong_is_counted_and_the_next_file_is_tried(monkeypatch):
    monkeypatch.setattr(fuzz, "CPU_S", 0.5)
    with closing(fuzz.Importer(misbehave)) as importer:
        found = [
            importer.try_file("image", data)["outcome"]
            for data in (b"well", b"raise", b"die", b"well", b"hang", b"fill", b"write", b"read", b"well")
        ]
    assert found == ["taken", "crashes", "crashes", "taken", "hangs", "crashes", "outside", "outside", "taken"]


def test_an_image_a_zip_and_annotations_are_imported():
    with closing(fuzz.Importer()) as importer:
        for kind, documents in annotation_files.files().items():
            found = [importer.try_file(kind, data) for data in (documents[0].data, b"[" * 100_000)]
            assert [each["outcome"] for each in found] == ["taken", "refused"], (kind, found)
        found = [
            importer.try_file("image", bad_zips.good()),
            importer.try_file("image", bad_images.png_bomb()),
            importer.try_file("zip", bad_zips.beside("x.png", b"no")),
        ]
        assert [each["outcome"] for each in found] == ["taken", "refused", "taken"], found
        bomb = importer.try_file("zip", bad_zips.bomb_that_says_little())
    assert bomb["outcome"] == "taken" and bomb["mb"] < 100  # the good picture next to it


def test_recipes_and_backups_are_read_and_refused_with_nothing_left():
    recipe, backup = fuzz.recipes()[0][1], fuzz.backup()
    changed = [mutated_backup(backup, random.Random(seed)) for seed in range(5)]
    with closing(fuzz.Importer()) as importer:
        assert [importer.try_file("recipe", data)["outcome"] for data in (recipe, b"{}")] == ["taken", "refused"]
        found = [importer.try_file("backup", data) for data in (backup, backup[:-9], *changed)]
    assert [each["outcome"] for each in found[:2]] == ["taken", "refused"], found[:2]
    assert {each["outcome"] for each in found} <= {"taken", "refused"}, found


def test_documents_that_are_changed_stay_json():
    changed = [mutated_json(b'{"a": [1, {"b": "c"}]}', random.Random(seed)) for seed in range(50)]
    assert len(set(changed)) > 25
    for document in changed:
        json.loads(document)


def test_outcomes_are_counted_and_the_largest_figures_reported():
    results = [{"outcome": "taken", "mb": 12.4, "s": 0.52}, {"outcome": "hangs"}]
    counted = {"kind": "image", "tried": 2, "taken": 1, "refused": 0, "crashes": 0, "hangs": 1, "outside": 0}
    assert fuzz.row("image", results) == {**counted, "most_mb": 12.4, "most_s": 0.52}


def test_changes_are_many_and_the_same_for_a_seed():
    data = encoded(picture())
    changed = [mutated(data, bad_zips.good(), random.Random(seed)) for seed in range(50)]
    assert len(set(changed)) > 45 and changed[3] == mutated(data, bad_zips.good(), random.Random(3))
    assert with_right_checksums(data) == data
