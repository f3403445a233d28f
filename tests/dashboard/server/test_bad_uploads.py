"""The whole corpus of bad uploads through every way in: a server folder, a zip, and the upload route with its job.

Every file ends in a report line that says why, the good file beside it is taken, and nothing outside of DATA_ROOT and
the folder that was named is opened or changed.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from dashboard.facts import urls
from dashboard.server import resources
from db import datasets, submissions
from db.models import Dataset
from engine.core.settings import settings
from engine.datasets import ingest
from engine.datasets import job as import_images
from engine.datasets.source import Folder, UnreadableSource
from tests.assets import bad_images, bad_zips
from tests.assets.bad_files import encoded, picture, zipped
from tests.assets.bad_names import NAMES
from tests.support.installation import Installation
from tests.support.serving import serving
from tests.support.watching import snapshot, watched

WAYS = ("folder", "zip", "upload")
HEADERS = {"x_maskloom_upload": "1"}


class Context:
    def __init__(self, installation: Installation) -> None:
        self.artifacts = installation.files
        self.reading, self.writing = installation.database.reading, installation.database.writing

    def progress(self, done: int, total: int, **report: object) -> None:
        pass

    def should_stop(self) -> bool:
        return False


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    """Return {file name: content}: one good picture, those that are odd, and those that are bad."""
    odd = {f"odd {number:02d}.png": make() for number, make in enumerate(bad_images.TAKEN.values())}
    bad = {f"bad {number:02d}.png": make() for number, (make, _) in enumerate(bad_images.REFUSED.values())}
    return {"good.png": bad_zips.good()} | odd | bad


def source_of(way: str, files: dict[str, bytes], place: Path) -> dict[str, str]:
    """Bring files in the way that is asked for; return what the import job is told of them."""
    place.mkdir()
    if way == "folder":
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        return {"kind": "folder", "path": str(place)}
    if way == "zip":
        (place / "set.zip").write_bytes(zipped(files))
        return {"kind": "zip", "path": str(place / "set.zip")}
    token = resources.issue_upload()
    with serving() as server:
        for name, data in files.items():
            answer = server.ask(f"{urls.upload(token)}?path={quote(name)}", "POST", data, **HEADERS)
            assert answer.status == 200, (name, answer.body)
    return {"kind": "upload", "token": token}


def imported(installation: Installation, source: dict[str, str], name: str = "set") -> dict[str, tuple[bool, str]]:
    """Run the import job; return {file: (taken, why)}."""
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, name, source)
    job.attempt = 1
    import_images.run(job, Context(installation))
    with installation.database.reading() as session:
        report = datasets.report(session, session.get_one(Dataset, dataset.id).id)
        assert len({entry.name for entry in report}) == len(report)
        return {entry.name: (entry.taken, entry.reason) for entry in report}


@pytest.mark.parametrize("way", WAYS)
def test_every_picture_has_its_line_and_nothing_else_is_touched(dashboard, tmp_path, pictures, way):
    (tmp_path / "secret.txt").write_text("not yours")
    installation, place = dashboard, tmp_path / "in"
    source = source_of(way, pictures, place)
    before = snapshot(tmp_path, installation.settings.data_root)
    with watched() as seen:
        report = imported(installation, source)
    assert report.keys() == pictures.keys()
    assert report["good.png"] == (True, "")
    for number, kind in enumerate(bad_images.TAKEN):
        taken, why = report[f"odd {number:02d}.png"]
        assert taken or "the same picture as" in why, (kind, why)
    for number, (kind, (_, pattern)) in enumerate(bad_images.REFUSED.items()):
        taken, why = report[f"bad {number:02d}.png"]
        assert not taken and re.search(pattern, why) and why.endswith("."), (kind, why)
    assert snapshot(tmp_path, installation.settings.data_root) == before
    assert seen.written_outside(installation.settings.data_root) == set()
    assert seen.read_outside(installation.settings.data_root, place) == set()
    assert seen.started == []


@pytest.mark.parametrize("kind", bad_zips.TAKES_GOOD)
def test_the_good_picture_in_a_bad_zip_is_taken(tmp_path, kind):
    make, sentence = bad_zips.TAKES_GOOD[kind]
    path = tmp_path / "in" / "set.zip"
    path.parent.mkdir()
    path.write_bytes(make())
    before = snapshot(tmp_path, tmp_path / "data")
    with watched() as seen:
        source = ingest.open_zip_or_folder(path)
        planned = ingest.plan(source)
        items, entries = planned.items, list(planned.entries)
        for item in items:
            entries.extend(ingest.read(source, item).entries)
        source.close()
    taken = [entry.name for entry in entries if entry.taken]
    good = {bad_zips.GOOD, "images/large.png"}
    assert good & set(taken)
    reasons = [entry.reason for entry in entries if not entry.taken]
    assert re.search(sentence, " ".join(reasons)) if sentence else reasons == [], reasons
    assert all(entry.name for entry in entries)
    assert snapshot(tmp_path, tmp_path / "data") == before
    assert seen.written == set() and seen.started == []
    assert seen.read_outside(path.parent) == set()


@pytest.mark.parametrize("kind", bad_zips.REFUSED)
def test_a_zip_that_cannot_be_trusted_as_a_whole_is_refused_with_a_sentence(tmp_path, kind):
    make, sentence = bad_zips.REFUSED[kind]
    path = tmp_path / "set.zip"
    path.write_bytes(make())
    with watched() as seen:
        try:
            source = ingest.open_zip_or_folder(path)
        except UnreadableSource as error:
            said = str(error)
        else:
            planned = ingest.plan(source)
            items, entries = planned.items, list(planned.entries)
            read = [ingest.read(source, item) for item in items]
            assert all(decoded.image is None for decoded in read)
            said = " ".join(entry.reason for entry in (*entries, *(entry for one in read for entry in one.entries)))
            source.close()
    assert re.search(sentence, said), said
    assert seen.written == set()


def test_bad_zips_in_an_upload_leave_the_rest(dashboard, tmp_path):
    good = {"loose.png": encoded(picture(seed=5)), "fine.zip": zipped({"a.png": encoded(picture(seed=6))})}
    bad = {f"bad {number:02d}.zip": make() for number, (make, _) in enumerate(bad_zips.REFUSED.values())}
    some = {f"some {number:02d}.zip": make() for number, (make, _) in enumerate(bad_zips.TAKES_GOOD.values())}
    report = imported(dashboard, source_of("upload", good | bad | some, tmp_path / "in"))
    assert report["loose.png"] == report["fine/a.png"] == (True, "")
    for name in bad:
        inside = [entry for entry in report if entry == name or entry.startswith(name.removesuffix(".zip") + "/")]
        assert inside and not any(report[entry][0] for entry in inside), name
    for name in some:
        inside = [entry for entry in report if entry.startswith(name.removesuffix(".zip") + "/")]
        # all hold the one good picture, which is taken once
        assert any(report[entry][0] or "the same picture as" in report[entry][1] for entry in inside), name


def test_zips_of_one_name_in_an_upload_lose_nothing(dashboard, tmp_path):
    files = {f"{folder}/set.zip": zipped({"a.png": encoded(picture(seed=seed))}) for seed, folder in enumerate("xyz")}
    files |= {"w/set/a.png": encoded(picture(seed=9)), "w/set.zip": zipped({"a.png": encoded(picture(seed=8))})}
    report = imported(dashboard, source_of("upload", files, tmp_path / "in"))
    taken = {name for name, (was_taken, _) in report.items() if was_taken}
    assert taken == {"x/set/a.png", "y/set/a.png", "z/set/a.png", "w/set/a.png"}
    assert report["w/set/a.png (again)"] == (False, "Another file of the same name came first.")


@pytest.mark.parametrize("way", WAYS)
def test_odd_names_are_text_and_no_file_is_lost(dashboard, tmp_path, way):
    names = list(NAMES.values())
    files = {name: encoded(picture(seed=seed)) for seed, name in enumerate(names)}
    before = {str(tmp_path / "data")}
    report = imported(dashboard, source_of(way, files, tmp_path / "in"))
    assert len(report) == len(files)
    for name, (taken, why) in report.items():
        assert name.isprintable() or all(sign in "\u200b\ufeff\u200f\u200d" for sign in name if not sign.isprintable())
        assert taken or "same name" in why or "are not read" in why, (name, why)
    assert (
        sum(taken for taken, _ in report.values()) >= len(files) - 3
    )  # "dot.", "nul" and "null word" may have no suffix
    assert {str(path) for path in tmp_path.iterdir()} == before | {str(tmp_path / "in")}
    assert not list(Path.cwd().glob("ran*"))


def test_links_that_leave_the_folder_are_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "in"
    for folder in (outside, inside / "sub"):
        folder.mkdir(parents=True)
    (outside / "private.png").write_bytes(encoded(picture(seed=1)))
    (inside / "good.png").write_bytes(bad_zips.good())
    links = {
        "absolute.png": outside / "private.png",
        "relative.png": Path("../outside/private.png"),
        "by way of another.png": Path("absolute.png"),
        "folder": outside,
        "dangling.png": Path("nowhere.png"),
        "itself.png": Path("itself.png"),
        "device.png": Path("/dev/zero"),
        "stays.png": Path("sub/../good.png"),
    }
    for name, target in links.items():
        (inside / name).symlink_to(target)
    os.mkfifo(inside / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(inside)  # the name of a socket may not be long
        try:
            server.bind("socket.png")
        finally:
            os.chdir(here)
    with watched() as seen:
        source = Folder(inside)
        content = {file.name: source.read(file) for file in source.files}
    assert content == {"good.png": bad_zips.good(), "stays.png": bad_zips.good()}
    assert {entry.name: entry.reason for entry in source.skipped} == {
        **dict.fromkeys(
            ("absolute.png", "relative.png", "by way of another.png"),
            "It is a link to a file outside of the folder, and such links are not followed.",
        ),
        "folder": "It is a link to a folder, and such links are not followed.",
        "dangling.png": "It cannot be read: No such file or directory.",
        "itself.png": "It cannot be read: Too many levels of symbolic links.",
        **dict.fromkeys(("device.png", "pipe.png", "socket.png"), "It is no ordinary file."),
    }
    assert seen.read_outside(inside) == set()


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("replace", "sentence"),
    [
        (_link, "cannot be read"),
        (os.mkfifo, "no ordinary file"),
        (lambda path: path.write_bytes(bytes(5000)), "It grew while it was imported"),
        (lambda path: None, "cannot be read: No such file"),
    ],
    ids=["link", "pipe", "larger file", "nothing"],
)
def test_a_file_that_becomes_something_else_after_it_was_listed(
    tmp_path: Path, replace: Callable[[Path], None], sentence: str
):
    (tmp_path / "a.png").write_bytes(bad_zips.good())
    source = Folder(tmp_path)
    (tmp_path / "a.png").unlink()
    replace(tmp_path / "a.png")
    with pytest.raises(UnreadableSource, match=sentence):
        source.read(source.files[0])


def test_an_upload_of_more_files_than_an_import_may_have(dashboard, monkeypatch):
    monkeypatch.setenv("IMPORT_LIMIT_FILES", "3")
    settings.cache_clear()
    token = resources.issue_upload()
    with serving() as server:
        answers = [
            server.ask(f"{urls.upload(token)}?path={name}.png", "POST", b"x", **HEADERS)
            for name in ("a", "b", "c", "d", "a")
        ]
    assert [answer.status for answer in answers] == [200, 200, 200, 413, 200]
    assert b"at most 3 files (IMPORT_LIMIT_FILES)" in answers[3].body
