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
from engine.core.filenames import safe_part

PIECE_BYTES = 1_000_000
LONGEST_PART_BYTES = 180
MOST_FOLDERS = 16
LONGEST_SUFFIX_BYTES = 20


async def take(request: Request) -> Response:
    """POST ?path=folder/name.png with the file as body; DELETE discards that file, or without a path all of them."""
    token = request.path_params["token"]
    if not is_sent_by_our_page(request):
        return _refuse(403, "Uploads are taken from Maskloom's own pages only.")
    if not resources.knows_upload(token):
        return _refuse(410, "This page is older than the running app. Reload it and choose the files again.")
    path = request.query_params.get("path", "")
    if request.method == "DELETE":
        if path:
            await anyio.to_thread.run_sync(resources.discard_uploaded_file, token, staged_name(path))
        else:
            await anyio.to_thread.run_sync(resources.discard_upload, token)
        return JSONResponse({})
    place = resources.place_upload(token, path, staged_name(path))
    if place is None:
        return _refuse(
            413, f"An upload holds at most {resources.settings().import_limit_files:,} files (IMPORT_LIMIT_FILES)."
        )
    target = resources.upload_folder(token) / place
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > resources.upload_room(token):
        return _refuse(413, _full(token))
    try:
        received = await _stream(request, token, target)
    except ClientDisconnect:
        return _refuse(400, "The connection ended before the file did.")
    except OSError as error:
        return _refuse(507, f"The file could not be stored: {error.strerror or error}.")
    if received is None:
        return _refuse(413, _full(token))
    return JSONResponse({"bytes": received, "name": place.as_posix()})


async def _stream(request: Request, token: str, target: Path) -> int | None:
    """Write the body beside the target, then rename. Returns the bytes, or None if they do not fit."""
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
                if resources.upload_room(token, len(waiting)) < 0:
                    return None
                await anyio.to_thread.run_sync(put, bytes(waiting))
                waiting.clear()
            if resources.upload_room(token, len(waiting)) < 0:
                return None
            file.write(waiting)
        beside.replace(target)
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


def _full(token: str) -> str:
    limit_mb = resources.settings().upload_limit_mb
    return (
        f"The upload does not fit: the limit is {limit_mb} MB (UPLOAD_LIMIT_MB), "
        f"and the disk has room for {max(resources.upload_room(token), 0) // 1_000_000} MB more."
    )


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, {"Cache-Control": "no-store"})


UPLOAD_ROUTE = Route(f"{urls.PREFIX}/uploads/{{token}}", take, methods=["POST", "DELETE"])
