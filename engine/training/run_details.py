"""Text for what a run is measured against and for the details that it stores (`Run.details`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from engine.network.pretrained import short_name

Reference = Literal["truth", "pseudo-label"]
"""What the scores of a run's epochs compare with: the targets it is trained on."""
DICE_NAME: dict[Reference, str] = {
    "truth": "Soft Dice vs truth",
    "pseudo-label": "Agreement with the pseudo-label (soft Dice)",
}
"""Soft Dice is that of an epoch: of probabilities, over all pixels at the network's size. It is not that of masks."""
IOU_NAME: dict[Reference, str] = {"truth": "IoU vs truth", "pseudo-label": "Agreement with the pseudo-label (IoU)"}

LABEL_WEIGHTS = "label_weights"
"""In `Run.details`: the pretrained weights that helped the labels; see `engine.labelling.strokes.backbones`."""

_METRICS = {"loss": "loss", "dice": "soft Dice", "iou": "IoU"}


def metric_in_words(name: str) -> str:
    """Return a stored metric as part of a sentence: "val_iou" as "the validation IoU"."""
    side = "validation" if name.startswith("val_") else "training"
    return f"the {side} {_METRICS[name.removeprefix('val_')]}"


def class_names(classes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the classes that a run tells apart (`Run.classes`), background first; () for foreground."""
    return tuple(str(entry["name"]) for entry in classes)


def mean_note(classes: Sequence[str]) -> str:
    """Return what an epoch's Dice and IoU are with these classes: "mean of 2 classes"; empty for foreground alone."""
    return f"mean of {len(classes) - 1} classes" if classes else ""


def encoder_weights(details: Mapping[str, Any]) -> str:
    """Return the pretrained weights of a run's encoder as stored: "ImageNet" or a file name; empty if there are none.

    `details["weights"]` names the encoder first: "MobileNetV2 encoder: ImageNet".
    """
    return str(details.get("weights") or "").rpartition(": ")[2]


def weights_name(details: Mapping[str, Any]) -> str:
    """Return a short name of the pretrained weights: "ImageNet", or the beginning of a file's name; empty if none."""
    return short_name(encoder_weights(details))


def label_weights(details: Mapping[str, Any]) -> str:
    """Return the pretrained weights that helped the labels that a run was trained on; empty if none did."""
    return str(details.get(LABEL_WEIGHTS) or "")


def weights_note(details: Mapping[str, Any]) -> str:
    """Return the note beside each score of a run: "ImageNet weights", "in the labels" if it owes them to these.

    It is empty if there are no pretrained weights in either.
    """
    name, of_labels = weights_name(details), short_name(label_weights(details))
    notes = f"{name} weights" if name else "", f"{of_labels} weights in the labels" if of_labels else ""
    return ", ".join(filter(None, notes))


def weights_origin(details: Mapping[str, Any]) -> str:
    """Return what the tooltip of that note says, with the file and its SHA-256 where they were stored; else empty."""
    weights, of_labels, found = encoder_weights(details), label_weights(details), []
    if weights:
        file = details.get("weights_file") or weights
        found.append(f"The network's encoder started from pretrained weights: {file}.")
    if of_labels:
        found.append(f"Its labels were computed with {of_labels}.")
    return " ".join(found)


def label_share_words(share: float) -> str:
    """Return what the masks of a run's own images are where labels have a share in them; empty where they have none."""
    if not share:
        return ""
    return "the labels that it was trained on" if share == 1 else f"{share:.0%} the labels that it was trained on"


def label_share_note(share: float) -> str:
    """Return what the masks of a run's own images owe to the labels that it was trained on; empty if nothing."""
    if not share:
        return ""
    if share < 1:
        masks = f"{share:.0%} the labels that the network was trained on and {1 - share:.0%} its own masks."
    else:
        masks = "the labels that the network was trained on, because its own were less plausible."
    return (
        f"The masks of these images are {masks} Scores against truth are of these masks. Agreement with the labels is "
        "that of the network, which alone predicts other images."
    )


def hardware_line(details: Mapping[str, Any]) -> str:
    """Return a run's hardware, such as "2 threads of AMD EPYC · mixed bfloat16 · XLA off"; empty if unknown."""
    hardware = details.get("hardware") or {}
    if not hardware:
        return ""
    cards = [str(device) for device in hardware.get("devices", ()) if device != "CPU"]
    threads = hardware.get("threads", 0)
    cpu = hardware.get("cpu") or "the processor"
    parts = [" and ".join(_counted(cards))] if cards else [f"{threads} thread{'' if threads == 1 else 's'} of {cpu}"]
    parts.append(str(hardware.get("precision", "float32")).replace("_", " "))
    parts.append("XLA on" if hardware.get("xla") else "XLA off")
    return " · ".join(parts)


def _counted(names: list[str]) -> list[str]:
    counts = {name: names.count(name) for name in names}
    return [f"{count} × {name}" if count > 1 else name for name, count in counts.items()]
