"""The gallery page, without a browser: the address decides what is shown, and scores name their reference."""

from __future__ import annotations

import re

import pytest

from db import datasets, rounds, runs
from db.models import Job, Label, Prediction
from engine.core.settings import settings
from tests.support.installation import add_discs
from tests.support.pages import page_at
from tests.support.predicted import add_label_set, add_run

COUNTS = {
    "Successes": r":green\[(\w+) success",
    "Failures": r":red\[(\w+) failure",
    "Without this class": r"(\d+) without this class",
}


@pytest.fixture
def page(installation, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(installation.settings.data_root))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings.cache_clear()

    def open_page(**query):
        at = page_at("views/gallery/page.py", **query).run()
        assert not at.exception
        return at

    yield open_page
    settings.cache_clear()


def metrics(at):
    """The scores of an opened image, or the line of the gallery: its mean and how many images succeeded or failed."""
    found = {metric.label.replace("\\-", "-"): metric.value for metric in at.metric}  # as Markdown shows them
    line = " ".join(element.value for element in at.markdown)
    for title, value in re.findall(r"(Mean (?:(?!Mean ).)+?) \*\*([0-9.–]+)\*\* over", line):
        found[title.replace("\\-", "-")] = value
    for name, pattern in COUNTS.items():
        for number in re.findall(pattern, line):
            found[name] = number.replace("no", "0")
    return found


def text_of(at):
    return " ".join(element.value for kind in (at.markdown, at.caption, at.info, at.warning) for element in kind)


def test_without_a_run_the_page_links_to_training(page):
    at = page()
    assert "No run yet" in text_of(at)
    assert [button.label for button in at.button] == ["Train a network"]


def test_masks_of_the_whole_image_are_doubted(page, installation):
    run = add_run(installation, add_discs(installation), "r")
    assert "The masks cover" not in text_of(page(run=run.id))
    assert "The masks cover 100% of the image on average. Check them before you use them." in text_of(
        page(run=run.id, threshold="0.0")
    )


def test_counts_follow_both_thresholds(page, installation):
    run = add_run(installation, add_discs(installation, 6), "r", shifts_px=(0,))
    at = page(run=run.id)
    assert (metrics(at)["Mean Dice vs truth"], metrics(at)["Successes"], metrics(at)["Failures"]) == ("1.000", "6", "0")
    at.slider(key="threshold").set_value(0.3).run()
    at.slider(key="success").set_value(1.0).run()
    assert (metrics(at)["Successes"], metrics(at)["Failures"]) == ("0", "6")


def test_the_address_opens_the_same_view(page, installation):
    dataset = add_discs(installation, 6)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset))
    add_run(installation, dataset, "newer")
    at = page(run=run.id, show="Failures", split="Validation", sort="Best first", threshold="0.4", success="0.9")
    assert at.selectbox(key="gallery-run").value == run.id
    assert at.slider(key="threshold").value == 0.4
    assert at.slider(key="success").value == 0.9
    assert at.selectbox(key="sort").value == "Best first"
    assert int(metrics(at)["Successes"]) + int(metrics(at)["Failures"]) == 2


def test_the_reference_is_named_and_can_be_switched(page, installation):
    dataset = add_discs(installation, 6)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset))
    at = page(run=run.id)
    assert "Mean Dice vs truth" in metrics(at)
    at = page(run=run.id, reference="Pseudo-label")
    assert "Mean agreement with the pseudo-label" in metrics(at)
    assert "Mean Dice vs truth" not in metrics(at)


def test_an_image_opens_with_all_its_scores_and_links_to_the_next(page, installation):
    dataset = add_discs(installation, 6)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset))
    with installation.database.reading() as session:
        first = {image.name: image.id for image in datasets.images(session, dataset.id)}["disc 0.png"]
    at = page(run=run.id, image=first, sort="Name")
    shown = metrics(at)
    assert shown["Dice vs truth · :green[success]"] == "1.000"
    assert {"Agreement with the pseudo-label", "Mask covers"} <= set(shown)
    assert "IoU with truth 1.000" in {metric.delta for metric in at.metric}
    assert "64 × 64 px · validation side of the split" in text_of(at)
    buttons = {button.label: button for button in at.button}
    assert buttons["Previous"].disabled and not buttons["Next"].disabled
    buttons["Next"].click().run()
    assert at.query_params["image"] != first
    assert "2 of 6" in text_of(at)
    {button.label: button for button in at.button}["Back to the gallery"].click().run()
    assert "image" not in at.query_params


