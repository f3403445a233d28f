"""What a trial is scored by. Every score names what it is compared with."""

from __future__ import annotations

SCORES: dict[str, dict[str, str]] = {
    "runs": {
        "truth": "Validation Dice vs truth",
        "audit": "Dice vs audit",
        "label_free": "Validation Dice vs pseudo-label",
    },
    "masks": {
        "truth": "Dice vs truth",
        "audit": "Dice vs audit",
        "label_free": "Estimated quality of the masks",
    },
}
"""{kind of sweep: {objective: its score as pages and the command line name it}}."""

MEANINGS: dict[str, dict[str, str]] = {
    "runs": {
        "truth": "How well the masks of the validation images agree with truth.",
        "audit": "How well the masks of the audit images agree with what people corrected there.",
        "label_free": "How well a network learned its pseudo-label, not whether that is right.",
    },
    "masks": {
        "truth": "How well the masks agree with truth.",
        "audit": "How well the masks of the audit images agree with what people corrected there.",
        "label_free": "How plausible the masks look, estimated without any truth: they can be wrong all the same.",
    },
}
"""What a score tells, by the keys of `SCORES`."""

CAUTION = (
    "The best score of many trials is a little too high: it was chosen for being the highest. The images of an audit "
    "that is not the objective tell how good the best trial really is."
)


def default_objective(kind: str, truth: bool, teacher_is_truth: bool) -> str:
    """Return the objective that is proposed: truth where there is some."""
    return "truth" if truth or (kind == "runs" and teacher_is_truth) else "label_free"
