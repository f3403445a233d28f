"""The choice of a folder, zip or picture of the server: its path is typed, or reached by clicks through the folders."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.facts.wording import count, escaped
from dashboard.server.server_folders import FolderView, folder_view, kind_of

MOST_SHOWN = 400


def server_folder(key: str) -> str:
    """Draw the choice; return the path, or "" while there is none. What it names may not exist."""
    typed = st.text_input(
        "Folder, zip or picture on the machine that runs Maskloom",
        key=f"{key}-path",
        placeholder="/home/me/photographs",
        help="An absolute path. Its files are copied; the folder itself is never changed.",
    ).strip()
    if not typed:
        with st.container(border=True, gap="small"):
            _browse(key)
    elif st.button("Choose another folder", icon=":material/folder_open:", type="tertiary", key=f"{key}-another"):
        _forget(key)
    return typed


def _forget(key: str) -> None:
    path = Path(st.session_state[f"{key}-path"].strip())
    if path.is_absolute() and kind_of(path.parent) == "folder":
        st.session_state[f"{key}-at"] = str(path.parent)
    del st.session_state[f"{key}-path"]
    st.rerun()


def _browse(key: str) -> None:
    at = st.session_state.get(f"{key}-at")
    here = folder_view(Path(at or Path.home()))
    if at is None and not (here.folders or here.images or here.zips):  # as in a container
        here = folder_view(Path("/"))
    parent = here.path.parent
    with st.container(horizontal=True, vertical_alignment="center"):
        up, at_top = ":material/arrow_upward:", parent == here.path
        st.button("Up", icon=up, key=f"{key}-up", on_click=_enter, args=(key, parent), disabled=at_top)
        st.markdown(f"**{escaped(str(here.path))}**  \n:small[{_content(here)}]", width="stretch")
        st.button(
            "Use this folder",
            icon=":material/check:",
            key=f"{key}-use",
            on_click=_use,
            args=(key, here.path),
            disabled=bool(here.error) or not (here.images or here.folders or here.zips),
        )
    if here.error:
        st.error(escaped(here.error))
    many = len(here.folders) + len(here.zips) > 20
    with st.container(height=230 if many else "content", border=False, horizontal=True, gap="small"):
        for name in here.folders[:MOST_SHOWN]:
            path, icon = here.path / name, ":material/folder:"
            into = f"{key}-into-{path}"
            st.button(escaped(name), icon=icon, key=into, type="tertiary", on_click=_enter, args=(key, path))
        for name in here.zips[:MOST_SHOWN]:
            path, icon = here.path / name, ":material/folder_zip:"
            st.button(escaped(name), icon=icon, key=f"{key}-zip-{path}", on_click=_use, args=(key, path))
    if max(len(here.folders), len(here.zips)) > MOST_SHOWN:
        st.caption(f"The first {MOST_SHOWN} are shown. Type the path of another one above.")


def _enter(key: str, path: Path) -> None:
    st.session_state[f"{key}-at"] = str(path)


def _content(here: FolderView) -> str:
    more = "more than " if here.more else ""
    return f"{more}{count(here.images, 'image')} here, {count(len(here.folders), 'folder')}"


def _use(key: str, path: Path) -> None:
    st.session_state[f"{key}-path"] = str(path)
