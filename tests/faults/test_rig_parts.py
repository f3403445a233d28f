"""The rig's own parts do what they say: a disk that is full, by either way, and a clock that is wrong."""

import errno
import os
import pickle
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.disk import Disk
from tests.faults.rig import CHILD

WRITER = """
import sys
for line in sys.stdin:
    try:
        with open(sys.argv[1], "wb") as file:
            file.write(bytes(200_000))
        print(0, flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""
CLOCK = """
import pickle, sys, time
from datetime import UTC, datetime
assert isinstance(datetime.now(UTC), datetime) and type(datetime.now()) is datetime
for line in sys.stdin:
    print(pickle.dumps((time.time(), datetime.now(UTC), time.monotonic())).hex(), flush=True)
"""


def asking(script, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def answer(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.parametrize("may_mount", [True, False])
def test_a_full_disk_takes_nothing_more_until_it_is_freed(tmp_path, may_mount):
    disk = Disk(tmp_path / "data", size_mb=4)  # without root the same as with may_mount False
    if not may_mount:
        disk.close()
        disk.mounted = False
    try:
        with asking(WRITER, str(tmp_path / "data" / "file")) as writer:
            assert answer(writer) == "0"
            (tmp_path / "data" / "file").unlink()
            disk.fill(16 * 1024, lambda: [writer.pid])
            assert answer(writer) == str(errno.ENOSPC if disk.mounted else errno.EFBIG)
            disk.free(lambda: [writer.pid])
            assert answer(writer) == "0"
            writer.stdin.close()
    finally:
        disk.close()


def test_a_moved_clock_is_wrong_by_so_much_and_monotonic_time_is_not(tmp_path):
    (tmp_path / "worker").write_text("-3600")
    with asking(CLOCK, PYTHONPATH=str(CHILD), FAULTS_CLOCK=str(tmp_path)) as process:
        for offset_s in (-3600, 3600, 0):
            (tmp_path / "worker").write_text(str(offset_s))
            time.sleep(0.3)
            seconds, now, monotonic_s = pickle.loads(bytes.fromhex(answer(process)))
            assert abs(seconds - time.time() - offset_s) < 30
            assert abs(now - datetime.now(UTC) - timedelta(seconds=offset_s)) < timedelta(seconds=30)
            assert abs(monotonic_s - time.monotonic()) < 30
        process.stdin.close()
