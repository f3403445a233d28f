"""The images that several runs share, and each run's scores on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dashboard.facts import urls
from dashboard.facts.reference_maps import Maps, label_maps, truth_maps
from dashboard.facts.scores import SCORE_TITLES, Reference, ScoreTable, mean, shared_rows
from dashboard.ui.mask_grid import Mode
from dashboard.views.compare.classes import NO_CLASS, ComparedClasses, compared_classes
from dashboard.views.compare.facts import ComparedRun


@dataclass(frozen=True)
class SharedImages:
    """The images predicted by all runs that have predictions. Row i of every array is the same image.

    `rows` is int64 (images, runs): the row in each run's score table. `reference` is what all scores are measured
    against, or None if the runs share no reference; then `spread` compares areas. `chosen` is the class of `classes`
    whose masks are shown, 0 for all.
    """

    runs: tuple[ComparedRun, ...]
    tables: tuple[ScoreTable, ...]
    rows: np.ndarray
    reference: Reference | None
    threshold: float = 0.5
    chosen: int = 0

    @cached_property
    def classes(self) -> ComparedClasses:
        """All classes that the runs tell apart."""
        return compared_classes(self.runs)

    def class_number(self, column: int) -> int | None:
        """Return the number of the chosen class in a run's masks, as for `ComparedClasses.number`."""
        return self.classes.number(self.runs[column], self.chosen)

    @cached_property
    def by_class(self) -> bool:
        """Whether scores are of the chosen class, because each run was compared with truth that has it."""
        if not self.chosen or self.reference != "truth":
            return False
        known = all(self.class_number(column) != NO_CLASS for column in range(len(self.runs)))
        return known and all(table.has_class_scores for table in self.tables)

    @property
    def score_title(self) -> str:
        """What the scores are, with their reference."""
        if self.by_class:
            return f"Dice of {self.classes.names[self.chosen]} vs truth"
        return f"{'foreground ' if self.classes.names else ''}{SCORE_TITLES[self.reference or 'truth']}"

    @cached_property
    def scores(self) -> np.ndarray:
        """Dice of each image in each run, (images, runs): of foreground at the mask threshold, or of the chosen class
        at 0.5; NaN without a reference, and where neither truth nor mask has the class."""
        if self.reference is None:
            return np.full(self.rows.shape, np.nan)
        if self.by_class:
            numbers = [self.class_number(column) for column in range(len(self.runs))]
            return self._columns([table.class_dice[:, n] for table, n in zip(self.tables, numbers, strict=True)])
        return self._columns([table.scores(self.reference, self.threshold) for table in self.tables])

    @cached_property
    def areas(self) -> np.ndarray:
        """The mask's share of each image in each run at the mask threshold, (images, runs)."""
        return self._columns([table.area(self.threshold) for table in self.tables])

    def _columns(self, values: list[np.ndarray]) -> np.ndarray:
        return np.stack([column[self.rows[:, index]] for index, column in enumerate(values)], axis=1)

    @cached_property
    def spread(self) -> np.ndarray:
        """The difference between the largest and the smallest score (else area) of each image, (images,)."""
        values = self.scores if self.reference else self.areas
        return np.nan_to_num(values.max(axis=1) - values.min(axis=1), nan=-1.0)

    @cached_property
    def held_out(self) -> np.ndarray:
        """Whether an image was a training image of none of the runs, bool (images,)."""
        return self.held_out_from(range(len(self.runs)))

    def held_out_from(self, columns: Iterable[int]) -> np.ndarray:
        """Return whether an image was held out from all of these runs, bool (images,)."""
        return np.all([self.splits(column) == "validation" for column in columns], axis=0)

    def splits(self, column: int) -> np.ndarray:
        """Return the side of a run's split that each image is on, str (images,)."""
        return self.tables[column].splits[self.rows[:, column]]

    def order(self, by: str) -> np.ndarray:
        """Return the images in order: "disagreement" (largest first), "worst" (lowest mean score first) or "name"."""
        if by == "name":
            return np.argsort(self.tables[0].name_ranks[self.rows[:, 0]], kind="stable")
        if by == "worst" and self.reference:
            return np.argsort(self.scores.mean(axis=1), kind="stable")
        return np.argsort(-self.spread, kind="stable")

    def find(self, image_id: str) -> int | None:
        """Return the row of the image with this id in the first run's dataset, or None."""
        places = np.flatnonzero(self.rows[:, 0] == self.tables[0].index.get(image_id, -1))
        return int(places[0]) if len(places) else None

    def image_id(self, image: int, column: int = 0) -> str:
        return self.tables[column].image_ids[self.rows[image, column]]

    def name(self, image: int) -> str:
        return self.tables[0].names[self.rows[image, 0]]

    def means(self, held_out_only: bool) -> tuple[int, list[float | None]]:
        """Return how many shared images have a score in every run, and each run's mean over them.

        `held_out_only` leaves out the training images of any run.
        """
        # An image without a score in one run must not count in another's mean.
        kept = np.isfinite(self.scores).all(axis=1)
        if held_out_only:
            kept = kept & self.held_out
        return int(kept.sum()), [mean(self.scores[kept, column]) for column in range(len(self.runs))]


