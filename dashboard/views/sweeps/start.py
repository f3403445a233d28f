"""The form of a new sweep, around the settings that the Train page had."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import escaped
from dashboard.server.resources import database, launcher
from dashboard.views.sweeps import facts
from db import sweeps
from db.models import Sweep, SweepKind
from db.names import NameTaken, counted_name, default_name, run_parts
from db.submissions import NotReady
from engine import VERSION
from engine.core.parameters import ParameterError, field_schemas, from_assignments
from engine.core.run_config import DEFAULT_PRESET, RunConfig, config_from
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.objective import CAUTION, SCORES, default_objective
from engine.sweeps.space import Dimension

FIRST = ("training.learning_rate", "training.loss")


def start(dataset_id: str) -> None:
    """Draw the form for what is in the URL, as the Train page puts it there: dataset, labels, preset and p."""
    with database().reading() as session:
        subject = facts.subject(session, dataset_id, st.query_params.get("labels", "truth"))
    preset = st.query_params.get("preset", DEFAULT_PRESET)
    if subject is None:
        st.warning("What was to be trained on was deleted meanwhile. Choose again on the Train page.")
        return
    try:
        config = config_from(preset, from_assignments(st.query_params.get_all("p")))
    except ParameterError as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.header("New sweep")
    st.caption(
        f"Trains on {escaped(subject.teacher)} of {escaped(subject.dataset)}, from the preset {escaped(preset)} with "
        "the settings of the Train page."
    )
    if not study.is_installed():
        st.warning(study.NOT_INSTALLED, icon=":material/extension_off:")
        return
    names = facts.choices(config)
    chosen = st.multiselect(
        "What varies",
        list(names),
        default=[path for path in FIRST if path in names],
        format_func=names.__getitem__,
        key="sweep-varies",
    )
    space = [_dimension(config, path, names[path]) for path in chosen]
    left, middle, right = st.columns(3)
    trials = left.number_input("Trials", 1, 10_000, 24, key="sweep-trials")
    sampler = middle.selectbox(
        "Proposed by", list(study.SAMPLERS), format_func=study.SAMPLERS.__getitem__, key="sweep-sampler"
    )
    scores = dict(SCORES[SweepKind.RUNS])
    if not subject.truth:
        scores.pop("truth")
    if subject.label_set_id is None:
        scores.pop("label_free")
    proposed = default_objective(SweepKind.RUNS, subject.truth, subject.label_set_id is None)
    objective = right.selectbox(
        "Objective",
        list(scores),
        index=list(scores).index(proposed),
        format_func=scores.__getitem__,
        key="sweep-objective",
        help=CAUTION,
    )
    prune = st.toggle(
        "End poor trials early",
        key="sweep-prune",
        help="After an epoch, a run ends whose best validation Dice is below the median of the trials before.",
    )
    if rights.only_looking("Sweeping") or not st.button(
        "Start sweep",
        type="primary",
        icon=":material/play_arrow:",
        key="sweep-start",
        disabled=not all(space) or not space,
    ):
        return
    found = [each for each in space if each is not None]
    _submit(subject, preset, config, found, trials=trials, sampler=sampler, objective=objective, prune=prune)


def _dimension(config: RunConfig, path: str, title: str) -> Dimension | None:
    """Draw what a parameter varies between; return None if that is no range."""
    group, _, name = path.rpartition(".")
    owner = getattr(config, group)
    begin = spaces.suggested(path, field_schemas(type(owner))[name], getattr(owner, name))
    if begin.choices:
        words = facts.options_in_words(path, begin.choices)
        kept = st.multiselect(
            title, list(words), default=list(words), format_func=words.__getitem__, key=f"sweep-choices-{path}"
        )
        return Dimension(path, choices=tuple(kept)) if len(kept) > 1 else None
    left, right = st.columns(2)
    kind: Any = int if begin.whole else float
    number_format = None if begin.whole else "%.6g"
    low = left.number_input(f"{title}, from", value=kind(begin.low), format=number_format, key=f"sweep-low-{path}")
    high = right.number_input(f"{title}, to", value=kind(begin.high), format=number_format, key=f"sweep-high-{path}")
    scale = ":log" if begin.log and low > 0 else ":linear"
    try:
        return spaces.dimension(RunConfig, f"{path}={low}..{high}{scale}")
    except ParameterError as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return None


def _submit(subject: facts.Subject, preset: str, config: RunConfig, space: list[Dimension], **values: Any) -> None:
    try:
        spaces.refuse_idle(config, space)
        with database().writing() as session:
            parts = run_parts(subject.dataset, subject.teacher.removeprefix("mask set "))
            new = sweeps.create(
                session,
                Sweep(
                    dataset_id=subject.dataset_id,
                    label_set_id=subject.label_set_id,
                    name=counted_name(session, Sweep, default_name(*parts, "sweep")),
                    kind=SweepKind.RUNS,
                    base={"preset": preset, "config": config.model_dump(mode="json")},
                    space=spaces.to_json(space),
                    code_version=VERSION,
                    **(values | {"trials": study.most_trials(space, values["sampler"], values["trials"])}),
                ),
            )
    except (NameTaken, NotReady, ParameterError) as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    launcher().submit("")
    st.query_params.clear()
    st.query_params["sweep"] = new.id
    st.rerun()
