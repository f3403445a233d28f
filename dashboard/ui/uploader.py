"""Upload of files, a folder or a zip, streamed to disk without Streamlit's memory.

```python
upload = uploader(key="import")          # Upload(token, files, bytes) once complete, else None
if upload and st.button("Import"):
    ...                                  # the files are in resources.upload_folder(upload.token)
    forget_upload("import")              # the next files get a new folder
```
The result stays until `forget_upload`, and over a reload of the page: the browser tab remembers the upload. Its files
are listed from disk, each with a button to remove it; those that the browser did not send, being no images, are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.ui.web import component
from engine.datasets.foreign_formats import FOREIGN_SUFFIXES
from engine.datasets.source import DOCUMENT_SUFFIXES, IMAGE_SUFFIXES, LONGEST_NAME

MOST_LISTED = 300
MOST_IGNORED = 100

_render = component("uploader", "ui/uploader.js", style="ui/uploader.css")


@dataclass(frozen=True)
class Upload:
    """A complete upload: `files` are names relative to its folder, `bytes` their total size.

    `ignored` are names of files that were chosen but not sent, because they are no images.
    """

    token: str
    files: tuple[str, ...]
    bytes: int
    ignored: tuple[str, ...] = ()


def uploader(
    *,
    key: str,
    label: str = "Drop images, a folder or a zip here",
    accept: tuple[str, ...] = (*sorted(IMAGE_SUFFIXES), *sorted(DOCUMENT_SUFFIXES), ".zip"),
) -> Upload | None:
    """Draw the drop zone and what was uploaded; return the upload once it is complete and not empty, else None."""
    token = _token(key)
    files = resources.uploaded_files(token)
    total_bytes = sum(size for _, size in files)
    data = {  # tuples, not lists: Streamlit imports pandas to look whether a list is a table
        "name": key,
        "url": urls.upload(token),
        "label": label,
        "accept": tuple(accept),
        "formats": tuple(FOREIGN_SUFFIXES),
        "limit_bytes": resources.upload_limit_bytes(),
        "files": tuple(files[:MOST_LISTED]),
        "total": (len(files), total_bytes),
    }
    result = _render(key=f"{key}-{token}", data=data, on_finished_change=_noop, on_earlier_change=_noop)
    if not files and _take_up(key, result.earlier):
        st.rerun()
    if not result.finished and not st.session_state.get(_restored(key)):
        return None
    names = tuple(name for name, _ in files)
    return Upload(token, names, total_bytes, _ignored(result.finished)) if files else None


def forget_upload(key: str) -> None:
    """Start a new upload: the next rerun draws an empty drop zone with a new token. The files are kept."""
    token = st.session_state.pop(_name(key), None)
    st.session_state.pop(_restored(key), None)
    if token is not None:
        resources.close_upload(token)


def _take_up(key: str, earlier: str | None) -> bool:
    """Continue the upload that this browser tab had before the page was reloaded, unless it was imported since."""
    if not earlier or earlier == st.session_state[_name(key)] or not resources.knows_upload(earlier):
        return False
    st.session_state[_name(key)] = earlier
    st.session_state[_restored(key)] = True
    return True


def _ignored(finished: Any) -> tuple[str, ...]:
    names = finished.get("ignored", ()) if finished else ()
    return tuple(str(name)[:LONGEST_NAME] for name in names[:MOST_IGNORED])


def _token(key: str) -> str:
    name = _name(key)
    if not resources.knows_upload(st.session_state.get(name)):
        st.session_state[name] = resources.issue_upload()
        st.session_state.pop(_restored(key), None)
    return st.session_state[name]


def _name(key: str) -> str:
    return f"{key}-upload-token"


def _restored(key: str) -> str:
    return f"{key}-upload-restored"


def _noop() -> None:
    """The result has a value only if it has a callback."""