def shared_images(compared: Sequence[ComparedRun], read: Callable[[str], ScoreTable]) -> SharedImages | None:
    """Return the images that all runs with predictions share, None if fewer than two have predictions.

    Images of different datasets are the same if their content is. `read` returns the scores of a prediction set.
    """
    predicted = tuple(run for run in compared if run.prediction_set_id)
    if len(predicted) < 2:
        return None
    tables = tuple(read(run.prediction_set_id) for run in predicted)
    rows = _rows(tables, by_content=len({run.dataset_id for run in predicted}) > 1)
    reference = _common_reference(predicted, tables, rows)
    return SharedImages(predicted, tables, rows, reference)


def _rows(tables: Sequence[ScoreTable], by_content: bool) -> np.ndarray:
    if not by_content and all(table.image_ids == tables[0].image_ids for table in tables):
        return np.repeat(np.arange(len(tables[0]))[:, np.newaxis], len(tables), axis=1)
    return shared_rows(tables, by_content)


def _common_reference(
    compared: Sequence[ComparedRun], tables: Sequence[ScoreTable], rows: np.ndarray
) -> Reference | None:
    """Return truth if every run has it, or the pseudo-label if all were trained on the same mask set."""
    candidates: list[Reference] = ["truth"]
    if len({run.label_set_id for run in compared}) == 1:
        candidates.append("label")
    for reference in candidates:
        known = [np.isfinite(table.dice[reference][rows[:, column], 0]) for column, table in enumerate(tables)]
        if np.all(known, axis=0).any():
            return reference
    return None


def reference_maps(
    run: ComparedRun, reference: Reference | None, image_id: str, size: int | None = None, *, in_classes: bool = True
) -> Maps:
    """Return the URLs of an image's reference, with the classes of the run where it has them."""
    if reference == "label" and run.label_set_id:
        return label_maps(run.label_set_id, image_id, size, in_classes=in_classes and bool(run.classes))
    if reference == "truth":
        classes, version = run.truth_in_classes if in_classes else None, run.truth_version
        return truth_maps(run.dataset_id, image_id, size, run_id=run.id, in_classes=classes, version=version)
    return Maps(None)


def mask_and_reference(
    run: ComparedRun, reference: Reference | None, image_id: str, mode: Mode, size: int | None = None
) -> tuple[Maps, Maps]:
    """Return the URLs of a run's mask of an image and of its reference.

    Errors compare classes where both have them, else foreground.
    """
    levels, numbers = (url(run.prediction_set_id, image_id, size) for url in (urls.prediction, urls.prediction_classes))
    mask = Maps(levels, numbers if run.classes else None)
    found = reference_maps(run, reference, image_id, size)
    if mode == "errors" and not (mask.classes and found.classes):
        return Maps(levels), reference_maps(run, reference, image_id, size, in_classes=False)
    return mask, found


def cautions(compared: Sequence[ComparedRun], shared: SharedImages | None) -> tuple[str, ...]:
    """Return a sentence for everything that cannot be compared directly."""
    found = []
    if len({(run.reference, run.label_set_id) for run in compared}) > 1:
        found.append(
            "The runs were trained on different references, so their curves and validation soft Dice measure different "
            "things. Compare the scores over shared images below instead."
        )
    datasets = list(dict.fromkeys(run.dataset_name for run in compared))
    if len({run.dataset_id for run in compared}) > 1:
        found.append(
            f"The runs belong to different datasets ({', '.join(datasets)}): their curves were measured on different "
            "images. Masks are compared on the images that the datasets share."
        )
    missing = [run.name for run in compared if not run.prediction_set_id]
    if missing:
        found.append(f"No masks yet of {', '.join(missing)}: only curves and parameters are compared.")
    if shared is not None and not len(shared.rows):
        found.append("The runs with masks share no image, so there are no masks to compare.")
    elif shared is not None and shared.reference is None:
        found.append(
            "The runs share no reference, so images are sorted by how much the masks' areas differ, not by score."
        )
    return tuple(found)
