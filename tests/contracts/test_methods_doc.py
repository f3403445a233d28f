"""docs/methods.md and the fields of the methods say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.pseudo_labels.base import Method, markdown_table, methods

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("method", methods().values(), ids=lambda method: method.name)
def test_the_page_has_a_section_and_the_right_parameter_table_for_each_method(method: Method) -> None:
    assert f"## {method.title}\n\n`{method.name}`." in PAGE
    found = re.search(rf"<!-- parameters: {method.name} -->\n(.*?)\n<!-- end of parameters -->", PAGE, re.DOTALL)
    assert found, f"docs/methods.md has no '<!-- parameters: {method.name} -->' table."
    expected = markdown_table(method.params)
    assert found[1] == expected, f"Put this into docs/methods.md under '{method.name}':\n{expected}"


def test_the_page_has_no_table_of_a_method_that_is_gone() -> None:
    assert set(re.findall(r"<!-- parameters: (\w+) -->", PAGE)) == set(methods())
