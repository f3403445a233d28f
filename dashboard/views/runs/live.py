"""A run while it trains: bar, numbers, curves and masks, which follow it by themselves."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.run_metrics import MetricHistory
from dashboard.server.resources import database
from dashboard.views.runs import live_component as live_run
from dashboard.views.runs import results as run_results
from dashboard.views.runs.curves import CHART_PX, Look, look_controls, shared_history
from dashboard.views.runs.facts import LiveStatus, RunHead
from dashboard.views.runs.live_facts import snapshot
from dashboard.views.runs.news import news


def run_live(head: RunHead, status: LiveStatus) -> None:
    """Draw a run that trains, or waits to."""
    with database().reading() as session:
        history = shared_history(session, head.id, status)
    top = st.container()  # drawn last, when it is known what the script has to draw for each epoch
    if history.by_epoch:
        page, alone = _results(head, status, history)
    else:
        st.info("Curves and masks appear here after the first epoch.", icon=":material/hourglass_top:")
        page, alone = _page(head, status, Look()), True
    with top:
        live_run.live_bar(head.id, page, snapshot(status), key=f"runs-live-{head.id}", script_draws_epochs=not alone)
        live_run.live_numbers(page, key=f"runs-head-{head.id}")
        run_results.hardware(status)


def _results(head: RunHead, status: LiveStatus, history: MetricHistory) -> tuple[live_run.Page, bool]:
    """Draw what there is after the first epoch; return the page, and whether it follows the epochs by itself."""
    st.subheader("Curves")
    page = _page(head, status, look_controls())
    live_run.live_curves(page, key=f"runs-curves-{head.id}", height_px=CHART_PX)
    table_open = run_results.epoch_table(head, history)
    following = run_results.masks_through_epochs(head, history, page)
    return page, following and not table_open


def _page(head: RunHead, status: LiveStatus, look: Look) -> live_run.Page:
    return live_run.Page(urls.run_news(head.id, look.log_scale, look.smoothing), news(head, status, look))
