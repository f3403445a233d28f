"""moto's S3 server in a process of its own: it can be taken away, slowed and made to refuse, and keeps its files.

Run as a module it obeys lines on standard input: "slow SECONDS", "refuse STATUS CODE", "down", "up" and "well".
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.installation import REPOSITORY

HEADER = "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
ERROR = "<Error><Code>{}</Code><Message>As a test wishes.</Message></Error>"


@dataclass
class S3Server:
    """A running server: its address, and the variables by which obstore finds it."""

    process: subprocess.Popen[str]
    address: str
    buckets: int = field(default=0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "never-to-be-shown",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """Make a bucket; return its URL."""
        self.buckets += 1
        name = f"bucket-{self.buckets}"
        request = urllib.request.Request(
            f"{self.address}/{name}", data=b"", method="PUT", headers={"Authorization": HEADER}
        )
        urllib.request.urlopen(request, timeout=30).close()
        return f"s3://{name}/maskloom"

    def tell(self, command: str) -> None:
        """Give a command and wait until it is obeyed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def requests(self) -> dict[str, int]:
        """Return how many requests of each method came so far."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("requests\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


@contextmanager
def running_s3_server() -> Iterator[S3Server]:
    """Run a server until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.s3_server"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        port = process.stdout.readline().strip()
        assert port.isdecimal(), "moto's server did not start: see requirements-s3.txt"
        yield S3Server(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.communicate()


class _Faulty:
    """A WSGI application before moto's that does what it was told."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.slow_s, self.refusal, self.down = 0.0, ("", ""), False
        self.counts: dict[str, int] = {}

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        method = environ["REQUEST_METHOD"]
        self.counts[method] = self.counts.get(method, 0) + 1
        time.sleep(self.slow_s)
        if self.down:
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        status, code = self.refusal
        if status:
            start(f"{status} Refused", [("Content-Type", "application/xml")])
            return [ERROR.format(code).encode()]
        return self._application(environ, start)


def main() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import BaseWSGIServer, make_server

    faulty = _Faulty(DomainDispatcherApplication(create_backend_app))
    server: BaseWSGIServer | None = None
    port = 0

    def serve() -> BaseWSGIServer:
        while True:
            try:
                made = make_server("127.0.0.1", port, faulty, threaded=True)
                break
            except (OSError, SystemExit):  # something else has the port for a moment
                time.sleep(0.05)
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return made

    server = serve()
    port = server.port
    print(port, flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "requests":
            print(json.dumps(faulty.counts), flush=True)
            continue
        if command == "slow":
            faulty.slow_s = float(arguments[0])
        elif command == "refuse":
            faulty.refusal = (arguments[0], arguments[1])
        elif command == "down" and server is not None:
            faulty.down = True
            server.shutdown()
            server.server_close()
            server = None
        if command in ("up", "well"):
            faulty.slow_s, faulty.refusal, faulty.down = 0.0, ("", ""), False
            server = server or serve()
        print("done", flush=True)


if __name__ == "__main__":
    main()
