"""Page: masks for new images from a trained network, to look at and to take home."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.import_form import ChosenSource, source_form
from dashboard.ui.uploader import forget_upload
from dashboard.views.predict import facts as vm
from dashboard.views.predict.options import prediction_options
from dashboard.views.predict.set_list import PAGE, prediction_list
from dashboard.views.predict.set_panel import prediction_set
from dashboard.views.predict.warm_worker import get_ready, start_prediction
from db import datasets, names, submissions
from db.models import Dataset, utc_now
from engine.core.run_parameters import PredictionParams

NEW, EXISTING = "New images", "An existing dataset"
RIVALS = 3
"""Networks that may predict beside the first: each takes as long as the first."""


def page() -> None:
    chosen = st.query_params.get("set")
    with resources.database().reading() as session:
        view = vm.set_view(session, chosen, utc_now(), resources.settings().lost_after_s)
    if chosen and view is None:
        st.warning("These predictions do not exist any more.")
    if view is None:
        start_page()
    else:
        prediction_set(view)


def start_page() -> None:
    st.title("Predict")
    st.caption("Let a trained network draw masks for images it has never seen, look at them, and take them home.")
    with resources.database().reading() as session:
        choices = vm.usable_runs(session, st.query_params.get("run", ""))
        training = vm.training_runs(session)
    if choices:
        with st.container(border=True):
            new_prediction({choice.id: choice for choice in choices})
    else:
        no_network(training)
    prediction_list()


def no_network(training: tuple[str, ...]) -> None:
    if training:
        status.empty_state(
            "No trained network yet",
            f"*{wording.escaped(training[0])}* is at work. It can predict once its training has ended, or was stopped "
            "after its first epoch.",
            button="Follow it",
            page="views/runs/page.py",
            icon=":material/hourglass_top:",
        )
    else:
        status.empty_state(
            "No trained network yet",
            "A network can predict once it has finished an epoch and its training has ended. Archived runs are left "
            "out here.",
            button="Train one",
            page="views/train/page.py",
            icon=":material/image_search:",
        )


def new_prediction(choices: dict[str, vm.RunChoice]) -> None:
    run, also = choose_networks(choices)
    for run_id in (run.id, *also):
        get_ready(run_id)
    what = st.segmented_control("Images", [NEW, EXISTING], default=NEW, required=True, key="predict-what")
    if what == NEW:
        predict_new(run, also)
    else:
        predict_existing(run, also)


def choose_networks(choices: dict[str, vm.RunChoice]) -> tuple[vm.RunChoice, list[str]]:
    asked = st.query_params.get("run")
    if asked and asked not in choices:
        st.warning("The network in the address cannot be used any more. Choose one of these.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run_id = st.selectbox(
            "Network",
            list(choices),
            index=list(choices).index(asked) if asked in choices else 0,
            format_func=lambda run_id: choices[run_id].title,
            key="predict-run",
            help="Runs that have ended and kept a model; the newest first. The best epoch is used.",
        )
        also = st.multiselect(
            "Compare with",
            [other for other in choices if other != run_id],
            format_func=lambda run_id: choices[run_id].title,
            max_selections=RIVALS,
            placeholder="No other network",
            key=f"predict-also-{run_id}",
            help="These networks predict the same images, so that their masks can be laid side by side.",
        )
    st.query_params["run"] = run_id
    run = choices[run_id]
    st.caption(f"Learned on *{wording.escaped(run.dataset_name)}*, best at epoch {run.best_epoch}.")
    return run, also


def predict_new(run: vm.RunChoice, also: list[str]) -> None:
    if rights.only_looking("Predicting"):
        return
    chosen = source_form(key="predict")
    if chosen is None:
        return
    with resources.database().reading() as session:
        proposal = names.free_name(session, Dataset, chosen.name or f"Images {utc_now():%Y-%m-%d}")
    place = st.container()  # the button stands right under the files, and needs nothing below it
    with st.expander("Name and how the masks are made", icon=":material/tune:"):
        name = st.text_input("Name for these images", proposal, key=f"predict-name-{chosen.source}", max_chars=200)
        how = prediction_options(run)
    # The network is part of the key: a press that arrives when that network was just deleted starts no other one
    words = f"Predict {wording.escaped(chosen.words)}"
    if place.button(words, type="primary", icon=":material/play_arrow:", key=f"predict-new-{run.id}"):
        submit_new(run, name, chosen, how, also)


def submit_new(run: vm.RunChoice, name: str, chosen: ChosenSource, how: PredictionParams, also: list[str]) -> None:
    try:
        with resources.database().writing() as session:
            made, job = submissions.submit_predict_new(
                session, run.id, name, chosen.source, how.flips, how.refine, also
            )
    except (names.NameTaken, submissions.NotReady) as error:
        st.error(wording.escaped(str(error)))
        return
    forget_upload("predict")
    show(job.id, made.id, also)


def predict_existing(run: vm.RunChoice, also: list[str]) -> None:
    if rights.only_looking("Predicting"):
        return
    with resources.database().reading() as session:
        targets = vm.targets(session, run.id)
    by_id = {target.id: target for target in targets}
    dataset_id = st.selectbox(
        "Dataset",
        list(by_id),
        format_func=lambda target_id: f"{by_id[target_id].name} ({wording.count(by_id[target_id].images, 'image')})",
        key="predict-dataset",
    )
    if dataset_id is None:
        st.info("There is no dataset with images.")
        return
    if by_id[dataset_id].own:
        st.caption(
            "The network learned on this dataset: scores on its training images flatter it. See the gallery too."
        )
    how = prediction_options(run)
    if st.button("Predict", type="primary", icon=":material/play_arrow:", key=f"predict-existing-{run.id}"):
        try:
            with resources.database().writing() as session:
                datasets.refuse_if_busy(session, dataset_id)
                made, job = submissions.submit_predict(
                    session, run.id, dataset_id, how.flips, refine=how.refine, also=also
                )
        except (submissions.NotReady, datasets.InUse) as error:
            st.error(wording.escaped(str(error)))
            return
        show(job.id, made.id, also)


def show(job_id: str, set_id: str, also: list[str]) -> None:
    """See that a worker looks at a new prediction, and show it."""
    start_prediction(job_id)
    st.switch_page(PAGE, query_params={"set": set_id} | ({"against": also[0]} if also else {}))


page()
