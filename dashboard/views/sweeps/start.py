"""The form of a new sweep: few controls first, the rest folded."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import rights
from dashboard.facts import recipes, wording
from dashboard.facts import train as train_facts
from dashboard.facts.recipes import method_order
from dashboard.server import resources
from dashboard.ui.status import empty_state
from dashboard.ui.where_to_run import where_to_run
from dashboard.views.sweeps import parameter_words, start_facts
from dashboard.views.sweeps.start_facts import Basis, Plan
from db.columns import utc_now
from db.names import NameTaken
from db.submissions import NotReady
from engine.core.parameters import ParameterError
from engine.core.run_config import PRESETS, flattened
from engine.core.run_config_text import choice_words
from engine.labelling.base import methods
from engine.network import pretrained
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.objective import CAUTION, MEANINGS
from engine.sweeps.space import Dimension

RUNS, MASKS = "Trainings", "Mask sets"
PER_LINE = 3


def start() -> None:
    """Draw the form. The address has what the Train page had chosen: dataset, labels, preset and p."""
    st.header("New sweep", divider="gray")
    basis = choose_basis()
    if basis is None:
        return
    with resources.database().reading() as session:
        scores = start_facts.objectives(session, basis)
        proposed = start_facts.proposed_name(session, basis)
    space = choose_space(basis)
    where = f"{basis.kind}-{basis.dataset_id}-{basis.teacher.key if basis.teacher else ''}"
    left, right = st.columns([1, 2], gap="medium")
    trials = left.number_input("Trials", 1, 10_000, 24, key="sweep-trials")
    objective = right.selectbox(
        "Scored by", list(scores), format_func=scores.__getitem__, key=f"sweep-objective-{where}", help=CAUTION
    )
    if objective:
        st.caption(MEANINGS[basis.kind][objective])
    name, sampler, parallel, seed, prune = more(basis, proposed)
    needs = where_to_run("sweep-where", "Its trials wait")
    whole = [each for each in space if each is not None]
    most = study.most_trials(whole, sampler, trials)
    if whole and most < trials:
        st.caption(f"The grid has {wording.count(most, 'combination')}; the sweep ends with the last.")
    ready = bool(whole) and len(whole) == len(space) and objective is not None
    if rights.only_looking("A sweep") or not st.button(
        "Start sweep", type="primary", icon=":material/play_arrow:", key="sweep-start", disabled=not ready
    ):
        return
    submit(basis, whole, Plan(name, trials, sampler, str(objective), prune, parallel, seed, needs))


def choose_basis() -> Basis | None:
    """Draw what trials have in common, and return it; None, with what to do, where something is missing."""
    with resources.database().reading() as session:
        options = {option.id: option.name for option in train_facts.dataset_options(session)}
    if not options:
        empty_state(
            "No images yet",
            "A sweep trains on images with masks, or makes masks of images. Import a dataset first.",
            button="Go to Datasets",
            page="views/datasets/page.py",
            icon=":material/photo_library:",
        )
        return None
    left, right = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    wanted = st.query_params.get("dataset")
    if wanted and wanted not in options:
        st.warning("The dataset in the address no longer exists. This is the newest one.")
    ids = list(options)
    dataset_id = left.selectbox(
        "Dataset",
        ids,
        index=ids.index(wanted) if wanted in options else 0,
        format_func=options.__getitem__,
        key="sweep-dataset",
    )
    with right:
        kind = st.segmented_control(
            "Trials are",
            [RUNS, MASKS],
            default=MASKS if "method" in st.query_params else RUNS,
            required=True,
            key="sweep-kind",
        )
    return method_basis(dataset_id, options) if kind == MASKS else run_basis(dataset_id, options)


def method_basis(dataset_id: str, names: dict[str, str]) -> Basis:
    wanted, known = st.query_params.get("method"), method_order()
    method = st.selectbox(
        "Method",
        known,
        index=known.index(wanted) if wanted in known else known.index("threshold"),
        format_func=lambda name: methods()[name].title,
        key="sweep-method",
    )
    st.caption("What does not vary has the method's defaults.")
    return Basis(dataset_id, names[dataset_id], start_facts.settings_of_method(method), method=method)


def run_basis(dataset_id: str, names: dict[str, str]) -> Basis | None:
    with resources.database().reading() as session:
        teachers = train_facts.teachers(session, dataset_id, utc_now(), resources.settings().lost_after_s)
    by_key = {each.key: each for each in teachers}
    if not by_key:
        empty_state(
            "Nothing to train on yet",
            "This dataset has no truth masks and no mask set. Make masks on the Masks page, or sweep a method.",
            button="Go to Masks",
            page="views/labels/page.py",
            icon=":material/auto_fix_high:",
        )
        return None
    keys, wanted = list(by_key), st.query_params.get("labels")
    left, right = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    key = left.selectbox(
        "Train on",
        keys,
        index=keys.index(wanted) if wanted in by_key else 0,
        format_func=lambda each: by_key[each].title if each == train_facts.TRUTH else f"Mask set {by_key[each].title}",
        key=f"sweep-teacher-{dataset_id}",
    )
    teacher, given = by_key[key], st.query_params.get("preset")
    default = given if given in PRESETS else pretrained.default_preset(resources.artifacts(), teacher.label_free)
    preset = right.selectbox(
        "Preset", list(PRESETS), index=list(PRESETS).index(default), format_func=choice_words, key="sweep-preset"
    )
    if teacher.problem:
        st.warning(wording.escaped(teacher.problem), icon=":material/warning:")
        return None
    weights = pretrained.installed(resources.artifacts()) is not None
    typed = st.query_params.get_all("p") if preset == given else []
    config, problem = start_facts.settings_of_run(preset, typed, weights)
    if problem:
        st.warning(wording.escaped(problem))
    changed = train_facts.changes(preset, flattened(config), weights)
    same = f"What does not vary is as in the preset{', but for ' + ', '.join(changed) if changed else ''}."
    query: dict[str, Any] = {"dataset": dataset_id, "labels": key, "preset": preset, "p": typed}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{wording.escaped(same)} A trial has at most {wording.count(config.training.epochs, 'epoch')}.")
        st.page_link("views/train/page.py", label="Change on the Train page", query_params=query)
    return Basis(dataset_id, names[dataset_id], config, teacher, preset)


def choose_space(basis: Basis) -> list[Dimension | None]:
    """Draw what varies and between what; an entry is None where that is no range."""
    titles = start_facts.choices(basis)
    main = recipes.main_parameters(basis.method) if basis.method else ()
    chosen = st.multiselect(
        "What varies",
        list(titles),
        default=start_facts.first_choices(basis, main),
        format_func=titles.__getitem__,
        key=f"sweep-varies-{basis.method or basis.preset}",
        placeholder="Choose settings",
    )
    found: list[Dimension | None] = []
    for path in chosen:
        found.append(one_dimension(basis, path, titles[path]))
    if not chosen:
        st.info("Choose at least one setting that varies.")
    return found


def one_dimension(basis: Basis, path: str, title: str) -> Dimension | None:
    """Draw what a parameter varies between; return None, and say so, if that is no range."""
    model, begin = type(basis.settings), start_facts.proposal(basis, path)
    key = f"{basis.method or basis.preset}-{path}"
    if begin.choices:
        kept = st.multiselect(
            f"{title}: values",
            list(begin.choices),
            default=list(begin.choices),
            format_func=lambda value: parameter_words.words_of(model, path, value),
            key=f"sweep-choices-{key}",
        )
        if len(kept) > 1:
            return Dimension(path, choices=tuple(kept))
        st.error(f"Choose at least two values of {wording.escaped(title)}.", icon=":material/error:")
        return None
    kind: Any = int if begin.whole else float
    common: dict[str, Any] = {"format": "%d" if begin.whole else "%.6g", "step": 1 if begin.whole else None}
    left, middle, right = st.columns(PER_LINE, gap="medium", vertical_alignment="bottom")
    low = left.number_input(f"{title}: from", value=kind(begin.low), key=f"sweep-low-{key}", **common)
    high = middle.number_input(f"{title}: to", value=kind(begin.high), key=f"sweep-high-{key}", **common)
    log = right.toggle(
        "Log scale",
        begin.log,
        key=f"sweep-log-{key}",
        help=f"Draws {title} evenly in powers of ten.",
        disabled=low <= 0,
    )
    try:
        return spaces.dimension(model, f"{path}={low}..{high}:{'log' if log and low > 0 else 'linear'}")
    except ParameterError as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return None


def more(basis: Basis, proposed: str) -> tuple[str, str, int, int, bool]:
    """Draw the folded settings; return name, sampler, parallel, seed, and whether poor runs are ended early."""
    samplers = [name for name in study.SAMPLERS if name == "grid" or study.is_installed()]
    with st.expander("More settings", icon=":material/tune:"):
        name = st.text_input(
            "Name of the sweep", value=proposed, max_chars=200, key=f"sweep-name-{basis.dataset_id}-{proposed}"
        )
        left, middle, right = st.columns(PER_LINE, gap="medium")
        sampler = left.selectbox(
            "Values proposed by", samplers, format_func=study.SAMPLERS.__getitem__, key="sweep-sampler"
        )
        parallel = middle.number_input(
            "Trials at once",
            1,
            100,
            1,
            key="sweep-parallel",
            help="How many wait or run at a time. MAX_WORKERS limits how many run.",
        )
        seed = right.number_input("Seed", 0, value=0, key="sweep-seed", help="Of what the sampler draws.")
        prune = not basis.method and st.toggle(
            "End poor trainings early",
            key="sweep-prune",
            disabled=not study.is_installed(),
            help="After an epoch, a trial ends whose best validation Dice is below the median of those before it.",
        )
    return name, sampler, parallel, seed, bool(prune)


def submit(basis: Basis, space: list[Dimension], plan: Plan) -> None:
    """Store the sweep and open it, or show why not."""
    try:
        with resources.database().writing() as session:
            new = start_facts.start(session, basis, space, plan)
    except (NameTaken, NotReady, ParameterError) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit("")
    st.query_params.from_dict({"sweep": new.id})
    st.rerun()
