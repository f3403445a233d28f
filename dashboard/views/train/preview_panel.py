"""A few training pairs as the network will see them: unchanged, then augmented."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.facts import train as facts
from dashboard.facts import training_pairs, urls
from dashboard.server.resources import artifacts, previews
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.overlay_choice import overlay_look
from dashboard.ui.tile_viewer import TileLook, view_tile
from engine.core.run_config import RunConfig
from engine.imaging import codec
from engine.store.base import MissingFile

COPIES = 3
MODES: dict[Mode, str] = {"fill": "Fill", "outline": "Outline", "side by side": "Side by side", "image": "Image"}


@st.cache_data(max_entries=6, show_spinner=False)  # in full size: a few of these are many megabytes
def _read_pair(pair: training_pairs.Pair) -> tuple[np.ndarray, np.ndarray]:
    return training_pairs.read_pair(artifacts(), pair)


def preview(
    dataset_id: str, pairs: tuple[training_pairs.Pair, ...], config: RunConfig | None, teacher: facts.Teacher
) -> None:
    """Draw a few training pairs, unchanged and as the network will see them."""
    mode = st.session_state.get("train-preview-mode", "fill")
    if config is None:
        st.info("The preview appears again once the settings are valid.")
        return
    draw = st.session_state.get("train-draws", 0)
    try:
        tiles = [tile for number, pair in enumerate(pairs) for tile in _pair_tiles(number, pair, config, draw)]
    except MissingFile as error:
        st.error(str(error))
        return
    if not config.augmentation.enabled:
        st.caption("Augmentation is off: the network sees each image as it is.")
    # An image and its variants are a row, however narrow.
    rows = config.augmentation.enabled and mode != "side by side"
    look = overlay_look(dataset_id)
    clicked = mask_grid(
        tiles,
        key="train-preview",
        mode=mode,
        tile_px=130 if mode != "side by side" else 220,
        columns=1 + COPIES if rows else None,
        aspect=1.0,
        class_colours=teacher.class_colours,
        mask_colour=look.colour,
    )
    if clicked:
        view_tile(tiles, clicked, TileLook(mode, overlay=look, class_colours=teacher.class_colours))


def preview_settings() -> None:
    """Draw how the preview shows masks, and what draws other variants of its images."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Masks in the preview",
            list(MODES),
            default="fill",
            required=True,
            format_func=MODES.__getitem__,
            key="train-preview-mode",
            persist_state="session",
        )
        if st.button("Shuffle", icon=":material/casino:", key="train-draw", help="Draw other variants."):
            st.session_state["train-draws"] = st.session_state.get("train-draws", 0) + 1
            st.rerun()


def _pair_tiles(number: int, pair: training_pairs.Pair, config: RunConfig, draw: int) -> list[Tile]:
    image, mask = _read_pair(pair)
    copies = COPIES if config.augmentation.enabled else 0
    variants = training_pairs.augmented(image, mask, config, copies, draw=1000 * draw + number)
    return [
        Tile(
            id=f"{number}-{copy}",
            title=f"variant {copy}" if copy else pair.name.rpartition("/")[2],
            image=_preview_url(pixels),
            mask=_preview_url(np.atleast_3d(moved)[..., 0]),
            classes=_preview_url(moved[..., 1]) if moved.ndim == 3 and config.model.classes != 1 else None,
        )
        for copy, (pixels, moved) in enumerate(variants)
    ]


def _preview_url(pixels: np.ndarray) -> str:
    return urls.preview(previews().put(codec.encode_png(pixels)))
