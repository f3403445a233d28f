"""The documentation site builds without a warning: no link or anchor of docs/, README.md and the like is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def warnings_of(sources: Path, target: Path) -> str:
    """Return what `make docs` would warn of."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", sources / "docs"]
    done = subprocess.run([*command, sources, target], capture_output=True, text=True, encoding="utf-8", cwd=ROOT)
    assert (done.returncode == 0) == (not done.stderr)
    return done.stderr


def test_no_link_is_broken(tmp_path):
    assert warnings_of(ROOT, tmp_path) == ""


def test_every_kind_of_broken_link_is_reported(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(ROOT / "docs/conf.py", docs)
    (docs / "index.md").write_text("# Index\n\n```{toctree}\n../README\n```\n")
    broken = ["docs/no-page.md", "docs/index.md#no-heading", "#no-anchor", "engine/no_module.py", "docs/no-folder/"]
    links = " ".join(f"[link]({target})" for target in broken)
    (tmp_path / "README.md").write_text(f"# Overview\n\n{links} ![image](docs/no-image.webp)\n")
    (docs / "forgotten.md").write_text("# A page that no table of contents names\n")
    warnings = warnings_of(tmp_path, tmp_path / "built")
    for name in ("no-page", "no-heading", "no-anchor", "no_module", "no-folder", "no-image", "forgotten"):
        assert name in warnings
