"""Do the masks of a network end better than the pseudo-labels that it was trained on? By the real command line.

    python -m benchmarks.self_training gain ../shared/data/nuclei -p self_training.rounds=3
    python -m benchmarks.self_training gain ../shared/data/ecssd --method saliency --preset fast --keep /tmp/ecssd

Imports the folder, labels it without truth, and trains on those labels; then reads what the database holds. Truth
scores and decides nothing. "Labels" trained the first round; "masks" are what the run itself stored for its own
dataset. All are at threshold 0.5, means over images of IoU and Dice: over all images, and over files 0, 2, 4 … and
1, 3, 5 … in the order of their names. Images that a network was trained on count too: their labels are what it had to
improve on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from sqlalchemy import Row, select

from benchmarks.harness import PARTS, Folder, Params, data_root, engine, note, paths, suite, table
from db.models import Image, Label, LabelSet, Prediction, PredictionSet, Run
from db.rounds import rounds
from db.session import Database
from engine.core.settings import Settings
from engine.labelling.base import DEFAULT_METHOD
from engine.training.run_details import encoder_weights

Scores = Mapping[str, tuple[float, float]]
"""IoU and Dice by the stem of an image's name."""
ROUND = (
    *("number", "accepted", "first_epoch", "last_epoch", "images", "left_out", "agreement", "labels_quality"),
    *("masks_quality", "labels_truth_iou", "labels_truth_dice", "masks_truth_iou", "masks_truth_dice", "reason"),
)
app = suite(__doc__)


@app.command()
def gain(
    folder: Folder,
    preset: str = "fast",
    params: Params = None,
    method: Annotated[str, typer.Option(help="A label method.")] = DEFAULT_METHOD,
    label_params: Annotated[list[str] | None, typer.Option("-l", help="NAME=VALUE of the label method")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this DATA_ROOT.")] = None,
) -> list[dict[str, Any]]:
    """From a folder to final masks: scores of labels and masks against truth, and what was gained."""
    paths(folder)
    minutes = {}
    with data_root(keep) as root:

        def step(command: str, *words: str) -> dict[str, Any]:
            began = time.monotonic()
            result = engine(root, command, *words)
            minutes[command] = (time.monotonic() - began) / 60
            return result

        step("import", str(folder.resolve()), "--name", "images")
        labelled = step("label", "images", "--method", method, *_options(label_params))
        trained = step("train", "images", "--labels", labelled["label_set"], "--preset", preset, *_options(params))
        report = read(root, trained["run"], folder)
    note(table({**report["about"], "minutes": minutes, "load_after": psutil.getloadavg()[0]}))
    note(table(report["rounds"]))
    return report["gains"]


def _options(params: list[str] | None) -> list[str]:
    return [word for each in params or [] for word in ("-p", each)]


def read(root: Path, run_id: str, folder: Path) -> dict[str, Any]:
    """Return what the database under `root` holds of a run: "about" it, its "rounds", and its "gains" over labels."""
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    with database.reading() as session:
        run = session.get_one(Run, run_id)
        label_set = session.get_one(LabelSet, run.label_set_id)
        query = select(Image.name, Label.iou, Label.dice).join(Image, Image.id == Label.image_id)
        labels = _by_stem(session.execute(query.where(Label.label_set_id == label_set.id)))
        own = PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id
        final = session.scalars(select(PredictionSet).where(*own)).one()
        query = select(Image.name, Prediction.truth_iou, Prediction.truth_dice)
        query = query.join(Image, Image.id == Prediction.image_id).where(Prediction.prediction_set_id == final.id)
        masks = _by_stem(session.execute(query))
        about = {
            "method": label_set.method,
            "chose": (label_set.state or {}).get("sentence", ""),
            "preset": run.preset,
            "ended": run.ended_reason,
            "encoder_weights": encoder_weights(run.details) or "none",
            "precision": run.details.get("hardware", {}).get("precision", ""),
            "flips": final.flips,
            "refine": final.refine,
        }
        all_rounds = [{name: getattr(each, name) for name in ROUND} for each in rounds(session, run.id)]
    database.close()
    return {"about": about, "rounds": all_rounds, "gains": gains(folder, labels, masks)}


def _by_stem(rows: Iterable[Row[Any]]) -> Scores:
    return {Path(name).stem: (iou, dice) for name, iou, dice in rows if iou is not None}


def gains(folder: Path, labels: Scores, masks: Scores) -> list[dict[str, Any]]:
    """Return means for each part of the folder, over the images that have both scores; a gain is masks less labels.

    An image that the import left out as another's duplicate is in no part; it moves no other one to the other half.
    """
    found = []
    for part in PARTS:
        stems = [image.stem for image, _ in paths(folder, part) if image.stem in labels and image.stem in masks]
        if not stems:
            continue
        row: dict[str, Any] = {"part": part, "images": len(stems)}
        for which, score in enumerate(("iou", "dice")):
            before, after = (statistics.fmean(side[stem][which] for stem in stems) for side in (labels, masks))
            row |= {f"labels_{score}": before, f"masks_{score}": after, f"gain_{score}": after - before}
        found.append(row)
    return found


if __name__ == "__main__":
    app()
