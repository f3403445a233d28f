"""The story of a run and its advice: on drawn facts with one right answer each, and on stored runs."""

from dataclasses import replace

import numpy as np
import pytest

from dashboard.facts.rounds import Comparison, RoundView
from dashboard.facts.train import start_config
from dashboard.views.runs.advice import advice
from dashboard.views.runs.curve_facts import curve_facts
from dashboard.views.runs.image_facts import BetterThreshold, Difference, image_facts
from dashboard.views.runs.run_facts import RunFacts, run_facts
from dashboard.views.runs.story import overlap_in_words, so_far, story
from db import runs
from db.models import new_id, utc_now
from engine.core.run_config import config_from
from tests.dashboard.views.runs.test_curve_facts import CONFIG, history, noise, saturating
from tests.dashboard.views.runs.test_image_facts import graded, masks
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def facts(**changes) -> RunFacts:
    """A run taught by truth that settled, with masks as good at any threshold and nothing to complain of."""
    steady = masks(np.full(30, 90), np.full(30, 100), np.full(30, 100))
    base = RunFacts(
        run_id=new_id(),
        dataset_id=new_id(),
        label_set_id=None,
        preset="fast",
        config=CONFIG,
        state="finished",
        reason="All 40 epochs are done.",
        reference="truth",
        weights="",
        seconds=250.0,
        epochs_done=40,
        epochs_total=40,
        best_epoch=33,
        best_val_dice=0.8,
        validation_images=30,
        curves=curve_facts(history(saturating(40) + noise(40, 0.002)), CONFIG),
        images=image_facts(steady),
        agreement=None,
        truth_dice=0.9,
        rounds=(),
        rounds_total=1,
    )
    return replace(base, **changes)


def told(**changes) -> str:
    return "\n".join(story(facts(**changes)).sentences)


def settings(**changes) -> dict[str, tuple[str, str]]:
    return {each.setting: (each.now, each.proposed) for each in advice(facts(**changes))}


def parted(config=CONFIG):
    epochs = np.arange(1, 41)
    val_loss = 0.5 + 0.0008 * (epochs - 15.0) ** 2
    return curve_facts(history(saturating(40), val_loss, 0.9 * np.exp(-epochs / 12)), config)


def test_it_tells_how_it_ended_what_was_best_and_what_that_means():
    text = told(weights="encoder weights: ImageNet")
    assert "It finished after **40 of 40 epochs** and **4 min 10 s**. All 40 epochs are done." in text
    assert "best epoch was **33**, the one with the lowest validation loss" in text
    assert "**Dice vs truth 0.800** (encoder weights: ImageNet)" in text
    assert "Of 100 pixels that the network or truth marks, **67** are marked by both." in text
    assert "had **settled**" in text and "No other mask threshold" in text


