"""Scores of label methods and of their label-free quality against truth, and how the command line reports them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import labels as bench
from engine.core.settings import Settings
from engine.imaging import codec
from engine.labelling.base import methods
from engine.labelling.mask_shapes import MaskShape
from engine.labelling.quality import Quality
from tests.support import verdict_kinds


def judged(score: float, dice: float, *, clear: bool = True) -> bench.Judged:
    shape = MaskShape(area=0.1, contact=0.0, grid=bytes(128))
    return bench.Judged(Quality(score, {"edges": score, "area": 1.0}, clear, shape), dice, precision=dice / 2)


def test_correlations_and_what_dropping_the_worst_fifth_gains() -> None:
    masks = [judged(0.1, 0.0, clear=False), *(judged(score, score) for score in (0.5, 0.6, 0.7, 0.8))]
    trust = bench.summarise(masks)
    assert trust["spearman"] == pytest.approx(1)
    assert trust["parts"] == {"edges": pytest.approx(1), "area": None}  # where all are the same there is no order
    assert (trust["dice"], trust["kept_dice"]) == pytest.approx((0.52, 0.65))
    assert (trust["precision"], trust["kept_precision"]) == pytest.approx((0.26, 0.325))
    assert (trust["unclear"], trust["unclear_dice"]) == (1, 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("images", "truth"):
        (tmp_path / part).mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        truth = cv2.circle(np.zeros((60, 80), np.uint8), (30 + 8 * index, 30), 14 + index, 255, -1)
        grey = truth // 2 + 40 + rng.normal(0, 8 * index + 1, truth.shape)
        image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        (tmp_path / "images" / f"{index}.png").write_bytes(codec.encode_png(image))
        (tmp_path / "truth" / f"{index}.png").write_bytes(codec.encode_png(truth))
    return tmp_path


def test_the_command_computes_scores_and_prints_a_table_or_json(folder: Path) -> None:
    command = ["quality", str(folder), "--method", "threshold"]
    printed = json.loads(CliRunner().invoke(bench.app, ["--json", *command]).stdout)
    assert printed["images"] == 3
    assert printed["dice"] > 0.9
    assert printed["unclear"] == 0
    report = CliRunner().invoke(bench.app, command).stdout
    assert " cores of " in report.splitlines()[0]  # the machine
    assert f"spearman        {printed['spearman']:.4g}" in report


def test_methods_are_scored_on_one_part_of_the_folder(folder: Path) -> None:
    rows = bench.scores(folder, ["threshold", "kmeans"], part="even")
    assert [(row["method"], row["images"]) for row in rows] == [("threshold", 2), ("kmeans", 2)]
    assert all(row["iou"] < row["dice"] <= 1 for row in rows)


@pytest.mark.slow
def test_all_methods_are_scored_but_those_that_lack_strokes_or_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.store.opening.settings", lambda: Settings(data_root=folder))
    rows = bench.scores(folder, part="odd")
    assert {row["method"] for row in rows} == set(methods()) - {"strokes", "deep_features"}
    noted = capsys.readouterr().err
    assert "Without strokes: " in noted and "Without deep_features: This method needs pretrained weights." in noted


@pytest.mark.slow
def test_the_verdict_on_a_folder_is_on_the_images_that_automatic_tries(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [row] = bench.verdicts_([folder], drawn=False)
    assert (row["set"], row["verdict"]) == (folder.name, "trust")
    assert row["dice"] > 0.9 and row["right"]
    assert f"{folder.name}: {row['chosen']}" in capsys.readouterr().err


def test_a_folder_with_nothing_to_rank_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match="fewer than two pairs"):
        bench.quality(folder, "threshold", part="odd")
    for path in (folder / "truth").iterdir():
        path.unlink()
    with pytest.raises(SystemExit, match="no pair of images"):
        bench.quality(folder, "threshold")


def test_a_verdict_is_right_by_the_dice_and_its_limits_are_checked_on_other_sets() -> None:
    rows = [
        {"trust": trust, "wanted": wanted}
        for trust, wanted in ((0.9, "trust"), (0.7, "trust"), (0.55, "look"), (0.3, "unclear"), (0.1, "unclear"))
    ]
    trusted, unclear = bench._best_limits(rows)
    assert 0.55 < trusted < 0.7
    assert 0.3 < unclear < 0.55
    assert bench._best_limits([])[0] > 0


def test_the_twelve_drawn_kinds_have_images_with_truth_that_depend_on_the_index_alone() -> None:
    assert len(verdict_kinds.DOABLE) == len(verdict_kinds.HOPELESS) == 6
    for kind in verdict_kinds.KINDS.values():
        image, truth = kind(3)
        assert (image == kind(3)[0]).all()
        assert image.shape == (*truth.shape, 3)
        assert 0 < truth.mean() < 0.5
