"""The harness of the benchmarks: fair turns, tables that can be pasted, exit codes, and documented commands."""

from __future__ import annotations

import importlib
import json
import re

import typer
from typer.testing import CliRunner

from benchmarks.harness import Failed, in_turns, suite, table
from tests.support.installation import REPOSITORY


def test_every_second_round_goes_the_other_way_round_and_values_keep_their_names() -> None:
    asked: list[str] = []
    turns = in_turns(3, ours=lambda: asked.append("ours") or 1.0, peer=lambda: asked.append("peer") or 2.0)
    assert asked == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert turns == [{"ours": 1.0, "peer": 2.0}] * 3


def test_rows_are_a_markdown_table_and_one_row_a_list_of_figures() -> None:
    assert table([{"name": "a", "share": 0.123456}, {"name": "bb", "share": None}]).splitlines() == [
        "| name | share  |",
        "|------|--------|",
        "| a    | 0.1235 |",
        "| bb   | none   |",
    ]
    assert table({"images": 10_000, "equal": True, "each": [1.5, 2]}).splitlines() == [
        "images  10,000",
        "equal   yes",
        "each    1.5, 2",
    ]


def test_a_failed_measurement_is_reported_and_ends_with_1() -> None:
    app = suite("A benchmark.")
    app.command("good")(lambda: {"figure": 1})
    app.command("bad")(lambda: Failed([{"figure": 1}]))
    results = [CliRunner().invoke(app, ["--json", name]) for name in ("good", "bad")]
    assert [result.exit_code for result in results] == [0, 1]
    assert [json.loads(result.stdout) for result in results] == [{"figure": 1}, [{"figure": 1}]]


def test_every_command_in_the_documentation_exists_and_every_benchmark_is_in_it() -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    text = " ".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"python -m benchmarks\.(\w+)\s+(\w[\w-]*)", text))
    assert text.count("python -m benchmarks.") == len(re.findall(r"python -m benchmarks\.\w+\s+\w", text))
    files = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py")}
    modules = files - {"__init__", "harness", "torch_unet"}
    assert {module for module, _ in named} == modules
    for module, command in named:
        app = importlib.import_module(f"benchmarks.{module}").app
        assert command in typer.main.get_command(app).commands, f"{module} {command}"