@pytest.mark.parametrize("dice", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_overlap_in_words_is_the_share_that_both_mark(dice):
    both = round(100 * dice)
    a, b = set(range(100)), set(range(100 - both, 200 - both))  # Dice of two sets of 100 that share `both`
    words = overlap_in_words(dice, "truth")
    assert f"**{round(100 * len(a & b) / len(a | b))}** are marked by both" in words


def test_agreement_is_never_told_as_truth():
    label_taught = image_facts(masks(np.full(30, 90), np.full(30, 100), np.full(30, 100), reference="pseudo-label"))
    text = told(reference="pseudo-label", label_set_id=new_id(), images=label_taught, truth_dice=None, agreement=0.9)
    assert "truth" not in text
    assert "**agreement with the pseudo-label (Dice) 0.800**" in text


def test_misses_and_inventions_are_told_apart():
    missing = image_facts(masks(np.full(30, 50), np.full(30, 55), np.full(30, 100)))
    inventing = image_facts(masks(np.full(30, 90), np.full(30, 180), np.full(30, 100)))
    assert "**it misses more than it invents**" in told(images=missing)
    assert "**it invents more than it misses**" in told(images=inventing)
    assert "it misses about as much as it invents" in told()


def test_a_run_without_predictions_or_epochs_still_has_a_story():
    text = told(
        images=None, curves=None, best_epoch=None, best_val_dice=None, epochs_done=0, state="failed", reason="x"
    )
    assert text.startswith("It failed after **0 of 40 epochs**") and "no model yet" in text
    assert advice(facts(images=None, curves=None)) == ()


def test_a_run_without_validation_says_what_is_missing_and_proposes_some():
    config = config_from("fast", {"training": {"validation_split": 0.0}})
    bare = {epoch: {"loss": 1 / epoch, "dice": 0.5, "learning_rate": 1e-3} for epoch in range(1, 9)}
    changes = {"config": config, "curves": curve_facts(bare, config), "images": None, "best_val_dice": None}
    assert "Without validation images" in told(**changes, validation_images=0)
    assert settings(**changes, validation_images=0) == {"Training · Validation split": ("0", "0.3")}


def test_nothing_stands_out_in_a_run_that_went_well():
    assert advice(facts()) == ()


def test_learning_by_heart_is_answered_by_augmentation_then_by_a_smaller_network():
    without = config_from("fast", {"augmentation": {"enabled": False}})
    assert settings(config=without, curves=parted()) == {"Augmentation · Augment": ("no", "yes")}
    assert settings(curves=parted()) == {"Model · Base filters": ("16", "8")}
    encoder = config_from("encoder")
    assert settings(config=encoder, preset="encoder", curves=parted()) == {"Model · Dropout": ("0", "0.3")}
    assert "**From epoch 15 on training and validation part**" in told(curves=parted())


def test_a_run_that_still_improved_is_given_more_epochs_unless_a_person_stopped_it():
    rising = curve_facts(history(0.3 + 0.01 * np.arange(40)), CONFIG)
    assert settings(curves=rising) == {"Training · Epochs": ("40", "80")}
    assert "still improving when it ended" in told(curves=rising)
    assert settings(curves=rising, state="stopped") == {}


def test_a_run_whose_rate_ran_out_before_it_had_learned_is_given_more_epochs():
    flat = curve_facts(history(saturating(40), dice=saturating(40, 0.58)), CONFIG)
    assert settings(curves=flat) == {"Training · Epochs": ("40", "80")}
    assert "has not learned them yet" in advice(facts(curves=flat))[0].evidence
    assert "Dice vs truth 0.580" in advice(facts(curves=flat))[0].evidence
    by_labels = facts(curves=flat, reference="pseudo-label", label_set_id=new_id())
    assert "agreement with the pseudo-label 0.580" in advice(by_labels)[0].evidence
    assert settings(curves=curve_facts(history(saturating(40), dice=saturating(40, 0.75)), CONFIG)) == {}


def test_a_broken_loss_lowers_the_rate_before_anything_else():
    loss = 0.9 * np.exp(-np.arange(40) / 12)
    loss[30:] += 3
    jumped = curve_facts(history(saturating(40), loss=loss), CONFIG)
    assert settings(curves=jumped)["Training · Learning rate"] == ("0.001", "0.0003")
    assert "**jumped in epoch 31**" in told(curves=jumped)
    assert settings(reason="The loss became NaN in epoch 7.")["Training · Learning rate"] == ("0.001", "0.0003")


def test_labels_that_limit_send_to_the_recipe():
    (found,) = advice(facts(label_set_id=new_id(), reference="pseudo-label", agreement=0.9, truth_dice=0.7))
    assert found.page == "labels" and "0.900" in found.evidence and "0.700 with truth" in found.evidence
    assert advice(facts(label_set_id=new_id(), reference="pseudo-label", agreement=0.7, truth_dice=0.5)) == ()


def test_small_objects_ask_for_larger_images():
    images = replace(facts().images, compared=True, differences=(Difference("foreground", 0.004, 0.1, 95),))
    assert settings(images=images) == {"Model · Image size": ("256 px", "384 px")}
    large = replace(images, differences=(Difference("foreground", 0.2, 0.5, 95),))
    assert settings(images=large) == {}


def test_poor_labels_are_left_out():
    images = replace(facts().images, compared=True, differences=(Difference("label quality", 0.2, 0.8, 95),))
    changes = {"images": images, "label_set_id": new_id(), "reference": "pseudo-label", "truth_dice": None}
    assert settings(**changes) == {"Data · Leave out the worst": ("0", "0.2")}
    assert settings(**(changes | {"label_set_id": None})) == {}


def test_another_threshold_opens_the_gallery_at_it():
    images = replace(facts().images, better=BetterThreshold(0.38, 0.95))
    (found,) = advice(facts(images=images))
    assert found.page == "gallery" and found.query["threshold"] == "0.38"


def test_never_more_than_two_and_every_proposal_opens_as_proposed():
    loss = 0.9 * np.exp(-np.arange(40) / 12)
    loss[30:] += 3
    images = replace(
        facts().images,
        better=BetterThreshold(0.38, 0.95),
        compared=True,
        differences=(Difference("foreground", 0.004, 0.1, 95),),
    )
    everything = advice(
        facts(curves=curve_facts(history(0.3 + 0.01 * np.arange(40), loss=loss), CONFIG), images=images)
    )
    assert [each.setting for each in everything] == ["Training · Learning rate", "Training · Epochs"]
    for each, path, value in zip(everything, ("learning_rate", "epochs"), (3e-4, 80), strict=True):
        config, problem = start_config("fast", each.query["p"], None)
        assert not problem and getattr(config.training, path) == value
        assert config.training.schedule == "constant"  # what else the run had set is kept


def test_rounds_are_told_with_what_they_won():
    quality = Comparison("Label-free quality", 0.5, 0.6)
    views = (
        RoundView(1, 1, 20, True, "", 10, 0, (quality, Comparison("Dice vs truth", 0.7, 0.75, True))),
        RoundView(2, 21, 40, False, "No better.", 10, 0, (Comparison("Label-free quality", 0.6, 0.55),)),
    )
    text = told(rounds=views, rounds_total=3)
    assert "round 1 was **accepted** (labels → masks: Label-free quality 0.500 → 0.600, Dice vs truth" in text
    assert "round 2 was **not taken over**" in text and "1 of 3 rounds did not begin" in text
    assert settings(rounds=views, rounds_total=3, config=config_from("thorough"), preset="thorough") == {
        "Self-training · Rounds": ("2", "1")
    }


def test_what_the_weakest_share_is_told_with_its_size():
    rng = np.random.default_rng(1)
    foreground = np.where(np.arange(40) < 8, 0.01, 0.1) * rng.uniform(0.8, 1.2, 40)
    text = told(images=image_facts(graded(40, foreground=foreground)))
    assert "The **5** weakest images hold the mean down" in text
    assert "much **less foreground** (median 1.0% against 10." in text and "100 of 100 pairs" in text
    assert "shares nothing that is stored of them" in told(images=image_facts(graded(40)))
    assert "too few to ask" in told(images=image_facts(graded(10)))


def test_a_cut_of_the_learning_rate_is_told_with_what_it_did():
    config = config_from("fast", {"training": {"schedule": "constant"}, "reduce_lr": {"enabled": True}})
    rates, dice = np.where(np.arange(30) < 12, 1e-3, 5e-4), np.where(np.arange(30) < 12, 0.6, 0.7)
    text = told(config=config, curves=curve_facts(history(dice, rates=rates), config))
    assert "**cut once**" in text and "after epoch **12** from 0.001 to 0.0005" in text and "it helped" in text
    assert "The learning rate was not cut (“Reduce on plateau” is off): it stayed as it was set, at 0.001." in told()


def test_a_running_run_gets_one_sentence():
    rising = curve_facts(history(0.3 + 0.01 * np.arange(40)), None)
    assert so_far(rising, "truth", 40).startswith("Dice vs truth on validation is still rising (+0.0100 an epoch")
    assert "no longer follows training" in so_far(parted(), "truth", 15)
    assert so_far(curve_facts(history([0.5]), None), "truth", 1) == so_far(None, "truth", None) == ""


def test_names_from_uploads_cannot_write_markdown():
    names = [f"{'**x** [y](http://z)' if n < 8 else 'day'}/{n}.png" for n in range(40)]
    assert "\\*\\*x\\*\\*" in told(images=image_facts(graded(40, names=names)))


@pytest.mark.parametrize("labelled", [False, True])
def test_a_stored_run_is_read_with_its_own_validation_images(installation, labelled):
    dataset = add_discs(installation, count=60)
    label_set_id = add_label_set(installation, dataset) if labelled else None
    run = add_run(installation, dataset, "first", label_set_id=label_set_id, epochs=8)
    with installation.database.reading() as session:
        found = run_facts(session, run.id, utc_now(), 60.0)
        scores = runs.validation_scores(session, run)
        assert run_facts(session, new_id(), utc_now(), 60.0) is None
    assert found.images.reference == "truth" and found.images.overlap.images == scores.images == 20
    assert found.images.overlap.dice == pytest.approx(scores.truth_dice)
    assert found.reference == ("pseudo-label" if labelled else "truth")
    assert (found.agreement is not None) == labelled
    assert len(found.curves.epochs) == 8
    sentences = "\n".join(story(found).sentences)
    assert "Dice vs truth is" in sentences
    assert ("agreement with the pseudo-label (Dice)" in sentences) == labelled


def test_without_truth_the_pseudo_label_is_the_reference(installation):
    dataset = add_discs(installation, count=18)
    run = add_run(installation, dataset, "first", label_set_id=add_label_set(installation, dataset), score_truth=False)
    with installation.database.reading() as session:
        found = run_facts(session, run.id, utc_now(), 60.0)
    assert found.images.reference == "pseudo-label" and found.truth_dice is None
