"""Charts with one look: the page's theme, Okabe-Ito colours, one hover line, little margin.

```python
charts.metric_curves([Curve("loss", epochs, values, group="train"), ...], key="loss", log=True, smoothing=0.6)
```
The key keeps zoom and hidden curves while new epochs arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.components import palette


@dataclass(frozen=True)
class Curve:
    """One line: `values[i]` belongs to `epochs[i]`. Curves of one `run` share a colour; validation is solid."""

    metric: str
    epochs: Sequence[float]
    values: Sequence[float]
    group: Literal["train", "validation", ""] = ""
    run: str = ""


def metric_curves(
    curves: Sequence[Curve],
    *,
    key: str,
    title: str = "",
    log: bool = False,
    smoothing: float = 0.0,
    best_epoch: float | None = None,
    height_px: int = 300,
) -> None:
    """Draw curves over epochs.

    Args:
        log: a logarithmic value axis.
        smoothing: weight of the past in an exponential moving average, 0 (none) to 0.99; raw values stay, faint.
        best_epoch: marked with a thin line.
    """
    raise NotImplementedError


def learning_rate(curve: Curve, *, key: str, height_px: int = 200) -> None:
    """Draw the learning rate over epochs on a logarithmic axis."""
    raise NotImplementedError


def histogram(
    values: Sequence[float],
    *,
    key: str,
    x_title: str,
    bins: int = 20,
    span: tuple[float, float] | None = (0.0, 1.0),
    threshold: float | None = None,
    height_px: int = 220,
) -> None:
    """Draw how often values occur; those below `threshold` in another colour."""
    raise NotImplementedError


def smooth(values: Sequence[float], weight: float) -> np.ndarray:
    """Return the exponential moving average, with the start's bias taken out (as Adam does); NaN are skipped."""
    raise NotImplementedError


__all__ = ["Curve", "go", "histogram", "learning_rate", "metric_curves", "palette", "smooth", "st"]
