"""Page: train. Choose what to train on and how, see what it takes, start."""

import numpy as np
import streamlit as st

from dashboard.access import rights
from dashboard.facts import train as facts
from dashboard.facts import urls, wording
from dashboard.server.resources import artifacts, database, launcher, previews, settings
from dashboard.ui.form import Form, params_form, reset_form
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.status import empty_state
from dashboard.views.train import concern_facts, network_panel
from db import datasets, submissions
from db.columns import utc_now
from db.models import Dataset
from db.names import NameTaken
from db.submissions import NotReady
from engine import VERSION
from engine.core.run_config import DEFAULT_PRESET, PRESETS, RunConfig
from engine.core.run_config_text import preset_text
from engine.imaging import codec
from engine.store.base import MissingFile

PREVIEW_IMAGES, PREVIEW_COPIES = 3, 3
PREVIEW_MODES: dict[Mode, str] = {
    "fill": "Fill",
    "outline": "Outline",
    "side by side": "Side by side",
    "image": "Image",
}


def choose_dataset(options: tuple[facts.DatasetOption, ...], origin: facts.Source | None) -> str:
    """Return the id of the chosen dataset; the URL contains it."""
    ids = [option.id for option in options]
    wanted = st.query_params.get("dataset") or (origin.dataset_id if origin else None)
    titles = {option.id: option.title for option in options}
    chosen = st.selectbox(
        "Dataset",
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=titles.__getitem__,
        key=f"train-dataset-{origin.run_id if origin else ''}",
    )
    st.query_params["dataset"] = chosen
    return chosen


def choose_teacher(teachers: tuple[facts.Teacher, ...], dataset_id: str, origin: facts.Source | None) -> facts.Teacher:
    """Return the chosen mask set or truth; the URL contains it."""
    by_key = {teacher.key: teacher for teacher in teachers}
    wanted = st.query_params.get("labels") or (origin.teacher if origin else None)
    keys = list(by_key)
    chosen = st.selectbox(
        "Train on",
        keys,
        index=keys.index(wanted) if wanted in keys else 0,
        format_func=lambda key: by_key[key].title if key == facts.TRUTH else f"Mask set {by_key[key].title}",
        key=f"train-teacher-{dataset_id}-{origin.run_id if origin else ''}",
        help="A mask set contains pseudo-labels, masks computed by a method. Truth masks were made by people.",
    )
    st.query_params["labels"] = chosen
    teacher = by_key[chosen]
    st.caption(wording.escaped(teacher.sentence))
    if teacher.problem:
        st.warning(wording.escaped(teacher.problem), icon=":material/warning:")
    return teacher


def choose_preset(origin: facts.Source | None) -> str:
    """Return the name of the chosen preset; the URL contains it. Choosing one discards changed settings."""
    key = f"train-preset-{origin.run_id if origin else ''}"
    wanted = st.query_params.get("preset") or (origin.preset if origin else DEFAULT_PRESET)

    def discard() -> None:
        for name in ("from", "p"):
            st.query_params.pop(name, None)
        st.query_params["preset"] = st.session_state[key]

    chosen = st.segmented_control(
        "Preset",
        list(PRESETS),
        default=wanted if wanted in PRESETS else DEFAULT_PRESET,
        required=True,
        format_func=str.capitalize,
        key=key,
        on_change=discard,
    )
    st.query_params["preset"] = chosen
    st.caption(preset_text(chosen))
    return chosen


def config_form(preset: str, origin: facts.Source | None, teacher: facts.Teacher) -> Form[RunConfig]:
    """Draw the settings and return their values; the URL contains the changes."""
    key = facts.form_key(preset, origin.run_id if origin else None)
    begin = f"{key}-begin"
    if begin not in st.session_state:
        typed = st.query_params.get_all("p")
        st.session_state[begin], problem = facts.start_config(preset, typed, origin)
        if problem:
            st.warning(wording.escaped(problem))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.header("Settings", width="stretch")
        if st.button("Reset", icon=":material/restart_alt:", key="train-reset", help="Restore the initial values."):
            st.session_state[begin], _ = facts.start_config(preset, [], origin)
            reset_form(key)
    form = params_form(
        RunConfig,
        key=key,
        start=st.session_state[begin],
        columns=2,
        open_groups={"training"},
        idle=facts.idle_settings(teacher),
        leave_out=() if teacher.classes else {"model.classes"},
        choices={"model.classes": facts.class_choices(teacher)},
    )
    if form.params is not None:
        st.query_params["p"] = facts.assignments(preset, form.params)
    return form


