"""Which pictures look like masks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from engine.datasets.mask_likeness import mask_likeness
from engine.imaging import codec
from tests.assets.bad_files import disk, encoded, picture


def look(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> str | None:
    return mask_likeness(codec.decode_image(encoded(pixels, kind, **options)))


def label_map() -> np.ndarray:
    """Return uint8 (96, 128) with 12 × 8 squares of ids 1 to 96, background between them."""
    y, x = np.mgrid[:96, :128]
    ids = (y // 12) * 10 + x // 12 + 1
    return np.where((y % 12 < 9) & (x % 12 < 9), ids, 0).astype(np.uint8)


def test_masks():
    assert look(disk()) == "two grey values"
    assert look(disk(value=1)) == "two grey values"
    assert look(disk()[..., None] * np.uint8([1, 0, 0])) == "two colours"
    assert look(disk(200, 300), "JPEG", quality=85) == "black and white only"
    soft = Image.fromarray(disk(200, 300)).filter(ImageFilter.GaussianBlur(1))
    assert look(soft) == "black and white only"
    assert look(label_map()) == f"{len(np.unique(label_map()))} grey values in flat areas"
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    assert "colours in flat areas" in str(look(palette[label_map()]))
    assert look(np.kron(disk(), np.ones((40, 40), np.uint8))) == "two grey values"


def test_pictures_and_what_cannot_be_told():
    assert look(picture()) == ""
    grey = np.random.default_rng(0).normal(128, 40, (100, 100)).clip(0, 255).astype(np.uint8)
    assert look(grey) == ""
    assert look(np.zeros((20, 20), np.uint8)) is None


@pytest.mark.parametrize("quality", [60, 95])
def test_a_photograph_stays_one_as_jpeg(quality):
    smooth = np.linspace(0, 255, 300, dtype=np.uint8)[None].repeat(200, 0)
    file = io.BytesIO()
    Image.fromarray(smooth).save(file, "JPEG", quality=quality)
    assert mask_likeness(codec.decode_image(file.getvalue())) == ""