def test_filters_without_a_match_are_reported(page, installation):
    run = add_run(installation, add_discs(installation, 3), "r")
    assert "No image matches" in text_of(page(run=run.id, search="no such name"))


def test_a_run_without_masks_offers_to_predict_them(page, installation, monkeypatch):
    run = add_run(installation, add_discs(installation, 3), "r", shifts_px=())
    started = []
    monkeypatch.setattr(
        "dashboard.server.resources.launcher", lambda: type("L", (), {"submit": staticmethod(started.append)})
    )
    at = page(run=run.id)
    assert "has no masks yet" in text_of(at)
    {button.label: button for button in at.button}["Predict the masks"].click().run()
    assert not at.exception
    with installation.database.reading() as session:
        (job,) = session.query(Job).all()
    assert (job.kind, job.payload["run"], started) == ("predict", run.id, [job.id])
    assert "once the run has predicted them" in text_of(at)


def test_a_deleted_run_is_reported(page, installation):
    add_run(installation, add_discs(installation, 3), "r")
    assert "no longer exists" in text_of(page(run="0" * 32))


def test_pages_are_kept_in_the_address_and_restart_with_another_filter(page, installation):
    run = add_run(installation, add_discs(installation, 50, size_px=40), "r")
    at = page(run=run.id, page="2")
    (pagination,) = at.get("pagination")
    assert pagination.value == 2
    at.selectbox(key="sort").set_value("Name").run()
    assert not at.exception
    assert at.get("pagination")[0].value == 1 and "page" not in at.query_params
    assert page(run=run.id, page="99").get("pagination")[0].value == 2
    assert page(run=run.id, page="first").get("pagination")[0].value == 1


def test_uncertainty_is_offered_if_there_are_maps_and_encoder_weights_are_shown_with_the_mean(page, installation):
    run = add_run(installation, add_discs(installation, 6), "first")
    at = page(run=run.id)
    assert "Uncertainty" not in at.selectbox("view").options and "Least sure first" not in at.selectbox("sort").options
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={"weights": "MobileNetV2 encoder: ImageNet"})
        for number, row in enumerate(session.query(Prediction)):
            row.uncertainty = number / 10
            row.truth_dice = number / 10  # the cache of scores notices
        image_id = row.image_id
    at = page(run=run.id, view="Uncertainty", sort="Least sure first")
    assert at.selectbox("view").value == "Uncertainty" and at.selectbox("sort").value == "Least sure first"
    assert "ImageNet weights" in text_of(at)
    assert metrics(page(run=run.id, image=image_id))["Uncertainty"] == "0.500"


def set_predictions(installation, **columns):
    """Give every prediction of the only run these numbers, one for each."""
    with installation.database.writing() as session:
        rows = session.query(Prediction).all()
        for number, row in enumerate(rows):
            for name, values in columns.items():
                setattr(row, name, values[number])
        rows[0].label_dice = 0.123  # the cache of scores notices
        return [row.image_id for row in rows]


def test_without_truth_the_suspicious_come_first_and_nothing_mentions_truth(page, installation):
    dataset = add_discs(installation, 6)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset), score_truth=False)
    at = page(run=run.id)
    assert at.selectbox("sort").value == "Suspicious first"
    assert not {"Network beats label first", "Least stable first"} & set(at.selectbox("sort").options)
    assert "Mean agreement with the pseudo-label" in metrics(at)
    assert not at.expander and "truth" not in text_of(at)


