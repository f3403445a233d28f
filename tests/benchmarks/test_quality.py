"""The command that says whether the label-free quality can be trusted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import quality as bench
from engine.imaging import codec
from engine.labelling.quality import Quality


def judged(score: float, dice: float, *, clear: bool = True) -> bench.Judged:
    return bench.Judged(Quality(score, {"edges": score, "area": 1.0}, clear), dice, precision=dice / 2)


def test_correlations_and_what_dropping_the_worst_fifth_gains() -> None:
    masks = [judged(0.1, 0.0, clear=False), *(judged(score, score) for score in (0.5, 0.6, 0.7, 0.8))]
    trust = bench.summarise(masks, "drawn", "all", "threshold", "")
    assert trust.spearman == 1
    assert trust.parts == {"edges": 1.0, "area": None}  # where all are the same there is no order
    assert (trust.dice, trust.kept_dice) == (0.52, 0.65)
    assert (trust.precision, trust.kept_precision) == (0.26, 0.325)
    assert (trust.unclear, trust.unclear_dice) == (1, 0.0)


def test_the_command_draws_judges_and_prints(tmp_path: Path, monkeypatch, capsys) -> None:
    for folder in ("images", "truth"):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        truth = cv2.circle(np.zeros((60, 80), np.uint8), (30 + 8 * index, 30), 14 + index, 255, -1)
        image = truth // 2 + 40 + rng.normal(0, 8 * index + 1, truth.shape)
        picture = np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        (tmp_path / "images" / f"{index}.png").write_bytes(codec.encode_png(picture))
        (tmp_path / "truth" / f"{index}.png").write_bytes(codec.encode_png(truth))
    monkeypatch.setattr(sys, "argv", ["quality", str(tmp_path), "--method", "threshold", "--json"])
    bench.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["images"] == 3
    assert printed["dice"] > 0.9
    assert printed["unclear"] == 0
    monkeypatch.setattr(sys, "argv", ["quality", str(tmp_path), "--method", "threshold"])
    bench.main()
    assert "Spearman of quality against Dice" in capsys.readouterr().out


def test_a_folder_with_nothing_to_rank_is_refused(tmp_path: Path) -> None:
    for folder in ("images", "truth"):
        (tmp_path / folder).mkdir()
    with pytest.raises(SystemExit, match="fewer than two pairs"):
        bench.judge(tmp_path, "all", 1, "threshold", {}, 0)
