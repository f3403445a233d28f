"""Two runs image by image: the result, a chart whose points select images, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.scores import upper_first
from dashboard.ui import palette
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.views.compare.head_to_head import LEAST_IMAGES, ORDERS, RENAMED_ORDERS, HeadToHead, head_to_head
from dashboard.views.compare.images import IMAGE, SPLIT_BADGES, class_note, compared_legend, open_image
from dashboard.views.compare.shared_images import SharedImages, mask_and_reference

PER_PAGE = 6
MOST_PICKED = 60
"""The URL lists the chosen images, and browsers limit it to 2,000 to 8,000 characters."""
PICKED, SELECTION = "picked", "compare-selection"


def pair(shared: SharedImages) -> None:
    """Compare two of the runs image by image."""
    st.header("Which run is better, image by image?")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        a = _choose_run(shared, "A", "a", 0)
        b = _choose_run(shared, "B", "b", 1)
        orders = ORDERS if shared.reference else ORDERS[2:]
        if (renamed := RENAMED_ORDERS.get(st.query_params.get("first", ""))) in orders:
            st.session_state["first"] = renamed
        order = st.segmented_control("Sort", orders, default=orders[0], required=True, key="first", bind="query-params")
        held_out_only = st.toggle(
            "Held out only",
            key="held",
            bind="query-params",
            help="Only images that neither A nor B was trained on.",
        )
    if a == b:
        st.info("A and B are the same run. Choose another for one of them.")
        return
    found = head_to_head(shared, a, b, held_out_only)
    if not len(found.images):
        st.info("No such image has a score in both runs. Switch off *Held out only*.")
        return
    _standing(shared, found, a, b)
    if shared.reference:
        # Below each other where they have no room beside each other.
        row = st.container(horizontal=True, gap="medium")
        left, right = row.container(width=520), row.container(width=700)
        with left:
            _scatter(shared, found, a, b)
    else:
        right = st.container()
    with right:
        _tiles(shared, found.ordered(order), a, b, order)


def _choose_run(shared: SharedImages, label: str, parameter: str, usual: int) -> int:
    """Return the chosen run, as a column of `shared`; the URL contains its id."""
    ids = [run.id for run in shared.runs]
    key, wanted = f"compare-{parameter}", st.query_params.get(parameter)
    if st.session_state.get(key) not in ids:
        st.session_state[key] = wanted if wanted in ids else ids[usual]
    names = {run.id: run.name for run in shared.runs}
    chosen = st.selectbox(
        f"Run {label}", ids, key=key, format_func=lambda run_id: names.get(run_id, "deleted"), width=260
    )
    if chosen != ids[usual]:
        st.query_params[parameter] = chosen
    else:
        st.query_params.pop(parameter, None)
    return ids.index(chosen)


def _standing(shared: SharedImages, found: HeadToHead, a: int, b: int) -> None:
    """Show which run is ahead, on how many images, by how much, and with which confidence."""
    names = [wording.escaped(shared.runs[column].name) for column in (a, b)]
    count, mean = wording.count(len(found.images), "image"), found.mean or 0.0
    runs = f"**A** is {names[0]}, **B** is {names[1]}."
    if shared.reference is None:
        st.markdown(
            f"{runs} They share no reference, so neither can win: on {count} the area of A's mask is **{mean:+.1%}** "
            "of the image larger than that of B's on average."
        )
        return
    if found.interval:
        low, high = sorted(found.interval if mean >= 0 else (-end for end in found.interval))
        sure = f"95 % CI {low:.3f} to {high:.3f}"
        if low <= 0:
            sure += ", so these images do not decide which is better"
    else:
        sure = f"fewer than {LEAST_IMAGES} images are too few for a confidence interval"
    ties = f"{found.ties:,} {'is a tie' if found.ties == 1 else 'are ties'}"
    st.markdown(
        f"{runs} Of {count}, A is ahead on **{found.wins_a:,}**, B on **{found.wins_b:,}**, and {ties}. "
        f"**{'A' if mean >= 0 else 'B'} scores {abs(mean):.3f} higher** on average "
        f"({wording.escaped(shared.score_title)}; {sure})."
    )
    helped = [(name, shared.runs[column].weights) for name, column in zip("AB", (a, b), strict=True)]
    notes = [f"{name} was helped by {wording.escaped(weights)}." for name, weights in helped if weights]
    if found.unscored:
        notes.append(f"{wording.count(found.unscored, 'image')} without a score in both do not count.".capitalize())
    if shared.chosen and not shared.by_class:
        name = wording.escaped(shared.classes.names[shared.chosen])
        notes.append(
            f"These scores are of foreground, all classes together: not every compared run has scores of {name}."
        )
    if not np.all(shared.held_out_from((a, b))[found.images]):
        notes.append("Some of these are training images of A or B, on which a network scores better.")
    notes.append(
        "The confidence interval (CI) is a bootstrap over images, with both scores of an image resampled together; a "
        "tie is the same score to three decimals."
    )
    st.caption(" ".join(notes))


def _scatter(shared: SharedImages, found: HeadToHead, a: int, b: int) -> None:
    """Draw each image's score in A against B. Selected points become the images shown beside the chart."""
    title = upper_first(shared.score_title)
    event = st.plotly_chart(
        _scatter_figure(shared, found, a, b),
        key=f"compare-scatter-{shared.runs[a].id}-{shared.runs[b].id}",
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        config={"displaylogo": False, "modeBarButtonsToRemove": ["autoScale2d"]},
        alt=f"{title} of each image in run A and in run B",
    )
    st.caption(
        f"{title}, one point for each image; above the line B is better. Click a point, or drag a frame around "
        "several, to show their masks beside the chart."
    )
    chosen = [int(point["customdata"][0]) for point in event.selection.points if point.get("customdata")]
    # The chart reports its selection on every rerun, so only a changed one counts. It loses the selection when its
    # figure changes (for example the ring around the opened image), so an empty one does not reset the choice.
    known = st.session_state.get(SELECTION, [])
    st.session_state[SELECTION] = chosen
    if not chosen or chosen == known:
        return
    st.query_params[PICKED] = ",".join(shared.image_id(image) for image in chosen[:MOST_PICKED])
    st.session_state["pair"] = 1
    if len(chosen) == 1:
        open_image(shared, chosen[0])
    st.rerun()


