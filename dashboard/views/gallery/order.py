"""Which images of a run the gallery shows, in which order, and the counts of a selection.

Everything is computed on the arrays of a `ScoreTable`, because most of it depends on the mask threshold
(docs/adr/0007-galleries-sort-in-memory.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from dashboard.facts import wording
from dashboard.facts.scores import SCORE_TITLES, Reference, ScoreTable, mean, upper_first
from dashboard.views.gallery import suspicion

TILES_PER_PAGE = 48

Show = Literal["All", "Successes", "Failures"]
Split = Literal["All", "Train", "Validation", "Dropped"]
Better = Literal["network", "label", "same"]
Nearer = Literal["All", "Network", "Label"]
Measure = Literal["score", "area", "uncertainty", "agreement", "mirror"]
Sort = Literal[
    "Suspicious first",
    "Worst first",
    "Best first",
    "Least sure first",
    "Least like its label first",
    "Least stable first",
    "Unusual area first",
    "Network beats label first",
    "Label beats network first",
    "Largest area",
    "Smallest area",
    "Name",
]
SHOWS: tuple[Show, ...] = get_args(Show)
SPLITS: tuple[Split, ...] = get_args(Split)
NEARER: tuple[Nearer, ...] = get_args(Nearer)
SORTS: tuple[Sort, ...] = get_args(Sort)
BY_SIGNAL: dict[Sort, suspicion.Signal] = {
    "Least sure first": "uncertainty",
    "Least like its label first": "disagreement",
    "Least stable first": "mirror",
    "Unusual area first": "area",
}
FIRST_SORTS: tuple[Sort, ...] = ("Worst first", "Suspicious first")
"""The default order with truth, and without."""
RENAMED_SORTS: dict[str, Sort] = {
    "Far from its label first": "Least like its label first",
    "Mirror disagrees first": "Least stable first",
}
"""Orders under the names that URLs of older versions contain."""

RIVALRY: tuple[Sort, ...] = ("Network beats label first", "Label beats network first")

SPLIT_WORDS = {"Train": "training images", "Validation": "validation images", "Dropped": "dropped images"}

Span = tuple[float, float]
EVERYTHING: Span = (0.0, 1.0)


@dataclass(frozen=True)
class Choice:
    """The user's settings. `threshold` and `success_from`, the Dice from which an image is a success, are in [0, 1].

    `spans` limits measures in [0, 1], both ends included, and excludes images without that measure; `EVERYTHING` is no
    limit. `nearer` keeps the images in which the network or the pseudo-label is nearer to truth.

    `several` is whether the run tells classes apart, and `class_index` the class whose masks are shown, 0 for all of
    them. `by_class` is whether scores are those of this class, or means over all classes; otherwise they are of
    foreground.
    """

    reference: Reference
    threshold: float = 0.5
    success_from: float = 0.8
    show: Show = "All"
    split: Split = "All"
    sort: Sort = "Worst first"
    search: str = ""
    spans: Mapping[Measure, Span] = field(default_factory=dict)
    nearer: Nearer = "All"
    several: bool = False
    class_index: int = 0
    class_name: str = ""
    by_class: bool = False

    @property
    def score_title(self) -> str:
        """What the scores are, with their reference."""
        if not self.by_class:
            return self.foreground_title(self.reference)
        return f"Dice of {self.class_name if self.class_index else 'classes'} vs truth"

    @property
    def score_note(self) -> str:
        """The same, short enough for a tile and the histogram."""
        return self.score_title if self.reference == "truth" else f"{self._foreground}agreement"

    @property
    def score_remark(self) -> str:
        """What else there is to know of the scores of a run that tells classes apart, in Markdown."""
        if self.by_class:
            at_half = self.threshold != 0.5
            return f"{upper_first(wording.escaped(self.score_title))} is that at threshold 0.50." if at_half else ""
        return "Scores are of foreground, all classes together." if self.several else ""

    def foreground_title(self, reference: Reference) -> str:
        """What a score of foreground is; it says so where the run tells classes apart."""
        return self._foreground + SCORE_TITLES[reference]

    @property
    def _foreground(self) -> str:
        return "foreground " if self.several else ""


@dataclass(frozen=True)
class Arrangement:
    """The selected images in order (`rows` of the table), and counts over those that match the filters.

    `show` only selects among the counted images. `scores`, `lead` (see `ScoreTable.lead`), `signals` and `suspicion`
    (see `suspicion`) are (N,) over all rows of the table, in its order.
    """

    rows: np.ndarray
    scores: np.ndarray
    matching: np.ndarray
    successes: int
    failures: int
    unscored: int
    lead: np.ndarray
    signals: dict[suspicion.Signal, np.ndarray]

    @cached_property
    def suspicion(self) -> np.ndarray:
        return suspicion.suspicion(self.signals)

    @property
    def mean_score(self) -> float | None:
        return mean(self.scores[self.matching])

    @property
    def nearer(self) -> dict[Better, int]:
        """In how many images the network or the pseudo-label is nearer to truth, or both are equal."""
        lead = self.lead[self.matching]
        return {"network": int((lead > 0).sum()), "label": int((lead < 0).sum()), "same": int((lead == 0).sum())}

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.rows) // TILES_PER_PAGE))

    def place(self, row: int) -> int | None:
        """Return the position of a row of the table in the order, from 0; None if it is not selected."""
        places = np.flatnonzero(self.rows == row)
        return int(places[0]) if len(places) else None

    def page_of(self, row: int) -> int:
        """Return the page (from 1) that shows a row of the table; 1 if none does."""
        return (self.place(row) or 0) // TILES_PER_PAGE + 1


def nearer_words(nearer: Mapping[Better, int], label_share: float) -> str:
    """Return how often masks, in which labels may have a share, or their labels are nearer to truth."""
    masks, labels = ("These masks", "the") if label_share else ("The network's masks", "its")
    return (
        f"{masks} are nearer to truth than {labels} labels on {nearer['network']:,} of "
        f"{wording.count(sum(nearer.values()), 'image')}, {labels} labels on {nearer['label']:,}."
    )


def sorts(table: ScoreTable) -> list[Sort]:
    """Return the orders that a table has the numbers for, the default first."""
    has = suspicion.present(table)
    first = FIRST_SORTS[0 if "truth" in table.references else 1]
    offered = [sort for sort in SORTS if BY_SIGNAL.get(sort, "area") in has]
    if not table.has_rivalry:
        offered = [sort for sort in offered if sort not in RIVALRY]
    return [first, *(sort for sort in offered if sort != first)]


def scores_of(table: ScoreTable, choice: Choice) -> np.ndarray:
    """Return the chosen score of each image, (N,), NaN where it has none; of classes it is that at threshold 0.5."""
    if choice.by_class:
        return table.class_dice[:, choice.class_index]
    return table.scores(choice.reference, choice.threshold)


def measures(table: ScoreTable, reference: Reference) -> list[Measure]:
    """Return the measures by which a table's images can be filtered. Against the label, agreement is the score."""
    available: dict[Measure, bool] = {
        "score": bool(table.references),
        "area": True,
        "agreement": reference != "label" and "label" in table.references,
        "uncertainty": table.has_uncertainty,
        "mirror": table.has_mirror,
    }
    return [measure for measure, there in available.items() if there]


