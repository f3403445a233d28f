"""Do the masks of a network end better than the pseudo-labels that it was trained on? By the real command line.

    python -m benchmarks.self_training gain ../shared/data/nuclei -p self_training.rounds=3
    python -m benchmarks.self_training gain ../shared/data/ecssd --method saliency --preset fast --keep /tmp/ecssd
    python -m benchmarks.self_training shares /tmp/ecssd ../shared/data/ecssd
    python -m benchmarks.self_training judge /tmp/ecssd /tmp/nuclei

`gain` imports the folder, labels it without truth, and trains on those labels; then reads what the database holds.
Truth scores and decides nothing. "Labels" trained the first round; "masks" are what the run itself stored for its own
dataset. All are at threshold 0.5, means over images of IoU and Dice: over all images, and over files 0, 2, 4 … and
1, 3, 5 … in the order of their names. Images that a network was trained on count too: their labels are what it had to
improve on. `shares` and `judge` read the rounds of such runs that were kept.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from sqlalchemy import Row, select

from benchmarks.harness import PARTS, Folder, Foreground, Params, data_root, engine, note, paths, suite, table
from db.datasets import named_images
from db.models import Dataset, Image, Label, LabelSet, Prediction, PredictionSet, Run
from db.rounds import label_share, rounds
from db.session import Database
from engine.core.settings import Settings
from engine.datasets.truth_file import read_truth
from engine.imaging import codec
from engine.imaging.metrics import dice, iou, to_mask, weighted_mean
from engine.labelling.base import DEFAULT_METHOD
from engine.store import keys as stored
from engine.store.local import LocalStore
from engine.training.run_details import encoder_weights

Scores = Mapping[str, tuple[float, float]]
"""IoU and Dice by the stem of an image's name."""
ROUND = (
    *("number", "accepted", "first_epoch", "last_epoch", "images", "left_out", "agreement", "labels_quality"),
    *("masks_quality", "labels_truth_iou", "labels_truth_dice", "masks_truth_iou", "masks_truth_dice", "reason"),
)
SHARES = 0.0, 0.25, 0.5, 0.75, 1.0
app = suite(__doc__)


