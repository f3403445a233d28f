"""Attempts to break the app: what counts as broken, and that no kind is without attempts."""

import contextlib
import random
import sqlite3

import pytest

from benchmarks.attempts import row
from benchmarks.hostile import names, requests, rig
from benchmarks.hostile.rig import CANARY, Said, Web, digest, files_of, statuses, tried

TRACEBACK = 'Traceback (most recent call last):\n  File "x"\nKeyError: 1\n'
SENTENCE = "Error: There is no run 'x'. Known: none yet.\n"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said(0, "fine\n", ""), ""),
        (Said(1, "", SENTENCE), ""),
        (Said(2, "", "Usage: maskloom x\n╭─ Error ─╮\n│ No such option: --x. │\n╰─────╯\n"), ""),
        (Said(1, "", TRACEBACK), "traceback"),
        (Said(0, TRACEBACK, ""), "traceback"),
        (Said(1, "", "KeyError: 1\n"), "no sentence"),
        (Said(1, "", ""), "no sentence"),
        (Said(2, "", "KeyError: 1\n"), "no usage"),
        (Said(-9, "", SENTENCE), "exit code -9"),
        (Said(None, "", ""), "does not end"),
        (Said(1, "", f"Error: {'x' * 4000}.\n"), "3,000 characters"),
        (Said(0, "a \x1b[31mred\n", ""), "control characters"),
    ],
)
def test_what_a_command_breaks(said, words):
    assert words in " ".join(said.broken()) and bool(said.broken()) == bool(words)


def test_a_command_that_ends_otherwise_than_it_must_is_broken():
    assert Said(0, "", "").broken(fails=True) and Said(1, "", SENTENCE).broken(fails=False)
    assert not Said(1, "", SENTENCE).broken(fails=True)
    assert Said(1, "", SENTENCE).broken(fails=True, naming="MAX_WORKERS")


class Answering(Web):
    """An app that is not asked: what it would have answered is given."""

    def __init__(self, root, answer=b""):
        self.root, self._answer, self._secrets = root, answer, [b"0123456789abcdef"]
        self._around, self._rows, self._logged = self._outside(), self.rows(), []

    def _outside(self):
        return files_of(self.root.parent, self.root)

    def _log_faults(self):
        return self._logged

    def health(self):
        return []


@pytest.fixture
def web(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    with contextlib.closing(sqlite3.connect(root / "app.db")) as database:
        database.execute("CREATE TABLE runs (name TEXT)")
    return Answering(root)


REFUSED, FOUND, FAILED = (f"HTTP/1.1 {status} X\r\n\r\n".encode() for status in (401, 200, 500))


def test_what_an_answer_breaks(web):
    assert web.broken(REFUSED, public=False) == [] == web.broken(FOUND)
    assert web.broken(FAILED) == ["answered with 500"] == web.broken(FOUND + FAILED)
    assert web.broken(FOUND, public=False) == ["answered with 200 to a stranger"]
    assert web.broken(REFUSED + b"..0123456789abcdef..", public=False) == ["bytes of a stored file"]
    assert web.broken(FOUND + CANARY.encode()) == ["a file outside of DATA_ROOT was read"]
    web._logged = ["in the log"]
    assert web.broken(FOUND) == ["in the log"]


def test_what_changes_meanwhile_is_broken(web):
    before = digest(web.root / "app.db", set())
    with contextlib.closing(sqlite3.connect(web.root / "app.db")) as database, database:
        database.execute("INSERT INTO runs VALUES ('x')")
    assert web.broken(FOUND) == ["the database has changed"] and web.broken(FOUND, same_rows=False) == []
    assert digest(web.root / "app.db", set()) != before == digest(web.root / "app.db", {"runs"}) or before
    (web.root.parent / "beside.txt").write_text("x")
    assert web.broken(FOUND, same_rows=False) == ["a file outside of DATA_ROOT was changed"]


def test_an_app_that_does_not_answer_in_time_is_broken(web, monkeypatch):
    web.port, web.send = 1, lambda data: FOUND
    assert Web.health(web) == []
    monkeypatch.setattr(rig, "HEALTH_S", 0)
    assert Web.health(web)
    monkeypatch.undo()
    web.send = lambda data: b""
    assert Web.health(web)


def test_names_that_are_live_are_found():
    assert statuses(b"HTTP/1.1 101 X\r\n\r\n..HTTP/1.1 200") == [101]
    for name in ("<img src=x onerror=alert(1)>", "[x](http://evil.example)", "![x](y.png)", "<http://evil.example>"):
        assert names._markdown_faults(f"# The run {name}\n"), name
    assert names._markdown_faults("# The run \\[x\\](y) of [Otsu](https://doi.org/1)\n") == []
    for tag in ("<script>", "<p onclick=x>", "<img src=//evil.example>", "<a href=javascript:x>"):
        assert names._html_faults(f"<h1>{tag}</h1>"), tag
    assert names._html_faults('<h1>&lt;script&gt;</h1><img src="data:image/png;base64,xx">') == []
    assert names._csv_faults("name,dice\r\n=1+1,-0.5\r\n") == ["a formula: '=1+1'"]
    assert names._csv_faults("name,dice\r\n'=1+1,-0.5\r\n") == []
    assert len({*names.evil_names(random.Random(1))} - {*names.evil_names(random.Random(2))}) > 20


def test_every_route_is_asked_for_with_ids_that_are_there(tmp_path):
    from tests.support import small_installation

    small_installation.make(tmp_path / "data").database.close()
    found = requests.addresses(tmp_path / "data")
    assert len(found) >= 40 and not any("{" in path for _, path in found)
    assert {path.split("/")[1] for _, path in found} == {"files"}


def test_attempts_are_counted_and_one_that_cannot_be_made_has_failed(capsys):
    outcomes = [("good", []), tried("odd", lambda: 1 / 0), tried("bad", lambda words: [words], "it broke")]
    assert row("kind", outcomes) == {"kind": "kind", "attempts": 3, "held": 1, "failed": 2}
    said = capsys.readouterr().err
    assert "kind: odd: the attempt itself: ZeroDivisionError" in said and "kind: bad: it broke" in said
