"""Run-length encoding of masks, as COCO files hold it.

A mask is read column by column. Its counts are how many pixels of background come first, how many of foreground follow,
and so on; a mask that begins with foreground begins with a count of 0. In files the counts are one ASCII string.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, doi:10.1007/978-3-319-10602-1_48, and the
encoding of strings in the authors' published `maskApi.c` (rleToString).
"""

from __future__ import annotations

import numpy as np


def mask_runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (starts, lengths), int64, of the runs of foreground in a bool mask (H, W) read column by column."""
    flat = np.zeros(mask.size + 2, np.int8)
    flat[1:-1] = mask.ravel(order="F")
    steps = np.diff(flat)
    starts = np.flatnonzero(steps == 1)
    return starts, np.flatnonzero(steps == -1) - starts


def counts(starts: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Return the counts, int64, of runs of foreground among `size` pixels: background and foreground by turns."""
    ends = starts + lengths
    found = np.empty(2 * len(starts), np.int64)
    found[0::2] = starts - np.concatenate([[0], ends[:-1]])
    found[1::2] = lengths
    left = size - (int(ends[-1]) if len(ends) else 0)
    return np.append(found, left) if left or not len(ends) else found


def as_string(run_counts: np.ndarray) -> str:
    """Return counts as the string that COCO files hold.

    From the fourth on, a count is written as its difference to the one two before it. A number is written in groups of
    five bits, lowest first, each as one character from "0" on; the sixth bit says that more follow.
    """
    numbers = np.array(run_counts, np.int64)
    numbers[3:] -= np.asarray(run_counts, np.int64)[1:-2]
    characters, written = [], []
    alive = np.ones(len(numbers), bool)
    while alive.any():
        group = numbers & 31
        numbers = numbers >> 5
        # The highest bit of the last group is the sign, so it must agree with what is left: all ones, or all zeros.
        more = np.where(group & 16, numbers != -1, numbers != 0)
        characters.append(group + 32 * more + 48)
        written.append(alive)
        alive = alive & more
    if not characters:
        return ""
    return np.stack(characters, 1)[np.stack(written, 1)].astype(np.uint8).tobytes().decode("ascii")


def encode(mask: np.ndarray) -> dict[str, object]:
    """Return a bool mask (H, W) as {"size": [H, W], "counts": string}."""
    return from_runs(*mask_runs(mask), mask.shape)


def from_runs(starts: np.ndarray, lengths: np.ndarray, shape: tuple[int, ...]) -> dict[str, object]:
    """Return runs of foreground (see `mask_runs`) in a mask of `shape` as {"size": [H, W], "counts": string}."""
    height, width = shape
    return {"size": [int(height), int(width)], "counts": as_string(counts(starts, lengths, height * width))}
