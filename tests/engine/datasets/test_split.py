"""The split holds: same keys, same sides, whatever the order."""

from __future__ import annotations

import pytest

from engine.datasets.split import split

KEYS = [f"{number:032x}" for number in range(100)]


def test_fraction_seed_and_order():
    train, validation = split(KEYS, 0.3, seed=1)
    assert (len(train), len(validation)) == (70, 30)
    assert sorted(train + validation) == sorted(KEYS)
    again = split(KEYS[::-1], 0.3, seed=1)
    assert set(again[1]) == set(validation)
    assert set(split(KEYS, 0.3, seed=2)[1]) != set(validation)


def test_a_larger_fraction_keeps_who_validates():
    assert set(split(KEYS, 0.2)[1]) < set(split(KEYS, 0.4)[1])


def test_the_same_on_every_machine():
    assert split(["a", "b", "c", "d", "e"], 0.4, seed=7) == (["a", "b", "d"], ["c", "e"])


@pytest.mark.parametrize(("count", "sides"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1)), (3, (2, 1))])
def test_few_images(count, sides):
    for fraction in (0.01, 0.3):
        train, validation = split(KEYS[:count], fraction)
        assert (len(train), len(validation)) == sides
    train, validation = split(KEYS[:2], 0.99)
    assert (len(train), len(validation)) == (1, 1)


def test_wrong_arguments():
    for fraction in (0, 1, -0.1):
        with pytest.raises(ValueError, match="validation_fraction"):
            split(KEYS, fraction)
    with pytest.raises(ValueError, match="once"):
        split(["a", "a"], 0.5)
