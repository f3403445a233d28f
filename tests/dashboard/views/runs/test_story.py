"""The summary of a run and its suggestions: on synthetic facts with one right answer each, and on stored runs."""

from dataclasses import fields, replace

import numpy as np
import pytest

from dashboard.facts.rounds import Comparison, RoundView
from dashboard.facts.threshold import BetterThreshold
from dashboard.facts.train import start_config
from dashboard.views.runs.advice import advice
from dashboard.views.runs.curve_facts import curve_facts
from dashboard.views.runs.facts import LiveStatus, RunFacts, RunHead, run_facts
from dashboard.views.runs.image_facts import Difference, image_facts
from dashboard.views.runs.story import MOST_SENTENCES, so_far, story
from db import runs
from db.columns import new_id, utc_now
from db.jobs import Progress
from engine.core.run_config import config_from, differences, preset_config
from tests.dashboard.views.runs.test_curve_facts import CONFIG, history, noise, saturating
from tests.dashboard.views.runs.test_image_facts import graded, masks
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def facts(**changes) -> RunFacts:
    """A run trained on truth that settled, with masks as good at any threshold, and no suggestion to make.

    Args:
        changes: of any field of the facts, of their head or of their status.
    """
    head = RunHead(
        id=new_id(),
        name="first",
        job_id=None,
        dataset_id=new_id(),
        dataset="discs",
        truth_version=0,
        label_set_id=None,
        trained_on="truth",
        reference="truth",
        preset="fast",
        created_at=utc_now(),
        code_version="1",
        epochs_total=40,
        keeps_last=True,
        config=(),
        train_images=70,
        validation_images=30,
        probes=(),
    )
    status = LiveStatus(
        state="finished",
        progress=Progress(),
        seconds=250.0,
        left_s=None,
        epochs_done=40,
        epochs_total=40,
        best_epoch=33,
        best_val_dice=0.8,
        parameter_count=None,
        rounds_done=0,
        rounds_total=1,
        hardware="",
        weights="",
        attempt=1,
        sentence="All 40 epochs are done.",
    )
    base = RunFacts(
        head=head,
        status=status,
        config=CONFIG,
        curves=curve_facts(history(saturating(40) + noise(40, 0.002)), CONFIG),
        images=image_facts(masks(np.full(30, 90), np.full(30, 100), np.full(30, 100))),
        agreement=None,
        truth_dice=0.9,
        rounds=(),
    )
    own, of_status = ({field.name for field in fields(part)} for part in (base, status))
    own_changes = {name: value for name, value in changes.items() if name in own}
    status_changes = {name: value for name, value in changes.items() if name in of_status}
    head_changes = {name: value for name, value in changes.items() if name not in own | of_status}
    return replace(base, **own_changes, head=replace(head, **head_changes), status=replace(status, **status_changes))


def summary(**changes) -> str:
    told = story(facts(**changes))
    assert len(told.sentences) <= MOST_SENTENCES
    return "\n".join([*told.sentences, *told.details])


def settings(**changes) -> dict[str, tuple[str, str]]:
    return {each.setting: (each.now, each.proposed) for each in advice(facts(**changes))}


def overfitted(config=CONFIG):
    epochs = np.arange(1, 41)
    val_loss = 0.5 + 0.0008 * (epochs - 15.0) ** 2
    return curve_facts(history(saturating(40), val_loss, 0.9 * np.exp(-epochs / 12)), config)


def test_it_states_how_the_run_ended_what_was_best_and_what_that_means():
    text = summary(weights="ImageNet weights")
    assert "It finished after **40 of 40 epochs** and **4 min 10 s**." in text and "All 40 epochs are done" not in text
    assert "best epoch was **33**, the one with the lowest validation loss" in text
    assert "**soft Dice vs truth 0.800** (ImageNet weights), of probabilities without a threshold" in text
    assert "**Dice vs truth of the masks is" in text and "100 pixels" not in text
    assert "had **settled**" in text and "gives a clearly better Dice vs truth than 0.50" in text


