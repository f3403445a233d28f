"""Networks taught by strokes, against truth of images that neither the person nor the network saw. By the command line.

    python -m benchmarks.taught_networks learned ../shared/data/polyps --backbone mobilenet.onnx --weights FILE.h5
    python -m benchmarks.taught_networks learned ../shared/data/eggs-and-pans --foreground 64 --images 48
    python -m benchmarks.taught_networks learned ../shared/data/polyps --preset fast --what strokes

The even files are the dataset: the person of `benchmarks.strokes` marks 16 of them, the method `strokes` draws all,
and a network is trained on that. The odd files are scored, at their own size. "Loop": a network after half of the
strokes; then the person marks what it got wrong with the other half; then a network on masks that all strokes drew.
"Truth": the same network trained on the truth of the even files.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from benchmarks.harness import Folder, Foreground, Params, data_root, engine, note, paths, suite
from benchmarks.strokes import Person, full_dice, read
from engine.datasets.truth_file import read_truth
from engine.imaging import metrics
from engine.imaging.codec import decode_png, encode_png

Pairs = Sequence[tuple[Path, Path]]
app = suite(__doc__)


@app.command()
def learned(
    folder: Folder,
    automatic: Annotated[str, typer.Option(help="The method that Automatic chooses for these images.")] = "saliency",
    foreground: Foreground = 1,
    backbone: Annotated[Path | None, typer.Option(help="An ONNX file for the strokes.")] = None,
    weights: Annotated[str, typer.Option(help="Of the encoder: a file, imagenet or none.")] = "none",
    preset: str = "encoder",
    params: Params = None,
    strokes: int = 40,
    images: Annotated[int, typer.Option(help="At most, of each half, evenly spread.")] = 64,
    seed: int = 0,
    what: Annotated[str, typer.Option(help="Which of strokes, loop and truth.")] = "strokes,loop,truth",
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this DATA_ROOT.")] = None,
) -> list[dict[str, Any]]:
    """Dice on the odd files of each network, that of the masks it was trained on, and minutes of training."""
    even, odd = (_spread(paths(folder, part), images) for part in ("even", "odd"))
    options = ["--preset", preset, *(word for each in params or [] for word in ("-p", each))]
    if preset == "encoder":
        options += ["-p", f"model.encoder_weights={weights}"]
    rows = []
    with data_root(keep) as root, tempfile.TemporaryDirectory() as temporary:
        bench = _Bench(root, Path(temporary), even, odd, foreground, backbone, options)
        if "strokes" in what:
            person = Person(bench.seen, automatic, seed)
            bench.teach(person, strokes)
            rows.append(bench.train(f"{strokes} strokes"))
        if "loop" in what:
            person = Person(bench.seen, automatic, seed)
            bench.teach(person, strokes // 2)
            rows.append(bench.train(f"{strokes // 2} strokes"))
            bench.go_on(person)
            bench.teach(person, strokes - strokes // 2)
            rows.append(bench.train(f"loop, {strokes} strokes"))
        if "truth" in what:
            rows.append(bench.train("truth"))
    return rows


class _Bench:
    """An installation, and the folders that its command line reads: "even" with truth, "odd" without."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        even: Pairs,
        odd: Pairs,
        foreground: int,
        backbone: Path | None,
        options: list[str],
    ) -> None:
        self._root, self._folder, self._even, self._odd, self._foreground = root, folder, even, odd, foreground
        self._options, self._dataset, self._run = options, "", ""
        self._backbone = str(backbone.resolve()) if backbone else "none"
        self.seen = [read(image, truth, foreground, backbone, root / "features") for image, truth in even]
        for name, files in (("even/images", even), ("odd", odd)):
            (folder / name).mkdir(parents=True)
            for image, _ in files:
                shutil.copy(image, folder / name)
        (folder / "even/truth").mkdir()
        for image, truth in even:
            (folder / "even/truth" / f"{image.stem}.png").write_bytes(encode_png(self._truth(truth) * np.uint8(255)))

    def teach(self, person: Person, strokes: int) -> None:
        """Let the person draw; put all they drew so far into a new dataset."""
        for _ in range(strokes):
            person.stroke()
        with data_root() as marks:
            for each in person.pool:
                marked = cv2.resize(each.marks, each.full.shape[::-1], interpolation=cv2.INTER_NEAREST)
                (marks / f"{each.name}.png").write_bytes(encode_png(marked))
            self._dataset += "again" if self._dataset else "taught"
            engine(self._root, "import", str(self._folder / "even/images"), "--name", self._dataset)
            engine(self._root, "correct", self._dataset, str(marks), "--strokes")

    def train(self, name: str) -> dict[str, Any]:
        """Train a network on what strokes drew, or on "truth"."""
        began, options, dataset = time.monotonic(), self._options, self._dataset
        if name == "truth":
            dataset = name
            engine(self._root, "import", str(self._folder / "even"), "--name", dataset)
            options, labels = [*options, "--truth"], 1.0
        else:
            drawn = engine(
                self._root,
                "label",
                dataset,
                "--method",
                "strokes",
                "-p",
                f"backbone={self._backbone}",
                "--out",
                str(self._folder / dataset),
            )
            options = [*options, "--labels", drawn["label_set"]]
            labels = statistics.fmean(
                metrics.dice(
                    decode_png((self._folder / dataset / f"{image.stem}.png").read_bytes()) >= 128, self._truth(truth)
                )
                for image, truth in self._even
            )
        self._run = engine(self._root, "train", dataset, *options)["run"]
        minutes = (time.monotonic() - began) / 60
        drawn = self._predicted("odd")
        dice = [full_dice(drawn[image.stem], self._truth(truth)) for image, truth in self._odd]
        row = {
            "taught by": name,
            "images": len(dice),
            "dice": statistics.fmean(dice),
            "labels": labels,
            "minutes": minutes,
        }
        note(str(row))
        return row

    def go_on(self, person: Person) -> None:
        """Show the person the masks of the newest network."""
        drawn = self._predicted("even/images")
        sizes = {each.name: each.features.labels.shape[::-1] for each in person.pool}
        small = [cv2.resize(drawn[name], size, interpolation=cv2.INTER_AREA) for name, size in sizes.items()]
        person.start_from("network", [metrics.probability_to_u8(each) for each in small])

    def _predicted(self, folder: str) -> dict[str, np.ndarray]:
        """Return the network's foreground probability, float32 (H, W), of each image in a folder, by its stem."""
        with data_root() as out:
            engine(self._root, "predict", self._run, str(self._folder / folder), "--out", str(out), "--probabilities")
            files = (out / "probabilities").iterdir()
            return {file.stem: metrics.u8_to_probability(decode_png(file.read_bytes())) for file in files}

    def _truth(self, path: Path) -> np.ndarray:
        return read_truth(path.read_bytes()).values >= self._foreground


def _spread(files: Pairs, count: int) -> Pairs:
    return [files[index * len(files) // count] for index in range(count)] if len(files) > count else files


if __name__ == "__main__":
    app()
