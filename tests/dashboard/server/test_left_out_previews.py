"""Previews of a dataset of which a region is left out: nothing is drawn or scored there, and a change is drawn anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.server.previews import PreviewPool, Source
from engine.imaging import codec, metrics
from engine.imaging.left_out import LeftOut
from engine.labelling.base import find_method
from engine.store import keys as stored
from tests.support.installation import disc, mask_png

LOOKUP = tuple(int(value >= 128) for value in range(256))
ID = "a" * 32


@pytest.fixture
def source(installation, tmp_path):
    image, mask = disc(160, 40)
    image[:, :30] = 255
    mask[:, :30] = True
    (tmp_path / "image.png").write_bytes(codec.encode_png(image))
    (tmp_path / "truth.png").write_bytes(mask_png(mask))
    frame = np.zeros((160, 160), bool)
    frame[:, :30] = True
    installation.files.write(stored.left_out_key(ID, ID), mask_png(frame))
    return Source("framed", 160, tmp_path / "image.png", tmp_path / "truth.png", LOOKUP)


def test_a_region_is_0_in_previews_and_does_not_count_in_their_scores(installation, source):
    pool, params = PreviewPool(workers=1), find_method("threshold").params()
    left_out = LeftOut(installation.files, stored.left_out_key(ID, ID))
    try:
        [whole] = pool.draw("threshold", params, [source], limit_px=None)
        [without] = pool.draw("threshold", params, [replace(source, left_out=left_out)], limit_px=None)
    finally:
        pool.close()
    assert codec.decode_png(whole.png)[:, :30].all()
    assert not codec.decode_png(without.png)[:, :30].any()
    assert without.counts.reference < whole.counts.reference
    assert metrics.dice_curve(without.counts)[metrics.threshold_index(0.5)] > 0.9
