"""Job: bring images, and truth masks where there are any, into a dataset."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from db import datasets
from db.models import Dataset, Job, JobKind
from engine.core.settings import settings
from engine.datasets import ingest, sample, truth
from engine.datasets.ingest import Decoded, Plan
from engine.datasets.reading import Reading
from engine.datasets.source import Entry, Source, UnreadableSource, ignored_entry
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import TruthFile
from engine.imaging import codec
from engine.store import keys as stored
from engine.store.base import Store
from engine.work.context import BadSource, JobContext, JobFailed, JobStopped, JobType

BATCH = 20
"""Rows written in one transaction: few enough that a crash loses seconds, many enough that SQLite is not the work."""

THREADS = 2
AHEAD = 2 * THREADS
"""Images decoded before their turn: more would only fill memory, as one may take 300 MB."""


_NO_FILES = Plan((), (), {}, {}, ())
"""The plan of an import that has no files."""

Reader = Callable[[], Decoded]


@dataclass(frozen=True)
class Encoded:
    """One image as it will be stored; `row` and the files are empty where it could not be read."""

    decoded: Decoded
    row: dict[str, Any]
    image_png: bytes = b""
    thumb_webp: bytes = b""
    truth_png: bytes = b""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Import what the payload names: {"dataset": id, "source": {"kind": …, "reading"?, "belongs"?}}.

    The kinds are "folder" and "zip" (or one picture) with a "path" of this machine, "upload" with a "token" and perhaps
    the names that were "ignored" in the browser, and "sample"; the rest is as `Reading` and `Belongs` (`by_hand.py`)
    have it. Returns {"dataset", "images", "truth", "taken", "skipped", "notes"}: images and truth masks that the
    dataset has now, files that this import took and skipped, and sentences on how images and truth were paired.

    An image's id comes from the dataset's id and its pixels, so a second attempt writes the same files and adds no
    row twice, and a picture that is imported again brings back those of its files that are gone.

    Raises:
        JobFailed: the source cannot be read, or the dataset is still empty at the end.
        JobStopped: a person stopped it; what was taken so far is whole and stays.
    """
    source = job.payload["source"]
    if source["kind"] == "sample":
        return _take(job, context, [partial(_drawn, index) for index in range(sample.COUNT)], sample.COUNT)
    with opened_source(job, context) as (opened, sizes):
        planned = ingest.plan(opened, sizes, source.get("belongs"))
        planned = replace(planned, entries=(*planned.entries, *map(ignored_entry, source.get("ignored", ()))))
        readers = ingest.readers(opened, planned.items, sizes, Reading.from_payload(source.get("reading")))
        return _take(job, context, readers, len(planned.items), planned)


@contextmanager
def opened_source(job: Job, context: JobContext) -> Iterator[tuple[Source, codec.Limits]]:
    """Open the source of a job's payload for as long as a block runs, with the limits of images.

    An upload is deleted when the block ends without an error, because its files are stored by then, and when it cannot
    be used at all. It is kept where trying again may help.

    Raises:
        JobFailed: the source cannot be read; `BadSource` if it is an upload, or if the block raised a `JobFailed`.
    """
    source, current = job.payload["source"], settings()
    uploaded = stored.upload_folder(source["token"]) if source["kind"] == "upload" else ""
    try:
        with ingest.opened(source, context.artifacts, current.import_limit_files) as opened:
            yield opened, codec.Limits(max_pixels=round(current.image_limit_megapixels * 1e6))
    except (UnreadableSource, JobFailed) as error:
        if not uploaded:
            raise JobFailed(str(error)) from None
        context.artifacts.delete(uploaded)
        raise BadSource(str(error)) from None
    if uploaded:
        context.artifacts.delete(uploaded)


def _drawn(index: int) -> Decoded:
    image, mask = sample.scene(index)
    name = sample.name(index)
    values = TruthFile(mask.astype(np.uint8) * 255)
    return Decoded(name, image, values, ingest.content_hash(image), (Entry(name, True),))


