"""Every dependency is pinned to one version and justified in docs/dependencies.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def pins(file: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("pin", pins("requirements.txt") + pins("requirements-dev.txt") + pins("constraints.txt"))
def test_every_requirement_is_pinned(pin):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+==[^=\s]+(\s*;.*)?", pin)


def test_the_page_lists_exactly_what_is_required():
    required = {pin.split("==")[0].lower() for pin in pins("requirements.txt") + pins("requirements-dev.txt")}
    page = (ROOT / "docs/dependencies.md").read_text()
    listed = set(re.findall(r"^\| ([a-z][a-z0-9-]+) \|", page, re.M))
    assert listed == required
