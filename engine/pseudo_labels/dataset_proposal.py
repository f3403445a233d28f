"""Which clusters of a dataset are foreground, guessed without truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.pseudo_labels.dataset_pieces import Pieces


def propose(looks: Sequence[Pieces], owner: np.ndarray, count: int) -> np.ndarray:
    """Return bool (count,): the clusters that hold little of the image borders for their area. Never all of them."""
    proposed = np.zeros(count, bool)
    if count < 2:
        return proposed
    area = np.bincount(owner, np.concatenate([each.areas for each in looks]).astype(np.float64), minlength=count)
    border = np.bincount(owner, np.concatenate([each.border for each in looks]).astype(np.float64), minlength=count)
    area, border = area / area.sum(), border / border.sum()
    order = np.argsort(border / np.maximum(area, 1e-9), kind="stable")
    inside, held = np.cumsum(area[order])[:-1], np.cumsum(border[order])[:-1]
    gap = (1 - held) / np.sqrt(np.maximum(1 - inside, 1e-9)) - held / np.sqrt(np.maximum(inside, 1e-9))
    proposed[order[: int(gap.argmax()) + 1]] = True
    return proposed
