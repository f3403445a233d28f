"""Every implementation of `engine.store.base.Store` keeps its contract, and only `engine.store.keys` builds keys."""

import ast
import pickle
from pathlib import Path

import pytest

from engine.store import keys as stored
from engine.store.base import MissingFile, StoredFile
from engine.store.disk import PART
from engine.store.keys import BadKey
from engine.store.local import LocalStore
from engine.store.objects import ObjectStore

ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture(params=["local", "objects"])
def store(request, tmp_path):
    if request.param == "local":
        return LocalStore(tmp_path / "root")
    return ObjectStore(request.getfixturevalue("s3").bucket(), tmp_path / "root", patience_s=5)


def test_what_is_written_is_read_and_replaced_whole(store):
    key = stored.image_key(ONE, TWO)
    store.write(key, b"first")
    store.write(key, b"second")
    assert store.read(key) == b"second"
    assert store.keys(stored.dataset_folder(ONE)) == [key]
    with store.local(key) as path:
        assert path.read_bytes() == b"second"


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(store):
    key = stored.best_model_key(ONE)
    store.write(key, b"old")
    with pytest.raises(RuntimeError), store.writing(key) as path:
        path.write_bytes(b"half")
        raise RuntimeError
    assert store.read(key) == b"old"
    assert store.unfinished(stored.run_folder(ONE)) == []


def test_a_file_that_is_being_written_is_not_seen(store):
    key = stored.best_model_key(ONE)
    with store.writing(key) as path:
        path.write_bytes(b"half")
        assert not store.exists(key) and store.keys(stored.run_folder(ONE)) == []
        assert len(store.unfinished(stored.run_folder(ONE))) == 1
    assert store.read(key) == b"half"


@pytest.mark.parametrize("reading", ["read", "tail", "local", "modified", "version"])
def test_a_missing_file_is_named(store, reading):
    key = stored.job_log_key(ONE)
    with pytest.raises(MissingFile, match=rf"jobs/{ONE}\.log is gone"):
        if reading == "local":
            with store.local(key):
                pass
        else:
            getattr(store, reading)(key, *([100] if reading == "tail" else []))


@pytest.mark.parametrize("key", ["", "/etc/passwd", "runs/../app.db", "runs//a", "runs/.hidden", "runs/a b", "a\\b"])
def test_a_key_that_leaves_the_store_is_refused(store, key):
    for use in (store.read, store.exists, store.size, store.delete, store.keys, store.listing, store.version):
        with pytest.raises(BadKey):
            use(key)
    with pytest.raises(BadKey):
        store.write(key, b"")


def test_sizes_are_those_of_a_file_or_of_all_below_a_folder(store):
    store.write(stored.image_key(ONE, ONE), b"12345")
    store.write(stored.thumb_key(ONE, ONE), b"123")
    assert store.size(stored.image_key(ONE, ONE)) == 5
    assert store.size(stored.dataset_folder(ONE)) == 8
    assert store.size(stored.dataset_folder(TWO)) == 0
    assert store.free_bytes() > 0


def test_deleting_a_file_or_a_folder_twice_is_no_error(store):
    store.write(stored.image_key(ONE, ONE), b"1")
    store.write(stored.truth_key(ONE, ONE), b"1")
    for key in (stored.image_key(ONE, ONE), stored.dataset_folder(ONE)):
        for _ in range(2):
            store.delete(key)
            assert not store.exists(key)


def test_a_listing_has_the_names_directly_inside_a_folder(store):
    store.write(stored.prediction_key(ONE, TWO), b"1")
    store.write(stored.uncertainty_key(ONE, TWO), b"1")
    assert store.listing(stored.prediction_folder(ONE)) == ([f"{TWO}.png"], ["uncertainty"])
    assert store.listing(stored.prediction_folder(TWO)) == ([], [])


