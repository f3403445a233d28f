"""The object store beyond the contract: what is requested, what other machines see, and what failures say."""

import os
import threading
import time

import pytest

from engine.care.image_folders import decodes
from engine.core.settings import Settings
from engine.store import keys as stored
from engine.store import object_cache, object_workspaces
from engine.store.base import MissingFile, StoreFailed
from engine.store.objects import ObjectStore

ONE, TWO = "1" * 32, "2" * 32
IMAGE, MASK = stored.image_key(ONE, TWO), stored.prediction_key(ONE, TWO)


@pytest.fixture
def machines(s3, tmp_path):
    """Two machines with the same object store."""
    url = s3.bucket()
    return [ObjectStore(url, tmp_path / name, patience_s=5) for name in ("here", "there")]


def gets(s3):
    return s3.requests().get("GET", 0)


def test_what_is_written_once_is_requested_once_by_a_machine(s3, machines):
    here, there = machines
    here.write(IMAGE, b"pixels")
    before = gets(s3)
    for _ in range(3):
        assert here.read(IMAGE) == there.read(IMAGE) == b"pixels"
        assert there.version(IMAGE) == here.version(IMAGE)
    assert gets(s3) == before + 1


def test_a_file_that_changes_is_asked_for_each_time_and_sent_only_if_it_has_changed(machines):
    here, there = machines
    here.write(MASK, b"first")
    with there.local(MASK) as path:
        assert path.read_bytes() == b"first"
    with there.local(MASK) as again:
        assert again == path
    here.write(MASK, b"second")
    assert there.read(MASK) == b"second"
    here.delete(MASK)
    with pytest.raises(MissingFile):
        there.read(MASK)


def test_a_version_stays_for_who_has_its_path_and_goes_later(machines, monkeypatch):
    here, there = machines
    here.write(MASK, b"first")
    with there.local(MASK) as path:
        here.write(MASK, b"second")
        assert there.read(MASK) == b"second"
        assert path.read_bytes() == b"first"
    monkeypatch.setattr(object_cache, "SPARED_S", -1.0)
    here.write(MASK, b"third")
    assert there.read(MASK) == b"third" and not path.exists()


def test_a_path_keeps_the_name_of_its_file(machines):
    machines[0].write(stored.best_model_key(ONE), b"model")
    with machines[1].local(stored.best_model_key(ONE)) as path:
        assert path.name.endswith("best.keras")


def test_a_check_up_does_not_trust_the_cache(machines):
    here, there = machines
    here.write(IMAGE, b"pixels")
    there.delete(IMAGE)
    assert here.read(IMAGE) == b"pixels"
    with pytest.raises(MissingFile):
        ObjectStore(here.url, here.root, trusts_cache=False).read(IMAGE)


def test_a_cached_file_that_a_power_cut_left_empty_is_requested_again(machines):
    here = machines[0]
    here.write(IMAGE, b"pixels")
    with here.local(IMAGE) as path:
        path.write_bytes(b"")
    assert here.read(IMAGE) == b"pixels"


def test_a_check_up_finds_a_file_whole_that_is_damaged_in_the_cache_alone(machines):
    here = machines[0]
    here.write(IMAGE, b"pixels")
    with here.local(IMAGE) as path:
        path.write_bytes(b"rotten")
    assert ObjectStore(here.url, here.root, trusts_cache=False).read(IMAGE) == b"pixels"
    assert here.read(IMAGE) == b"pixels"


def test_a_check_up_takes_no_file_for_damaged_that_the_store_refuses(s3, machines):
    here = machines[0]
    here.write(IMAGE, b"pixels")
    s3.tell("refuse 403 AccessDenied")
    with pytest.raises(StoreFailed, match="denies access"):
        decodes(ObjectStore(here.url, here.root, trusts_cache=False), IMAGE)


