"""Pairs become one file of scaled pictures, which vanishes afterwards."""

import os
import subprocess
import sys

import numpy as np
import pytest

from engine.core.run_parameters import DataParams
from engine.imaging.codec import encode_png
from engine.training.samples import Sample, TrainingError, prepared, read_pair
from tests.support.installation import REPOSITORY
from tests.support.training_samples import LOOKUP, discs, tiny

PAD = DataParams()


def test_truth_becomes_full_or_empty_and_a_pseudo_label_stays_soft(tmp_path):
    soft = discs(tmp_path / "soft", 1, 0, truth=False)[0]
    hard = discs(tmp_path / "hard", 1, 0)[0]
    assert read_pair(soft, PAD, 64)[0][..., 3].max() == 230
    pair, shape = read_pair(hard, PAD, 32)
    assert pair.shape == (32, 32, 4)
    assert set(np.unique(pair[..., 3])) == {0, 255}
    assert shape == (64, 64)


def test_any_class_but_zero_is_foreground(tmp_path):
    lookup = tuple(0 if value < 50 else 1 if value < 200 else 2 for value in range(256))
    values = np.repeat(np.uint8([[0, 100, 255, 49]]), 16, axis=0).repeat(8, axis=1)
    (tmp_path / "t.png").write_bytes(encode_png(values))
    (tmp_path / "i.png").write_bytes(encode_png(np.zeros((16, 32, 3), np.uint8)))
    sample = Sample("a", tmp_path / "i.png", tmp_path / "t.png", "train", lookup)
    target = read_pair(sample, PAD, 32)[0][..., 3]
    assert target.shape == (16, 32)
    assert [int(target[5, column]) for column in (2, 12, 20, 28)] == [0, 255, 255, 0]


def test_the_classes_of_a_pseudo_label_are_read_beside_it(tmp_path):
    classes = np.repeat(np.uint8([[0, 1, 3, 0]]), 16, axis=0).repeat(8, axis=1)
    (tmp_path / "t.png").write_bytes(encode_png((classes > 0).astype(np.uint8) * 230))
    (tmp_path / "c.png").write_bytes(encode_png(classes))
    (tmp_path / "i.png").write_bytes(encode_png(np.zeros((16, 32, 3), np.uint8)))
    sample = Sample("a", tmp_path / "i.png", tmp_path / "t.png", "train", classes=tmp_path / "c.png")
    pair = read_pair(sample, PAD, 32, several=True)[0]
    assert pair[5, [2, 12, 20, 28], 3].tolist() == [0, 230, 230, 0]
    assert np.array_equal(pair[..., 4], classes)
    assert read_pair(sample, PAD, 32)[0].shape == (16, 32, 4)


def test_a_target_of_another_size_is_brought_to_its_image(tmp_path):
    image = np.full((30, 60, 3), 9, np.uint8)
    target = np.zeros((60, 120), np.uint8)
    target[:, 60:] = 255
    (tmp_path / "i.png").write_bytes(encode_png(image))
    (tmp_path / "t.png").write_bytes(encode_png(target))
    pair, _ = read_pair(Sample("a", tmp_path / "i.png", tmp_path / "t.png", "train"), PAD, 32)
    assert pair.shape == (16, 32, 4)
    assert (pair[:, :16, 3] == 0).all() and (pair[:, 16:, 3] == 255).all()


@pytest.mark.parametrize("framing", ["pad", "crop", "stretch", "tiles"])
def test_preparing_keeps_each_pair_as_it_was_read_reports_and_cleans_up(tmp_path, framing):
    samples = [
        sample
        for n, size in enumerate((64, 90, 48, 100, 70))
        for sample in discs(tmp_path / f"{n}", 1, 0, size_px=size)
    ]
    samples[3:] = [Sample(s.id, s.image, s.target, "validation", s.lookup) for s in samples[3:]]
    config = tiny(data={"framing": framing})
    seen = []
    work = tmp_path / "run"
    work.mkdir()
    with prepared(samples, config, work, lambda done, total: seen.append((done, total))) as (train, validation):
        for pixels, chosen in ((train, samples[:3]), (validation, samples[3:])):
            assert pixels.samples == tuple(chosen)
            for index, sample in enumerate(chosen):
                pair, shape = read_pair(sample, config.data, 32)
                assert (pixels.pair(index) == pair).all()
                assert pixels.shapes[index] == shape
                assert pixels.scaled[index] == pair.shape[:2]
                assert (len(pixels.points[index]) > 0) == (framing == "tiles")
    assert train.counts == ((4, 8, 2) if framing == "tiles" else (1, 1, 1))
    assert train.squares == sum(train.counts)
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert list(work.iterdir()) == []


def test_without_validation_there_are_no_pixels_of_it(tmp_path):
    with prepared(discs(tmp_path, 1, 0), tiny(), tmp_path, lambda *_: None) as (_, validation):
        assert validation.samples == () and validation.squares == 0


def test_what_cannot_be_read_is_named(tmp_path):
    samples = discs(tmp_path / "files", 2, 0)
    samples[0].target.write_bytes(b"\x89PNG broken")
    samples[1].image.unlink()
    with pytest.raises(TrainingError, match=r"target0.png .* damaged"):
        read_pair(samples[0], PAD, 32)
    with pytest.raises(TrainingError, match=r"image1.png .* missing"):
        read_pair(samples[1], PAD, 32)
    work = tmp_path / "run"
    work.mkdir()
    with pytest.raises(TrainingError, match=r"target0.png"), prepared(samples, tiny(), work, print):
        pass
    assert list(work.iterdir()) == []
    nothing = Sample("a", samples[0].image, samples[0].image, "validation", LOOKUP)
    with pytest.raises(TrainingError, match="no image to train on"), prepared([nothing], tiny(), work, print):
        pass


MANY = """
import sys
from pathlib import Path
import numpy as np
from engine.imaging.codec import encode_png
from engine.training.samples import Sample, prepared
from tests.support.training_samples import tiny

def held_mb():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

folder = Path(sys.argv[1])
(folder / "i.png").write_bytes(encode_png(np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)))
(folder / "t.png").write_bytes(encode_png(np.full((512, 512), 255, np.uint8)))
samples = [Sample(str(n), folder / "i.png", folder / "t.png", "train") for n in range(400)]
config = tiny(model={"image_size": 512})
with prepared(samples[:8], config, folder, lambda *_: None):
    before = held_mb()
with prepared(samples, config, folder, lambda *_: None) as (train, _):
    assert sum(int(train.pair(index).sum() > 0) for index in range(400)) == 400
print(held_mb() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from Linux's /proc")
def test_many_images_need_no_more_memory_than_a_few(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # all of them together are 400 MB
