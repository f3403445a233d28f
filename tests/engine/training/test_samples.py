"""Pairs become arrays of one size, and their files vanish afterwards."""

import numpy as np
import pytest

from engine.imaging import encode_png
from engine.training.samples import Sample, TrainingError, prepared, read_pair
from tests.engine.training.drawn import LOOKUP, discs


def test_truth_becomes_full_or_empty_and_a_pseudo_label_stays_soft(tmp_path):
    soft = discs(tmp_path / "soft", 1, 0, truth=False)[0]
    hard = discs(tmp_path / "hard", 1, 0)[0]
    assert read_pair(soft, 64)[1].max() == 230
    image, target, shape = read_pair(hard, 32)
    assert image.shape == (32, 32, 3)
    assert set(np.unique(target)) == {0, 255}
    assert shape == (64, 64)


def test_any_class_but_zero_is_foreground(tmp_path):
    lookup = tuple(0 if value < 50 else 1 if value < 200 else 2 for value in range(256))
    values = np.repeat(np.uint8([[0, 100, 255, 49]]), 16, axis=0).repeat(8, axis=1)
    (tmp_path / "t.png").write_bytes(encode_png(values))
    (tmp_path / "i.png").write_bytes(encode_png(np.zeros((16, 32, 3), np.uint8)))
    target = read_pair(Sample("a", tmp_path / "i.png", tmp_path / "t.png", "train", lookup), 32)[1]
    assert [int(target[5, column]) for column in (2, 12, 20, 28)] == [0, 255, 255, 0]


def test_preparing_reports_and_cleans_up(tmp_path):
    samples = discs(tmp_path / "files", 3, 2)
    seen = []
    work = tmp_path / "run"
    work.mkdir()
    with prepared(samples, 32, work, lambda done, total: seen.append((done, total))) as (train, validation):
        assert train.images.shape == (3, 32, 32, 3)
        assert validation.targets.shape == (2, 32, 32)
        assert validation.shapes == ((64, 64), (64, 64))
        assert (train.images[1] == read_pair(samples[1], 32)[0]).all()
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert list(work.iterdir()) == []


def test_what_cannot_be_read_is_named(tmp_path):
    samples = discs(tmp_path, 2, 0)
    samples[0].target.write_bytes(b"\x89PNG broken")
    samples[1].image.unlink()
    with pytest.raises(TrainingError, match=r"target0.png .* damaged"):
        read_pair(samples[0], 32)
    with pytest.raises(TrainingError, match=r"image1.png .* missing"):
        read_pair(samples[1], 32)
    nothing = Sample("a", samples[0].image, samples[0].image, "validation", LOOKUP)
    with pytest.raises(TrainingError, match="no image to train on"), prepared([nothing], 32, tmp_path, print):
        pass
