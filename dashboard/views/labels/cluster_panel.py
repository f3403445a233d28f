"""The clusters of a dataset: typical patches, share, a star where proposed as foreground, and a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import streamlit as st

from dashboard.ui.web import component
from dashboard.views.labels.cluster_facts import Cluster, ticked_share

_render = component("cluster_list", "views/labels/cluster_list.js", style="views/labels/cluster_list.css")


def cluster_panel(
    clusters: Sequence[Cluster],
    *,
    key: str,
    clustering: str,
    tick: Callable[[list[int]], None],
    propose: Callable[[], None],
    follows_proposal: bool,
) -> None:
    """Draw the clusters.

    Args:
        clustering: the key of their numbering; ticks that arrive after it changed are ignored.
        tick: called with the ticked numbers after each tick, before the page is redrawn.
        propose: called to reset the ticks to the proposal.
        follows_proposal: whether the ticks are those of the proposal.
    """

    def changed() -> None:
        sent = st.session_state[key].get("ticks")
        if sent:
            tick([int(number) for number in sent["numbers"]])

    st.markdown(
        "**Which clusters are foreground?**",
        help="Similar surfaces were grouped over the whole dataset: a cluster is the same kind of surface in every "
        "image. ★ marks the proposal, computed without truth. Percentages are shares of the area.",
    )
    data = {"rows": [asdict(cluster) for cluster in clusters], "clustering": clustering}
    _render(key=key, data=data, on_ticks_change=changed)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Reset to the proposal",
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
            args=([],),
        )
        st.caption(f"Ticked: {ticked_share(clusters):.0%} of the area.", width="content")
