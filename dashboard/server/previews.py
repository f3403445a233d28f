"""Masks drawn while a person moves sliders: small pictures, a few warm processes, a memory of what was drawn.

Streamlit is not imported here, because the processes that draw import this module and little more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.server import preview_work
from dashboard.server.preview_work import Doubt, Failure, Fitting, Looking, Picture, Preview, Source, Task, failed
from dashboard.server.processes import Processes
from engine.core.parameters import field_schemas
from engine.core.recent_values import RecentValues
from engine.labelling.base import LabelParams, find_method
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.recipe_key import fit_key

__all__ = ["PREVIEW_PX", "Doubt", "Preview", "PreviewPool", "Source", "preview_params"]

PREVIEW_PX = 256
DRAFT_IMAGES = (6, 12)
"""On how many images a method is tried before its first draft, and before a better one."""
DIED = "The drawing process died. Memory may be short: try a smaller size."


def preview_params(params: LabelParams, limit_px: int | None, picture_px: int) -> LabelParams:
    """Return the parameters that draw a picture at most `limit_px` large as `params` draw it at their own size.

    Lengths in pixels shrink with the picture, within their limits; a picture that is small enough changes nothing.

    Args:
        limit_px: the preview's longest side; None is as large as `params` say.
        picture_px: the picture's longest side.
    """
    full_px = min(params.longest_side_px, picture_px)
    if limit_px is None or full_px <= limit_px:
        return params
    changes: dict[str, Any] = {"longest_side_px": limit_px}
    for name, schema in field_schemas(type(params)).items():
        if schema.get("unit") == "px" and name not in changes:
            value = getattr(params, name) * limit_px / full_px
            value = round(value) if schema["type"] == "integer" else value
            changes[name] = max(value, schema.get("minimum", value))
    return params.model_copy(update=changes)


@dataclass(frozen=True)
class Fitted:
    """What a method learned of the dataset, None if it learns nothing. `final` is False for a draft."""

    state: dict[str, Any] | None
    final: bool = True


class PreviewPool:
    """Draws previews on processes of its own. Safe to use from several threads; `close` ends the processes.

    Args:
        memory_bytes: how much the remembered masks may take, and as much again each the small pictures and what
            methods saw of the images.
    """

    def __init__(self, workers: int = 2, memory_bytes: int = 64_000_000) -> None:
        self._processes = Processes(workers)
        self._drawn: RecentValues[Preview] = RecentValues(memory_bytes)
        self._pictures: RecentValues[Picture] = RecentValues(memory_bytes)
        self._looks: RecentValues[bytes] = RecentValues(memory_bytes)
        self._prepared: RecentValues[bool] = RecentValues(100_000)
        self._states: RecentValues[dict[str, Any]] = RecentValues(memory_bytes // 8)

    def fit(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        seed: int = 0,
        while_waiting: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, Any] | None:
        """Return what a method learns from the images of `sources`; None if it is one that learns nothing.

        An image is looked at once for all parameters that looking does not depend on.

        Args:
            sources: the images that `base.fit_sample` picks of the dataset, in its order.
            while_waiting: called many times a second with the number of images seen and of all. It may raise to give
                up; what was seen by then is remembered.

        Raises:
            ValueError: an image could not be looked at, or there is nothing to learn from them.
        """
        if find_method(method).fit is None:
            return None
        fitting = Fitting(method, params, seed)
        tasks = [Looking(source, method, params, seed) for source in sources]
        state = self._known(fitting, tasks)
        if state is None:
            state = self._fit(fitting, tasks, while_waiting)
            if cache := _cache(fitting, tasks):
                cache.keep_fitted(_fit_key(tasks), state)
        return state

    def draft(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        seed: int = 0,
        further: bool = False,
        while_waiting: Callable[[int, int], None] = lambda done, total: None,
    ) -> Fitted:
        """Return what is known now of what `fit` returns; where that takes long, first a draft from a few images.

        Args:
            further: whether to look at more images than those of the newest draft.
            while_waiting: as that of `fit`.

        Raises:
            ValueError: as `fit`.
        """
        fitting = Fitting(method, params, seed, draft=True)
        tasks = [Looking(source, method, params, seed) for source in sources]
        stages = [tasks[:: -(-len(tasks) // images)] for images in DRAFT_IMAGES if images < len(tasks)]
        drafted = [stage for stage in stages if self._states.get(fitting.key(stage)) is not None]
        learnt_at_once = find_method(method).draft is None or self._known(replace(fitting, draft=False), tasks)
        if learnt_at_once or (len(drafted) == len(stages) and (further or not stages)):
            return Fitted(self.fit(method, params, sources, seed=seed, while_waiting=while_waiting))
        stage = drafted[-1] if drafted and not further else stages[len(drafted)]
        state = self._states.get(fitting.key(stage)) or self._fit(fitting, stage, while_waiting)
        return Fitted(state, final=False)

    def _known(self, fitting: Fitting, tasks: Sequence[Looking]) -> dict[str, Any] | None:
        """Return the state that was fitted before, here or by a job."""
        state = self._states.get(fitting.key(tasks))
        if state is None and (cache := _cache(fitting, tasks)):
            state = cache.fitted(_fit_key(tasks))
            if state is not None:
                self._states.keep(fitting.key(tasks), state, len(json.dumps(state)))
        return state

    def _fit(
        self, fitting: Fitting, tasks: Sequence[Looking], while_waiting: Callable[[int, int], None]
    ) -> dict[str, Any]:
        looks = self._look(tasks, while_waiting)
        seen = replace(fitting, looks=tuple(looks[task.key] for task in tasks))
        made = self._processes.run(preview_work.fit, [seen], lambda: while_waiting(len(tasks), len(tasks)))
        [state] = [_unless_failed(state) for _, state in made]
        self._states.keep(fitting.key(tasks), state, len(json.dumps(state)))
        return state

    def prepare(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        while_waiting: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Compute what a method that `caches_features` keeps of images, so that neither strokes nor masks wait for it.

        Args:
            while_waiting: as that of `fit`.

        Raises:
            ValueError: an image cannot be looked at.
        """
        tasks = [Looking(replace(source, correction=None), method, params, 0) for source in sources]
        missing = [task for task in tasks if not self._prepared.get((task.key, task.source.cache))]
        done = [task for task in tasks if task not in missing]
        waiting = self._processes.run(preview_work.prepare, missing, lambda: while_waiting(len(done), len(tasks)))
        for task, made in waiting:
            _unless_failed(made)
            self._prepared.keep((task.key, task.source.cache), True, 1)
            done.append(task)

    def _look(self, tasks: Sequence[Looking], while_waiting: Callable[[int, int], None]) -> dict[Hashable, bytes]:
        found = {task.key: look for task in tasks if (look := self._looks.get(task.key)) is not None}
        missing = {task.key: task for task in tasks if task.key not in found}
        for task, made in self._processes.run(
            preview_work.look, missing.values(), lambda: while_waiting(len(found), len(tasks))
        ):
            look = found[task.key] = _unless_failed(made)
            self._looks.keep(task.key, look, len(look))
        return found

    def draw(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        limit_px: int | None = PREVIEW_PX,
        seed: int = 0,
        state: dict[str, Any] | None = None,
        judged: bool = True,
        while_waiting: Callable[[int], None] = lambda done: None,
    ) -> list[Preview]:
        """Return the preview of each source, drawn now where it was not drawn before.

        Args:
            limit_px: the longest side to draw at (see `preview_params`).
            state: what the method learned of the dataset (see `fit`), for methods that need it.
            judged: whether a preview must have its quality. To judge a mask takes longer than to draw it, so a page
                shows masks first and judges them then.
            while_waiting: called many times a second with the number drawn. It may raise to give up: what has not
                begun is then dropped, so that a newer position of a slider does not wait behind this one.
        """
        state_key = "" if state is None else hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
        tasks = []
        for source in sources:
            smaller = preview_params(params, limit_px, source.longest_side_px)
            picture = self._pictures.get((source, smaller.longest_side_px))
            task = Task(source, method, smaller, seed, state, state_key, picture, judged)
            tasks.append(replace(task, drawn=self._drawn.get(task.key)))
        found = {task.key: task.drawn for task in tasks if task.drawn and (task.drawn.quality or not judged)}
        missing = {task.key: task for task in tasks if task.key not in found}
        for task, made in self._processes.run(preview_work.draw, missing.values(), lambda: while_waiting(len(found))):
            found[task.key] = self._keep(task, *(made or (failed(DIED), None)))
        return [found[task.key] for task in tasks]

    def _keep(self, task: Task, preview: Preview, loaded: Picture | None) -> Preview:
        if loaded is not None:
            self._pictures.keep((task.source, task.params.longest_side_px), loaded, loaded.bytes)
        if not preview.error:
            doubt = len(preview.doubt.png) if preview.doubt else 0
            self._drawn.keep(
                task.key, preview, len(preview.png) + len(preview.classes) + len(preview.clusters) + doubt + 2048
            )
        return preview

    def close(self) -> None:
        """End the processes after the pictures they are at. A later `draw` starts new ones."""
        self._processes.close()


def _cache(fitting: Fitting, tasks: Sequence[Looking]) -> FeatureCache | None:
    """Return where the state of a method is stored that takes long to find."""
    return tasks[0].source.cache if tasks and find_method(fitting.method).draft else None


def _fit_key(tasks: Sequence[Looking]) -> str:
    first = tasks[0]
    hashes = [task.source.content_hash for task in tasks]
    return fit_key(first.method, first.params, first.seed, hashes, first.source.left_out.key)


def _unless_failed(made: Any) -> Any:
    if made is None or isinstance(made, Failure):
        raise ValueError(DIED if made is None else made.sentence)
    return made
