"""Routes for downloads: tables, zips that are written while they are sent, and stored files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dashboard.server import exports, resources
from dashboard.server.guard import REVALIDATE, Answer, file_tag, get, guarded, row_of, share, unchanged
from db import corrections, datasets, predictions
from db.columns import Base
from db.models import Dataset, Job, JobKind, LabelSet, PredictionSet, Run
from engine.core.filenames import safe_stems
from engine.datasets.corrections import laid_over
from engine.datasets.left_out import cleared_masks
from engine.exports.pictures import MASK_KINDS, MaskKind
from engine.imaging.class_colours import with_present_colours
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored
from engine.store.base import MissingFile


class Table(NamedTuple):
    """A CSV file about one row of `owner`; `write` takes the id and the mask threshold."""

    owner: type[Base]
    write: Callable[[Session, str, float], str]
    suffix: str = ""


class MaskZip(NamedTuple):
    """A zip of all masks of one row in `folder`, with its table, probabilities on request, and their uncertainty."""

    table: Table
    masks: Callable[[Session, Any], list[exports.Mask]]
    uncertain: bool
    folder: Callable[[str], str]


class StoredFile(NamedTuple):
    """A stored file to download as `name` (empty: to show in the browser), and what is wrong if it is `missing`."""

    key: str
    missing: str
    name: str = ""
    media_type: str = "application/octet-stream"


def _prediction_csv(session: Session, set_id: str, threshold: float) -> str:
    return exports.prediction_csv(session, resources.artifacts(), set_id, threshold)


PREDICTIONS = Table(PredictionSet, _prediction_csv)
LABELS = Table(LabelSet, lambda session, id_, threshold: exports.label_csv(session, id_))
TABLES = {
    "datasets/{id}/report.csv": Table(
        Dataset, lambda session, id_, _: exports.report_csv(session, id_), " import report"
    ),
    "labels/{id}/scores.csv": LABELS,
    "predictions/{id}/scores.csv": PREDICTIONS,
    "runs/{id}/metrics.csv": Table(Run, lambda session, id_, _: exports.metrics_csv(session, id_), " metrics"),
}
ZIPS = {
    "labels/{id}/masks.zip": MaskZip(LABELS, exports.label_masks, False, stored.label_folder),
    "predictions/{id}/masks.zip": MaskZip(PREDICTIONS, exports.prediction_masks, True, stored.prediction_folder),
}


def _model(session: Session, run_id: str) -> StoredFile:
    name = f"{row_of(session, Run, run_id).name}.keras"
    return StoredFile(stored.best_model_key(run_id), "This run has not kept a model yet.", name)


def _log(session: Session, run_id: str) -> StoredFile:
    job_id = row_of(session, Run, run_id).job_id
    return StoredFile(
        stored.job_log_key(job_id or "0" * 32), "There is no log yet.", media_type="text/plain; charset=utf-8"
    )


def _export(session: Session, job_id: str) -> StoredFile:
    job = row_of(session, Job, job_id)
    if job.kind != JobKind.EXPORT or "key" not in job.result:
        raise HTTPException(404, "It is not ready yet.")
    missing = "It was prepared again since, or deleted. Open the page again."
    return StoredFile(job.result["key"], missing, exports.prepared_name(session, job))


FILES = {"runs/{id}/model.keras": _model, "runs/{id}/log.txt": _log, "exports/{id}": _export}


def _answer_table(table: Table) -> Answer:
    @guarded
    def answer(request: Request) -> Response:
        row_id, threshold = request.path_params["id"], _threshold(request)
        with resources.database().reading() as session:
            title = _title(session, row_of(session, table.owner, row_id))
            text = table.write(session, row_id, threshold)
        # The byte order mark tells spreadsheets that it is UTF-8.
        headers = _attachment(f"{title}{table.suffix}.csv")
        return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)

    return answer


def _answer_zip(zipped: MaskZip) -> Answer:
    @guarded
    def answer(request: Request) -> Response:
        row_id, threshold, kind = request.path_params["id"], _threshold(request), _kind(request)
        store, database = resources.artifacts(), resources.database()
        with database.reading() as session:
            row = row_of(session, zipped.table.owner, row_id)
            title, masks = _title(session, row), zipped.masks(session, row)
            told_apart = session.get_one(Run, row.run_id) if isinstance(row, PredictionSet) else row
            dataset = session.get_one(Dataset, told_apart.dataset_id)
            classes = with_present_colours(told_apart.classes, dataset.classes)
            if isinstance(row, LabelSet):
                store = laid_over(store, row_id, corrections.current(session, dataset.id))
            region_id = session.get_one(Dataset, row.dataset_id).left_out_id
        left_out = LeftOut(store, stored.left_out_key(row.dataset_id, region_id))
        store = cleared_masks(store, zipped.folder(row_id), left_out)

        def table() -> str:
            with database.reading() as session:
                return zipped.table.write(session, row_id, threshold)

        parts = [exports.mask_members(store, row.dataset_id, masks, kind, threshold, classes)]
        if request.query_params.get("probabilities") == "1":
            parts.append(exports.map_members(store, "probabilities", ((mask.key, mask.name) for mask in masks)))
            if zipped.uncertain:
                unsure = ((stored.uncertainty_key(row_id, mask.image_id), mask.name) for mask in masks)
                parts.append(exports.map_members(store, "uncertainty", unsure))
        parts += [exports.class_member(classes), exports.table_member(table)]
        pieces = exports.zip_stream(itertools.chain(*parts))
        return _Stream(pieces, media_type="application/zip", headers=_attachment(f"{title}.zip"))

    return answer


@guarded
def _answer_corrections(request: Request) -> Response:
    with resources.database().reading() as session:
        dataset = row_of(session, Dataset, request.path_params["id"])
        names = {image.id: image.name for image in datasets.images(session, dataset.id, excluded=True)}
        drawn = corrections.current(session, dataset.id).values()
    keys = [stored.correction_key(dataset.id, row.file_id) for row in drawn]
    stems = safe_stems([names[row.image_id] for row in drawn])
    members = exports.map_members(resources.artifacts(), "corrections", zip(keys, stems, strict=True))
    return _Stream(
        exports.zip_stream(members),
        media_type="application/zip",
        headers=_attachment(f"{dataset.name} corrections.zip"),
    )


def _answer_file(find: Callable[[Session, str], StoredFile]) -> Answer:
    @guarded
    def answer(request: Request) -> Response:
        with resources.database().reading() as session:
            found = find(session, request.path_params["id"])
        try:
            with resources.artifacts().local(found.key) as path:
                tag = file_tag(found.key, "")
                headers = {"Cache-Control": REVALIDATE, "ETag": tag} | (_named(found.name) if found.name else {})
                kept = unchanged(request, tag, REVALIDATE)
                return kept or FileResponse(path, media_type=found.media_type, headers=headers)
        except MissingFile:
            raise HTTPException(404, found.missing) from None

    return answer


def _title(session: Session, row: Any) -> str:
    return predictions.title(session, row.id) if isinstance(row, PredictionSet) else row.name


def _threshold(request: Request) -> float:
    return share(request, "threshold", 0.5)


def _kind(request: Request) -> MaskKind:
    text = request.query_params.get("kind", "masks")
    if text not in MASK_KINDS:
        raise HTTPException(400, f"The 'kind' parameter must be one of {MASK_KINDS}. Got {text[:20]!r}.")
    return text


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
    *(get(path, _answer_table(table)) for path, table in TABLES.items()),
    *(get(path, _answer_zip(zipped)) for path, zipped in ZIPS.items()),
    get("datasets/{id}/corrections.zip", _answer_corrections),
    *(get(path, _answer_file(find)) for path, find in FILES.items()),
]
