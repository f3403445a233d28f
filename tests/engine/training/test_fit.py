"""Networks that truly train, for seconds: how a run ends, what it leaves, and how it goes on."""

import json
import math
import shutil

import keras
import numpy as np
import pytest

from engine.imaging.codec import decode_png, encode_png
from engine.training import compiled, hardware
from engine.training.callbacks import Hooks
from engine.training.fit import fit
from engine.training.hardware import dtype_policy
from engine.training.rate_schedule import scheduled_rate
from engine.training.run_details import metric_in_words
from engine.training.samples import TrainingError
from engine.training.state import STATE_FILE, load_state
from tests.support.training_samples import discs, tiny

ENDED = tiny(training={"epochs": 3, "precision": "float32"})


class Log:
    """Remembers everything a training says; asks for a stop after `stop_after` batches."""

    def __init__(self, stop_after=None):
        self.batches, self.epochs, self.best, self.started = [], [], [], []
        self._stop_after = stop_after

    def hooks(self):
        return Hooks(
            on_start=self.started.append,
            on_batch=lambda *values: self.batches.append(values),
            on_best=lambda epoch, metrics: self.best.append(epoch),
            on_epoch=lambda epoch, metrics: self.epochs.append((epoch, metrics)),
            should_stop=lambda: self._stop_after is not None and len(self.batches) >= self._stop_after,
        )


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def same(first, second):
    return all((a == b).all() for a, b in zip(first, second, strict=True))


def test_discs_are_learned_and_everything_is_left_in_place(tmp_path):
    log, folder = Log(), tmp_path / "run"
    samples = discs(tmp_path / "files", 16, 4)
    result = fit(tiny(training={"epochs": 8, "tensorboard": True}), samples, folder, log.hooks())
    assert (result.ended, result.reason, result.epochs_done) == ("finished", "All 8 epochs are done.", 8)
    assert result.best_metrics["val_dice"] > 0.8
    assert result.best_epoch == log.best[-1]
    assert result.best_score == min(metrics["val_loss"] for _, metrics in log.epochs)
    assert result.seconds > 0
    names = {"loss", "dice", "iou", "val_loss", "val_dice", "val_iou", "learning_rate"}
    assert all(set(metrics) == names for _, metrics in log.epochs)
    assert [epoch for epoch, _ in log.epochs] == list(range(1, 9))
    assert log.batches[0] == (1, 4, 16)
    assert log.batches[-1] == (8, 16, 16)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    events = {name for name in left if name.startswith("events/")}
    assert {name.split("/")[1] for name in events} == {"train", "validation"}
    probes = {f"probe/{epoch:04d}/{index:032x}.png" for epoch in range(1, 9) for index in (0, 16)}
    assert left - events == probes | {"best.keras", "last.keras", STATE_FILE}
    assert decode_png((folder / f"probe/0008/{16:032x}.png").read_bytes()).shape == (64, 64)


@pytest.mark.slow
def test_stopping_and_resuming_ends_where_an_uninterrupted_run_ends(tmp_path):
    config = tiny(training={"epochs": 3, "schedule": "cosine", "precision": "float32"}, model={"dropout": 0.3})
    samples = discs(tmp_path / "files")
    whole = fit(config, samples, tmp_path / "whole")
    stopped, rest = Log(stop_after=3), Log()
    first = fit(config, samples, tmp_path / "parts", stopped.hooks())
    assert (first.ended, first.reason) == ("stopped", "Stopped by a person after 1 of 3 epochs.")
    assert (first.epochs_done, first.best_epoch) == (1, 1)
    second = fit(config, samples, tmp_path / "parts", rest.hooks())
    assert rest.started == [1]
    assert [epoch for epoch, _ in rest.epochs] == [2, 3]
    assert second.ended == "finished"
    assert second.seconds > first.seconds
    assert second.best_epoch == whole.best_epoch
    for name in ("last.keras", "best.keras"):
        pairs = zip(weights(tmp_path / "whole" / name), weights(tmp_path / "parts" / name), strict=True)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in pairs)


