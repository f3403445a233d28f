"""What every page and route shares: the database, the store of files, the launcher, previews and uploads.

All of it is made once per process. `st.cache_resource` keeps it across reloads of this module while developing.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import streamlit as st
from sqlalchemy.exc import OperationalError

from dashboard.access import identity
from dashboard.server.byte_cache import ByteCache
from dashboard.server.correction_queues import CorrectionQueues
from dashboard.server.previews import PreviewPool
from dashboard.server.staging import Arrival, Staging
from db import workers
from db.columns import new_id, utc_now
from db.inventory import Inventory
from db.session import Database, DatabaseRefused
from engine import VERSION
from engine.care.belonging import NotTogether, open_together, remember_start, renew_mark
from engine.care.disk_use import DiskWatch
from engine.core.settings import Settings, settings
from engine.store import keys as stored
from engine.store.base import Store, StoreFailed
from engine.store.local import LocalStore
from engine.store.opening import PAGE_PATIENCE_S, open_store
from engine.work import launchers
from engine.work.launchers.base import Launcher

_FOLDERS = {
    "dataset": stored.dataset_folder,
    "labels": stored.label_folder,
    "run": stored.run_folder,
    "prediction": stored.prediction_folder,
    "measurement": stored.measurement_folder,
}
PREVIEW_BYTES = 64_000_000
RENDITION_BYTES = 16_000_000
"""Some 50 pages of 48 tiles, 0.3 MB each: for those who turn back, and for many who look at the same."""

__all__ = [
    "arriving",
    "artifacts",
    "close_upload",
    "database",
    "discard_upload",
    "discard_uploaded_file",
    "hand_over",
    "issue_upload",
    "knows_upload",
    "launcher",
    "place_upload",
    "preview_pool",
    "previews",
    "renditions",
    "settings",
    "spare_disk_bytes",
    "upload_folder",
    "upload_limit_bytes",
    "uploaded_files",
]


def database() -> Database:
    """Return the database, its schema brought up to date: `with database().reading() as session: ...`.

    What is written through it is written in the name of whoever acts, and refused where their role does not allow it.
    """
    return _database(settings().resolved_database_url)


@st.cache_resource(show_spinner=False)
def _database(url: str) -> Database:
    return _opened(url)


def _opened(url: str) -> Database:
    opened = Database(url, actor=lambda: identity.current(opened))
    open_together(Inventory(opened), artifacts(), opened.migrate, utc_now())
    return opened


def reason_not_to_open() -> str | None:
    """Return why the database cannot be opened, None if it can. Streamlit's caches cannot be used before it runs."""
    try:
        _opened(settings().resolved_database_url).close()
    except (DatabaseRefused, NotTogether, StoreFailed) as error:
        return str(error)
    except OperationalError as error:
        return f"The database cannot be used: {error.orig}."
    return None


def remember_installation() -> None:
    """Renew what the files keep of their database (see `engine.care.belonging`)."""
    renew_mark(Inventory(database()), artifacts(), utc_now())


def register_app() -> None:
    """Store in the database and with the files that this app opened both, for workers that join."""
    with database().writing() as session:
        start = workers.register_app(session, socket.gethostname(), os.getpid(), VERSION)
    remember_start(artifacts(), start)


def artifacts() -> Store:
    """Return the store of files."""
    return open_store(settings(), patience_s=PAGE_PATIENCE_S)


def disk_watch() -> DiskWatch:
    """Return what knows how much of the disk Maskloom takes: `disk_watch().latest()`."""
    return _disk_watch(settings().data_root)


@st.cache_resource(show_spinner=False)
def _disk_watch(root: Path) -> DiskWatch:
    return DiskWatch(root)


def remove_files(deleted: Iterable[tuple[str, str]]) -> None:
    """Delete the folders of rows that are gone, as the functions in `db` that delete return them: (kind, id)."""
    for kind, row_id in deleted:
        artifacts().delete(_FOLDERS[kind](row_id))


def launcher() -> Launcher:
    """Return the launcher: `launcher().submit(job.id)` after the transaction that made the job has ended."""
    return _launcher(settings())


@st.cache_resource(show_spinner=False, hash_funcs={Settings: lambda chosen: chosen.model_dump_json()})
def _launcher(chosen: Settings) -> Launcher:
    return launchers.launcher(chosen)


