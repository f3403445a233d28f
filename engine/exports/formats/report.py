"""A run on one page of HTML that needs nothing else: no network, no script, no font. Light, dark, and on paper."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from engine.exports.base import RunFormat
from engine.exports.run_facts import ImageCount, ReportTile, RunFacts, TileRow, story
from engine.exports.svg_chart import Curve, chart, histogram
from engine.imaging import class_maps, codec
from engine.measuring.objects import ObjectParams
from engine.training.run_details import DICE_NAME, IOU_NAME

TILE_PX = 320
"""Longest side of a tile's picture: sharp on paper, and some ten kilobytes."""

Colour = tuple[int, int, int]
# The same as on every page, from Okabe and Ito; dashboard.ui.palette says why these four.
RIGHT, TOO_MUCH, MISSED, WRONG_CLASS = (0, 158, 115), (230, 159, 0), (86, 180, 233), (136, 0, 255)
OPACITY = 0.6
MOST_CLASSES = 20
"""More curves than this in one chart could not be told apart."""
COUNTED_IMAGES = 10
"""How many of the images with most and with fewest objects are listed."""
DEFAULTS = ObjectParams()

# The page itself forbids requests: it has to work offline and must not report who opens it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write(facts: RunFacts, rows: Sequence[TileRow], target: Path) -> None:
    target.write_text(report(facts, rows), "utf-8")


