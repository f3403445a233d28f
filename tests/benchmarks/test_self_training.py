"""What self-training gained: halves by the names in the folder, masks less labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from benchmarks import self_training
from benchmarks.harness import engine, table
from db.models import Dataset, Image, Label, LabelSet, Prediction, PredictionSet, Round, Run
from engine.imaging.codec import encode_png
from engine.store import keys as stored
from tests.support.installation import Installation

NAMES = ("a", "b", "c", "d")
LABELS = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8}
MASKS = {"a": 0.5, "b": 0.4, "c": 0.7, "d": 0.6}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, ending in (("images", "jpg"), ("truth", "png")):
        (tmp_path / "folder" / part).mkdir(parents=True)
        for name in NAMES:
            (tmp_path / "folder" / part / f"{name}.{ending}").touch()
    return tmp_path / "folder"


def both(scores: dict[str, float]) -> self_training.Scores:
    return {name: (value, value + 0.1) for name, value in scores.items()}


def test_gains_are_masks_less_labels_and_halves_go_by_the_names_in_the_folder(folder: Path) -> None:
    whole, even, odd = self_training.gains(folder, both(LABELS), both(MASKS))
    assert whole == {
        "part": "all",
        "images": 4,
        "labels_iou": pytest.approx(0.5),
        "masks_iou": pytest.approx(0.55),
        "gain_iou": pytest.approx(0.05),
        "labels_dice": pytest.approx(0.6),
        "masks_dice": pytest.approx(0.65),
        "gain_dice": pytest.approx(0.05),
    }
    assert (even["part"], even["images"]) == ("even", 2)
    assert (even["labels_dice"], even["masks_dice"], even["gain_dice"]) == pytest.approx((0.5, 0.7, 0.2))
    assert (odd["part"], odd["images"], odd["gain_iou"], odd["gain_dice"]) == ("odd", 2, *[pytest.approx(-0.1)] * 2)


def test_an_image_that_is_left_out_moves_no_other_to_the_other_half(folder: Path) -> None:
    scores = {name: value for name, value in both(LABELS).items() if name != "a"}
    found = {row["part"]: row["images"] for row in self_training.gains(folder, scores, both(MASKS))}
    assert found == {"all": 3, "even": 1, "odd": 2}


def trained(installation: Installation) -> str:
    """Store a run with two rounds, its labels and the predictions of its own and of another dataset; return its id."""
    with installation.database.writing() as session:
        dataset, other = Dataset(name="images"), Dataset(name="other")
        session.add_all([dataset, other])
        session.flush()
        about = {"dataset_id": dataset.id, "code_version": "1", "dataset_fingerprint": "", "name": "x"}
        labels = LabelSet(**about, method="threshold", params={})
        session.add(labels)
        session.flush()
        details = {"weights": "MobileNetV2 encoder: ImageNet", "hardware": {"precision": "float32"}}
        run = Run(**about, preset="fast", config={}, label_set_id=labels.id, details=details, ended_reason="All done.")
        session.add(run)
        session.flush()
        own = PredictionSet(run_id=run.id, dataset_id=dataset.id, flips=True)
        session.add_all([own, PredictionSet(run_id=run.id, dataset_id=other.id)])
        for position, name in enumerate(NAMES):
            image = Image(dataset_id=dataset.id, position=position, name=f"images/{name}.jpg", content_hash=name)
            image.width = image.height = 8
            session.add(image)
            session.flush()
            session.add(Label(label_set_id=labels.id, image_id=image.id, area=0.1, iou=LABELS[name], dice=LABELS[name]))
            found = {"truth_iou": MASKS[name], "truth_dice": MASKS[name], "label_dice": 1.0}
            shape = {"area": 0.1, "mean_probability": 0.1}
            session.add(Prediction(prediction_set_id=own.id, image_id=image.id, **shape, **found))
        scores = {"agreement": 0.5, "labels_quality": 0.5, "masks_quality": 0.6, "reason": "It rose."}
        scores |= {"labels_truth_iou": 0.5, "labels_truth_dice": 0.5, "masks_truth_iou": 0.6, "masks_truth_dice": 0.6}
        for number in (2, 1):
            epochs = {"first_epoch": number, "last_epoch": number}
            session.add(Round(run_id=run.id, number=number, accepted=number == 1, images=4, **epochs, **scores))
        return run.id


def test_scores_and_rounds_are_read_from_the_database_and_encoder_weights_are_named(
    installation: Installation, folder: Path
) -> None:
    report = self_training.read(installation.settings.data_root, trained(installation), folder)
    assert [row["part"] for row in report["gains"]] == ["all", "even", "odd"]
    assert report["gains"][0]["labels_iou"] == pytest.approx(0.5)
    assert report["gains"][0]["masks_iou"] == pytest.approx(0.55)
    assert [each["number"] for each in report["rounds"]] == [1, 2]
    text = table(report["about"])
    assert "encoder_weights  ImageNet" in text
    assert "flips            yes" in text


def measured(dataset: str, drop: float, gain: float, agrees: bool = True) -> self_training.MeasuredRound:
    return self_training.MeasuredRound(dataset, "none", 1, 0.8, agrees, 0.7, 0.7 - drop, 0.5, 0.5 + gain)


def test_a_decision_costs_what_the_better_masks_have_more() -> None:
    better, worse = measured("a", 0.02, 0.1), measured("a", 0.02, -0.1)
    assert better.accepted(0.03) and better.lost(0.03) == 0
    assert not better.accepted(0.01) and better.lost(0.01) == pytest.approx(0.1)
    assert worse.lost(0.03) == pytest.approx(0.1) and worse.lost(0.01) == 0
    assert not measured("a", 0.0, 0.1, agrees=False).accepted(0.03)


def test_the_tolerance_lies_between_what_helped_and_what_did_not() -> None:
    slack = self_training.best_slack([measured("a", 0.01, 0.1), measured("b", 0.05, -0.1)])
    assert slack == pytest.approx(0.03)


def test_each_round_is_judged_with_the_tolerance_of_the_other_sets(installation: Installation) -> None:
    trained(installation)
    rows = self_training.judge([installation.settings.data_root])
    assert [(row["set"], row["round"], row["accepted"], row["lost"]) for row in rows] == [
        ("images", 1, True, 0),
        ("images", 2, False, 0),
    ]
    assert rows[0]["iou"] == "0.500 to 0.600"


def test_the_masks_of_a_round_are_mixed_with_their_labels(installation: Installation) -> None:
    run_id = trained(installation)
    with installation.database.reading() as session:
        run = session.get_one(Run, run_id)
        images = list(session.scalars(select(Image)))
    for image in images:
        files = {stored.label_key(run.label_set_id, image.id): 200}
        files |= {stored.round_mask_key(run.id, number, image.id): level for number, level in ((1, 100), (2, 20))}
        for key, level in files.items():
            installation.files.write(key, encode_png(np.full((8, 8), level, np.uint8)))
    found = {
        (number, share): all(mask.all() for mask in masks.values())
        for number, share, masks in self_training.mixed_masks(installation.settings.data_root, {"a", "b"})
    }
    assert not found[1, 0.25] and found[1, 0.5] and not found[2, 0.5] and found[2, 0.75]


def test_a_step_that_fails_ends_the_command_with_its_sentence(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="`engine import` ended with exit code"):
        engine(tmp_path, "import", str(tmp_path / "nowhere"), "--name", "images")
    assert "nowhere" in capfd.readouterr().err
