"""The routes of what is left out of all images of a dataset, drawn on one of them: as those of its corrections."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.server.corrections import answering, base_of, body_of, image_of, values_of
from dashboard.server.guard import get, guarded, is_sent_by_our_page, plain
from db import left_out as rows
from db.models import Image, LeftOutRegion
from engine.datasets import left_out
from engine.imaging.corrections import LEFT_OUT
from engine.imaging.left_out import checked
from engine.store.keys import BadKey

PATH = "datasets/{dataset}/images/{image}/left-out"


@guarded
def newest(request: Request) -> Response:
    """Answer with what is left out, in the size of an image, and who changed it before."""
    with resources.database().reading() as session:
        image = image_of(session, request)
        history = rows.history(session, image.dataset_id)
    now = history[0] if history else None
    shape = image.width, image.height
    return JSONResponse(
        {
            "width": image.width,
            "height": image.height,
            "revision": now.revision if now else 0,
            "address": urls.left_out(image.dataset_id, now.file_id, shape, drawn=True) if now and now.file_id else None,
            "finished": False,
            "history": [_line(row, image) for row in history],
        },
        headers={"Cache-Control": "no-store"},
    )


def _line(row: LeftOutRegion, image: Image) -> dict[str, Any]:
    pixels = round(row.share * image.width * image.height)
    return {"revision": row.revision, "who": row.who, "at": row.at.isoformat(), "source": row.source, "pixels": pixels}


async def change(request: Request) -> Response:
    """POST ?base=3 with a PNG as body, 254 where something is left out, replaces the region; DELETE ?base=3 takes the
    newest change back."""
    if not is_sent_by_our_page(request):
        return plain(403, "What is left out is taken from Maskloom's own pages only.")
    try:
        image = await anyio.to_thread.run_sync(_image, request)
        if request.method == "DELETE":
            return await anyio.to_thread.run_sync(answering, partial(_withdraw, request, image))
        data = await body_of(request, image)
        return await anyio.to_thread.run_sync(answering, partial(_store, request, image, data))
    except (BadKey, HTTPException) as error:
        sentence = "This image was deleted meanwhile, so nothing can be drawn on it."
        return plain(getattr(error, "status_code", 404), str(getattr(error, "detail", sentence)))
    except ClientDisconnect:
        return plain(400, "The connection ended before the region did.")


def _image(request: Request) -> Image:
    with resources.database().reading() as session:
        return image_of(session, request)


def _store(request: Request, image: Image, data: bytes) -> LeftOutRegion:
    base, region = base_of(request), values_of(data, image, 0) == LEFT_OUT
    if not region.any():
        with resources.database().writing() as session:
            return rows.clear(session, image.dataset_id, base)
    checked(region.astype(np.uint8), "What was drawn")

    def commit(values: dict[str, Any]) -> LeftOutRegion:
        with resources.database().writing() as session:
            return rows.add(session, image.dataset_id, base, values)

    return left_out.store(resources.artifacts(), commit, image.dataset_id, region, "drawn")


def _withdraw(request: Request, image: Image) -> LeftOutRegion:
    with resources.database().writing() as session:
        return rows.withdraw(session, image.dataset_id, base_of(request))


LEFT_OUT_ROUTES = [get(PATH, newest), Route(f"{urls.PREFIX}/{PATH}", change, methods=["POST", "DELETE"])]
