"""Which way imports run (docs/architecture.md): read with `ast`, so that an import inside a function counts too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TENSORFLOW_HOMES = ("engine/model/", "engine/training/", "engine/predict.py")
ENTRY_POINTS = ("engine/worker.py", "engine/cli/")
HEAVY = ("engine.model", "engine.training", "engine.predict")


def files(*folders: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(file: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def reaches(name: str, targets: tuple[str, ...]) -> bool:
    return any(name == target or name.startswith(f"{target}.") for target in targets)


def offenders(file: str, *targets: str) -> set[str]:
    return {name for name in imports(file) if reaches(name, targets)}


@pytest.mark.parametrize("file", files("engine"))
def test_engine_knows_no_web_and_reaches_the_database_only_from_its_entry_points(file):
    assert not offenders(file, "streamlit", "dashboard")
    if not file.startswith(ENTRY_POINTS):
        assert not offenders(file, "db", "sqlalchemy")


@pytest.mark.parametrize("file", files("engine", "dashboard", "db"))
def test_tensorflow_lives_in_three_places(file):
    if not file.startswith(TENSORFLOW_HOMES):
        assert not offenders(file, "tensorflow", "keras")


@pytest.mark.parametrize("file", files("db"))
def test_db_knows_neither_engine_nor_web(file):
    assert not offenders(file, "engine", "dashboard", "streamlit", "tensorflow", "numpy")


@pytest.mark.parametrize("file", files("dashboard"))
def test_dashboard_never_reaches_the_training_half(file):
    assert not offenders(file, *HEAVY)
    assert not offenders(file, "engine.jobs", "engine.worker")
    if file != "dashboard/command.py":  # the entry point of an installed package, which no page imports
        assert not offenders(file, "engine.cli", "dashboard.command")


@pytest.mark.parametrize("file", files("dashboard/viewmodels"))
def test_viewmodels_know_no_streamlit(file):
    assert not offenders(file, "streamlit", "dashboard.resources", "dashboard.views", "dashboard.components")
