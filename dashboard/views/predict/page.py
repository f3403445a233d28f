"""Page: predict. Masks of new images by a trained network, to inspect and to download."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.server.retrainings import preferred
from dashboard.ui import status
from dashboard.ui.import_form import source_form
from dashboard.ui.paging import first_page
from dashboard.ui.uploader import forget_upload
from dashboard.views.predict import facts
from dashboard.views.predict.facts import RunChoice, SetView
from dashboard.views.predict.set_panel import PAGE, REFINE, confirm_deletion, prediction_set
from dashboard.views.predict.start import load_network, predict_dataset, start_prediction
from db import datasets, submissions
from db.columns import utc_now
from engine.core.run_parameters import PredictionParams

NEW, EXISTING = "New images", "An existing dataset"
MOST_RIVALS = 3
"""Networks that may predict the same images in one job: each takes as long as the first."""


def page() -> None:
    chosen = st.query_params.get("set")
    with resources.database().reading() as session:
        view = facts.set_view(session, chosen, utc_now(), resources.settings().lost_after_s)
    if chosen and view is None:
        st.warning("These predictions no longer exist.")
    if view is None:
        start_page()
    else:
        prediction_set(view)


def start_page() -> None:
    st.title("Predict")
    st.caption("Compute masks of new images with a trained network, inspect them, and download them.")
    with resources.database().reading() as session:
        choices = facts.usable_runs(session, st.query_params.get("run", ""))
        training = facts.training_runs(session)
    if choices:
        with st.container(border=True):
            new_prediction({choice.id: choice for choice in choices})
    else:
        no_network(training)
    earlier_predictions()


def no_network(training: tuple[str, ...]) -> None:
    if training:
        status.empty_state(
            "No trained network yet",
            f"*{wording.escaped(training[0])}* is training. It can predict once its training has ended, or was stopped "
            "after its first epoch.",
            button="Follow it",
            page="views/runs/page.py",
            icon=":material/hourglass_top:",
        )
    else:
        status.empty_state(
            "No trained network yet",
            "A network can predict once it has finished an epoch and its training has ended. Archived runs are not "
            "listed here.",
            button="Train one",
            page="views/train/page.py",
            icon=":material/image_search:",
        )


def new_prediction(choices: dict[str, RunChoice]) -> None:
    run = choose_network(choices)
    load_network(run.id)
    if rights.only_looking("Predicting"):
        return
    what = st.segmented_control("Images", [NEW, EXISTING], default=NEW, required=True, key="predict-what")
    # The button is right below the images, because nothing below it is required.
    images, start, options = st.container(), st.container(), st.container()
    if what == NEW:
        predict_new(run, choices, images, start, options)
    else:
        predict_existing(run, choices, images, start, options)


def choose_network(choices: dict[str, RunChoice]) -> RunChoice:
    wanted = st.query_params.get("run")
    if wanted and wanted not in choices:
        st.warning("The network in the address can no longer be used. Choose one of these.")
    newest = next(iter(choices))
    older = preferred(newest)
    usual = older.old_id if older and older.old_id in choices else newest
    run_id = st.selectbox(
        "Network",
        list(choices),
        index=list(choices).index(wanted if wanted in choices else usual),
        format_func=lambda run_id: choices[run_id].title,
        key="predict-run",
        help="Runs that have ended and have a model, newest first. The model of the best epoch is used.",
    )
    st.query_params["run"] = run_id
    run = choices[run_id]
    st.caption(f"Trained on *{wording.escaped(run.dataset_name)}*, best at epoch {run.best_epoch}.")
    if older and run_id == older.old_id:
        new, reason = wording.escaped(older.new_name), wording.escaped(older.reason)
        st.caption(f"*{new}* was trained again from it, and this one is preferred: {reason}.")
    return run


def predict_new(
    run: RunChoice,
    choices: dict[str, RunChoice],
    images: DeltaGenerator,
    start: DeltaGenerator,
    options: DeltaGenerator,
) -> None:
    with images:
        chosen = source_form(key="predict", options=options)
    if chosen is None:
        return
    with resources.database().reading() as session:
        proposal = facts.proposed_name(session, chosen.name, chosen.files)
    with options, st.expander("Name and options", icon=":material/tune:"):
        name = st.text_input("Name for these images", proposal, key=f"predict-name-{chosen.place}", max_chars=200)
        also = choose_rivals(run, choices)
        how = prediction_options(run)
    # The key contains the run, so that a click that arrives after its deletion starts no other network.
    words = f"Predict {wording.escaped(chosen.words)}"
    if start.button(words, type="primary", icon=":material/play_arrow:", key=f"predict-new-{run.id}"):
        source = chosen.source
        resources.hand_over(source)
        set_id = start_prediction(
            lambda session: submissions.submit_predict_new(session, run.id, name, source, how.flips, how.refine, also)
        )
        if set_id is not None:
            forget_upload("predict")
            open_set(set_id, also)


def predict_existing(
    run: RunChoice,
    choices: dict[str, RunChoice],
    images: DeltaGenerator,
    start: DeltaGenerator,
    options: DeltaGenerator,
) -> None:
    with resources.database().reading() as session:
        targets = {dataset.id: dataset for dataset in facts.targets(session, run.dataset_id)}
    with images:
        dataset_id = st.selectbox(
            "Dataset",
            list(targets),
            format_func=lambda id_: f"{targets[id_].name} ({wording.count(targets[id_].image_count, 'image')})",
            key="predict-dataset",
        )
        if dataset_id is None:
            st.info("There is no dataset with images.")
            return
        if dataset_id == run.dataset_id:
            st.caption("The network was trained on this dataset: scores on its training images are too high.")
    with options, st.expander("Options", icon=":material/tune:"):
        also = choose_rivals(run, choices)
        how = prediction_options(run)
    if start.button("Predict", type="primary", icon=":material/play_arrow:", key=f"predict-existing-{run.id}"):
        set_id = start_prediction(
            lambda session: predict_dataset(session, run.id, dataset_id, how.flips, how.refine, also)
        )
        if set_id is not None:
            open_set(set_id, also)


def choose_rivals(run: RunChoice, choices: dict[str, RunChoice]) -> list[str]:
    """Draw the choice of networks to predict the same images with; return their ids."""
    also: list[str] = st.multiselect(
        "Compare with",
        [other for other in choices if other != run.id],
        format_func=lambda run_id: choices[run_id].title,
        max_selections=MOST_RIVALS,
        placeholder="No other network",
        key=f"predict-also-{run.id}",
        help="These networks predict the same images, so that you can compare their masks.",
    )
    for run_id in also:
        load_network(run_id)
    return also


def prediction_options(run: RunChoice) -> PredictionParams:
    """Draw how masks are computed; the defaults are what the run uses for its own images."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        flips = st.toggle(
            "Average over flips",
            run.prediction.flips,
            key=f"predict-flips-{run.id}",
            help="Predicts each image and its three mirror images, and averages: often a little better, four times as "
            "slow.",
        )
        refine = st.segmented_control(
            "Refine at edges",
            list(REFINE),
            default=run.prediction.refine,
            required=True,
            format_func=REFINE.__getitem__,
            key=f"predict-refine-{run.id}",
            help="Aligns the outlines of the masks with the edges of the image. GrabCut also separates object and "
            "background by colour, which is slower and suits few, clear objects.",
        )
    return PredictionParams(flips=flips, refine=refine)


