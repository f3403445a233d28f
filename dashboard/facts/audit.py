"""What an audit says of mask sets and runs, in words and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dashboard.facts.wording import count
from db.audit_set import AuditMasks
from engine.prediction.audit import Scores


def audit_words(scores: Scores, masks: AuditMasks) -> str:
    """Return one line: the Dice against the audit with its interval, and why it may be too high."""
    dice = scores.dice
    words = (
        f"Dice vs audit {dice.mean:.2f}, between {dice.low:.2f} and {dice.high:.2f} on the whole dataset, 95 % certain"
    )
    return f"{words}. {_too_high(masks)}" if masks.trained_on else words


def _too_high(masks: AuditMasks) -> str:
    return f"Too high: it was trained on {count(masks.trained_on, 'image')} of the audit before they were drawn."


def audit_table(scored: Sequence[tuple[AuditMasks, Scores]]) -> list[dict[str, object]]:
    """Return a row of plain values for each mask set and run."""
    return [
        {
            "Masks": masks.name,
            "Kind": masks.kind,
            "Dice vs audit": scores.dice.mean,
            "Dice from": scores.dice.low,
            "Dice to": scores.dice.high,
            "IoU vs audit": scores.iou.mean,
            "IoU from": scores.iou.low,
            "IoU to": scores.iou.high,
            "Images": scores.images,
            "Of these trained on": masks.trained_on,
        }
        for masks, scores in scored
    ]


def audit_csv(rows: Sequence[dict[str, object]]) -> str:
    """Return the table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