@st.cache_resource(show_spinner=False)
def previews() -> ByteCache:
    """Return the place for PNG bytes a page has just made: `urls.preview(previews().put(png))` shows them."""
    return ByteCache(PREVIEW_BYTES)


def preview_pool() -> PreviewPool:
    """Return the processes that draw previews. They start with the first drawing and end with the app."""
    return _preview_pool(PreviewPool)


# Keyed by the class itself: a module reloaded while developing cannot talk to processes that an older one started.
@st.cache_resource(show_spinner=False, max_entries=1, on_release=lambda pool: pool.close(), hash_funcs={type: id})
def _preview_pool(kind: type[PreviewPool]) -> PreviewPool:
    return kind()


def end_preview_pool() -> None:
    """End the processes that draw previews, if any were started."""
    _preview_pool.clear()  # calls on_release


def correction_queues() -> CorrectionQueues:
    """Return what finds, in the background, which images to correct next."""
    return _correction_queues(settings().resolved_database_url, artifacts())


@st.cache_resource(show_spinner=False)
def _correction_queues(url: str, _files: Store) -> CorrectionQueues:
    return CorrectionQueues(_database(url), _files)


@st.cache_resource(show_spinner=False)
def renditions() -> ByteCache:
    """Return the cache of down-scaled and recoloured pictures that the routes make."""
    return ByteCache(RENDITION_BYTES)


@st.cache_resource(show_spinner=False)
def _staging() -> Staging:
    return Staging()


def upload_limit_bytes() -> int:
    """Return how large one upload may become in all."""
    return settings().upload_limit_mb * 1_000_000


def spare_disk_bytes() -> int:
    """Return how much of the disk may still be filled."""
    return artifacts().free_bytes() - settings().free_disk_floor_mb * 1_000_000


def issue_upload() -> str:
    """Return the token of a new, empty upload. Only tokens made here are taken by the upload route."""
    token = new_id()
    _staging().issue(token)
    return token


def knows_upload(token: str | None) -> bool:
    return _staging().knows(token)


def arriving(token: str, place: PurePosixPath) -> AbstractContextManager[Arrival]:
    """Count the bytes of a file of an upload while it arrives."""
    return _staging().arriving(token, place, upload_limit_bytes())


def place_upload(token: str, path: str, wished: PurePosixPath) -> PurePosixPath | None:
    """Return where the file that the browser calls `path` lies in its upload: at `wished`, or beside what has that.

    Two names can become one when they are made safe; the same file sent again takes its own place. None if the upload
    holds as many files as an import may.
    """
    return _staging().place(token, path, wished, settings().import_limit_files)


def upload_folder(token: str) -> Path:
    """Return the folder of this machine in which the files of an upload arrive."""
    return LocalStore(settings().data_root).path(stored.upload_folder(token))


def hand_over(source: Mapping[str, Any]) -> None:
    """Store the upload of a source of files where workers read it. Call it before a job of this source is submitted.

    Raises:
        StoreFailed: the object store cannot be reached.
    """
    if source["kind"] == "upload":
        key, folder = stored.upload_folder(source["token"]), upload_folder(source["token"])
        if settings().store_url:
            with st.spinner("Storing the files …"):
                artifacts().delete(key)  # what was handed over before may have been discarded since
                artifacts().hand_over(key, folder)


def uploaded_files(token: str) -> tuple[tuple[str, int], ...]:
    """Return (name relative to the upload's folder, bytes) of each file."""
    folder = upload_folder(token)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    return tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in files)


def discard_uploaded_file(token: str, name: PurePosixPath) -> None:
    """Delete one file of an upload, by its name relative to the upload's folder."""
    with suppress(FileNotFoundError):
        (upload_folder(token) / name).unlink()
        _staging().forget_file(token, name)


def close_upload(token: str) -> None:
    """Take nothing more under a token; what came in, and was handed over, is kept for the job that imports it."""
    if settings().store_url:
        shutil.rmtree(upload_folder(token), ignore_errors=True)
    _staging().close(token)


def discard_upload(token: str) -> None:
    """Delete what came in under a token; the token can be used again."""
    artifacts().delete(stored.upload_folder(token))
    shutil.rmtree(upload_folder(token), ignore_errors=True)
    _staging().empty(token)
