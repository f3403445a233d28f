"""The nginx and Caddy configurations of docs/how-to/share-with-others.md, run as they stand there.

Only names, ports and certificates are replaced. Skipped where Debian's nginx or caddy is not installed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.access.token_cookie import TRIES
from dashboard.facts import urls
from tests.support.entering import ACCESS_TOKEN
from tests.support.installation import REPOSITORY
from tests.support.running_app import free_port, running

HOST = "masks.example.org"
PAGE = REPOSITORY / "docs" / "how-to" / "share-with-others.md"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "streamlit",
}


def documented(language: str, port: int, app_port: int) -> str:
    """Return the configuration of the page, for `port` without a certificate, in front of the app."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    block = block.replace("127.0.0.1:8501", f"127.0.0.1:{app_port}")
    if language == "caddy":
        return block.replace(f"{HOST} {{", f"http://{HOST}:{port} {{").replace("{\n", "{\n    admin off\n", 1)
    block = re.sub(r" +ssl_certificate.*\n", "", block)
    return block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")


def nginx(folder: Path, port: int, app_port: int) -> list[str]:
    """Return the command that runs nginx in `folder`, as a main configuration would include the documented file."""
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{each}_temp_path {folder}/{each};" for each in places)
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}\n{documented('nginx', port, app_port)}\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]


def caddy(folder: Path, port: int, app_port: int) -> list[str]:
    (folder / "Caddyfile").write_text(documented("caddy", port, app_port))
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@pytest.fixture(scope="module", params=[nginx, caddy])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a proxy in front of a running app with a token."""
    if shutil.which(request.param.__name__) is None:
        pytest.skip(f"{request.param.__name__} is not installed")
    folder = tmp_path_factory.mktemp("proxy")
    with running(folder / "data", ACCESS_TOKEN=ACCESS_TOKEN, ALLOWED_HOSTS=HOST) as app:
        port = free_port()
        command = request.param(folder, port, int(app.address.rpartition(":")[2]))
        with (folder / "proxy.log").open("wb") as log:
            environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
            proxy = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(port, proxy, folder / "proxy.log")
            yield port
        finally:
            proxy.terminate()
            proxy.wait(timeout=60)


def wait_for(port: int, proxy: subprocess.Popen[bytes], log: Path) -> None:
    while proxy.poll() is None:
        with contextlib.suppress(OSError):
            assert ask(port, "GET", "/_stcore/health")[0] == 200
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": HOST, **named})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def log_in(port: int, token: str, **headers: str) -> tuple[int, dict[str, str]]:
    return ask(port, "POST", "/access", f"token={token}".encode(), **FORM, **headers)


def test_pages_live_connections_and_large_uploads_pass(port):
    assert ask(port, "GET", "/datasets")[0] == 401
    status, headers = log_in(port, ACCESS_TOKEN)
    assert status == 303
    cookie = headers["set-cookie"].partition(";")[0]
    assert ask(port, "GET", "/datasets", Cookie=cookie)[0] == 200
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    origin = {"Origin": f"http://{HOST}", "Host": HOST, "Cookie": cookie}
    connection.request("GET", "/_stcore/stream", headers={**SOCKET, **origin})
    assert connection.getresponse().status == 101
    connection.close()
    large = ask(port, "POST", urls.upload("0" * 32), bytes(20_000_000), Cookie=cookie, X_Maskloom_Upload="1")
    assert large[0] == 410, "the app refuses the unknown upload, not the proxy the size"


def test_a_forged_address_is_not_believed_and_nobody_is_locked_out(port):
    found = [log_in(port, "wrong", X_Forwarded_For=f"203.0.113.{number}")[0] for number in range(TRIES + 3)]
    assert found == [401] * TRIES + [429] * 3
    assert log_in(port, ACCESS_TOKEN)[0] == 303
