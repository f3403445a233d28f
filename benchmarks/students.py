"""Other ways to train networks on pseudo-labels, each beside one network: do they end better? Without truth.

    python -m benchmarks.students compare /tmp/ecssd ../shared/data/ecssd --weights FILE --way cross_fitting
    python -m benchmarks.students compare /tmp/nuclei ../shared/data/nuclei --part even --refine none --refine grabcut

Reads the images and the first mask set of an installation, as `benchmarks.self_training gain --keep` stores one. The
settings are those of the preset *From labels*, with weights or without, but the ways are not its two rounds: `network`
is one network, and `second_round` is another that is trained on its refined masks. Truth scores and decides nothing;
scores are means over images at threshold 0.5. "Mean" is that of labels and refined network, as a run's masks are.

Sources: Nakai and Hotta, ICCV workshops 2025 (three fresh networks: labels; labels or the first; the majority);
Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017 (averaged weights); Blum and Mitchell,
COLT 1998 (co-training), and Achanta et al., PAMI 2012 (superpixels).
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from sqlalchemy import select

from benchmarks.harness import PARTS, Folder, Foreground, Params, Part, engine, note, paths, suite
from db.datasets import named_images
from db.models import LabelSet
from db.session import Database
from engine.core.parameters import from_assignments
from engine.core.run_config import FROM_LABELS, RunConfig, config_from
from engine.core.settings import Settings
from engine.datasets.truth_file import read_truth
from engine.imaging import codec
from engine.imaging.metrics import dice, iou, probability_to_u8, to_mask, u8_to_probability, weighted_mean
from engine.prediction.refine_masks import refined
from engine.store import keys as stored
from engine.store.local import LocalStore

if TYPE_CHECKING:
    import keras

Levels = Mapping[str, np.ndarray]
"""Foreground probabilities, uint8 (H, W), by the stem of an image's name."""
VALIDATION_SHARE = 0.3
FRAMINGS = "pad", "crop"
"""The whole image, and squares of its shorter side, which show it larger."""

UNDECIDED = 0.15
"""How close to one half a probability is left out."""
SUPERPIXELS = 400
"""Of an image: 30 px wide in a photograph of 400 by 300 px."""

app = suite(__doc__)


