"""Routes beside the pages: images, masks and downloads. `urls.py` builds their URLs; `uploads.py` accepts uploads.

A key is built only from ids (32 hex digits) by `engine.store.keys`; no name entered by a user ever reaches the disk.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboard.facts import urls
from dashboard.server import renditions, resources
from dashboard.server.bug_reports import BUG_REPORT_ROUTE
from dashboard.server.corrections import CORRECTION_ROUTES
from dashboard.server.downloads import DOWNLOAD_ROUTES
from dashboard.server.guard import FOREVER, REVALIDATE, Answer, file_tag, get, guarded, row_of, share, unchanged
from dashboard.server.left_out import LEFT_OUT_ROUTES
from dashboard.server.picture_bundle import bundle_route
from dashboard.server.uploads import UPLOAD_ROUTE
from db.models import Dataset, Run
from engine.imaging.class_colours import class_colours
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored


class Rendition(NamedTuple):
    """What a request asks for: a stored file, or what `render` computes from it, named by `variant`."""

    key: str
    media_type: str
    caching: str
    variant: str = ""
    render: Callable[[Path], bytes] | None = None


def _map(
    key_of: Callable[..., str],
    caching: str = REVALIDATE,
    smaller: Callable[[Path, int], bytes] = renditions.smaller_probability,
) -> Callable[[Request], Rendition]:
    """Return the source of 8-bit maps, probabilities or others. `key_of` takes the ids in the URL, in their order."""

    def source(request: Request) -> Rendition:
        key, size = key_of(*request.path_params.values()), _size(request)
        if size is None:
            return Rendition(key, "image/png", caching)
        return Rendition(key, "image/png", caching, f"{size}", lambda path: smaller(path, size))

    return source


def _image(request: Request) -> Rendition:
    key, size = stored.image_key(**_image_ids(request)), _size(request)
    if size is None:
        return Rendition(key, "image/png", FOREVER)
    if size == 192:
        return _thumbnail(request)
    return Rendition(key, "image/webp", FOREVER, f"{size}", lambda path: renditions.smaller_image(path, size))


def _thumbnail(request: Request) -> Rendition:
    return Rendition(stored.thumb_key(**_image_ids(request)), "image/webp", FOREVER)


def _patch(request: Request) -> Rendition:
    row, column = share(request, "row", 0.5), share(request, "column", 0.5)
    render = functools.partial(renditions.patch, row=row, column=column)
    return Rendition(stored.image_key(**_image_ids(request)), "image/webp", FOREVER, f"patch{row:g},{column:g}", render)


def _truth(request: Request) -> Rendition:
    ids, size = _image_ids(request), _size(request)
    run_id = request.query_params.get("run")
    with resources.database().reading() as session:
        dataset = row_of(session, Dataset, ids["dataset_id"])
        lookup, colours = dataset.lookup, class_colours(dataset.classes)
        region = stored.left_out_key(dataset.id, dataset.left_out_id)
        if run_id is not None:
            lookup = row_of(session, Run, run_id).lookup
    renders: dict[str, Callable[..., bytes]] = {
        "colour": functools.partial(renditions.coloured_truth, colours=colours),
        "classes": renditions.class_truth,
        "grey": renditions.grey_truth,
    }
    how = next((name for name in renders if request.query_params.get(name) == "1"), "grey")
    render = functools.partial(renders[how], left_out=LeftOut(resources.artifacts(), region))
    # Python's `hash` of a text is another one in every process.
    variant = f"{how}{size}-{zlib.crc32((repr((lookup, colours)) + region).encode()):08x}"
    return Rendition(stored.truth_key(**ids), "image/png", REVALIDATE, variant, lambda path: render(path, lookup, size))


def _left_out(request: Request) -> Rendition:
    width, height = (_side(request, name) for name in ("width", "height"))
    limit = round(resources.settings().image_limit_megapixels * 1e6)
    if width * height > limit:
        raise HTTPException(400, f"An image has at most {limit:,} pixels. Got {width} × {height}.")
    drawn = request.query_params.get("drawn") == "1"
    render = functools.partial(renditions.left_out, shape=(height, width), drawn=drawn)
    key = stored.left_out_key(request.path_params["dataset"], request.path_params["region"])
    return Rendition(key, "image/png", FOREVER, f"{width}x{height}{'drawn' if drawn else ''}", render)


def _side(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise HTTPException(400, f"The '{name}' parameter must be the width or height of an image. Got {text[:20]!r}.")
    return int(text)


def _image_ids(request: Request) -> dict[str, str]:
    return {"dataset_id": request.path_params["dataset"], "image_id": request.path_params["image"]}


def _size(request: Request) -> int | None:
    text = request.query_params.get("size")
    if text is None:
        return None
    if text not in {str(size) for size in urls.SIZES_PX}:
        raise HTTPException(400, f"The 'size' parameter must be one of {urls.SIZES_PX}. Got {text[:20]!r}.")
    return int(text)


PICTURES: dict[str, Callable[[Request], Rendition]] = {
    "datasets/{dataset}/images/{image}": _image,
    "datasets/{dataset}/thumbs/{image}": _thumbnail,
    "datasets/{dataset}/patches/{image}": _patch,
    "datasets/{dataset}/truth/{image}": _truth,
    "datasets/{dataset}/corrections/{correction}": _map(stored.correction_key, FOREVER, renditions.smaller_classes),
    "datasets/{dataset}/left-out/{region}": _left_out,
    "labels/{label_set}/{image}": _map(stored.label_key, FOREVER),
    "labels/{label_set}/classes/{image}": _map(stored.label_classes_key, FOREVER, renditions.smaller_classes),
    # A run that was resumed predicts again under the same ids.
    "predictions/{prediction_set}/{image}": _map(stored.prediction_key),
    "predictions/{prediction_set}/classes/{image}": _map(
        stored.prediction_classes_key, REVALIDATE, renditions.smaller_classes
    ),
    "predictions/{prediction_set}/uncertainty/{image}": _map(stored.uncertainty_key),
    "runs/{run}/rounds/{number:number}/labels/{image}": _map(stored.round_label_key),
    "runs/{run}/rounds/{number:number}/masks/{image}": _map(stored.round_mask_key),
    "runs/{run}/rounds/{number:number}/labels/classes/{image}": _map(
        stored.round_label_classes_key, REVALIDATE, renditions.smaller_classes
    ),
    "runs/{run}/rounds/{number:number}/masks/classes/{image}": _map(
        stored.round_mask_classes_key, REVALIDATE, renditions.smaller_classes
    ),
    "runs/{run}/probe/{epoch:number}/{image}": _map(stored.probe_key),
    "runs/{run}/probe/{epoch:number}/classes/{image}": _map(
        stored.probe_classes_key, REVALIDATE, renditions.smaller_classes
    ),
}


def _answer(source: Callable[[Request], Rendition]) -> Answer:
    @guarded
    def answer(request: Request) -> Response:
        key, media_type, caching, variant, render = source(request)
        tag = file_tag(key, variant)
        if (kept := unchanged(request, tag, caching)) is not None:
            return kept
        headers = {"Cache-Control": caching, "ETag": tag}
        with resources.artifacts().local(key) as path:
            if render is None:
                return FileResponse(path, media_type=media_type, headers=headers)
            data = resources.renditions().get_or_make(f"{key} {tag}", functools.partial(render, path))
        return Response(data, media_type=media_type, headers=headers)

    return answer


@guarded
def preview(request: Request) -> Response:
    """Answer with an image that a page rendered and keeps in memory."""
    found = resources.previews().get(request.path_params["key"])
    if found is None:
        raise HTTPException(404, "This preview is no longer kept.")
    return Response(found, media_type="image/png", headers={"Cache-Control": FOREVER})


@guarded
def plotly(request: Request) -> Response:
    """Answer with the chart library of the installed plotly package; its version is part of the URL."""
    path = files("plotly") / "package_data" / "plotly.min.js"
    return FileResponse(str(path), media_type="text/javascript", headers={"Cache-Control": FOREVER})


_PICTURE_ROUTES = [*(get(path, _answer(source)) for path, source in PICTURES.items()), get("preview/{key}", preview)]
ROUTES = [
    # Before those that accept any name for an image
    *DOWNLOAD_ROUTES,
    BUG_REPORT_ROUTE,
    *_PICTURE_ROUTES,
    get(urls.plotly().removeprefix(f"{urls.PREFIX}/"), plotly),
    UPLOAD_ROUTE,
    *CORRECTION_ROUTES,
    *LEFT_OUT_ROUTES,
    bundle_route(_PICTURE_ROUTES),
]
