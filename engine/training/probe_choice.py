"""Which images of a run are probes: predicted after every epoch, to be looked at while it trains."""

from __future__ import annotations

from typing import Any

import numpy as np

PROBES = {"validation": 6, "train": 2}
"""Unseen images tell more; two that are trained on show what the network can do at best."""


def choose_probes(rows: list[dict[str, Any]]) -> None:
    """Mark a few images of each side, spread evenly over the dataset."""
    for side, count in PROBES.items():
        members = [row for row in rows if row["split"] == side]
        for index in np.linspace(0, len(members) - 1, min(count, len(members))).astype(int):
            members[index]["probe"] = True
