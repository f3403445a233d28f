"""Page: train. Choose what to train on and how, see what it takes, start."""

from typing import Any

import streamlit as st

from dashboard.access import rights
from dashboard.facts import train as facts
from dashboard.facts import training_pairs, wording
from dashboard.facts.training_time import estimate
from dashboard.server.resources import artifacts, database, launcher, settings
from dashboard.ui.form import Form, form_values, matches, params_form, reset_form
from dashboard.ui.pretrained import pretrained_offer, pretrained_state, waits_for_answer
from dashboard.ui.status import empty_state
from dashboard.ui.where_to_run import where_to_run
from dashboard.views.train import concern_facts, network_panel, preview_panel
from db import datasets, jobs, submissions
from db.columns import utc_now
from db.models import Dataset
from db.names import NameTaken
from db.submissions import NotReady
from db.waiting import run_at_work
from db.workers import Needs
from engine import VERSION
from engine.core.run_config import PRESETS, RunConfig, flattened
from engine.core.run_config_text import choice_words
from engine.network import pretrained
from engine.work.registration import taken_here

FOLD, EPOCHS = "advanced", "training.epochs"
POLL_S = 2.0
PREVIEW_IMAGES = 3


def choose_dataset(options: tuple[facts.DatasetOption, ...], origin: facts.Source | None) -> str:
    """Return the id of the chosen dataset; the URL contains it."""
    ids = [option.id for option in options]
    wanted = st.query_params.get("dataset") or (origin.dataset_id if origin else None)
    names = {option.id: option.name for option in options}
    chosen = st.selectbox(
        "Dataset",
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=names.__getitem__,
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
    return by_key[chosen]


def what_teaches(drawn: facts.Teacher) -> None:
    """Draw what the network learns from. Once masks that were being computed are there, the page is drawn anew."""
    with database().reading() as session:
        teacher = facts.renewed(session, drawn, utc_now(), settings().lost_after_s)
    if teacher is None or teacher.at_work != drawn.at_work:
        st.rerun()
    st.caption(wording.escaped(teacher.sentence))
    if teacher.problem:
        st.warning(wording.escaped(teacher.problem), icon=":material/warning:")


def choose_preset(teacher: facts.Teacher, origin: facts.Source | None, weights: bool) -> str:
    """Return the name of the chosen preset; the URL contains it. Choosing one discards changed settings."""
    key = f"train-preset-{origin.run_id if origin else ''}"
    default = pretrained.default_preset(artifacts(), teacher.label_free)
    before = st.session_state.get("train-default", (default, weights))
    st.session_state["train-default"] = default, weights
    # Weights came or another teacher was chosen: nobody chose the preset that was the default before.
    if before != (default, weights) and st.session_state.get(key) == before[0] and not st.query_params.get_all("p"):
        st.query_params["preset"] = st.session_state[key] = default
        reset(default, origin, weights)
    wanted = st.query_params.get("preset") or (origin.preset if origin else default)

    def discard() -> None:
        for name in ("from", "p"):
            st.query_params.pop(name, None)
        st.query_params["preset"] = st.session_state[key]

    st.session_state.setdefault(key, wanted if wanted in PRESETS else default)
    st.segmented_control("Preset", list(PRESETS), required=True, format_func=choice_words, key=key, on_change=discard)
    chosen: str = st.session_state[key]
    st.query_params["preset"] = chosen
    st.caption(facts.preset_note(chosen, weights))
    return chosen


def start_values(preset: str, origin: facts.Source | None, weights: bool) -> RunConfig:
    """Return the start values of the form: the preset's, those of an earlier run, or those in the URL."""
    begin = f"{facts.form_key(preset, origin.run_id if origin else None)}-begin"
    if begin not in st.session_state:
        typed = st.query_params.get_all("p")
        st.session_state[begin], problem = facts.start_config(preset, typed, origin, weights)
        if problem:
            st.warning(wording.escaped(problem))
    return st.session_state[begin]


def reset(preset: str, origin: facts.Source | None, weights: bool) -> None:
    """Restore the values of the preset or of the earlier run."""
    key = facts.form_key(preset, origin.run_id if origin else None)
    st.session_state[f"{key}-begin"], _ = facts.start_config(preset, [], origin, weights)
    reset_form(key)


def advanced(
    preset: str, origin: facts.Source | None, weights: bool, teacher: facts.Teacher, epochs: Any
) -> tuple[Form[RunConfig], Any]:
    """Draw the settings, folded but for the epochs, and return their values and the fold; the URL has the changes.

    Args:
        epochs: the place of the number of epochs.
    """
    key = facts.form_key(preset, origin.run_id if origin else None)
    begin = start_values(preset, origin, weights)
    changed = facts.changes(preset, form_values(RunConfig, key, begin), weights)
    with st.container(horizontal=True, vertical_alignment="top"):
        fold = st.expander(
            facts.fold_title(changed), icon=":material/tune:", key=FOLD, on_change="rerun", bind="query-params"
        )
        if changed:
            st.button(
                "Reset",
                icon=":material/restart_alt:",
                key="train-reset",
                help="Restore the settings of the run that this one is copied from."
                if origin
                else "Restore the preset.",
                on_click=reset,
                args=(preset, origin, weights),
            )
    search = ""
    with fold:
        if fold.open:
            if changed:
                st.caption(f"Changed from *{choice_words(preset)}*: {wording.escaped(', '.join(changed))}.")
            search = st.text_input(
                "Search settings",
                placeholder="Search settings, such as clip or flip",
                icon=":material/search:",
                label_visibility="collapsed",
                key="train-search",
            )
        form = params_form(
            RunConfig,
            key=key,
            start=begin,
            groups="titled" if search else "tabs",
            columns=3,
            shown=lambda path: path == EPOCHS or (bool(fold.open) and matches(RunConfig, path, search)),
            places={EPOCHS: epochs},
            idle=facts.idle_settings(teacher),
            leave_out=() if teacher.classes else {"model.classes"},
            choices={"model.classes": facts.class_choices(teacher)},
            show_error=False,
        )
        if search and not any(matches(RunConfig, path, search) for path in flattened(begin)):
            st.caption(f"No setting contains “{wording.escaped(search)}”.")
    if form.params is not None:
        st.query_params["p"] = facts.assignments(preset, form.params, weights)
    return form, fold


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


def start(dataset_id: str, teacher: facts.Teacher, name: str, preset: str, config: RunConfig, needs: Needs) -> None:
    """Store the run, start its job and open it, or show why not. Pressed twice, it opens the run of the first time."""
    try:
        with database().writing() as session:
            wanted = facts.resolved(config, teacher).model_dump(mode="json")
            run, job = run_at_work(session, dataset_id, teacher.label_set_id, wanted), None
            if run is None:
                run, job = submissions.submit_train(
                    session, dataset_id, teacher.label_set_id, name, preset, config.model_dump(), VERSION
                )
                jobs.require(job, needs)
    except (NameTaken, NotReady) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    if job is not None and taken_here(settings(), needs):
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
gone = st.query_params.get("dataset", options[0].id) not in {option.id for option in options}
if gone:
    st.warning("The dataset in the address no longer exists. This is the newest one.")
if origin is None and "from" in st.query_params:
    del st.query_params["from"]
    st.warning("The run whose settings this page should start from no longer exists.")
if origin is not None:
    st.info(f"Starts from the settings of the run **{wording.escaped(origin.name)}**.", icon=":material/content_copy:")
    if origin.problem:
        st.warning(wording.escaped(origin.problem))

place, pictures = st.columns([9, 11], gap="large")
with place:
    choices = st.grid(min_column_width=200, gap="small")  # below each other in a narrow window
    dataset_place, teacher_place = choices.container(), choices.container()
    below_teacher = st.container()
with dataset_place:
    dataset_id = choose_dataset(options, origin)
with database().reading() as session:
    teachers = facts.teachers(session, dataset_id, utc_now(), settings().lost_after_s)
if not teachers:
    empty_state(
        "Nothing to train on yet",
        "This dataset has no truth masks and no mask set. Make masks on the Masks page first.",
        button="Go to Masks",
        page="views/labels/page.py",
        icon=":material/auto_fix_high:",
    )
    st.stop()
below = st.container()
wanted = st.query_params.get("labels", teachers[0].key)
with database().reading() as session:
    if not gone and not facts.exists(session, wanted):
        gone = True
        st.warning("The mask set in the address no longer exists. This is what else there is to train on.")
with teacher_place:
    teacher = choose_teacher(teachers, dataset_id, origin)
with below_teacher:
    st.fragment(what_teaches, run_every=POLL_S if teacher.at_work else None)(teacher)
    weights = pretrained.installed(artifacts()) is not None
    preset = choose_preset(teacher, origin, weights)
    epochs_place, name_place = st.columns([1, 2], gap="small")
with below:
    form, fold = advanced(preset, origin, weights, teacher, epochs_place)
config = form.params
dataset_name = next(option.name for option in options if option.id == dataset_id)
with database().reading() as session:
    proposal = facts.proposed_name(session, dataset_name, teacher, preset, origin)
    pairs = training_pairs.preview_pairs(session, dataset_id, teacher, PREVIEW_IMAGES - waits_for_answer())
    shapes = datasets.shapes(session, dataset_id)
    truth_version = session.get_one(Dataset, dataset_id).truth_version
with name_place:
    name = run_name(proposal)
plan, subject = None, None
with place:
    if config is not None:
        resolved = facts.resolved(config, teacher)
        plan = facts.plan(resolved, teacher, shapes)
        subject = network_panel.Subject(dataset_id, teacher.label_set_id, resolved, blocked=bool(teacher.problem))
        network_panel.problems(plan.cost)
        with database().reading() as session:
            st.markdown(facts.time_sentence(estimate(session, resolved, plan.work, sum(shapes.values()))))
    else:
        st.error(form.error, icon=":material/error:")
    blocked = plan is None or bool(teacher.problem or plan.cost.problem)
    if not rights.only_looking("Training"):
        needs = where_to_run("train-where", "The training waits")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            pressed = st.button(
                "Start training", type="primary", icon=":material/play_arrow:", disabled=blocked, key="train-start"
            )
            if config is not None and not blocked:
                sweep = {"new": "1", "dataset": dataset_id, "labels": teacher.key, "preset": preset}
                st.page_link(
                    "views/sweeps/page.py",
                    label="Sweep",
                    icon=":material/scatter_plot:",
                    query_params=sweep | {"p": facts.assignments(preset, config, weights)},
                    help="Trains many times with settings that vary, and shows which are best.",
                )
        if pressed and gone:  # the click belongs to what was shown before
            st.error("What was to be trained on was deleted meanwhile. Nothing was started.", icon=":material/error:")
        elif pressed and config is not None:
            start(dataset_id, teacher, name, preset, config, needs)
    if plan is not None:
        summary(plan)
        if not teacher.problem:
            concerns(dataset_id, teacher, truth_version, resolved)
with pictures:
    st.header("What the network will see")
    preview_panel.preview(dataset_id, pairs, config, teacher)
    offered = pretrained_offer()
if subject is not None and plan is not None and fold.open and not st.session_state.get("train-search"):
    with fold:
        st.divider()
        size, speed, rate, stored, shown = st.tabs(
            ["Size and memory", "Speed", "Learning rate", "Pretrained weights", "Preview"]
        )
        with size:
            network_panel.cost(plan.cost)
        with speed:
            network_panel.trial(subject, plan.work)
        with rate:
            form_name = facts.form_key(preset, origin.run_id if origin else None)
            network_panel.rate_range(subject, f"{form_name}.training.learning_rate")
        with stored:
            if offered:
                st.caption("They are offered above.")
            else:
                pretrained_state(facts.WITHOUT_WEIGHTS)
        with shown:
            preview_panel.preview_settings()
