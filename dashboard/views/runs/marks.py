"""Name, tags, notes, pins and the archive of runs: of the open run, and the bar for several runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server.resources import artifacts, database, remove_files
from dashboard.ui.confirm import deletion_button
from dashboard.views.runs.table_facts import RunRow
from db import runs
from db.actors import Role
from db.datasets import InUse
from db.models import Run
from db.names import NameTaken
from db.runs import MarkRefused
from engine.store import keys as stored

TICKED, CLEARED, UNDO = "runs-ticked", "runs-ticks-cleared", "runs-undo"
MOST_COMPARED = 60
TAG_HELP = f"Short words to find runs by, up to {runs.MOST_TAGS} on a run. Type a new one and press Enter."
# (label, icon, help)
ARCHIVE = (
    "Archive",
    ":material/archive:",
    "Removes it from this table and from the choices on other pages. Nothing is deleted.",
)
RESTORE = ("Restore", ":material/unarchive:", None)


def mark_buttons(run_id: str) -> None:
    """Draw the buttons that edit, pin and archive a run."""
    with database().reading() as session:
        run = session.get(Run, run_id)
        known = runs.known_tags(session)
    if run is None:
        return
    if rights.may(Role.EDITOR):
        _edit(run, known)
    pin = "Unpin" if run.pinned else "Pin"
    if rights.button(pin, icon=":material/keep_off:" if run.pinned else ":material/keep:", key="run-pin"):
        set_pinned([run_id], not run.pinned)
        st.rerun()
    label, icon, help_ = RESTORE if run.archived else ARCHIVE
    if rights.button(label, icon=icon, key="run-archive", help=help_):
        set_archived([run_id], not run.archived)
        st.rerun()


def marks(run_id: str) -> None:
    """Draw whether a run is archived, its tags and its note."""
    with database().reading() as session:
        run = session.get(Run, run_id)
    if run is None:
        return
    badges = [":gray-badge[:material/archive: Archived]"] if run.archived else []
    badges += [f":gray-badge[{wording.escaped(tag)}]" for tag in run.tags]
    if badges:
        st.markdown(" ".join(badges))
    if run.note:
        st.markdown(
            "  \n".join(f"*{wording.escaped(line)}*" if line else "" for line in map(str.strip, run.note.splitlines()))
        )


def _edit(run: Run, known: Sequence[str]) -> None:
    # A new key makes a new popover, which is closed: so saving closes it.
    key = f"run-edit-{run.id}-{st.session_state.get('run-edits', 0)}"
    help_ = "Its name, tags and note."
    with st.popover("Edit", icon=":material/edit:", help=help_, key=key), st.form(f"{key}-form", border=False):
        name = st.text_input("Name", run.name, max_chars=200, key=f"{key}-name")
        options = list(dict.fromkeys([*run.tags, *known]))
        tags = st.multiselect(
            "Tags", options, default=run.tags, accept_new_options=True, key=f"{key}-tags", help=TAG_HELP
        )
        note = st.text_area("Note", run.note, max_chars=runs.LONGEST_NOTE, key=f"{key}-note", height=120)
        if not st.form_submit_button("Save", type="primary", key=f"{key}-save"):
            return
        try:
            with database().writing() as session:
                runs.rename(session, run.id, name)
                runs.set_tags(session, run.id, tags)
                runs.set_note(session, run.id, note)
        except (NameTaken, MarkRefused) as refused:
            st.error(wording.escaped(str(refused)), icon=":material/error:")
            return
    st.session_state["run-edits"] = st.session_state.get("run-edits", 0) + 1
    st.toast("Saved.", icon=":material/check:")
    st.rerun()


def set_pinned(run_ids: Sequence[str], pinned: bool) -> None:
    with database().writing() as session:
        runs.mark(session, run_ids, pinned=pinned)
    st.toast(f"{_runs(len(run_ids))} {'pinned to the top' if pinned else 'unpinned'}.", icon=":material/keep:")


def set_archived(run_ids: Sequence[str], archived: bool) -> None:
    """Archive or restore runs; the table then offers to undo it."""
    with database().writing() as session:
        runs.mark(session, run_ids, archived=archived)
    st.session_state[UNDO] = (tuple(run_ids), archived)


def undo_bar() -> None:
    """Show what was just archived or restored, with a button that undoes it."""
    run_ids, archived = st.session_state.get(UNDO, ((), False))
    if not run_ids:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{_runs(len(run_ids))} {'archived' if archived else 'restored'}.", width="content")
        if rights.button("Undo", icon=":material/undo:", key="runs-undo-go"):
            set_archived(run_ids, not archived)
            st.session_state.pop(UNDO)
            st.rerun()
        if st.button("Dismiss", type="tertiary", key="runs-undo-dismiss"):
            st.session_state.pop(UNDO)
            st.rerun()


def _runs(number: int) -> str:
    return f"{wording.count(number, 'run')} {'is' if number == 1 else 'are'}"


def ticked() -> list[str]:
    """Return the ids of the ticked runs, including those that a filter hides."""
    return list(st.session_state.get(TICKED, ()))


def tick(run_ids: Sequence[str]) -> None:
    st.session_state[TICKED] = list(run_ids)


def ticks_cleared() -> int:
    """Return how often all ticks were cleared. It is part of the table's key, as a table keeps its own selection."""
    return st.session_state.get(CLEARED, 0)