def report(facts: RunFacts, rows: Sequence[TileRow]) -> str:
    """Return the page. Every name that a person gave is escaped."""
    style = (files("engine.exports.formats") / "report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(facts.name)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(
            part for part in (_head(facts), _scores(facts), _story(facts), _classes(facts), _charts(facts)) if part
        )
        + _tiles(facts, rows)
        + _counts(facts)
        + _settings(facts)
        + _epochs(facts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(facts: RunFacts) -> str:
    parts = [
        f"Dataset {escape(facts.dataset)}",
        f"trained on {escape(facts.trained_on)}",
        f"preset {escape(facts.preset)}",
        f"{facts.train_images:,} training and {facts.validation_images:,} validation images",
        f"{facts.created_at:%Y-%m-%d %H:%M} UTC",
    ]
    if facts.parameters:
        parts.append(f"{facts.parameters:,} parameters")
    if facts.seconds:
        parts.append(f"{facts.seconds / 60:.1f} minutes")
    if facts.hardware:
        parts.append(escape(facts.hardware))
    return f"<h1>{escape(facts.name)}</h1>\n<p class=soft>{' · '.join(parts)}</p>"


def _scores(facts: RunFacts) -> str:
    items = [
        f"<li>{escape(score.name)}<b>{score.value:.3f}</b><small>{escape(score.on)}</small></li>"
        for score in facts.scores
    ]
    return f"<ul class=scores>{''.join(items)}</ul>" if items else "<p>No score is known yet.</p>"


def _story(facts: RunFacts) -> str:
    return f"<h2>In plain words</h2>\n<p>{' '.join(escape(sentence) for sentence in story(facts))}</p>"


def _classes(facts: RunFacts) -> str:
    """Return the table of the classes' scores; empty for foreground alone."""
    if facts.confusion is None:
        return ""
    rows = "".join(
        f'<tr><td><span class=swatch style="background:{facts.class_colours[each.number]}"></span>'
        f"{escape(each.name)}</td>"
        f"<td class=number>{_score(each.dice)}</td><td class=number>{_score(each.iou)}</td>"
        f"<td class=number>{each.images:,}</td></tr>"
        for each in facts.confusion.results
    )
    head = "<tr><th>Class</th>" + "".join(
        f"<th class=number>{title}</th>" for title in ("Dice vs truth", "IoU vs truth", "Images with it")
    )
    note = (
        "<p class=soft>Of masks at threshold 0.5, over all pixels of the validation images with truth. A dash: the "
        "class occurs in none of them, neither in truth nor in masks.</p>"
    )
    return f"<h2>Classes</h2>\n{note}<div class=wide><table>{head}</tr>{rows}</table></div>"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _charts(facts: RunFacts) -> str:
    def curve(name: str, title: str, style: str) -> Curve:
        points = [(epoch, values[name]) for epoch, values in sorted(facts.metrics.items()) if name in values]
        return Curve(title, points, style)

    best = facts.best_epoch or 0
    drawn = [
        chart(
            DICE_NAME[facts.reference],
            [curve("dice", "training", "s0"), curve("val_dice", "validation", "s1")],
            unit=True,
            best=best,
        ),
        chart(
            IOU_NAME[facts.reference],
            [curve("iou", "training", "s0"), curve("val_iou", "validation", "s1")],
            unit=True,
            best=best,
        ),
        chart("Loss", [curve("loss", "training", "s0"), curve("val_loss", "validation", "s1")], best=best),
        *(
            chart(
                f"{title} of each class, validation",
                [
                    curve(f"val_{metric}_{number}", name, facts.class_colours[number])
                    for number, name in list(enumerate(facts.classes))[1 : MOST_CLASSES + 1]
                ],
                unit=True,
                best=best,
            )
            for metric, title in (("dice", DICE_NAME[facts.reference]), ("iou", IOU_NAME[facts.reference]))
        ),
        chart("Learning rate", [curve("learning_rate", "learning rate", "s2")], logarithmic=True, best=best),
    ]
    shown = "".join(drawn)
    note = "<p class=soft>The upright dashed line is the best epoch, whose model is kept.</p>" if best else ""
    return f"<h2>Curves</h2>\n{note}<div class=charts>{shown}</div>" if shown else ""


def _tiles(facts: RunFacts, rows: Sequence[TileRow]) -> str:
    shown = [tile for row in rows for tile in row.tiles]
    if not shown:
        return ""
    errors = [("right", f"rgb{RIGHT}"), ("too much", f"rgb{TOO_MUCH}"), ("missed", f"rgb{MISSED}")]
    if any(tile.apart for tile in shown):
        errors.insert(1, ("wrong class", f"rgb{WRONG_CLASS}"))
    if facts.classes:
        present = sorted({int(number) for tile in shown for number in np.unique(tile.mask) if number})
        classes = _legend((facts.classes[number], facts.class_colours[number]) for number in present)
        masks = f"its mask in the colours of its classes{f':{classes}' if present else ''}, and its mask"
        found = f"\n<p class=soft>From left to right the image, {masks} against the reference:{_legend(errors)}.</p>"
    else:
        found = f"\n<p class=soft>Left the image, right its mask against the reference:{_legend(errors)}.</p>"
    for row in rows:
        if row.tiles:
            tiles = "".join(_tile(tile, row.score_name, facts.class_colours) for tile in row.tiles)
            found += f"\n<h2>{escape(row.heading)}</h2>\n<div class=tiles>{tiles}</div>"
    return found


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    swatch = '<span class=entry><span class=swatch style="background:{}"></span>{}</span>'
    return "".join(swatch.format(colour, escape(word)) for word, colour in entries)


def _tile(tile: ReportTile, score_name: str, colours: Sequence[str]) -> str:
    shape = codec.fit_longest_side(tile.image.shape[:2], TILE_PX)
    small = codec.resize_image(tile.image, shape)
    mask, reference = (
        codec.resize_mask(classes > 0, shape) * class_maps.resize_classes(classes, shape)
        for classes in (tile.mask, tile.reference)
    )
    errors = _overlaid(small, _errors(mask, reference) if tile.apart else _errors(mask > 0, reference > 0))
    name = escape(tile.name)
    pictures = [f'<img src="{_data_uri(small)}" alt="{name}">']
    if colours:
        drawn = _overlaid(small, [(mask == n, _rgb(colours[n])) for n in np.unique(mask).tolist() if n])
        pictures.append(f'<img class=overlay src="{_data_uri(drawn)}" alt="Classes of the mask of {name}">')
    pictures.append(f'<img class=overlay src="{_data_uri(errors)}" alt="Mask of {name} against the reference">')
    return (
        f'<div class=tile><div class="pair{" three" if colours else ""}">{"".join(pictures)}</div>'
        f"<p>{name}<br><b>{tile.score:.3f}</b> {escape(score_name)}</p></div>"
    )


def _errors(mask: np.ndarray, reference: np.ndarray) -> list[tuple[np.ndarray, Colour]]:
    """Return where, bool (H, W), two class maps agree and differ, and in which colour to show that."""
    there, wanted = mask > 0, reference > 0
    return [
        (there & (mask == reference), RIGHT),
        (there & wanted & (mask != reference), WRONG_CLASS),
        (there & ~wanted, TOO_MUCH),
        (~there & wanted, MISSED),
    ]


def _rgb(code: str) -> Colour:
    red, green, blue = bytes.fromhex(code[1:])
    return red, green, blue


def _overlaid(image: np.ndarray, parts: Iterable[tuple[np.ndarray, Colour]]) -> np.ndarray:
    drawn = image.astype(np.float32)
    for where, colour in parts:
        drawn[where] += OPACITY * (np.asarray(colour, np.float32) - drawn[where])
    return drawn.round().astype(np.uint8)


def _data_uri(pixels: np.ndarray) -> str:
    done, encoded = cv2.imencode(".webp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, 82])
    if not done:
        raise ValueError(f"OpenCV could not write {pixels.shape} as WebP.")
    return f"data:image/webp;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"


def _counts(facts: RunFacts) -> str:
    """Return the page of counts; empty if the masks were not counted."""
    if not facts.counts:
        return ""
    numbers = [count.objects for count in facts.counts]
    summary = (
        f"{sum(numbers):,} objects in {len(numbers):,} images: {min(numbers):,} to {max(numbers):,} in an image, "
        f"median {np.median(numbers):g}."
    )
    note = (
        f"Connected components of the run's own masks at threshold {DEFAULTS.threshold:g}, of at least "
        f"{DEFAULTS.least_area_px} px², not split where objects touch. All images of its dataset are counted, also "
        "those it learned from; the counts were not compared with truth."
    )
    ranked = sorted(facts.counts, key=lambda count: -count.objects)
    parts = [("All images", ranked)]
    if len(ranked) > 2 * COUNTED_IMAGES:
        parts = [("Most objects", ranked[:COUNTED_IMAGES]), ("Fewest objects", ranked[: -COUNTED_IMAGES - 1 : -1])]
    tables = "".join(_count_table(title, counts, facts.classes[1:]) for title, counts in parts)
    shown = histogram("Images by their number of objects", numbers, "objects", "images")
    return (
        f"\n<section class=page>\n<h2>Objects per image</h2>\n<p>{summary}</p>\n<p class=soft>{note}</p>"
        f"{shown}<div class=charts>{tables}</div>\n</section>"
    )


def _count_table(title: str, counts: Iterable[ImageCount], classes: Sequence[str]) -> str:
    head = "<tr><th>Image</th>" + "".join(f"<th class=number>{escape(name)}</th>" for name in ("Objects", *classes))
    rows = "".join(
        f"<tr><td>{escape(count.name)}</td>"
        + "".join(f"<td class=number>{each:,}</td>" for each in (count.objects, *(count.of_class if classes else ())))
        + "</tr>"
        for count in counts
    )
    return f"<div class=wide><table><caption>{title}</caption>{head}</tr>{rows}</table></div>"


def _settings(facts: RunFacts) -> str:
    groups: dict[str, list[str]] = {}
    for setting in facts.settings:
        mark = "" if setting.preset_value is None else " class=changed"
        row = f"<tr{mark}><td>{escape(setting.parameter)}</td><td>{escape(setting.value)}</td></tr>"
        groups.setdefault(setting.group, []).append(row)
    tables = "".join(
        f"<table><caption>{escape(group)}</caption>{''.join(rows)}</table>" for group, rows in groups.items()
    )
    preset, version = escape(facts.preset), escape(facts.code_version)
    note = f"<p class=soft>Bold: not as in the preset {preset}. Code version {version}.</p>"
    return f"\n<h2>Settings</h2>\n{note}<div class=settings>{tables}</div>"


def _epochs(facts: RunFacts) -> str:
    names = sorted({name for values in facts.metrics.values() for name in values})
    if not names:
        return ""
    titles = ["epoch", *(_with_class(name, facts.classes) for name in names)]
    head = "".join(f"<th class=number>{escape(title)}</th>" for title in titles)
    rows = "".join(
        f"<tr{' class=changed' if epoch == facts.best_epoch else ''}><td class=number>{epoch}</td>"
        + "".join(f"<td class=number>{_number(values.get(name))}</td>" for name in names)
        + "</tr>"
        for epoch, values in sorted(facts.metrics.items())
    )
    against = "against truth" if facts.reference == "truth" else "agreement with the pseudo-label, not with truth"
    note = f"<p class=soft>Dice and IoU in this table are {against}. Bold: the best epoch.</p>"
    table = f"<div class=wide><table><tr>{head}</tr>{rows}</table></div>"
    return f"\n<h2>Every epoch</h2>\n{note}<details><summary>{len(facts.metrics):,} epochs</summary>{table}</details>"


def _with_class(metric: str, classes: Sequence[str]) -> str:
    """Return the title of a stored metric: "val_dice_2" is "val_dice of pan"."""
    name, _, number = metric.rpartition("_")
    return f"{name} of {classes[int(number)]}" if number.isdigit() and int(number) < len(classes) else metric


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4g}"


FORMAT = RunFormat(
    name="report",
    title="Report (HTML)",
    sentence="One page that opens without a network: scores, curves, settings, best and worst masks, counts.",
    suffix="html",
    order=50,
    write=write,
)
