"""Whether it still learns: finished images in the order of correction, and a sentence that says what it means."""

from __future__ import annotations

import pytest

from dashboard.facts.correction_progress import Agreement, agreements, running_mean, verdict
from db import corrections, image_care
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def series(*parts: tuple[str, float]) -> list[Agreement]:
    return [Agreement(f"{number}.png", dice, of) for of, dice in parts for number in range(10)]


def test_a_better_network_still_learns_and_an_equal_one_does_not():
    assert verdict(series(("labels", 0.84), ("run", 0.91))) == (
        "The last 10 masks agreed with the corrections to 0.91 (Dice), the 10 before to 0.84: it still learns."
    )
    assert verdict(series(("labels", 0.91), ("run", 0.91))).endswith("it no longer gets better.")


def test_masks_of_one_network_say_nothing_about_learning():
    assert "train with the corrections" in verdict(series(("run", 0.5), ("run", 0.9)))
    assert "From 20 images on" in verdict(series(("run", 0.5)))
    assert "No image is finished yet" in verdict([])


def test_the_running_mean_is_over_the_last_ten():
    assert running_mean([0.0] * 10 + [1.0]) == pytest.approx([0.0] * 10 + [0.1])


def test_strokes_the_audit_and_excluded_images_are_left_out(installation):
    discs = add_discs(installation, 5)
    labels = add_label_set(installation, discs)
    run = add_run(installation, discs, "network", label_set_id=labels)
    correct(installation, discs, "disc 3.png", mask_dice=0.5, mask_of=labels)
    correct(installation, discs, "disc 0.png", mask_dice=0.7, mask_of=run.id)
    correct(installation, discs, "disc 1.png", mask_dice=0.1, mask_of=run.id, finished=False)
    with installation.database.writing() as session:
        drawn = corrections.draw_audit(session, discs.id, 1)
    correct(installation, discs, drawn[0].name, mask_dice=0.2, mask_of=run.id)
    correct(installation, discs, "disc 4.png", mask_dice=0.3, mask_of=run.id)
    with installation.database.writing() as session:
        image_care.exclude_images(session, discs.id, image_care.named(session, discs.id, ["disc 4.png"]).values())
    with installation.database.reading() as session:
        found = agreements(session, discs.id)
    assert found == [Agreement("disc 3.png", 0.5, "recipe"), Agreement("disc 0.png", 0.7, "network")]