def test_without_validation_it_names_the_training_metric_and_no_unseen_score():
    text = summary(best_val_dice=None, images=None, validation_images=0)
    assert "the one with the lowest training loss. No image was kept for validation" in text
    assert "validation loss" not in text


@pytest.mark.parametrize(
    ("found", "predicted", "marked", "sentences"),
    [
        (
            0,
            0,
            0,
            ("of the masks is 1.000", "In **all of 6 validation images** truth marks nothing", "masks are empty, too"),
        ),
        (0, 40, 0, ("of the masks is 0.000", "In **all of 6 validation images** truth marks nothing", "is added")),
        (0, 0, 100, ("of the masks is 0.000", "they miss all that truth marks")),
    ],
)
def test_empty_masks_and_empty_truth_are_told_apart(found, predicted, marked, sentences):
    counts = (np.full(6, number) for number in (found, predicted, marked))
    text = summary(images=image_facts(masks(*counts)))
    assert all(sentence in text for sentence in sentences)


def test_a_soft_dice_of_one_where_nothing_was_to_be_found_is_explained():
    missed = image_facts(masks(np.zeros(6, int), np.zeros(6, int), np.full(6, 100)))
    text = summary(images=missed, best_val_dice=1.0)
    assert "no validation image has anything to find" in text and "they miss all that truth marks" in text
    unlearned = curve_facts(history(saturating(40), dice=saturating(40, 0.1)), CONFIG)
    assert "Training · Epochs" in settings(images=missed, curves=unlearned)
    assert "Training · Epochs" not in settings(images=missed, curves=unlearned, best_val_dice=1.0)
    assert "anything to find" not in summary(images=missed, best_val_dice=0.6)
    assert "anything to find" not in summary(best_val_dice=1.0)


def test_the_mean_tells_how_many_images_have_an_empty_truth():
    marked = np.array([0, 0, 0, 100])
    text = summary(images=image_facts(masks(np.array([0, 0, 0, 90]), np.array([0, 0, 30, 100]), marked)))
    assert "In **3 of 4 validation images** truth marks nothing" in text
    assert "the masks find 90% of what truth marks" in text


def test_agreement_is_never_called_truth():
    by_labels = image_facts(masks(np.full(30, 90), np.full(30, 100), np.full(30, 100), reference="pseudo-label"))
    text = summary(reference="pseudo-label", label_set_id=new_id(), images=by_labels, truth_dice=None, agreement=0.9)
    assert "truth" not in text
    assert "**agreement with the pseudo-label (soft Dice) 0.800**" in text


def test_missed_and_added_pixels_are_told_apart():
    missing = image_facts(masks(np.full(30, 50), np.full(30, 55), np.full(30, 100)))
    adding = image_facts(masks(np.full(30, 90), np.full(30, 180), np.full(30, 100)))
    assert "**they miss more than they add**" in summary(images=missing)
    assert "**they add more than they miss**" in summary(images=adding)
    assert "they miss about as much as they add" in summary()


def test_a_run_without_predictions_or_epochs_still_has_a_summary():
    text = summary(
        images=None, curves=None, best_epoch=None, best_val_dice=None, epochs_done=0, state="failed", sentence="x"
    )
    assert text.startswith("It failed after **0 of 40 epochs**") and "no model yet" in text
    assert advice(facts(images=None, curves=None)) == ()


def test_a_run_without_validation_says_what_is_missing_and_proposes_some():
    config = config_from("fast", {"training": {"validation_split": 0.0}})
    bare = {epoch: {"loss": 1 / epoch, "dice": 0.5, "learning_rate": 1e-3} for epoch in range(1, 9)}
    changes = {"config": config, "curves": curve_facts(bare, config), "images": None, "best_val_dice": None}
    assert "Without validation images" in summary(**changes, validation_images=0)
    assert settings(**changes, validation_images=0) == {"Training · Validation split": ("0", "0.3")}


def test_nothing_stands_out_in_a_run_that_went_well():
    assert advice(facts()) == ()


