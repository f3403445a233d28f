"""What a person decides on the files of an import."""

from __future__ import annotations

from contextlib import closing

import pytest

from engine.datasets import ingest
from engine.datasets.by_hand import OUT, BadAssignment, read_belongs
from engine.datasets.mask_plan import plan_masks
from tests.assets.bad_files import disk, encoded, picture

FILES = {f"photos/{n}.png": encoded(picture(seed=n)) for n in range(3)} | {
    "masks/0.png": encoded(disk()),
    "masks/x.png": encoded(disk(value=100)),
    "drawn/a.png": encoded(disk(value=200)),
}


@pytest.fixture
def folder(tmp_path):
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def planned(folder, belongs=None):
    with closing(ingest.open_zip_or_folder(folder)) as source:
        return ingest.plan(source, belongs=belongs)


def truth(plan):
    return {item.image.name: [file.name for file in item.truth] for item in plan.items}


def reasons(plan):
    return {entry.name: entry.reason for entry in plan.entries}


def test_each_file_is_used_as_decided_and_the_others_as_before(folder):
    before = planned(folder)
    assert truth(before) == {"drawn/a.png": [], "photos/0.png": ["masks/0.png"], "photos/1.png": [], "photos/2.png": []}
    assert [suspect.name for suspect in before.suspects] == ["drawn/a.png"]
    assert [file.name for file in before.alone] == ["masks/x.png"]
    after = planned(folder, {"drawn/a.png": "photos/0.png", "masks/x.png": "photos/2.png", "photos/1.png": ""})
    assert truth(after) == {"photos/0.png": ["masks/0.png", "drawn/a.png"], "photos/2.png": ["masks/x.png"]}
    assert after.rules == {"by hand": 2}
    assert not after.suspects and not after.alone
    assert reasons(after) == {"photos/1.png": OUT}


def test_a_mask_can_be_an_image_and_an_image_loses_its_truth_with_its_place(folder):
    after = planned(
        folder, {"masks/x.png": "masks/x.png", "photos/0.png": "photos/1.png", "drawn/a.png": "drawn/a.png"}
    )
    assert truth(after) == {"drawn/a.png": [], "masks/x.png": [], "photos/1.png": ["photos/0.png"], "photos/2.png": []}
    assert reasons(after) == {"masks/0.png": "It is truth, and its image photos/0.png is not used as one."}
    assert [file.name for file in after.alone] == ["masks/0.png"]
    assert not after.suspects, "a file that was decided on is not doubted"


def test_truth_that_is_left_out_leaves_its_image_without(folder):
    after = planned(folder, {"masks/0.png": ""})
    assert truth(after)["photos/0.png"] == [] and not after.rules
    assert reasons(after)["masks/0.png"] == OUT


@pytest.mark.parametrize(
    ("belongs", "says"),
    [
        ({"gone.png": ""}, "No picture of these files is called gone.png"),
        ({"drawn/a.png": "gone.png"}, "drawn/a.png cannot be truth of gone.png, which is not used as an image"),
        ({"drawn/a.png": "masks/0.png"}, "drawn/a.png cannot be truth of masks/0.png, which is not used as an image"),
        ({"drawn/a.png": "photos/1.png", "photos/1.png": "drawn/a.png"}, "is not used as an image"),
    ],
)
def test_what_does_not_fit_the_files_is_refused_in_a_sentence(folder, belongs, says):
    with pytest.raises(BadAssignment, match=says):
        planned(folder, belongs)


def test_masks_for_images_that_are_there_go_where_they_are_sent(folder):
    images = [("0.jpg", "id0"), ("1.jpg", "id1")]
    with closing(ingest.open_zip_or_folder(folder / "masks")) as source:
        before = plan_masks(source, images)
        after = plan_masks(source, images, belongs={"x.png": "1.jpg", "0.png": ""})
        with pytest.raises(BadAssignment, match="is not an image of this dataset"):
            plan_masks(source, images, belongs={"x.png": "9.jpg"})
    assert {item.image_name: item.mask_names for item in before.items} == {"0.jpg": ["0.png"]}
    assert {item.image_name: item.mask_names for item in after.items} == {"1.jpg": ["x.png"]}
    assert reasons(after) == {"0.png": OUT}


def test_a_csv_file_decides(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('﻿file,image\na.png,"b, c.png"\nd.png,\n', encoding="utf-8")
    assert read_belongs(path) == {"a.png": "b, c.png", "d.png": ""}


@pytest.mark.parametrize("content", [b"", b"a.png,b.png\n", b"image,file\n", b"\xff\xfe\x00"])
def test_another_file_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(BadAssignment, match=r"pairs\.csv"):
        read_belongs(path)
