"""The route of masks that follow strokes: what it answers before and after them, and whom it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dashboard.facts import urls
from db import corrections, datasets
from db.actors import Role
from engine.datasets.corrections import Drawn, store
from engine.imaging import codec
from engine.imaging.corrections import UNTOUCHED
from engine.store import keys as stored
from tests.dashboard.access.test_gate import arrive
from tests.support.backbones import small_network
from tests.support.entering import header, login_wanted
from tests.support.installation import add_discs, disc
from tests.support.serving import guarded_serving, serving

RECIPE = "strokes,superpixels:100,backbone:none"


@pytest.fixture
def dataset(dashboard):
    return add_discs(dashboard, count=8)


def ask(served, dataset, recipe=RECIPE, **headers):
    """Return the status and the last line of an answer, decoded."""
    answer = served.ask(urls.live_masks(dataset.id, recipe), **headers)
    return answer.status, json.loads(answer.body.splitlines()[-1])


def images_of(installation, dataset):
    with installation.database.reading() as session:
        return datasets.images(session, dataset.id)


def draw(installation, image, value, mask, finished=False):
    """Store strokes of 12 px on the foreground or background of an image."""
    values = np.full(mask.shape, UNTOUCHED, np.uint8)
    row, column = (int(place) for place in (np.argwhere(mask).mean(0) if value else np.argwhere(~mask)[0]))
    values[max(row - 6, 0) : row + 6, max(column - 6, 0) : column + 6] = value
    values[mask != value] = UNTOUCHED
    with installation.database.reading() as session:
        base = datasets.images(session, image.dataset_id)[0].correction_revision if image.position == 0 else 0
    drawn = Drawn(image, values, base, "drawn", finished=finished)
    store(installation.files, corrections.committing(installation.database.writing), [drawn])


def test_masks_follow_what_was_drawn_and_say_where_they_are_in_doubt(dashboard, dataset):
    images = images_of(dashboard, dataset)
    with serving() as served:
        status, told = ask(served, dataset)
        assert status == 200 and told["images"] == {} and told["hint"].startswith("Draw a stroke")
        assert len(dashboard.files.keys(stored.features_folder(dataset.id))) == 8
        draw(dashboard, images[0], 1, disc(seed=0)[1])
        draw(dashboard, images[1], 0, disc(seed=1)[1])
        _, first = ask(served, dataset)
        assert list(first["images"]) == [image.id for image in images] and not first["error"] and not first["hint"]
        assert first["next"] in first["images"]
        for number, image in enumerate(images):
            told = first["images"][image.id]
            levels, doubt = (codec.decode_png(served.ask(told[part]).body) for part in ("mask", "doubt"))
            mask = disc(seed=number)[1]
            assert levels[mask].mean() > levels[~mask].mean() + 100
            x, y = (int(share * side) for share, side in zip(told["spot"], levels.shape[::-1], strict=True))
            assert doubt[y, x] >= np.median(doubt)
        assert ask(served, dataset)[1] == first  # nothing new, the same addresses
        with dashboard.database.writing() as session:
            corrections.withdraw(session, images[1], 1)
        changed = ask(served, dataset)[1]["images"]
        assert any(changed[image.id]["mask"] != first["images"][image.id]["mask"] for image in images[2:])


def test_images_that_are_finished_or_in_the_audit_are_not_suggested(dashboard, dataset):
    images = images_of(dashboard, dataset)
    draw(dashboard, images[0], 1, disc(seed=0)[1], finished=True)
    with serving() as served:
        suggested = ask(served, dataset)[1]["next"]
        assert suggested not in (None, images[0].id)
        with dashboard.database.writing() as session:
            corrections.draw_audit(session, dataset.id, 7)
        assert ask(served, dataset)[1]["next"] is None


def test_an_image_that_cannot_be_read_is_a_sentence(dashboard, dataset):
    image = images_of(dashboard, dataset)[3]
    dashboard.files.write(stored.image_key(dataset.id, image.id), b"no image")
    with serving() as served:
        status, told = ask(served, dataset)
    assert status == 200 and list(told) == ["error"] and told["error"].startswith("disc 3.png: ")


def test_a_network_that_describes_images_can_be_exchanged_between_strokes(dashboard, dataset, tmp_path):
    images, network = images_of(dashboard, dataset), tmp_path / "small.onnx"
    with serving() as served:
        for number, channels in enumerate((3, 5)):
            small_network(network, np.ones((channels, 3, 4, 4), np.float32))
            draw(dashboard, images[number], 1, disc(seed=number)[1])
            _, told = ask(served, dataset, f"strokes,superpixels:100,backbone:{network}")
            assert not told["error"] and len(told["images"]) == 8
        network.unlink()
        assert "cannot be read" in ask(served, dataset, f"strokes,superpixels:100,backbone:{network}")[1]["error"]


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("threshold", "The method 'threshold' does not learn from strokes."),
        ("nothing", "There is no label method 'nothing'."),
        ("strokes,superpixels:1", "superpixels"),
        ("", "There is no label method ''."),
        (f"strokes,backbone:{'x' * 3000}", "at most 2000 characters"),
    ],
)
def test_other_recipes_are_refused(dashboard, dataset, recipe, sentence):
    with serving() as served:
        status, told = ask(served, dataset, recipe)
    assert status == 400 and sentence in told["error"]


def test_wrong_ids_and_other_sites_are_refused(dashboard, dataset):
    with serving() as served:
        for dataset_id in ("0" * 32, "nothing"):
            assert served.ask(urls.live_masks(dataset_id, RECIPE)).status == 404
        assert ask(served, dataset, sec_fetch_site="cross-site")[0] == 403


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.EDITOR, 200)])
def test_editors_alone_let_masks_follow_strokes(dashboard, dataset, role, status):
    with login_wanted(), guarded_serving() as served:
        cookie = header(arrive(dashboard, role))
        assert ask(served, dataset, cookie=cookie, sec_fetch_site="same-origin")[0] == status
