"""Strokes on the bench of the Masks page: how to begin, and masks that follow what was drawn while it is open."""

from __future__ import annotations

import numpy as np

from db import corrections, datasets
from engine.datasets.corrections import Drawn, store
from engine.imaging.corrections import UNTOUCHED
from tests.support.installation import add_discs, disc
from tests.support.labels_page import PAGE, texts


def test_the_bench_says_how_to_begin_and_follows_strokes_that_are_drawn_meanwhile(installation, open_page):
    dataset = add_discs(installation, count=6)
    app = open_page(PAGE, a="strokes")
    assert not app.exception and not app.error
    assert "Draw strokes on at least one image. Click on a test image below" in texts(app)
    assert not app.metric

    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)[:2]
    drawn = []
    for number, image in enumerate(images):
        mask = disc(seed=number)[1]
        values = np.full(mask.shape, UNTOUCHED, np.uint8)
        row, column = (int(place) for place in np.argwhere(mask).mean(0))
        values[row - 6 : row + 6, column - 6 : column + 6] = 1
        values[:6][~mask[:6]] = 0
        drawn.append(Drawn(image, values, 0, "drawn", finished=False))
    store(installation.files, corrections.committing(installation.database.writing), drawn)

    app.run()
    assert not app.exception and not app.info
    scores = {metric.label: metric.value for metric in app.metric}
    assert float(scores["Dice vs truth"]) > 0.8
