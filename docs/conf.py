"""How Sphinx builds the documentation site (`make docs`). A warning, such as a broken link or anchor, is an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine import VERSION

project = "Maskloom"
copyright = "2026 The Maskloom authors"
version = release = VERSION

# Sources are the whole repository, so that links between README.md, CONTRIBUTING.md and docs/ are checked too.
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "data", "dist"]
html_extra_path = ["site"]

extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"Maskloom {VERSION}"
html_favicon = "../dashboard/icon.svg"
