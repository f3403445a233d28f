"""The routes of what people draw on an image: the newest correction and its history, storing one, withdrawing it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import anyio
import numpy as np
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.server.guard import get, guarded, is_sent_by_our_page, plain
from db import corrections as rows
from db import left_out
from db.actors import NotAllowed
from db.models import Correction, Dataset, Image, LabelSet, LeftOutRegion, PredictionSet
from db.session import DatabaseRefused
from engine.datasets import corrections as stored_corrections
from engine.imaging import corrections, metrics
from engine.imaging.codec import Limits, UnreadableImage, decode_pixels, decode_png
from engine.imaging.corrections import BadCorrection
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored
from engine.store.base import StoreFailed
from engine.store.keys import BadKey

PATH = "datasets/{dataset}/images/{image}/corrections"
SPARE_BYTES = 65_536
"""What a PNG may have beyond one byte for each pixel and row: noise cannot be compressed."""

_DELETED = "This image was deleted meanwhile, so it cannot be corrected."


@guarded
def newest(request: Request) -> Response:
    """Answer with the newest correction of an image, and who drew what before."""
    with resources.database().reading() as session:
        image = image_of(session, request)
        found = rows.current(session, image.dataset_id, [image.id]).get(image.id)
        history = rows.history(session, image.id)
    return JSONResponse(
        {
            "width": image.width,
            "height": image.height,
            "revision": image.correction_revision,
            "address": found and urls.correction(image.dataset_id, found.file_id),
            "finished": bool(found and found.finished),
            "history": [_line(row) for row in history],
        },
        headers={"Cache-Control": "no-store"},
    )


def _line(row: Correction) -> dict[str, Any]:
    pixels = sum(count for _, count in row.pixels)
    return {"revision": row.revision, "who": row.who, "at": row.at.isoformat(), "source": row.source, "pixels": pixels}


async def change(request: Request) -> Response:
    """POST ?base=3&finished=1&mask_of=… with a PNG as body stores a correction; DELETE ?base=3 withdraws the newest."""
    if not is_sent_by_our_page(request):
        return plain(403, "Corrections are taken from Maskloom's own pages only.")
    try:
        if request.method == "DELETE":
            return await anyio.to_thread.run_sync(answering, lambda: _withdraw(request))
        image, classes = await anyio.to_thread.run_sync(_what_is_corrected, request)
        data = await body_of(request, image)
        return await anyio.to_thread.run_sync(answering, lambda: _store(request, image, classes, data))
    except (BadKey, HTTPException) as error:
        return plain(getattr(error, "status_code", 404), str(getattr(error, "detail", _DELETED)))
    except ClientDisconnect:
        return plain(400, "The connection ended before the correction did.")


def answering(work: Callable[[], Correction | LeftOutRegion]) -> Response:
    """Answer with what `work` stored, or with the sentence that says why it did not."""
    try:
        row = work()
    except (rows.StaleCorrection, left_out.StaleRegion) as error:
        return plain(409, str(error))
    except NotAllowed as error:
        return plain(403, str(error))
    except StoreFailed as error:
        return plain(503, str(error))
    except OSError as error:
        return plain(507, f"The correction could not be stored: {error.strerror or error}.")
    except DatabaseRefused as error:
        return plain(507, str(error))
    except DBAPIError as error:
        return plain(507, f"The correction could not be stored: {error.orig}.")
    except ValueError as error:
        return plain(400, str(error))
    return JSONResponse({"revision": row.revision, "id": row.id}, headers={"Cache-Control": "no-store"})


def image_of(session: Session, request: Request) -> Image:
    image = session.get(Image, stored.checked_id(request.path_params["image"]))
    if image is None or image.dataset_id != stored.checked_id(request.path_params["dataset"]):
        raise HTTPException(404, _DELETED)
    return image


def _what_is_corrected(request: Request) -> tuple[Image, int]:
    """Return the image and how many classes its dataset has beside background."""
    with resources.database().reading() as session:
        image = image_of(session, request)
        return image, max(len(session.get_one(Dataset, image.dataset_id).classes) - 1, 1)


async def body_of(request: Request, image: Image) -> bytes:
    limit = image.width * image.height + image.height + SPARE_BYTES
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise HTTPException(413, f"A correction of {image.name!r} has at most {limit:,} bytes.")
    return bytes(data)


def _store(request: Request, image: Image, classes: int, data: bytes) -> Correction:
    asked = request.query_params
    values = values_of(data, image, classes)
    finished, mask_of = asked.get("finished") == "1", asked.get("mask_of", "")
    drawn = stored_corrections.Drawn(
        image,
        values,
        base_of(request),
        "accepted" if finished and asked.get("accepted") == "1" else "drawn",
        finished=finished,
        mask_dice=_mask_dice(values, image, mask_of) if mask_of else None,
        mask_of=mask_of,
    )
    return stored_corrections.store(resources.artifacts(), rows.committing(resources.database().writing), [drawn])[0]


def _withdraw(request: Request) -> Correction:
    with resources.database().writing() as session:
        return rows.withdraw(session, image_of(session, request), base_of(request))


def base_of(request: Request) -> int:
    text = request.query_params.get("base", "")
    if not text.isdecimal():
        raise BadCorrection(f"The 'base' parameter must be the revision that was corrected. Got {text[:20]!r}.")
    return int(text)


def values_of(data: bytes, image: Image, classes: int) -> np.ndarray:
    shape = image.height, image.width
    if _is_grey_png(data, shape):
        return corrections.checked(_decoded(decode_png, data, image), shape, classes, image.name)
    limits = Limits(max_pixels=round(resources.settings().image_limit_megapixels * 1e6), min_side_px=1)
    values = _decoded(lambda data: decode_pixels(data, limits, keep_palette=True).values, data, image)
    return corrections.checked(values[..., 0] if values.shape[2] == 1 else values, shape, classes, image.name)


def _is_grey_png(data: bytes, shape: tuple[int, int]) -> bool:
    """Return whether a header says 8-bit greyscale PNG of `shape`, as the brush sends it: the quick way to read it."""
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[16:26] == struct.pack(">IIBB", shape[1], shape[0], 8, 0)


def _decoded(decode: Callable[[bytes], np.ndarray], data: bytes, image: Image) -> np.ndarray:
    try:
        return decode(data)
    except UnreadableImage as error:
        raise BadCorrection(f"The correction of {image.name!r} cannot be read. {error}") from None


def _mask_dice(values: np.ndarray, image: Image, mask_of: str) -> float | None:
    """Return the Dice of the mask that was shown, at threshold 0.5, against a correction where it says something."""
    with resources.database().reading() as session:
        key = _mask_key(session, image, mask_of)
        region_id = session.get_one(Dataset, image.dataset_id).left_out_id
    values = LeftOut(resources.artifacts(), stored.left_out_key(image.dataset_id, region_id)).marked(values)
    if key is None or not resources.artifacts().exists(key):
        return None  # the mask was deleted meanwhile; what was drawn counts nevertheless
    said = values < corrections.LEFT_OUT
    rows_said, columns_said = np.flatnonzero(said.any(axis=1)), np.flatnonzero(said.any(axis=0))
    if not rows_said.size:
        return None
    levels = decode_png(resources.artifacts().read(key))
    if levels.shape == values.shape:  # the rest of a large image takes most of the time
        part = slice(rows_said[0], rows_said[-1] + 1), slice(columns_said[0], columns_said[-1] + 1)
        values, levels = values[part], levels[part]
    shown, drawn = corrections.as_reference(values).beside(levels)
    return metrics.dice(metrics.to_mask(shown, 0.5), drawn)


def _mask_key(session: Session, image: Image, mask_of: str) -> str | None:
    if session.get(LabelSet, stored.checked_id(mask_of)):
        return stored.label_key(mask_of, image.id)
    of_run = PredictionSet.run_id == mask_of, PredictionSet.dataset_id == image.dataset_id
    set_id = session.scalar(select(PredictionSet.id).where(*of_run))
    return set_id and stored.prediction_key(set_id, image.id)


CORRECTION_ROUTES = [get(PATH, newest), Route(f"{urls.PREFIX}/{PATH}", change, methods=["POST", "DELETE"])]
