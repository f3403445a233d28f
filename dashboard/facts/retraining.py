"""A run that was trained again on corrections beside the run that it came from: which one is the better."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from dashboard.facts import wording
from db import retraining
from db.audit_set import audit_set
from db.models import Run
from engine.prediction.old_and_new import IN_WORDS, Measure, decisive, measures
from engine.store.base import MissingFile, Store


@dataclass(frozen=True)
class OldAndNew:
    """Two runs, the second trained again from the first, and their scores over the same images.

    `measures` are of images that neither was trained on, the one that decides first. `old_dice` and `new_dice` are
    against the `corrected` images that the new one was trained on, None before they are computed; of `images` masks,
    `changed` are different. `kept_id` is what a person prefers, empty if nobody decided.
    """

    old_id: str
    old_name: str
    new_id: str
    new_name: str
    warm: bool
    measures: tuple[Measure, ...]
    corrected: int
    old_dice: float | None
    new_dice: float | None
    images: int
    changed: int
    kept_id: str

    @property
    def decisive(self) -> Measure | None:
        """The measure that decides which run is the better."""
        return decisive(self.measures)

    @property
    def preferred_id(self) -> str:
        """The run to predict with: what a person chose, else the better one."""
        if self.kept_id:
            return self.kept_id
        return self.old_id if self.decisive and not self.decisive.prefers_new else self.new_id

    @property
    def preferred_name(self) -> str:
        return self.new_name if self.preferred_id == self.new_id else self.old_name

    @property
    def reason(self) -> str:
        """Why it is preferred, as the end of a sentence."""
        if self.kept_id:
            return "somebody prefers it"
        if (found := self.decisive) is None:
            return "it knows more corrections, and neither an audit nor truth says that it is worse"
        words = IN_WORDS[found.reference]
        if found.old == found.new:
            return f"it knows more corrections, and {words} is the same"
        old, new = wording.score(found.old), wording.score(found.new)
        better, worse = (new, old) if found.prefers_new else (old, new)
        return f"{words} is {better} against {worse} of the other"


def old_and_new(session: Session, files: Store, new: Run) -> OldAndNew | None:
    """Return a run that was trained again beside its origin; None unless both have masks of their dataset."""
    pair = retraining.pair(session, new)
    if pair is None:
        return None
    audit = audit_set(session, new.dataset_id)
    try:
        found = measures(files, pair.old_set_id, pair.new_set_id, retraining.held_out(session, pair), audit)
    except MissingFile:  # its masks are being computed again, or were deleted
        return None
    stored = new.details["retrained"]
    return OldAndNew(
        old_id=pair.old.id,
        old_name=pair.old.name,
        new_id=new.id,
        new_name=new.name,
        warm=stored["warm"],
        measures=tuple(found),
        corrected=stored.get("corrected", 0),
        old_dice=stored.get("old_dice"),
        new_dice=stored.get("new_dice"),
        images=stored.get("images", 0),
        changed=stored.get("changed", 0),
        kept_id=stored.get("kept", ""),
    )
