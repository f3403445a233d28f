"""The route that takes uploads: each file is a request of its own, streamed to disk as it comes."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path, PurePosixPath

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.server.guard import is_sent_by_our_page
from dashboard.server.staging import Arrival
from engine.core.filenames import safe_part
from engine.store.base import StoreFailed

PIECE_BYTES = 1_000_000
LONGEST_PART_BYTES = 180
MOST_FOLDERS = 16
LONGEST_SUFFIX_BYTES = 20
LONGEST_LENGTH = 20
"""Digits that are read of a length; Python refuses to read thousands."""


async def take(request: Request) -> Response:
    """POST ?path=folder/name.png with the file as body; DELETE discards that file, or without a path all of them."""
    token = request.path_params["token"]
    if not is_sent_by_our_page(request):
        return _refuse(403, "Uploads are taken from Maskloom's own pages only.")
    if not resources.knows_upload(token):
        return _refuse(410, "This page is older than the running app. Reload it and choose the files again.")
    path = request.query_params.get("path", "")
    if request.method == "DELETE":
        try:
            if path:
                await anyio.to_thread.run_sync(resources.discard_uploaded_file, token, staged_name(path))
            else:
                await anyio.to_thread.run_sync(resources.discard_upload, token)
        except StoreFailed as error:
            return _refuse(503, str(error))
        return JSONResponse({})
    place = resources.place_upload(token, path, staged_name(path))
    if place is None:
        return _refuse(
            413, f"An upload holds at most {resources.settings().import_limit_files:,} files (IMPORT_LIMIT_FILES)."
        )
    target = resources.upload_folder(token) / place
    announced = request.headers.get("content-length", "0")
    try:
        with resources.arriving(token, place) as arrival:
            if announced.isascii() and announced.isdecimal():
                _refuse_too_much(arrival, int(announced[:LONGEST_LENGTH]))
            received = await _stream(request, arrival, target)
    except TooMuch as refused:
        return _refuse(refused.status, refused.sentence)
    except ClientDisconnect:
        return _refuse(400, "The connection ended before the file did.")
    except OSError as error:
        return _refuse(507, f"The file could not be stored: {error.strerror or error}.")
    return JSONResponse({"bytes": received, "name": place.as_posix()})


class TooMuch(Exception):
    """A file does not fit: an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def _refuse_too_much(arrival: Arrival, more_bytes: int) -> None:
    """
    Raises:
        TooMuch: `more_bytes` exceed the limit of the upload, or the disk.
    """
    if more_bytes > arrival.room():
        limit_mb = resources.settings().upload_limit_mb
        raise TooMuch(413, f"The limit for one upload is {limit_mb:,} MB (UPLOAD_LIMIT_MB), and this file exceeds it.")
    if more_bytes > (spare := resources.spare_disk_bytes()):
        raise TooMuch(507, f"The disk is full: there is room for {max(spare, 0) // 1_000_000:,} MB more. Free some.")


async def _stream(request: Request, arrival: Arrival, target: Path) -> int:
    """Write the body beside the target, then rename. Returns the bytes.

    Raises:
        TooMuch: they do not fit.
    """
    beside = target.with_name(f".{uuid.uuid4().hex}.part")
    received, waiting = 0, bytearray()

    def put(piece: bytes) -> None:
        file.write(piece)

    await anyio.to_thread.run_sync(lambda: target.parent.mkdir(parents=True, exist_ok=True))
    try:
        with beside.open("wb") as file:
            async for chunk in request.stream():
                received += len(chunk)
                waiting += chunk
                if len(waiting) < PIECE_BYTES:
                    continue
                _refuse_too_much(arrival, len(waiting))
                arrival.count(len(waiting))
                await anyio.to_thread.run_sync(put, bytes(waiting))
                waiting.clear()
            _refuse_too_much(arrival, len(waiting))
            arrival.count(len(waiting))
            file.write(waiting)
        beside.replace(target)
        arrival.stored = True
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
    return received


def staged_name(path: str) -> PurePosixPath:
    """Return a relative path inside the upload's folder for what the browser calls a file.

    Folder names stay, because images/ and masks/ mean something to the import; nothing climbs out, hides, or is too
    long, and no name is one that Windows keeps for itself.
    """
    parts = [_safe(part) for part in path.replace("\\", "/").split("/")]
    kept = [part for part in parts if part]
    return PurePosixPath(*(kept[:-1][-MOST_FOLDERS:] + kept[-1:])) if kept else PurePosixPath("unnamed")


def _safe(part: str) -> str:
    stem, dot, suffix = safe_part(part, len(part) * 4).rpartition(".")
    suffix = safe_part(dot + suffix, LONGEST_SUFFIX_BYTES) if dot and stem else ""
    stem = safe_part(stem or part, LONGEST_PART_BYTES)
    return f"{stem}.{suffix}" if suffix else stem


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, {"Cache-Control": "no-store"})


UPLOAD_ROUTE = Route(f"{urls.PREFIX}/uploads/{{token}}", take, methods=["POST", "DELETE"])
