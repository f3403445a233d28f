"""`leave-out` on the command line, and what else knows a region: masks that are written, the check-up, a backup."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from engine.imaging import codec
from engine.store import keys as stored
from tests.support.installation import add_dataset, add_discs, disc, mask_png
from tests.support.leaving_out import region_now

TOP = np.zeros((64, 64), bool)
TOP[:32] = True


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / "top.png"
    path.write_bytes(mask_png(TOP))
    return path


def test_a_mask_is_left_out_written_and_cleared(installation, ask, command, mask, tmp_path):
    add_discs(installation)
    ask("label", "discs", "--method", "threshold", "--name", "old masks")
    assert ask("leave-out", "discs")["left_out"] is False
    told = ask("leave-out", "discs", mask)
    assert (told["share"], told["revision"], told["source"]) == (0.5, 1, "imported")
    assert told["label_sets_before"] == ["old masks"] and told["runs_before"] == []
    assert ask("leave-out", "discs", "--out", tmp_path / "out.png")["share"] == 0.5
    assert np.array_equal(codec.decode_png((tmp_path / "out.png").read_bytes()) > 0, TOP)
    assert "Nothing is left out" in command("leave-out", "discs", "--clear").stdout
    refused = command("leave-out", "discs", "--clear")
    assert refused.returncode and "Nothing is left out of 'discs'." in refused.stderr


def test_masks_that_are_written_are_0_there(installation, ask, mask, tmp_path):
    add_discs(installation)
    ask("leave-out", "discs", mask)
    ask("label", "discs", "--method", "threshold", "--out", tmp_path / "out")
    masks = [codec.decode_png(path.read_bytes()) for path in sorted((tmp_path / "out").iterdir())]
    assert len(masks) == 6 and any(each[~TOP].any() for each in masks)
    assert not any(each[TOP].any() for each in masks)


def test_what_is_the_same_in_all_images_is_found(installation, ask, command):
    pairs = [disc(size_px=96, seed=seed) for seed in range(10)]
    rng = np.random.default_rng(0)
    for image, _ in pairs:
        image[:] = (image * rng.uniform(0.3, 1)).astype(np.uint8) + rng.integers(0, 60, 3).astype(np.uint8)
    add_dataset(installation, "plain", pairs)
    refused = command("leave-out", "plain", "--find")
    assert refused.returncode and "Nothing is the same in all of the 10 images compared" in refused.stderr
    for image, _ in pairs:
        image[:20, :20] = 0
    add_dataset(installation, "stamped", pairs)
    told = ask("leave-out", "stamped", "--find")
    assert told["source"] == "found" and 0.03 < told["share"] < 0.07


def test_a_file_that_is_no_region_is_refused_by_name_and_nothing_is_stored(installation, command, tmp_path, mask):
    dataset = add_discs(installation)
    path = tmp_path / "all.png"
    path.write_bytes(mask_png(np.ones((64, 64), bool)))
    refused = command("leave-out", "discs", path)
    assert refused.returncode and "'all.png' leaves out 100% of an image" in refused.stderr
    both = command("leave-out", "discs", mask, "--find")
    assert both.returncode and "only one of FILE, --find and --clear" in both.stderr
    assert region_now(installation, dataset.id) is None
    assert installation.files.keys(f"{stored.dataset_folder(dataset.id)}/left_out") == []


def test_the_check_up_and_a_backup_know_the_region(installation, ask, command, mask, tmp_path):
    dataset = add_discs(installation)
    ask("leave-out", "discs", mask)
    assert command("doctor").returncode == 0
    assert command("backup", tmp_path / "copy.zip").returncode == 0
    [key] = installation.files.keys(f"{stored.dataset_folder(dataset.id)}/left_out")
    with zipfile.ZipFile(tmp_path / "copy.zip") as copy:
        assert key in copy.namelist()
    installation.files.delete(key)
    told = command("doctor")
    assert "1 left-out region is gone in dataset 'discs'" in told.stdout