def _scatter_figure(shared: SharedImages, found: HeadToHead, a: int, b: int) -> go.Figure:
    held_out = shared.held_out_from((a, b))[found.images]
    sides = {"Held out from both": (held_out, palette.ORANGE), "Others": (~held_out, palette.BLUE)}
    figure = go.Figure()
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"width": 1, "dash": "dot", "color": "gray"})
    # WebGL is for many points: on a machine without a graphics card it is slower to start than SVG.
    points = go.Scattergl if len(found.images) > 3000 else go.Scatter
    for name, (kept, colour) in sides.items():
        images = found.images[kept]
        if not len(images):
            continue
        figure.add_trace(
            points(
                x=shared.scores[images, a],
                y=shared.scores[images, b],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 8, "opacity": 0.75},
                customdata=images[:, None].tolist(),  # for an array a click would return another type
                text=[escape(shared.name(int(i))) for i in images],
                hovertemplate="%{text}<br>A %{x:.3f} · B %{y:.3f}<extra></extra>",
            )
        )
    opened = shared.find(st.query_params.get(IMAGE, ""))
    if opened is not None:
        figure.add_trace(_ring(shared.scores[opened, a], shared.scores[opened, b]))
    lowest = float(shared.scores[found.images][:, (a, b)].min())
    span = {"range": [max(0.0, lowest - 0.05) - 0.02, 1.02], "constrain": "domain"}
    figure.update_xaxes(title=f"A: {escape(shared.runs[a].name)}", **span)
    figure.update_yaxes(title=f"B: {escape(shared.runs[b].name)}", scaleanchor="x", constraintoward="top", **span)
    figure.update_layout(
        height=520,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        clickmode="event+select",
        dragmode="select",
    )
    return figure


