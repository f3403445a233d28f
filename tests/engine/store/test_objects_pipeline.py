"""From a folder to masks with all files in an object store, and workers with a folder of their own."""

import json
import subprocess
import sys

import numpy as np
import pytest

from engine.imaging import codec
from engine.store import keys as stored
from tests.support.calling import call
from tests.support.installation import REPOSITORY, disc

TINY = [
    *("-p", "training.epochs=2", "-p", "training.batch_size=4", "-p", "model.image_size=32"),
    *("-p", "model.base_filters=4", "-p", "model.depth=2"),
]


pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for part in ("images", "truth"):
        (root / part).mkdir(parents=True)
    for number in range(6):
        image, mask = disc(seed=number)
        (root / "images" / f"scene {number}.png").write_bytes(codec.encode_png(image))
        (root / "truth" / f"scene {number}.png").write_bytes(codec.encode_png(mask.astype(np.uint8) * 255))
    return root


@pytest.fixture
def ask(in_objects):
    def run(*arguments):
        environment = in_objects.settings.as_environment() | {"MAX_WORKERS": "0"}  # jobs are for those who join
        ended = subprocess.run(
            [sys.executable, "-m", "engine", *map(str, arguments), "--json"],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run


def test_from_a_folder_to_masks_on_two_machines(in_objects, ask, folder, tmp_path):
    assert call(in_objects.settings, "import", folder, "--name", "discs").returncode == 0
    in_objects.open_app()
    there = tmp_path / "another machine"
    with in_objects.joined(there):
        out = tmp_path / "labels"
        labelled = ask("label", "discs", "--method", "threshold", "-p", "foreground=lighter", "--out", out)
        assert labelled["dice"] > 0.95 and len(list(out.iterdir())) == 6
        run = ask("train", "discs", "--labels", labelled["label_set"], *TINY)
        assert (run["status"], run["epochs"]) == ("finished", 2)
    exported = tmp_path / "coco.json"
    ended = call(
        in_objects.settings, "export", labelled["label_set"], "--labels", "--format", "coco", "--out", exported
    )
    assert ended.returncode == 0, ended.stderr
    masks = tmp_path / "masks"
    predicted = call(in_objects.settings, "predict", run["run"], folder / "images", "--out", masks)
    assert predicted.returncode == 0 and len(list(masks.glob("*.png"))) == 6, predicted.stderr
    assert len(json.loads(exported.read_text())["images"]) == 6
    assert in_objects.files.exists(stored.best_model_key(run["run"]))
    assert {"datasets", "labels", "runs"} & {path.name for path in in_objects.settings.data_root.iterdir()} == set()
    left = [path for root in (there, in_objects.settings.data_root) for path in (root / "work").rglob("*")]
    assert [path for path in left if path.is_file()] == []
