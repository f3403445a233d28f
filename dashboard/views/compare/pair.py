"""Where did B lose? Two runs against each other: the count, a chart whose points choose images, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.scores import SCORE_TITLES, upper_first
from dashboard.ui import palette
from dashboard.ui.mask_grid import Tile, mask_grid
from dashboard.views.compare import shared_images
from dashboard.views.compare.head_to_head import LEAST_IMAGES, ORDERS, HeadToHead, head_to_head
from dashboard.views.compare.images import IMAGE, in_words, open_image
from dashboard.views.compare.shared_images import SharedImages

PER_PAGE = 6
MOST_PICKED = 60
"""The address holds the chosen images, and a browser gives it some 2,000 to 8,000 characters."""
PICKED, SELECTION = "picked", "compare-selection"


def pair(shared: SharedImages) -> None:
    """Draw how two of the runs stand against each other, image by image."""
    st.subheader("Where did B lose?")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        a = _choose_run(shared, "A", "a", 0)
        b = _choose_run(shared, "B", "b", 1)
        orders = ORDERS if shared.reference else ORDERS[2:]
        order = st.segmented_control(
            "First come", orders, default=orders[0], required=True, key="first", bind="query-params"
        )
        held_out_only = st.toggle(
            "Held out only",
            key="held",
            bind="query-params",
            help="Only images that neither A nor B has learned from.",
        )
    if a == b:
        st.info("A and B are the same run. Choose another for one of them.")
        return
    found = head_to_head(shared, a, b, held_out_only)
    if not len(found.images):
        st.info("Both runs have no such image with a score. Show those they learned from, too.")
        return
    _standing(shared, found, a, b)
    if shared.reference:
        left, right = st.columns([5, 6], gap="medium")
        with left:
            _scatter(shared, found, a, b)
    else:
        right = st.container()
    with right:
        _tiles(shared, found.ordered(order), a, b, order)


def _choose_run(shared: SharedImages, label: str, parameter: str, usual: int) -> int:
    """Return the run chosen, as a column of `shared`; the address names it by its id."""
    ids = [run.id for run in shared.runs]
    key, wanted = f"compare-{parameter}", st.query_params.get(parameter)
    if st.session_state.get(key) not in ids:
        st.session_state[key] = wanted if wanted in ids else ids[usual]
    names = {run.id: run.name for run in shared.runs}
    chosen = st.selectbox(f"Run {label}", ids, key=key, format_func=lambda run_id: names.get(run_id, "gone"), width=260)
    if chosen != ids[usual]:
        st.query_params[parameter] = chosen
    else:
        st.query_params.pop(parameter, None)
    return ids.index(chosen)


def _standing(shared: SharedImages, found: HeadToHead, a: int, b: int) -> None:
    """Say who is ahead, on how many images, by how much, and how sure that is."""
    names = [wording.escaped(shared.runs[column].name) for column in (a, b)]
    count = wording.count(len(found.images), "image")
    if shared.reference is None:
        st.markdown(
            f"**A** is {names[0]}, **B** is {names[1]}. They share no reference, so neither can win: on {count} the "
            f"area of A's mask less that of B's is **{found.mean:+.1%}** of the image on average."
        )
        return
    if found.interval:
        low, high = found.interval
        sure = (
            "so images like these leave open which is better"
            if low <= 0 <= high
            else (f"so {'A' if low > 0 else 'B'} is better on images like these")
        )
        interval = f", with 95 % confidence between {low:+.3f} and {high:+.3f}, {sure}"
    else:
        interval = f"; fewer than {LEAST_IMAGES} images are too few to say how sure that is"
    helped = [(name, shared.runs[column].weights) for name, column in zip("AB", (a, b), strict=True)]
    st.markdown(
        f"**A** is {names[0]}, **B** is {names[1]}. Of {count}, A is ahead on **{found.wins_a:,}**, B on "
        f"**{found.wins_b:,}**, and {found.ties:,} {'is a tie' if found.ties == 1 else 'are ties'}. "
        f"Mean {SCORE_TITLES[shared.reference]} of A less that of B: **{found.mean:+.3f}**{interval}."
    )
    notes = [f"{name} began with encoder weights: {wording.escaped(weights)}." for name, weights in helped if weights]
    if found.unscored:
        notes.append(f"{wording.count(found.unscored, 'image')} without a score in both left out.".capitalize())
    if not np.all(shared.held_out_from((a, b))[found.images]):
        notes.append("Some of these images taught A or B: a network is better on what it has learned from.")
    notes.append(
        "The interval is a bootstrap over images, with both scores of an image drawn together; a tie is the same score "
        "to three decimals."
    )
    st.caption(" ".join(notes))


def _scatter(shared: SharedImages, found: HeadToHead, a: int, b: int) -> None:
    """Draw each image's score in A against B. Points that are clicked or framed become the images below."""
    title = upper_first(SCORE_TITLES[shared.reference or "truth"])
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
        "several, to see their masks beside the chart."
    )
    chosen = [int(point["customdata"][0]) for point in event.selection.points if point.get("customdata")]
    # The chart goes on reporting its selection, of which only a new one is news; and it forgets it whenever its
    # figure changes, as by the ring around the opened image, so that no selection is no wish to see all.
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
                customdata=images[:, None].tolist(),  # of an array, a click would bring back something else
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
    """Draw the masks of A and of B, in two columns of the same images; a click shows the image in all runs."""
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
    for column, place, name in zip((a, b), st.columns(2, gap="small"), "AB", strict=True):
        with place:
            st.markdown(f"**{name}** {wording.escaped(shared.runs[column].name)}")
            clicked = mask_grid(
                [_tile(shared, image, column, a, b) for image in on_page],
                key=f"compare-pair-{name}",
                mode="errors" if shared.reference else "outline",
                threshold=shared.threshold,
                opacity=0.6,
                tile_px=150,
                aspect=_aspect(shared, on_page),
                selected=st.query_params.get(IMAGE),
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


def _tile(shared: SharedImages, image: int, column: int, a: int, b: int) -> Tile:
    run, image_id = shared.runs[column], shared.image_id(image, column)
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
        mask=urls.prediction(run.prediction_set_id, image_id, 192),
        reference=shared_images.reference_url(run, shared.reference, image_id, 192),
        subtitle=subtitle,
        badge=in_words(str(shared.splits(column)[image])),
    )
