"""Page: what Maskloom does, how far one is, and what to do next."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui import status
from dashboard.views.home import facts as viewmodel
from dashboard.views.home import machine_panel
from db import names, submissions
from db.models import Dataset, utc_now

POLL_S = 2.0


def read() -> viewmodel.HomeView:
    with resources.database().reading() as session:
        return viewmodel.home_view(session, utc_now(), resources.settings().lost_after_s)


def import_sample() -> None:
    with resources.database().writing() as session:
        name = names.free_name(session, Dataset, viewmodel.SAMPLE_NAME)
        dataset, job = submissions.submit_import(session, name, {"kind": "sample"})
    resources.launcher().submit(job.id)
    st.switch_page("views/datasets/page.py", query_params={"dataset": dataset.id})


def start_here() -> None:
    """Say what to do first on an empty installation."""
    with st.container(border=True, key="start-here"):
        st.markdown("### Start here")
        st.markdown(
            "Bring a folder of images, with or without masks. Or look around first with the **sample set**: about 60 "
            "drawn scenes with truth masks, ready in seconds."
        )
        with st.container(horizontal=True):
            if rights.button("Try the sample set", type="primary", icon=":material/auto_awesome:", key="home-sample"):
                import_sample()
            if st.button("Import my images", icon=":material/upload:", key="home-import"):
                st.switch_page("views/datasets/page.py", query_params={})


def step_card(
    number: int, title: str, icon: str, state: str, what: str, page: str, link: str, *, is_next: bool
) -> None:
    with st.container(border=True, height="stretch", key=f"home-step-{number}"):
        here = " :green-badge[Next]" if is_next else ""
        st.markdown(f"#### {icon} {number}. {title}{here}")
        st.markdown(what)
        with st.container(height="stretch", vertical_alignment="bottom", gap="xsmall"):
            st.markdown(f"**{state}**")
            if st.button(link, key=f"home-go-{number}", type="primary" if is_next else "secondary", width="stretch"):
                st.switch_page(page, query_params={})


def path(view: viewmodel.HomeView) -> None:
    """Draw the four steps with where each stands."""
    images = f"{wording.count(view.datasets, 'dataset')}, {wording.count(view.images, 'image')}"
    labels = f"{wording.count(view.label_sets, 'label set')}, {wording.count(view.labelled_images, 'mask')}"
    trained = f"{wording.count(view.runs, 'run')}, {wording.count(view.runs_with_model, 'model')}"
    results = wording.count(view.prediction_sets, "set of predictions", "sets of predictions")
    steps = [
        ("images", "Images", ":material/photo_library:", images if view.datasets else "no images yet"),
        ("labels", "Labels", ":material/auto_fix_high:", labels if view.label_sets else "no label sets yet"),
        ("train", "Train", ":material/model_training:", trained if view.runs else "no runs yet"),
        (
            "results",
            "Results",
            ":material/grid_view:",
            results if view.prediction_sets else "no predictions yet",
        ),
    ]
    words = {
        "images": ("Bring a folder, files or a zip.", "views/datasets/page.py", "Open Datasets"),
        "labels": ("Let a method draw masks.", "views/labels/page.py", "Open Labels"),
        "train": ("Teach a U-Net from those masks.", "views/train/page.py", "Open Train"),
        "results": ("See what worked, compare, predict.", "views/gallery/page.py", "Open Gallery"),
    }
    for number, (column, (step, title, icon, state)) in enumerate(zip(st.columns(4), steps, strict=True), start=1):
        what, page, link = words[step]
        with column:
            is_next = step == view.next_step and not view.empty
            step_card(number, title, icon, state, what, page, link, is_next=is_next)


def at_work(first: viewmodel.HomeView) -> None:
    """Follow what is being worked on; rerun the page once when something ends, because the counts change then."""
    ids = {work.job.id for work in first.work}

    @st.fragment(run_every=POLL_S)
    def live() -> None:
        now = read()
        if {work.job.id for work in now.work} != ids:
            st.rerun()
        for work in now.work:
            left, right = st.columns([5, 1], vertical_alignment="center")
            with left:
                st.markdown(f"{status.badge_text(work.job.status)} {work.what}: **{wording.escaped(work.name)}**")
                if work.job.status in ("running", "stopping"):
                    status.progress(work.job)
            right.page_link(work.page, label="Follow", icon=":material/arrow_forward:", query_params=work.query)

    if ids:
        st.subheader("At work")
        live()


def recent_runs(view: viewmodel.HomeView) -> None:
    if not view.recent:
        return
    st.subheader("Recent runs")
    now = utc_now()
    for run in view.recent:
        name, on, state, dice, when = st.columns([4, 3, 2, 3, 2], vertical_alignment="center")
        name.page_link(
            "views/runs/page.py",
            label=wording.escaped(run.name),
            icon=":material/monitoring:",
            query_params={"run": run.id},
        )
        on.markdown(f"on {wording.escaped(run.dataset)}")
        state.markdown(status.badge_text(run.status))
        measured = "Dice vs truth" if run.dice_against == "truth" else "agreement with the pseudo-label"
        note = wording.escaped(f" · {run.weights}") if run.weights else ""
        known = run.best_dice is not None
        dice.markdown(f"**{wording.score(run.best_dice)}** validation {measured}{note}" if known else "–")
        when.caption(wording.ago(run.created_at, now))


view = read()
st.title("Maskloom")
st.caption("From a folder of unlabelled images to a trained U-Net and its masks, on this machine.")
now = machine_panel.read()
machine_panel.warning(now)
if view.empty:
    start_here()
path(view)
at_work(view)
recent_runs(view)
st.space("medium")
machine_panel.panel(now)
