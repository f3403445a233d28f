"""docs/how-to/settings.md names every setting, with the help that stands in the code."""

from pathlib import Path

import pytest

from engine.core.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/settings.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name):
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name.upper()}` |")]
    assert len(rows) == 1
    assert rows[0].endswith(f"| {Settings.model_fields[name].description} |")


def test_no_documented_setting_is_gone():
    documented = {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")}
    assert documented == {name.upper() for name in Settings.model_fields}
