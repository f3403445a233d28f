"""A batch scheduler in one file: `fake_scheduler.py FOLDER --mem=N --wrap COMMAND` queues a command and returns.

It starts the command once FOLDER/open exists. A file FOLDER/refuse lets it refuse, and FOLDER/lose forget, the next
submission. What it was called with stands in FOLDER/submitted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    folder = Path(sys.argv[1])
    with (folder / "submitted").open("a") as file:
        file.write(repr(sys.argv[2:]) + "\n")
    if (folder / "refuse").exists():
        print("Submitting …\nerror: invalid partition 'gpu'", file=sys.stderr)
        return 1
    if (folder / "lose").exists():
        (folder / "lose").unlink()
        return 0
    command = sys.argv[sys.argv.index("--wrap") + 1]
    if os.fork() == 0:
        os.setsid()
        while not (folder / "open").exists():
            time.sleep(0.05)
            if not folder.exists():
                return 0
        with (folder / "output").open("ab") as output:
            process = subprocess.Popen(["sh", "-c", f"exec {command}"], stdout=output, stderr=output)
        with (folder / "pids").open("a") as file:
            file.write(f"{process.pid}\n")
        process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