def _ring(x: float, y: float) -> go.Scatter:
    marker: dict[str, Any] = {"symbol": "circle-open", "size": 16, "line": {"width": 3}, "color": palette.VERMILION}
    return go.Scatter(x=[x], y=[y], mode="markers", name="Shown below", hoverinfo="skip", marker=marker)


def _tiles(shared: SharedImages, ordered: np.ndarray, a: int, b: int, order: str) -> None:
    """Draw the masks of A and of B in two columns of the same images; a click shows the image in all runs."""
    asked = set(st.query_params.get(PICKED, "").split(",")) - {""}
    picked = [int(image) for image in ordered if shared.image_id(int(image)) in asked]
    with st.container(horizontal=True, vertical_alignment="center"):
        if asked:
            st.markdown(f"**{wording.count(len(picked), 'image')} chosen in the chart**", width="content")
            if st.button("Show all", icon=":material/close:", key="pair-all"):
                st.query_params.pop(PICKED, None)
                st.rerun()
        else:
            st.markdown(f"**{order}**", width="content")
        shown = picked if asked else [int(image) for image in ordered]
        pages = max(1, -(-len(shown) // PER_PAGE))
        page = 1
        if pages > 1:
            page = st.pagination(pages, key="pair", bind="query-params", max_visible_pages=5)
    if not shown:
        st.info("None of the chosen images is in this selection.")
        return
    on_page = shown[(page - 1) * PER_PAGE : page * PER_PAGE]
    if not shared.reference:
        compared_legend(shared, undivided=not all(shared.runs[column].classes for column in (a, b)))
    for column, place, name in zip((a, b), st.columns(2, gap="small"), "AB", strict=True):
        with place:
            st.markdown(f"**{name}** {wording.escaped(shared.runs[column].name + class_note(shared, column))}")
            clicked = mask_grid(
                [_tile(shared, image, column, a, b) for image in on_page],
                key=f"compare-pair-{name}",
                mode=_mode(shared),
                threshold=shared.threshold,
                opacity=0.6,
                tile_px=150,
                aspect=_aspect(shared, on_page),
                selected=st.query_params.get(IMAGE),
                only_class=shared.class_number(column),
                class_colours=shared.classes.colours_of(shared.runs[column]) or shared.classes.colours,
            )
            if clicked:
                _open_clicked(shared, clicked, column)


def _open_clicked(shared: SharedImages, clicked: str, column: int) -> None:
    image = next((row for row in range(len(shared.rows)) if shared.image_id(row, column) == clicked), None)
    if image is not None:
        open_image(shared, image)


def _aspect(shared: SharedImages, images: Sequence[int]) -> float:
    sizes = [shared.tables[0].sizes[shared.rows[image, 0]] for image in images]
    return float(np.median([width / height for width, height in sizes]))


def _mode(shared: SharedImages) -> Mode:
    return "errors" if shared.reference else "outline"


def _tile(shared: SharedImages, image: int, column: int, a: int, b: int) -> Tile:
    run, image_id = shared.runs[column], shared.image_id(image, column)
    mask, reference = mask_and_reference(run, shared.reference, image_id, _mode(shared), 192)
    if shared.reference:
        values, other = shared.scores[image], b if column == a else a
        ahead = values[column] - values[other]
        subtitle = f"{values[column]:.3f} · {ahead:+.3f}"
    else:
        subtitle = f"covers {shared.areas[image, column]:.1%}"
    return Tile(
        id=image_id,
        title=shared.name(image),
        image=urls.thumbnail(run.dataset_id, image_id),
        mask=mask.levels,
        reference=reference.levels,
        subtitle=subtitle,
        badge=SPLIT_BADGES.get(str(shared.splits(column)[image]), ""),
        classes=mask.classes,
        reference_classes=reference.classes,
    )
