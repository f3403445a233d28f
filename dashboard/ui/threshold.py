"""The slider of the mask threshold, the same on every page, bound to the URL as `?threshold=`."""

from __future__ import annotations

from typing import Literal

import streamlit as st


def mask_threshold(follows: str, width: int | Literal["stretch"] = "stretch") -> float:
    """Draw the slider; return the threshold in [0, 1]. `follows` is a sentence on what else changes."""
    return st.slider(
        "Mask threshold",
        0.0,
        1.0,
        0.5,
        0.01,
        key="threshold",
        bind="query-params",
        width=width,
        help=f"A pixel belongs to the mask from this probability on. {follows}",
    )
