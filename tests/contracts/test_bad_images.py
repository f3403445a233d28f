"""Images that nobody would choose, through decoding, every method and its quality, in bounded memory.

Warnings are errors here as everywhere. The large image is drawn in a process of its own, whose peak memory is read
after each method; the peak is Linux's, so elsewhere only shapes are checked.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from engine.imaging import codec
from engine.labelling.base import Method, draw, methods
from engine.labelling.quality import assess
from tests.support.installation import REPOSITORY
from tests.support.labelling import DISCS, ODD, SEED, disc, fitted

ALL = list(methods().values())
pytestmark = pytest.mark.usefixtures("lent_backbone")
GREATEST_GROWTH_MB = 600
"""What drawing 50 megapixels may take beside the image: its probability is 200 MB, and the rest is small."""


def png(pixels: np.ndarray) -> bytes:
    """Return uint8 or uint16, (H, W) or RGB (H, W, 3), as PNG."""
    return cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def sixteen_bit() -> np.ndarray:
    """Return a dim disc in a narrow part of the 16-bit range, as microscopes write it: uint16 (120, 160)."""
    grey = cv2.cvtColor(disc()[0], cv2.COLOR_RGB2GRAY)
    return 3000 + grey.astype(np.uint16) * 9


def saved(pixels: np.ndarray) -> bytes:
    """Return bool (H, W) as a 1-bit PNG, uint8 (H, W, 4) as one with alpha."""
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "PNG")
    return stored.getvalue()


FILES = {
    "flat": png(np.full((40, 50), 128, np.uint8)),
    "noise": png(ODD["noise"]),
    "grey": png(cv2.cvtColor(disc()[0], cv2.COLOR_RGB2GRAY)),
    "16-bit grey": png(sixteen_bit()),
    "16-bit flat": png(np.full((40, 50), 40000, np.uint16)),
    "16-bit colour": png(disc()[0].astype(np.uint16) * 257),
    "1-bit": saved(disc()[1]),
    "8 px high": png(ODD["noise"][:8]),
    "transparent": saved(np.zeros((40, 50, 4), np.uint8)),
}


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
@pytest.mark.parametrize("name", FILES)
def test_any_file_that_is_an_image_gets_a_mask(method: Method, name: str) -> None:
    image = codec.decode_image(FILES[name])
    params = method.params(longest_side_px=128)
    probability = draw(method, image, params, SEED, fitted(method, params, DISCS))
    assert probability.shape == image.shape[:2]
    assert 0 <= probability.min() <= probability.max() <= 1


@pytest.mark.parametrize("name", ["grey", "16-bit grey", "16-bit colour"])
def test_an_object_is_found_whatever_the_depth(name: str) -> None:
    method = methods()["threshold"]
    found = draw(method, codec.decode_image(FILES[name]), method.params(), SEED) >= 0.5
    _, mask = disc()
    assert (found & mask).sum() / (found | mask).sum() > 0.9


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, None], ids=["empty", "uncertain", "full", "drawn"])
def test_any_mask_of_any_image_has_a_quality(name: str, value: float | None) -> None:
    image = ODD[name]
    method = methods()["threshold"]

    def redraw(view: np.ndarray) -> np.ndarray:
        if value is None:
            return draw(method, view, method.params(), SEED)
        return np.full(view.shape[:2], value, np.float32)

    quality = assess(image, redraw(image), redraw)
    assert 0 <= quality.score <= 1
    assert quality.parts
    assert all(0 <= part <= 1 for part in quality.parts.values()), quality.parts
    json.dumps([quality.score, quality.parts, quality.clear])
    if name in ("1 x 1", "black", "white"):
        assert not quality.clear


LARGE = """
import json, sys, tempfile, warnings
import cv2, numpy as np
from engine.labelling.base import draw, methods
from engine.labelling.quality import assess
from pathlib import Path
from tests.support.backbones import lend_backbone
from tests.support.labelling import DISCS, SEED, disc, fitted, thin_line

def peak_mb():
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

def measured(work):
    try:
        open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from what is held now
    except OSError:
        pass
    before = peak_mb()
    result = work()
    return result, None if before is None else peak_mb() - before

warnings.simplefilter("error")
def enlarged(small):
    return cv2.resize(small, (8160, 6120), interpolation=cv2.INTER_NEAREST)

def overlap(probability, mask):
    found = cv2.resize(probability, (160, 120), interpolation=cv2.INTER_AREA) >= 0.5
    return float((found & mask).sum() / (found | mask).sum())

image = enlarged(disc()[0])
folder = tempfile.TemporaryDirectory()
lend_backbone(Path(folder.name))
for method in methods().values():
    params = method.params()
    state = fitted(method, params, DISCS)
    draw(method, DISCS[0], params, SEED, state)  # what is loaded at the first call is no growth
    probability, growth = measured(lambda: draw(method, image, params, SEED, state))
    redraw = lambda view: draw(method, view, params, SEED, state)
    quality, assessing = measured(lambda: assess(image, probability, redraw))
    found = overlap(probability, disc()[1])
    if found < 0.7:  # what looks for thin things finds no disc, and this line is thin only on a small picture
        line, mask = thin_line()
        found = overlap(draw(method, enlarged(line), method.params(longest_side_px=160), SEED, state), mask)
    print(json.dumps({"method": method.name, "shape": probability.shape, "dtype": str(probability.dtype),
        "growth_mb": growth, "assess_mb": assessing, "overlap": found,
        "score": quality.score}), flush=True)
folder.cleanup()
"""


@pytest.fixture(scope="module")
def large() -> dict[str, dict]:
    """Return what each method did with 50 megapixels, by name."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LARGE], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {result["method"]: result for result in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_fifty_megapixels_are_worked_on_small(method: Method, large: dict[str, dict]) -> None:
    result = large[method.name]
    assert result["shape"] == [6120, 8160]
    assert result["dtype"] == "float32"
    assert result["overlap"] > 0.7
    for key in ("growth_mb", "assess_mb"):
        assert result[key] is None or result[key] < GREATEST_GROWTH_MB, key
