"""The stored tables and number maps of measurements, and the masks of images, kept in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.server import resources
from dashboard.views.measure.table_facts import TEXT, Measured
from db import masks
from db.masks import MasksOf
from db.models import Image
from engine.imaging import codec
from engine.measuring.stored_masks import stored_masks
from engine.measuring.table import MaskedPicture
from engine.store import keys as stored


class DamagedTable(ValueError):
    """A stored table cannot be read. The sentence names it."""


def measured_tables(measurement_id: str) -> Measured:
    """Return the tables of a measurement that has ended. Nobody may write into them.

    Raises:
        MissingFile: a file is gone.
        DamagedTable: a file is damaged.
    """
    files = resources.artifacts()
    return _read(measurement_id, files.version(stored.objects_key(measurement_id)))


@st.cache_resource(max_entries=4, show_spinner="Reading the objects …")
def _read(measurement_id: str, version: str) -> Measured:
    objects = _table(stored.objects_key(measurement_id))
    images = _table(stored.measured_images_key(measurement_id))
    names = images["image"].tolist()
    for name in [name for name in TEXT if name in objects]:
        order = {"categories": list(dict.fromkeys(names))} if name == "image" else {}
        objects[name] = pd.Categorical(objects[name], **order)
    return Measured(objects, images)


def _table(key: str) -> pd.DataFrame:
    with resources.artifacts().local(key) as path:
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError):
            raise DamagedTable(f"The stored file {key} is damaged.") from None


@st.cache_resource(max_entries=16, show_spinner=False)
def number_map(measurement_id: str, image_id: str, version: str) -> np.ndarray:
    """Return the number of the object of each pixel, uint16 (H, W)."""
    return codec.decode_png(resources.artifacts().read(stored.number_map_key(measurement_id, image_id)))


@st.cache_resource(max_entries=16, show_spinner=False)
def picture_of(dataset_id: str, image_id: str) -> np.ndarray:
    """Return an image, uint8 RGB (H, W, 3), which never changes."""
    return codec.decode_png(resources.artifacts().read(stored.image_key(dataset_id, image_id)))


def image_names(owner: MasksOf, owner_id: str) -> dict[str, str]:
    """Return {image id: name} of the images that have a mask of a set."""
    with resources.database().reading() as session:
        return {image.id: image.name for image in masks.mask_rows(session, owner, owner_id).images}


@st.cache_resource(max_entries=4, show_spinner=False)
def mask_of(owner: MasksOf, owner_id: str, image_id: str, threshold: float, stamp: str) -> tuple[MaskedPicture, Image]:
    """Return the mask of one image and its row; `stamp` identifies the state of the masks."""
    with resources.database().reading() as session:
        rows = masks.mask_rows(session, owner, owner_id)
    image = next(row for row in rows.images if row.id == image_id)
    return stored_masks(resources.artifacts(), rows).picture(image, threshold, intervals=False), image
