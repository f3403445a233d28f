"""Several classes on the command line: train, predict, score, and classes that change after a run."""

from __future__ import annotations

import numpy as np
import pytest

from db import datasets, rounds
from db.models import LabelSet, Prediction, PredictionSet, Run
from engine.cli.run_report import MOST_NAMED, validation
from engine.imaging import codec
from engine.store import keys as stored
from tests.support.installation import disc

TINY = [
    *("-p", "training.epochs=1", "-p", "training.batch_size=4", "-p", "model.image_size=32"),
    *("-p", "model.base_filters=2", "-p", "model.depth=1"),
]


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


def test_a_name_of_a_class_is_one_line(ask, eggs):
    ask("import", eggs, "--name", "eggs")
    shown = ask("classes", "eggs", "--map", "0=background,127=fried\n  egg,255=pan")
    assert shown["classes"] == ["background", "fried egg", "pan"]


def rows_of(installation) -> list[Prediction]:
    with installation.database.reading() as session:
        own = session.query(PredictionSet.id).join(Run, Run.dataset_id == PredictionSet.dataset_id)
        of_own = Prediction.prediction_set_id.in_(own.scalar_subquery())
        return list(session.query(Prediction).where(of_own).order_by(Prediction.image_id))


def confusions(installation) -> list[list[list[int]] | None]:
    return [row.truth_confusion for row in rows_of(installation)]


def draw_other_masks(installation) -> None:
    """Replace the predicted masks, of which a network of one epoch has none, by stripes of both classes."""
    stripes = np.arange(64) // 8 % 3 * np.ones((64, 1), np.uint8)
    for row in rows_of(installation):
        key = stored.prediction_key(row.prediction_set_id, row.image_id)
        likely = stored.prediction_classes_key(row.prediction_set_id, row.image_id)
        installation.files.write(key, codec.encode_png(np.where(stripes > 0, 200, 30).astype(np.uint8)))
        installation.files.write(likely, codec.encode_png(np.maximum(stripes, 1).astype(np.uint8)))


def test_classes_that_change_after_a_run_lose_nothing(run, installation, command, ask, eggs, tmp_path):
    assert all(sum(pixels for *_, pixels in rows) == 64 * 64 for rows in confusions(installation))
    draw_other_masks(installation)
    ask("import", eggs / "truth", "--into", "eggs", "--as", "truth")
    before = confusions(installation)
    assert all({(true, seen) for true, seen, _ in rows} >= {(1, 1), (1, 2), (2, 1), (2, 0)} for rows in before)

    exchanged = tmp_path / "exchanged"
    exchanged.mkdir()
    for number in range(6):
        truth = codec.decode_png((eggs / "truth" / f"egg {number}.png").read_bytes())
        other = np.uint8([0, 255, 127])[truth // 127]
        (exchanged / f"egg {number}.png").write_bytes(codec.encode_png(other))
    ask("import", exchanged, "--into", "eggs", "--as", "truth")
    turned = [sorted([[0, 2, 1][true], seen, pixels] for true, seen, pixels in rows) for rows in before]
    assert confusions(installation) == turned
    assert ask("runs")[0]["notes"] == run["notes"]

    ask("classes", "eggs", "--map", "0=background,127=food,255=food")
    assert confusions(installation) == turned
    (merged,) = ask("runs")
    assert merged["classes"] == run["classes"]
    assert "The run has the classes egg, pan; its dataset has food." in merged["notes"][-1]
    ask("import", eggs / "truth", "--into", "eggs", "--as", "truth")
    assert confusions(installation) == [None] * 6
    assert ask("predict", "both", eggs / "images", "--out", tmp_path / "masks")["classes"][1]["name"] == "pan"

    ask("classes", "eggs", "--map", "0=background,127=egg,255=pan")
    ask("import", eggs / "truth", "--into", "eggs", "--as", "truth")
    assert confusions(installation) == before
    command("remove-truth", "eggs", "--yes")
    assert confusions(installation) == [None] * 6
    assert "its dataset has none" in ask("runs")[0]["notes"][-1]


def test_a_network_learns_the_classes_of_an_imported_label_set(command, ask, eggs, tmp_path, installation):
    ask("import", eggs / "images", "--name", "eggs")
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    for number in range(6):
        truth = codec.decode_png((eggs / "truth" / f"egg {number}.png").read_bytes())
        (numbers / f"egg {number}.png").write_bytes(codec.encode_png(truth // 127))
    labels = ask("import", numbers, "--into", "eggs", "--as", "labels", "--name", "drawn")
    several = ask("train", "eggs", "--labels", "drawn", "--name", "two", *TINY, "-p", "self_training.rounds=2")
    assert [entry["name"] for entry in several["classes"]] == ["class 1", "class 2"]
    assert several["reference"] == "agreement with the pseudo-label"
    assert not any("round" in note for note in several["notes"])
    with installation.database.reading() as session:
        run = session.get_one(Run, several["run"])
        (teacher,) = session.query(LabelSet)
        images = datasets.images(session, run.dataset_id)
        assert rounds.rounds(session, run.id)[0].number == 1
    assert all(installation.files.exists(stored.round_mask_classes_key(run.id, 1, image.id)) for image in images)
    assert (teacher.id, run.classes) == (labels["label_set"], teacher.classes)
    refused = command("train", "eggs", "--labels", "drawn", "-p", "model.classes=3")
    assert refused.stderr == "The mask set has 2 classes. Choose 2, or 1. Got 3."


def test_a_sentence_names_no_more_classes_than_can_be_read():
    classes = [{"class": number, "name": f"number {number}", "val_dice": 0.5} for number in range(1, 255)]
    sentence = validation({"val_dice": 0.5, "classes": classes})
    assert f"number {MOST_NAMED} 0.5000 and 234 more" in sentence and f"number {MOST_NAMED + 1} " not in sentence