def test_what_was_used_while_the_cache_is_trimmed_stays(machines, monkeypatch):
    monkeypatch.setattr(object_cache, "SPARED_S", 0.0)
    here = ObjectStore(machines[0].url, machines[0].root, cache_bytes=10**9)
    here.write(IMAGE, b"pixels")
    with here.local(IMAGE) as path:
        os.utime(path, (time.time() - 3000,) * 2)
    walked = os.walk

    def used_meanwhile(top):
        yield from walked(top)
        os.utime(path)

    monkeypatch.setattr(object_cache.os, "walk", used_meanwhile)
    object_cache.ObjectCache(here.root / "cache", here.url, 0).trim()
    assert path.exists()


def test_the_cache_loses_what_was_not_used_for_longest(machines, monkeypatch):
    monkeypatch.setattr(object_cache, "SPARED_S", 0.0)
    here = ObjectStore(machines[0].url, machines[0].root, cache_bytes=2500)
    keys = [stored.image_key(ONE, f"{number:032x}") for number in range(3)]
    for key, age_s in zip(keys[:2], (3000, 2000), strict=True):
        here.write(key, bytes(1000))
        with here.local(key) as path:
            os.utime(path, (time.time() - age_s,) * 2)
    here.read(keys[0])
    here.write(keys[2], bytes(1000))
    kept = {path.parent.name for path in (here.root / "cache").rglob("*@*")}
    assert kept == {key.rpartition("/")[2] for key in (keys[0], keys[2])}
    assert here.read(keys[1]) == bytes(1000)


def test_a_damaged_or_unfinished_download_never_answers(machines):
    here, there = machines
    here.write(MASK, b"pixels")
    there.read(MASK)
    folder = next(path.parent for path in (there.root / "cache").rglob("*@*"))
    (folder / "1234abcd.part").write_bytes(b"pix")
    assert there.read(MASK) == b"pixels"


def test_a_workspace_comes_from_the_store_and_goes_back_as_it_was_left(machines, monkeypatch):
    monkeypatch.setattr(object_workspaces, "STATE_SHARE", 1e-6)
    monkeypatch.setattr(object_workspaces, "FIRST_STATE_S", 0.0)
    here, there = machines
    run = stored.run_folder(ONE)
    here.write(f"{run}/state.npz", b"old")
    here.write(f"{run}/older.npz", b"older")
    with there.workspace(run) as folder:
        assert (folder / "state.npz").read_bytes() == b"old"
        (folder / "older.npz").unlink()
        (folder / "state.npz").rename(folder / "state.previous.npz")
        (folder / "state.npz").write_bytes(b"newer")
        (folder / "pixels.part").mkdir()
        (folder / "pixels.part" / "train").write_bytes(b"0" * 100)
        assert here.read(f"{run}/state.npz") == b"old"
        there.publish(run)
        assert here.read(f"{run}/state.npz") == b"newer"
        (folder / "best.keras").write_bytes(b"model")
        assert here.read(f"{run}/state.previous.npz") == b"old"
        (folder / "state.npz").write_bytes(b"newest")
        (folder / "probe.png").write_bytes(b"probe")
        there.publish(run)
        assert (here.read(f"{run}/state.npz"), here.read(f"{run}/probe.png")) == (b"newer", b"probe")
    assert here.read(f"{run}/state.npz") == b"newest"
    assert here.keys(run) == [
        f"{run}/{name}" for name in ("best.keras", "probe.png", "state.npz", "state.previous.npz")
    ]
    assert not folder.exists()


@pytest.mark.parametrize("second", ["here", "there"])
def test_a_workspace_that_another_process_opens_is_lost_to_the_first(machines, second, monkeypatch):
    monkeypatch.setattr(object_workspaces, "FIRST_STATE_S", 0.0)
    first, second = machines[0], machines[["here", "there"].index(second)]
    run = stored.run_folder(ONE)
    with pytest.raises(StoreFailed, match="has taken this job over"), first.workspace(run) as zombie:
        (zombie / "state.npz").write_bytes(b"one epoch")
        first.publish(run)
        with second.workspace(run) as folder:
            assert folder != zombie and (folder / "state.npz").read_bytes() == b"one epoch"
            (folder / "state.npz").write_bytes(b"two epochs")
        (zombie.parent / zombie.name).mkdir(exist_ok=True)
        (zombie / "state.npz").write_bytes(b"of the first")
    assert second.read(f"{run}/state.npz") == b"two epochs"
    assert second.keys(run) == [f"{run}/state.npz"]