@pytest.mark.slow
def test_a_best_model_that_is_damaged_while_a_run_is_stopped_is_replaced(tmp_path):
    config, samples = tiny(training={"epochs": 3}), discs(tmp_path / "files")
    fit(config, samples, tmp_path / "stopped", Log(stop_after=6).hooks())
    for damaged in (["best.keras"], ["best.keras", "last.keras"]):
        folder = shutil.copytree(tmp_path / "stopped", tmp_path / f"{len(damaged)} damaged")
        for name in damaged:
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(data[: len(data) // 2])
        result = fit(config, samples, folder)
        assert result.ended == "finished"
        assert result.best_epoch is not None
        assert len(weights(folder / "best.keras")) > 0


@pytest.fixture(scope="module")
def ended_once(tmp_path_factory):
    """A finished run, trained once for all tests that only need one: (its folder, its samples, its result)."""
    folder = tmp_path_factory.mktemp("ended")
    samples = discs(folder / "files")
    return folder / "run", samples, fit(ENDED, samples, folder / "run")


@pytest.fixture
def ended(ended_once, tmp_path):
    """A copy of it."""
    folder, samples, result = ended_once
    return shutil.copytree(folder, tmp_path / "ended"), samples, result


def test_a_run_whose_best_model_is_damaged_after_its_end_keeps_the_last_one(ended):
    folder, samples, first = ended
    (folder / "best.keras").write_bytes(b"")
    again = fit(ENDED, samples, folder)
    assert again.best_epoch == again.epochs_done == first.epochs_done
    assert same(weights(folder / "best.keras"), weights(folder / "last.keras"))


def test_a_run_that_ended_is_not_trained_again(ended):
    folder, samples, first = ended
    log = Log()
    assert fit(ENDED, samples, folder, log.hooks()) == first
    assert log.batches == []


def test_a_stop_before_the_first_epoch_leaves_usable_models(tmp_path):
    result = fit(tiny(), discs(tmp_path / "files"), tmp_path / "run", Log(stop_after=1).hooks())
    assert (result.ended, result.best_epoch, result.best_score) == ("stopped", None, None)
    assert result.reason.startswith("Stopped by a person before its first epoch was finished. There is no model yet")
    assert len(weights(tmp_path / "run" / "best.keras")) > 0
    assert not (tmp_path / "run" / STATE_FILE).exists()


@pytest.mark.slow
def test_early_stopping_says_when_and_why_and_restores_the_best(tmp_path):
    config = tiny(
        training={"epochs": 20, "learning_rate": 1e-7},
        early_stopping={"enabled": True, "patience": 2, "min_delta": 0.9},
    )
    result = fit(config, discs(tmp_path / "files"), tmp_path / "run")
    assert result.ended == "early"
    assert result.reason == "Early stopping at epoch 3 because the validation loss had not improved for 2 epochs."
    assert result.epochs_done == 3
    assert same(weights(tmp_path / "run" / "last.keras"), weights(tmp_path / "run" / "best.keras"))


@pytest.mark.slow
def test_patience_is_counted_across_a_resume(tmp_path):
    config = tiny(
        training={"epochs": 20, "learning_rate": 1e-7},
        early_stopping={"enabled": True, "patience": 3, "min_delta": 0.9},
    )
    samples = discs(tmp_path / "files")
    assert fit(config, samples, tmp_path / "run", Log(stop_after=5).hooks()).ended == "stopped"
    assert load_state(tmp_path / "run")[0].early_stopping.waited == 1
    assert fit(config, samples, tmp_path / "run").reason.startswith("Early stopping at epoch 4 ")


@pytest.mark.slow
def test_the_rate_falls_on_a_plateau_down_to_its_minimum(tmp_path):
    config = tiny(
        training={"epochs": 4, "learning_rate": 1e-6},
        reduce_lr={"enabled": True, "monitor": "val_iou", "factor": 0.1, "patience": 1, "min_lr": 5e-8},
    )
    log = Log()
    fit(config, discs(tmp_path / "files"), tmp_path / "run", log.hooks())
    rates = [metrics["learning_rate"] for _, metrics in log.epochs]
    assert rates == pytest.approx([1e-6, 1e-6, 1e-7, 5e-8], rel=1e-3)


@pytest.mark.slow
def test_a_lost_loss_ends_the_run_with_advice_and_keeps_the_good_model(tmp_path, monkeypatch):
    def lost_later(target, probability):
        loss = keras.ops.mean(keras.ops.square(target - probability), axis=(1, 2, 3))
        return loss * keras.ops.where(steps.value > 2, math.nan, 1.0)

    steps = keras.Variable(0.0, trainable=False)
    monkeypatch.setattr(compiled, "loss_of", lambda *_: lost_later)
    log = Log()
    hooks = Hooks(on_batch=lambda *_: steps.assign_add(1.0), on_epoch=log.hooks().on_epoch)
    result = fit(tiny(training={"epochs": 5, "loss": "dice"}), discs(tmp_path / "files"), tmp_path / "run", hooks)
    assert (result.ended, result.epochs_done, result.best_epoch) == ("nan", 1, 1)
    assert "became NaN in epoch 2; the model of epoch 1 is kept. Lower the learning rate (now 0.01)" in result.reason
    assert all(np.isfinite(part).all() for part in weights(tmp_path / "run" / "best.keras"))
    assert [epoch for epoch, _ in log.epochs] == [1]
    with pytest.raises(TrainingError, match="NaN in epoch 1, so there is no model"):
        fit(tiny(training={"loss": "dice"}), discs(tmp_path / "files"), tmp_path / "other", hooks)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "validation", "batch_size"), [(1, 0, 4), (3, 1, 64)], ids=["one image", "batch larger than the set"]
)
def test_few_images_work(tmp_path, train, validation, batch_size):
    config = tiny(training={"batch_size": batch_size}, early_stopping={"enabled": True, "patience": 1})
    log = Log()
    result = fit(config, discs(tmp_path / "files", train, validation), tmp_path / "run", log.hooks())
    assert result.best_epoch
    assert ("val_dice" in log.epochs[0][1]) == bool(validation)


