"""The choice of images to import: files, a folder or a zip from the browser, a folder of the server, or the sample set.

```python
source = source_form(key="import", sample=True)        # ChosenSource once complete, else None
```
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.datasets import proposed_name
from dashboard.ui.uploader import uploader
from db.actors import Role

BROWSER, SERVER, SAMPLE = "From this computer", "Folder on the server", "Sample set"
_HELP = (
    "Images as JPEG, PNG, TIFF (8 or 16 bit), WebP, BMP or GIF. Truth masks are optional: put them into a folder "
    "*truth* or *masks* beside *images*, with the same names."
)


@dataclass(frozen=True)
class ChosenSource:
    """The source of an import job, a proposed name ("" for none), and a description."""

    source: dict[str, Any]
    name: str
    words: str


def source_form(*, key: str, sample: bool = False) -> ChosenSource | None:
    """Draw the choice; return it once it is complete, else None."""
    server = [SERVER] if rights.may(Role.ADMIN) else []  # the app reads it with its own permissions
    places = [BROWSER, *server, *([SAMPLE] if sample else [])]
    place = st.segmented_control(
        "Where are the images?", places, default=BROWSER, required=True, key=f"{key}-place", wrap=True
    )
    if place == SERVER:
        return _server_folder(key)
    if place == SAMPLE:
        st.markdown(
            "About 60 synthetic, photograph-like scenes with truth masks: textured background, shadows, clutter, "
            "one or several objects. Ready in seconds, good for a first try."
        )
        return ChosenSource({"kind": "sample"}, "Sample scenes", "the sample set")
    return _from_browser(key)


def _from_browser(key: str) -> ChosenSource | None:
    upload = uploader(key=key)
    st.caption(_HELP)
    if upload is None:
        return None
    words = f"{wording.count(len(upload.files), 'file')}, {wording.size(upload.bytes)}"
    return ChosenSource({"kind": "upload", "token": upload.token}, proposed_name(upload.files), words)


def _server_folder(key: str) -> ChosenSource | None:
    typed = st.text_input(
        "Folder, zip or picture on the machine that runs Maskloom",
        key=f"{key}-path",
        placeholder="/home/me/photographs",
        help="An absolute path. Its files are copied; the folder itself is never changed.",
    ).strip()
    st.caption(_HELP)
    if not typed:
        return None
    path = Path(typed).expanduser()
    if not path.is_absolute():
        st.error(
            f"The folder must be an absolute path, such as /home/me/photographs. Got {wording.escaped(repr(typed))}."
        )
    elif not path.exists():
        st.error(f"There is no folder, zip or picture {wording.escaped(repr(typed))} on this machine.")
    else:
        kind = "folder" if path.is_dir() else "zip"
        return ChosenSource({"kind": kind, "path": str(path)}, path.stem if kind == "zip" else path.name, str(path))
    return None