def _take(
    job: Job, context: JobContext, readers: Iterable[Reader], total: int, planned: Plan = _NO_FILES
) -> dict[str, Any]:
    """Read, store and report everything; return the job's result. There are `total` readers, or more with pages."""
    dataset_id = job.payload["dataset"]
    if job.attempt > 1:  # a killed attempt may have been writing; one import at a time writes to a dataset
        context.artifacts.delete_unfinished(stored.dataset_folder(dataset_id))
    with context.reading() as session:
        images = datasets.images(session, dataset_id, excluded=True)
        occupied = {row[0] for image in images for row in image.truth_values or ()}
        codes = TruthCodes(datasets.truth_codes(session, dataset_id), occupied)
    known = {image.content_hash: image.name for image in images}
    has_truth = {image.id: image.has_truth for image in images}
    rows: list[dict[str, Any]] = []
    entries: list[Entry] = []
    report = [*planned.entries, *planned.outlines.taken]
    added = codes.add_names(planned.outlines.classes)
    if codes.names and any(item.truth for item in planned.items):
        added |= codes.add_names([codes.foreground])

    def store(new: Sequence[Entry]) -> None:
        with context.writing() as session:
            datasets.add_images(session, dataset_id, job.id, rows, [asdict(entry) for entry in new], codes.table)

    def commit() -> None:
        store(entries)
        report.extend(entries)
        rows.clear()
        entries.clear()

    if added:
        add_classes(context, dataset_id, added)
    store(report)
    stopped = False
    with closing(_encoded(readers, dataset_id, codes)) as decoded_images:
        for number, encoded in enumerate(decoded_images, start=1):
            encoded = _with_truth(encoded, codes) if encoded.decoded.truth else encoded
            decoded = encoded.decoded
            if encoded.row.get("id") in has_truth:
                _bring_back(context.artifacts, dataset_id, encoded, has_truth[encoded.row["id"]])
            first = known.get(decoded.content_hash)
            if first is None or (first == decoded.name and job.attempt > 1):
                entries.extend(decoded.entries)
                if first is None and encoded.row:
                    known[decoded.content_hash] = decoded.name
                    _store(context.artifacts, dataset_id, encoded)
                    rows.append(encoded.row)
            else:
                entries.extend(ingest.as_duplicate(decoded, first))
            context.progress(number, max(total, number), unit="files", phase="importing", subject=decoded.name)
            stopped = context.should_stop()
            if stopped or len(entries) >= BATCH:
                commit()
            if stopped:
                break
    commit()
    result = _finish(context, dataset_id, report, planned.notes)
    if stopped:
        raise JobStopped(result)
    if not known:
        raise JobFailed(_why_empty(report))
    return result


def _encoded(readers: Iterable[Reader], dataset_id: str, codes: TruthCodes) -> Generator[Encoded, None, None]:
    """Yield every image in order, decoded and encoded by a few threads: OpenCV and Pillow let them run together."""
    waiting: deque[Future[Encoded]] = deque()
    in_order = bool(codes.names)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for read in readers:
                waiting.append(pool.submit(_encode, read, dataset_id, in_order))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _encode(read: Reader, dataset_id: str, in_order: bool) -> Encoded:
    """Return an image encoded, with its truth unless the codes of that are given in the order of the files."""
    decoded = read()
    if decoded.image is None:
        return Encoded(decoded, {})
    size = decoded.pixel_size
    row = {
        "id": hashlib.sha256(f"{dataset_id}:{decoded.content_hash}".encode()).hexdigest()[:32],
        "name": decoded.name,
        "content_hash": decoded.content_hash,
        "width": decoded.image.shape[1],
        "height": decoded.image.shape[0],
        "has_truth": decoded.truth is not None,
        "pixel_width_um": size and size.width_um,
        "pixel_height_um": size and size.height_um,
        "pixel_size_source": size and size.source,
    }
    encoded = Encoded(
        replace(decoded, image=None),  # the pixels are not needed any more, and are large
        row,
        image_png=codec.encode_png(decoded.image),
        thumb_webp=codec.thumbnail(decoded.image),
    )
    levels = decoded.truth is not None and decoded.truth.keys is None and not in_order
    return _with_truth(encoded) if decoded.truth is None or levels else encoded


