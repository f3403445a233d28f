"""Which way imports run (docs/architecture.md). Read with `ast`, so that an import inside a function counts too.

Each test lists every offender as "file: imported module".
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEB = ("streamlit", "starlette", "dashboard")
DATABASE = ("db", "sqlalchemy")
TENSORFLOW = ("tensorflow", "keras")
LATE = (*TENSORFLOW, "scipy", "sklearn", "skimage", "pandas", "alembic", "onnxruntime")
"""What the web process imports when a page, a route or a migration needs it, and not before its first page."""
FIRST_PAGE = """
import json, sys
import dashboard.app
from tests.support.pages import page_at
page = page_at("views/home/page.py").run(timeout=60)
print(json.dumps([page.title[0].value, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
COMMAND = "dashboard/command.py"
"""The entry point of an installed package: `maskloom app` and the command line in one."""
WORKERS = ("engine/work/joining.py", "engine/work/registration.py", "engine/work/sweeps.py", "engine/work/worker.py")
BUILDS_NETWORKS = ("engine/network/", "engine/training/")
LAYERS = (
    {"core"},
    {"store", "imaging"},
    {"network"},
    {"labelling", "datasets"},
    {"prediction", "measuring", "sweeps"},
    {"training"},
    {"exports", "care"},
)
"""Packages of the engine from the lowest up. A package imports only those below it; work and cli may import them all,
and every job module imports `engine.work.context`, which is the contract between a job and its worker."""


def files(*folders: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py"))


def is_for_types_only(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs: naming the type of a row opens no database."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def imports(file: str) -> frozenset[str]:
    names: set[str] = set()
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not is_for_types_only(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def reaches(name: str, targets: Iterable[str]) -> bool:
    return any(name == target or name.startswith(f"{target}.") for target in targets)


def offenders(chosen: Iterable[str], *targets: str) -> list[str]:
    return [f"{file}: {name}" for file in chosen for name in sorted(imports(file)) if reaches(name, targets)]


def opens_the_database(file: str) -> bool:
    return (
        file.startswith(("engine/cli/", "engine/work/launchers/"))
        or file in WORKERS
        or file.endswith(("/job.py", "_job.py"))
    )


def layer(package: str) -> int:
    return next((rank for rank, packages in enumerate(LAYERS) if package in packages), len(LAYERS))


def test_engine_knows_no_web_and_opens_the_database_only_in_jobs_worker_and_cli():
    assert offenders(files("engine"), *WEB) == []
    assert offenders([file for file in files("engine") if not opens_the_database(file)], *DATABASE) == []


def test_engine_packages_import_only_those_below_them():
    upwards = []
    for file in files("engine"):
        package = file.split("/")[1]
        if package in ("work", "cli") or file.count("/") == 1:
            continue
        for name in sorted(imports(file)):
            other = name.split(".")[1] if name.startswith("engine.") else ""
            if not (ROOT / "engine" / other).is_dir():
                continue
            allowed = (
                other in ("", package)
                or layer(other) < layer(package)
                or reaches(name, ("engine.work.context", "engine.work.pace"))
            )
            if not allowed:
                upwards.append(f"{file}: {name}")
    assert upwards == []


def test_tensorflow_stays_where_networks_are_built_and_out_of_the_web_process():
    elsewhere = [file for file in files("engine", "dashboard", "db") if not file.startswith(BUILDS_NETWORKS)]
    assert offenders(elsewhere, *TENSORFLOW) == []
    pages = [file for file in files("dashboard") if file != COMMAND]
    assert offenders(pages, "dashboard.command") == []
    reached: dict[str, str] = dict.fromkeys(pages, "")
    waiting = list(reached)
    while waiting:
        file = waiting.pop()
        for name in imports(file):
            for found in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
                if (ROOT / found).exists() and found not in reached:
                    reached[found] = file
                    waiting.append(found)
    heavy = offenders(sorted(reached), *TENSORFLOW)
    assert [f"{line} (imported by {reached[line.partition(':')[0]]})" for line in heavy] == []


def test_the_first_page_waits_for_no_slow_library(installation):
    environment = {**os.environ, "DATA_ROOT": str(installation.settings.data_root), "DATABASE_URL": ""}
    command = [sys.executable, "-c", FIRST_PAGE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=240)
    title, imported = json.loads(done.stdout)
    assert title == "Maskloom"
    assert [name for name in LATE if name in imported] == []


def test_db_knows_neither_engine_nor_web():
    assert offenders(files("db"), "engine", *WEB, *TENSORFLOW, "numpy") == []


def test_pages_stand_alone_and_facts_know_no_streamlit():
    shared = files("dashboard/ui", "dashboard/server", "dashboard/facts", "dashboard/access")
    assert offenders(shared, "dashboard.views") == []
    for page in sorted(path.parent.name for path in (ROOT / "dashboard/views").glob("*/page.py")):
        others = [f"dashboard.views.{name.name}" for name in (ROOT / "dashboard/views").iterdir() if name.name != page]
        assert offenders(files(f"dashboard/views/{page}"), *others) == []
    facts = [file for file in files("dashboard/views") if file.endswith("facts.py")] + files("dashboard/facts")
    assert offenders(facts, "streamlit", "dashboard.server.resources", "dashboard.ui") == []
