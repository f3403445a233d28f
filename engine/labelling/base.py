"""The interface of label methods, their registry, and computing a mask with one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import cv2
import numpy as np
from threadpoolctl import ThreadpoolController

from engine.core.parameters import ParameterError, Params, Stage, field_schemas, number, shown
from engine.core.plugins import plugins
from engine.imaging import class_maps
from engine.imaging.corrections import shrink_correction
from engine.labelling import methods as method_modules
from engine.labelling.feature_cache import FeatureCache, fingerprint

DEFAULT_METHOD = "auto"

T = TypeVar("T")


class LabelParams(Params):
    """Parameters of every method: the image size at which it works."""

    longest_side_px: int = number(
        400,
        64,
        1600,
        "Larger images are reduced to this longest side before the method runs, which limits time and memory.",
        unit="px",
    )

    @property
    def classes(self) -> int:
        """The number of classes that the masks tell apart; 1 is foreground alone."""
        return 1


@dataclass(frozen=True)
class Method:
    """A way to compute a mask without manual work.

    `label(image, params, rng)` returns the foreground probability float32 (H, W) in [0, 1] of a uint8 RGB image
    (H, W, 3). If `params.classes` is greater than 1, it may return the probability of each class, (H, W, K), instead.

    A method that depends on the whole dataset has two more steps. `look(image, params, rng)` extracts data from one
    image (anything that can be pickled); it runs on all cores. `fit(looks, params, rng)` combines these into the state,
    a dict that JSON can represent; it must be fast, as it runs again at each movement of a slider. `label` takes the
    state as its fourth argument. At most `fit_images` images, evenly spread over the dataset, are analysed. All random
    numbers must come from `rng`.

    A method that `learns_from_corrections` looks only at images with a correction, and its `look` takes that as fourth
    argument: uint8 (H, W), see `engine.imaging.corrections`.

    If `look` reads a file beside the image, `look_depends_on(params)` returns a text that changes with it. A method
    that `needs_weights` draws nothing without pretrained weights.

    `look` and `label` of a method that `caches_features` take a `FeatureCache` or None as last argument.

    `label` may return a pair: the above, and how much each pixel is in doubt, float32 (H, W) in [0, 1].

    A method whose clusters a person ticks says by `clusters`, which takes the arguments of `label`, to which cluster
    each pixel belongs: integers (H, W).

    A method that learns which classes there are says by `classes(state)` how many; others have `params.classes`.

    If fitting takes long because of `look`, `draft(looks, params, rng)` gives a preliminary state from the looks at a
    few images, which a page shows until the real one is known; and the real one is stored (`feature_cache`).

    A method that delegates to another one has no `label` but `chosen(params, state)`, which returns the name of that
    method, its parameters and its state: the masks are identical to that method's.
    """

    name: str
    title: str
    params: type[LabelParams]
    label: Callable[..., np.ndarray | tuple[np.ndarray, np.ndarray]] | None = None
    look: Callable[..., Any] | None = None
    fit: Callable[..., dict[str, Any]] | None = None
    draft: Callable[..., dict[str, Any]] | None = None
    fit_images: int = 200
    learns_from_corrections: bool = False
    caches_features: bool = False
    look_depends_on: Callable[..., str] | None = None
    needs_weights: bool = False
    classes: Callable[[dict[str, Any]], int] | None = None
    clusters: Callable[..., np.ndarray] | None = None
    chosen: Callable[..., tuple[str, LabelParams, dict[str, Any] | None]] | None = None
    summary: str = ""


@dataclass(frozen=True)
class SoftMask:
    """What a recipe draws of an image (H, W)."""

    probability: np.ndarray
    """float32 (H, W) in [0, 1]: foreground."""
    classes: np.ndarray | None
    """uint8 (H, W): the most likely class, 1 to K; None if the recipe knows foreground alone."""
    doubt: np.ndarray
    """float32 (H, W) in [0, 1]: 0 where the method is certain, 1 where two classes are equally likely."""


@cache
def methods() -> dict[str, Method]:
    """Return every method by name, sorted: the METHOD of each module of `engine.labelling.methods`.

    Installed packages may add some by entry points of the group `maskloom.methods`.
    """
    return dict(sorted(plugins(method_modules, "METHOD", Method).items()))


def find_method(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        ParameterError: there is none; the message lists the known ones.
    """
    if name not in methods():
        raise ParameterError(f"There is no label method {shown(name)}. Known: {', '.join(methods())}.")
    return methods()[name]


