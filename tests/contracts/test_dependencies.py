"""Every dependency is pinned and justified in docs/dependencies.md, and whatever is imported is declared."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
S3 = "requirements-s3.txt"


def pins(file: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("-")]


ALL = ("requirements.txt", "requirements-dev.txt", S3, "constraints.txt")


@pytest.mark.parametrize("pin", [pin for file in ALL for pin in pins(file)])
def test_every_requirement_is_pinned(pin):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+==[^=\s]+(\s*;.*)?", pin)


def test_the_page_lists_exactly_what_is_required():
    required = {pin.split("==")[0].lower() for file in ALL[:3] for pin in pins(file)}
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| ([a-z][a-z0-9-]+) \|", page, re.M))
    assert listed == required


PRODUCTION = ("dashboard", "engine", "db")
OURS = {*PRODUCTION, "tests", "benchmarks"}
OPTIONAL = {"torch", "pi_heif", "optuna", "ray", "obstore", "s3fs"}
"""benchmarks/torch_unet.py runs only where PyTorch is installed, part of benchmarks/object_store.py where s3fs is;
pi-heif, Optuna, Ray and obstore come with the extras maskloom[heic], maskloom[sweeps], maskloom[ray] and
maskloom[objects]."""
NAMESPACES = {"google.protobuf": "protobuf"}
"""Packages of several distributions below one name."""


def imported_modules(source: str) -> set[str]:
    """Return the modules that import statements name, also those inside functions; relative imports are left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def distribution(module: str, known: dict[str, list[str]]) -> str:
    """Return the normalized name of the distribution that provides a module; its own name if none is installed."""
    for namespace, name in NAMESPACES.items():
        if module.startswith(namespace):
            return name
    top = module.partition(".")[0]
    return known.get(top, [top])[0].lower().replace("_", "-")


def undeclared(folders: tuple[str, ...], declared: set[str]) -> dict[str, str]:
    """Return {distribution: a file that imports it} for what is imported below some folders and not declared."""
    known = packages_distributions()
    missing = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for module in imported_modules(path.read_text(encoding="utf-8")):
                if module.partition(".")[0] not in sys.stdlib_module_names | OURS | OPTIONAL:
                    missing[distribution(module, known)] = path.relative_to(ROOT).as_posix()
    return {name: file for name, file in missing.items() if name not in declared}


def test_messages_name_the_pins_of_the_optional_packages():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    sources = (path.read_text(encoding="utf-8") for name in PRODUCTION for path in (ROOT / name).rglob("*.py"))
    said = {pin for source in sources for pin in re.findall(r"pip install '([^']*)'", source)}
    assert said == {pin for pins_ in extras.values() for pin in pins_}


def names(*files: str) -> set[str]:
    return {pin.split("==")[0].lower() for file in files for pin in pins(file)}


def test_what_production_code_imports_is_in_requirements_txt():
    assert undeclared(PRODUCTION, names("requirements.txt")) == {}


def test_what_tests_and_benchmarks_import_is_in_the_requirements():
    assert undeclared(("tests", "benchmarks"), names("requirements.txt", "requirements-dev.txt", S3)) == {}


def test_an_undeclared_import_is_reported():
    assert set(undeclared(("db",), names("requirements.txt") - {"alembic"})) == {"alembic"}


def test_what_is_required_is_among_the_constraints():
    assert {pin.lower() for file in ("requirements.txt", "requirements-dev.txt") for pin in pins(file)} <= {
        pin.lower() for pin in pins("constraints.txt")
    }
