"""Corrections on the command line: stored by revision, merged, refused, withdrawn, exported, and trained on."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select

from db import corrections, datasets
from db.models import Correction, RunImage
from engine.imaging import codec
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.store import keys as stored
from tests.engine.cli.test_several_classes import TINY
from tests.support.installation import add_discs, disc

SIDE = 64


@pytest.fixture
def discs(installation):
    return add_discs(installation, count=6, truth=False)


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes {stem: correction} as PNGs and returns their folder."""

    def written(**given):
        place = tmp_path / f"corrections {len(list(tmp_path.iterdir()))}"
        place.mkdir()
        for name, values in given.items():
            (place / f"{name.replace('_', ' ')}.png").write_bytes(codec.encode_png(values))
        return place

    return written


def drawn(value: int, *where: slice) -> np.ndarray:
    values = np.full((SIDE, SIDE), UNTOUCHED, np.uint8)
    values[where] = value
    return values


def current(installation, dataset) -> dict[str, np.ndarray]:
    """Return {image name: what its correction shows}."""
    with installation.database.reading() as session:
        names = {image.id: image.name for image in datasets.images(session, dataset.id)}
        found = corrections.current(session, dataset.id)
    keys = {names[id_]: stored.correction_key(dataset.id, row.file_id) for id_, row in found.items()}
    return {name: codec.decode_png(installation.files.read(key)) for name, key in keys.items()}


def test_a_pixel_given_again_replaces_what_was_there(installation, discs, folder, ask):
    rows_0_to_8, rows_4_to_12 = drawn(1, slice(0, 8)), drawn(0, slice(4, 12))
    first = ask("correct", "discs", folder(disc_0=rows_0_to_8, disc_3=drawn(LEFT_OUT, slice(0, 2))), "--strokes")
    assert first["corrected"] == 2
    assert [entry["revision"] for entry in first["images"]] == [1, 1]
    second = ask("correct", "discs", folder(disc_0=rows_4_to_12))
    assert (second["images"][0]["revision"], second["images"][0]["finished"]) == (2, True)

    found = current(installation, discs)
    expected = np.where(rows_4_to_12 == UNTOUCHED, rows_0_to_8, rows_4_to_12)
    assert np.array_equal(found["disc 0.png"], expected)
    assert (found["disc 3.png"] == LEFT_OUT).sum() == 2 * SIDE
    listed = ask("corrections", "discs")["images"]
    assert [(entry["name"], entry["finished"], entry["pixels"]) for entry in listed] == [
        ("disc 0.png", True, 12 * SIDE),
        ("disc 3.png", False, 2 * SIDE),
    ]


def test_exported_corrections_are_read_again_as_they_are(installation, discs, folder, ask, tmp_path):
    ask("correct", "discs", folder(disc_1=drawn(1, slice(10, 20), slice(10, 20))))
    before = current(installation, discs)
    ask("corrections", "discs", "--out", tmp_path / "out")
    ask("correct", "discs", tmp_path / "out")
    after = current(installation, discs)
    assert before.keys() == after.keys() == {"disc 1.png"}
    assert np.array_equal(before["disc 1.png"], after["disc 1.png"])


def test_withdrawing_goes_back_one_correction_at_a_time(installation, discs, folder, ask, command):
    for value, strokes in ((1, ["--strokes"]), (0, [])):
        ask("correct", "discs", folder(disc_2=drawn(value, slice(0, 4))), *strokes)
    listed = ask("corrections", "discs", "--withdraw", "disc 2")["images"]
    assert [(entry["revision"], entry["source"], entry["finished"]) for entry in listed] == [(3, "withdrawn", False)]
    assert (current(installation, discs)["disc 2.png"][:4] == 1).all()
    assert ask("corrections", "discs", "--withdraw", "disc 2.png")["images"] == []
    refused = command("corrections", "discs", "--withdraw", "disc 2")
    assert refused.returncode and "'disc 2.png' has no correction to withdraw" in refused.stderr
    with installation.database.reading() as session:
        sources = [row.source for row in session.scalars(select(Correction).order_by(Correction.revision))]
    assert sources == ["imported", "imported", "withdrawn", "withdrawn"], "nothing was overwritten"


