"""A mask set as the command line reports it: the quality of its masks, and what its method learned."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from db import recipes
from db.models import Job, LabelSet
from engine.cli.run_report import class_names
from engine.imaging import metrics
from engine.labelling.base import find_method
from engine.labelling.strokes.backbones import weights_of

VERDICTS = {
    "trust": "Verdict: trust.",
    "look": "Verdict: look at the masks before you use them.",
    "unclear": "Verdict: I cannot tell what you mean. Show it with strokes.",
}


def label_result(session: Session, label_set: LabelSet, job: Job) -> dict[str, Any]:
    """Return a mask set as JSON.

    `quality` is the mean estimate without truth, `unclear` how many images have no clear foreground, `verdict` is
    "trust", "look" or "unclear" with its `reason` and the number `trust` behind it, None for masks of older versions,
    `spearman` the rank correlation of quality with true Dice, `learned` what the method learned of the dataset.
    """
    summary = recipes.summary(session, label_set.id)
    both = [
        (row.quality, row.dice)
        for row in recipes.labels(session, label_set.id)
        if row.quality is not None and row.dice is not None
    ]
    several = {"classes": [{"class": number, "name": name} for number, name in class_names(label_set.classes)]}
    return {
        "label_set": label_set.id,
        "name": label_set.name,
        "method": label_set.method,
        "params": label_set.params,
        "status": job.status.value,
        "images": summary.images,
        "quality": summary.quality,
        "unclear": summary.unclear,
        "verdict": job.result.get("verdict"),
        "reason": job.result.get("reason"),
        "trust": job.result.get("trust"),
        "scored_against_truth": summary.scored,
        "dice": summary.dice,
        "iou": summary.iou,
        "spearman": metrics.spearman([quality for quality, _ in both], [dice for _, dice in both]),
        "learned": _learned(label_set.state),
        "weights": weights_of(label_set.params, label_set.state or {}),
        "copied": job.result.get("copied"),
        "seconds": job.result.get("seconds"),
    } | (several if label_set.classes else {})


def label_sentences(result: dict[str, Any]) -> str:
    """Return the report as text: counts and scores, then why this recipe was chosen and which came second."""
    lines = [f"Labelled {result['images']} images as {result['name']!r}."]
    if "classes" in result:
        numbers = ", ".join(f"{entry['class']} = {entry['name']}" for entry in result["classes"])
        lines.append(f"Classes of the masks: 0 = background, {numbers}.")
    if result["quality"] is not None:
        lines.append(
            f"Estimated quality (no truth): {result['quality']:.2f} on average; doubtful masks: {result['unclear']}."
        )
    if result["verdict"]:
        lines.append(f"{VERDICTS[result['verdict']]} {result['reason']}")
    if result["dice"] is not None:
        of = "Foreground against" if "classes" in result else "Against"
        lines.append(
            f"{of} truth ({result['scored_against_truth']} images): Dice {result['dice']:.4f}, IoU {result['iou']:.4f}."
        )
    if result["spearman"] is not None:
        lines.append(
            f"Rank correlation of estimated quality with true Dice: Spearman {result['spearman']:.2f} (1: same order)."
        )
    if result["weights"]:
        lines.append(f"Pretrained weights helped: {result['weights']}.")
    learned = result["learned"] or {}
    lines += [learned["sentence"]] if "sentence" in learned else []
    lines += [f"  {each['title']}: {each['sentence']}" for each in learned.get("ranking", [])]
    lines += [_cluster_line(number, each) for number, each in enumerate(learned.get("clusters", []))]
    return "\n".join(lines)


def _cluster_line(number: int, cluster: dict[str, Any]) -> str:
    proposed = ", proposed as foreground" if cluster["proposed"] else ""
    return f"  cluster {number}: {cluster['share']:.1%} of the area{proposed}"


def _learned(state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the readable part of a method's state: the choice and its alternatives, or the clusters to tick."""
    if state is None:
        return None
    names = ("method", "params", "sentence", "ranking", "images")
    learned: dict[str, Any] = {name: state[name] for name in names if name in state}
    if "method" in learned:
        learned["title"] = find_method(learned["method"]).title
    if "clusters" in state:
        learned["clusters"] = [
            {name: cluster[name] for name in ("share", "proposed", "lab")} for cluster in state["clusters"]
        ]
    return learned
