"""The list of what can be taken home: links, jobs, and files that are out of date."""

from __future__ import annotations

import pytest

from dashboard.facts import urls
from db import jobs, runs
from db.columns import utc_now
from db.models import Job, JobKind, JobStatus
from db.submissions import submit_export
from engine.store import keys as stored
from tests.support.class_runs import add_class_run, add_classes
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.serving import serving

GALLERY = "views/gallery/page.py"


@pytest.fixture
def predicted(installation):
    """Return (run, prediction set's id) of six discs."""
    dataset = add_discs(installation, 6)
    run = add_run(installation, dataset, "ä run/1", label_set_id=add_label_set(installation, dataset))
    with installation.database.reading() as session:
        return run, runs.own_prediction_set(session, run).id


def opened(open_page, page, owner_id, **query):
    """Open a page and its list of downloads."""
    at = open_page(page, **query)
    at.session_state[f"downloads-{owner_id}"] = True
    return at.run()


def links(at):
    return {link.label: link.url for link in at.get("link_button")}


def prepared(installation, owner, owner_id, what, threshold, content=b"{}"):
    """Store a file as an export job does, and return the job."""
    with installation.database.writing() as session:
        job = submit_export(session, owner, owner_id, what, threshold)
        folder = {"run": stored.run_folder, "prediction_set": stored.prediction_folder}[owner](owner_id)
        suffix = "html" if what == "report" else "json"
        key = stored.export_key(folder, what, job.id, suffix)
        installation.files.write(key, content)
        job.status, job.started_at, job.finished_at = JobStatus.FINISHED, utc_now(), utc_now()
        job.result = {"key": key, "suffix": suffix, "bytes": len(content)}
        return job


def test_the_list_is_drawn_only_while_it_is_open_and_its_links_carry_the_threshold(open_page, predicted):
    run, set_id = predicted
    at = open_page(GALLERY, run=run.id, threshold="0.3")
    assert not at.exception and not links(at)
    at = opened(open_page, GALLERY, set_id, run=run.id, threshold="0.3")
    assert not at.exception
    addresses = [link.url for link in at.get("link_button")]
    assert urls.masks_zip("prediction_set", set_id, 0.3) in addresses
    assert urls.masks_zip("prediction_set", set_id, 0.3, kind="cutouts") in addresses
    assert urls.masks_zip("prediction_set", set_id, 0.3, kind="classes") in addresses
    assert urls.scores_csv("prediction_set", set_id, 0.3) in addresses and urls.model(run.id) in addresses


def test_masks_of_several_classes_are_offered_as_class_maps_with_and_without_colours(open_page, installation):
    run, set_id = add_class_run(installation, add_classes(installation))
    at = opened(open_page, GALLERY, set_id, run=run.id)
    assert not at.exception
    words = " ".join(markdown.value for markdown in at.markdown)
    assert "0 background and 1 to 3 the classes" in words and "255 foreground" not in words
    assert urls.masks_zip("prediction_set", set_id, kind="palette") in [link.url for link in at.get("link_button")]


def test_a_press_prepares_a_file_at_the_pages_threshold(open_page, predicted, installation, submitted):
    run, set_id = predicted
    at = opened(open_page, GALLERY, set_id, run=run.id, threshold="0.3")
    at.button(key="prepare-prediction_set-coco").click().run()
    assert not at.exception
    job = installation.job(submitted[0])
    assert job.kind == JobKind.EXPORT and (job.payload["what"], job.payload["threshold"]) == ("coco", 0.3)
    assert job.payload["prediction_set"] == set_id and job.payload["run"] == run.id
    assert at.button(key=f"Stop-{job.id}")
    assert any("free worker" in caption.value for caption in at.caption)
    at.button(key=f"Stop-{job.id}").click().run()
    assert installation.job(job.id).status == JobStatus.STOPPED


