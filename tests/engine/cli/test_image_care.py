"""`images` on the command line: what is excluded gets no mask, and what is removed leaves no file."""

from __future__ import annotations

import json

import pandas as pd

from db import corrections
from engine.store import keys as stored
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def test_excluded_images_get_no_mask_until_they_are_included_again(installation, ask, command):
    add_discs(installation, 3)
    name = ask("images", "discs")["images"][0]["name"]
    told = ask("images", "discs", "--exclude", name)["images"]
    assert [image["excluded"] for image in told] == [True, False, False]
    assert ask("label", "discs", "--method", "threshold", "--name", "without")["images"] == 2
    assert not any(image["excluded"] for image in ask("images", "discs", "--include", name)["images"])
    assert ask("label", "discs", "--method", "threshold", "--name", "all")["images"] == 3
    refused = command("images", "discs", "--exclude", "nothing.png")
    assert refused.returncode and "has no image 'nothing.png'" in refused.stderr


def test_an_image_is_removed_only_when_that_is_confirmed(installation, ask, command):
    dataset = add_discs(installation, 2)
    image = ask("images", "discs")["images"][0]
    refused = command("images", "discs", "--remove", image["name"])
    assert refused.returncode and "Add --yes" in refused.stderr
    assert len(ask("images", "discs", "--remove", image["name"], "--yes")["images"]) == 1
    assert not installation.files.exists(stored.image_key(dataset.id, image["id"]))


def test_annotations_and_objects_leave_excluded_images_out_and_the_rest_is_in_order(
    installation, ask, command, tmp_path
):
    dataset = add_discs(installation, 4)
    labels = add_label_set(installation, dataset)
    add_run(installation, dataset, "run", label_set_id=labels)
    with installation.database.writing() as session:
        audited = [image.name for image in corrections.draw_audit(session, dataset.id, 2)]
    for name in audited:
        correct(installation, dataset, name)
    assert ask("audit", "discs")["images"] == audited
    ask("images", "discs", "--exclude", audited[0])
    audit = ask("audit", "discs")
    assert (audit["images"], audit["missing"]) == (audited[1:], []) and audit["runs"][0]["dice"] is not None
    for what in (["run"], ["recipe", "--labels"]):
        ask("export", *what, "--format", "coco", "--out", tmp_path / "coco.json")
        exported = json.loads((tmp_path / "coco.json").read_text())["images"]
        ask("measure-objects", what[0], "--out", tmp_path / "t.csv")
        measured = set(pd.read_csv(tmp_path / "t.csv")["image"])
        assert {image["file_name"] for image in exported} == measured
        assert len(measured) == 3 and audited[0] not in measured
    ask("export", "run", "--format", "report", "--out", tmp_path / "report.html")
    found = json.loads(command("doctor", "--quick", "--json").stdout)["findings"]
    assert [each["kind"] for each in found] == ["missing_model"], "the run of the test has none"
    refused = command("measure-objects", "run", "--out", tmp_path / "t.csv" / "t.csv")
    assert refused.returncode == 1 and f"'{tmp_path / 't.csv'}' cannot be written" in refused.stderr


def test_formats_of_measured_objects_are_refused_with_where_they_are(installation, command, tmp_path):
    refused = command("export", "discs", "--format", "geojson", "--out", tmp_path / "objects.zip")
    assert refused.returncode and "download it on the page Measure" in refused.stderr
