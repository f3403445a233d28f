"""Uploads over HTTP: what is taken, where it lies, and what is refused."""

from __future__ import annotations

import socket
import time
from urllib.parse import quote

import pytest

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.server.uploads import staged_name
from db.columns import new_id
from engine.core.settings import settings
from tests.support.serving import serving

OURS = {"x_maskloom_upload": "1"}


@pytest.fixture
def served(dashboard):
    with serving() as server:
        yield server


def post(served, token, path, body, **headers):
    return served.ask(f"{urls.upload(token)}?path={quote(path)}", "POST", body, **{**OURS, **headers})


def test_files_lie_in_the_uploads_folder_under_their_own_names(served):
    token = resources.issue_upload()
    big = bytes(range(256)) * 16_000
    assert post(served, token, "images/küche 1.jpg", b"one").status == 200
    assert post(served, token, "masks/küche 1.png", big).status == 200
    assert resources.uploaded_files(token) == (("images/küche 1.jpg", 3), ("masks/küche 1.png", len(big)))
    assert (resources.upload_folder(token) / "masks" / "küche 1.png").read_bytes() == big


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("..\\..\\app.db", "app.db"),
        ("a/./b//c.png", "a/b/c.png"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("CON.png", "_CON.png"),
        ("a\x00b:c.png", "a_b_c.png"),
        ("подсолнух/花.png", "подсолнух/花.png"),
        (".hidden.png", "hidden.png"),
    ],
)
def test_no_name_climbs_out_hides_or_is_one_that_windows_keeps(path, expected):
    assert staged_name(path).as_posix() == expected


def test_a_very_long_name_keeps_its_suffix():
    name = staged_name("花" * 300 + ".jpeg").name
    assert name.endswith(".jpeg") and len(name.encode()) <= 200


def test_a_token_that_was_not_issued_is_refused(served):
    answer = post(served, new_id(), "a.png", b"x")
    assert answer.status == 410 and b"Reload" in answer.body
    assert post(served, "..", "a.png", b"x").status in (404, 410)


def test_one_file_is_removed_and_the_others_stay(served):
    token = resources.issue_upload()
    post(served, token, "a.png", b"one")
    post(served, token, "b.png", b"two")
    assert served.ask(f"{urls.upload(token)}?path=a.png", "DELETE", b"", **OURS).status == 200
    assert served.ask(f"{urls.upload(token)}?path=../../app.db", "DELETE", b"", **OURS).status == 200
    assert resources.uploaded_files(token) == (("b.png", 3),)
    assert (settings().data_root / "app.db").exists()
    resources.close_upload(token)
    assert post(served, token, "c.png", b"late").status == 410 and resources.uploaded_files(token) == (("b.png", 3),)


def test_another_site_cannot_upload(served):
    token = resources.issue_upload()
    address = f"{urls.upload(token)}?path=a.png"
    assert served.ask(address, "POST", b"x").status == 403
    assert served.ask(address, "POST", b"x", **OURS, origin="https://elsewhere.example").status == 403
    assert served.ask(address, "POST", b"x", **OURS, sec_fetch_site="cross-site").status == 403
    assert served.ask(address, "POST", b"x", **OURS, origin=f"http://127.0.0.1:{served.port}").status == 200
    assert resources.uploaded_files(token) == (("a.png", 1),)


def test_more_than_the_limit_is_refused_and_leaves_nothing_half_written(served, monkeypatch):
    monkeypatch.setenv("UPLOAD_LIMIT_MB", "1")
    settings.cache_clear()
    token = resources.issue_upload()
    assert post(served, token, "a.png", bytes(900_000)).status == 200
    answer = post(served, token, "b.png", bytes(200_000))
    assert answer.status == 413 and b"1 MB" in answer.body
    assert resources.uploaded_files(token) == (("a.png", 900_000),)


def test_cancelling_discards_what_came_in(served):
    token = resources.issue_upload()
    post(served, token, "a.png", b"x")
    assert served.ask(urls.upload(token), "DELETE", **OURS).status == 200
    assert resources.uploaded_files(token) == () and resources.knows_upload(token)


@pytest.fixture
def token_of_one_mb(monkeypatch):
    monkeypatch.setenv("UPLOAD_LIMIT_MB", "1")
    settings.cache_clear()
    return resources.issue_upload()


def break_off(served, token, path, announced, sent):
    """Send the beginning of a file, and close the connection."""
    head = (
        f"POST {urls.upload(token)}?path={path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nX-Maskloom-Upload: 1\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(f"{head}Content-Length: {announced}\r\n\r\n".encode() + bytes(sent))


def test_what_was_replaced_failed_or_broke_off_does_not_count(served, token_of_one_mb):
    token = token_of_one_mb
    assert [post(served, token, "a.png", bytes(600_000)).status for _ in range(3)] == [200, 200, 200]
    break_off(served, token, "b.png", 399_000, 300_000)
    assert post(served, token, "c.png", iter([bytes(300_000), bytes(900_000)])).status == 413  # without a length
    deadline = time.monotonic() + 30
    while post(served, token, "d.png", bytes(400_000)).status != 200:  # until the server has noticed what broke off
        assert time.monotonic() < deadline
    assert post(served, token, "e.png", b"x").status == 413
    served.ask(f"{urls.upload(token)}?path=d.png", "DELETE", b"", **OURS)
    assert post(served, token, "e.png", bytes(400_000)).status == 200


def test_the_limit_and_a_full_disk_are_two_sentences(served, token_of_one_mb, monkeypatch):
    refused = post(served, token_of_one_mb, "a.png", bytes(1_100_000))
    assert (refused.status, b"UPLOAD_LIMIT_MB" in refused.body, b"disk" in refused.body) == (413, True, False)
    monkeypatch.setattr(resources, "spare_disk_bytes", lambda: 10)
    refused = post(served, token_of_one_mb, "a.png", bytes(100))
    assert (refused.status, b"UPLOAD_LIMIT_MB" in refused.body, b"disk" in refused.body) == (507, False, True)


def test_files_and_folders_of_one_name_lie_beside_each_other(served):
    token = resources.issue_upload()
    for path in ("a/one.png", "a", "A", "b", "b/two.png", "b/three.png"):
        assert post(served, token, path, path.encode()).status == 200
    found = {
        (resources.upload_folder(token) / name).read_bytes().decode(): name
        for name, _ in resources.uploaded_files(token)
    }
    assert found == {
        "a/one.png": "a/one.png",
        "a": "a-2",
        "A": "A-3",
        "b": "b",
        "b/two.png": "b-2/two.png",
        "b/three.png": "b-2/three.png",
    }
