"""`python -m engine sweep` and its kin: many trials of settings that vary, and what they found."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import jobs, sweeps
from db.columns import utc_now
from db.models import Dataset, LabelSet, Run, Sweep, SweepKind, SweepState, Trial, TrialState
from db.names import by_id_or_name, counted_name, default_name, run_parts
from db.workers import Needs
from engine import VERSION
from engine.cli.commands import (
    AsJson,
    CommandFailed,
    Installation,
    Name,
    TrainLabels,
    TrainTruth,
    app,
    chosen_config,
    print_result,
    require_one_source,
)
from engine.cli.needs_option import Where, needs_from
from engine.core.parameters import from_assignments, parse
from engine.core.run_config import PRESETS, RunConfig
from engine.labelling.base import find_method
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.objective import CAUTION, SCORES, default_objective
from engine.work.launchers import launcher
from engine.work.registration import capacity_here, why_waiting
from engine.work.sweeps import longer, tried

POLL_S, LOOK_AFTER_WORKERS_S = 0.3, 2.0

Params = Annotated[
    list[str],
    typer.Option(
        "-p",
        "--param",
        metavar="KEY=VALUES",
        help="low..high, low..high:log or a,b,c varies; one value is the same for all trials. May be repeated.",
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait: workers go on with it.")]


@app.command()
def sweep(
    dataset: str,
    param: Params,
    labels: TrainLabels = None,
    truth: TrainTruth = False,
    method: Annotated[
        str | None, typer.Option(help="Vary this label method; a trial is a mask set in place of a run.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"Of runs: one of {', '.join(PRESETS)}.")] = None,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="How many trials.")] = 24,
    sampler: Annotated[str, typer.Option(help=f"One of {', '.join(study.SAMPLERS)}.")] = "tpe",
    objective: Annotated[
        str | None, typer.Option(help="truth, audit or label_free.  [default: truth where there is some]")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="End runs early that are below the median of the others.")
    ] = False,
    parallel: Annotated[int, typer.Option(min=1, max=100, help="Trials that wait or run at once.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler.")] = 0,
    needs: Where = None,
    name: Name = None,
    detach: Detach = False,
    as_json: AsJson = False,
):
    """Try settings of training, or of a label method, and find the best by one score."""
    _known(sampler, study.SAMPLERS, "sampler")
    if sampler != "grid":
        study.refuse_without_optuna()
    if method is None:
        require_one_source(labels, truth)
    elif labels is not None or truth or preset or prune:
        raise CommandFailed("--method makes mask sets; --labels, --truth, --preset and --prune are for runs.")
    needed = needs_from(needs)
    installation = Installation()
    kind = SweepKind.RUNS if method is None else SweepKind.MASKS
    varied, fixed = _separated(param)
    model: type[BaseModel] = find_method(method).params if method else RunConfig
    space = [spaces.dimension(model, text) for text in varied]
    settings: BaseModel
    if method:
        settings = parse(model, from_assignments(fixed))
    else:
        preset, settings = chosen_config(installation, preset, labels, from_assignments(fixed))
    spaces.refuse_idle(settings, space)
    values = settings.model_dump(mode="json")
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        label_set = by_id_or_name(session, LabelSet, labels) if labels is not None else None
        objective = objective or default_objective(kind, row.truth_count > 0, label_set is None)
        _known(objective, SCORES[kind], "objective")
        parts = run_parts(row.name, label_set.name if label_set else "truth") if method is None else (row.name, method)
        new = sweeps.create(
            session,
            Sweep(
                dataset_id=row.id,
                label_set_id=label_set.id if label_set else None,
                name=name or counted_name(session, Sweep, default_name(*parts, "sweep")),
                kind=kind,
                base={"method": method, "params": values, "seed": 0}
                if method
                else {"preset": preset, "config": values},
                space=spaces.to_json(space),
                sampler=sampler,
                objective=objective,
                prune=prune,
                trials=study.most_trials(space, sampler, trials),
                parallel=parallel,
                seed=seed,
                code_version=VERSION,
                needs=asdict(needed),
            ),
        )
    _go_on(installation, new.id, detach, as_json)


def _separated(params: list[str]) -> tuple[list[str], list[str]]:
    """Return the assignments that vary, and those with one value."""
    varied = [text for text in params if ".." in text.partition("=")[2] or "," in text.partition("=")[2]]
    return varied, [text for text in params if text not in varied]


def _known(value: str, known: Any, what: str) -> None:
    if value not in known:
        raise CommandFailed(f"There is no {what} {value!r}. Known: {', '.join(known)}.")


@app.command("sweeps")
def sweeps_(
    name: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="Show one with its trials.")] = None,
    as_json: AsJson = False,
):
    """List the sweeps, or show one with its trials."""
    installation = Installation()
    with installation.database.reading() as session:
        if name is not None:
            result = sweep_result(session, by_id_or_name(session, Sweep, name))
            print_result(result, as_json, _sentences(result))
            return
        entries = [sweep_result(session, each) for each in sweeps.listing(session)]
    lines = [f"{entry['state']:<8}  {_score(entry)}  {entry['name']}" for entry in entries]
    print_result(entries, as_json, "\n".join(lines) or "No sweeps yet.")


@app.command("sweep-stop")
def sweep_stop(name: Annotated[str, typer.Argument(metavar="SWEEP")], as_json: AsJson = False):
    """Stop a sweep: the trial at work is stopped, and what is finished stays."""
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Sweep, name)
        sweeps.stop(session, row.id)
    print_result({"sweep": row.id, "state": "stopped"}, as_json, f"{row.name!r} is stopped; `sweep-extend` resumes it.")


@app.command("sweep-extend")
def sweep_extend(
    name: Annotated[str, typer.Argument(metavar="SWEEP")],
    trials: Annotated[int, typer.Option(min=0, max=10_000, help="How many more; 0 only resumes.")] = 0,
    detach: Detach = False,
    as_json: AsJson = False,
):
    """Resume a sweep that was stopped, and let it try more."""
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Sweep, name)
        if row.sampler == "grid":
            trials = study.most_trials(spaces.from_json(row.space), "grid", row.trials + trials) - row.trials
        sweeps.extend(session, row.id, trials)
    _go_on(installation, row.id, detach, as_json)


@app.command("sweep-retry")
def sweep_retry(name: Annotated[str, typer.Argument(metavar="SWEEP")], detach: Detach = False, as_json: AsJson = False):
    """Run the trials of a sweep again that failed."""
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Sweep, name)
        if not sweeps.retry_failed(session, row.id):
            raise CommandFailed(f"{row.name!r} has no failed trial that can be retried.")
    _go_on(installation, row.id, detach, as_json)


@app.command("sweep-train-best")
def sweep_train_best(
    name: Annotated[str, typer.Argument(metavar="SWEEP")],
    times: Annotated[float, typer.Option(min=1, max=100, help="So many times the epochs of the trial.")] = 3.0,
    as_json: AsJson = False,
):
    """Train a run with the settings of the best trial for more epochs."""
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Sweep, name)
        run, job = longer(session, row, times)
    job = installation.finish(job.id, as_json)
    with installation.database.reading() as session:
        run = session.get_one(Run, run.id)
    result = {"run": run.id, "name": run.name, "epochs": run.config["training"]["epochs"], "ended": run.ended_reason}
    print_result(result, as_json, f"{run.name!r}: {run.ended_reason}")


def _go_on(installation: Installation, sweep_id: str, detach: bool, as_json: bool) -> None:
    if detach:
        launcher(installation.settings).submit("")
    else:
        _follow(installation, sweep_id, as_json)
    with installation.database.reading() as session:
        row = session.get_one(Sweep, sweep_id)
        result = sweep_result(session, row)
    if row.error:
        raise CommandFailed(row.error)
    print_result(result, as_json, _sentences(result, listed=False))


def _follow(installation: Installation, sweep_id: str, quiet: bool) -> None:
    """Wait for a sweep to end. Each trial is a line on standard error; Ctrl-C stops the sweep."""
    current = installation.settings
    starter = launcher(current)
    said = _say_why(installation, sweep_id, "")
    starter.submit("")
    shown: set[int] = set()
    looked_at = time.monotonic()
    while True:
        try:
            with installation.database.reading() as session:
                row = session.get_one(Sweep, sweep_id)
                rows = sweeps.trials(session, sweep_id)
            for each in rows:
                if each.state != TrialState.RUNNING and each.number not in shown:
                    shown.add(each.number)
                    if not quiet:
                        print(_line(_trial_result(each)), file=sys.stderr, flush=True)
            if row.state != SweepState.RUNNING and all(each.state != TrialState.RUNNING for each in rows):
                return
            if time.monotonic() - looked_at > LOOK_AFTER_WORKERS_S:
                looked_at = time.monotonic()
                if _wants_worker(installation):
                    starter.submit("")
                starter.look_after(installation.database)
                said = _say_why(installation, sweep_id, said)
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            with installation.database.writing() as session:
                sweeps.stop(session, sweep_id)
            print("Stopping; what is finished is kept.", file=sys.stderr)


def _say_why(installation: Installation, sweep_id: str, said: str) -> str:
    """Print why no worker can take a trial, unless that was said last. Returns what was said last."""
    with installation.database.reading() as session:
        needs = Needs(**session.get_one(Sweep, sweep_id).needs)
        why = why_waiting(session, installation.settings, needs)
    if why in ("", said):
        return said
    print(why, file=sys.stderr, flush=True)
    return why


def _wants_worker(installation: Installation) -> bool:
    """Requeue lost jobs; return whether a job or a sweep waits for a worker of this machine."""
    current, now = installation.settings, utc_now()
    with installation.database.writing() as session:
        jobs.requeue_lost(session, now, current.lost_after_s)
        running = jobs.running(session, now, current.lost_after_s)
        here = capacity_here(current)
        queued = jobs.waiting_without_worker(session, now, current.lost_after_s, current.max_workers, here)
        return queued or (running == 0 and sweeps.waiting(session))


def sweep_result(session: Session, row: Sweep) -> dict[str, Any]:
    """Return a sweep as JSON: what varies, its score in words, and its trials."""
    rows, space = sweeps.trials(session, row.id), spaces.from_json(row.space)
    best = sweeps.best(rows)
    return {
        "sweep": row.id,
        "name": row.name,
        "dataset": session.scalar(select(Dataset.name).where(Dataset.id == row.dataset_id)),
        "kind": row.kind.value,
        "state": row.state.value,
        "error": row.error,
        "sampler": row.sampler,
        "objective": row.objective,
        "score": SCORES[row.kind][row.objective],
        "space": {each.path: each.words() for each in space},
        "budget": row.trials,
        "counts": sweeps.counts(session, row.id),
        "best": _trial_result(best) if best else None,
        "importance": study.importances(space, tried(session, row)),
        "trials": [_trial_result(each) for each in rows],
    }


def _trial_result(row: Trial) -> dict[str, Any]:
    return {
        "trial": row.number + 1,
        "state": row.state.value,
        "score": row.score,
        "values": row.params,
        "run": row.run_id,
        "label_set": row.label_set_id,
        "pruned_epoch": row.pruned_epoch if row.state == TrialState.PRUNED else None,
        "error": row.error,
    }


def _line(entry: dict[str, Any]) -> str:
    values = ", ".join(
        f"{path}={value:g}" if isinstance(value, float) else f"{path}={value}"
        for path, value in entry["values"].items()
    )
    score = "     –" if entry["score"] is None else f"{entry['score']:.4f}"
    pruned = f" after epoch {entry['pruned_epoch']}" if entry["pruned_epoch"] else ""
    return f"{entry['trial']:>4}  {score}  {entry['state']}{pruned}  {values}  {entry['error']}".rstrip()


def _score(entry: dict[str, Any]) -> str:
    if entry["best"] is None:
        return f"{len(entry['trials'])} of {entry['budget']} trials, none scored"
    return f"{len(entry['trials'])} of {entry['budget']} trials, best {entry['best']['score']:.4f} ({entry['score']})"


def _sentences(entry: dict[str, Any], *, listed: bool = True) -> str:
    lines = [f"{entry['name']!r} ({entry['state']}): {_score(entry)}."]
    lines += [_line(each) for each in entry["trials"]] if listed else []
    if entry["best"]:
        lines.append(f"Best: {_line(entry['best']).strip()}")
    if entry["importance"]:
        shares = ", ".join(f"{path} {share:.0%}" for path, share in entry["importance"].items())
        lines.append(f"Importance: {shares}.")
    if entry["best"]:
        lines.append(CAUTION)
    return "\n".join(lines)