def test_a_new_version_has_another_name_and_a_later_time(store):
    key = stored.job_log_key(ONE)
    store.write(key, b"1")
    version, moment = store.version(key), store.modified(key)
    assert store.version(key) == version
    store.write(key, b"12")
    assert store.version(key) != version
    assert store.modified(key) >= moment
    assert store.modified(stored.JOBS) >= store.modified(key)


def test_a_workspace_is_changed_in_place(store):
    with store.workspace(stored.run_folder(ONE)) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / stored.BEST_MODEL).write_bytes(b"model")
    assert store.read(stored.best_model_key(ONE)) == b"model"


def test_what_a_workspace_has_is_stored_when_it_is_published(store):
    with store.workspace(stored.run_folder(ONE)) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / stored.BEST_MODEL).write_bytes(b"model")
        store.publish(stored.run_folder(ONE))
        assert store.read(stored.best_model_key(ONE)) == b"model"
    store.publish(stored.run_folder(TWO))  # none is open


def test_a_workspace_is_stored_when_its_block_fails(store):
    with pytest.raises(RuntimeError), store.workspace(stored.run_folder(ONE)) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / stored.BEST_MODEL).write_bytes(b"model")
        raise RuntimeError
    assert store.read(stored.best_model_key(ONE)) == b"model"


def test_a_log_goes_on_where_the_attempt_before_has_ended(store):
    for line in (b"first\n", b"second\n"):
        with store.growing(stored.job_log_key(ONE)) as path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as log:
                log.write(line)
    assert store.tail(stored.job_log_key(ONE), 100) == "first\nsecond\n"


def test_a_scratch_folder_is_unfinished_and_gone_at_the_end(store):
    with store.scratch(stored.measure_key()) as folder:
        (folder / "pixels").write_bytes(b"1")
        assert store.keys(stored.JOBS) == [] and PART in folder.name
    assert not folder.exists()


def test_a_folder_that_is_handed_over_is_a_workspace_with_the_same_names(store, tmp_path):
    names = {"a b/häß (1)#%20&.png", "x/y.png"}
    for name in names:
        (tmp_path / "staged" / name).parent.mkdir(parents=True)
        (tmp_path / "staged" / name).write_text(name)
    store.hand_over(stored.upload_folder(ONE), tmp_path / "staged")
    with store.workspace(stored.upload_folder(ONE)) as folder:
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == names
    store.remove(f"{stored.upload_folder(ONE)}/x")
    assert store.listing(stored.upload_folder(ONE)).folders == ["a b"]


def test_a_file_or_a_folder_is_moved_aside(store):
    for key in (stored.image_key(ONE, ONE), stored.truth_key(ONE, ONE), stored.thumb_key(TWO, ONE)):
        store.write(key, key.encode())
    assert store.move(stored.dataset_folder(ONE), "lost+found/ones") is True
    assert store.move(stored.thumb_key(TWO, ONE), "lost+found/thumb.webp") is True
    assert store.move(stored.thumb_key(TWO, ONE), "lost+found/again.webp") is False
    assert store.keys(stored.DATASETS) == []
    assert store.read(f"lost+found/ones/images/{ONE}.png") == stored.image_key(ONE, ONE).encode()
    assert store.read("lost+found/thumb.webp") == stored.thumb_key(TWO, ONE).encode()


def test_a_store_and_its_files_travel_to_another_process(store):
    key = stored.image_key(ONE, TWO)
    store.write(key, b"pixels")
    file = pickle.loads(pickle.dumps(StoredFile(store, key)))
    assert (file.name, file.read_bytes(), hash(file)) == (f"{TWO}.png", b"pixels", hash(StoredFile(store, key)))


def test_the_tail_of_a_long_log_starts_at_a_whole_line(store):
    store.write("jobs/a.log", "".join(f"line {number} é\n" for number in range(1000)).encode())
    tail = store.tail("jobs/a.log", 100)
    assert tail.endswith("line 999 é\n") and tail.startswith("line 99") and len(tail.encode()) <= 100


