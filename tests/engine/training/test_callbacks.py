"""What is stored of the probe images: the whole image in its own proportions, however it was framed, and classes."""

import numpy as np
import pytest

from engine.imaging.codec import decode_png, encode_png
from engine.training.callbacks import PROBE_PX, Probes
from engine.training.samples import Sample, prepared
from tests.support.training_samples import tiny


@pytest.mark.parametrize("framing", ["pad", "crop", "stretch", "tiles"])
@pytest.mark.parametrize(
    ("shape", "stored"), [((60, 90), (60, 90)), ((20, 24), (20, 24)), ((300, 600), (128, PROBE_PX))]
)
def test_a_probe_is_the_whole_image(tmp_path, framing, shape, stored):
    image = np.zeros((*shape, 3), np.uint8)
    image[shape[0] // 4 : shape[0] // 2, shape[1] // 2 :] = 255
    (tmp_path / "i.png").write_bytes(encode_png(image))
    (tmp_path / "t.png").write_bytes(encode_png(image[..., 0]))
    sample = Sample("a", tmp_path / "i.png", tmp_path / "t.png", "train", probe=True)
    other = Sample("b", tmp_path / "i.png", tmp_path / "t.png", "train")
    with prepared([sample, other], tiny(data={"framing": framing}), tmp_path, lambda *_: None) as (train, validation):
        probes = Probes(tmp_path, (validation, train), lambda squares: squares[..., :1].astype(np.float32) / 255)
        probes(3, {})
    written = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "probe").rglob("*.png"))
    assert written == ["probe/0003/a.png"]
    probe = decode_png((tmp_path / written[0]).read_bytes())
    assert probe.shape == stored
    high, wide = stored
    assert probe[round(0.3 * high) : round(0.45 * high), round(0.6 * wide) :].min() > 200
    assert probe[round(0.65 * high) :].max() < 60
    assert probe[:, : round(0.4 * wide)].max() < 60


def test_a_probe_of_several_classes_has_the_foreground_and_the_most_likely_class(tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 20:40], image[:, 40:] = (255, 0, 0), (0, 255, 0)  # background, class 1, class 2
    (tmp_path / "i.png").write_bytes(encode_png(image))
    (tmp_path / "t.png").write_bytes(encode_png(np.zeros((40, 60), np.uint8)))
    sample = Sample("a", tmp_path / "i.png", tmp_path / "t.png", "train", probe=True)
    other = Sample("b", tmp_path / "i.png", tmp_path / "t.png", "train")

    def predict(squares: np.ndarray) -> np.ndarray:
        classes = squares[..., :2].astype(np.float32) / 255
        return np.concatenate([1 - classes.sum(axis=-1, keepdims=True), classes], axis=-1)

    with prepared([sample, other], tiny(), tmp_path, lambda *_: None) as (train, validation):
        Probes(tmp_path, (validation, train), predict)(1, {})
    levels, classes = (
        decode_png((tmp_path / f"probe/0001/{name}").read_bytes()) for name in ("a.png", "classes/a.png")
    )
    assert levels.shape == classes.shape == (40, 60)
    assert levels[:, :15].max() < 60 and levels[:, 25:].min() > 200
    assert (classes[:, 25:35] == 1).all() and (classes[:, 45:] == 2).all()
