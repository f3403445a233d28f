"""What to correct next is found in the background, remembered, and found anew once something changed."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.facts.correction_queue import place_in_queue, words
from dashboard.server.correction_queues import CorrectionQueues
from db import corrections, datasets
from db.correction_queue import Masks
from engine.prediction.correct_next import Suggestion
from engine.store import keys as stored
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.leaving_out import leave_out
from tests.support.predicted import add_label_set

PATIENCE_S = 60.0


@pytest.fixture
def discs(installation):
    return add_discs(installation, 4)


@pytest.fixture
def masks(installation, discs):
    return Masks(add_label_set(installation, discs))


@pytest.fixture
def queues(installation):
    return CorrectionQueues(installation.database, installation.files)


def ids(installation, discs) -> list[str]:
    with installation.database.reading() as session:
        return [image.id for image in datasets.images(session, discs.id)]


def test_every_open_image_is_in_the_queue_until_it_is_finished(installation, discs, masks, queues):
    assert queues.latest(masks) is None
    state = queues.ask(discs.id, masks, PATIENCE_S)
    assert sorted(each.image_id for each in state.suggestions) == sorted(ids(installation, discs))
    assert queues.ask(discs.id, masks) is state, "nothing changed"
    correct(installation, discs, "disc 1.png")
    assert queues.latest(masks) == state.suggestions, "whoever follows a queue keeps its order"
    later = queues.ask(discs.id, masks, PATIENCE_S)
    assert len(later.suggestions) == 3


def test_masks_are_read_once_however_often_the_order_changes(installation, discs, masks, queues):
    queues.ask(discs.id, masks, PATIENCE_S)
    for image_id in ids(installation, discs):
        installation.files.delete(stored.label_key(masks.label_set_id, image_id))
    with installation.database.writing() as session:
        corrections.draw_audit(session, discs.id, 2)
    state = queues.ask(discs.id, masks, PATIENCE_S)
    assert (len(state.suggestions), state.error) == (2, "")


def test_a_missing_mask_is_said_and_asking_again_tries_again(installation, discs, masks, queues):
    key = stored.label_key(masks.label_set_id, ids(installation, discs)[0])
    data = installation.files.read(key)
    installation.files.delete(key)
    assert "missing" in queues.ask(discs.id, masks, PATIENCE_S).error
    installation.files.write(key, data)
    assert len(queues.ask(discs.id, masks, PATIENCE_S).suggestions) == 4


def test_the_next_of_an_image_is_the_next_that_is_not_finished():
    queue = [Suggestion(name, "in doubt", (0, 0), 0.2) for name in "abcd"]
    place = place_in_queue(queue, {"c"}, "b")
    assert (place.before, place.after, place.left) == ("a", "d", 2)
    assert words(place) == "in doubt · 2 more to correct"
    gone = place_in_queue(queue, {"a"}, "deleted")
    assert (gone.suggestion, gone.before, gone.after) == (None, None, "b")
    assert words(place_in_queue(queue[:1], set(), "a")) == "in doubt · the last one"


def test_doubts_in_what_is_left_out_count_for_nothing(installation, discs, masks, queues):
    before = {each.image_id: each.place for each in queues.ask(discs.id, masks, PATIENCE_S).suggestions}
    region = np.zeros((64, 64), bool)
    region[:, :40] = True
    assert any(x < 40 for x, _ in before.values())
    leave_out(installation, discs.id, region)
    after = queues.ask(discs.id, masks, PATIENCE_S).suggestions
    assert len(after) == len(before) and all(each.place[0] >= 40 for each in after)