def measured(table: ScoreTable, choice: Choice, measure: Measure) -> np.ndarray:
    """Return a measure of each image at the chosen mask threshold, (N,), NaN where unknown."""
    values: dict[Measure, Callable[[], np.ndarray]] = {
        "score": lambda: scores_of(table, choice),
        "area": lambda: table.area(choice.threshold),
        "uncertainty": lambda: table.uncertainty,
        "agreement": lambda: table.scores("label", choice.threshold),
        "mirror": lambda: table.flip_agreement,
    }
    return values[measure]()


def arrange(table: ScoreTable, choice: Choice) -> Arrangement:
    """Return the selected images in order. Images without the value to sort by come last."""
    scores = scores_of(table, choice)
    lead = table.lead(choice.threshold)
    matching = _matching(table, choice, lead)
    scored = matching & np.isfinite(scores)
    success = scored & (scores >= choice.success_from)
    failure = scored & ~success
    rows = np.flatnonzero({"All": matching, "Successes": success, "Failures": failure}[choice.show])
    signals = suspicion.signals(table, choice.threshold)
    keys = _sort_keys(table, choice, scores, lead, signals)
    return Arrangement(
        rows=rows[np.argsort(keys[rows], kind="stable")],
        scores=scores,
        matching=matching,
        successes=int(success.sum()),
        failures=int(failure.sum()),
        unscored=int((matching & ~scored).sum()),
        lead=lead,
        signals=signals,
    )


def _matching(table: ScoreTable, choice: Choice, lead: np.ndarray) -> np.ndarray:
    matching = np.ones(len(table), bool)
    if choice.split != "All":
        matching &= table.splits == choice.split.lower()
    if choice.nearer != "All":
        matching &= lead > 0 if choice.nearer == "Network" else lead < 0
    for measure, (low, high) in choice.spans.items():
        if (low, high) != EVERYTHING:
            values = measured(table, choice, measure)
            matching &= (values >= np.float32(low)) & (values <= np.float32(high))
    wanted = choice.search.strip().casefold()
    if wanted:
        matching &= np.fromiter((wanted in name for name in table.folded_names), bool, len(table))
    return matching


def _sort_keys(
    table: ScoreTable,
    choice: Choice,
    scores: np.ndarray,
    lead: np.ndarray,
    signals: dict[suspicion.Signal, np.ndarray],
) -> np.ndarray:
    if choice.sort in BY_SIGNAL:  # NaN sorts last either way
        return -signals.get(BY_SIGNAL[choice.sort], np.full(len(table), np.nan))
    return {
        "Suspicious first": lambda: -suspicion.suspicion(signals),
        "Worst first": lambda: scores,
        "Best first": lambda: -scores,
        "Network beats label first": lambda: -lead,
        "Label beats network first": lambda: lead,
        "Largest area": lambda: -table.area(choice.threshold),
        "Smallest area": lambda: table.area(choice.threshold),
        "Name": lambda: table.name_ranks,
    }[choice.sort]()


def measure_title(measure: Measure, choice: Choice) -> str:
    """Return the title of a measure; a score names its reference."""
    return {
        "score": upper_first(choice.score_title),
        "area": "Area of the mask",
        "uncertainty": "Uncertainty",
        "agreement": upper_first(SCORE_TITLES["label"]),
        "mirror": "Stable when flipped",
    }[measure]


def filters_in_words(choice: Choice) -> list[str]:
    """Return a description of each active filter; text entered by users is not escaped."""
    words = []
    if choice.show != "All":
        words.append(choice.show.lower())
    if choice.split != "All":
        words.append(SPLIT_WORDS[choice.split])
    if choice.nearer != "All":
        words.append(f"{choice.nearer.lower()} nearer to truth")
    for measure, span in choice.spans.items():
        if span != EVERYTHING:
            low, high = (f"{end:.1%}" if measure == "area" else f"{end:.2f}" for end in span)
            title = measure_title(measure, choice)
            words.append(f"{title if title.startswith('Dice') else title[:1].lower() + title[1:]} {low} to {high}")
    if choice.search.strip():
        words.append(f"name contains “{choice.search.strip()}”")
    return words
