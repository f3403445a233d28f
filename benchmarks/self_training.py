"""Do the masks of a network end better than the pseudo-labels that taught it? By the real command line, from a folder.

    python -m benchmarks.self_training ../shared/data/nuclei -p self_training.rounds=3
    python -m benchmarks.self_training ../shared/data/ecssd --method saliency --preset fast --keep /tmp/ecssd

Imports the folder (images/ and truth/, paired by stem), labels it without truth, and trains on those labels; then reads
what the database kept. Truth scores and decides nothing. "Labels" taught the first round; "final masks" are what the
run itself stored for its own dataset. All are at threshold 0.5, means over images of IoU and Dice: over all images, and
over files 0, 2, 4 … and 1, 3, 5 … in the order of their names (on ecssd and nuclei, the even ones chose the label
methods' defaults). Masks of images that a network was trained on count too: these labels are what it had to overcome.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select

from benchmarks.labels import PARTS, paths
from benchmarks.training import ROOT
from db.models import Image, Label, LabelSet, Prediction, PredictionSet, Run
from db.rounds import rounds
from db.session import Database
from engine.labelling.base import DEFAULT_METHOD
from engine.training.run_details import encoder_weights

Scores = dict[str, tuple[float, float]]  # IoU and Dice by the stem of an image's name


@dataclass(frozen=True)
class Line:
    """Means of IoU and Dice against truth over one part of the folder; the gain is masks less labels."""

    part: str
    images: int
    labels_iou: float
    labels_dice: float
    masks_iou: float
    masks_dice: float
    gain_iou: float
    gain_dice: float


def main(
    folder: Annotated[Path, typer.Argument(help="Folder with images/ and truth/, paired by stem.")],
    preset: str = "fast",
    params: Annotated[list[str] | None, typer.Option("-p", help="group.name=value of the training")] = None,
    method: Annotated[str, typer.Option(help="A label method.")] = DEFAULT_METHOD,
    label_params: Annotated[list[str] | None, typer.Option("-l", help="name=value of the label method")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this DATA_ROOT.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of tables.")] = False,
) -> None:
    """Go from a folder to final masks, and print what each step was worth."""
    if not paths(folder, "all"):
        raise SystemExit(f"'{folder}' holds no pair of images/ and truth/.")
    with tempfile.TemporaryDirectory() as temporary:
        root = (keep or Path(temporary)).resolve()
        steps = Steps(root)
        steps.run("import", str(folder.resolve()), "--name", "images")
        labelled = steps.run("label", "images", "--method", method, *_options(label_params))
        chosen = ["--labels", labelled["label_set"], "--preset", preset, *_options(params)]
        trained = steps.run("train", "images", *chosen)
        report = read(root, trained["run"], folder)
    report |= {"data": folder.name, "load_after": os.getloadavg()[0], "minutes": steps.minutes}
    print(json.dumps(report) if as_json else tables(report))


def _options(params: list[str] | None) -> list[str]:
    return [word for each in params or [] for word in ("-p", each)]


class Steps:
    """Runs commands of `python -m engine` on one DATA_ROOT, and keeps the minutes of each."""

    def __init__(self, root: Path) -> None:
        self._environment = {**os.environ, "DATA_ROOT": str(root), "DATABASE_URL": ""}
        self.minutes: dict[str, float] = {}

    def run(self, command: str, *words: str) -> dict[str, Any]:
        """Return what a command printed as JSON.

        Raises:
            SystemExit: it failed; its own sentence has been printed.
        """
        began = time.monotonic()
        line = [sys.executable, "-m", "engine", command, *words, "--json"]
        done = subprocess.run(line, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"`engine {command}` ended with exit code {done.returncode}. {done.stdout.strip()}")
        self.minutes[command] = round((time.monotonic() - began) / 60, 2)
        return json.loads(done.stdout)


def read(root: Path, run_id: str, folder: Path) -> dict[str, Any]:
    """Return what the database under `root` says of a run: its labels, its rounds and its final masks against truth."""
    database = Database(f"sqlite:///{root / 'app.db'}")
    with database.reading() as session:
        run = session.get_one(Run, run_id)
        label_set = session.get_one(LabelSet, run.label_set_id)
        named = select(Image.name, Label.iou, Label.dice).join(Image, Image.id == Label.image_id)
        labels = _by_stem(session.execute(named.where(Label.label_set_id == label_set.id)))
        final = session.scalars(
            select(PredictionSet).where(PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id)
        ).one()
        named = select(Image.name, Prediction.truth_iou, Prediction.truth_dice)
        named = named.join(Image, Image.id == Prediction.image_id).where(Prediction.prediction_set_id == final.id)
        masks = _by_stem(session.execute(named))
        told = [{name: getattr(each, name) for name in ROUND} for each in rounds(session, run.id)]
    database.close()
    return {
        "method": label_set.method,
        "chose": (label_set.state or {}).get("sentence", ""),
        "preset": run.preset,
        "ended": run.ended_reason,
        "encoder_weights": encoder_weights(run.details),
        "precision": run.details.get("hardware", {}).get("precision", ""),
        "flips": final.flips,
        "refine": final.refine,
        "rounds": told,
        "lines": [asdict(each) for each in lines(folder, labels, masks)],
    }


ROUND = (
    *("number", "accepted", "first_epoch", "last_epoch", "images", "left_out", "agreement"),
    *(
        "labels_quality",
        "masks_quality",
        "labels_truth_iou",
        "labels_truth_dice",
        "masks_truth_iou",
        "masks_truth_dice",
    ),
    "reason",
)


def _by_stem(rows: Any) -> Scores:
    return {Path(name).stem: (iou, dice) for name, iou, dice in rows if iou is not None}


def lines(
    folder: Path, labels: Mapping[str, tuple[float, float]], masks: Mapping[str, tuple[float, float]]
) -> list[Line]:
    """Return a line for each part of the folder, over the images that have both scores.

    An image that the import left out as another's double is in no part; it moves no other one to the other half.
    """
    found = []
    for part in PARTS:
        stems = [path.stem for path in paths(folder, part) if path.stem in labels and path.stem in masks]
        if not stems:
            continue
        means = [statistics.fmean(side[stem][which] for stem in stems) for side in (labels, masks) for which in (0, 1)]
        rounded = [round(mean, 4) for mean in [*means, means[2] - means[0], means[3] - means[1]]]
        found.append(Line(part, len(stems), *rounded))
    return found


def tables(report: Mapping[str, Any]) -> str:
    """Return a report for people."""
    weights = f"encoder weights: {report['encoder_weights']}" if report["encoder_weights"] else "no pretrained weights"
    flips = "mirrored and averaged" if report["flips"] else "predicted once"
    minutes = ", ".join(f"{step} {value:.1f}" for step, value in report["minutes"].items())
    text = [
        f"{report['data']}: {report['method']}, preset {report['preset']}, {weights}, {report['precision']}. "
        f"Minutes: {minutes}; load {report['load_after']:.1f} after.",
        *([report["chose"]] if report["chose"] else []),
        f"{report['ended']} Final masks: {flips}, refined by {report['refine']}.",
    ]
    if report["rounds"]:
        text += ["", "round  accepted  epochs   images  agreement  quality        labels IoU Dice   masks IoU Dice"]
    text += [_round(each) for each in report["rounds"]]
    text += ["", "part  images  labels IoU Dice   final masks IoU Dice   final masks - labels IoU Dice"]
    text += [_line(each) for each in report["lines"]]
    return "\n".join(text)


def _round(each: Mapping[str, Any]) -> str:
    epochs = f"{each['first_epoch']}-{each['last_epoch']}"
    accepted = "yes" if each["accepted"] else "no"
    quality = f"{each['labels_quality']:.3f}->{each['masks_quality']:.3f}"
    return (
        f"{each['number']:5}  {accepted:8}  {epochs:7}  {each['images']:6}  {each['agreement']:9.3f}  {quality}  "
        f"{each['labels_truth_iou']:10.4f} {each['labels_truth_dice']:.4f}  "
        f"{each['masks_truth_iou']:9.4f} {each['masks_truth_dice']:.4f}"
    )


def _line(each: Mapping[str, Any]) -> str:
    return (
        f"{each['part']:4}  {each['images']:6}  {each['labels_iou']:10.4f} {each['labels_dice']:.4f}  "
        f"{each['masks_iou']:15.4f} {each['masks_dice']:.4f}  {each['gain_iou']:+24.4f} {each['gain_dice']:+.4f}"
    )


if __name__ == "__main__":
    typer.run(main)