@app.command()
def gain(
    folder: Folder,
    preset: str = "from_labels",
    params: Params = None,
    method: Annotated[str, typer.Option(help="A label method.")] = DEFAULT_METHOD,
    label_params: Annotated[list[str] | None, typer.Option("-l", help="NAME=VALUE of the label method")] = None,
    weights: Annotated[Path | None, typer.Option(help="A file of pretrained weights to add first.")] = None,
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

        name = folder.resolve().name
        if weights:
            engine(root, "weights", "add", str(weights))
        step("import", str(folder.resolve()), "--name", name)
        labelled = step("label", name, "--method", method, *_options(label_params))
        trained = step("train", name, "--labels", labelled["label_set"], "--preset", preset, *_options(params))
        report = read(root, trained["run"], folder)
    note(table({**report["about"], "minutes": minutes, "load_after": psutil.getloadavg()[0]}))
    note(table(report["rounds"]))
    return report["gains"]


@app.command()
def shares(
    root: Annotated[Path, typer.Argument(help="A folder that `gain --keep` has written.")],
    folder: Folder,
    foreground: Foreground = 1,
) -> list[dict[str, Any]]:
    """IoU and Dice of each round's masks and of their means with the labels, for shares of the labels up to 1."""
    rows = []
    for part in PARTS:
        truth = {image.stem: read_truth(mask.read_bytes()).values >= foreground for image, mask in paths(folder, part)}
        for number, share, found in mixed_masks(root.resolve(), set(truth)):
            scores = [(iou(mask, truth[stem]), dice(mask, truth[stem])) for stem, mask in found.items()]
            means = dict(zip(("iou", "dice"), map(statistics.fmean, zip(*scores, strict=True)), strict=True))
            rows.append({"part": part, "images": len(scores), "round": number, "label_share": share, **means})
    return rows


def mixed_masks(root: Path, stems: set[str]) -> Iterator[tuple[int, float, dict[str, np.ndarray]]]:
    """Yield (round, share of the labels, {stem: mask, bool (H, W)}) for each round of the only run in a DATA_ROOT."""
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    files = LocalStore(root)
    with database.reading() as session:
        run = session.scalars(select(Run)).one()
        images = {Path(name).stem: id_ for name, id_ in named_images(session, run.dataset_id)}
        numbers = [each.number for each in rounds(session, run.id)]
    database.close()

    def levels(key: str) -> np.ndarray:
        return codec.decode_png(files.read(key))

    labels = {stem: levels(stored.label_key(run.label_set_id, images[stem])) for stem in stems & set(images)}
    for number in numbers:
        own = {stem: levels(stored.round_mask_key(run.id, number, images[stem])) for stem in labels}
        for share in SHARES:
            means = {stem: weighted_mean(labels[stem], own[stem], share) for stem in labels}
            yield number, share, {stem: to_mask(mean, 0.5) for stem, mean in means.items()}


@app.command()
def judge(
    roots: Annotated[list[Path], typer.Argument(help="The folders that `gain --keep` has written.")],
) -> list[dict[str, Any]]:
    """Was each round accepted rightly? A round is right to be accepted if its masks have the higher IoU.

    "Lost" is the IoU between the better masks and those that were kept. "Elsewhere" is the tolerance of quality that
    loses least on the rounds of all other sets, in place of APPEARANCE_SLACK, and what it then loses here.
    """
    from engine.training.self_training import APPEARANCE_SLACK  # TensorFlow takes seconds to load

    measured = [each for root in roots for each in measured_rounds(root.resolve())]
    rows = []
    for each in measured:
        slack = best_slack([other for other in measured if other.dataset != each.dataset])
        rows.append(
            {
                "set": each.dataset,
                "weights": each.weights,
                "round": each.number,
                "agreement": each.agreement,
                "quality": f"{each.quality_before:.3f} to {each.quality:.3f}",
                "iou": f"{each.iou_before:.3f} to {each.iou:.3f}",
                "accepted": each.accepted(APPEARANCE_SLACK),
                "lost": each.lost(APPEARANCE_SLACK),
                "slack_elsewhere": slack,
                "lost_elsewhere": each.lost(slack),
            }
        )
    wrong = sum(row["lost"] > 0 for row in rows), sum(row["lost_elsewhere"] > 0 for row in rows)
    note(f"Of {len(rows)} decisions {wrong[0]} are wrong, and {wrong[1]} with the tolerance of the other sets.")
    return rows


@dataclass(frozen=True)
class MeasuredRound:
    """A round and what it had to improve on: labels before the first round, later the masks that were kept.

    Qualities and IoU against truth are means over all images. `agrees` is whether agreement rose, if it was asked for.
    """

    dataset: str
    weights: str
    number: int
    agreement: float
    agrees: bool
    quality_before: float
    quality: float
    iou_before: float
    iou: float

    def accepted(self, slack: float) -> bool:
        """Whether the rule accepts the round with this tolerance of quality."""
        return self.agrees and self.quality >= self.quality_before - slack

    def lost(self, slack: float) -> float:
        """Return the IoU that the decision costs; 0 if it is right."""
        kept = self.iou if self.accepted(slack) else self.iou_before
        return max(self.iou, self.iou_before) - kept


def measured_rounds(root: Path) -> list[MeasuredRound]:
    """Return the rounds of all runs in a DATA_ROOT whose dataset has truth."""
    found = []
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    with database.reading() as session:
        for run in session.scalars(select(Run)):
            dataset, before = session.get_one(Dataset, run.dataset_id), None
            for each in rounds(session, run.id):
                first = before is None
                found.append(
                    MeasuredRound(
                        dataset=dataset.name,
                        weights=encoder_weights(run.details) or "none",
                        number=each.number,
                        agreement=each.agreement,
                        agrees=first or each.agreement > before.agreement,
                        quality_before=each.labels_quality if first else before.masks_quality,
                        quality=each.masks_quality,
                        iou_before=each.labels_truth_iou if first else before.masks_truth_iou,
                        iou=each.masks_truth_iou,
                    )
                )
                before = each if first or each.accepted else before
    database.close()
    return found


def best_slack(measured: Sequence[MeasuredRound]) -> float:
    """Return the tolerance of quality with which the rule loses least IoU on these rounds, the middle of a range."""
    drops = sorted({each.quality_before - each.quality for each in measured})
    ends = [drops[0] - 0.01, *drops, drops[-1] + 0.01] if drops else [0.0, 0.0]
    middles = [(low + high) / 2 for low, high in itertools.pairwise(ends)]
    return min(middles, key=lambda slack: sum(each.lost(slack) for each in measured))


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
            "label_share": label_share(run),
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
