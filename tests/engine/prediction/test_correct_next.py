"""What to correct next: doubtful images first, mixed with those unlike what was corrected, and where in them."""

from __future__ import annotations

import numpy as np

from engine.prediction import correct_next
from engine.prediction.correct_next import UNLIKE, Candidate


def flat(colour: tuple[int, int, int], size: int = 64) -> np.ndarray:
    return np.full((size, size, 3), colour, np.uint8)


def test_the_spot_is_where_the_masks_differ():
    levels, others = np.zeros((300, 600), np.uint8), np.zeros((300, 600), np.uint8)
    levels[50:100, 400:500] = 255
    others[10, 10] = 255  # one odd pixel is nothing
    doubt, (x, y) = correct_next.doubtful_spot(correct_next.disagreement(levels, others), (300, 600))
    assert 400 <= x < 500 and 50 <= y < 100
    assert 0.02 < doubt < 0.04
    assert correct_next.doubtful_spot(correct_next.disagreement(levels, levels), (300, 600))[0] == 0


def test_the_outline_of_a_mask_without_doubts_is_its_doubtful_spot():
    levels = np.zeros((200, 200), np.uint8)
    levels[100:] = 255
    _, (_, y) = correct_next.doubtful_spot(correct_next.ambiguity(levels), (200, 200))
    assert abs(y - 100) <= 4


def test_doubt_and_novelty_take_turns():
    red, blue = correct_next.appearance(flat((200, 30, 30))), correct_next.appearance(flat((30, 30, 200)))
    candidates = [
        *(Candidate(f"red {number}", red, 0.5 + number / 10, "doubt", (0, 0)) for number in range(4)),
        Candidate("blue", blue, 0.1, "doubt", (5, 5)),
    ]
    without = correct_next.suggestions(candidates, [])
    assert without[0].image_id == "red 3" and without[0].reason == "doubt"
    assert without[1].image_id == "blue" and without[1].reason == UNLIKE, "the next is unlike the first"
    known = correct_next.suggestions(candidates, [red])
    assert sorted(each.image_id for each in known) == sorted(each.image_id for each in candidates)
    assert {each.image_id for each in known[:2]} == {"red 3", "blue"}
    assert correct_next.suggestions([], [red]) == []
