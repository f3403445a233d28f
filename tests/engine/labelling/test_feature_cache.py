"""Features of images are computed once: what a cache keeps, what it gives up, and masks that do not depend on it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.core import settings as settings_module
from engine.imaging.corrections import UNTOUCHED
from engine.labelling.base import draw_mask, find_method, fit_state, look_at
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.methods import strokes
from engine.store import keys as stored
from engine.store.local import LocalStore
from tests.support.installation import add_discs, disc

DATASET = "0" * 32
METHOD = strokes.METHOD
PARAMS = find_method("strokes").params(superpixels=100, backbone="none")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("FREE_DISK_FLOOR_MB", "0")
    settings_module.settings.cache_clear()
    (tmp_path / stored.dataset_folder(DATASET)).mkdir(parents=True)
    yield FeatureCache(LocalStore(tmp_path), DATASET)
    settings_module.settings.cache_clear()


@pytest.fixture
def computed(monkeypatch):
    """The images whose features were computed."""
    found = []
    compute = strokes.find_features
    monkeypatch.setattr(strokes, "find_features", lambda image, *rest: found.append(image) or compute(image, *rest))
    return found


def kept(cache):
    return cache.files.keys(stored.features_folder(DATASET))


def marked(mask):
    correction = np.full(mask.shape, UNTOUCHED, np.uint8)
    row, column = (int(place) for place in np.argwhere(mask).mean(0))
    cv2.circle(correction, (column, row), 5, 1, -1)
    correction[:5][~mask[:5]] = 0
    return correction


def state_of(cache, params=PARAMS):
    image, mask = disc()
    return fit_state(METHOD, [look_at(METHOD, image, params, 0, marked(mask), cache)], params, 0)


def test_an_image_is_described_once_for_strokes_and_masks_and_the_mask_is_the_same_without_the_cache(cache, computed):
    image, _ = disc()
    state = state_of(cache)
    for _ in range(2):
        drawn = draw_mask(METHOD, image, PARAMS, 0, state, cache)
    state_of(cache)
    assert len(computed) == 1 and len(kept(cache)) == 1
    bare = draw_mask(METHOD, image, PARAMS, 0, state)
    assert len(computed) == 2
    np.testing.assert_allclose(drawn.probability, bare.probability, atol=1e-3)
    assert drawn.doubt.shape == image.shape[:2] and 0 <= drawn.doubt.min() < drawn.doubt.max() <= 1
    draw_mask(METHOD, disc(seed=1)[0], PARAMS, 0, state, cache)
    assert len(computed) == 3 and len(kept(cache)) == 2


def test_other_settings_and_another_version_are_computed_anew(cache, computed, monkeypatch):
    state_of(cache)
    state_of(cache, PARAMS.model_copy(update={"superpixels": 150}))
    monkeypatch.setattr(strokes, "VERSION", strokes.VERSION + 1)
    state_of(cache)
    assert len(computed) == len(kept(cache)) == 3


@pytest.mark.parametrize("left", [0, 100, -1])
def test_a_damaged_file_is_computed_anew(cache, computed, left):
    state_of(cache)
    [key] = kept(cache)
    cache.files.write(key, cache.files.read(key)[:left])
    state_of(cache)
    state_of(cache)
    assert len(computed) == 2


def test_what_was_kept_for_other_settings_makes_way_and_beyond_the_limit_nothing_is_kept(tmp_path, cache):
    small = FeatureCache(cache.files, DATASET, limit_bytes=100)
    first, second, third = (disc(seed=number)[0] for number in range(3))
    small.keep("old", first, bytes(60))
    small.keep("new", first, bytes(60))
    assert small.get("old", first) is None and small.get("new", first) == bytes(60)
    small.keep("new", second, bytes(40))
    small.keep("new", third, bytes(1))
    assert [small.get("new", image) for image in (first, second, third)] == [bytes(60), bytes(40), None]


def test_a_disk_without_room_is_no_reason_to_fail(cache, computed, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalStore, "write", full)
    assert state_of(cache) and len(computed) == 1
    monkeypatch.undo()
    monkeypatch.setenv("FREE_DISK_FLOOR_MB", "1000000000")
    settings_module.settings.cache_clear()
    state_of(cache)
    assert kept(cache) == []


def test_nothing_is_kept_of_a_dataset_that_was_deleted_meanwhile(cache, computed):
    cache.files.delete(stored.dataset_folder(DATASET))
    state_of(cache)
    assert computed and not cache.files.exists(stored.dataset_folder(DATASET))


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[1]", b"\xff", b'{"method": "kmeans"}', b'{"state": {"method": "kmeans"}, "digest": "0"}']
)
def test_a_damaged_state_is_none(installation, damaged):
    dataset = add_discs(installation, 1)
    cache = FeatureCache(installation.files, dataset.id)
    state = {"method": "kmeans", "params": {"clusters": 3}, "weights": [0.1, 1e-17]}
    cache.keep_fitted("ab", state)
    assert cache.fitted("ab") == state
    installation.files.write(stored.fitted_key(dataset.id, "ab"), damaged)
    assert cache.fitted("ab") is None
