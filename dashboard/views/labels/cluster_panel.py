"""The clusters of a dataset: typical patches, share, a star where proposed as foreground, and a tick as a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import streamlit as st

from dashboard.ui.web import component
from dashboard.views.labels.cluster_facts import ClassChoice, Cluster, ticked_share

_render = component(
    "cluster_list", "ui/tick_news.js", "views/labels/cluster_list.js", style="views/labels/cluster_list.css"
)

_CLUSTERS = (
    "Similar surfaces were grouped over the whole dataset: a cluster is the same kind of surface in every image. "
    "★ marks the proposal, computed without truth. Percentages are shares of the area."
)
_REGIONS = "Each image is divided into regions of similar colour, numbered from dark to light."
_CLASSES = " *Add a class* tells several kinds of objects apart: choose a class, then tick what belongs to it."


def cluster_panel(
    clusters: Sequence[Cluster],
    *,
    key: str,
    group: str,
    clustering: str,
    classes: ClassChoice,
    tick: Callable[[dict[int, int]], None],
    propose: Callable[[], None],
    follows_proposal: bool,
) -> None:
    """Draw the clusters, or the regions of each image, which have no share.

    Args:
        group: the name of `mask_grid.Ticks`, with whose images the list is connected.
        clustering: the key of their numbering; ticks that arrive after it changed are ignored.
        tick: called with {ticked number: class} after each tick, before the page is redrawn.
        propose: called to reset the ticks to the proposal, or to the rule that chooses among regions.
        follows_proposal: whether the ticks are those of the proposal, or of the rule.
    """

    def changed() -> None:
        sent = st.session_state[key].get("ticks")
        if sent:
            tick({int(number): int(index) for number, index in sent["classes"]})

    share = ticked_share(clusters)
    regions = share is None
    st.markdown(
        f"**Which {'regions' if regions else 'clusters'} are foreground?**",
        help=(_REGIONS if regions else _CLUSTERS) + _CLASSES,
    )
    hint = "Tick here, or click into an image. A click on an image's name opens it."
    st.caption(f"The rule chooses until you tick some. {hint}" if regions and follows_proposal else hint)
    data = {
        "rows": [asdict(each) for each in clusters],
        "clustering": clustering,
        "classes": asdict(classes),
        "group": group,
    }
    _render(key=key, data=data, on_ticks_change=changed)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Reset to the rule" if regions else "Reset to the proposal",
            icon=":material/star:",
            key=f"{key}-propose",
            disabled=follows_proposal,
            on_click=propose,
        )
        st.button(
            "Untick all",
            key=f"{key}-none",
            type="tertiary",
            disabled=not any(cluster.ticked for cluster in clusters),
            on_click=tick,
            args=({},),
        )
        if share is not None:
            st.caption(f"Ticked: {share:.0%} of the area.", width="content")
