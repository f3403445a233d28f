"""Routes beside the pages: pictures and downloads. `urls.py` makes the addresses; `uploads.py` takes uploads.

A path is made only from ids (32 hex digits) by `engine.store.keys`; no name that a person gave ever reaches
the disk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboard.facts import urls
from dashboard.server import renditions, resources
from dashboard.server.bug_reports import BUG_REPORT_ROUTE
from dashboard.server.downloads import DOWNLOAD_ROUTES
from dashboard.server.guard import FOREVER, REVALIDATE, file_tag, get, guarded, row_of, share, unchanged
from dashboard.server.picture_bundle import bundle_route
from dashboard.server.uploads import UPLOAD_ROUTE
from db.models import Dataset
from engine.store import keys as stored


@guarded
def image(request: Request) -> Response:
    ids = request.path_params
    size = _size(request)
    if size == 192:
        return thumbnail(request)
    key = stored.image_key(ids["dataset"], ids["image"])
    return _picture(request, key, "image/png", FOREVER, renditions.smaller_image, "image/webp")


@guarded
def thumbnail(request: Request) -> Response:
    ids = request.path_params
    return _picture(request, stored.thumb_key(ids["dataset"], ids["image"]), "image/webp", FOREVER)


@guarded
def patch(request: Request) -> Response:
    ids = request.path_params
    row, column = share(request, "row", 0.5), share(request, "column", 0.5)
    key = stored.image_key(ids["dataset"], ids["image"])
    make = functools.partial(renditions.patch, row=row, column=column)
    return _made(request, key, f"patch{row:g},{column:g}", "image/webp", FOREVER, make)


@guarded
def truth(request: Request) -> Response:
    ids, size = request.path_params, _size(request)
    key = stored.truth_key(ids["dataset"], ids["image"])
    with resources.database().reading() as session:
        lookup = row_of(session, Dataset, ids["dataset"]).lookup
    renders = {"colour": renditions.coloured_truth, "classes": renditions.class_truth}
    how = next((name for name in renders if request.query_params.get(name) == "1"), "grey")
    render = renders.get(how, renditions.grey_truth)
    tag = f"{how}{size}{hash(tuple(lookup))}"
    return _made(request, key, tag, "image/png", REVALIDATE, lambda path: render(path, lookup, size))


@guarded
def label(request: Request) -> Response:
    ids = request.path_params
    return _probability(request, stored.label_key(ids["label_set"], ids["image"]), FOREVER)


@guarded
def prediction(request: Request) -> Response:
    ids = request.path_params
    # A run that was resumed predicts anew under the same ids.
    return _probability(request, stored.prediction_key(ids["prediction_set"], ids["image"]), REVALIDATE)


@guarded
def probe(request: Request) -> Response:
    ids = request.path_params
    return _probability(request, stored.probe_key(ids["run"], ids["epoch"], ids["image"]), REVALIDATE)


@guarded
def uncertainty(request: Request) -> Response:
    ids = request.path_params
    return _probability(request, stored.uncertainty_key(ids["prediction_set"], ids["image"]), REVALIDATE)


@guarded
def round_label(request: Request) -> Response:
    ids = request.path_params
    return _probability(request, stored.round_label_key(ids["run"], ids["number"], ids["image"]), REVALIDATE)


@guarded
def round_mask(request: Request) -> Response:
    ids = request.path_params
    return _probability(request, stored.round_mask_key(ids["run"], ids["number"], ids["image"]), REVALIDATE)


@guarded
def preview(request: Request) -> Response:
    found = resources.previews().get(request.path_params["key"])
    if found is None:
        raise HTTPException(404, "This preview is no longer kept.")
    return Response(found, media_type="image/png", headers={"Cache-Control": FOREVER})


def _probability(request: Request, key: str, caching: str) -> Response:
    return _picture(request, key, "image/png", caching, renditions.smaller_probability, "image/png")


def _picture(
    request: Request,
    key: str,
    media_type: str,
    caching: str,
    smaller: Callable[..., bytes] | None = None,
    smaller_type: str = "",
) -> Response:
    """Answer with a stored file, or with a smaller copy of it when a size is asked for."""
    size = _size(request)
    if smaller is None or size is None:
        tag = file_tag(key, "")
        with resources.artifacts().local(key) as path:
            return unchanged(request, tag, caching) or FileResponse(
                path, media_type=media_type, headers={"Cache-Control": caching, "ETag": tag}
            )
    return _made(request, key, f"{size}", smaller_type, caching, lambda path: smaller(path, size))


def _made(
    request: Request, key: str, variant: str, media_type: str, caching: str, make: Callable[[Path], bytes]
) -> Response:
    """Answer with something made from a stored file, from memory if it was made before."""
    tag = file_tag(key, variant)
    kept = unchanged(request, tag, caching)
    if kept is not None:
        return kept
    with resources.artifacts().local(key) as path:
        data = resources.renditions().get_or_make(f"{key} {tag}", lambda: make(path))
    return Response(data, media_type=media_type, headers={"Cache-Control": caching, "ETag": tag})


def _size(request: Request) -> int | None:
    text = request.query_params.get("size")
    if text is None:
        return None
    if text not in {str(size) for size in urls.SIZES_PX}:
        raise HTTPException(400, f"The 'size' parameter must be one of {urls.SIZES_PX}. Got {text[:20]!r}.")
    return int(text)


@guarded
def plotly(request: Request) -> Response:
    """Answer with the chart library of the installed plotly package; its version is part of the address."""
    path = files("plotly") / "package_data" / "plotly.min.js"
    return FileResponse(str(path), media_type="text/javascript", headers={"Cache-Control": FOREVER})


ROUTES = [
    # Before those that take any name for an image
    *DOWNLOAD_ROUTES,
    BUG_REPORT_ROUTE,
    get("datasets/{dataset}/images/{image}", image),
    get("datasets/{dataset}/thumbs/{image}", thumbnail),
    get("datasets/{dataset}/patches/{image}", patch),
    get("datasets/{dataset}/truth/{image}", truth),
    get("labels/{label_set}/{image}", label),
    get("predictions/{prediction_set}/{image}", prediction),
    get("predictions/{prediction_set}/uncertainty/{image}", uncertainty),
    get("runs/{run}/rounds/{number:int}/labels/{image}", round_label),
    get("runs/{run}/rounds/{number:int}/masks/{image}", round_mask),
    get("runs/{run}/probe/{epoch:int}/{image}", probe),
    get("preview/{key}", preview),
    get(urls.plotly().removeprefix(f"{urls.PREFIX}/"), plotly),
    UPLOAD_ROUTE,
]
ROUTES.append(bundle_route(route for route in ROUTES if route.path.endswith(("{image}", "preview/{key}"))))
