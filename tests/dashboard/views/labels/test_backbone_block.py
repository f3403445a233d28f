"""What describes images to strokes, on the Masks page: offered once strokes are chosen, fetched by a job."""

from __future__ import annotations

from db.models import Job
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.labels_page import PAGE, texts
from tests.support.pressing import press_in_dialog


def test_the_block_offers_the_network_to_strokes_and_a_job_gets_it(installation, open_page, submitted):
    add_discs(installation, count=6)
    app = open_page(PAGE)
    assert "ImageNet features" not in texts(app), "other methods do not use it"
    app.selectbox("labels-a-method").set_value("strokes").run()
    assert "Without ImageNet features strokes learn colour and texture only." in texts(app)
    app.button("backbone-get").click().run()
    assert "Size: 9 MB" in texts(app) and "Apache License 2.0" in texts(app) and "storage.googleapis.com" in texts(app)
    press_in_dialog(app, "backbone-get", "backbone-download")
    assert not app.exception
    with installation.database.reading() as session:
        [job] = session.query(Job)
    assert (job.kind, job.payload, submitted) == ("backbone", {"source": {"kind": "download"}}, [job.id])
    app.run()
    assert "Getting MobileNetV2" in texts(app) and "Waiting for a free worker." in texts(app)


def test_the_block_names_what_is_in_use(installation, open_page):
    add_discs(installation, count=6)
    installation.files.write(stored.backbone_key(), b"network")
    app = open_page(PAGE, a="strokes")
    assert "Strokes use MobileNetV2 (7 B, trained on ImageNet)" in texts(app)