@st.cache_data(max_entries=6, show_spinner=False)  # in full size: a few of these are many megabytes
def read_pair(pair: facts.Pair) -> tuple[np.ndarray, np.ndarray]:
    return facts.read_pair(artifacts(), pair)


def preview(pairs: tuple[facts.Pair, ...], config: RunConfig | None, teacher: facts.Teacher) -> None:
    """Draw a few training pairs, unchanged and as the network will see them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mode = st.segmented_control(
            "Mask",
            list(PREVIEW_MODES),
            default="fill",
            required=True,
            format_func=PREVIEW_MODES.__getitem__,
            key="train-preview-mode",
            persist_state="session",
        )
        if st.button("Shuffle", icon=":material/casino:", key="train-draw"):
            st.session_state["train-draws"] = st.session_state.get("train-draws", 0) + 1
    if config is None:
        st.info("The preview appears again once the settings are valid.")
        return
    draw = st.session_state.get("train-draws", 0)
    try:
        tiles = [tile for number, pair in enumerate(pairs) for tile in pair_tiles(number, pair, config, draw)]
    except MissingFile as error:
        st.error(str(error))
        return
    if not config.augmentation.enabled:
        st.caption("Augmentation is off: the network sees each image as it is.")
    wide = mode == "side by side"
    mask_grid(
        tiles,
        key="train-preview",
        mode=mode,
        tile_px=200 if wide else 110,
        aspect=1.0,
        selectable=False,
        class_colours=teacher.class_colours,
    )


def pair_tiles(number: int, pair: facts.Pair, config: RunConfig, draw: int) -> list[Tile]:
    image, mask = read_pair(pair)
    copies = PREVIEW_COPIES if config.augmentation.enabled else 0
    variants = facts.augmented(image, mask, config, copies, draw=draw * PREVIEW_IMAGES + number)
    return [
        Tile(
            id=f"{number}-{copy}",
            title=f"variant {copy}" if copy else pair.name,
            image=preview_url(pixels),
            mask=preview_url(np.atleast_3d(moved)[..., 0]),
            classes=preview_url(moved[..., 1]) if moved.ndim == 3 and config.model.classes != 1 else None,
        )
        for copy, (pixels, moved) in enumerate(variants)
    ]


def preview_url(pixels: np.ndarray) -> str:
    return urls.preview(previews().put(codec.encode_png(pixels)))


def summary(plan: facts.Plan) -> None:
    """Show what the training will do."""
    work = plan.work
    rounds = f", in **{work.rounds} rounds**" if work.rounds > 1 else ""
    tiles = f" (**{work.train_squares:,} tiles**)" if work.train_squares > work.train_images else ""
    st.markdown(
        f"Trains {plan.network} on **{wording.count(work.train_images, 'image')}**{tiles} and validates it on "
        f"**{work.validation_images:,}** others, all at "
        f"**{plan.image_size_px}&nbsp;×&nbsp;{plan.image_size_px}&nbsp;px**. Each of at most "
        f"**{wording.count(work.epochs, 'epoch')}** takes **{wording.count(work.steps_per_epoch, 'step')}**{rounds}. "
        f"{plan.classes}"
    )
    for warning in plan.warnings:
        st.warning(warning, icon=":material/warning:")


def concerns(dataset_id: str, teacher: facts.Teacher, truth_version: int, config: RunConfig) -> None:
    """Draw what is doubtful about the masks of the teacher, at the network's size."""
    scaling = config.data.framing, config.data.tile_scale, config.model.image_size
    for sentence in _concerns(dataset_id, teacher.label_set_id, (truth_version, teacher.images), scaling, config):
        st.warning(wording.escaped(sentence), icon=":material/warning:")


@st.cache_data(max_entries=64, show_spinner="Looking at the masks …")
def _concerns(
    dataset_id: str,
    label_set_id: str | None,
    stamp: tuple[int, int],
    scaling: tuple[str, float, int],
    _config: RunConfig,
) -> tuple[str, ...]:
    """Return the sentences. `stamp` and `scaling` only identify the masks, and what of the settings matters here."""
    with database().reading() as session:
        return concern_facts.concerns(session, artifacts(), dataset_id, label_set_id, _config)