@app.command()
def compare(
    root: Annotated[Path, typer.Argument(help="A DATA_ROOT with one dataset and its mask set.")],
    folder: Folder,
    way: Annotated[list[str] | None, typer.Option(help="Ways to train; all unless given.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Pretrained weights of the encoder.")] = None,
    part: Part = "all",
    recipe: Annotated[list[str] | None, typer.Option(help="Label methods of the consensus, beside the labels.")] = None,
    refine: Annotated[list[str] | None, typer.Option(help="none, guided_filter, grabcut")] = None,
    params: Params = None,
    foreground: Foreground = 1,
) -> list[dict[str, Any]]:
    """IoU and Dice of labels, of the refined masks of each way, and of their mean with the labels."""
    values = from_assignments([*(params or []), *([f"model.encoder_weights={weights}"] if weights else [])])
    config = config_from(FROM_LABELS, values, weights is not None)
    chosen = {image.stem for image, _ in paths(folder, part)}
    truth = {image.stem: read_truth(mask.read_bytes()).values >= foreground for image, mask in paths(folder)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        students = Students(config, Path(temporary), *read(root.resolve(), chosen, recipe or []))
        parts = {name: [image.stem for image, _ in paths(folder, name)] for name in PARTS}

        def add(name: str, how: str, masks: Levels) -> None:
            for part_name, stems in parts.items():
                scored = [stem for stem in stems if stem in masks]
                if scored and (len(scored) < len(masks) or part_name == "all"):
                    rows.append({"way": name, "refine": how, "part": part_name, "images": len(scored)})
                    means = {stem: weighted_mean(students.labels[stem], masks[stem], 0.5) for stem in scored}
                    for column, levels in (("", masks), ("mean_", means)):
                        rows[-1] |= _scores(column, levels, truth, scored)

        add("labels", "none", students.labels)
        for name in way or list(WAYS):
            masks = WAYS[name](students)
            for how in refine or [config.prediction.refine]:
                add(name, how, students.refined(masks, how))
                note(str(rows[-1]))
    return rows


def _scores(column: str, levels: Levels, truth: Mapping[str, np.ndarray], stems: Sequence[str]) -> dict[str, float]:
    masks = [(to_mask(levels[stem], 0.5), truth[stem]) for stem in stems]
    return {f"{column}{score.__name__}": statistics.fmean(score(*each) for each in masks) for score in (iou, dice)}


def read(root: Path, stems: set[str], recipes: Sequence[str]) -> tuple[dict[str, Path], Levels, list[Levels]]:
    """Return images, labels, and further labels by `recipes`, which are computed if they are missing."""
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    files = LocalStore(root)

    def label_sets() -> dict[str, str]:
        with database.reading() as session:
            return {each.method: each.id for each in session.scalars(select(LabelSet))}

    with database.reading() as session:
        first = session.scalars(select(LabelSet).order_by(LabelSet.created_at)).first()
        if first is None:
            raise SystemExit(f"'{root}' has no mask set.")
        dataset, own = first.dataset_id, first.id
        ids = {Path(name).stem: id_ for name, id_ in named_images(session, dataset) if Path(name).stem in stems}
    for recipe in recipes:
        if recipe not in label_sets():
            engine(root, "label", dataset, "--method", recipe)
    sets = label_sets()

    def labels(set_id: str) -> Levels:
        return {stem: codec.decode_png(files.read(stored.label_key(set_id, id_))) for stem, id_ in ids.items()}

    images = {stem: root / stored.image_key(dataset, id_) for stem, id_ in ids.items()}
    result = images, labels(own), [labels(sets[recipe]) for recipe in recipes]
    database.close()
    return result


@dataclass
class Students:
    """Trains networks on images and labels. `others` are labels of the same images by other methods."""

    config: RunConfig
    folder: Path
    images: Mapping[str, Path]
    labels: Levels
    others: Sequence[Levels]

    @cached_property
    def first(self) -> keras.Model:
        """The network of the first round."""
        return self.network(self.labels)

    @cached_property
    def first_masks(self) -> Levels:
        return self.masks(self.first)

    @cached_property
    def seeds(self) -> Sequence[Levels]:
        """Masks of three networks that differ in their seed."""
        return [self.first_masks, *(self.masks(self.network(self.labels, seed)) for seed in (1, 2))]

    @cached_property
    def corrected(self) -> Levels:
        """Masks of networks that were not trained on the image: each half is predicted with the other one's network."""
        stems = sorted(self.images)
        halves = [[stem for at, stem in enumerate(stems) if at // 2 % 2 == half] for half in (0, 1)]
        masks: dict[str, np.ndarray] = {}
        for learned, other in (halves, halves[::-1]):
            masks |= self.masks(self.network(self.labels, learn=learned), other)
        return masks

    def network(
        self, labels: Levels, seed: int = 0, learn: Sequence[str] | None = None, **training: Any
    ) -> keras.Model:
        """Return a network trained on labels of the images `learn`, by default all but VALIDATION_SHARE.

        The others choose the epoch. `training` replaces settings of that group.
        """
        from engine.network.inference import load_model  # TensorFlow takes seconds to load
        from engine.training.fit import BEST_FILE, fit
        from engine.training.samples import Sample

        stems = sorted(labels)
        if learn is None:
            order = np.random.default_rng(0).permutation(len(stems))
            learn = [stems[at] for at in order[round(VALIDATION_SHARE * len(stems)) :]]
        changed = self.config.training.model_copy(update={"seed": seed} | training)
        place = Path(tempfile.mkdtemp(dir=self.folder))
        samples = []
        for stem in stems:
            target = place / f"{stem}.png"
            target.write_bytes(codec.encode_png(labels[stem]))
            samples.append(Sample(stem, self.images[stem], target, "train" if stem in learn else "validation"))
        fit(self.config.model_copy(update={"training": changed}), samples, place / "model")
        return load_model(place / "model" / BEST_FILE)

    def masks(
        self, network: keras.Model, stems: Sequence[str] | None = None, framings: Sequence[str] = FRAMINGS[:1]
    ) -> Levels:
        """Return what a network predicts, the mean over flips and framings."""
        from engine.network.inference import predict_many

        names = sorted(self.images) if stems is None else stems
        found = []
        for framing in framings:
            data = self.config.data.model_copy(update={"framing": framing})
            images = (codec.decode_png(self.images[stem].read_bytes()) for stem in names)
            found.append([each.probability for each in predict_many(network, images, data, flips=True)])
        means = (probability_to_u8(np.mean(each, axis=0)) for each in zip(*found, strict=True))
        return dict(zip(names, means, strict=True))

    def refined(self, masks: Levels, how: Any) -> Levels:
        """Return masks with their outlines moved to edges of the images."""

        def one(stem: str) -> np.ndarray:
            image = codec.decode_png(self.images[stem].read_bytes())
            probability = u8_to_probability(masks[stem])
            return probability_to_u8(refined(image, probability, how, np.random.default_rng(0)))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(masks, pool.map(one, masks), strict=True))

    def by_superpixel(self, masks: Levels) -> Levels:
        """Return the mean of masks in each superpixel of the images."""
        from scipy import ndimage
        from skimage.segmentation import slic

        def one(stem: str) -> np.ndarray:
            image = codec.decode_png(self.images[stem].read_bytes())
            pieces = slic(image, SUPERPIXELS, start_label=0)
            means = ndimage.mean(masks[stem], pieces, np.arange(pieces.max() + 1))
            return np.round(means).astype(np.uint8)[pieces]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(masks, pool.map(one, masks), strict=True))

    def trained_again(self, masks: Levels) -> Levels:
        """Return the masks of another network that was trained on masks, refined as between rounds."""
        return self.masks(self.network(self.refined(masks, self.config.self_training.refine), 1))


def mean(masks: Sequence[Levels]) -> Levels:
    """Return the mean of several masks of each image."""
    return {stem: np.mean([each[stem] for each in masks], axis=0).round().astype(np.uint8) for stem in masks[0]}


def majority(masks: Sequence[Levels]) -> Levels:
    """Return 255 where at least half of the masks of an image have foreground."""
    return {
        stem: np.where(np.mean([to_mask(each[stem], 0.5) for each in masks], axis=0) >= 0.5, 255, 0).astype(np.uint8)
        for stem in masks[0]
    }


def either(one: Levels, other: Levels) -> Levels:
    """Return the larger of two probabilities at each pixel."""
    return {stem: np.maximum(one[stem], other[stem]) for stem in one}


def three_fresh(students: Students) -> Levels:
    """Labels; labels or the first network; the majority of labels and both."""
    second = students.masks(students.network(either(students.labels, students.first_masks), 1))
    voted = majority([students.labels, students.first_masks, second])
    return students.masks(students.network(voted, 2))


def consensus(students: Students) -> Levels:
    """The mean of labels by several methods, weighted by agreement, without pixels on which they are undecided."""
    target = mean([students.labels, *students.others])
    return students.masks(students.network(target, confidence_weights=True, ignore_band=UNDECIDED))


def co_training(students: Students) -> Levels:
    """Two networks, each on what another one says of superpixels, without those on which it is undecided."""
    taught = [students.by_superpixel(masks) for masks in students.seeds[:2]]
    networks = [
        students.network(labels, seed, ignore_band=UNDECIDED) for seed, labels in zip((4, 3), taught, strict=True)
    ]
    return mean([students.masks(network) for network in networks])


def consistency(students: Students) -> Levels:
    """What labels and averaged weights say at two scales, weighted by agreement, teaches another network."""
    teacher = averaged(students)
    views = [students.masks(teacher, framings=[framing]) for framing in FRAMINGS]
    target = mean([students.labels, *views])
    return students.masks(
        students.network(target, 1, confidence_weights=True, ignore_band=UNDECIDED), framings=FRAMINGS
    )


def averaged(students: Students) -> keras.Model:
    return students.network(students.labels, ema=0.95)


WAYS: Mapping[str, Callable[[Students], Levels]] = {
    "network": lambda students: students.first_masks,
    "second_seed": lambda students: students.seeds[1],
    "third_seed": lambda students: students.seeds[2],
    "two_scales": lambda students: students.masks(students.first, framings=FRAMINGS),
    "second_round": lambda students: students.trained_again(students.first_masks),
    "fewer_epochs": lambda students: students.masks(
        students.network(students.labels, epochs=round(0.6 * students.config.training.epochs))
    ),
    "averaged_two_scales": lambda students: students.masks(averaged(students), framings=FRAMINGS),
    "three_seeds": lambda students: mean(students.seeds),
    "three_fresh": three_fresh,
    "cross_fitting": lambda students: students.corrected,
    "cross_fitting_again": lambda students: students.trained_again(students.corrected),
    "consensus": consensus,
    "co_training": co_training,
    "consistency": consistency,
}

if __name__ == "__main__":
    app()
