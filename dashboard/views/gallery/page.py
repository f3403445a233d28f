"""Page: gallery. Where a run's masks are right and where they are wrong."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.mask_doubts import cover_doubt
from dashboard.facts.scores import REFERENCE_TITLES, Reference, ScoreTable, upper_first
from dashboard.server import resources
from dashboard.server.score_tables import score_table
from dashboard.ui import charts, status
from dashboard.ui.audit_line import audit_line
from dashboard.ui.downloads import downloads
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.measure_button import measure_button
from dashboard.ui.overlay_choice import overlay_look
from dashboard.ui.paging import PAGES_PX, page_range
from dashboard.views.gallery import facts
from dashboard.views.gallery.detail import REFERENCE_WORDS, UNCERTAINTY, chosen_classes, image_detail, open_image
from dashboard.views.gallery.facts import Source, Thumbnail
from dashboard.views.gallery.filters import (
    choose_filters,
    choose_sort,
    choose_thresholds,
    filter_line,
    first_page,
    start_run,
    with_class,
)
from dashboard.views.gallery.order import Arrangement, Choice, arrange, nearer_words
from dashboard.views.gallery.queue import close_image, queue_button
from dashboard.views.gallery.rank_trust import rank_trust
from db import runs
from db.columns import utc_now
from db.submissions import NotReady, submit_predict
from engine.training.run_details import label_share_note

RIVALS = "Label, network, truth"
MODES: dict[str, Mode] = {
    "Errors": "errors",
    "Side by side": "side by side",
    RIVALS: "side by side",
    "Outline": "outline",
    "Fill": "fill",
    "Probability": "probability",
    UNCERTAINTY: "probability",
    "Image": "image",
}
# Modes that draw the reference, and the classes; others do not load them.
DRAWS_REFERENCE: tuple[Mode, ...] = ("errors", "outline", "side by side")
COLOURS_CLASSES: tuple[Mode, ...] = ("fill", "outline", "side by side")
LARGE_TILE_PX, POLL_S = 256, 2.0


def main() -> None:
    opened = bool(st.query_params.get("image"))
    if not opened:
        st.title("Gallery")
    detail_place = st.container()  # above what decides the next image
    # With an image open, what chooses images is folded below it.
    controls = st.expander("Run, order and filter", icon=":material/filter_alt:") if opened else st.container()
    head = controls.container(horizontal=True, vertical_alignment="bottom")
    with head:
        run_id = _choose_run()
    with resources.database().reading() as session:
        source = facts.source(session, run_id, utc_now(), resources.settings().lost_after_s)
    if source is None:
        st.rerun()  # deleted in the meantime
    if source.job is not None:
        _follow(source.run_id)
    if not source.predicted:
        _offer_predictions(source)
        return
    table = score_table(source.prediction_set_id)
    with head:
        choice = with_class(table, Choice(_choose_reference(table)))
        start_run(table, run_id, _views(table))
        choice = choose_sort(table, choice, _views(table))
        with st.popover("Filter", icon=":material/filter_alt:", key="gallery-filter"):
            threshold, success_from = choose_thresholds(table.has_class_scores)
            choice = choose_filters(table, replace(choice, threshold=threshold, success_from=success_from))
            spread = st.container()
        with st.popover("Display", icon=":material/tune:"):
            st.slider("Opacity of the masks", 0.1, 1.0, 0.6, 0.05, key="opacity", bind="query-params")
            st.slider("Width of a tile", 128, 384, 208, 16, format="%d px", key="tile", bind="query-params")
        downloads(
            threshold=threshold,
            prediction_set_id=source.prediction_set_id,
            run_id=source.run_id,
            masks=source.predicted,
            unsure=table.has_uncertainty,
        )
        measure_button(run=source.run_id)
        queue_button(source)
    arrangement = arrange(table, choice)
    with spread:
        _histogram(arrangement, choice)
    found = facts.detail(table, arrangement, choice, st.query_params.get("image", ""))
    if found is not None:
        with detail_place:
            image_detail(source, table, arrangement, choice, found)
        return
    if opened:
        st.session_state["gallery-no-mask"] = close_image() is not None
        st.rerun()
    if st.session_state.pop("gallery-no-mask", False):
        st.warning("The image in the address has no mask in this run. Here are those that have.")
    with controls:
        _counts(source, table, arrangement, choice)
        _remarks(source, float(table.area(threshold).mean()))
    _grid(source, table, arrangement, choice)
    _provenance(source)


def _choose_run() -> str:
    wanted = st.query_params.get("run")
    with resources.database().reading() as session:
        choices = {choice.id: choice for choice in facts.run_choices(session, wanted or "")}
        all_archived = not choices and runs.any_run(session)
    if all_archived:
        status.empty_state(
            "All runs are archived",
            "Restore one: on the Runs page, the filter *Archived runs* shows them.",
            button="Go to the runs", page="views/runs/page.py",
        )  # fmt: skip
        st.stop()
    if not choices:
        status.empty_state(
            "No run yet",
            "Train a network first; its masks appear here when it has finished or was stopped.",
            button="Train a network",
            page="views/train/page.py",
        )
        st.stop()
    if "gallery-run" not in st.session_state or st.session_state["gallery-run"] not in choices:
        st.session_state["gallery-run"] = wanted if wanted in choices else next(iter(choices))
        if wanted and wanted not in choices:
            st.warning("The run in the address no longer exists. This is the latest one with masks.")
    run_id = st.selectbox(
        "Run",
        list(choices),
        key="gallery-run",
        format_func=lambda id_: f"{choices[id_].name}{'' if choices[id_].predicted else ' (no masks yet)'}",
        on_change=_close_detail,
        label_visibility="collapsed",
        width=260,
    )
    if wanted != run_id:
        st.query_params["run"] = run_id
    return run_id


def _provenance(source: Source) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "views/runs/page.py",
            label="Curves and log",
            icon=":material/monitoring:",
            query_params={"run": source.run_id},
        )
        if source.label_set_id:
            st.page_link(
                "views/labels/page.py",
                label=wording.escaped(f"Trained on {source.label_set_name} ({source.recipe})"),
                icon=":material/auto_fix_high:",
                query_params={"dataset": source.dataset_id, "labels": source.label_set_id},
            )
        else:
            st.markdown(":small[:material/verified: Trained on truth]", width="content")
        st.page_link(
            "views/datasets/page.py",
            label=wording.escaped(f"{source.dataset_name} ({wording.count(source.image_count, 'image')})"),
            icon=":material/photo_library:",
            query_params={"dataset": source.dataset_id},
        )
        query = {"runs": source.run_id}
        st.page_link("views/compare/page.py", label="Compare runs", icon=":material/compare:", query_params=query)


@st.fragment(run_every=POLL_S)
def _follow(run_id: str) -> None:
    with resources.database().reading() as session:
        source = facts.source(session, run_id, utc_now(), resources.settings().lost_after_s)
    if source is None or source.job is None:
        st.rerun()
    status.progress(source.job, f"{source.job.status.capitalize()}: {source.job.text or 'waiting'}")


def _offer_predictions(source: Source) -> None:
    if source.job is not None:
        st.info("The masks appear here once the run has predicted them.")
    elif not source.can_predict:
        status.empty_state(
            "This run has no model yet",
            "It ended before its first epoch had finished. Resume it, or choose another run above.",
        )
        st.page_link("views/runs/page.py", label="Go to the run", query_params={"run": source.run_id})
    else:
        status.empty_state("This run has no masks yet", "Its model is ready; predicting takes a moment.")
        _predict_button(source, "Predict the masks")


def _predict_button(source: Source, label: str) -> None:
    if not rights.button(label, type="primary", icon=":material/play_arrow:"):
        return
    try:
        with resources.database().writing() as session:
            _, job = submit_predict(session, source.run_id, source.dataset_id)
    except NotReady as error:
        st.error(wording.escaped(str(error)))
        return
    resources.launcher().submit(job.id)
    st.rerun()


def _views(table: ScoreTable) -> list[str]:
    hidden = {UNCERTAINTY: not table.has_uncertainty, RIVALS: not table.has_rivalry}
    return [view for view in MODES if not hidden.get(view, False)]


def _choose_reference(table: ScoreTable) -> Reference:
    if len(table.references) < 2:
        return table.references[0] if table.references else "truth"
    titles = {REFERENCE_TITLES[reference]: reference for reference in table.references}
    title = st.segmented_control(
        "Compare with",
        list(titles),
        default=next(iter(titles)),
        required=True,
        key="reference",
        bind="query-params",
        label_visibility="collapsed",
        help="What every score and error on this page is measured against.",
    )
    return titles[title]


def _close_detail() -> None:
    close_image()
    first_page()


def _counts(source: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice) -> None:
    """Draw the mean score and the counts in one line."""
    scored = arrangement.successes + arrangement.failures
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        of = wording.count(scored, "image")
        mean = f"Mean {wording.escaped(choice.score_title)} **{wording.score(arrangement.mean_score)}** over {of}"
        st.markdown(mean, width="content", help=wording.escaped(source.weights_origin) or None)
        st.markdown(
            f":green[{wording.count(arrangement.successes, 'success', 'successes')}], "
            f":red[{wording.count(arrangement.failures, 'failure')}] (from Dice {choice.success_from:.2f})",
            width="content",
        )
        if arrangement.unscored:
            missing = "without this class" if choice.by_class and choice.class_index else "without reference"
            st.markdown(f"{arrangement.unscored:,} {missing}", width="content")
        if source.weights:
            st.caption(wording.escaped(source.weights), width="content")
    if choice.score_remark and arrangement.mean_score is not None:
        st.caption(choice.score_remark)
    if source.label_share:
        st.caption(label_share_note(source.label_share))
    if table.has_rivalry and source.label_share < 1:
        st.caption(
            nearer_words(arrangement.nearer, source.label_share),
            help="By Dice vs truth: the masks at the mask threshold, the pseudo-labels at 0.5.",
        )
    audit_line(source.dataset_id, source.run_id)


def _histogram(arrangement: Arrangement, choice: Choice) -> None:
    charts.histogram(
        arrangement.scores[arrangement.matching],
        key="scores",
        x_title=escape(upper_first(choice.score_note)),
        threshold=choice.success_from,
        height_px=190,
    )


def _remarks(source: Source, area: float) -> None:
    status.doubt(cover_doubt(area, source.predicted, "use them"))
    if source.truth_changed:
        st.warning("The dataset's classes were changed after this run started: its scores use the old mapping.")
    if source.predicted < source.image_count and source.job is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(f"{source.predicted:,} of {source.image_count:,} images have a mask so far.")
            if source.can_predict:
                _predict_button(source, "Predict the rest")


def _grid(source: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice) -> None:
    filter_line(choice, arrangement)
    if not len(arrangement.rows):
        st.info("No image matches. Change a threshold, the split or the search.")
        return
    place = st.container()
    page = _choose_page(source, arrangement, choice)
    with place:
        mode = MODES[st.session_state["view"]]
        coloured = mode in COLOURS_CLASSES or (mode == "errors" and not table.references)
        _describe_tiles(source, choice, coloured)
        size_px = 192 if st.session_state["tile"] <= LARGE_TILE_PX else 384
        thumbnails = facts.thumbnails(source, table, arrangement, choice, page, size_px)
        chosen = mask_grid(
            [_tile(thumbnail, choice, coloured) for thumbnail in thumbnails],
            key="gallery-grid",
            mode=mode,
            threshold=choice.threshold,
            opacity=st.session_state["opacity"],
            tile_px=st.session_state["tile"],
            only_class=choice.class_index or None,
            class_colours=source.class_colours,
            mask_colour=overlay_look(source.dataset_id).colour,
        )
    if "truth" in table.references:
        chosen = chosen or rank_trust(table, choice)
    if chosen:
        open_image(chosen)
        st.rerun()


def _describe_tiles(source: Source, choice: Choice, coloured: bool) -> None:
    mode = MODES[st.session_state["view"]]
    if st.session_state["view"] == RIVALS:
        st.caption("Image, pseudo-label, prediction and truth, from left to right.")
    elif mode == "side by side":
        st.caption(f"Image, prediction and {REFERENCE_WORDS[choice.reference]}, from left to right.")
    if coloured:
        chosen_classes(source, choice)


def _choose_page(source: Source, arrangement: Arrangement, choice: Choice) -> int:
    wish = st.query_params.get("page", "1")
    start = min(max(int(wish), 1), arrangement.pages) if wish.isdecimal() else 1
    # One key for each selection: page 3 of one means nothing in another.
    filters = (choice.show, choice.split, choice.sort, choice.search, choice.nearer, choice.class_index)
    key = "-".join(map(str, ("gallery-page", source.run_id, *filters, arrangement.pages, *choice.spans.values())))
    with st.container(horizontal=True, vertical_alignment="center"):
        words = st.empty()
        page = st.pagination(arrangement.pages, default=start, key=key, width=PAGES_PX)
        words.caption(page_range(page, len(arrangement.rows)), width="content")
        _turn("Previous", "P", key, page - 1, page > 1)
        _turn("Next", "N", key, page + 1, page < arrangement.pages)
    if page == 1:
        first_page()
    elif wish != str(page):
        st.query_params["page"] = str(page)
    return page


def _turn(label: str, shortcut: str, key: str, page: int, there: bool) -> None:
    """Draw a button that opens a page; its shortcut is the one for the next image in the detail view."""
    st.button(
        label,
        key=f"gallery-page-{label}",
        shortcut=shortcut,
        type="tertiary",
        disabled=not there,
        on_click=lambda: st.session_state.update({key: page}),
    )


def _tile(thumbnail: Thumbnail, choice: Choice, coloured: bool) -> Tile:
    view = st.session_state["view"]
    uncertain, mode = view == UNCERTAINTY, MODES[view]
    notes = [thumbnail.split]
    if thumbnail.reference:
        notes.append(choice.score_note)
    note = thumbnail.note
    if not note and uncertain and thumbnail.uncertainty is not None:
        note = f"uncertainty {thumbnail.uncertainty:.3f}"
    mask = thumbnail.uncertainty_map if uncertain else thumbnail.mask
    beside = thumbnail.truth if view == RIVALS else thumbnail.reference
    levels, numbers = beside if beside and mode in DRAWS_REFERENCE else (None, None)
    by_class = coloured or (mode == "errors" and numbers is not None)
    teacher, taught = thumbnail.label if thumbnail.label and view == RIVALS else (None, None)
    return Tile(
        id=thumbnail.image_id,
        title=thumbnail.name,
        image=thumbnail.image,
        mask=None if mode == "image" else mask,
        reference=levels,
        teacher=teacher,
        subtitle=" · ".join(notes) + (f"\n{note}" if note else ""),
        badge=wording.score(thumbnail.score),
        tone="neutral" if thumbnail.success is None else "good" if thumbnail.success else "bad",
        classes=thumbnail.classes if by_class else None,
        reference_classes=numbers,
        teacher_classes=taught,
    )


main()
