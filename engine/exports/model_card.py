"""MODEL_CARD.md: stands beside every exported model, so that nobody has to guess how to use it or what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

from engine.exports.base import ModelFormat
from engine.exports.run_facts import RunFacts, framing_sentence, teacher_sentence, weights_sentence

_THRESHOLD = "A lower threshold finds more, a higher one less; validation images with truth are the place to choose it."


def model_card(what: ModelFormat, facts: RunFacts, check: str) -> str:
    """Return the card of a model in the format `what`. `check` is a sentence on how it was compared."""
    side = facts.model.image_size
    parts = [
        f"# {_plain(facts.name)}",
        f"A network that tells {_things(facts.classes)} in photographs, trained with Maskloom "
        f"{facts.code_version} on {facts.created_at:%Y-%m-%d}.",
        "## What it is",
        _list(
            f"File: {what.contents}.",
            f"Network: {facts.model.architecture}, {_count(facts.parameters)} parameters, float32.",
            weights_sentence(facts),
            check,
        ),
        "## What it learned from",
        _list(
            f"The dataset '{_plain(facts.dataset)}': {facts.train_images:,} images to learn from and "
            f"{facts.validation_images:,} kept out for validation, of {facts.images:,}.",
            _plain(teacher_sentence(facts)),
            f"{facts.epochs:,} epochs with the preset '{_plain(facts.preset)}'; this is the model of epoch "
            f"{facts.best_epoch}.",
        ),
        "## Scores",
        _scores(facts),
        "## What goes in and what comes out",
        _list(
            f"In: a batch of RGB squares, float32 (B, {side}, {side}, 3), values 0 to 255. The network scales them "
            "itself; do not divide by 255.",
            "Pictures were read like this, and `example.py` reads them so: upright by their EXIF orientation; "
            "transparent parts over white; grey as three equal channels. Integers above 255 and floats outside 0 to 1 "
            "are stretched so that their 0.1 % and 99.9 % quantiles become 0 and 255. Of several pages or frames the "
            "first is taken.",
            "`example.py` refuses what Pillow cannot read so: colours of more than 8 bits, and TIFF in separate "
            "planes, in CMYK, or with other than one or three channels besides opacity. Save those as 8-bit RGB first; "
            "if other channels were chosen when the images were imported, save the same ones.",
            framing_sentence(facts),
            *_output(facts),
            "Maskloom itself also averages over mirror images and refines outlines where the run asks for that; "
            "`example.py` does not, so its masks can differ a little at edges.",
        ),
        "## Limits",
        _list(
            f"It knows {'these classes' if facts.classes else 'foreground'} and background only, and only as its "
            "labels drew them.",
            "Expect less on images unlike those it learned from: other subjects, cameras, light or scale. It has not "
            "been tested there.",
            "A probability here is a score, not a calibrated chance. Check masks before anything depends on them.",
        ),
        "## Licence",
        "The weights come from your images and labels, and their rights decide what may be done with them."
        + (f" The encoder began from {facts.weights} weights; their terms apply too." if facts.weights else "")
        + " Code in `example.py` may be used freely.",
    ]
    return "\n\n".join(parts) + "\n"


def _things(classes: Sequence[str]) -> str:
    return f"{len(classes) - 1} classes and background apart" if classes else "foreground from background"


def _output(facts: RunFacts) -> list[str]:
    """Return what comes out, and how it becomes a mask or a class map."""
    side, last = facts.model.image_size, len(facts.classes) - 1
    if not facts.classes:
        return [
            f"Out: float32 (B, {side}, {side}, 1), the probability in [0, 1] that a pixel is foreground.",
            f"Mask: foreground where the probability is at least 0.5. {_THRESHOLD}",
        ]
    order = ", ".join(f"{number} {_plain(name)}" for number, name in enumerate(facts.classes))
    return [
        f"Out: float32 (B, {side}, {side}, {last + 1}), the probability in [0, 1] of background and of each class, "
        f"which sum to 1 in each pixel. Their order: {order}.",
        "Class map: the probability of foreground is 1 − that of background. Where it is below 0.5 a pixel is "
        f"background, 0; any other pixel has the most likely of the classes 1 to {last}. {_THRESHOLD}",
        "`example.py` writes these numbers as an 8-bit PNG, which looks black in a viewer.",
    ]


def _scores(facts: RunFacts) -> str:
    if not facts.scores:
        return "None are known."
    rows = [f"| {_plain(score.name)} | {score.value:.4f} | {_plain(score.on)} |" for score in facts.scores]
    return "\n".join(["| Score | Value | On |", "|---|---|---|", *rows])


def _list(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines if line)


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"


def _plain(text: str) -> str:
    """Return a name that a person gave as Markdown that shows its own signs, on one line."""
    return "".join(f"\\{sign}" if sign in r"\`*_[]<>#|&" else sign for sign in " ".join(text.split()))
