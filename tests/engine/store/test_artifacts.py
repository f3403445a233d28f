"""The store of files: the end of a log."""

import pytest

from engine.store.artifacts import Artifacts, MissingFile


def test_the_tail_of_a_long_log_starts_at_a_whole_line(tmp_path):
    files = Artifacts(tmp_path)
    files.write("jobs/a.log", "".join(f"line {number} é\n" for number in range(1000)).encode())
    tail = files.tail("jobs/a.log", 100)
    assert tail.endswith("line 999 é\n") and tail.startswith("line 99") and len(tail.encode()) <= 100


def test_the_tail_of_a_short_log_is_all_of_it(tmp_path):
    files = Artifacts(tmp_path)
    files.write("jobs/a.log", b"one\ntwo\n")
    assert files.tail("jobs/a.log", 100) == "one\ntwo\n"


def test_the_tail_of_no_log_says_which(tmp_path):
    with pytest.raises(MissingFile, match=r"jobs/a\.log is gone"):
        Artifacts(tmp_path).tail("jobs/a.log", 100)


def test_what_a_killed_writer_left_is_deleted_and_nothing_else(tmp_path):
    files = Artifacts(tmp_path)
    files.write("runs/a/best.keras", b"model")
    (tmp_path / "runs/a/rounds/2/pixels.part12").mkdir(parents=True)
    (tmp_path / "runs/a/rounds/2/pixels.part12/train").write_bytes(b"pixels")
    for name in ("best.1234abcd.part.keras", "other.1234abcd.part.keras"):
        (tmp_path / "runs/a" / name).write_bytes(b"half")
    files.delete_half_written("runs/a", "best")
    assert not (tmp_path / "runs/a/best.1234abcd.part.keras").exists()
    assert (tmp_path / "runs/a/other.1234abcd.part.keras").exists()
    files.delete_half_written("runs/a")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "runs/a/best.keras"]
    files.delete_half_written("runs/gone")