def test_a_prepared_file_can_be_taken_and_says_when_it_is_out_of_date(open_page, predicted, installation):
    run, set_id = predicted
    job = prepared(installation, "prediction_set", set_id, "coco", 0.5, b"{}" * 1600)
    at = opened(open_page, GALLERY, set_id, run=run.id)
    assert links(at)["Download (3.2 kB)"] == urls.prepared(job.id)
    with pytest.raises(KeyError):
        at.button(key="prepare-prediction_set-coco")
    at = opened(open_page, GALLERY, set_id, run=run.id, threshold="0.4")
    assert any("exported at threshold 0.50" in caption.value for caption in at.caption)
    assert at.button(key="prepare-prediction_set-coco").label == "Prepare again"
    with installation.database.writing() as session:
        runs.clear_predictions(session, set_id)
        runs.add_predictions(
            session, set_id, [{"image_id": image_of(installation, run), "area": 0.5, "mean_probability": 0.5}]
        )
    at = opened(open_page, GALLERY, set_id, run=run.id)
    assert any("masks or the classes have changed" in caption.value for caption in at.caption)


def image_of(installation, run):
    with installation.database.reading() as session:
        return runs.split(session, run.id)[0].image_id


def test_a_report_is_out_of_date_once_the_run_has_changed(open_page, predicted, installation):
    run, _ = predicted
    prepared(installation, "run", run.id, "report", None)
    at = opened(open_page, GALLERY, predicted[1], run=run.id)
    assert not any("has changed" in caption.value for caption in at.caption)
    with installation.database.writing() as session:
        runs.update_run(session, run.id, best_epoch=99)
    at = opened(open_page, GALLERY, predicted[1], run=run.id)
    assert any("The run has changed" in caption.value for caption in at.caption)


def test_a_failure_is_told_and_can_be_tried_again(open_page, predicted, installation):
    run, set_id = predicted
    with installation.database.writing() as session:
        job = submit_export(session, "prediction_set", set_id, "yolo", 0.5)
        job.status, job.error = JobStatus.FAILED, "The *stored* masks are gone."
    at = opened(open_page, GALLERY, set_id, run=run.id)
    assert any("masks are gone" in error.value for error in at.error)
    at.button(key="prepare-prediction_set-yolo").click().run()
    with installation.database.reading() as session:
        assert len(jobs.active(session)) == 1


def test_the_pages_of_labels_and_runs_have_the_list_too(open_page, predicted, installation):
    run, set_id = predicted
    at = opened(open_page, "views/labels/page.py", run.label_set_id, dataset=run.dataset_id)
    links = [link.url for link in at.get("link_button")]
    assert not at.exception and urls.masks_zip("label_set", run.label_set_id) in links
    at = opened(open_page, "views/runs/page.py", set_id, run=run.id)
    assert not at.exception and urls.metrics_csv(run.id) in [link.url for link in at.get("link_button")]


def test_the_file_comes_under_its_own_name_and_only_while_it_is_there(installation, predicted, dashboard):
    _, set_id = predicted
    job = prepared(installation, "prediction_set", set_id, "coco", 0.5, b'{"images":[]}')
    with serving() as served:
        answer = served.ask(urls.prepared(job.id))
        assert answer.status == 200 and answer.body == b'{"images":[]}'
        assert "%C3%A4%20run%2F1%20on%20discs%20coco%200.50.json" in answer.headers["content-disposition"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert served.ask(urls.prepared(job.id), if_none_match=answer.headers["etag"]).status == 304
        assert served.ask(urls.prepared(job.id), sec_fetch_site="cross-site").status == 403
        assert served.ask(urls.prepared(job.id), range="bytes=0-3").body == b'{"im'
        installation.files.delete(job.result["key"])
        assert served.ask(urls.prepared(job.id)).status == 404
        with installation.database.writing() as session:
            other = jobs.submit(session, JobKind.MEASURE, {})
        for job_id in (other.id, "0" * 32, "../app.db"):
            assert served.ask(urls.prepared(job_id)).status == 404


def test_home_tells_of_a_download_that_is_being_prepared(open_page, predicted, installation):
    _, set_id = predicted
    with installation.database.writing() as session:
        submit_export(session, "prediction_set", set_id, "yolo", 0.5)
        assert session.query(Job).filter_by(kind=JobKind.EXPORT).count() == 1
    at = open_page("views/home/page.py")
    assert not at.exception
    assert any("Preparing a download" in markdown.value for markdown in at.markdown)
