"""The Sweeps page, with its real widgets but without a browser."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from dashboard.access import rights
from db import sweeps, workers
from db.actors import Actor, Role
from db.columns import new_id, utc_now
from db.models import Job, Run, Sweep, SweepKind, SweepState, Worker, WorkerKind
from db.workers import Needs
from engine.sweeps import study
from tests.support.installation import add_discs
from tests.support.pages import words
from tests.support.predicted import add_label_set
from tests.support.pressing import press_in_dialog
from tests.support.swept import add_mask_sweep, add_run_sweep

PAGE = "views/sweeps/page.py"


def keys(at):
    return {button.key for button in at.button}


def only_sweep(installation):
    with installation.database.reading() as session:
        return session.query(Sweep).one()


def test_without_sweeps_the_page_leads_to_the_form_and_that_to_a_dataset(open_page):
    at = open_page(PAGE)
    assert "No sweeps yet" in words(at)
    at.button("sweep-new").click().run()
    assert not at.exception
    assert "Import a dataset first" in words(at)
    assert any(button.label == "Go to Datasets" for button in at.button)


def test_a_sweep_of_a_label_method_is_started_from_the_form(open_page, submitted, installation):
    dataset = add_discs(installation, 3)
    at = open_page(PAGE, new="1")
    at.segmented_control("sweep-kind").set_value("Mask sets").run()
    at.multiselect("sweep-varies-threshold").set_value(["offset", "foreground"]).run()
    at.number_input("sweep-low-threshold-offset").set_value(-30).run()
    at.multiselect("sweep-choices-threshold-foreground").set_value(["darker", "lighter"]).run()
    at.number_input("sweep-trials").set_value(5).run()
    at.button("sweep-start").click().run()
    assert not at.exception and not at.error
    row = only_sweep(installation)
    assert (row.dataset_id, row.kind, row.base["method"]) == (dataset.id, SweepKind.MASKS, "threshold")
    assert (row.trials, row.objective, row.sampler) == (5, "truth", "tpe")
    assert [(each["path"], each["low"], each["choices"]) for each in row.space] == [
        ("offset", -30, []),
        ("foreground", 0.0, ["darker", "lighter"]),
    ]
    assert submitted == [""]
    assert at.query_params["sweep"] == [row.id] or at.query_params["sweep"] == row.id
    assert row.name in words(at)


def test_the_trials_ask_for_the_chosen_machine(open_page, installation):
    add_discs(installation, 3)
    at = open_page(PAGE, new="1")
    assert "Where to run" not in {each.label for each in at.selectbox}
    lab = Worker(id=new_id(), kind=WorkerKind.JOINED, host="lab-1", pid=1, version="1", started_at=utc_now())
    lab.memory_mb, lab.gpus, lab.tags, lab.slots, lab.cores = 64_000, ["H200"], [], 1, 16
    with installation.database.writing() as session:
        workers.beat(session, lab)
    at = open_page(PAGE, new="1")
    at.segmented_control("sweep-kind").set_value("Mask sets").run()
    at.selectbox("sweep-where").select(Needs(gpu=True)).run()
    at.button("sweep-start").click().run()
    assert not at.exception and not at.error
    assert Needs(**only_sweep(installation).needs) == Needs(gpu=True)


def test_a_sweep_of_runs_has_the_settings_of_the_train_page(open_page, installation):
    dataset = add_discs(installation, 4)
    labels = add_label_set(installation, dataset)
    at = open_page(PAGE, new="1", dataset=dataset.id, labels=labels, preset="fast", p="training.epochs=7")
    assert not at.exception
    assert "Epochs" not in words(at) and "at most 7 epochs" in words(at)
    assert at.selectbox(f"sweep-objective-runs-{dataset.id}-{labels}").options == [
        "Validation Dice vs truth",
        "Validation Dice vs pseudo-label",
    ]
    at.toggle("sweep-prune").set_value(True).run()
    at.button("sweep-start").click().run()
    assert not at.exception and not at.error
    row = only_sweep(installation)
    assert (row.label_set_id, row.base["config"]["training"]["epochs"], row.prune) == (labels, 7, True)
    assert [each["path"] for each in row.space] == ["training.learning_rate", "training.loss"]


def test_a_run_on_truth_is_not_scored_by_its_pseudo_label(open_page, installation):
    dataset = add_discs(installation, 4)
    at = open_page(PAGE, new="1", dataset=dataset.id, labels="truth")
    assert at.selectbox(f"sweep-objective-runs-{dataset.id}-truth").options == ["Validation Dice vs truth"]


def test_a_wrong_range_is_named_and_nothing_can_be_started(open_page, installation):
    add_discs(installation, 3)
    at = open_page(PAGE, new="1", method="threshold")
    at.multiselect("sweep-varies-threshold").set_value(["offset"]).run()
    at.number_input("sweep-high-threshold-offset").set_value(500).run()
    assert "offset" in at.error[0].value and at.button("sweep-start").disabled


def test_without_optuna_one_sentence_says_how_to_install_it_and_a_grid_remains(open_page, installation, monkeypatch):
    monkeypatch.setattr(study, "is_installed", lambda: False)
    add_discs(installation, 3)
    at = open_page(PAGE, new="1", method="threshold")
    assert "pip install" in at.info[0].value
    assert at.selectbox("sweep-sampler").options == ["Grid: every combination"]


def test_a_finished_sweep_shows_its_objective_best_trial_and_charts(open_page, installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.1, 0.9, 0.2, 0.8, 0.15, 0.95])
    at = open_page(PAGE, sweep=sweep.id)
    assert not at.exception
    text = words(at)
    assert "Scored by **Dice vs truth**" in text and "**0.9500** in trial 6" in text
    assert "a little too high" in text
    charts = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    assert [chart["data"][0]["type"] for chart in charts] == ["scatter", "scatter"]
    assert charts[0]["data"][1]["y"] == [0.1, 0.9, 0.9, 0.9, 0.9, 0.95]
    named = [note["text"] for note in charts[1]["layout"]["annotations"]]
    titles = ["Offset (grey levels)", "Foreground", "Dice vs truth"]
    assert [text for text in named if text.startswith("<b>")] == [f"<b>{title}</b>" for title in titles]
    assert {"-40", "40", "Darker", "Lighter", "0.1", "0.95"} < set(named)
    best = charts[1]["data"][-1]
    assert (best["x"][:3], best["y"][:3]) == ([0, 1, 2], [(10 + 40) / 80, 1, 1])
    assert sum(None in trace["x"] for trace in charts[1]["data"]) >= 5
    table = at.dataframe[0].value
    assert list(table["Dice vs truth"]) == [0.1, 0.9, 0.2, 0.8, 0.15, 0.95]
    assert {"sweep-stop", "sweep-train_best", "sweep-retry"} & keys(at) == set()


def test_it_is_stopped_resumed_extended_and_its_failed_trials_retried(open_page, submitted, installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.3, None], trials=4, state=SweepState.RUNNING)
    at = open_page(PAGE, sweep=sweep.id)
    assert "sweep-resume" not in keys(at) and at.button("sweep-delete").disabled
    at.button("sweep-stop").click().run()
    assert only_sweep(installation).state == SweepState.STOPPED and "sweep-stop" not in keys(at)
    at.button("sweep-resume").click().run()
    assert only_sweep(installation).state == SweepState.RUNNING
    at.number_input("sweep-more").set_value(3)
    at.button("sweep-extend").click().run()
    assert only_sweep(installation).trials == 7
    at.button("sweep-retry").click().run()
    assert not at.exception
    with installation.database.reading() as session:
        assert [trial.state for trial in sweeps.trials(session, sweep.id)] == ["complete", "running"]
        waiting = [job.id for job in session.query(Job) if not job.status.ended]
    assert len(waiting) == 1 and set(submitted) == {""}
    assert "Trial 2 · queued" in words(at)


def test_the_best_is_trained_longer(open_page, submitted, installation):
    sweep = add_run_sweep(installation, add_discs(installation, 4), [0.3, 0.6])
    with installation.database.writing() as session:
        session.get_one(Sweep, sweep.id).needs = asdict(Needs(tag="lab"))
    at = open_page(PAGE, sweep=sweep.id)
    at.button("sweep-train_best").click().run()
    assert not at.exception
    with installation.database.reading() as session:
        assert session.query(Job).order_by(Job.created_at.desc()).first().needs_tag == "lab"
        run = session.query(Run).filter(Run.name.contains("best")).one()
        (best,) = (row for row in sweeps.trials(session, sweep.id) if row.score == 0.6)
        epochs = session.get_one(Run, best.run_id).config["training"]["epochs"]
    assert run.config["training"]["epochs"] == 3 * epochs
    assert run.config["training"]["learning_rate"] == 0.002
    assert len(submitted) == 1 and at.title[0].value == "Runs"


def test_a_run_leads_to_the_sweep_that_it_is_a_trial_of(open_page, installation):
    sweep = add_run_sweep(installation, add_discs(installation, 4), [0.3])
    with installation.database.reading() as session:
        (trial,) = sweeps.trials(session, sweep.id)
    at = open_page("views/runs/page.py", run=trial.run_id)
    assert not at.exception
    (link,) = [link for link in at.get("page_link") if link.proto.label == "Its sweep"]
    assert link.proto.query_string == f"sweep={sweep.id}"


def test_a_sweep_is_deleted_and_its_mask_sets_stay(open_page, installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.3])
    at = open_page(PAGE, sweep=sweep.id)
    at.button("sweep-delete").click().run()
    press_in_dialog(at, "sweep-delete", "delete-go")
    with installation.database.reading() as session:
        assert session.query(Sweep).count() == 0 and session.query(Job).count() == 1


def test_a_viewer_sees_everything_and_changes_nothing(open_page, installation, monkeypatch):
    dataset = add_discs(installation, 3)
    sweep = add_run_sweep(installation, dataset, [0.3, None], trials=4, state=SweepState.STOPPED)
    monkeypatch.setattr(rights, "who", lambda: Actor("Vera", Role.VIEWER, "v" * 32))
    assert keys(open_page(PAGE)) == set()
    at = open_page(PAGE, sweep=sweep.id)
    assert "**0.3000** in trial 1" in words(at) and len(at.dataframe[0].value) == 2
    assert keys(at) == {"sweeps-all"}
    at = open_page(PAGE, new="1", dataset=dataset.id)
    assert not at.exception
    assert "requires the role editor" in words(at) and keys(at) == {"sweeps-all"}


def test_a_sweep_that_is_gone_is_said_to_be(open_page):
    at = open_page(PAGE, sweep=new_id())
    assert not at.exception and "no longer exists" in words(at)


def test_the_list_names_the_score_of_each(open_page, installation):
    dataset = add_discs(installation, 4)
    add_mask_sweep(installation, dataset, [0.3, 0.6])
    add_run_sweep(installation, dataset)
    table = open_page(PAGE).dataframe[0].value
    assert list(table["Sweep"]) == ["rates", "offsets"]
    assert list(table["Scored by"]) == ["Validation Dice vs truth", "Dice vs truth"]
    assert list(table["Best"])[1] == pytest.approx(0.6)
