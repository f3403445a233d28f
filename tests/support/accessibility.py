"""Accessibility of a page in a real browser, by axe-core."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {"label-content-name-mismatch": {"enabled": True}},  # experimental, and so left out of its tags
    "resultTypes": ["violations"],
}
GRAVE = {"critical", "serious", "moderate"}
BY_STREAMLIT: dict[str, tuple[str, ...]] = {}
"""Rules of axe-core, and parts of the selectors of elements whose markup is Streamlit's own and cannot be changed."""


def axe_findings(page: Page) -> list[str]:
    """Return what axe-core finds on a page as it is shown: impact, rule, selector and snippet of each element."""
    violations = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{found['impact']} {found['id']}: {node['target']} {node['html'][:200]} {node['failureSummary'][:300]!r}"
        for found in violations
        if found["impact"] in GRAVE
        for node in found["nodes"]
        if not any(part in str(node["target"]) for part in BY_STREAMLIT.get(found["id"], ()))
    ]
