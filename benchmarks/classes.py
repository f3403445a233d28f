"""Does a network tell classes apart, and what does that cost? By the real command line.

    python -m benchmarks.classes learned ../shared/data/eggs-and-pans --preset fast
    python -m benchmarks.classes rare -p training.class_weights=inverse_frequency

`learned` imports a folder with truth of several classes and trains on it twice, with the same split and the same
number of epochs: once each class, once all merged into one foreground. `rare` draws discs of which every hundredth
pixel belongs to a second class. Dice against truth at threshold 0.5 on the validation images, from pixels summed over
all of them; no image of these was trained on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sqlalchemy import select

from benchmarks.harness import Folder, Params, data_root, engine, suite
from db.models import Prediction, PredictionSet, Run
from db.session import Database
from engine.core.settings import Settings
from engine.imaging import metrics
from engine.imaging.codec import encode_png

RARE_SHARE = 0.01
"""Of the foreground's pixels."""

app = suite(__doc__)


@app.command()
def learned(
    folder: Folder,
    preset: str = "fast",
    params: Params = None,
    merged: Annotated[bool, typer.Option(help="Also train with all classes merged.")] = True,
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this DATA_ROOT.")] = None,
) -> list[dict[str, Any]]:
    """Dice of each class and of all as foreground, and minutes of training."""
    options = [word for each in params or [] for word in ("-p", each)]
    rows = []
    with data_root(keep) as root:
        engine(root, "import", str(folder.resolve()), "--name", "images")
        for name, own in (("each class", []), ("merged", ["-p", "model.classes=1"]))[: 1 + merged]:
            run = engine(root, "train", "images", "--truth", "--name", name, "--preset", preset, *options, *own)["run"]
            rows.append({"network": name, **scores(root, run)})
    return rows


@app.command()
def rare(
    params: Params = None,
    images: Annotated[int, typer.Option(help="Drawn images; 30 % validate.")] = 120,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Dice of a class with 1 % of the foreground's pixels, with and without the given parameters."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        draw_rare(Path(folder), images, seed)
        for given in (None, params)[: 1 + bool(params)]:
            found = learned(Path(folder), "fast", given, merged=False, keep=None)
            rows += [{"parameters": " ".join(given or ["as they are"]), **row} for row in found]
    return rows


def scores(root: Path, run_id: str) -> dict[str, Any]:
    """Return Dice on the validation images of a run, of foreground and of each class, and its minutes."""
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    with database.reading() as session:
        run = session.get_one(Run, run_id)
        own = PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id
        query = select(Prediction.truth_counts, Prediction.truth_confusion).join(PredictionSet)
        found = session.execute(query.where(*own, Prediction.split == "validation")).all()
        names, minutes, epochs = [entry["name"] for entry in run.classes], (run.train_seconds or 0) / 60, run.best_epoch
    database.close()
    counts = metrics.unpack_many([row.truth_counts for row in found])
    summed = metrics.ThresholdCounts(*(np.sum(part, axis=0, keepdims=True) for part in counts))
    result = {
        "images": len(found),
        "foreground_dice": float(metrics.dice_curve(summed)[0, metrics.threshold_index(0.5)]),
        "minutes": minutes,
        "best_epoch": epochs,
    }
    if names:
        rows = [row for each in found for row in each.truth_confusion]
        dice = metrics.class_scores(metrics.confusion_matrix(rows, len(names) - 1)).dice
        result |= {f"dice {name}": float(value) for name, value in zip(names[1:], dice, strict=True)}
    return result


def draw_rare(folder: Path, images: int, seed: int) -> None:
    """Draw images/ and truth/ of discs, one colour for each of two classes, on a textured ground.

    Every disc of class 1 covers some 3,000 pixels. A fifth of the images have a disc of class 2, so small that it has
    `RARE_SHARE` of all their foreground.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256]
    large, every = 31.0, 5
    small = large * np.sqrt(RARE_SHARE / (1 - RARE_SHARE) * 2 * every)
    for name in ("images", "truth"):
        (folder / name).mkdir()
    for number in range(images):
        picture = rng.normal((120, 130, 110), 18, (256, 256, 3))
        truth = np.zeros((256, 256), np.uint8)
        discs = [(1, large), (1, large), *([(2, small)] if number % every == 0 else [])]
        for index, radius in discs:
            y, x = rng.uniform(40, 216, 2)
            disc = np.hypot(rows - y, columns - x) < radius
            truth[disc] = index
            colour = (150, 110, 90) if index == 1 else (110, 120, 165)
            picture[disc] = rng.normal(colour, 18, (int(disc.sum()), 3))
        (folder / "images" / f"{number:03}.png").write_bytes(encode_png(np.clip(picture, 0, 255).astype(np.uint8)))
        (folder / "truth" / f"{number:03}.png").write_bytes(encode_png(truth))


if __name__ == "__main__":
    app()
