"""Routes for what people take home: zips made while they are sent, tables, models, and files that a job prepared."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dashboard.server import exports, resources
from dashboard.server.guard import REVALIDATE, file_tag, get, guarded, row_of, share, unchanged
from db import predictions
from db.models import Dataset, Job, JobKind, LabelSet, PredictionSet, Run
from engine.exports.pictures import MASK_KINDS, MaskKind
from engine.store import keys as stored
from engine.store.base import MissingFile, Store


@guarded
def model(request: Request) -> Response:
    run_id = request.path_params["run"]
    with resources.database().reading() as session:
        name = row_of(session, Run, run_id).name
    path = _path(stored.best_model_key(run_id), "This run has not kept a model yet.")
    return FileResponse(
        path, filename=f"{name}.keras", media_type="application/octet-stream", headers={"Cache-Control": REVALIDATE}
    )


@guarded
def run_log(request: Request) -> Response:
    with resources.database().reading() as session:
        job_id = row_of(session, Run, request.path_params["run"]).job_id
    path = _path(stored.job_log_key(job_id or "0" * 32), "There is no log yet.")
    return FileResponse(path, media_type="text/plain; charset=utf-8", headers={"Cache-Control": REVALIDATE})


@guarded
def metrics_csv(request: Request) -> Response:
    run_id = request.path_params["run"]
    with resources.database().reading() as session:
        name = row_of(session, Run, run_id).name
        return _csv(f"{name} metrics.csv", exports.metrics_csv(session, run_id))


@guarded
def report_csv(request: Request) -> Response:
    dataset_id = request.path_params["dataset"]
    with resources.database().reading() as session:
        name = row_of(session, Dataset, dataset_id).name
        return _csv(f"{name} import report.csv", exports.report_csv(session, dataset_id))


@guarded
def prediction_csv(request: Request) -> Response:
    set_id, threshold = request.path_params["prediction_set"], _threshold(request)
    with resources.database().reading() as session:
        name = predictions.title(session, row_of(session, PredictionSet, set_id).id)
        return _csv(f"{name}.csv", exports.prediction_csv(session, resources.artifacts(), set_id, threshold))


@guarded
def label_csv(request: Request) -> Response:
    label_set_id = request.path_params["label_set"]
    with resources.database().reading() as session:
        name = row_of(session, LabelSet, label_set_id).name
        return _csv(f"{name}.csv", exports.label_csv(session, label_set_id))


@guarded
def prediction_zip(request: Request) -> Response:
    set_id, threshold, kind = request.path_params["prediction_set"], _threshold(request), _kind(request)
    store, database = resources.artifacts(), resources.database()
    with database.reading() as session:
        found = row_of(session, PredictionSet, set_id)
        title = predictions.title(session, found.id)
        masks = exports.prediction_masks(session, found)

    def table() -> str:
        with database.reading() as session:
            return exports.prediction_csv(session, store, set_id, threshold)

    parts = [exports.mask_members(store, found.dataset_id, masks, kind, threshold)]
    if _wants_probabilities(request):
        unsure = ((stored.uncertainty_key(set_id, mask.image_id), mask.name) for mask in masks)
        parts += [_levels(store, masks), exports.map_members(store, "uncertainty", unsure)]
    return _zip(title, [*parts, exports.table_member(table)])


@guarded
def label_zip(request: Request) -> Response:
    label_set_id, threshold, kind = request.path_params["label_set"], _threshold(request), _kind(request)
    store, database = resources.artifacts(), resources.database()
    with database.reading() as session:
        found = row_of(session, LabelSet, label_set_id)
        masks = exports.label_masks(session, found)

    def table() -> str:
        with database.reading() as session:
            return exports.label_csv(session, label_set_id)

    parts = [exports.mask_members(store, found.dataset_id, masks, kind, threshold)]
    if _wants_probabilities(request):
        parts.append(_levels(store, masks))
    return _zip(found.name, [*parts, exports.table_member(table)])


@guarded
def prepared(request: Request) -> Response:
    """Answer with a file that an export job made, under the name of what it was made of."""
    job_id = request.path_params["job"]
    with resources.database().reading() as session:
        job = row_of(session, Job, job_id)
        if job.kind != JobKind.EXPORT or "key" not in job.result:
            raise HTTPException(404, "It is not ready yet.")
        key = job.result["key"]
        path = _path(key, "It was prepared again since, or deleted. Open the page again.")
        name = exports.prepared_name(session, job)
    headers = {"Cache-Control": REVALIDATE, "ETag": file_tag(key, "")}
    kept = unchanged(request, headers["ETag"], REVALIDATE)
    return kept or FileResponse(path, media_type="application/octet-stream", headers=_named(name) | headers)


def _path(key: str, otherwise: str) -> Path:
    """Return where a stored file can be read, or answer 404 with the sentence `otherwise`."""
    try:
        with resources.artifacts().local(key) as path:
            return path
    except MissingFile:
        raise HTTPException(404, otherwise) from None


def _threshold(request: Request) -> float:
    return share(request, "threshold", 0.5)


def _kind(request: Request) -> MaskKind:
    text = request.query_params.get("kind", "masks")
    if text not in MASK_KINDS:
        raise HTTPException(400, f"The 'kind' parameter must be one of {MASK_KINDS}. Got {text[:20]!r}.")
    return text


def _wants_probabilities(request: Request) -> bool:
    return request.query_params.get("probabilities") == "1"


def _csv(name: str, text: str) -> Response:
    # The byte order mark tells spreadsheets that it is UTF-8.
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=_attachment(name))


def _levels(store: Store, masks: Sequence[exports.Mask]) -> Iterator[exports.Member]:
    return exports.map_members(store, "probabilities", ((mask.key, mask.name) for mask in masks))


def _zip(title: str, parts: Sequence[Iterator[exports.Member]]) -> Response:
    """Answer with a zip that is made while it is sent, part after part."""
    pieces = exports.zip_stream(itertools.chain.from_iterable(parts))
    return _Stream(pieces, media_type="application/zip", headers=_attachment(f"{title}.zip"))


class _Stream(StreamingResponse):
    """Ends its generator as soon as the client is gone. Left to the garbage collector, it would hold what it holds."""

    def __init__(self, pieces: Generator[bytes, None, None], **options: Any) -> None:
        super().__init__(pieces, **options)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


def _attachment(name: str) -> dict[str, str]:
    return _named(name) | {"Cache-Control": "no-store"}


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}


DOWNLOAD_ROUTES = [
    get("datasets/{dataset}/report.csv", report_csv),
    get("labels/{label_set}/masks.zip", label_zip),
    get("labels/{label_set}/scores.csv", label_csv),
    get("predictions/{prediction_set}/masks.zip", prediction_zip),
    get("predictions/{prediction_set}/scores.csv", prediction_csv),
    get("runs/{run}/model.keras", model),
    get("runs/{run}/metrics.csv", metrics_csv),
    get("runs/{run}/log.txt", run_log),
    get("exports/{job}", prepared),
]
