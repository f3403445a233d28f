"""Pretrained weights on the Masks page: what strokes use, and how to get it."""

from __future__ import annotations

from db.models import Job
from engine.network import pretrained
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.labels_page import PAGE, texts


def test_strokes_say_what_they_miss_and_a_job_gets_it(installation, open_page, submitted):
    add_discs(installation, count=6)
    app = open_page(PAGE)
    assert "pretrained weights" not in texts(app), "other methods do not use them"
    app.selectbox("labels-a-method").set_value("strokes").run()
    assert "Without pretrained weights strokes learn colour and texture only" in texts(app)
    get = app.button("pretrained-get")
    assert "9 MB" in get.help and "Apache License 2.0" in get.help and "storage.googleapis.com" in get.help
    get.click().run()
    assert not app.exception
    with installation.database.reading() as session:
        [job] = session.query(Job)
    assert (job.kind, job.payload, submitted) == ("backbone", {"source": {"kind": "download"}}, [job.id])
    app.run()
    assert "Getting pretrained weights" in texts(app) and "Waiting for a free worker." in texts(app)


def test_what_is_in_use_is_named(installation, open_page):
    add_discs(installation, count=6)
    installation.files.write(stored.older_backbone_key(), b"network")
    assert "Strokes use MobileNetV2 already" in texts(open_page(PAGE, a="strokes")), "by an earlier version"
    installation.files.write(stored.encoder_weights_key(), b"weights")
    pretrained.remember(installation.files, pretrained.Pretrained("ours.h5", "ab", 9_000_000, "cd"))
    app = open_page(PAGE, a="strokes")
    assert "Weights of ours for MobileNetV2 (9.0 MB)" in texts(app) and "is unknown" in texts(app)
    assert "ours.h5" in next(each.help for each in app.caption if "Weights of ours" in each.value)
    file = pretrained.KERAS_FILE
    pretrained.remember(installation.files, pretrained.Pretrained(file, "ab", 9_000_000, "cd"))
    app = open_page(PAGE, a="strokes")
    assert "ImageNet weights for MobileNetV2 (9.0 MB)" in texts(app) and "is unknown" not in texts(app)


def test_pressing_get_in_two_tabs_gets_them_once(installation, open_page, submitted):
    add_discs(installation, count=6)
    tabs = [open_page(PAGE, a="strokes") for _ in range(2)]
    for app in tabs:
        app.button("pretrained-get").click().run()
        assert not app.exception
    with installation.database.reading() as session:
        [job] = session.query(Job)
    assert submitted == [job.id]


def test_a_no_from_a_tab_that_is_out_of_date_does_not_undo_what_was_added(installation, open_page, submitted):
    add_discs(installation, count=6)
    app = open_page("views/train/page.py")
    installation.files.write(stored.encoder_weights_key(), b"weights")
    pretrained.remember(installation.files, pretrained.Pretrained("ours.h5", "ab", 9_000_000, "cd"))
    app.button("pretrained-decline").click().run()
    assert not app.exception
    assert pretrained.installed(installation.files).file == "ours.h5"
