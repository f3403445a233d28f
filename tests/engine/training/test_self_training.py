"""Rounds that truly train on drawn discs with wrong labels: what is corrected, accepted, kept and resumed."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from engine.imaging import class_maps, metrics
from engine.imaging.codec import decode_png, encode_png
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.network.inference import Prediction
from engine.training import correction, self_training
from engine.training.callbacks import Hooks
from engine.training.correction import Correction
from engine.training.samples import Sample, read_pair
from engine.training.self_training import train_rounds, weighed
from tests.support.installation import disc
from tests.support.training_samples import discs, tiny
from tests.support.two_classes import scene

pytestmark = pytest.mark.slow

ROUNDS = {"rounds": 2, "keep": 0.0, "refine": "none"}


def config(epochs=12, **self_training):
    return tiny(
        training={"epochs": epochs, "learning_rate": 0.01, "precision": "float32"},
        self_training=ROUNDS | self_training,
    )


def spoilt(folder, count=12, validation=4):
    """Return samples whose labels are their discs moved by a tenth of the image, to another side for each."""
    samples = discs(folder, count, validation, truth=False)
    for index, sample in enumerate(samples):
        shift = [(6, 0), (-6, 0), (0, 6), (0, -6)][index % 4]
        sample.target.write_bytes(encode_png(np.roll(decode_png(sample.target.read_bytes()), shift, (0, 1))))
    return samples


def dice(paths, samples):
    truth = [disc(64, seed=index)[1] for index in range(len(samples))]
    drawn = [metrics.to_mask(decode_png(path.read_bytes()), 0.5) for path in paths]
    return float(np.mean([metrics.dice(a, b) for a, b in zip(drawn, truth, strict=True)]))


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def test_masks_are_better_than_the_labels_and_teach_the_next_round(tmp_path):
    samples, finished, epochs = spoilt(tmp_path / "files"), [], []
    hooks = Hooks(on_epoch=lambda epoch, values: epochs.append(epoch))
    result = train_rounds(config(), samples, tmp_path / "run", hooks, finished.append)
    rounds = tmp_path / "run" / "rounds"
    taught = dice([sample.target for sample in samples], samples)
    student = dice([rounds / "1/masks" / f"{sample.id}.png" for sample in samples], samples)
    corrected = dice([rounds / "2/labels" / f"{sample.id}.png" for sample in samples], samples)
    assert student > taught + 0.02
    assert corrected > taught + 0.02
    assert epochs == list(range(1, 25))
    assert [each.number for each in finished] == [1, 2]
    assert (finished[0].first_epoch, finished[0].last_epoch, finished[1].first_epoch) == (1, 12, 13)
    assert finished[0].accepted
    assert finished[0].images == 16
    assert result.ended == "finished"
    assert result.epochs_done == 24
    probes = {path.name for path in (tmp_path / "run" / "probe").iterdir()}
    assert probes == {f"{epoch:04d}" for epoch in epochs}


def spoilt_scenes(folder, count=12, validation=4):
    """Return samples of discs and squares whose labels are moved, and exchange the two in every fourth image."""
    samples = []
    folder.mkdir(parents=True)
    for index in range(count + validation):
        image, truth = scene(seed=index)
        classes = np.roll(truth, [(6, 0), (-6, 0), (0, 6), (0, -6)][index % 4], (0, 1))
        if index % 4 == 3:
            classes = np.uint8([0, 2, 1])[classes]
        files = {"image": image, "target": (classes > 0).astype(np.uint8) * 230, "classes": classes}
        for name, pixels in files.items():
            (folder / f"{name}{index}.png").write_bytes(encode_png(pixels))
        paths = {name: folder / f"{name}{index}.png" for name in files}
        samples.append(Sample(f"{index:032x}", split="train" if index < count else "validation", **paths))
    return samples


def class_dice(levels, likely):
    """Return the mean Dice of discs and of squares, from pixels summed over all images."""
    summed = np.zeros((3, 3), np.int64)
    for index, paths in enumerate(zip(levels, likely, strict=True)):
        found = class_maps.to_classes(*(decode_png(path.read_bytes()) for path in paths), 0.5)
        summed += metrics.confusion_matrix(metrics.confusion(found, scene(seed=index)[1]), 2)
    return float(metrics.class_scores(summed).dice.mean())


def test_masks_of_several_classes_correct_the_classes_of_the_labels(tmp_path):
    samples, finished = spoilt_scenes(tmp_path / "files"), []
    settings = config(20).model_copy(update={"model": config().model.model_copy(update={"classes": 2})})
    train_rounds(settings, samples, tmp_path / "run", Hooks(), finished.append)
    place = tmp_path / "run" / "rounds"
    taught = class_dice([sample.target for sample in samples], [sample.classes for sample in samples])
    for folder in ("1/masks", "2/labels"):
        levels, likely = (
            [place / f"{folder}{part}/{sample.id}.png" for sample in samples] for part in ("", "/classes")
        )
        assert class_dice(levels, likely) > taught + 0.05
    assert [each.number for each in finished] == [1, 2]
    assert 0 < finished[0].agreement < 1
    relabelled = self_training._relabelled(settings, samples, tmp_path / "run", 2)
    assert read_pair(relabelled[0], settings.data, 32, several=True)[0].shape == (32, 32, 5)


@pytest.mark.parametrize("keep", [0.2, 0.8])
def test_a_new_label_has_the_class_that_contributes_more_to_it(tmp_path, keep):
    files = {"image": np.full((8, 8, 3), 90, np.uint8), "target": np.uint8([[255] * 4 + [0] * 4] * 8)}
    files["classes"] = np.uint8([[1] * 4 + [0] * 4] * 8)
    paths = {name: tmp_path / f"{name}.png" for name in files}
    for name, pixels in files.items():
        paths[name].write_bytes(encode_png(pixels))
    sample = Sample("1" * 32, split="train", **paths)
    settings = config(keep=keep).model_copy(update={"model": config().model.model_copy(update={"classes": 2})})
    network = Prediction(files["image"], np.full((8, 8), 0.9, np.float32), classes=np.full((8, 8), 2, np.uint8))
    scores = correction._correct_one(settings, sample, network, tmp_path / "1", tmp_path / "2")
    classes = decode_png((tmp_path / "2/labels/classes" / f"{sample.id}.png").read_bytes())
    assert set(np.unique(classes[:, :4])) == {1 if keep > 0.5 else 2}
    assert set(np.unique(classes[:, 4:])) == {2}  # the label has no class there
    assert scores.agreement == 0  # every pixel is of another class


def test_what_people_drew_is_in_the_labels_of_every_round_as_they_drew_it(tmp_path):
    samples = spoilt_scenes(tmp_path / "files", 6, 2)
    drawn = np.full((64, 64), UNTOUCHED, np.uint8)
    drawn[:16], drawn[16:32], drawn[32:36] = 2, 0, LEFT_OUT
    (tmp_path / "drawn.png").write_bytes(encode_png(drawn))
    samples[0] = replace(samples[0], correction=tmp_path / "drawn.png", left_out=True)
    settings = config(2, keep=0.5).model_copy(update={"model": config().model.model_copy(update={"classes": 2})})
    train_rounds(settings, samples, tmp_path / "run", Hooks())
    place, name = tmp_path / "run/rounds/2/labels", f"{samples[0].id}.png"
    levels, classes = (decode_png((place / part / name).read_bytes()) for part in ("", "classes"))
    assert (levels[:16] == 255).all() and (classes[:16] == 2).all()
    assert (levels[16:32] == 0).all()
    assert not np.isin(levels[32:], [0, 255]).all(), "what is ignored or untouched is the network's"
    relabelled = self_training._relabelled(settings, samples, tmp_path / "run", 2)
    target = read_pair(relabelled[0], settings.data, 64, several=True)[0]
    assert (target[:16, :, 3:] == (255, 2)).all() and (target[32:36, :, 3] == class_maps.IGNORED_LEVEL).all()
    assert relabelled[0].weight == 1


@pytest.mark.parametrize("better", [True, False])
def test_the_model_of_the_last_accepted_round_is_kept(tmp_path, monkeypatch, better):
    verdicts = [Correction(0.7, 0.7, 0.6), Correction(0.7, 0.7, 0.65 if better else 0.55)]
    real, asked = self_training.correct, []

    def correct(*arguments):
        asked.append(arguments)
        real(*arguments)
        return verdicts[len(asked) - 1]

    monkeypatch.setattr(self_training, "correct", correct)
    finished = []
    result = train_rounds(config(epochs=1), spoilt(tmp_path / "files"), tmp_path / "run", Hooks(), finished.append)
    assert [each.accepted for each in finished] == [True, better]
    assert ("rose" if better else "did not rise") in finished[1].reason
    second = weights(tmp_path / "run/rounds/2/model/best.keras")
    same = all((a == b).all() for a, b in zip(weights(tmp_path / "run/best.keras"), second, strict=True))
    assert same == better
    assert result.best_epoch == (2 if better else 1)
    assert ("accepted" in result.reason) and (f"round {2 if better else 1}" in result.reason or better)


def test_masks_that_look_far_worse_are_not_accepted_however_steady(tmp_path, monkeypatch):
    verdicts = iter([Correction(0.7, 0.7, 0.6), Correction(0.7, 0.5, 0.9)])
    real = self_training.correct
    monkeypatch.setattr(self_training, "correct", lambda *given: (real(*given), next(verdicts))[1])
    finished = []
    train_rounds(config(epochs=1), spoilt(tmp_path / "files"), tmp_path / "run", Hooks(), finished.append)
    assert not finished[1].accepted
    assert "less plausible than before (quality 0.700 to 0.500)" in finished[1].reason


def test_a_first_network_that_looks_worse_than_its_labels_teaches_nobody_and_is_kept(tmp_path, monkeypatch):
    real = self_training.correct
    monkeypatch.setattr(self_training, "correct", lambda *given: (real(*given), Correction(0.7, 0.6, 0.9))[1])
    finished = []
    result = train_rounds(config(epochs=1), spoilt(tmp_path / "files"), tmp_path / "run", Hooks(), finished.append)
    assert [each.accepted for each in finished] == [False]
    assert "less plausible than the labels it was trained on (quality 0.700 to 0.600)" in finished[0].reason
    assert (result.ended, result.epochs_done, result.best_epoch) == ("finished", 1, 1)
    assert "no further round" in result.reason
    assert (tmp_path / "run/best.keras").exists()


@pytest.mark.parametrize(("quality", "share"), [(0.7, 0.5), (0.6, 1.0)])
def test_the_labels_have_their_share_in_the_masks_or_all_of_it_where_no_round_is_accepted(
    tmp_path, monkeypatch, quality, share
):
    real = self_training.correct
    monkeypatch.setattr(self_training, "correct", lambda *given: (real(*given), Correction(0.7, quality, 0.9))[1])
    settings, samples = config(epochs=1, label_share=0.5), spoilt(tmp_path / "files", 4, 2)
    result = train_rounds(settings, samples, tmp_path / "run", Hooks())
    assert result.label_share == share
    assert ("The labels stay the masks of its images." in result.reason) is (share == 1)
    assert train_rounds(settings, samples, tmp_path / "run", Hooks()).label_share == share, "resumed"


def test_rounds_go_on_where_they_were_stopped(tmp_path):
    samples = spoilt(tmp_path / "files", 8, 2)
    whole = train_rounds(config(epochs=2), samples, tmp_path / "whole", Hooks())
    for stop_after in (3, 2, 3):  # batches of each attempt: in the first round, at its end, in the second
        seen = []
        hooks = Hooks(
            on_batch=lambda *v, seen=seen: seen.append(v), should_stop=lambda s=seen, n=stop_after: len(s) >= n
        )
        assert train_rounds(config(epochs=2), samples, tmp_path / "parts", hooks).ended == "stopped"
    last = train_rounds(config(epochs=2), samples, tmp_path / "parts", Hooks())
    assert (last.ended, last.epochs_done, last.best_epoch) == ("finished", 4, whole.best_epoch)
    assert last.best_metrics == whole.best_metrics
    left = json.loads((tmp_path / "parts/rounds.json").read_text())
    assert left == json.loads((tmp_path / "whole/rounds.json").read_text())


def test_images_whose_labels_look_bad_count_less_or_nothing(tmp_path):
    samples = discs(tmp_path, 4, 1)
    quality = dict(zip([sample.id for sample in samples], [0.9, 0.1, None, 0.5, 0.0], strict=True))

    def weights(*how, known=quality):
        return [sample.weight for sample in weighed(samples, known, *how)]

    assert weights(False, 0) == [1, 1, 1, 1, 1]
    ranked = weights(True, 0)
    assert (ranked[0], ranked[1], ranked[4]) == (1, 0.25, 1)  # the last one validates
    assert 0.25 < ranked[2] < 1
    assert weights(False, 0.25) == [1, 0, 1, 1, 1]
    assert sum(weight > 0 for weight in weights(False, 0.9)[:4]) == 1
    assert weights(True, 0.5, known={}) == [1, 1, 1, 1, 1]
