"""Does a network tell classes apart, and what does that cost? By the real command line.

    python -m benchmarks.classes learned ../shared/data/eggs-and-pans --preset fast
    python -m benchmarks.classes rare -p training.class_weights=inverse_frequency
    python -m benchmarks.classes cost ../shared/data/eggs-and-pans
    python -m benchmarks.classes exported --of-each 4

`learned` imports a folder with truth of several classes and trains on it twice, with the same split and the same
number of epochs: once each class, once all merged into one foreground. `rare` draws discs of which every hundredth
pixel belongs to a second class. Dice against truth at threshold 0.5 on the validation images, from pixels summed over
all of them; no image of these was trained on. `cost` compares what training takes with that of one class. `exported`
compares exported models with predictions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from skimage import data as photographs
from sqlalchemy import select

from benchmarks.harness import PARTS, Folder, Params, data_root, engine, in_turns, seconds, suite
from benchmarks.training import samples, step_of
from db.models import Image, Prediction, PredictionSet, Run
from db.session import Database
from engine.core.run_config import config_from
from engine.core.settings import Settings
from engine.imaging import metrics
from engine.imaging.codec import decode_png, encode_png, resize_image
from tests.support.shared_data import SHARED_DATA

RARE_SHARE = 0.01
"""Of the foreground's pixels."""

Colours = Sequence[tuple[int, int, int]]
FOUR: Colours = [(200, 60, 50), (60, 160, 70), (60, 90, 200), (220, 200, 70)]
PHOTOGRAPHS = ("astronaut", "camera", "cat", "coffee", "coins", "hubble_deep_field", "retina", "rocket")

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
            rows += [{"network": name, **row} for row in scores(root, run)]
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


@app.command()
def cost(
    folder: Folder,
    bounds: Annotated[list[int] | None, typer.Option(help="The next class begins here; [64, 192].")] = None,
    epochs: Annotated[int, typer.Option(min=2, help="The first, in which graphs are built, is not counted.")] = 3,
    rounds: int = 12,
) -> list[dict[str, Any]]:
    """Processor seconds of *fast* with several classes and with one, in turns: medians, and the median ratio.

    Steps are taken on ready batches. An epoch is that of a run: reading, augmentation, validation and files are in it.
    """
    from engine.training.fit import Hooks, fit

    bounds = bounds or [64, 192]
    lookup = tuple(np.searchsorted(bounds, np.arange(256), side="right").tolist())

    def works(classes: int) -> dict[str, Callable[[], float]]:
        config = config_from("fast", {"model": {"classes": classes}, "training": {"epochs": epochs}})
        pairs = [replace(each, lookup=lookup) for each in samples(folder, bounds[0], config)]
        train, validate = step_of(config, "auto")
        train(), validate()  # compiles

        def epoch() -> float:
            ends: list[float] = []
            with data_root() as root:
                fit(config, pairs, root, Hooks(on_epoch=lambda *_: ends.append(time.process_time())))
            return (ends[-1] - ends[0]) / (epochs - 1)

        timed = {"training step": train, "validation step": validate}
        return {what: partial(seconds, work, time.process_time) for what, work in timed.items()} | {"epoch": epoch}

    rows = []
    one, several = works(1), works(len(bounds))
    for what in one:
        turns = in_turns(2 if what == "epoch" else rounds, one=one[what], several=several[what])
        ratio = [turn["several"] / turn["one"] for turn in turns]
        medians = {f"{name}_s": float(np.median([turn[name] for turn in turns])) for name in turns[0]}
        rows.append({"what": what, **medians, "ratio": float(np.median(ratio))})
    return rows


@app.command()
def exported(
    of_each: Annotated[int, typer.Option(help="Images of each data set in ../shared, where it is.")] = 4,
    megapixels: Annotated[float, typer.Option(help="Compare one photograph only, enlarged to this size.")] = 0,
    params: Params = None,
) -> list[dict[str, Any]]:
    """Share of pixels whose class is that of the run's own prediction, drawn by the example of each exported model.

    A network learns four colours from drawn discs, and predicts real photographs: those that scikit-image has, and
    images of ../shared. `predict` does not average mirror images here, since the examples do not.
    """
    options = [word for each in params or [] for word in ("-p", each)]
    rows = []
    with data_root() as root:
        draw_discs(root / "in", 60, 0, FOUR, lambda _: [(number, 31.0) for number in range(1, 5)])
        real = real_images(root / "real", of_each, megapixels)
        engine(root, "import", str(root / "in"), "--name", "four")
        run = engine(root, "train", "four", "--truth", "--preset", "fast", *options)["run"]
        engine(root, "predict", run, str(root / "real"), "--out", str(root / "maps"), "--no-flips", "--refine", "none")
        wanted = [decode_png((root / "maps" / f"{path.stem}.png").read_bytes()) for path in real]
        drawn = np.unique(np.concatenate([np.unique(each) for each in wanted]))
        for what in ("keras", "savedmodel", "onnx"):
            engine(root, "export", run, "--format", what, "--out", str(root / f"{what}.zip"))
            shutil.unpack_archive(root / f"{what}.zip", root / what)
            same, memory = [], []
            for path, theirs in zip(real, wanted, strict=True):
                memory.append(largest_mib([sys.executable, "example.py", str(path), "map.png"], root / what))
                same.append(float((decode_png((root / what / "map.png").read_bytes()) == theirs).mean()))
            row = {"format": what, "images": len(same), "equal": float(np.mean(same)), "least_equal": min(same)}
            row["least_in"] = real[int(np.argmin(same))].name
            rows.append({**row, "classes_drawn": int(np.count_nonzero(drawn)), "largest_mib": max(memory)})
    return rows


