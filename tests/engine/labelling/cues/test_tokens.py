"""Cuts, reassignments and regressions of drawn tokens have a known answer."""

from __future__ import annotations

import numpy as np

from engine.labelling.cues.tokens import MOST_TOKENS, describe, reassign, regress, token_cut


def drawn(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens (h, w, 8) of length 1, of one kind in a rectangle inside and of another around it, and that."""
    rng = np.random.default_rng(seed)
    inside = np.zeros((height, width), bool)
    inside[height // 4 : height * 3 // 4, width // 3 : width * 2 // 3] = True
    kinds = np.eye(8)[:2] + 0.1
    tokens = kinds[inside.astype(int)] + rng.normal(0, 0.05, (height, width, 8))
    return (tokens / np.linalg.norm(tokens, axis=2, keepdims=True)).astype(np.float32), inside


def test_the_graph_is_cut_around_the_tokens_inside() -> None:
    tokens, inside = drawn(16, 24)
    np.testing.assert_array_equal(token_cut(tokens, 0.6), inside)


def test_a_fine_grid_is_cut_with_fewer_tokens() -> None:
    tokens, inside = drawn(60, 90)
    assert inside.size > 3 * MOST_TOKENS
    assert (token_cut(tokens, 0.6) == inside).mean() > 0.95


def test_tokens_of_one_image_move_to_the_nearer_centroid() -> None:
    tokens, inside = drawn(16, 24)
    rough = np.roll(inside, 2, axis=1).astype(np.float32)
    np.testing.assert_array_equal(reassign(tokens, rough, 2), inside)
    np.testing.assert_array_equal(reassign(tokens, rough, 0), rough > 0.5)
    assert not reassign(tokens, np.zeros((16, 24)), 3).any()


def test_a_regression_over_images_averages_out_the_errors_of_their_first_masks() -> None:
    rng, samples = np.random.default_rng(5), []
    for seed in range(6):
        tokens, inside = drawn(16, 24, seed)
        wrong = inside ^ (rng.random(inside.shape) < 0.25)
        samples.append((tokens, wrong.astype(np.float32)))
    tokens, inside = drawn(16, 24, 99)
    found = describe(tokens) @ regress(samples)
    np.testing.assert_array_equal(found.reshape(inside.shape) > 0.5, inside)
