"""Page: the steps from images to predictions with the next one, active jobs, recent runs, and the machine."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import ago, count, escaped, score, size
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.new_dataset import import_sample, new_dataset
from dashboard.views.home.facts import HomeView, RecentRun, Step, home_view
from dashboard.views.home.joined_facts import JoinedMachine, Requested, joined_machines, requested
from dashboard.views.home.machine_facts import Machine, machine
from db import workers
from db.columns import utc_now

STEPS: dict[Step, tuple[str, str, str]] = {
    "images": ("Your photographs, or a zip of them.", "views/datasets/page.py", "Open Datasets"),
    "labels": ("A method proposes masks.", "views/labels/page.py", "Make masks"),
    "train": ("A U-Net learns from the masks.", "views/train/page.py", "Train"),
    "results": ("See how good its masks are.", "views/gallery/page.py", "View results"),
    "predict": ("Masks of new images.", "views/predict/page.py", "Open Predict"),
}
"""What each step is, the page for it, and the button that opens it."""

POLL_S = 2.0
MACHINE_POLL_S, DISK_USE_POLL_S = 10.0, 1.0


def read() -> HomeView:
    with resources.database().reading() as session:
        return home_view(session, utc_now(), resources.settings().lost_after_s)


def start_here() -> None:
    """Draw the first step on an empty installation: images, or the sample set."""
    with st.container(border=True, key="start-here"):
        st.markdown("## Import your images")
        new_dataset(sample=False)
        with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
            st.caption("No images at hand? 60 synthetic scenes with truth masks are ready in seconds.", width="content")
            if rights.button("Try the sample set", icon=":material/auto_awesome:", key="home-sample"):
                import_sample()


def step_card(number: int, title: str, icon: str, state: str, step: Step, *, is_next: bool, empty: bool) -> None:
    what, page, link = STEPS[step]
    with st.container(border=True, height="stretch", key=f"home-step-{number}", gap="small"):
        st.markdown(f"**{icon} {number}. {title}**  \n:small[{what}]")
        if empty:
            return
        with st.container(height="stretch", vertical_alignment="bottom", gap="xsmall"):
            st.markdown(state)
            if st.button(link, key=f"home-go-{number}", type="primary" if is_next else "secondary", width="stretch"):
                st.switch_page(page, query_params={})


def path(view: HomeView) -> None:
    """Draw the steps with their counts; the next one is the primary button."""
    images = f"{count(view.datasets, 'dataset')}, {count(view.images, 'image')}"
    labels = f"{count(view.label_sets, 'mask set')}, {count(view.labelled_images, 'mask')}"
    predictions = count(view.predictions, "prediction")
    steps: list[tuple[Step, str, str, str]] = [
        ("images", "Images", ":material/photo_library:", images if view.datasets else "none yet"),
        ("labels", "Masks", ":material/auto_fix_high:", labels if view.label_sets else "none yet"),
        ("train", "Train", ":material/model_training:", count(view.runs, "run") if view.runs else "none yet"),
        ("results", "Results", ":material/grid_view:", count(view.runs_with_model, "trained network")),
        ("predict", "Predict", ":material/image_search:", predictions if view.predictions else "none yet"),
    ]
    for number, (column, (step, title, icon, state)) in enumerate(zip(st.columns(5), steps, strict=True), start=1):
        with column:
            step_card(number, title, icon, state, step, is_next=step == view.next_step, empty=view.empty)


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
                if work.waits:
                    st.caption(escaped(work.waits))
            right.page_link(work.page, label="Open", icon=":material/arrow_forward:", query_params=work.query)

    if ids:
        st.markdown("## Active jobs")
        live()


def joined_panel() -> None:
    """Draw the machines that joined, with what each does now, and what is requested; nothing where there is none."""

    @st.fragment(run_every=MACHINE_POLL_S)
    def live() -> None:
        for each in read_joined():
            draw_joined(each)
        asked = read_requested()
        if asked.words:
            st.caption(f":material/hourglass_empty: {asked.words}")
        if asked.failed:
            st.warning(escaped(asked.failed), icon=":material/cloud_off:")

    if read_joined() or read_requested() != Requested("", ""):
        st.markdown("## Machines that joined")
        live()


def read_joined() -> tuple[JoinedMachine, ...]:
    now, lost_after_s = utc_now(), resources.settings().lost_after_s
    with resources.database().reading() as session:
        return joined_machines(session, now, lost_after_s)


def read_requested() -> Requested:
    with resources.database().reading() as session:
        return requested(session, utc_now())


def draw_joined(joined: JoinedMachine) -> None:
    name, does, act = st.columns([5, 6, 1.6], vertical_alignment="center")
    name.markdown(f":material/dns: **{escaped(joined.name)}**  \n:small[{escaped(joined.has)}]")
    if not joined.silent:
        does.markdown(escaped(joined.does))
        return
    does.markdown(f":red-badge[:material/link_off: Silent] for {joined.silent}")
    why = "Take it off this list. If it comes back, it joins again."
    if rights.button("Forget", place=act, key=f"home-forget-{joined.id}", help=why, width="stretch"):
        with resources.database().writing() as session:
            workers.forget(session, joined.id)
        st.rerun()


def recent_runs(view: HomeView) -> None:
    if not view.recent:
        return
    st.markdown("## Recent runs")
    now = utc_now()
    with st.container(gap="xxsmall"):
        for run in view.recent:
            draw_run(run, now)


def draw_run(run: RecentRun, now: datetime) -> None:
    name, score_place, when = st.columns([5, 7, 1.4], vertical_alignment="center")
    badge = "" if run.status == "finished" else f"{status.badge_text(run.status)} "  # the link would cut it off
    name.page_link(
        "views/runs/page.py",
        label=f"**{escaped(run.name)}** :small[on {escaped(run.dataset)}]",
        icon=":material/monitoring:",
        query_params={"run": run.id},
    )
    measured = "soft Dice vs truth" if run.dice_against == "truth" else "agreement with the pseudo-label (soft Dice)"
    note = escaped(f" · {run.weights}") if run.weights else ""
    known = run.best_dice is not None
    words = f"**{score(run.best_dice)}** :small[validation {measured}{note}]" if known else "–"
    score_place.markdown(badge + words, help=escaped(run.weights_origin) or None)
    when.caption(ago(run.created_at, now))


def read_machine() -> Machine:
    with resources.database().reading() as session:
        return machine(session, resources.settings(), resources.disk_watch().latest(), utc_now())


def machine_panel(first: Machine) -> None:
    """Draw disk, memory, queue and workers, and update them from time to time."""
    st.markdown("## This machine")
    st.fragment(draw_machine, run_every=DISK_USE_POLL_S if first.use is None else MACHINE_POLL_S)(first.use is None)


def draw_machine(was_computing: bool) -> None:
    now = read_machine()
    if was_computing and now.use is not None:
        st.rerun()  # with the longer interval
    disk, memory, work = st.columns(3)
    disk.metric("Disk free", size(now.free_bytes), help=f"Of {size(now.disk_bytes)}. {now.used}")
    total = f"Of {size(now.memory_bytes)}. What a new job could use at the moment."
    memory.metric("Memory free", size(now.free_memory_bytes), help=total)
    work.metric("Jobs", now.work, help=now.work_help)
    if now.lost:
        jobs = count(now.lost, "job has", "jobs have")
        st.warning(f"{jobs} lost the worker. Open the job and put it back in the queue.")
    st.caption(f"{now.used}  \n{now.versions}")


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
joined_panel()
machine_panel(now)
