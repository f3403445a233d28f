"""Many pictures in one answer are those that their own addresses give."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from dashboard.facts import urls
from dashboard.server.picture_bundle import MOST_PICTURES
from db import datasets, runs
from tests.support.installation import add_discs
from tests.support.predicted import add_run
from tests.support.serving import serving


@pytest.fixture
def served(dashboard):
    with serving() as server:
        yield server


@pytest.fixture
def predicted(dashboard):
    """Return (dataset id, run id, prediction set id, image ids) of two images."""
    dataset = add_discs(dashboard, 2)
    run = add_run(dashboard, dataset, "r")
    with dashboard.database.reading() as session:
        ids = [image.id for image in datasets.images(session, dataset.id)]
        return dataset.id, run.id, runs.own_prediction_set(session, run).id, ids


def ask(served, addresses, **headers):
    return served.ask(f"{urls.PICTURES}?{urlencode([('of', address) for address in addresses])}", **headers)


def parts_of(body: bytes) -> list[bytes]:
    parts, place = [], 0
    while place < len(body):
        length = int.from_bytes(body[place : place + 4], "little")
        parts.append(body[place + 4 : place + 4 + length])
        place += 4 + length
    return parts


def test_each_part_is_what_its_own_address_gives(served, predicted):
    dataset_id, _, set_id, image_ids = predicted
    addresses = []
    for image_id in image_ids:
        addresses += [
            urls.thumbnail(dataset_id, image_id),
            urls.image(dataset_id, image_id),
            urls.prediction(set_id, image_id, 192),
            urls.truth(dataset_id, image_id, 192, version=1),
        ]
    answer = ask(served, addresses)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert parts_of(answer.body) == [served.ask(address).body for address in addresses]


def test_what_is_not_there_or_no_picture_is_an_empty_part(served, predicted):
    dataset_id, run_id, _, image_ids = predicted
    addresses = [
        urls.thumbnail(dataset_id, image_ids[0]),
        urls.thumbnail(dataset_id, "0" * 32),
        urls.thumbnail(dataset_id, "../../app.db"),
        urls.metrics_csv(run_id),
        urls.PICTURES,
        "https://example.org/picture.png",
        "",
    ]
    parts = parts_of(ask(served, addresses).body)
    assert [bool(part) for part in parts] == [True, False, False, False, False, False, False]


def test_another_sites_page_gets_no_picture(served, predicted):
    address = urls.thumbnail(predicted[0], predicted[3][0])
    assert parts_of(ask(served, [address], sec_fetch_site="cross-site").body) == [b""]


def test_too_many_at_once_are_refused(served):
    assert ask(served, ["x"] * (MOST_PICTURES + 1)).status == 400
    assert ask(served, []).body == b""
