"""What `engine train` says of the masks before it trains."""

import numpy as np

from db.models import Job, JobStatus
from engine.cli import commands
from tests.support.calling import call
from tests.support.installation import add_dataset


def test_train_says_first_where_no_object_is_left(installation, monkeypatch):
    image, speck = np.full((200, 200, 3), 90, np.uint8), np.zeros((200, 200), bool)
    speck[50:51, 50:52] = True
    add_dataset(installation, "specks", [(image + np.uint8(number), speck) for number in range(3)])
    monkeypatch.setattr(commands, "follow", lambda *arguments: Job(status=JobStatus.STOPPED))
    done = call(installation.settings, "train", "specks", "--truth", "-p", "model.image_size=64")
    (note,) = done.stderr.strip().splitlines()
    assert note.startswith("Note: In 3 of 3 images with objects, no object is left at 64 px")
    assert "a larger image size (at 128 px each of these images keeps some)" in note
    assert "no score on validation images" in done.stdout