def test_filters_narrow_the_counts_are_described_and_cleared(page, installation):
    run = add_run(installation, add_discs(installation, 6), "r")
    set_predictions(installation, uncertainty=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], flip_agreement=[0.9] * 6)
    at = page(run=run.id, search="disc", split="Train")
    assert "4 of 6 images" in text_of(at)
    at.slider(key="uncertainty").set_value((0.15, 0.55)).run()
    assert "3 of 6 images" in text_of(at) and "uncertainty 0.15 to 0.55" in text_of(at).replace("\\", "")
    assert int(metrics(at)["Successes"]) + int(metrics(at)["Failures"]) == 3
    {button.label: button for button in at.button}["Clear filters"].click().run()
    assert not at.exception
    assert "of 6 images" not in text_of(at)
    assert at.slider(key="uncertainty").value == (0.0, 1.0) and at.text_input(key="search").value == ""
    assert int(metrics(at)["Successes"]) + int(metrics(at)["Failures"]) == 6


def test_network_and_labels_are_counted_against_truth(page, installation):
    dataset = add_discs(installation, 6)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset))
    with installation.database.writing() as session:
        for label in session.query(Label):
            label.dice = 0.99  # only the first disc is drawn exactly
    set_predictions(installation, uncertainty=[0.1] * 6)
    at = page(run=run.id)
    assert "nearer to truth than its labels on 1 of 6 images, its labels on 5." in text_of(at)
    at = page(run=run.id, nearer="Label", view="Label, network, truth")
    assert "5 of 6 images" in text_of(at) and "label nearer to truth" in text_of(at)
    assert "pseudo-label, prediction and truth" in text_of(at)
    for share, words in ((0.5, "These masks are nearer to truth than the labels on 1 of 6"), (1.0, "")):
        with installation.database.writing() as session:
            runs.update_run(session, run.id, details={rounds.LABEL_SHARE: share})
        shown = text_of(page(run=run.id))
        assert "Scores against truth are of these masks" in shown
        assert (words in shown) if words else ("nearer to truth than" not in shown)


def test_the_orders_are_compared_with_truth_on_demand(page, installation):
    run = add_run(installation, add_discs(installation, 12), "r")
    set_predictions(installation, uncertainty=[number / 12 for number in range(12)], flip_agreement=[0.5] * 12)
    at = page(run=run.id)
    assert not at.dataframe
    at.session_state["ranks"] = True
    at.run()
    assert not at.exception
    (shown,) = at.dataframe
    assert list(shown.value["Order"]) == [
        "Suspicious first",
        "Least sure first",
        "Least stable first",
        "Unusual area first",
    ]
    assert list(shown.value["Verdict"])[2] == "too few images"  # all equal


def test_pages_turn_by_buttons_with_keys(page, installation):
    run = add_run(installation, add_discs(installation, 50, size_px=40), "r")
    at = page(run=run.id)
    buttons = {button.label: button for button in at.button}
    assert buttons["Previous"].disabled
    buttons["Next"].click().run()
    assert not at.exception
    assert at.query_params["page"] == "2" and at.get("pagination")[0].value == 2
    buttons = {button.label: button for button in at.button}
    assert buttons["Next"].disabled
    buttons["Previous"].click().run()
    assert "page" not in at.query_params


def test_another_run_starts_with_its_default_order(page, installation):
    dataset = add_discs(installation, 6)
    label_set_id = add_label_set(installation, dataset)
    scored = add_run(installation, dataset, "scored", label_set_id=label_set_id)
    blind = add_run(installation, dataset, "blind", label_set_id=label_set_id, score_truth=False)
    at = page(run=scored.id)
    assert at.selectbox("sort").value == "Worst first"
    at.selectbox("gallery-run").set_value(blind.id).run()
    assert at.selectbox("sort").value == "Suspicious first"
    at.selectbox("sort").set_value("Name").run()
    at.selectbox("gallery-run").set_value(scored.id).run()
    assert at.selectbox("sort").value == "Name"
    assert page(run=blind.id, sort="Worst first").selectbox("sort").value == "Worst first"  # the address wins


def test_an_address_with_the_old_name_of_an_order_still_opens_it(page, installation):
    run = add_run(installation, add_discs(installation, 6), "r")
    set_predictions(installation, flip_agreement=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert page(run=run.id, sort="Mirror disagrees first").selectbox("sort").value == "Least stable first"