def test_the_tail_of_a_short_log_is_all_of_it(store):
    store.write("jobs/a.log", b"one\ntwo\n")
    assert store.tail("jobs/a.log", 100) == "one\ntwo\n"


def test_what_a_killed_writer_left_is_deleted_and_nothing_else(tmp_path):
    files = LocalStore(tmp_path)
    files.write("runs/a/best.keras", b"model")
    (tmp_path / "runs/a/rounds/2/pixels.part12").mkdir(parents=True)
    (tmp_path / "runs/a/rounds/2/pixels.part12/train").write_bytes(b"pixels")
    for name in ("best.1234abcd.part.keras", "other.1234abcd.part.keras"):
        (tmp_path / "runs/a" / name).write_bytes(b"half")
    files.delete_unfinished("runs/a", "best")
    assert not (tmp_path / "runs/a/best.1234abcd.part.keras").exists()
    assert (tmp_path / "runs/a/other.1234abcd.part.keras").exists()
    files.delete_unfinished("runs/a", subfolders=False)
    assert not (tmp_path / "runs/a/other.1234abcd.part.keras").exists()
    assert (tmp_path / "runs/a/rounds/2/pixels.part12/train").exists()
    files.delete_unfinished("runs/a")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "runs/a/best.keras"]
    files.delete_unfinished("runs/gone")


def test_a_file_whose_name_is_no_key_is_not_among_the_keys(tmp_path):
    files = LocalStore(tmp_path)
    files.write("runs/a/best.keras", b"model")
    (tmp_path / "runs/a/my copy.keras").write_bytes(b"model")
    assert files.keys("runs/a") == ["runs/a/best.keras"]
    assert files.listing("runs/a").files == ["best.keras", "my copy.keras"]


def test_a_link_to_a_folder_is_deleted_without_what_it_points_to(tmp_path):
    files = LocalStore(tmp_path / "root")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_bytes(b"1")
    (tmp_path / "root" / "runs").mkdir(parents=True)
    try:
        (tmp_path / "root" / "runs" / ONE).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("Links need a right that this account lacks.")
    files.delete(stored.run_folder(ONE))
    assert (tmp_path / "elsewhere" / "a.txt").exists() and not files.exists(stored.run_folder(ONE))


FOLDERS = {*stored.OWNERS, stored.UPLOADS, stored.JOBS, stored.EXPORTS, "thumbs", "probe", "rounds", "uncertainty"}
NOT_KEYS = {
    "dashboard/facts/urls.py",  # addresses of routes
    "engine/cli/commands.py",  # a folder that a person named
    "engine/exports/formats/yolo.py",  # names inside of a zip
}


def built_keys(source: str) -> list[int]:
    """Return the lines where an f-string, a sum or a joined path begins with, or adds, a folder of the store."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr) and node.values:
            texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            first = node.values[0]
            begins = isinstance(first, ast.Constant) and first.value.partition("/")[0] in FOLDERS and "/" in first.value
            inside = any(text.startswith(f"/{folder}/") for text in texts for folder in FOLDERS)
            if begins or (inside and not isinstance(first, ast.Constant) and "urls." not in ast.unparse(first)):
                lines.append(node.lineno)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
            sides = [side.value for side in (node.left, node.right) if isinstance(side, ast.Constant)]
            if any(isinstance(side, str) and side.strip("/").partition("/")[0] in FOLDERS for side in sides):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "source",
    ['f"datasets/{a}/images"', 'root / "runs" / b', '"labels/" + a', 'f"{folder}/exports/{what}"', 'f / "probe/1"'],
)
def test_a_key_that_is_built_by_hand_is_noticed(source):
    assert built_keys(source)


def test_only_the_module_of_keys_builds_them():
    found = []
    for package in ("engine", "dashboard"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("engine/store/") and name not in NOT_KEYS:
                found += [f"{name}:{line}" for line in built_keys(path.read_text(encoding="utf-8"))]
    assert found == []
