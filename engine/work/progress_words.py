"""The progress of a job in words, for pages and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.jobs import Progress


def progress_words(progress: Progress) -> str:
    """Return "Computing masks, 3.1 images/s" or "Epoch 3 of 10: 40 of 120 images, 45.3 images/s, 1.2 GiB".

    A phase reads as its name does; details complete it: `subject` (what is worked on), `epoch` of `epochs` in `round`
    of `rounds`, `part_done` of `part_total` (units of this phase alone), `learning_rate`, `memory_gib`.
    """
    details, unit = progress.details, progress.unit
    words = progress.phase.replace("_", " ").capitalize()
    words = epoch_words(progress) or words
    if "learning_rate" in details:
        words = f"Learning rate {details['learning_rate']:.1e}"
    if "subject" in details:
        words = f"{words} {details['subject']}"
    if unit == "steps" and progress.done < progress.total:
        words += f": step {progress.done + 1} of {progress.total}"
    if "part_total" in details:
        words += f": {details['part_done']} of {details['part_total']} images"
    if progress.rate:
        words += f", {progress.rate:.1f} {unit}/s"
    return words + (f", {details['memory_gib']:.1f} GiB" if "memory_gib" in details else "")


def epoch_words(progress: Progress) -> str:
    """Return "Epoch 3 of 10" or "Round 2 of 3, epoch 3 of 10"; empty for what does not count epochs."""
    details = progress.details
    if "epoch" not in details:
        return ""
    words = f"poch {details['epoch']} of {details['epochs']}"
    several = details["rounds"] > 1
    return f"Round {details['round']} of {details['rounds']}, e{words}" if several else f"E{words}"


def progress_count(progress: Progress) -> str:
    """Return "3 of 9", or nothing where the words count already or the total is unknown."""
    if progress.total <= 0 or progress.unit == "steps" or "part_total" in progress.details:
        return ""
    return f"{progress.done:,} of {progress.total:,}"


def seconds_left(progress: Progress) -> float | None:
    """Return the seconds that the remaining units take at the reported rate, or None while it is unknown.

    The time since the start would mislead: a resumed job starts in the middle, and starting takes a while.
    """
    return max(progress.total - progress.done, 0) / progress.rate if progress.rate else None
