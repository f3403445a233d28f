"""Page: the steps from images to results with the next one, active jobs, recent runs, and the machine."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import ago, count, escaped, score, size
from dashboard.server import resources
from dashboard.ui import status
from dashboard.views.home.facts import SAMPLE_NAME, HomeView, home_view
from dashboard.views.home.machine_facts import Machine, machine
from db import names, submissions
from db.columns import utc_now
from db.models import Dataset

POLL_S = 2.0
MACHINE_POLL_S, DISK_USE_POLL_S = 10.0, 1.0


def read() -> HomeView:
    with resources.database().reading() as session:
        return home_view(session, utc_now(), resources.settings().lost_after_s)


def import_sample() -> None:
    with resources.database().writing() as session:
        name = names.free_name(session, Dataset, SAMPLE_NAME)
        dataset, job = submissions.submit_import(session, name, {"kind": "sample"})
    resources.launcher().submit(job.id)
    st.switch_page("views/datasets/page.py", query_params={"dataset": dataset.id})


def start_here() -> None:
    """Draw the first steps on an empty installation."""
    with st.container(border=True, key="start-here"):
        st.markdown("### Start here")
        st.markdown(
            "Import a folder of images, with or without masks. Or try the **sample set** first: about 60 synthetic "
            "scenes with truth masks, ready in seconds."
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


def path(view: HomeView) -> None:
    """Draw the four steps with their counts."""
    images = f"{count(view.datasets, 'dataset')}, {count(view.images, 'image')}"
    labels = f"{count(view.label_sets, 'mask set')}, {count(view.labelled_images, 'mask')}"
    trained = f"{count(view.runs, 'run')}, {count(view.runs_with_model, 'model')}"
    results = count(view.prediction_sets, "set of predictions", "sets of predictions")
    steps = [
        ("images", "Images", ":material/photo_library:", images if view.datasets else "no images yet"),
        ("labels", "Masks", ":material/auto_fix_high:", labels if view.label_sets else "no mask sets yet"),
        ("train", "Train", ":material/model_training:", trained if view.runs else "no runs yet"),
        ("results", "Results", ":material/grid_view:", results if view.prediction_sets else "no predictions yet"),
    ]
    words = {
        "images": ("Import a folder, files or a zip.", "views/datasets/page.py", "Open Datasets"),
        "labels": ("Let a method compute masks.", "views/labels/page.py", "Open Masks"),
        "train": ("Train a U-Net on those masks.", "views/train/page.py", "Open Train"),
        "results": ("View the masks, compare runs, predict.", "views/gallery/page.py", "Open Gallery"),
    }
    for number, (column, (step, title, icon, state)) in enumerate(zip(st.columns(4), steps, strict=True), start=1):
        what, page, link = words[step]
        with column:
            is_next = step == view.next_step and not view.empty
            step_card(number, title, icon, state, what, page, link, is_next=is_next)


def at_work(first: HomeView) -> None:
    """Follow the active jobs; rerun the page when one ends, because the counts change."""
    ids = {work.job.id for work in first.work}

    @st.fragment(run_every=POLL_S)
    def live() -> None:
        now = read()
        if {work.job.id for work in now.work} != ids:
            st.rerun()
        for work in now.work:
            left, right = st.columns([5, 1], vertical_alignment="center")
            with left:
                st.markdown(f"{status.badge_text(work.job.status)} {work.what}: **{escaped(work.name)}**")
                if work.job.status in ("running", "stopping"):
                    status.progress(work.job)
            right.page_link(work.page, label="Open", icon=":material/arrow_forward:", query_params=work.query)

    if ids:
        st.subheader("Active jobs")
        live()


def recent_runs(view: HomeView) -> None:
    if not view.recent:
        return
    st.subheader("Recent runs")
    now = utc_now()
    for run in view.recent:
        name, on, state, dice, when = st.columns([4, 3, 2, 3, 2], vertical_alignment="center")
        name.page_link(
            "views/runs/page.py",
            label=escaped(run.name),
            icon=":material/monitoring:",
            query_params={"run": run.id},
        )
        on.markdown(f"on {escaped(run.dataset)}")
        state.markdown(status.badge_text(run.status))
        measured = "soft Dice vs truth" if run.dice_against == "truth" else "agreement with the pseudo-label"
        note = escaped(f" · {run.weights}") if run.weights else ""
        known = run.best_dice is not None
        dice.markdown(f"**{score(run.best_dice)}** validation {measured}{note}" if known else "–")
        when.caption(ago(run.created_at, now))


def read_machine() -> Machine:
    with resources.database().reading() as session:
        return machine(session, resources.settings(), resources.disk_watch().latest(), utc_now())


def machine_panel(first: Machine) -> None:
    """Draw disk, memory, queue and workers, and update them from time to time."""
    st.subheader("This machine")
    st.fragment(draw_machine, run_every=DISK_USE_POLL_S if first.use is None else MACHINE_POLL_S)(first.use is None)


def draw_machine(was_computing: bool) -> None:
    now = read_machine()
    if was_computing and now.use is not None:
        st.rerun()  # with the longer interval
    disk, memory, queue, workers = st.columns(4)
    disk.metric("Disk free", size(now.free_bytes), help=f"Of {size(now.disk_bytes)}. {now.used}")
    total = f"Of {size(now.memory_bytes)}. What a new job could use at the moment."
    memory.metric("Memory free", size(now.free_memory_bytes), help=total)
    queue.metric("Jobs waiting", f"{now.waiting:,}", help="They start in order when a worker is free.")
    workers.metric(
        "Workers busy",
        f"{now.running} of {now.most_workers}",
        help=f"At most {count(now.most_workers, 'job')} run at the same time (MAX_WORKERS), on "
        f"{count(now.cores, 'processor core')}.",
    )
    if now.lost:
        jobs = count(now.lost, "job has", "jobs have")
        st.warning(f"{jobs} lost the worker. Open the job and put it back in the queue.")
    st.caption(now.used)
    st.caption(now.versions)


view = read()
st.title("Maskloom")
st.caption("From a folder of unlabelled images to a trained U-Net and its masks, on this machine.")
now = read_machine()
if now.warning:
    st.warning(now.warning, icon=":material/hard_drive:")
if view.empty:
    start_here()
path(view)
at_work(view)
recent_runs(view)
st.space("medium")
machine_panel(now)
