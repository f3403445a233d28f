"""Nodes of a real Ray cluster on this machine, as `ray start` starts them, each with one core and little memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PATIENCE_S = 120
OBJECT_STORE_BYTES = 80 * 1024 * 1024
SMALL = ("--block", "--node-ip-address=127.0.0.1", "--num-cpus=1", f"--object-store-memory={OBJECT_STORE_BYTES}")
TOKEN = "a-token-of-the-tests-0123456789abcdef"
"""Whoever has not got it cannot connect."""


class RayNodes:
    """A head and more nodes. Nothing of them is left after `close`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # sockets have short paths
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self.environment = {
            "RAY_ADDRESS": self.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_TMPDIR": str(self._folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "3",
            "RAY_worker_niceness": "0",  # else they starve beside other tests
            "RAY_health_check_timeout_ms": "5000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }
        self._nodes: list[subprocess.Popen[bytes]] = []

    def start(self, head: bool) -> subprocess.Popen[bytes]:
        """Start the head, or another node, wait until it is part of the cluster, and return its process."""
        where = ["--head", f"--port={self._port}", "--include-dashboard=false", "--no-monitor"]
        if not head:
            where = [f"--address={self.address}", "--dashboard-agent-listen-port=0"]
        program = Path(sys.executable).parent / "ray"
        environment = {**os.environ, **self.environment}
        del environment["RAY_ADDRESS"]
        said = self._folder / f"output-{len(self._nodes)}"
        with said.open("wb") as output:
            node = subprocess.Popen(
                [program, "start", *where, *SMALL],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes.append(node)
        if head:
            self.head = node
        deadline = time.monotonic() + PATIENCE_S
        while "Ray runtime started" not in said.read_text():
            assert time.monotonic() < deadline and node.poll() is None, said.read_text()
            time.sleep(0.1)
        return node

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kill a node, as a power cut does: Ray's processes there, and with them what they run."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(node.pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        node.wait()

    def close(self) -> None:
        for node in self._nodes:
            self.kill(node)
        for process in psutil.process_iter(["cmdline"]):  # what Ray detached from its nodes names its folder
            if any(str(self._folder) in part for part in process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
