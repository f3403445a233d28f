"""Numbers as text: durations, sizes, counts, and times ago."""

from __future__ import annotations

import re
from datetime import datetime


def time_left(done: int, total: int, elapsed_s: float) -> float | None:
    """Return the remaining seconds at the rate so far, or None while too little is done to estimate it."""
    # The start-up time of a job is part of the rate: after 1 of 300 masks the estimate would be an hour.
    if done <= 0 or total <= 0 or elapsed_s <= 0 or done < min(10, 0.02 * total):
        return None
    return max(total - done, 0) * elapsed_s / done


def duration(seconds: float | None) -> str:
    """Return "45 s", "3 min 20 s", "2 h 05 min" or "3 d 4 h"; a dash for None."""
    if seconds is None:
        return "–"
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest_s} s" if rest_s else f"{minutes} min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def size(byte_count: float) -> str:
    """Return "312 B", "4.2 kB", "17 MB" or "3.4 GB" (powers of 1000)."""
    value, units = float(byte_count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 1 if value < 9.95 and units[0] != "B" else 0
    return f"{value:.{digits}f} {units[0]}"


def pixel_size(width_um: float | None, height_um: float | None, source: str | None) -> str:
    """Return "0.25 µm per pixel (OME)", "0.2 × 0.4 µm per pixel (EXIF)", or "" where a file did not say."""
    if width_um is None or height_um is None:
        return ""
    sides = [f"{width_um:.3g}", f"{height_um:.3g}"]
    return f"{' × '.join(dict.fromkeys(sides))} µm per pixel ({source})"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 image", "1,204 images" or "no images"."""
    many = plural or f"{noun}s"
    if number == 0:
        return f"no {many}"
    return f"1 {noun}" if number == 1 else f"{number:,} {many}"


def ago(moment: datetime | None, now: datetime) -> str:
    """Return "just now", "5 min ago" or, after a day, the date; a dash for None. Both are aware."""
    if moment is None:
        return "–"
    elapsed_s = (now - moment).total_seconds()
    if elapsed_s < 45:
        return "just now"
    if elapsed_s < 3600:
        return f"{max(round(elapsed_s / 60), 1)} min ago"
    if elapsed_s < 24 * 3600:
        return f"{round(elapsed_s / 3600)} h ago"
    return moment.astimezone().strftime("%Y-%m-%d")


def score(value: float | None) -> str:
    """Return a score in [0, 1] with three decimals; a dash for None."""
    return "–" if value is None else f"{value:.3f}"


def escaped(text: str) -> str:
    """Return a user-defined name as Markdown that shows it literally."""
    shown = "".join(f"\\{sign}" if sign in r"\`*_{}[]<>#+-!|~$:&=" else sign for sign in text)
    return re.sub(r"^(\s*\d+)([.)])", r"\1\\\2", shown)  # "1. harvest" would start a list


def millions(number: int) -> str:
    """Return "1.9 million", "31 million", "412,000" or "980"."""
    if number < 1_000:
        return f"{number}"
    if number < 950_000:
        return f"{round(number, -3):,}"
    return f"{number / 1e6:.1f} million" if number < 9.95e6 else f"{number / 1e6:.0f} million"


def gigaflops(operations: int) -> str:
    """Return "1.7 GFLOPs", "109 GFLOPs" or "24 MFLOPs"."""
    if operations < 0.1e9:
        return f"{operations / 1e6:.0f} MFLOPs"
    return f"{operations / 1e9:.1f} GFLOPs" if operations < 9.95e9 else f"{operations / 1e9:.0f} GFLOPs"