def learns_from_corrections(name: str) -> bool:
    """Return whether the masks of a method are others once more is corrected; not those that were imported."""
    return name in methods() and methods()[name].learns_from_corrections


def fit_sample(dataset: Sequence[T], method: Method) -> list[T]:
    """Return the images of a dataset, in its order, that `method` analyses: at most `fit_images`, evenly spread."""
    count = min(len(dataset), method.fit_images)
    return [dataset[index * len(dataset) // count] for index in range(count)]


def values_for(params: LabelParams, stage: Stage) -> dict[str, Any]:
    """Return {name: value} of the parameters on which the steps up to `stage` depend: "look", "fit", then "label".

    The results of these steps can be reused for the same values.
    """
    stages = ("look", "fit", "label")
    until = stages[: stages.index(stage) + 1]
    schemas = field_schemas(type(params))
    return {
        name: value
        for name, value in params.model_dump().items()
        if name == "longest_side_px" or schemas[name].get("stage", "label") in until
    }


def look_at(
    method: Method,
    image: np.ndarray,
    params: LabelParams,
    seed: int,
    correction: np.ndarray | None = None,
    cache: FeatureCache | None = None,
) -> Any:
    """Return the data that `method` extracts from one image (uint8 RGB) of the dataset, at its working size.

    Args:
        correction: of the image's size, uint8 (H, W), for a method that learns from corrections.
        cache: that of the image's dataset, for a method that has use for it.

    Raises:
        ValueError: the method does not analyse the dataset, or lacks a correction.
    """
    if method.look is None:
        raise ValueError(f"'{method.name}' has no step that analyses the dataset.")
    working = shrink(image, params.longest_side_px)
    arguments = [working, params, np.random.default_rng([seed, fingerprint(working)])]
    if method.learns_from_corrections:
        if correction is None:
            raise ValueError(f"'{method.name}' learns only from images with a correction.")
        arguments.append(shrink_correction(correction, working.shape[:2]))
    if method.caches_features:
        arguments.append(cache)
    with _blas().limit(limits=1):
        return method.look(*arguments)


def fit_state(
    method: Method, looks: Sequence[Any], params: LabelParams, seed: int, *, draft: bool = False
) -> dict[str, Any]:
    """Return the state that `method` fits to the results of `look_at`, or its `draft`, as decoded from JSON.

    Raises:
        ValueError: there are no results, or the method does not analyse the dataset.
    """
    if method.learns_from_corrections and not looks:
        raise ValueError("It learns from corrections, and no image has one. Draw strokes on at least one image.")
    fit = method.draft if draft else method.fit
    if fit is None or not looks:
        raise ValueError(f"'{method.name}' needs at least one image of the dataset.")
    with _blas().limit(limits=1):
        return json.loads(json.dumps(fit(looks, params, np.random.default_rng(seed))))


def drawing(
    method: Method, params: LabelParams, state: dict[str, Any] | None
) -> tuple[Method, LabelParams, dict[str, Any] | None]:
    """Return the method that computes the masks, which may be another one, with its parameters and state."""
    if method.chosen is None:
        return method, params, state
    name, params, state = method.chosen(params, state)
    return find_method(name), params, state


def class_count(method: Method, params: LabelParams, state: dict[str, Any] | None) -> int:
    """Return the number of classes that the masks of a recipe tell apart; 1 is foreground alone."""
    method, params, state = drawing(method, params, state)
    return params.classes if method.classes is None or state is None else method.classes(state)


def draw(
    method: Method, image: np.ndarray, params: LabelParams, seed: int, state: dict[str, Any] | None = None
) -> np.ndarray:
    """Return the foreground probability of `draw_mask`."""
    return draw_mask(method, image, params, seed, state).probability


def draw_mask(
    method: Method,
    image: np.ndarray,
    params: LabelParams,
    seed: int,
    state: dict[str, Any] | None = None,
    cache: FeatureCache | None = None,
) -> SoftMask:
    """Return the mask of a uint8 RGB image (H, W, 3), at its own size.

    The random numbers depend on `seed` and the image's content only, so that an image gets the same mask in any order
    and in any process.

    Raises:
        ValueError: the image is not uint8 (H, W, 3) with at least one pixel, the parameters are another
            method's, the state is missing, or the method returns anything except probabilities of that shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"An image to label is uint8 (H, W, 3). Got {image.dtype} {image.shape}.")
    if not isinstance(params, method.params):
        raise ParameterError(f"'{method.name}' takes {method.params.__name__}. Got {type(params).__name__}.")
    if method.fit is not None and state is None:
        raise ValueError(f"'{method.name}' must be fitted to the dataset before it can label an image.")
    method, params, state = drawing(method, params, state)
    if method.label is None:
        raise ValueError(f"'{method.name}' does not compute masks.")
    working = shrink(image, params.longest_side_px)
    rng = np.random.default_rng([seed, fingerprint(working)])
    arguments: list[Any] = [working, params, rng, *([] if method.fit is None else [state])]
    if method.caches_features:
        arguments.append(cache)
    # One thread: more do not help small matrices, are ten times slower on busy cores, and change the order of sums.
    count = class_count(method, params, state)
    with _blas().limit(limits=1):
        drawn = method.label(*arguments)
    given, doubt = drawn if isinstance(drawn, tuple) else (drawn, None)
    values = _checked(method.name, given, working.shape[:2], count)
    shape = image.shape[:2]
    probability = _enlarged(np.minimum(values.sum(-1), 1) if count > 1 else values[..., 0], shape)
    return SoftMask(
        probability,
        class_maps.most_likely(values, shape) if count > 1 else None,
        1 - np.abs(2 * probability - 1) if doubt is None else _enlarged(doubt, shape),
    )


def cluster_map(
    method: Method, image: np.ndarray, params: LabelParams, seed: int, state: dict[str, Any] | None = None
) -> np.ndarray | None:
    """Return the cluster of each pixel of a uint8 RGB image (H, W, 3) as uint8 (H, W); None without clusters to tick.

    The arguments are those of `draw_mask`.
    """
    if method.clusters is None:
        return None
    working = shrink(image, params.longest_side_px)
    rng = np.random.default_rng([seed, fingerprint(working)])
    with _blas().limit(limits=1):
        found = method.clusters(working, params, rng, *([] if method.fit is None else [state]))
    height, width = image.shape[:2]
    return cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)


def _enlarged(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if values.shape == shape:
        return values
    # Linear interpolation stays within [0, 1].
    return cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)


def shrink(image: np.ndarray, longest_side_px: int) -> np.ndarray:
    """Return the image with its longest side at most `longest_side_px`, by area averaging; never enlarged."""
    height, width = image.shape[:2]
    scale = longest_side_px / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _checked(name: str, probability: np.ndarray, shape: tuple[int, int], classes: int) -> np.ndarray:
    """Return probabilities float32 (H, W, K); foreground alone is class 1."""
    if probability.shape not in (shape, (*shape, classes)):
        raise ValueError(f"The method '{name}' must return the image's shape {shape}. Got {probability.shape}.")
    # This form fails for NaN too.
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f"The method '{name}' must return values in [0, 1]. Got {probability.min()} to {probability.max()}."
        )
    values = np.zeros((*shape, classes), np.float32)
    values[..., : 1 if probability.ndim == 2 else classes] = probability.reshape(*shape, -1)
    return values
