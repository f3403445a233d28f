"""How a predicted mask came to be: the network, what it learned from, and how the mask was drawn. All in words."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.recipes import describe_changes, known_recipe
from dashboard.facts.rounds import rounds_total
from db import rounds
from db.models import Dataset, LabelSet, PredictionSet, Run
from engine.training.run_details import weights_note


@dataclass(frozen=True)
class MaskOrigin:
    """What made the masks of a prediction set.

    `network` is like "preset balanced · best epoch 12 · encoder weights: ImageNet", `drawing` like "averaged over
    flips", `recipe` like "K-means: clusters 6". `label_set_id` is empty where truth taught the run. `classes` are the
    dataset's names by class index, 0 the background; empty without truth.
    """

    run_id: str
    run_name: str
    network: str
    drawing: str
    label_set_id: str
    label_set_name: str
    recipe: str
    dataset_id: str
    dataset_name: str
    classes: tuple[str, ...]


def mask_origin(session: Session, prediction_set_id: str) -> MaskOrigin | None:
    """Return what made the masks of a prediction set; None if there is no such set."""
    made = session.get(PredictionSet, prediction_set_id)
    if made is None:
        return None
    run = session.get_one(Run, made.run_id)
    dataset = session.get_one(Dataset, made.dataset_id)
    label_set = session.get(LabelSet, run.label_set_id) if run.label_set_id else None
    return MaskOrigin(
        run_id=run.id,
        run_name=run.name,
        network=" · ".join(_network(session, run)),
        drawing=_drawing(made),
        label_set_id=label_set.id if label_set else "",
        label_set_name=label_set.name if label_set else "",
        recipe=_recipe(label_set) if label_set else "",
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        classes=tuple(str(entry["name"]) for entry in dataset.classes),
    )


def _network(session: Session, run: Run) -> list[str]:
    words = [f"preset {run.preset}"]
    if run.best_epoch is not None:
        words.append(f"best epoch {run.best_epoch}")
    if weights := weights_note(run.details):
        words.append(weights)
    if rounds_total(run) > 1:
        accepted = [row.number for row in rounds.rounds(session, run.id) if row.accepted]
        words.append(f"self-training, round {accepted[-1]}" if accepted else "self-training")
    return words


def _drawing(made: PredictionSet) -> str:
    words = ["averaged over flips"] if made.flips else []
    if made.refine != "none":
        words.append(f"refined with {made.refine.replace('_', ' ')}")
    return ", ".join(words) or "as the network drew it"


def _recipe(label_set: LabelSet) -> str:
    recipe = known_recipe(label_set.method, label_set.params)
    if recipe is None:
        return label_set.method
    chosen = auto_choice(label_set.state)
    return f"{recipe.title}: {describe_changes(recipe.params)}" + (f"; chose {chosen.title}" if chosen else "")
