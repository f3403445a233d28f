"""Several classes on the command line: train, predict, score, and classes that change after a run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.imaging import codec
from tests.support.calling import call
from tests.support.installation import disc

TINY = [
    *("-p", "training.epochs=1", "-p", "training.batch_size=4", "-p", "model.image_size=32"),
    *("-p", "model.base_filters=2", "-p", "model.depth=1"),
]


@pytest.fixture
def command(installation, one_core):
    return lambda *arguments: call(installation.settings, *arguments)


@pytest.fixture
def ask(command):
    def asked(*arguments):
        ended = command(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return asked


@pytest.fixture
def eggs(tmp_path):
    """Six discs; the upper half of each is 127, the lower 255."""
    root = tmp_path / "eggs"
    for number in range(6):
        image, mask = disc(seed=number)
        truth = mask * np.where(np.arange(64) < np.argwhere(mask)[:, 0].mean(), 127, 255)[:, np.newaxis]
        for kind, pixels in (("images", image), ("truth", truth.astype(np.uint8))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"egg {number}.png").write_bytes(codec.encode_png(pixels))
    return root


@pytest.fixture
def run(ask, eggs):
    ask("import", eggs, "--name", "eggs")
    ask("classes", "eggs", "--map", "0=background,127=egg,255=pan")
    return ask("train", "eggs", "--truth", "--name", "both", *TINY)


def test_a_run_of_several_classes_from_training_to_scores(run, command, ask, eggs, tmp_path):
    assert [(entry["class"], entry["name"]) for entry in run["classes"]] == [(1, "egg"), (2, "pan")]
    assert run["val_dice"] == pytest.approx(np.mean([entry["val_dice"] for entry in run["classes"]]))
    (listed,) = ask("runs")
    assert listed == run
    assert "mean validation Dice" in command("runs").stdout and "pan 0." in command("runs").stdout

    out = tmp_path / "masks"
    predicted = ask("predict", "both", eggs / "images", "--out", out, "--probabilities", "--threshold", "0.1")
    assert predicted["classes"] == [{"class": 1, "name": "egg"}, {"class": 2, "name": "pan"}]
    for number in range(6):
        mask = codec.decode_png((out / f"egg {number}.png").read_bytes())
        levels = codec.decode_png((out / "probabilities" / f"egg {number}.png").read_bytes())
        assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1, 2}
        assert np.array_equal(mask > 0, levels >= 26)

    scored = ask("score", out, eggs / "truth", "--classes")
    assert [(entry["class"], entry["name"]) for entry in scored["classes"]] == [(1, "class 1"), (2, "class 2")]
    assert scored["masks_read_as"].startswith("class numbers: 0 = background")
    first, second = (
        [codec.decode_png((folder / f"egg {number}.png").read_bytes()) for number in range(6)]
        for folder in (out, eggs / "truth")
    )
    both = sum(int(((mask == 2) & (truth == 255)).sum()) for mask, truth in zip(first, second, strict=True))
    all_ = sum(int((mask == 2).sum() + (truth == 255).sum()) for mask, truth in zip(first, second, strict=True))
    assert scored["classes"][1]["dice"] == pytest.approx(2 * both / all_)
    assert "  2 class 2: Dice 0." in command("score", out, eggs / "truth", "--classes").stdout


def test_classes_can_be_merged_and_a_wrong_number_is_a_sentence(command, ask, eggs, tmp_path):
    ask("import", eggs, "--name", "eggs")
    merged = ask("train", "eggs", "--truth", "--name", "one", *TINY, "-p", "model.classes=1")
    assert "classes" not in merged
    masks = tmp_path / "masks"
    assert "classes" not in ask("predict", "one", eggs / "images", "--out", masks, "--threshold", "0")
    assert set(np.unique(codec.decode_png((masks / "egg 0.png").read_bytes()))) == {255}
    refused = command("train", "eggs", "--truth", "-p", "model.classes=7")
    assert refused.returncode == 1
    assert refused.stderr == "The truth has 2 classes. Choose 2, or 1. Got 7."
    assert len(ask("runs")) == 1
