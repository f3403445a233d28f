"""The harness of the benchmarks: turns that are fair, tables that can be pasted, and an exit code for a failure."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from benchmarks.harness import Failed, in_turns, suite, table


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
