"""Files, a whole folder or a zip from the browser, streamed to disk past Streamlit's memory.

```python
upload = uploader(key="import")          # Upload(token, files, bytes) once all files have arrived, else None
if upload and st.button("Import"):
    ...                                  # the files lie under resources.upload_folder(upload.token)
    forget_upload("import")              # the next files get a folder of their own
```
The result stays until `forget_upload`, and comes from what lies on disk, not from what the browser says.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.ui.web import component

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")

_render = component("uploader", "ui/uploader.js", style="ui/uploader.css")


@dataclass(frozen=True)
class Upload:
    """What has arrived: `files` are names relative to the upload's folder, `bytes` their sum."""

    token: str
    files: tuple[str, ...]
    bytes: int


def uploader(
    *,
    key: str,
    label: str = "Drop images, a folder or a zip here",
    accept: tuple[str, ...] = (*IMAGE_SUFFIXES, ".zip"),
    note: str = "",
) -> Upload | None:
    """Draw the drop zone; return the upload once it is complete, else None."""
    token = _token(key)
    data = {
        "url": urls.upload(token),
        "label": label,
        "note": note,
        "accept": list(accept),
        "limit_bytes": resources.upload_limit_bytes(),
    }
    result = _render(key=f"{key}-{token}", data=data, on_finished_change=_noop)
    if not result.finished:
        return None
    files, byte_count = resources.uploaded_files(token)
    return Upload(token, files, byte_count) if files else None


def forget_upload(key: str) -> None:
    """Start afresh: the next rerun draws an empty drop zone with a new token. The files stay where they are."""
    st.session_state.pop(_name(key), None)


def _token(key: str) -> str:
    name = _name(key)
    if not resources.knows_upload(st.session_state.get(name)):
        st.session_state[name] = resources.issue_upload()
    return st.session_state[name]


def _name(key: str) -> str:
    return f"{key}-upload-token"


def _noop() -> None:
    """A value is only part of the result when it has a callback."""