def run_name(proposal: str) -> str:
    """Draw the name field. It follows the proposal until the user changes it."""
    if st.session_state.get("train-name") in (None, st.session_state.get("train-name-proposed")):
        st.session_state["train-name"] = proposal
    st.session_state["train-name-proposed"] = proposal
    return st.text_input("Name of the run", key="train-name", max_chars=200, persist_state="session")


def start(dataset_id: str, teacher: facts.Teacher, name: str, preset: str, config: RunConfig) -> None:
    """Store the run, start its job and open it, or show why not."""
    try:
        with database().writing() as session:
            run, job = submissions.submit_train(
                session, dataset_id, teacher.label_set_id, name, preset, config.model_dump(), VERSION
            )
    except (NameTaken, NotReady) as error:
        st.error(str(error), icon=":material/error:")
        return
    launcher().submit(job.id)
    st.session_state.pop("train-name", None)
    st.switch_page("views/runs/page.py", query_params={"run": run.id})


st.title("Train")
st.caption("Choose what to train a U-Net on, and how. Training runs in the background; this page can be closed.")

with database().reading() as session:
    options = facts.dataset_options(session)
    origin = facts.source(session, st.query_params.get("from"))
if not options:
    empty_state(
        "No images yet",
        "A network is trained on images with masks. Import a dataset first, or create the sample set.",
        button="Go to Datasets",
        page="views/datasets/page.py",
        icon=":material/photo_library:",
    )
    st.stop()
if st.query_params.get("dataset", options[0].id) not in {option.id for option in options}:
    st.warning("The dataset in the address no longer exists. This is the newest one.")
if origin is None and "from" in st.query_params:
    del st.query_params["from"]
    st.warning("The run whose settings this page should start from no longer exists.")
if origin is not None:
    st.info(f"Starts from the settings of the run **{wording.escaped(origin.name)}**.", icon=":material/content_copy:")
    if origin.problem:
        st.warning(wording.escaped(origin.problem))

left, right = st.columns([11, 9], gap="medium")
with left:
    dataset_id = choose_dataset(options, origin)
with database().reading() as session:
    teachers = facts.teachers(session, dataset_id, utc_now(), settings().lost_after_s)
if not teachers:
    empty_state(
        "Nothing to train on yet",
        "This dataset has no truth masks and no mask set. Create pseudo-labels on the Masks page first.",
        button="Go to Masks",
        page="views/labels/page.py",
        icon=":material/auto_fix_high:",
    )
    st.stop()
with left:
    teacher = choose_teacher(teachers, dataset_id, origin)
    preset = choose_preset(origin)
    form = config_form(preset, origin, teacher)
    config = form.params
dataset_name = next(option.name for option in options if option.id == dataset_id)
with database().reading() as session:
    proposal = facts.proposed_name(session, dataset_name, teacher, preset, origin)
    pairs = facts.preview_pairs(session, dataset_id, teacher, PREVIEW_IMAGES)
    shapes = datasets.shapes(session, dataset_id)
    truth_version = session.get_one(Dataset, dataset_id).truth_version
with right:
    st.header("Start")
    name = run_name(proposal)
    plan, subject = None, None
    if config is not None:
        resolved = facts.resolved(config, teacher)
        plan = facts.plan(resolved, teacher, shapes)
        summary(plan)
        if not teacher.problem:
            concerns(dataset_id, teacher, truth_version, config)
        subject = network_panel.Subject(dataset_id, teacher.label_set_id, resolved, blocked=bool(teacher.problem))
        network_panel.cost(plan.cost)
        network_panel.trial(subject, plan.work)
    else:
        st.error(form.error, icon=":material/error:")
    blocked = plan is None or bool(teacher.problem or plan.cost.problem)
    if not rights.only_looking("Training"):
        pressed = st.button(
            "Start training", type="primary", icon=":material/play_arrow:", disabled=blocked, key="train-start"
        )
        if pressed and config is not None:
            start(dataset_id, teacher, name, preset, config)
    if subject is not None:
        form_name = facts.form_key(preset, origin.run_id if origin else None)
        network_panel.rate_range(subject, f"{form_name}.training.learning_rate")
    st.header("What the network will see")
    preview(pairs, config, teacher)
