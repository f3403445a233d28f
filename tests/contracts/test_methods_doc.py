"""The documentation and the declared parameters say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.core.parameters import markdown_table
from engine.core.run_config import PRESETS, WITH_WEIGHTS, RunConfig, flattened
from engine.labelling.base import Method, methods

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "methods.md").read_text(encoding="utf-8")
TRAINING_PAGE = (DOCS / "training.md").read_text(encoding="utf-8")
GROUPS = {name: field.annotation for name, field in RunConfig.model_fields.items() if name != "version"}


@pytest.mark.parametrize("method", methods().values(), ids=lambda method: method.name)
def test_the_page_has_a_section_and_the_right_parameter_table_for_each_method(method: Method) -> None:
    assert f"## {method.title}\n\n`{method.name}`." in PAGE
    found = re.search(rf"<!-- parameters: {method.name} -->\n(.*?)\n<!-- end of parameters -->", PAGE, re.DOTALL)
    assert found, f"docs/methods.md has no '<!-- parameters: {method.name} -->' table."
    expected = markdown_table(method.params)
    assert found[1] == expected, f"Put this into docs/methods.md under '{method.name}':\n{expected}"


def test_the_page_has_no_table_of_a_method_that_is_gone() -> None:
    assert set(re.findall(r"<!-- parameters: (\w+) -->", PAGE)) == set(methods())


@pytest.mark.parametrize("group", GROUPS)
def test_the_training_page_has_the_right_table_for_each_group(group: str) -> None:
    found = re.search(rf"<!-- parameters: {group} -->\n(.*?)\n<!-- end of parameters -->", TRAINING_PAGE, re.DOTALL)
    assert found, f"docs/training.md has no '<!-- parameters: {group} -->' table."
    expected = markdown_table(GROUPS[group])
    assert found[1] == expected, f"Put this into docs/training.md under '{group}':\n{expected}"


def test_the_training_page_says_how_the_presets_differ() -> None:
    presets = PRESETS | {f"{name}, with weights": preset for name, preset in WITH_WEIGHTS.items()}
    flat = [flattened(preset) for preset in presets.values()]
    rows = [[path, *(values[path] for values in flat)] for path in flat[0]]
    lines = [
        f"| `{path}` | {' | '.join(map(str, values))} |"
        for path, *values in rows
        if any(v != values[0] for v in values)
    ]
    found = re.search(r"<!-- presets -->\n(.*?)\n<!-- end of presets -->", TRAINING_PAGE, re.DOTALL)
    expected = "\n".join([f"| Parameter | {' | '.join(presets)} |", "|" + "---|" * (1 + len(presets)), *lines])
    assert found[1] == expected, f"Put this into docs/training.md:\n{expected}"
