"""The summary of a run on the Runs page, and the targets of its links and suggestions."""

import pytest

from dashboard.views.runs.image_facts import RANKS
from db import rounds, runs
from engine.core.run_config import config_from
from tests.dashboard.views.runs.test_page import PAGE, texts
from tests.support.installation import add_discs
from tests.support.live_page import given
from tests.support.predicted import add_label_set, add_run
from tests.support.run_states import start, work


@pytest.fixture
def dataset(installation):
    return add_discs(installation, count=4)


def test_an_ended_run_is_summarised_with_links_to_its_weakest_images(installation, open_page, dataset):
    run = add_run(installation, add_discs(installation, count=60, name="many"), "told", epochs=8)
    app = open_page(PAGE, run=run.id)
    assert not app.exception
    assert "What happened" in [header.value for header in app.subheader]
    assert "Image by image, **Dice vs truth of the masks is" in texts(app)
    (examples,) = [data["tiles"] for data in given(app) if "tiles" in data]
    assert [tile["subtitle"] for tile in examples] == list(RANKS)
    scores = [float(tile["badge"]) for tile in examples]
    assert scores == sorted(scores) and all("/predictions/" in tile["mask"] for tile in examples)
    assert [metric.label for metric in app.metric] == ["Dice vs truth"]  # one score
    assert not app.get("plotly_chart")
    links = [link.proto for link in app.get("page_link") if "image=" in link.proto.query_string]
    assert len(links) == 4  # a fifth of 20 validation images
    assert all(f"run={run.id}" in link.query_string and ".png (" in link.label for link in links)


def test_masks_that_are_the_labels_are_not_compared_with_the_labels(installation, open_page, dataset):
    run = add_run(installation, dataset, "kept", label_set_id=add_label_set(installation, dataset), score_truth=False)
    app = open_page(PAGE, run=run.id)
    (shown,) = [data for data in given(app) if "tiles" in data]
    assert all(tile["reference"] for tile in shown["tiles"])
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={rounds.LABEL_SHARE: 1.0})
    app = open_page(PAGE, run=run.id)
    assert not app.exception
    (shown,) = [data for data in given(app) if "tiles" in data]
    assert not any(tile.get("reference") for tile in shown["tiles"])
    assert "The labels of validation images, with the network's agreement." in texts(app)


def test_a_training_run_has_one_sentence_instead_of_a_summary(installation, open_page, dataset):
    run = start(installation, dataset, epochs=40)
    work(installation, run, epochs=8)
    app = open_page(PAGE)
    assert "What happened" not in [header.value for header in app.subheader]
    (sentence,) = [data["sentence"] for data in given(app) if "sentence" in data]
    assert "Soft Dice vs truth on validation is still rising" in sentence


def test_advice_opens_the_train_page_with_it_set_despite_earlier_input(installation, open_page):
    config = config_from("fast", {"augmentation": {"enabled": False}, "training": {"epochs": 30}})
    run = add_run(installation, add_discs(installation, count=12), "by heart", config=config, epochs=1)
    with installation.database.writing() as session:
        for epoch in range(1, 31):
            values = {"loss": 1 / epoch, "val_loss": 0.5 + 0.002 * (epoch - 8) ** 2, "dice": 0.5, "val_dice": 0.5}
            runs.save_metrics(session, run.id, epoch, values)
    app = open_page(PAGE, run=run.id)
    assert "**Augmentation · Augment**: no → **yes**" in texts(app)
    key = f"train-form-fast-{run.id}"
    app.session_state[f"{key}-begin"] = config
    app.button(key="run-advice-0-open").click().run()
    assert not app.exception
    assert "Starts from the settings of the run" in texts(app)
    assert app.session_state[f"{key}.augmentation.enabled"] is True and app.expander[0].label == "Advanced"
    assert app.number_input(key=f"{key}.training.epochs").value == 30
