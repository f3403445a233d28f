"""The choice of images to import: files, a folder or a zip from the browser, a folder of the server, or the sample set.

```python
source = source_form(key="import", sample=True)        # ChosenSource once complete, else None
```
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.datasets import proposed_name
from dashboard.server.server_folders import kind_of, server_path
from dashboard.ui.server_folder import server_folder
from dashboard.ui.uploader import uploader
from db.actors import Role
from engine.datasets.reading import PAGE_CHOICES, BadReading, PageChoice, Reading, with_reading

BROWSER, SERVER, SAMPLE = "From this computer", "Folder on the server", "Sample set"
_HELP = (
    "Images as JPEG, PNG, TIFF of any depth, WebP, AVIF, JPEG 2000, BMP or GIF. Truth masks are optional: put them "
    "into a folder *truth* or *masks* beside *images*, with the same names, or add annotation files of COCO, YOLO, "
    "labelme, CVAT or Pascal VOC."
)
_MASKS_HELP = (
    "Masks with the names of their images, such as *a.png* or *a_mask.png* for *a.jpg*, in the same folders or in one. "
    "They may be 0/1, 0/255, a probability, ids or colours."
)

_PAGES: dict[PageChoice, str] = {
    "first": "The first page",
    "all": "Each page as an image",
    "max": "The greatest value of each pixel (maximum projection)",
}


@dataclass(frozen=True)
class ChosenSource:
    """The source of an import job, a proposed name ("" for none), a description, and the names of uploaded files."""

    source: dict[str, Any]
    name: str
    words: str
    files: tuple[str, ...] = ()

    @property
    def stamp(self) -> str:
        """Changes when the files do."""
        return f"{self.words} {hash(self.files)}"

    @property
    def place(self) -> str:
        """Where the files come from, whatever is read of them: for keys of widgets."""
        return str({key: value for key, value in self.source.items() if key not in ("reading", "ignored")})


def source_form(
    *, key: str, sample: bool = False, masks: bool = False, options: DeltaGenerator | None = None
) -> ChosenSource | None:
    """Draw the choice; return it once it is complete, else None.

    `masks`: the files are masks of images that are there, so there is no choice of channels and pages, which is drawn
    into `options` if that is given.
    """
    server = [SERVER] if rights.may(Role.ADMIN) else []  # the app reads it with its own permissions
    places = [BROWSER, *server, *([SAMPLE] if sample else [])]
    place = st.segmented_control(
        f"Where are the {'masks' if masks else 'images'}?",
        places,
        default=BROWSER,
        required=True,
        key=f"{key}-place",
        wrap=True,
    )
    if place == SAMPLE:
        st.markdown(
            "About 60 synthetic, photograph-like scenes with truth masks: textured background, shadows, clutter, "
            "one or several objects. Ready in seconds, good for a first try."
        )
        return ChosenSource({"kind": "sample"}, "Sample scenes", "the sample set")
    chosen = _server_folder(key) if place == SERVER else _from_browser(key, "masks" if masks else "images")
    if chosen is None:
        st.caption(_MASKS_HELP if masks else _HELP)
        return None
    with options or st.container():
        reading = Reading() if masks else _reading(key)
    if reading is None:
        return None
    return replace(chosen, source=with_reading(chosen.source, reading))


def _reading(key: str) -> Reading | None:
    """Draw what few imports need; return None while what was entered cannot be used."""
    with st.expander("Microscope files: channels and pages", icon=":material/biotech:"):
        left, right = st.columns(2)
        channels = left.text_input(
            "Channels",
            key=f"{key}-channels",
            placeholder="1,2,3",
            help="One channel is shown as grey, three as red, green and blue, counted from 1; *mix* is the mean of "
            "all. Left empty, the first three are taken, or the first of two.",
        )
        pages = right.selectbox(
            "Pages of a stack",
            PAGE_CHOICES,
            format_func=_PAGES.__getitem__,
            key=f"{key}-pages",
            help="Slices, time points and frames of a file are its pages.",
        )
        try:
            return Reading.chosen(channels, pages)
        except BadReading as error:
            st.error(wording.escaped(str(error)))
    return None


def _from_browser(key: str, what: str) -> ChosenSource | None:
    upload = uploader(key=key, label=f"Drop {what}, a folder or a zip here")
    if upload is None:
        return None
    words = f"{wording.count(len(upload.files), 'file')}, {wording.size(upload.bytes)}"
    source: dict[str, Any] = {"kind": "upload", "token": upload.token}
    if upload.ignored:
        source["ignored"] = list(upload.ignored)
    return ChosenSource(source, proposed_name(upload.files), words, upload.files)


def _server_folder(key: str) -> ChosenSource | None:
    typed = server_folder(key)
    if not typed:
        return None
    path = server_path(typed)
    if not path.is_absolute():
        st.error(
            f"The folder must be an absolute path, such as /home/me/photographs. Got {wording.escaped(repr(typed))}."
        )
    elif not (kind := kind_of(path)):
        st.error(f"There is no folder, zip or picture {wording.escaped(repr(typed))} on this machine.")
    else:
        return ChosenSource({"kind": kind, "path": str(path)}, path.stem if kind == "zip" else path.name, str(path))
    return None
