"""Routes beside the pages: pictures and downloads. `urls.py` makes the addresses; `upload_route.py` takes uploads.

A path is made only from ids (32 hex digits) by `engine.artifacts`; no name that a person gave ever reaches the disk.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dashboard import exports, renditions, resources, urls
from dashboard.picture_bundle import bundle_route
from dashboard.upload_route import UPLOAD_ROUTE
from db.models import Dataset, LabelSet, PredictionSet, Run
from engine import artifacts as stored
from engine.artifacts import BadKey

GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}
FOREVER = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"

Answer = Callable[[Request], Response]


def guarded(answer: Answer) -> Answer:
    """Answer only our own pages, turn a bad id or a missing row or file into a plain 404, and set the guard headers."""

    @functools.wraps(answer)
    def inner(request: Request) -> Response:
        # Browsers say where a request comes from; a picture or a mask is nothing for another site's page.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _plain(403, "Only Maskloom's own pages may ask for this.")
        try:
            response = answer(request)
        except (BadKey, FileNotFoundError):
            return _plain(404, "There is no such file.")
        except HTTPException as error:
            return _plain(error.status_code, str(error.detail))
        response.headers.update(GUARDS)
        return response

    return inner


def _plain(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, {**GUARDS, "Cache-Control": "no-store"})


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
    row, column = _share(request, "row", 0.5), _share(request, "column", 0.5)
    key = stored.image_key(ids["dataset"], ids["image"])
    path = resources.artifacts().path(key)
    make = functools.partial(renditions.patch, path, row, column)
    return _made(request, key, f"patch{row:g},{column:g}", "image/webp", FOREVER, make)


@guarded
def truth(request: Request) -> Response:
    ids, size = request.path_params, _size(request)
    key = stored.truth_key(ids["dataset"], ids["image"])
    with resources.database().reading() as session:
        lookup = _row(session, Dataset, ids["dataset"]).lookup
    renders = {"colour": renditions.coloured_truth, "classes": renditions.class_truth}
    how = next((name for name in renders if request.query_params.get(name) == "1"), "grey")
    render = renders.get(how, renditions.grey_truth)
    store, tag = resources.artifacts(), f"{how}{size}{hash(tuple(lookup))}"
    return _made(request, key, tag, "image/png", REVALIDATE, lambda: render(store.path(key), lookup, size))


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


@guarded
def model(request: Request) -> Response:
    run_id = request.path_params["run"]
    with resources.database().reading() as session:
        name = _row(session, Run, run_id).name
    path = resources.artifacts().path(stored.best_model_key(run_id))
    if not path.is_file():
        raise HTTPException(404, "This run has not kept a model yet.")
    return FileResponse(
        path, filename=f"{name}.keras", media_type="application/octet-stream", headers={"Cache-Control": REVALIDATE}
    )


@guarded
def run_log(request: Request) -> Response:
    with resources.database().reading() as session:
        job_id = _row(session, Run, request.path_params["run"]).job_id
    path = resources.artifacts().path(stored.job_log_key(job_id or "0" * 32))
    if not path.is_file():
        raise HTTPException(404, "There is no log yet.")
    return FileResponse(path, media_type="text/plain; charset=utf-8", headers={"Cache-Control": REVALIDATE})


@guarded
def metrics_csv(request: Request) -> Response:
    run_id = request.path_params["run"]
    with resources.database().reading() as session:
        name = _row(session, Run, run_id).name
        return _csv(f"{name} metrics.csv", exports.metrics_csv(session, run_id))


@guarded
def report_csv(request: Request) -> Response:
    dataset_id = request.path_params["dataset"]
    with resources.database().reading() as session:
        name = _row(session, Dataset, dataset_id).name
        return _csv(f"{name} import report.csv", exports.report_csv(session, dataset_id))


@guarded
def prediction_csv(request: Request) -> Response:
    set_id, threshold = request.path_params["prediction_set"], _threshold(request)
    with resources.database().reading() as session:
        name = _prediction_title(session, set_id)
        return _csv(f"{name}.csv", exports.prediction_csv(session, resources.artifacts(), set_id, threshold))


@guarded
def prediction_zip(request: Request) -> Response:
    set_id, threshold = request.path_params["prediction_set"], _threshold(request)
    store = resources.artifacts()
    with resources.database().reading() as session:
        title = _prediction_title(session, set_id)
        named = exports.prediction_names(session, set_id)
        unsure = exports.prediction_names(session, set_id, stored.uncertainty_key)
        table = exports.prediction_csv(session, store, set_id, threshold)
    members = exports.mask_members(store, named, threshold, _wants_probabilities(request))
    if _wants_probabilities(request):
        members = itertools.chain(members, exports.uncertainty_members(store, unsure))
    return _zip(title, members, table)


@guarded
def label_zip(request: Request) -> Response:
    label_set_id, threshold = request.path_params["label_set"], _threshold(request)
    store = resources.artifacts()
    with resources.database().reading() as session:
        title = _row(session, LabelSet, label_set_id).name
        named = exports.label_names(session, label_set_id)
        table = exports.label_csv(session, label_set_id)
    members = exports.mask_members(store, named, threshold, _wants_probabilities(request))
    return _zip(title, members, table)


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
    size, path = _size(request), resources.artifacts().path(key)
    if smaller is None or size is None:
        return _unchanged(request, _tag(path, ""), caching) or FileResponse(
            path, media_type=media_type, headers={"Cache-Control": caching, "ETag": _tag(path, "")}
        )
    return _made(request, key, f"{size}", smaller_type, caching, lambda: smaller(path, size))


def _made(
    request: Request, key: str, variant: str, media_type: str, caching: str, make: Callable[[], bytes]
) -> Response:
    """Answer with something made from a stored file, from memory if it was made before."""
    tag = _tag(resources.artifacts().path(key), variant)
    unchanged = _unchanged(request, tag, caching)
    if unchanged is not None:
        return unchanged
    data = resources.renditions().get_or_make(f"{key} {tag}", make)
    return Response(data, media_type=media_type, headers={"Cache-Control": caching, "ETag": tag})


def _tag(path: Any, variant: str) -> str:
    state = path.stat()
    return f'"{state.st_mtime_ns:x}-{state.st_size:x}-{variant}"'


def _unchanged(request: Request, tag: str, caching: str) -> Response | None:
    if request.headers.get("if-none-match") != tag:
        return None
    return Response(status_code=304, headers={"Cache-Control": caching, "ETag": tag})


def _size(request: Request) -> int | None:
    text = request.query_params.get("size")
    if text is None:
        return None
    if text not in {str(size) for size in urls.SIZES_PX}:
        raise HTTPException(400, f"The 'size' parameter must be one of {urls.SIZES_PX}. Got {text[:20]!r}.")
    return int(text)


def _threshold(request: Request) -> float:
    return _share(request, "threshold", 0.5)


def _share(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name, f"{default:g}")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise HTTPException(400, f"The '{name}' parameter must be in [0, 1]. Got {text[:20]!r}.")
    return value


def _wants_probabilities(request: Request) -> bool:
    return request.query_params.get("probabilities") == "1"


def _row(session: Session, table: Any, row_id: str) -> Any:
    row = session.get(table, stored.checked_id(row_id))
    if row is None:
        raise HTTPException(404, "It is not there, or no longer.")
    return row


def _prediction_title(session: Session, set_id: str) -> str:
    prediction_set = _row(session, PredictionSet, set_id)
    run, dataset = session.get(Run, prediction_set.run_id), session.get(Dataset, prediction_set.dataset_id)
    return f"{run.name} on {dataset.name}"


def _csv(name: str, text: str) -> Response:
    # The byte order mark tells spreadsheets that it is UTF-8.
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=_attachment(name))


def _zip(title: str, members: Iterator[exports.Member], table: str) -> Response:
    everything: Iterable[exports.Member] = _with_table(members, table)
    return StreamingResponse(
        exports.zip_stream(everything), media_type="application/zip", headers=_attachment(f"{title}.zip")
    )


def _with_table(members: Iterator[exports.Member], table: str) -> Iterator[exports.Member]:
    yield "scores.csv", ("\ufeff" + table).encode()
    yield from members


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}", "Cache-Control": "no-store"}


@guarded
def plotly(request: Request) -> Response:
    """Answer with the chart library of the installed plotly package; its version is part of the address."""
    path = files("plotly") / "package_data" / "plotly.min.js"
    return FileResponse(str(path), media_type="text/javascript", headers={"Cache-Control": FOREVER})


def _get(path: str, answer: Answer) -> Route:
    return Route(f"{urls.PREFIX}/{path}", answer, methods=["GET"])


ROUTES = [
    _get("datasets/{dataset}/images/{image}", image),
    _get("datasets/{dataset}/thumbs/{image}", thumbnail),
    _get("datasets/{dataset}/patches/{image}", patch),
    _get("datasets/{dataset}/truth/{image}", truth),
    _get("datasets/{dataset}/report.csv", report_csv),
    _get("labels/{label_set}/masks.zip", label_zip),
    _get("labels/{label_set}/{image}", label),
    _get("predictions/{prediction_set}/masks.zip", prediction_zip),
    _get("predictions/{prediction_set}/scores.csv", prediction_csv),
    _get("predictions/{prediction_set}/{image}", prediction),
    _get("predictions/{prediction_set}/uncertainty/{image}", uncertainty),
    _get("runs/{run}/rounds/{number:int}/labels/{image}", round_label),
    _get("runs/{run}/rounds/{number:int}/masks/{image}", round_mask),
    _get("runs/{run}/probe/{epoch:int}/{image}", probe),
    _get("runs/{run}/model.keras", model),
    _get("runs/{run}/metrics.csv", metrics_csv),
    _get("runs/{run}/log.txt", run_log),
    _get("preview/{key}", preview),
    _get(urls.plotly().removeprefix(f"{urls.PREFIX}/"), plotly),
    UPLOAD_ROUTE,
]
ROUTES.append(bundle_route(route for route in ROUTES if route.path.endswith(("{image}", "preview/{key}"))))