def _with_truth(encoded: Encoded, codes: TruthCodes | None = None) -> Encoded:
    """Return an image whose truth, if it has any, is encoded."""
    decoded = encoded.decoded
    if decoded.truth is None:
        return replace(encoded, row=encoded.row | {"truth_values": []}) if encoded.row else encoded
    values = (codes or TruthCodes()).encode(decoded.truth)
    return replace(
        encoded,
        decoded=replace(decoded, truth=None),
        row=encoded.row | {"truth_values": truth.value_rows(values)},
        truth_png=codec.encode_png(values),
    )


def _store(files: Store, dataset_id: str, encoded: Encoded) -> None:
    image_id = encoded.row["id"]
    files.write(stored.image_key(dataset_id, image_id), encoded.image_png)
    files.write(stored.thumb_key(dataset_id, image_id), encoded.thumb_webp)
    if encoded.truth_png:
        files.write(stored.truth_key(dataset_id, image_id), encoded.truth_png)


def _bring_back(files: Store, dataset_id: str, encoded: Encoded, with_truth: bool) -> None:
    """Store what is gone of an image that the dataset has: it was deleted outside of Maskloom."""
    wanted = [(stored.image_key, encoded.image_png), (stored.thumb_key, encoded.thumb_webp)]
    wanted += [(stored.truth_key, encoded.truth_png)] if with_truth and encoded.truth_png else []
    for key_of, data in wanted:
        key = key_of(dataset_id, encoded.row["id"])
        if not files.exists(key):
            files.write(key, data)


def add_classes(context: JobContext, dataset_id: str, added: Mapping[str, int]) -> None:
    """Add classes that are new to those that the dataset has; where it has none, `_finish` proposes all."""
    with context.writing() as session:
        dataset = session.get_one(Dataset, dataset_id)
        if dataset.classes:
            before = truth.TruthClasses.model_validate({"classes": dataset.classes, "lookup": dataset.lookup})
            after = truth.with_names(before, added)
            datasets.extend_classes(session, dataset_id, [c.model_dump() for c in after.classes], list(after.lookup))


def _finish(context: JobContext, dataset_id: str, report: Sequence[Entry], notes: Sequence[str]) -> dict[str, Any]:
    """Recount the dataset and propose classes from all of its truth; return the job's result."""
    with context.reading() as session:
        images = datasets.images(session, dataset_id, excluded=True)
        keys = dict(datasets.truth_codes(session, dataset_id))
    found = truth.facts(image.truth_values for image in images if image.has_truth)
    proposed = truth.propose_classes(found, keys) if found.counts.any() else None
    classes = [entry.model_dump() for entry in proposed.classes] if proposed else None
    with context.writing() as session:
        dataset = datasets.finish_import(session, dataset_id, classes, list(proposed.lookup) if proposed else None)
        lookup = list(dataset.lookup)
    taken = sum(entry.taken for entry in report)
    return {
        "dataset": dataset_id,
        "images": dataset.image_count,
        "truth": dataset.truth_count,
        "taken": taken,
        "skipped": len(report) - taken,
        "notes": [*notes, *truth.concerns(found, lookup, keys)],
    }


def _why_empty(report: Sequence[Entry]) -> str:
    if not report:
        return "There are no images in it."
    return f"No image could be taken. {report[0].name}: {report[0].reason}"


JOB = JobType(JobKind.IMPORT, run)