def _clear_ticks() -> None:
    tick(())
    st.session_state[CLEARED] = ticks_cleared() + 1


def bulk_bar(chosen: Sequence[RunRow], known: Sequence[str], hidden: int) -> None:
    """Draw the actions on the ticked runs, of which a filter hides `hidden`."""
    ids = [row.id for row in chosen]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        unseen = f" ({hidden:,} not shown)" if hidden else ""
        st.markdown(f"**{wording.count(len(chosen), 'run')} ticked**{unseen}", width="content")
        fits = 2 <= len(chosen) <= MOST_COMPARED
        help_ = None if fits else f"Compares 2 to {MOST_COMPARED} runs: the address of the page lists them all."
        if st.button("Compare", icon=":material/compare:", disabled=not fits, help=help_, key="runs-compare"):
            st.switch_page("views/compare/page.py", query_params={"runs": ",".join(ids)})
        _act("Untick all", ":material/close:", _clear_ticks)
        if not rights.may(Role.EDITOR):
            return
        all_pinned, all_archived = (all(getattr(row, mark) for row in chosen) for mark in ("pinned", "archived"))
        _act("Unpin" if all_pinned else "Pin", ":material/keep:", lambda: set_pinned(ids, not all_pinned))
        label, icon, archive_help = RESTORE if all_archived else ARCHIVE
        _act(label, icon, lambda: _archive_ticked(ids, not all_archived), archive_help)
        _tag(chosen, known)
        _delete(chosen)


def _archive_ticked(run_ids: Sequence[str], archived: bool) -> None:
    set_archived(run_ids, archived)
    _clear_ticks()


def _act(label: str, icon: str, act: Callable[[], object], help_: str | None = None) -> None:
    if st.button(label, icon=icon, key=f"runs-bulk-{label.lower().replace(' ', '-')}", help=help_):
        act()
        st.rerun()


def _tag(chosen: Sequence[RunRow], known: Sequence[str]) -> None:
    key = f"runs-tag-{st.session_state.get('run-edits', 0)}"
    present = sorted({tag for row in chosen for tag in row.tags}, key=str.casefold)
    with st.popover("Tag", icon=":material/label:", key=key), st.form(f"{key}-form", border=False):
        add = st.multiselect("Add", known, accept_new_options=True, key=f"{key}-add", help=TAG_HELP)
        remove = st.multiselect("Remove", present, key=f"{key}-remove") if present else []
        if not st.form_submit_button(f"Change {wording.count(len(chosen), 'run')}", type="primary", key=f"{key}-go"):
            return
        try:
            with database().writing() as session:
                runs.change_tags(session, [row.id for row in chosen], add=add, remove=remove)
        except MarkRefused as refused:
            st.error(wording.escaped(str(refused)), icon=":material/error:")
            return
    st.session_state["run-edits"] = st.session_state.get("run-edits", 0) + 1
    st.rerun()


def _delete(chosen: Sequence[RunRow]) -> None:
    # A popover instead of a dialog, because the periodic rerun of the table would close a dialog.
    with st.popover("Delete", icon=":material/delete:", key="runs-delete"):
        many = wording.count(len(chosen), "run")
        st.markdown(
            f"The {'model' if len(chosen) == 1 else 'models'} of **{many}** with all metrics and predictions are "
            "deleted permanently. Images and labels stay."
        )
        names = [f"- {wording.escaped(row.name)}" for row in chosen[:8]]
        if len(chosen) > 8:
            names.append(f"- and {len(chosen) - 8:,} more")
        st.markdown("\n".join(names))
        if deletion_button(f"Delete {many} permanently", key="runs-delete-go"):
            with st.spinner(f"Deleting {many} …"):
                delete([row.id for row in chosen])
            _clear_ticks()
            st.rerun()


def delete(run_ids: Sequence[str]) -> None:
    """Delete runs one after the other; those in use by a job stay and are counted."""
    busy = 0
    for run_id in run_ids:
        try:
            delete_one(run_id)
        except InUse:
            busy += 1
    sentences = [f"{_runs(len(run_ids) - busy).capitalize()} deleted."]
    if busy:
        sentences.append(f"{_runs(busy).capitalize()} in use: stop first, then try again.")
    st.toast(" ".join(sentences), icon=":material/delete:")


def delete_one(run_id: str) -> None:
    """Delete a run with its files, if it still exists.

    Raises:
        InUse: a job is using it.
    """
    with database().writing() as session:
        run = session.get(Run, run_id)
        if run is None:
            return
        job_id = run.job_id
        removed = runs.delete_run(session, run_id)
    remove_files(removed)
    if job_id:
        artifacts().delete(stored.job_log_key(job_id))