def test_overfitting_suggests_augmentation_then_a_smaller_network():
    without = config_from("fast", {"augmentation": {"enabled": False}})
    assert settings(config=without, curves=overfitted()) == {"Augmentation · Augment": ("no", "yes")}
    assert settings(curves=overfitted()) == {"Model · Base filters": ("16", "8")}
    encoder = config_from("encoder")
    assert settings(config=encoder, preset="encoder", curves=overfitted()) == {"Model · Dropout": ("0", "0.3")}
    assert "**It overfits from epoch 15 on**" in summary(curves=overfitted())


def test_a_run_that_still_improved_is_given_more_epochs_unless_it_was_stopped():
    rising = curve_facts(history(0.3 + 0.01 * np.arange(40)), CONFIG)
    assert settings(curves=rising) == {"Training · Epochs": ("40", "80")}
    assert "still improving when it ended" in summary(curves=rising)
    stopped = settings(curves=rising, state="stopped", epochs_done=5)
    assert stopped == {"Resume it": ("5 epochs", "40 epochs")}


def test_a_run_whose_rate_ran_out_before_it_had_learned_is_given_more_epochs():
    flat = curve_facts(history(saturating(40), dice=saturating(40, 0.58)), CONFIG)
    assert settings(curves=flat) == {"Training · Epochs": ("40", "80")}
    assert "has not learned them yet" in advice(facts(curves=flat))[0].evidence
    assert "soft Dice vs truth 0.580" in advice(facts(curves=flat))[0].evidence
    by_labels = facts(curves=flat, reference="pseudo-label", label_set_id=new_id())
    assert "agreement with the pseudo-label (soft Dice) 0.580" in advice(by_labels)[0].evidence
    assert settings(curves=curve_facts(history(saturating(40), dice=saturating(40, 0.75)), CONFIG)) == {}


def test_a_broken_loss_lowers_the_rate_before_anything_else():
    loss = 0.9 * np.exp(-np.arange(40) / 12)
    loss[30:] += 3
    jumped = curve_facts(history(saturating(40), loss=loss), CONFIG)
    assert settings(curves=jumped)["Training · Learning rate"] == ("0.001", "0.0003")
    assert "**jumped in epoch 31**" in summary(curves=jumped)
    assert settings(sentence="The loss became NaN in epoch 7.")["Training · Learning rate"] == ("0.001", "0.0003")


def test_limiting_labels_suggest_a_better_recipe():
    (found,) = advice(facts(label_set_id=new_id(), reference="pseudo-label", agreement=0.9, truth_dice=0.7))
    assert found.page == "labels" and "0.900" in found.evidence and "0.700 against truth" in found.evidence
    assert advice(facts(label_set_id=new_id(), reference="pseudo-label", agreement=0.7, truth_dice=0.5)) == ()


@pytest.mark.parametrize("trained_with", [False, True])
def test_a_suggestion_changes_one_setting_whether_there_are_weights_by_now_or_not(trained_with):
    config = preset_config("from_labels", trained_with)
    images = replace(facts().images, compared=True, differences=(Difference("label quality", 0.2, 0.8, 95),))
    (found,) = advice(facts(config=config, preset="from_labels", label_set_id=new_id(), images=images))
    for weights in (False, True):
        proposed, problem = start_config("from_labels", found.query["p"], None, weights)
        assert differences(config, proposed) == [("data.drop_worst", 0.0, 0.2)] and not problem


def test_small_objects_suggest_larger_images():
    images = replace(facts().images, compared=True, differences=(Difference("foreground", 0.004, 0.1, 95),))
    assert settings(images=images) == {"Model · Image size": ("256 px", "384 px")}
    assert settings(images=images, label_share=1.0) == {}, "such scores against truth are not the network's"
    large = replace(images, differences=(Difference("foreground", 0.2, 0.5, 95),))
    assert settings(images=large) == {}


def test_poor_labels_are_left_out():
    images = replace(facts().images, compared=True, differences=(Difference("label quality", 0.2, 0.8, 95),))
    changes = {"images": images, "label_set_id": new_id(), "reference": "pseudo-label", "truth_dice": None}
    assert settings(**changes) == {"Data · Drop the worst": ("0", "0.2")}
    assert settings(**(changes | {"label_set_id": None})) == {}


