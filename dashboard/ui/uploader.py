"""Upload of files, a folder or a zip, streamed to disk without Streamlit's memory.

```python
upload = uploader(key="import")          # Upload(token, files, bytes) once complete, else None
if upload and st.button("Import"):
    ...                                  # the files are in resources.upload_folder(upload.token)
    forget_upload("import")              # the next files get a new folder
```
The result stays until `forget_upload`. It is read from disk and not reported by the browser.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.ui.web import component
from engine.datasets.foreign_formats import FOREIGN_SUFFIXES
from engine.datasets.source import DOCUMENT_SUFFIXES, IMAGE_SUFFIXES

_render = component("uploader", "ui/uploader.js", style="ui/uploader.css")


@dataclass(frozen=True)
class Upload:
    """A complete upload: `files` are names relative to its folder, `bytes` their total size."""

    token: str
    files: tuple[str, ...]
    bytes: int


def uploader(
    *,
    key: str,
    label: str = "Drop images, a folder or a zip here",
    accept: tuple[str, ...] = (*sorted(IMAGE_SUFFIXES), *sorted(DOCUMENT_SUFFIXES), ".zip"),
    note: str = "",
) -> Upload | None:
    """Draw the drop zone; return the upload once it is complete, else None."""
    token = _token(key)
    data = {
        "url": urls.upload(token),
        "label": label,
        "note": note,
        "accept": list(accept),
        "formats": [list(entry) for entry in FOREIGN_SUFFIXES],
        "limit_bytes": resources.upload_limit_bytes(),
    }
    result = _render(key=f"{key}-{token}", data=data, on_finished_change=_noop)
    if not result.finished:
        return None
    files, byte_count = resources.uploaded_files(token)
    return Upload(token, files, byte_count) if files else None


def forget_upload(key: str) -> None:
    """Start a new upload: the next rerun draws an empty drop zone with a new token. The files are kept."""
    st.session_state.pop(_name(key), None)


def _token(key: str) -> str:
    name = _name(key)
    if not resources.knows_upload(st.session_state.get(name)):
        st.session_state[name] = resources.issue_upload()
    return st.session_state[name]


def _name(key: str) -> str:
    return f"{key}-upload-token"


def _noop() -> None:
    """The result has a value only if it has a callback."""