def test_what_was_withdrawn_does_not_come_back_with_a_later_correction(installation, discs, folder, ask):
    ask("correct", "discs", folder(disc_2=drawn(1, slice(0, 4))))
    ask("corrections", "discs", "--withdraw", "disc 2")
    ask("correct", "discs", folder(disc_2=drawn(0, slice(0, 4))))
    assert ask("corrections", "discs", "--withdraw", "images/Disc 2.png")["images"] == [], "paired like files"
    assert current(installation, discs) == {}


BAD = {
    "another size": (
        {"disc_0": np.zeros((10, 20), np.uint8)},
        "the size of the image, 64 × 64 pixels. Got 20",
    ),
    "an unknown class": ({"disc_0": drawn(7, slice(0, 1))}, "names class 7. The dataset has class 1"),
    "colours": ({"disc_0": np.zeros((SIDE, SIDE, 3), np.uint8)}, "8-bit greyscale PNG of class numbers"),
    "a name of no image": (
        {"disc_0": drawn(1, slice(0, 1)), "cat": drawn(1, slice(0, 1))},
        "'cat.png' cannot be paired",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_correction_is_refused_by_name_and_nothing_is_stored(installation, discs, folder, command, case):
    files, sentence = BAD[case]
    ended = command("correct", "discs", folder(**files))
    assert ended.returncode and sentence in ended.stderr
    assert current(installation, discs) == {}
    assert installation.files.keys(f"{stored.dataset_folder(discs.id)}/corrections") == []


def test_a_run_is_trained_on_corrected_images_with_their_corrections(installation, discs, folder, ask):
    labels = ask("label", "discs", "--method", "threshold", "--name", "masks")
    ask("correct", "discs", folder(disc_4=drawn(1, slice(0, SIDE)), disc_5=drawn(0, slice(0, SIDE))))
    for name, more in (("with", []), ("without", ["--no-corrections"])):
        ask("train", "discs", "--labels", labels["label_set"], "--name", name, *TINY, *more)
    with installation.database.reading() as session:
        names = {image.id: image.name for image in datasets.images(session, discs.id)}
        runs = {entry["name"]: entry["run"] for entry in ask("runs")}
        splits = {
            name: {
                names[row.image_id]: (row.split, row.correction_id is not None)
                for row in session.scalars(select(RunImage).where(RunImage.run_id == run_id))
            }
            for name, run_id in runs.items()
        }
    assert splits["with"]["disc 4.png"] == splits["with"]["disc 5.png"] == ("train", True)
    assert "validation" in {split for split, _ in splits["with"].values()}
    assert not any(corrected for _, corrected in splits["without"].values())


def test_an_audit_is_drawn_once_never_trained_on_and_scores_label_sets_and_runs(installation, folder, ask):
    discs = add_discs(installation, count=10, truth=False)
    ask("correct", "discs", folder(disc_0=drawn(1, slice(0, 1))), "--strokes")
    asked = ask("audit", "discs", "--images", "4")
    assert len(asked["images"]) == 4 and asked["missing"] == asked["images"]
    assert "disc 0.png" not in asked["images"], "what was learned from cannot be tested on"
    assert ask("audit", "discs", "--images", "3")["images"] == asked["images"], "drawn once"
    assert ask("audit", "discs")["images"] == asked["images"], "it grows only if somebody asks for more"

    ask("label", "discs", "--method", "threshold", "--name", "masks")
    ask("train", "discs", "--labels", "masks", "--name", "network", *TINY)
    with installation.database.reading() as session:
        splits = {row.image_id: row.split for row in session.scalars(select(RunImage))}
        audited = corrections.audit_images(session, discs.id)
    assert {image_id for image_id, split in splits.items() if split == "audit"} == audited

    ask("correct", "discs", folder(**{name.removesuffix(".png"): drawn(1, slice(0, 4)) for name in asked["images"]}))
    assert ask("audit", "discs", "--images", "4")["missing"] == asked["images"], "most of each is untouched"

    right = {f"disc {number}": disc(seed=number)[1].astype(np.uint8) for number in range(10)}
    ask("correct", "discs", folder(**{name: right[name] for name in right if f"{name}.png" in asked["images"]}))
    scored = ask("audit", "discs", "--images", "4")
    (labels,), (run,) = scored["labels"], scored["runs"]
    assert labels["name"] == "masks" and labels["dice"] > 0.95
    assert 0 < labels["low"] < labels["dice"] <= labels["high"] <= 1
    assert (run["name"], run["trained_on"]) == ("network", 0) and run["low"] <= run["dice"] <= run["high"]

    more = ask("audit", "discs", "--images", "9")
    assert set(more["missing"]) == set(more["images"]) - set(asked["images"])
    ask("correct", "discs", folder(**{name: right[name] for name in right if f"{name}.png" in more["missing"]}))
    (run,) = ask("audit", "discs", "--images", "9")["runs"]
    assert run["trained_on"] > 0, "the run is older than these images of the audit"


def test_the_queue_leaves_out_finished_images_and_the_audit(installation, discs, folder, ask, command):
    refused = command("queue", "discs")
    assert refused.returncode and "has no masks yet. Run `label` first" in refused.stderr
    ask("label", "discs", "--method", "threshold", "--name", "masks")
    ask("correct", "discs", folder(disc_0=drawn(1, slice(0, 4))))
    ask("correct", "discs", folder(disc_1=drawn(1, slice(0, 4))), "--strokes")
    audited = ask("audit", "discs", "--images", "2")["images"]
    found = ask("queue", "discs")["images"]
    expected = {f"disc {number}.png" for number in range(1, 6)} - set(audited)
    assert {entry["name"] for entry in found} == expected and len(found) == len(expected)
    assert all(0 <= entry["x"] < SIDE and 0 <= entry["y"] < SIDE and entry["reason"] for entry in found)
    ask("train", "discs", "--labels", "masks", "--name", "network", *TINY)
    disagree = ask("queue", "discs", "--run", "network")["images"]
    assert "network and label disagree" in {entry["reason"] for entry in disagree}


def test_masks_are_written_with_corrections_laid_over_them(installation, discs, folder, ask, tmp_path):
    ask("label", "discs", "--method", "threshold", "--out", tmp_path / "before")
    ask(
        "correct",
        "discs",
        folder(disc_2=np.vstack([drawn(1)[:20], drawn(0, slice(0, SIDE))[:20], drawn(LEFT_OUT)[:24]])),
    )
    ask("correct", "discs", folder(disc_2=drawn(1, slice(0, 20))), "--strokes")
    ask("label", "discs", "--method", "threshold", "--out", tmp_path / "after")
    before, after = (codec.decode_png((tmp_path / when / "disc 2.png").read_bytes()) for when in ("before", "after"))
    assert (after[:20] == 255).all() and (after[20:40] == 0).all(), "drawn"
    assert np.array_equal(after[40:], before[40:]), "ignored and untouched"
    others = [codec.decode_png((tmp_path / when / "disc 3.png").read_bytes()) for when in ("before", "after")]
    assert np.array_equal(*others)


def test_a_run_is_trained_again_on_corrections_and_compared(installation, folder, ask, command):
    add_discs(installation, count=10, truth=True)
    ask("label", "discs", "--method", "threshold", "--name", "masks")
    old = ask("train", "discs", "--labels", "masks", "--name", "network", *TINY)
    refused = command("retrain", "network")
    assert refused.returncode and "No image was corrected since the run 'network' began" in refused.stderr
    ask("correct", "discs", folder(disc_4=drawn(1, slice(0, SIDE)), disc_5=drawn(0, slice(0, SIDE))))
    new = ask("retrain", "network")
    assert (new["name"], new["new_corrections"]) == ("network #2", 2)
    retrained = new["retrained"]
    assert (retrained["from"], retrained["warm"]) == (old["run"], False)
    assert (retrained["images"], retrained["corrected"]) == (10, 2)
    assert [each["reference"] for each in new["measures"]] == ["truth", "labels"]
    assert new["better"] in (old["run"], new["run"])
    assert new["status"] == "finished" and new["epochs"] == old["epochs"]

    ask("correct", "discs", folder(disc_6=drawn(1, slice(0, 4))), "--strokes")
    ended = command("retrain", "network #2", "--warm")
    assert ended.returncode == 0, ended.stderr
    assert "'network #3'" in ended.stdout and "1 image was corrected since" in ended.stdout
    assert (
        "which the new network was trained on" in ended.stdout
        and "is kept for predictions, by Dice vs truth" in ended.stdout
    )