def open_set(set_id: str, also: list[str]) -> None:
    st.switch_page(PAGE, query_params={"set": set_id} | ({"against": also[0]} if also else {}))


def earlier_predictions() -> None:
    """Draw one row for each prediction set, and for uploaded images whose run was deleted."""
    with resources.database().reading() as session:
        earlier = facts.earlier(session, utc_now(), resources.settings().lost_after_s)
        left_over = facts.uploads_without_predictions(session)
    if earlier or left_over:
        st.markdown("## Earlier predictions")
    with st.container(gap="xxsmall"):
        for view in earlier:
            set_row(view)
        for dataset in left_over:
            with st.container(horizontal=True, vertical_alignment="center", key=f"left-{dataset.id}"):
                words = f"{wording.count(dataset.image_count, 'image')} without predictions: the run was deleted"
                st.markdown(f"**{wording.escaped(dataset.name)}** :small[{words}]", width="stretch")
                if rights.button("Delete images", icon=":material/delete:", key=f"delete-images-{dataset.id}"):
                    delete_images(dataset.id)


def set_row(view: SetView) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"earlier-{view.id}"):
        state = view.job.status if view.job else "finished"
        badge, done = "", wording.count(view.predicted, "image")
        if state != "finished":
            badge = status.badge_text(state)
            done = f"{view.predicted:,} of {view.images:,} images" if view.images else done
        parts = [done, f"by {wording.escaped(view.run_name)}", wording.ago(view.created_at, utc_now())]
        name, icon = f"**{wording.escaped(view.dataset_name)}**", ":material/image_search:"
        if st.button(name, icon=icon, key=f"open-{view.id}", type="tertiary", on_click=first_page):
            st.switch_page(PAGE, query_params={"set": view.id})
        st.caption(f"{' · '.join(parts)} {badge}", width="stretch")
        if rights.button("Delete", icon=":material/delete:", key=f"delete-{view.id}", type="tertiary"):
            confirm_deletion(view)


def delete_images(dataset_id: str) -> None:
    try:
        with resources.database().writing() as session:
            deleted = datasets.delete_dataset(session, dataset_id)
    except datasets.InUse as error:
        st.error(wording.escaped(str(error)))
        return
    resources.remove_files(deleted)
    st.rerun()


page()