def test_an_upload_keeps_names_that_are_no_keys(machines, tmp_path):
    here, there = machines
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / ".12ab.part").write_text("arriving")
    names = ["a b/häß (1)#%20&?.png", "scan.part1.png", "плакат.png", "x/y/z.png"]
    for name in names:
        (tmp_path / "staged" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "staged" / name).write_text(name)
    upload = stored.upload_folder(ONE)
    here.hand_over(upload, tmp_path / "staged")
    with there.workspace(upload) as folder:
        found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {name: name for name in names}
    there.delete(upload)
    assert here.listing(stored.UPLOADS).folders == []


def test_a_log_grows_over_attempts_and_no_failure_ends_its_job(s3, machines):
    here, there = machines
    key = stored.job_log_key(ONE)
    with here.growing(key) as path, path.open("ab") as log:
        log.write(b"first\n")
    s3.tell("refuse 403 AccessDenied")
    with there.growing(key) as path, path.open("ab") as log:
        log.write(b"lost\n")
    s3.tell("well")
    with there.growing(key) as path, path.open("ab") as log:
        log.write(b"second\n")
    assert here.tail(key, 100) == "first\nsecond\n"


@pytest.mark.soak
def test_a_thousand_objects_and_more_are_deleted(machines):
    here = machines[0]
    for number in range(1003):
        here.put(f"{stored.prediction_folder(ONE)}/{number:032x}.png", b"")
    here.delete(stored.prediction_folder(ONE))
    assert here.keys(stored.PREDICTIONS) == []


def test_a_request_waits_for_a_server_that_is_away_for_a_moment(s3, machines):
    here, there = machines
    here.write(MASK, b"pixels")
    s3.tell("down")
    found = []
    thread = threading.Thread(target=lambda: found.append(there.read(MASK)))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    s3.tell("up")
    thread.join()
    assert found == [b"pixels"]


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        ("403 AccessDenied", "denies access"),
        ("403 RequestTimeTooSkewed", "the clock of this machine is wrong"),
        ("403 InvalidAccessKeyId", "does not accept the key"),
        ("403 SignatureDoesNotMatch", "does not accept the key"),
        ("400 InvalidRequest", "refused a request (InvalidRequest)"),
    ],
)
def test_a_refusal_is_one_sentence_without_secrets(s3, machines, refusal, sentence):
    here = machines[0]
    here.write(MASK, b"pixels")
    s3.tell(f"refuse {refusal}")
    for use in (here.read, here.version, here.size, here.keys, here.listing, here.delete):
        with pytest.raises(StoreFailed) as failure:
            use(MASK)
        said = str(failure.value)
        if use not in (here.version, here.size):  # a refusal of HEAD has no body that says why
            assert sentence in said
        assert "never-to-be-shown" not in said and "127.0.0.1" not in said and said.endswith(".") and "\n" not in said
    with pytest.raises(StoreFailed):
        here.write(MASK, b"other")
    s3.tell("well")
    assert here.read(MASK) == b"pixels"


def test_a_bucket_that_is_absent_and_an_address_where_nobody_answers_are_named(s3, tmp_path, monkeypatch):
    absent = ObjectStore("s3://nowhere/here", tmp_path, patience_s=0.5)
    with pytest.raises(StoreFailed, match=r"There is no bucket for STORE_URL=s3://nowhere/here\."):
        absent.listing(stored.RUNS)
    with pytest.raises(StoreFailed, match="There is no bucket"):
        absent.write(MASK, b"")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreFailed, match="does not respond"):
        ObjectStore("s3://nowhere/there", tmp_path, patience_s=0.5).read(MASK)


@pytest.mark.parametrize("url", ["http://host/bucket", "file:///tmp", "bucket", "s3://key:secret@bucket", "s3://b?x=1"])
def test_an_address_that_is_no_object_store_is_refused(url):
    with pytest.raises(ValueError, match="it must be s3://, gs:// or az://"):
        Settings(store_url=url)
