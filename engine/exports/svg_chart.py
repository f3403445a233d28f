"""Curves over the epochs, and histograms, as static SVG, coloured by the page's own style sheet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 34
MOST_BARS = 20


@dataclass(frozen=True)
class Curve:
    """One line: `points` are (epoch, value), by epoch. `style` is "s0" to "s3", or a colour, "#RRGGBB"."""

    name: str
    points: Sequence[tuple[int, float]]
    style: str

    def attributes(self, kind: str) -> str:
        """Return the attributes of an element of this curve: its class `kind` and its colour."""
        if self.style.startswith("#"):
            return f'class="{kind}" style="color:{self.style}"'
        return f'class="{kind} {self.style}"'


def chart(title: str, curves: Sequence[Curve], *, logarithmic: bool = False, unit: bool = False, best: int = 0) -> str:
    """Return a chart as an HTML figure with its legend; empty if there is no finite point.

    Args:
        logarithmic: the values' axis is logarithmic; values that are not positive are left out.
        unit: the values' axis runs from 0 to 1.
        best: an epoch to mark, 0 for none.
    """
    drawn = [Curve(curve.name, _drawable(curve.points, logarithmic), curve.style) for curve in curves]
    drawn = [curve for curve in drawn if curve.points]
    if not drawn:
        return ""
    shape = (lambda value: math.log10(value)) if logarithmic else float
    values = [shape(y) for curve in drawn for _, y in curve.points]
    low, high = (0.0, 1.0) if unit else _range(min(values), max(values), from_zero=not logarithmic)
    last = max(x for curve in drawn for x, _ in curve.points)

    def place_x(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((epoch - 1) / (last - 1) if last > 1 else 0.5)

    def place_y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for value in _decades(low, high) if logarithmic else _ticks(low, high):
        y = place_y(value)
        label = f"{10**value:.1g}" if logarithmic else f"{value:.4g}"
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for epoch in _epochs(last):
        parts.append(f'<text x="{place_x(epoch):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{epoch}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 1}" text-anchor="end">epoch</text>')
    if 1 <= best <= last:
        x = place_x(best)
        parts.append(
            f'<path class="best" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"><title>Best epoch: {best}</title></path>'
        )
    for curve in drawn:
        parts.append(_line([(place_x(x), place_y(shape(y))) for x, y in curve.points], curve))
    legend = "".join(f"<span {curve.attributes('key')}>{escape(curve.name)}</span>" for curve in drawn)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{''.join(parts)}</svg><p class=legend>{legend}</p></figure>"
    )


def histogram(title: str, values: Sequence[int], axis: str, unit: str) -> str:
    """Return how often whole numbers from 0 up occur, as an HTML figure; empty without any.

    Args:
        axis: what the numbers count, below the horizontal axis.
        unit: what each value stands for, such as "images", in the text of each bar.
    """
    if not values:
        return ""
    step = _whole_step(max(values) - min(values) + 1, MOST_BARS)
    first = min(values) // step
    often = [0] * (max(values) // step - first + 1)
    for value in values:
        often[value // step - first] += 1
    tick = _whole_step(max(often), 5)
    top = -(-max(often) // tick) * tick
    wide, high = (WIDTH - LEFT - RIGHT) / len(often), HEIGHT - TOP - BOTTOM
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for value in range(0, top + 1, tick):
        y = HEIGHT - BOTTOM - high * value / top
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>')
    every = _whole_step(len(often), 8)
    for index, count in enumerate(often):
        start = (first + index) * step
        said = f"{start:,}" if step == 1 else f"{start:,} to {start + step - 1:,}"
        x, tall = LEFT + index * wide, high * count / top
        if index % every == 0:
            at = x + wide / 2 if step == 1 else x  # below the bar of one number, else where its numbers begin
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 19}" text-anchor="middle">{start:,}</text>')
        parts.append(
            f'<rect class="bar s0" x="{x + 0.05 * wide:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" '
            f'width="{0.9 * wide:.1f}" height="{tall:.1f}"><title>{said}: {count:,} {escape(unit)}</title></rect>'
        )
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{escape(axis)}</text>')
    return f"<figure><figcaption>{escape(title)}</figcaption>{''.join(parts)}</svg></figure>"


def _whole_step(span: int, most: int) -> int:
    """Return the least of 1, 2, 5, 10, 20 … by which a span has at most so many parts."""
    steps = (factor * 10**power for power in itertools.count() for factor in (1, 2, 5))
    return next(step for step in steps if span <= step * most)


def _drawable(points: Sequence[tuple[int, float]], logarithmic: bool) -> list[tuple[int, float]]:
    return [(x, y) for x, y in points if math.isfinite(y) and (y > 0 or not logarithmic)]


def _line(places: Sequence[tuple[float, float]], curve: Curve) -> str:
    title = f"<title>{escape(curve.name)}</title>"
    if len(places) == 1:
        (x, y), *_ = places
        return f'<circle {curve.attributes("dot")} cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'
    return f'<path {curve.attributes("line")} d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}">{title}</path>'


def _range(low: float, high: float, *, from_zero: bool) -> tuple[float, float]:
    if from_zero and low >= 0:
        low = 0.0
    if high - low < 1e-9:
        high = low + 1.0
    return low, high + 0.05 * (high - low)


def _ticks(low: float, high: float) -> list[float]:
    """Return four to seven round values in a range."""
    rough = (high - low) / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return the logarithms of 1 and 3 times powers of ten in a range; of powers of ten alone where there are many."""
    whole = range(math.floor(low), math.ceil(high) + 1)
    found = [float(power) for power in whole]
    if high - low < 3:
        found += [power + math.log10(3) for power in whole]
    return sorted(value for value in found if low <= value <= high)


def _epochs(last: int) -> list[int]:
    if last <= 8:
        return list(range(1, last + 1))
    step = max(round(value) for value in _ticks(0, last)[:2])
    return [1, *range(step, last + 1, step)] if step > 1 else list(range(1, last + 1))