def largest_mib(command: list[str], folder: Path) -> float:
    """Run a command in a folder and return the most memory that it had, in MiB.

    Raises:
        SystemExit: it failed; it has printed why.
    """
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with exit code {os.waitstatus_to_exitcode(status)}.")
    return used.ru_maxrss / 2**10


def real_images(folder: Path, of_each: int, megapixels: float) -> list[Path]:
    """Write the photographs of scikit-image and `of_each` of every data set in ../shared into a folder, as they are.

    With `megapixels` it is one photograph, enlarged to that size.
    """
    folder.mkdir()
    if megapixels:
        image = photographs.astronaut()
        side = round(np.sqrt(megapixels * 1e6))
        (folder / "large.png").write_bytes(encode_png(resize_image(image, (side, side))))
        return [folder / "large.png"]
    for name in PHOTOGRAPHS:
        (folder / f"{name}.png").write_bytes(encode_png(getattr(photographs, name)()))
    for each in sorted(SHARED_DATA.glob("*/images")):
        for path in sorted(each.iterdir())[:of_each]:
            shutil.copy(path, folder / f"{each.parent.name}-{path.name}")
    return sorted(folder.iterdir())


def scores(root: Path, run_id: str) -> list[dict[str, Any]]:
    """Return Dice on each part of a run's validation images by name, of foreground and each class, and its minutes."""
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    with database.reading() as session:
        run = session.get_one(Run, run_id)
        own = PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id
        query = select(Prediction.truth_counts, Prediction.truth_confusion).join(PredictionSet).join(Image)
        found = session.execute(query.where(*own, Prediction.split == "validation").order_by(Image.name)).all()
        names, minutes, epochs = [entry["name"] for entry in run.classes], (run.train_seconds or 0) / 60, run.best_epoch
    database.close()
    results = []
    for part, chosen in PARTS.items():
        counts = metrics.unpack_many([row.truth_counts for row in found[chosen]])
        summed = metrics.ThresholdCounts(*(np.sum(each, axis=0, keepdims=True) for each in counts))
        dice = float(metrics.dice_curve(summed)[0, metrics.threshold_index(0.5)])
        row: dict[str, Any] = {"part": part, "images": len(found[chosen]), "foreground_dice": dice}
        if names:
            pixels = [each for row in found[chosen] for each in row.truth_confusion]
            summed_up = metrics.class_scores(metrics.confusion_matrix(pixels, len(names) - 1))
            each_class = zip(names[1:], summed_up.dice, summed_up.occurs, strict=True)
            row |= {f"dice {name}": float(value) if occurs else None for name, value, occurs in each_class}
        results.append({**row, "minutes": minutes, "best_epoch": epochs})
    return results


def draw_rare(folder: Path, images: int, seed: int) -> None:
    """Draw discs of two classes.

    Every disc of class 1 covers some 3,000 pixels. A fifth of the images have a disc of class 2, so small that it has
    `RARE_SHARE` of all their foreground.
    """
    large, every = 31.0, 5
    small = large * np.sqrt(RARE_SHARE / (1 - RARE_SHARE) * 2 * every)
    colours = [(150, 110, 90), (110, 120, 165)]
    draw_discs(folder, images, seed, colours, lambda number: [(1, large)] * 2 + [(2, small)] * (number % every == 0))


def draw_discs(
    folder: Path, images: int, seed: int, colours: Colours, discs: Callable[[int], list[tuple[int, float]]]
) -> None:
    """Draw images/ and truth/ of discs on a textured ground: `discs` has class and radius of those of each image.

    `colours` has the colour of each class.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256]
    for name in ("images", "truth"):
        (folder / name).mkdir(parents=True)
    for number in range(images):
        picture = rng.normal((120, 130, 110), 18, (256, 256, 3))
        truth = np.zeros((256, 256), np.uint8)
        for index, radius in discs(number):
            y, x = rng.uniform(40, 216, 2)
            disc = np.hypot(rows - y, columns - x) < radius
            truth[disc] = index
            picture[disc] = rng.normal(colours[index - 1], 18, (int(disc.sum()), 3))
        (folder / "images" / f"{number:03}.png").write_bytes(encode_png(np.clip(picture, 0, 255).astype(np.uint8)))
        (folder / "truth" / f"{number:03}.png").write_bytes(encode_png(truth))


if __name__ == "__main__":
    app()
