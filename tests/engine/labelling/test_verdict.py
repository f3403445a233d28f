"""The verdict on masks: good masks of objects are trusted, and good masks of background are not."""

import numpy as np
import pytest

from engine.labelling.mask_shapes import mask_shape
from engine.labelling.quality import Quality
from engine.labelling.verdict import EXPONENTS, merit, standing, verdict


def quality(mask: np.ndarray, part: float = 0.9, *, clear: bool = True) -> Quality:
    return Quality(0.8, dict.fromkeys(EXPONENTS, part), clear, mask_shape(mask))


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[top:bottom, left:right] = True
    return mask


OBJECTS = [box(5, 20, 5, 30), box(5, 20, 45, 70), box(35, 55, 20, 60), box(20, 40, 30, 50)]
GROUNDS = [box(0, 50, 0, 80), box(10, 60, 0, 75), box(0, 45, 5, 80), box(5, 60, 0, 80)]
FRAMED = [box(10, 30, 5, 30)] * 4


def reached(masks, part: float = 0.9, **others):
    return verdict(standing([quality(mask, part) for mask in masks]), **others)


def test_objects_that_fit_their_images_are_trusted():
    found = reached(OBJECTS)
    assert (found.verdict, found.trust) == ("trust", pytest.approx(0.9))
    assert "follow edges" in found.reason


def test_background_is_unclear_however_well_it_fits():
    found = reached(GROUNDS, 1.0)
    assert (found.verdict, found.trust) == ("unclear", 0)
    assert "of the image on average, as background does" in found.reason


def test_the_same_place_in_every_image_is_unclear():
    found = reached(FRAMED, 1.0)
    assert found.verdict == "unclear"
    assert "same place in every image" in found.reason


def test_masks_that_run_along_the_border_are_unclear():
    bands = [box(0, 18, 0, 80), box(40, 60, 0, 80), box(0, 60, 0, 25), box(0, 60, 60, 80)]
    assert "along their border" in reached(bands, 1.0).reason


def test_what_covers_much_stays_plausible_and_what_is_the_same_everywhere_does_not():
    grounds, framed = (standing([quality(mask) for mask in masks]) for masks in (GROUNDS, FRAMED))
    assert (grounds.score, grounds.plausible) == (0, pytest.approx(0.9))
    assert framed.score == framed.plausible == 0
    assert standing([quality(mask) for mask in OBJECTS], agreed=0.5).plausible == pytest.approx(0.45)


def test_masks_that_fit_in_part_are_to_be_looked_at():
    assert reached(OBJECTS, 0.5).verdict == "look"
    assert reached(OBJECTS, 0.3).verdict == "unclear"
    half = standing([quality(mask, clear=number % 2 == 0) for number, mask in enumerate(OBJECTS)])
    assert half.merit == pytest.approx(0.45)
    assert "2 of 4 masks are doubtful" in verdict(half).reason


def test_it_is_unclear_what_is_meant_where_background_stands_out_more():
    stands_out = standing([quality(mask, 1.0) for mask in GROUNDS])
    found = reached(OBJECTS, conspicuous=stands_out)
    assert found.verdict == "unclear"
    assert found.reason.startswith("What stands out most covers")


def test_a_person_who_showed_what_is_meant_is_not_asked_again():
    assert reached(GROUNDS, taught=True).verdict == "look"


def test_two_images_are_too_few():
    assert reached(OBJECTS[:2]).verdict == "look"


def test_a_doubtful_mask_has_no_merit():
    assert merit(quality(OBJECTS[0], clear=False)) == 0
    assert merit(quality(OBJECTS[0], 0.7)) == pytest.approx(0.7)
    assert standing([quality(OBJECTS[0], clear=False)]).score == 0
