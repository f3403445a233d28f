"""Page: masks for new images from a trained network, to look at and to take home."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import streamlit as st

from dashboard import resources, wording
from dashboard.components import status
from dashboard.components.confirm import deletion_buttons
from dashboard.components.downloads import downloads
from dashboard.components.file_report import file_report
from dashboard.components.import_form import ChosenSource, source_form
from dashboard.components.job_panel import job_panel
from dashboard.components.mask_grid import Mode, Tile, mask_grid
from dashboard.components.paging import first_page, page_numbers
from dashboard.components.prediction_options import REFINE_WORDS, prediction_options
from dashboard.components.uploader import forget_upload
from dashboard.components.viewer import Pane, viewer
from dashboard.viewmodels import predict as vm
from dashboard.viewmodels.jobs import JobView
from db import datasets, names, runs, submissions
from db.models import Dataset, utc_now
from engine import artifacts as stored
from engine import imaging, metrics
from engine.run_parameters import PredictionParams

PAGE = "views/predict.py"
NEW, EXISTING = "New images", "An existing dataset"
MODES: dict[str, Mode] = {
    "Fill": "fill",
    "Outline": "outline",
    "Probability": "probability",
    "Side by side": "side by side",
}
UNCERTAINTY = "Uncertainty"
MODES_BY_UNCERTAINTY: dict[str, Mode] = {UNCERTAINTY: "probability"}
MODES_BY_TRUTH: dict[str, Mode] = {"Errors vs truth": "errors"}


def page() -> None:
    chosen = st.query_params.get("set")
    with resources.database().reading() as session:
        view = vm.set_view(session, chosen, utc_now(), resources.settings().lost_after_s)
    if chosen and view is None:
        st.warning("These predictions do not exist any more.")
    if view is None:
        start_page()
    else:
        detail_page(view)


def start_page() -> None:
    st.title("Predict")
    st.caption("Let a trained network draw masks for images it has never seen, look at them, and take them home.")
    with resources.database().reading() as session:
        choices = vm.usable_runs(session)
        earlier = vm.earlier(session, utc_now(), resources.settings().lost_after_s)
        left_over = vm.uploads_without_predictions(session)
    if choices:
        with st.container(border=True):
            new_prediction(choices)
    else:
        status.empty_state(
            "No trained network yet",
            "A network can predict once it has finished an epoch and its training has ended.",
            button="Train one",
            page="views/train.py",
            icon=":material/image_search:",
        )
    if earlier or left_over:
        st.subheader("Earlier predictions")
    for entry in earlier:
        earlier_row(entry)
    for target in left_over:
        left_over_row(target)


def new_prediction(choices: tuple[vm.RunChoice, ...]) -> None:
    by_id = {choice.id: choice for choice in choices}
    asked = st.query_params.get("run")
    run_id = st.selectbox(
        "Network",
        list(by_id),
        index=list(by_id).index(asked) if asked in by_id else 0,
        format_func=lambda run_id: by_id[run_id].title,
        key="predict-run",
        help="Runs that have ended and kept a model; the newest first. The best epoch is used.",
    )
    st.query_params["run"] = run_id
    st.caption(f"Learned on *{wording.escaped(by_id[run_id].dataset_name)}*, best at epoch {by_id[run_id].best_epoch}.")
    what = st.segmented_control("Images", [NEW, EXISTING], default=NEW, required=True, key="predict-what")
    if what == NEW:
        predict_new(by_id[run_id])
    else:
        predict_existing(by_id[run_id])


def predict_new(run: vm.RunChoice) -> None:
    chosen = source_form(key="predict")
    if chosen is None:
        return
    with resources.database().reading() as session:
        proposal = names.free_name(session, Dataset, chosen.name or f"Images {utc_now():%Y-%m-%d}")
    name = st.text_input("Name for these images", proposal, key=f"predict-name-{chosen.source}", max_chars=200)
    how = prediction_options(run)
    if st.button(
        f"Predict {wording.escaped(chosen.words)}", type="primary", icon=":material/play_arrow:", key="predict-new"
    ):
        submit_new(run, name, chosen, how)


def submit_new(run: vm.RunChoice, name: str, chosen: ChosenSource, how: PredictionParams) -> None:
    try:
        with resources.database().writing() as session:
            made, job = submissions.submit_predict_new(session, run.id, name, chosen.source, how.flips, how.refine)
    except (names.NameTaken, submissions.NotReady) as error:
        st.error(wording.escaped(str(error)))
        return
    forget_upload("predict")
    start(job.id, made.id)


def predict_existing(run: vm.RunChoice) -> None:
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
    if st.button("Predict", type="primary", icon=":material/play_arrow:", key="predict-existing"):
        try:
            with resources.database().writing() as session:
                datasets.refuse_if_busy(session, dataset_id)
                made, job = submissions.submit_predict(session, run.id, dataset_id, how.flips, refine=how.refine)
        except (submissions.NotReady, datasets.InUse) as error:
            st.error(wording.escaped(str(error)))
            return
        start(job.id, made.id)


def start(job_id: str, set_id: str) -> None:
    """See that a worker looks at a new prediction, and show it."""
    resources.launcher().submit(job_id)
    st.switch_page(PAGE, query_params={"set": set_id})


def earlier_row(entry: vm.Earlier) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"earlier-{entry.id}"):
        badge = "" if entry.status == "finished" else status.badge_text(entry.status)
        unfinished = entry.status != "finished" and entry.images
        words = f"{entry.predicted:,} of {entry.images:,} images" if unfinished else None
        parts = [words or wording.count(entry.predicted, "image"), f"by {wording.escaped(entry.run_name)}"]
        parts.append(wording.ago(entry.created_at, utc_now()))
        st.markdown(
            f"**{wording.escaped(entry.dataset_name)}** {badge}  \n:small[{' · '.join(parts)}]", width="stretch"
        )
        if st.button("Open", key=f"open-{entry.id}", on_click=first_page):
            st.switch_page(PAGE, query_params={"set": entry.id})
        if st.button("Delete", icon=":material/delete:", key=f"delete-{entry.id}"):
            confirm_deletion(entry.id, entry.dataset_name, entry.predicted, entry.fresh)


def left_over_row(target: vm.TargetChoice) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"left-{target.id}"):
        st.markdown(
            f"**{wording.escaped(target.name)}**  \n"
            f":small[{wording.count(target.images, 'image')} without predictions: the run is gone]",
            width="stretch",
        )
        if st.button("Delete images", icon=":material/delete:", key=f"delete-images-{target.id}"):
            try:
                with resources.database().writing() as session:
                    gone = datasets.delete_dataset(session, target.id)
            except datasets.InUse as error:
                st.error(wording.escaped(str(error)))
                return
            resources.remove_files(gone)
            st.rerun()


@st.dialog("Delete these predictions?")
def confirm_deletion(set_id: str, name: str, masks: int, fresh: bool) -> None:
    lines = [wording.count(masks, "predicted mask")]
    if fresh:
        lines.append("the images, if no other predictions of them are left")
    st.markdown(f"Of **{wording.escaped(name)}** go for good:\n" + "\n".join(f"- {line}" for line in lines))
    st.caption("The run and its model stay.")
    deletion_buttons(lambda: delete(set_id), "The predictions are deleted.", keep="Keep them")


def delete(set_id: str) -> None:
    with resources.database().writing() as session:
        gone = runs.delete_prediction_set(session, set_id)
    resources.remove_files(gone)
    st.query_params.from_dict({})  # clear() refuses while a widget is bound to the URL


def detail_page(view: vm.SetView) -> None:
    if st.button("All predictions", icon=":material/arrow_back:", type="tertiary", key="back"):
        st.switch_page(PAGE, query_params={})
    st.title(wording.escaped(view.dataset_name))
    how = ", averaged over flips" if view.flips else ""
    how += f", refined by {REFINE_WORDS[view.refine]}" if view.refine != "none" else ""
    made = wording.ago(view.created_at, utc_now())
    done = (
        f"{view.predicted:,} of {wording.count(view.images, 'image')} predicted"
        if view.images
        else "No images yet, to be predicted"
    )
    st.caption(f"{done} by *{wording.escaped(view.run_name)}*{how} · {made}")
    actions = st.container(horizontal=True)
    job_panel(
        lambda: job_now(view.id), key=f"job-{view.id}", what="Predicting", kept="What has been predicted is kept."
    )
    masks, files = st.tabs(
        ["Masks", f"Files ({view.skipped} skipped)" if view.skipped else "Files"], key="predict-tabs", on_change="rerun"
    )
    threshold = 0.5
    if masks.open:
        with masks:
            threshold = look(view)
    if files.open:
        with files:
            file_report(view.dataset_id, key=f"report-{view.id}")
    with actions:
        take_home(view, threshold)


def job_now(set_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return vm.job_of(session, set_id, utc_now(), resources.settings().lost_after_s)


def take_home(view: vm.SetView, threshold: float) -> None:
    downloads(
        threshold=threshold,
        prediction_set_id=view.id,
        run_id=view.run_id,
        masks=view.predicted,
        unsure=bool(view.unsure),
        kind="primary",
    )
    if st.button("Open the run", icon=":material/monitoring:", key="to-run"):
        st.switch_page("views/runs.py", query_params={"run": view.run_id})
    if not view.own and st.button("Delete", icon=":material/delete:", key="delete"):
        confirm_deletion(view.id, view.dataset_name, view.predicted, view.fresh)


def look(view: vm.SetView) -> float:
    """Draw the masks and what steers them; return the threshold."""
    if not view.predicted:
        at_work = view.job is not None and view.job.at_work
        st.info("No mask yet. They appear here as soon as the job has ended." if at_work else "There are no masks.")
        return 0.5
    modes = MODES | (MODES_BY_UNCERTAINTY if view.unsure else {}) | (MODES_BY_TRUTH if view.scored else {})
    hidden = () if view.scored else vm.ORDERS_BY_TRUTH
    hidden += () if view.unsure else (vm.ORDER_BY_UNCERTAINTY,)
    orders = [order for order in vm.ORDERS if order not in hidden]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        threshold = st.slider(
            "Threshold",
            0.0,
            1.0,
            0.5,
            0.01,
            key="threshold",
            bind="query-params",
            width=220,
            help="A pixel is foreground where its probability is at least this.",
        )
        opacity = st.slider("Opacity", 0.1, 1.0, 0.5, 0.05, key="opacity", width=160)
        order = st.selectbox("Order", orders, key="order", on_change=first_page, width=200)
        mode = st.segmented_control("Show", list(modes), default="Fill", required=True, key="overlay", wrap=True)
    summary_line(view, threshold)
    grid, foot = st.container(), st.container()
    with foot:
        number = page_numbers(view.predicted)
    with grid:
        draw_grid(view, number, order, threshold, opacity, mode or "Fill")
    return threshold


def summary_line(view: vm.SetView, threshold: float) -> None:
    if not view.scored:
        st.caption("There is no truth for these images, so there are areas but no scores.")
        return
    with resources.database().reading() as session:
        found = vm.summary(session, view.id, threshold)
    st.markdown(
        f"Mean over {wording.count(found.scored, 'image')} with truth: **Dice vs truth {found.dice:.3f}**, "
        f"IoU vs truth {found.iou:.3f}"
        + (", images it learned from included" if view.own else "")
        + (wording.escaped(f" · {view.weights}") if view.weights else "")
    )


def draw_grid(view: vm.SetView, number: int, order: vm.Order, threshold: float, opacity: float, look: str) -> None:
    unsure = look == UNCERTAINTY
    with resources.database().reading() as session:
        shown = vm.predicted_page(session, view.id, threshold, number, order).images
    tiles = [
        Tile(
            id=image.id,
            title=image.name,
            image=image.thumbnail,
            mask=image.uncertainty_small if unsure else image.mask_small,
            reference=image.truth_small,
            subtitle=subtitle(view, image, threshold, unsure),
        )
        for image in shown
    ]
    chosen = mask_grid(
        tiles,
        mode=(MODES | MODES_BY_UNCERTAINTY | MODES_BY_TRUTH)[look],
        threshold=threshold,
        opacity=opacity,
        key=f"grid-{view.id}",
        aspect=median(image.width_px / image.height_px for image in shown),
    )
    if chosen:
        look_closer(view, next(image for image in shown if image.id == chosen), threshold, opacity)


def subtitle(view: vm.SetView, image: vm.PredictedImage, threshold: float, unsure: bool) -> str:
    share = foreground_share(view.id, image.id, threshold)
    parts = ["mask is gone" if share is None else f"area {share:.1%}"]
    if unsure and image.uncertainty is not None:
        parts.append(f"uncertainty {image.uncertainty:.3f}")
    if image.dice is not None:
        parts.append(f"Dice vs truth {image.dice:.3f}")
    return " · ".join(parts)


def foreground_share(set_id: str, image_id: str, threshold: float) -> float | None:
    """Return how much of an image is foreground at a threshold; None if its file is gone."""
    path = resources.artifacts().path(stored.prediction_key(set_id, image_id))
    if not path.exists():
        return None
    levels = level_counts(str(path), path.stat().st_mtime_ns)
    foreground = metrics.to_mask(np.arange(256, dtype=np.uint8), threshold)
    return float(levels[foreground].sum() / levels.sum())


@st.cache_data(max_entries=4000, show_spinner=False)
def level_counts(path: str, written_ns: int) -> np.ndarray:
    """Return how many pixels of a stored probability have each of 256 levels, so that a threshold is a sum."""
    return np.bincount(imaging.decode_png(Path(path).read_bytes()).ravel(), minlength=256)


@st.dialog("Prediction", width="large")
def look_closer(view: vm.SetView, image: vm.PredictedImage, threshold: float, opacity: float) -> None:
    st.caption(
        f"{wording.escaped(image.name)} · {image.width_px} × {image.height_px} px · "
        f"{subtitle(view, image, threshold, unsure=True)}"
    )
    panes = [Pane("Image", image.image), Pane("Prediction", image.image, mask=image.mask)]
    if image.truth:
        panes.append(Pane("Errors vs truth", image.image, mask=image.mask, reference=image.truth, mode="errors"))
    else:
        panes.append(Pane("Probability", image.image, mask=image.mask, mode="probability"))
    if image.uncertainty_map:
        panes.append(Pane(UNCERTAINTY, image.image, mask=image.uncertainty_map, mode="probability"))
    viewer(panes, key=f"look-{image.id}", threshold=threshold, opacity=opacity)


page()
