"""The Datasets page without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.facts.wording import escaped
from db import datasets, submissions
from db.columns import new_id
from db.models import Dataset, Image, Job, JobStatus
from engine.store import keys as stored
from tests.assets.bad_files import disk, encoded, picture
from tests.support.installation import add_discs
from tests.support.pages import words
from tests.support.pressing import click, press_in_dialog

PAGE = "views/datasets/page.py"


def test_an_empty_installation_shows_the_import_form(open_page):
    at = open_page(PAGE)
    assert at.title[0].value == "Datasets"
    assert at.segmented_control("import-place").value == "From this computer"


def test_the_import_form_is_a_page_of_its_own_where_there_are_datasets(open_page, submitted, installation):
    add_discs(installation, count=1)
    at = open_page(PAGE)
    assert not at.segmented_control and at.button("import-images").proto.type == "primary"
    click(at, "import-images")
    assert at.title[0].value == "Import images" and at.segmented_control("import-place").value


def test_a_server_folder_is_reached_by_clicks(open_page, submitted, installation, tmp_path, monkeypatch):
    folder = tmp_path / "photographs"
    (folder / "kitchen").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "kitchen" / "pan.png").write_bytes(encoded(picture(seed=1)))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    at = open_page(PAGE)
    at.segmented_control("import-place").set_value("Folder on the server").run()
    click(at, f"import-into-{folder}")
    assert not any(str(button.key).endswith(".hidden") for button in at.button)
    click(at, f"import-into-{folder / 'kitchen'}")
    assert "1 image here, no folders" in words(at)
    click(at, "import-use")
    assert at.text_input("import-path").value == str(folder / "kitchen")
    click(at, "import-start")
    with installation.database.reading() as session:
        assert session.query(Dataset).one().name == "kitchen"


def test_what_would_be_imported_is_shown_before_it_is(open_page, tmp_path):
    for name, data in {
        "images/a.png": encoded(picture(seed=1)),
        "masks/a.png": encoded(disk()),
        "masks/b.png": encoded(disk()),
        "sketches/c.png": encoded(disk()),
    }.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    at = open_page(PAGE)
    at.segmented_control("import-place").set_value("Folder on the server").run()
    at.text_input("import-path").input(str(tmp_path / "in")).run()
    assert not at.exception
    assert "2 images, 1 with truth" in words(at)
    assert "masks/ beside images/ (1)" in words(at)
    assert "two grey values, same size as an image (sketches/c.png)" in at.warning[0].value
    images, left_out, uses = (frame.value for frame in at.dataframe)
    assert dict(zip(uses["File"], uses["Use as"], strict=True)) == {
        "sketches/c.png": "image",
        "masks/b.png": "skip",
        "images/a.png": "image",
        "masks/a.png": "truth of images/a.png",
    }
    assert dict(zip(images["Image"], images["Truth"], strict=True)) == {
        "images/a.png": "masks/a.png",
        "sketches/c.png": "",
    }
    assert list(left_out["File"]) == ["masks/b.png"]


def test_a_folder_without_an_image_cannot_be_imported(open_page, tmp_path):
    (tmp_path / "volume.nii").write_bytes(b"volume")
    at = open_page(PAGE)
    at.segmented_control("import-place").set_value("Folder on the server").run()
    at.text_input("import-path").input(str(tmp_path)).run()
    assert at.warning[0].value.startswith("There is no image to import here (")
    [left_out] = (frame.value for frame in at.dataframe)
    assert "NIfTI is not read" in left_out["Skipped because"][0]
    assert at.button("import-start").disabled


def test_the_sample_set_is_imported_by_a_job_and_its_page_opens(open_page, submitted, installation):
    at = open_page(PAGE)
    at.segmented_control("import-place").set_value("Sample set").run()
    click(at, "import-start")
    with installation.database.reading() as session:
        dataset = session.query(Dataset).one()
        job = session.get_one(Job, dataset.job_id)
    assert (dataset.name, job.payload["source"]) == ("Sample scenes", {"kind": "sample"})
    assert submitted == [job.id]
    assert at.title[0].value == "Sample scenes"
    assert "Queued" in words(at)


def test_a_server_folder_proposes_its_name_and_a_missing_one_is_an_error(open_page, installation, tmp_path):
    folder = tmp_path / "kitchen photographs"
    folder.mkdir()
    (folder / "pan.png").write_bytes(encoded(picture(seed=1)))
    at = open_page(PAGE)
    at.segmented_control("import-place").set_value("Folder on the server").run()
    at.text_input("import-path").input(str(folder / "nowhere")).run()
    assert "There is no folder, zip or picture" in at.error[0].value
    for impossible in ("/" + "x" * 300, "/**bold** `code`", "/a\x01b"):
        at.text_input("import-path").input(impossible).run()
        assert not at.exception and "There is no folder, zip or picture" in at.error[0].value
    for relative in ("photographs", "~nobody-of-this-name/x"):
        at.text_input("import-path").input(relative).run()
        assert not at.exception and "absolute path" in at.error[0].value
    at.text_input("import-path").input(str(folder)).run()
    assert not at.error and not at.exception
    click(at, "import-start")
    with installation.database.reading() as session:
        dataset = session.query(Dataset).one()
        source = session.get_one(Job, dataset.job_id).payload["source"]
    assert dataset.name == "kitchen photographs"
    assert source == {"kind": "folder", "path": str(folder)}


def test_channels_and_pages_are_part_of_the_import(open_page, submitted, installation, tmp_path):
    folder = tmp_path / "stacks"
    folder.mkdir()
    (folder / "stack.png").write_bytes(encoded(picture(seed=1)))
    at = open_page(PAGE)
    at.segmented_control("import-place").set_value("Folder on the server").run()
    at.text_input("import-path").input(str(folder)).run()
    at.text_input("import-channels").input("green").run()
    assert "Channels must be one to three numbers" in at.error[0].value
    at.text_input("import-channels").input("2").run()
    at.selectbox("import-pages").select("max").run()
    click(at, "import-start")
    with installation.database.reading() as session:
        source = session.get_one(Job, session.query(Dataset).one().job_id).payload["source"]
    assert source == {"kind": "folder", "path": str(folder), "reading": {"channels": "2", "pages": "max"}}


def test_a_taken_name_is_refused_before_the_import_and_a_free_one_is_offered(open_page, submitted, installation):
    add_discs(installation, count=1, name="discs")
    at = open_page(PAGE, **{"import": "1"})
    at.segmented_control("import-place").set_value("Sample set").run()
    next(box for box in at.text_input if box.label == "Name of the dataset").input("discs").run()
    assert "The name 'discs' is taken" in at.error[0].value and at.button("import-start").disabled
    with installation.database.reading() as session:
        assert session.query(Dataset).count() == 1
    assert submitted == []
    click(at, "import-free-name")
    assert not at.error
    click(at, "import-start")
    assert at.title[0].value == "discs 2"


def test_cards_open_a_dataset_and_back(open_page, submitted, installation):
    dataset = add_discs(installation, count=3)
    at = open_page(PAGE)
    assert at.button(f"open-{dataset.id}").label == "**discs**"
    click(at, f"open-{dataset.id}")
    assert at.title[0].value == "discs"
    assert at.query_params["dataset"] == dataset.id
    click(at, "back")
    assert at.title[0].value == "Datasets"


def test_a_deleted_dataset_gives_a_warning_and_the_list(open_page, submitted, installation):
    at = open_page(PAGE, dataset=new_id())
    assert "does not exist any more" in at.warning[0].value
    assert at.title[0].value == "Datasets"


def test_an_import_can_be_stopped_and_resumed(open_page, submitted, installation):
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, "photos", {"kind": "sample"})
    at = open_page(PAGE, dataset=dataset.id)
    click(at, f"job-{dataset.id}-stop")
    assert installation.job(job.id).status == JobStatus.STOPPED
    at = open_page(PAGE, dataset=dataset.id)
    assert "Stopped by a person" in words(at)
    click(at, f"job-{dataset.id}-retry")
    assert installation.job(job.id).status == JobStatus.QUEUED
    assert submitted == [job.id]


def test_a_failed_import_shows_its_error(open_page, submitted, installation):
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, "photos", {"kind": "sample"})
        job.status, job.error = JobStatus.FAILED, "The zip is empty."
    at = open_page(PAGE, dataset=dataset.id)
    assert "The zip is empty." in at.error[0].value
    assert any(button.key == f"job-{dataset.id}-retry" for button in at.button)


def test_an_import_that_can_only_fail_again_is_removed_instead_of_retried(open_page, submitted, installation):
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, "photos", {"kind": "upload", "token": new_id()})
        job.status, job.error, job.result = JobStatus.FAILED, "The zip is empty.", {"final": True}
    at = open_page(PAGE, dataset=dataset.id)
    assert not any(button.key == f"job-{dataset.id}-retry" for button in at.button)
    at = open_page(PAGE)
    assert "The zip is empty" in words(at)
    click(at, f"remove-{dataset.id}")
    with installation.database.reading() as session:
        assert session.query(Dataset).count() == 0


def test_the_report_filters_skipped_files(open_page, submitted, installation):
    dataset = add_discs(installation, count=2)
    with installation.database.writing() as session:
        entry = {"name": "notes.jpg", "taken": False, "reason": "It is a text file."}
        datasets.add_images(session, dataset.id, new_id(), [], [entry])
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Files (1 skipped)"
    at.run()
    assert list(at.dataframe[0].value["Outcome"]) == ["skipped", "imported", "imported"]
    at.segmented_control(f"report-{dataset.id}-wanted").set_value("Skipped").run()
    assert list(at.dataframe[0].value["Why"]) == ["It is a text file."]


def test_a_reason_that_is_longer_than_a_cell_is_repeated_in_full(open_page, installation):
    dataset = add_discs(installation, count=1)
    reason = (
        "Images described: 6. "
        + "Polygons of less than three points were left out (1)."
        + " Boxes were left out (2)." * 3
    )
    with installation.database.writing() as session:
        datasets.add_images(session, dataset.id, new_id(), [], [{"name": "a.json", "taken": True, "reason": reason}])
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Files (1 note)"
    at.run()
    assert f"**a.json**: {escaped(reason)}" in words(at)


def test_the_truth_tab_shows_classes_and_a_proposal_can_be_saved(open_page, submitted, installation):
    dataset = add_discs(installation, count=3)
    with installation.database.writing() as session:
        datasets.set_classes(session, dataset.id, dataset.classes, [0] * 10 + [1] * 246)
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Truth"
    at.run()
    assert at.button("classes-save").disabled
    click(at, "classes-propose-None")
    assert not at.button("classes-save").disabled
    click(at, "classes-save")
    with installation.database.reading() as session:
        saved = session.get_one(Dataset, dataset.id)
    assert (saved.lookup[127], saved.lookup[128], saved.truth_version) == (0, 1, 3)
    assert at.button("classes-save").disabled


def test_inverted_truth_is_doubted_beside_the_images_until_it_is_exchanged(open_page, submitted, installation):
    dataset = add_discs(installation, count=2)
    with installation.database.writing() as session:
        datasets.set_classes(session, dataset.id, dataset.classes, [1] * 128 + [0] * 128)
    at = open_page(PAGE, dataset=dataset.id)
    assert "Foreground covers" in at.warning[0].value and "in the tab *Truth*" in at.warning[0].value
    at.session_state["dataset-tabs"] = "Truth"
    at.run()
    click(at, "classes-exchange")
    click(at, "classes-save")
    assert not open_page(PAGE, dataset=dataset.id).warning
    with installation.database.reading() as session:
        saved = session.get_one(Dataset, dataset.id)
    assert (saved.lookup[0], saved.lookup[255]) == (0, 1)
    assert [entry["name"] for entry in saved.classes] == [entry["name"] for entry in dataset.classes]


def test_the_colours_of_classes_are_shown_and_stay(open_page, submitted, installation):
    dataset = add_discs(installation, count=1)
    with installation.database.writing() as session:
        classes = [dataset.classes[0], dataset.classes[1] | {"colour": "#0072B2"}]
        datasets.set_classes(session, dataset.id, classes, [0] * 10 + [1] * 246)
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state["dataset-tabs"] = "Truth"
    at.run()
    assert at.button("classes-save").disabled
    assert any("background:#0072B2" in element.body for element in at.get("html"))
    click(at, "classes-propose-None")
    click(at, "classes-save")
    with installation.database.reading() as session:
        saved = session.get_one(Dataset, dataset.id)
    assert (saved.lookup[127], saved.classes[1]["colour"]) == (0, "#0072B2")


def test_two_tabs_that_edit_the_classes_do_not_overwrite_each_other(open_page, submitted, installation):
    dataset = add_discs(installation, count=3)
    with installation.database.writing() as session:
        datasets.set_classes(session, dataset.id, dataset.classes, [0] * 10 + [1] * 246)
    tabs = [open_page(PAGE, dataset=dataset.id) for _ in range(2)]
    for at in tabs:
        at.session_state["dataset-tabs"] = "Truth"
        at.run()
        click(at, "classes-propose-None")
    first, second = tabs
    click(first, "classes-save")
    assert not first.warning
    click(second, "classes-save")
    assert "changed in the meantime, in another tab" in second.warning[0].value
    with installation.database.reading() as session:
        assert session.get_one(Dataset, dataset.id).truth_version == 3
    second.run()
    assert not second.warning
    with pytest.raises(datasets.ChangedMeanwhile), installation.database.writing() as session:
        datasets.set_classes(session, dataset.id, dataset.classes, [0] * 256, seen_version=2)


def test_deleting_lists_what_is_deleted_and_removes_the_files(open_page, submitted, installation):
    dataset = add_discs(installation, count=2)
    folder: Path = installation.files.path(stored.dataset_folder(dataset.id))
    at = open_page(PAGE, dataset=dataset.id)
    click(at, "delete")
    assert "2 images, 2 with truth" in words(at)
    assert folder.exists()
    press_in_dialog(at, "delete", "delete-go")
    assert not at.exception
    assert at.title[0].value == "Datasets"
    assert not folder.exists()
    with installation.database.reading() as session:
        assert session.get(Dataset, dataset.id) is None


@pytest.mark.parametrize(("truth", "primary"), [(False, "to-labels"), (True, "to-train")])
def test_one_button_leads_on_and_only_beside_the_images(open_page, submitted, installation, truth, primary):
    dataset = add_discs(installation, count=1, truth=truth)
    at = open_page(PAGE, dataset=dataset.id)
    assert [button.key for button in at.button if button.proto.type == "primary"] == [primary]
    at.session_state["dataset-tabs"] = "Audit"
    at.run()
    assert not {"to-labels", "to-train"} & {button.key for button in at.button if button.proto.type == "primary"}


def test_selected_images_are_excluded_included_again_and_removed(open_page, submitted, installation):
    dataset = add_discs(installation, count=3)
    with installation.database.reading() as session:
        first = datasets.images(session, dataset.id)[0].id
    at = open_page(PAGE, dataset=dataset.id)
    at.session_state[f"picked-{dataset.id}"] = {first}
    at.toggle(f"picking-{dataset.id}").set_value(True).run()
    assert "**1 selected**" in words(at)
    click(at, "pick-exclude")
    assert "2 images · 1 excluded" in words(at)
    at.session_state[f"picked-{dataset.id}"] = {first}
    at.run()
    click(at, "pick-include")
    assert "excluded" not in at.caption[0].value
    at.session_state[f"picked-{dataset.id}"] = {first}
    at.run()
    click(at, "pick-remove")
    press_in_dialog(at, "pick-remove", "delete-go")
    assert not at.exception and "2 images ·" in words(at)
    assert not installation.files.exists(stored.image_key(dataset.id, first))


def test_a_dataset_in_use_is_not_offered_for_deletion(open_page, submitted, installation):
    with installation.database.writing() as session:
        dataset, _ = submissions.submit_import(session, "photos", {"kind": "sample"})
    at = open_page(PAGE, dataset=dataset.id)
    click(at, "delete")
    assert "in use by a job (import)" in words(at)
    assert not any(button.key == "delete-go" for button in at.button)


def test_markdown_in_a_name_is_escaped(open_page, installation):
    dataset = add_discs(installation, name="$a$ *b* <i>c</i> :red[d]")
    shown = open_page(PAGE, dataset=dataset.id).title[0].value
    assert shown == r"\$a\$ \*b\* \<i\>c\</i\> \:red\[d\]"


def test_truth_without_objects_gives_one_warning_and_no_error(open_page, installation):
    dataset = add_discs(installation, count=2)
    with installation.database.writing() as session:
        stored_set = session.get_one(Dataset, dataset.id)
        stored_set.classes, stored_set.lookup = [{"index": 0, "name": "background", "value": 0}], [0] * 256
        for image in session.query(Image).filter_by(dataset_id=dataset.id):
            image.truth_values = [[0, 100]]
    at = open_page(PAGE, dataset=dataset.id)
    assert "mark no object" in at.warning[0].value and not at.error
