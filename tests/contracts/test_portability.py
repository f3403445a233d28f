"""Training works on Windows: no module needs one that only POSIX systems have when it is imported."""

import subprocess
import sys

import pytest

from tests.support.installation import REPOSITORY

IMPORT_ALL = """
import builtins, importlib, pkgutil
original = builtins.__import__

def without_posix(name, globals=None, *rest, **options):
    # Only for our modules: libraries choose by the platform that they run on
    ours = (globals or {}).get("__name__", "").partition(".")[0] in ("engine", "dashboard", "db")
    if ours and name in ("resource", "fcntl", "pwd", "grp", "termios", "pty", "tty", "syslog"):
        raise ImportError(f"{globals['__name__']} imports {name}")
    return original(name, globals, *rest, **options)

builtins.__import__ = without_posix
import dashboard, db, engine
for package in (dashboard, db, engine):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(("__main__", ".page", ".app", ".navigation")):  # those are run, not imported
            importlib.import_module(module.name)
print("imported")
"""


@pytest.mark.slow
def test_every_module_is_imported_without_posix_only_modules():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=REPOSITORY, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.strip().endswith("imported"), done.stderr[-2000:]