@pytest.mark.slow
def test_all_empty_masks_and_soft_labels_train(tmp_path):
    samples = discs(tmp_path / "files", truth=False)
    for sample in samples:
        sample.target.write_bytes(samples[0].target.read_bytes())
    soft = fit(tiny(), samples, tmp_path / "soft")
    assert 0 <= soft.best_metrics["val_dice"] <= 1
    for sample in samples:
        sample.target.write_bytes(encode_png(np.zeros((64, 64), np.uint8)))
    empty = fit(tiny(), samples, tmp_path / "empty")
    assert math.isfinite(empty.best_score)


def test_schedules_begin_high_and_the_cosine_ends_low():
    params = tiny(training={"learning_rate": 0.01, "schedule": "cosine"}).training
    rates = [scheduled_rate(params, done) for done in np.linspace(0, params.epochs, 11)]
    assert rates[0] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(1e-4)
    constant = params.model_copy(update={"schedule": "constant"})
    assert {scheduled_rate(constant, done) for done in (0, 1, 2)} == {0.01}
    warm = params.model_copy(update={"epochs": 4, "warmup_epochs": 1})
    rising = [scheduled_rate(warm, done) for done in (0, 0.5, 1, 2, 4)]
    assert rising == pytest.approx([1e-4, 0.00505, 0.01, 0.01 * (0.01 + 0.99 * 0.75), 1e-4])


def test_bfloat16_is_chosen_only_where_the_processor_has_it(tmp_path, monkeypatch):
    flags = tmp_path / "cpuinfo"
    monkeypatch.setattr(hardware, "CPU_FLAGS", flags)
    assert dtype_policy("auto") == "float32"
    for line, policy in [
        ("avx2 avx512f", "float32"),
        ("amx_bf16", "mixed_bfloat16"),
        ("avx512_bf16", "mixed_bfloat16"),
    ]:
        flags.write_text(f"model name\t: Some processor\nflags : fpu {line}\n")
        assert dtype_policy("auto") == policy
    assert dtype_policy("float32") == "float32"
    assert hardware.hardware().cpu == "Some processor"


def test_a_stored_model_is_float32_whatever_trained_it(tmp_path):
    config = tiny(training={"epochs": 1, "precision": "mixed_bfloat16"})
    fit(config, discs(tmp_path / "files"), tmp_path / "run")
    model = keras.saving.load_model(tmp_path / "run" / "best.keras", compile=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert "mixed_bfloat16" not in json.dumps(model.get_config(), default=str)


def test_weights_that_break_in_the_last_step_of_an_epoch_are_noticed(tmp_path, monkeypatch):
    class Breaks(keras.optimizers.Adam):
        def apply(self, grads, trainable_variables=None):
            super().apply([grad * math.nan for grad in grads], trainable_variables)

    monkeypatch.setattr(keras.optimizers, "AdamW", lambda rate, **options: Breaks(rate, **options))
    samples = discs(tmp_path / "files", train=4, validation=0)  # one step: its loss is of the weights before it
    with pytest.raises(TrainingError, match="NaN in epoch 1, so there is no model"):
        fit(tiny(), samples, tmp_path / "run")
    assert not (tmp_path / "run" / "best.keras").exists()


def test_a_stalled_metric_is_named_in_words():
    words = [metric_in_words(name) for name in ("val_loss", "loss", "val_dice", "iou")]
    assert words == ["the validation loss", "the training loss", "the validation soft Dice", "the training IoU"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"optimizer": "adam", "clip_norm": 0.5},
        {"ema": 0.8},
        {"loss": "tversky", "warmup_epochs": 1},
        {"precision": "mixed_float16"},
    ],
    ids=lambda training: "-".join(map(str, training)),
)
def test_every_way_of_learning_learns(tmp_path, training):
    result = fit(tiny(training={"epochs": 6} | training), discs(tmp_path / "files", 16, 4), tmp_path / "run")
    assert result.ended == "finished"
    assert result.best_metrics["dice"] > 0.5


@pytest.mark.slow
def test_an_average_of_weights_is_what_is_validated_and_stored_and_survives_a_stop(ended, tmp_path):
    _, samples, plain = ended
    config = tiny(training={"epochs": 3, "ema": 0.9, "precision": "float32"})
    whole = fit(config, samples, tmp_path / "whole")
    fit(config, samples, tmp_path / "parts", Log(stop_after=3).hooks())
    parts = fit(config, samples, tmp_path / "parts")
    assert parts.best_metrics == whole.best_metrics
    assert same(weights(tmp_path / "whole" / "last.keras"), weights(tmp_path / "parts" / "last.keras"))
    state, arrays = load_state(tmp_path / "whole")
    assert state.ended == "finished"
    assert plain.best_metrics["val_loss"] != whole.best_metrics["val_loss"]
    assert not arrays