def test_another_threshold_opens_the_gallery_at_it():
    images = replace(facts().images, better=BetterThreshold(0.38, 0.95))
    (found,) = advice(facts(images=images))
    assert found.page == "gallery" and found.query["threshold"] == "0.38"


def test_there_are_at_most_two_suggestions_and_each_opens_as_suggested():
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
        assert config.training.schedule == "constant"  # the run's other settings are kept


def test_rounds_are_reported_with_their_gains():
    quality = Comparison("Mask plausibility", 0.5, 0.6)
    views = (
        RoundView(1, 1, 20, True, "", 10, 0, (quality, Comparison("Dice vs truth", 0.7, 0.75, True))),
        RoundView(2, 21, 40, False, "No better.", 10, 0, (Comparison("Mask plausibility", 0.6, 0.55),)),
    )
    text = summary(rounds=views, rounds_total=3)
    assert "round 1 was **accepted** (labels → masks: Mask plausibility 0.500 → 0.600, Dice vs truth" in text
    assert "round 2 was **rejected**" in text and "1 of 3 rounds did not start" in text
    assert settings(rounds=views, rounds_total=3, config=config_from("thorough"), preset="thorough") == {
        "Self-training · Rounds": ("2", "1")
    }


def test_what_the_weakest_share_is_reported_with_its_effect_size():
    rng = np.random.default_rng(1)
    foreground = np.where(np.arange(40) < 8, 0.01, 0.1) * rng.uniform(0.8, 1.2, 40)
    text = summary(images=image_facts(graded(40, foreground=foreground)))
    assert "The **5** weakest images pull the mean down" in text
    assert "much **less foreground** (median 1.0% against 10." in text and "100 of 100 pairs" in text
    assert "has in common" not in summary(images=image_facts(graded(40)))


def test_a_cut_of_the_learning_rate_is_reported_with_its_effect():
    config = config_from("fast", {"training": {"schedule": "constant"}, "reduce_lr": {"enabled": True}})
    rates, dice = np.where(np.arange(30) < 12, 1e-3, 5e-4), np.where(np.arange(30) < 12, 0.6, 0.7)
    text = summary(config=config, curves=curve_facts(history(dice, rates=rates), config))
    assert "**cut once**" in text and "after epoch **12** from 0.001 to 0.0005" in text and "it helped" in text
    assert "The learning rate was not cut (“Reduce on plateau” is off): it stayed constant, at 0.001." in summary()


def test_a_running_run_gets_one_sentence():
    rising = curve_facts(history(0.3 + 0.01 * np.arange(40)), None)
    assert so_far(rising, "truth", 40).startswith("Soft Dice vs truth on validation is still rising (+0.0100 per epoch")
    assert "no longer follows training" in so_far(overfitted(), "truth", 15)
    assert so_far(curve_facts(history([0.5]), None), "truth", 1) == so_far(None, "truth", None) == ""


def test_names_from_uploads_cannot_write_markdown():
    names = [f"{'**x** [y](http://z)' if n < 8 else 'day'}/{n}.png" for n in range(40)]
    assert "\\*\\*x\\*\\*" in summary(images=image_facts(graded(40, names=names)))


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
    assert found.head.reference == ("pseudo-label" if labelled else "truth")
    assert (found.agreement is not None) == labelled
    assert len(found.curves.epochs) == 8
    sentences = "\n".join([*story(found).sentences, *story(found).details])
    assert "Dice vs truth of the masks is" in sentences
    assert ("agreement with the pseudo-label (soft Dice)" in sentences) == labelled


def test_without_truth_the_pseudo_label_is_the_reference(installation):
    dataset = add_discs(installation, count=18)
    run = add_run(installation, dataset, "first", label_set_id=add_label_set(installation, dataset), score_truth=False)
    with installation.database.reading() as session:
        found = run_facts(session, run.id, utc_now(), 60.0)
    assert found.images.reference == "pseudo-label" and found.truth_dice is None
