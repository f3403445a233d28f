"""The command line as other programs use it: JSON out, sentences on failure.

The way from a folder to masks, and one failure, are real processes; the others import TensorFlow only once.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from db import datasets, runs
from db.models import Dataset, Job, JobStatus
from engine.imaging import codec
from tests.assets.bad_files import disk, encoded, picture
from tests.assets.bad_images import tiff
from tests.support.calling import call
from tests.support.installation import REPOSITORY, add_discs, disc
from tests.support.predicted import add_run

TINY = [
    *("-p", "training.epochs=2", "-p", "training.batch_size=4", "-p", "model.image_size=32"),
    *("-p", "model.base_filters=4", "-p", "model.depth=2"),
]


@pytest.fixture
def process(installation):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "engine", *map(str, arguments)],
            cwd=REPOSITORY,
            env=installation.settings.as_environment(),
            capture_output=True,
            text=True,
            timeout=240,
        )

    return run


@pytest.fixture
def command(installation, one_core):
    return lambda *arguments: call(installation.settings, *arguments)


@pytest.fixture
def ask(command):
    return lambda *arguments: parsed(command(*arguments, "--json"))


@pytest.fixture
def ask_process(process):
    return lambda *arguments: parsed(process(*arguments, "--json"))


def parsed(ended):
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture
def folder(tmp_path):
    """Ten discs with truth, one file that is no image, and a picture whose name no file system likes everywhere."""
    root = tmp_path / "photos"
    for part in ("images", "truth"):
        (root / part).mkdir(parents=True)
    for number in range(10):
        image, mask = disc(seed=number)
        (root / "images" / f"scene {number}.png").write_bytes(codec.encode_png(image))
        (root / "truth" / f"scene {number}.png").write_bytes(codec.encode_png(mask.astype(np.uint8) * 255))
    (root / "images" / "notes.jpg").write_text("not a picture")
    return root


@pytest.mark.slow
def test_from_folder_to_masks(ask_process, folder, tmp_path):
    imported = ask_process("import", folder, "--name", "discs")
    assert (imported["images"], imported["truth"]) == (10, 10)
    assert [entry["name"] for entry in imported["skipped"]] == ["images/notes.jpg"]
    assert imported["skipped"][0]["reason"]

    out = tmp_path / "label masks"
    labelled = ask_process("label", "discs", "--method", "threshold", "-p", "foreground=lighter", "--out", out)
    assert labelled["images"] == 10
    assert labelled["dice"] > 0.95
    assert labelled["iou"] > 0.9
    assert labelled["learned"] is None
    assert labelled["copied"] == 0
    assert len(list(out.glob("*.png"))) == 10
    scored = ask_process("score", out, folder / "truth")
    assert scored["images"] == 10
    assert scored["dice"] == pytest.approx(labelled["dice"], abs=1e-6)
    assert {"iou", "fbeta", "mae"} <= set(scored)

    run = ask_process("train", "discs", "--labels", labelled["label_set"], *TINY)
    assert (run["status"], run["epochs"]) == ("finished", 2)
    assert run["reference"] == "agreement with the pseudo-label"
    assert 0 <= run["val_dice"] <= 1
    by_truth = ask_process("train", imported["dataset"], "--truth", "--name", "by truth", *TINY)
    assert by_truth["reference"] == "truth"
    assert [entry["name"] for entry in ask_process("runs")] == ["by truth", run["name"]]

    masks = tmp_path / "predicted"
    predicted = ask_process(
        "predict", "by truth", folder / "images", "--out", masks, "--probabilities", "--threshold", "0.4"
    )
    assert predicted["images"] == 10
    mask = codec.decode_png((masks / "scene 3.png").read_bytes())
    levels = codec.decode_png((masks / "probabilities" / "scene 3.png").read_bytes())
    assert mask.shape == levels.shape == (64, 64)
    assert np.array_equal(mask == 255, levels >= 102)
    assert set(np.unique(mask)) <= {0, 255}
    assert (predicted["flips"], predicted["refine"], predicted["weights"]) == (
        True,
        "none",
        "",
    )  # as the run's settings

    options = ("--no-flips", "--refine", "guided_filter", "--uncertainty")
    refined = ask_process("predict", "by truth", folder / "images", "--out", tmp_path / "refined", *options)
    assert (refined["flips"], refined["refine"]) == (False, "guided_filter")
    assert codec.decode_png((tmp_path / "refined" / "uncertainty" / "scene 3.png").read_bytes()).shape == (64, 64)
    assert not (tmp_path / "refined" / "probabilities").exists()


def test_a_run_names_what_its_encoder_had_learned_before(command, ask, installation):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "helped")
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={"weights": "MobileNetV2 encoder: ImageNet"})
    assert ask("runs")[0]["weights"] == "ImageNet"
    assert "(truth; ImageNet weights)  helped" in command("runs").stdout


@pytest.mark.slow
def test_measure_tells_what_a_run_would_take_and_leaves_no_run(command, ask, installation):
    add_discs(installation, 10)
    tried = ask("measure", "discs", "--truth", *TINY)
    assert tried["epoch_s"] > 0 and tried["run_s"] > tried["epoch_s"]
    assert (tried["steps_per_epoch"], tried["batch_size"]) == (2, 4)
    assert tried["parameters"] > 1000 and tried["flops"] > 1e5
    spoken = command("measure", "discs", "--truth", "--rate-range", *TINY)
    assert "learning rate of" in spoken.stdout or "nothing to suggest" in spoken.stdout
    assert ask("runs") == []


def test_automatic_tells_its_choice_and_how_far_its_quality_can_be_trusted(ask, installation):
    add_discs(installation, 10)
    labelled = ask("label", "discs", "--method", "auto", "-p", "longest_side_px=64")
    learned = labelled["learned"]
    assert learned["method"] in [entry["method"] for entry in learned["ranking"]]
    assert learned["sentence"] and learned["images"] == 10
    assert 0 < labelled["quality"] <= 1
    assert labelled["verdict"] in ("trust", "look", "unclear")
    assert labelled["reason"].endswith(".")
    assert labelled["unclear"] <= 10
    assert labelled["spearman"] is None or -1 <= labelled["spearman"] <= 1


def test_clusters_are_listed_and_a_person_ticks_them_by_number(command, ask, installation, tmp_path):
    add_discs(installation, 10)
    options = ("--method", "dataset_clusters", "-p", "clusters=2")
    learned = ask("label", "discs", *options)["learned"]
    assert sum(cluster["share"] for cluster in learned["clusters"]) == pytest.approx(1, abs=0.01)
    by_colour = sorted(range(len(learned["clusters"])), key=lambda number: learned["clusters"][number]["lab"][0])
    assert ask("label", "discs", *options, "-p", f"ticked={by_colour[-1]}")["dice"] > 0.9
    spoken = command("label", "discs", *options, "-p", f"ticked={by_colour[0]}")
    assert "cluster 0: " in spoken.stdout
    assert "proposed as foreground" in spoken.stdout
    both = f"{by_colour[-1]} {by_colour[0]}=2"
    out = tmp_path / "masks"
    several = ask("label", "discs", *options, "-p", f"ticked={both}", "--out", str(out))
    assert several["classes"] == [{"class": 1, "name": "class 1"}, {"class": 2, "name": "class 2"}]
    masks = [codec.decode_png(path.read_bytes()) for path in out.iterdir()]
    assert len(masks) == 10 and all(set(np.unique(mask)) == {1, 2} for mask in masks)
    refused = command("label", "discs", *options, "-p", "ticked=9")
    assert refused.returncode == 1
    assert "'ticked' names cluster 9" in refused.stderr


def test_a_recipe_file_is_drawn_with_and_single_parameters_change_it(command, ask, installation, tmp_path):
    add_discs(installation, 10)
    recipe = tmp_path / "light.recipe.json"
    params = {"foreground": "lighter", "longest_side_px": 128}
    recipe.write_text(json.dumps({"maskloom_recipe": 1, "name": "light", "method": "threshold", "params": params}))
    labelled = ask("label", "discs", "--recipe", recipe, "-p", "longest_side_px=96")
    assert labelled["method"] == "threshold"
    assert (labelled["params"]["foreground"], labelled["params"]["longest_side_px"]) == ("lighter", 96)
    assert labelled["dice"] > 0.95
    both = command("label", "discs", "--recipe", recipe, "--method", "threshold")
    assert "either --method or --recipe" in both.stderr
    assert "There is no recipe file" in command("label", "discs", "--recipe", tmp_path / "none.json").stderr
    recipe.write_text("{}")
    broken = command("label", "discs", "--recipe", recipe)
    assert "light.recipe.json' cannot be used. This is not a recipe" in broken.stderr
    recipe.write_bytes(bytes(range(128, 256)))
    assert "cannot be read as text" in command("label", "discs", "--recipe", recipe).stderr


def test_two_files_of_one_picture_both_get_a_mask(ask, folder, tmp_path):
    (folder / "images" / "the same.png").write_bytes((folder / "images" / "scene 3.png").read_bytes())
    imported = ask("import", folder, "--name", "discs")
    assert imported["images"] == 10
    assert "images/the same.png" in [entry["name"] for entry in imported["skipped"]]
    out = tmp_path / "masks"
    ask("label", "discs", "--method", "threshold", "--out", out)
    assert len(list(out.glob("*.png"))) == 11
    assert (out / "the same.png").read_bytes() == (out / "scene 3.png").read_bytes()


def test_a_dry_run_says_what_an_import_would_do_and_stores_nothing(installation, command, ask, folder):
    would = ask("import", folder, "--dry-run")
    assert (would["images"], would["truth"]) == (11, 10)  # of which one cannot be read
    assert would["rules"] == {"truth/ beside images/": 10}
    said = command("import", folder, "--dry-run").stdout.splitlines()
    assert said[0] == "11 images, 10 with truth."
    assert said[-1] == "Nothing was stored."
    with installation.database.reading() as session:
        assert session.query(Dataset).count() == 0
    assert "Give the dataset a name" in command("import", folder).stderr


def test_pairs_of_a_csv_file_are_kept_to(command, ask, folder, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("file,image\nimages/scene 3.png,\ntruth/scene 4.png,images/scene 5.png\n")
    imported = ask("import", folder, "--name", "discs", "--pairs", pairs)
    assert (imported["images"], imported["truth"]) == (9, 8)
    reasons = {entry["name"]: entry["reason"] for entry in imported["skipped"]}
    assert reasons["images/scene 3.png"] == "It was skipped by hand."
    assert reasons["truth/scene 3.png"] == "It is truth, and its image images/scene 3.png is not used as one."
    pairs.write_text("file,image\nscene 3.png,\n")
    assert (
        "No picture of these files is called scene 3.png"
        in command("import", folder, "--dry-run", "--pairs", pairs).stderr
    )


def test_one_picture_is_imported(ask, folder):
    imported = ask("import", folder / "images" / "scene 3.png", "--name", "one")
    assert (imported["images"], imported["truth"], imported["skipped"]) == (1, 0, [])


def test_an_import_that_broke_off_keeps_its_images_and_the_same_command_goes_on(command, ask, installation, folder):
    dataset_id = ask("import", folder, "--name", "discs")["dataset"]
    with installation.database.writing() as session:  # as a full disk leaves it: rows, but no end
        dataset = session.get_one(Dataset, dataset_id)
        dataset.image_count, dataset.truth_count, dataset.classes, dataset.lookup = 0, 0, [], []
        session.get_one(Job, dataset.job_id).status = JobStatus.FAILED
    installation.settings = installation.settings.model_copy(update={"free_disk_floor_mb": 10**9})
    refused = command("import", folder, "--name", "discs")
    assert refused.returncode == 1
    assert "FREE_DISK_FLOOR_MB" in refused.stderr
    with installation.database.reading() as session:
        assert len(datasets.images(session, dataset_id)) == 10
    installation.settings = installation.settings.model_copy(update={"free_disk_floor_mb": 0})
    again = ask("import", folder, "--name", "discs")
    assert (again["dataset"], again["images"], again["truth"]) == (dataset_id, 10, 10)
    finished = command("import", folder, "--name", "discs")
    assert "The name 'discs' is taken" in finished.stderr


def test_methods_lists_every_parameter_with_its_help(ask):
    methods = {entry["name"]: entry for entry in ask("methods")}
    assert {"kmeans", "gaussian_mixture", "threshold", "felzenszwalb", "normalised_cut", "saliency"} <= set(methods)
    assert all(value["help"] for entry in methods.values() for value in entry["params"].values())
    assert sum(entry["default"] for entry in methods.values()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "no/such/folder", "--name", "x"], "There is no folder, zip or picture 'no/such/folder'"),
        (["label", "frogs", "--method", "kmeans"], "There is no dataset 'frogs'"),
        (["label", "frogs", "--method", "magic"], "There is no label method 'magic'"),
        (["label", "frogs", "--method", "kmeans", "-p", "clusters=1"], "The 'clusters' parameter is wrong"),
        (["label", "frogs", "--method", "kmeans", "-p", "clusters"], "key=value"),
        (["train", "frogs"], "either --labels LABEL_SET or --truth"),
        (["measure", "frogs"], "either --labels LABEL_SET or --truth"),
        (["train", "frogs", "--truth", "-p", "training.epoks=3"], "There is no parameter 'training.epoks'"),
        (["train", "frogs", "--truth", "--preset", "huge"], "There is no preset 'huge'"),
        (["predict", "frogs", ".", "--out", "x"], "There is no run 'frogs'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(installation, arguments, words):
    ended = call(installation.settings, *arguments)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 0


def test_an_empty_folder_fails_with_a_sentence_and_leaves_the_name_free(process, command, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    ended = process("import", tmp_path / "empty", "--name", "nothing")
    assert ended.returncode == 1
    assert ended.stderr.strip().startswith("Error: ") and "There are no images in it." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert command("import", folder, "--name", "nothing").returncode == 0


def test_channels_and_pages_of_an_import(ask, command, tmp_path):
    ramp = (np.arange(600) % 99).reshape(20, 30).astype(np.uint8)
    stack = np.stack([ramp, ramp + np.uint8(100)])
    folder = tmp_path / "stacks"
    folder.mkdir()
    (folder / "a.tif").write_bytes(tiff(stack, photometric="minisblack"))
    first = ask("import", folder, "--name", "first")
    assert (first["images"], first["noted"]) == (
        1,
        [{"name": "a.tif", "reason": "It has 2 pages; page 1 was taken."}],
    )
    assert ask("import", folder, "--name", "all", "--pages", "all", "--channels", "1")["images"] == 2
    refused = command("import", folder, "--name", "bad", "--channels", "0")
    assert refused.returncode == 1 and "Channels must be one to three numbers from 1" in refused.stderr
    assert "page 1 was taken" in command("import", folder, "--name", "words").stdout


def test_classes_are_shown_and_changed(command, ask, tmp_path):
    trimap = np.full((48, 64), 2, np.uint8)
    trimap[10:30, 10:40], trimap[10:30, 8:10] = 1, 3
    for number in range(2):
        for kind, pixels in (("images", picture(seed=number)), ("masks", np.roll(trimap, number, axis=1))):
            path = tmp_path / "pets" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(pixels))
    imported = ask("import", tmp_path / "pets", "--name", "pets")
    assert any("Value 2 is taken as background" in note for note in imported["notes"])
    shown = ask("classes", "pets")
    assert {entry["value"]: entry["class"] for entry in shown["values"]} == {
        1: "class 1",
        2: "background",
        3: "class 2",
    }
    changed = ask("classes", "pets", "--map", "1=pet,2=background,3=ignore")
    assert {entry["value"]: entry["class"] for entry in changed["values"]} == {1: "pet", 2: "background", 3: "ignore"}
    assert changed["classes"] == ["background", "pet"]
    assert "pet" in command("classes", "pets").stdout
    for wrong, word in (("1=pet", "background"), ("x=pet,2=background", "x=pet"), ("1,2=background", "VALUE=CLASS")):
        refused = command("classes", "pets", "--map", wrong)
        assert refused.returncode == 1
        assert word in refused.stderr
    assert ask("classes", "pets") == changed


def test_classes_of_colours_are_named_by_the_colour(ask, tmp_path):
    colours = np.uint8([[0, 0, 0], [64, 0, 128], [192, 192, 128]])
    classes = np.where(disk() > 0, 1, 0)
    classes[:10, :10] = 2
    for number in range(2):
        for kind, pixels in (("images", picture(seed=number)), ("masks", colours[classes])):
            path = tmp_path / "roads" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(pixels))
    ask("import", tmp_path / "roads", "--name", "roads")
    shown = ask("classes", "roads")
    assert [entry["value"] for entry in shown["values"]] == [0, "#400080", "#c0c080"]
    changed = ask("classes", "roads", "--map", "0=background,#400080=car,#c0c080=pole")
    assert changed["classes"] == ["background", "car", "pole"]


def test_colours_of_classes_are_chosen_and_stay_when_the_classes_change(ask, command, tmp_path):
    folder = tmp_path / "pets"
    for kind, pixels in (("images", picture()), ("masks", np.where(disk() > 0, 1, 0).astype(np.uint8))):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "0.png").write_bytes(encoded(pixels))
    ask("import", folder, "--name", "pets")
    assert ask("classes", "pets")["colours"] == ["#D55E00"]
    assert ask("classes", "pets", "--colours", "1=#56b4e9")["colours"] == ["#56B4E9"]
    assert ask("classes", "pets", "--map", "0=background,1=foreground,2=cat")["colours"] == ["#56B4E9", "#56B4E9"]
    assert "  1 foreground: #56B4E9" in command("classes", "pets").stdout
    for wrong, sentence in (
        ("1=red", "The colour of 'foreground' is written as #RRGGBB, such as #E69F00. Got 'red'."),
        ("3=#000000", "with a class from 1 to 2. Got '3=#000000'."),
        ("0=#000000", "with a class from 1 to 2."),
        ("#000000", "CLASS=#RRGGBB"),
    ):
        refused = command("classes", "pets", "--colours", wrong)
        assert refused.returncode == 1
        assert sentence in refused.stderr


def test_masks_are_scored_as_they_are_meant(ask, command, tmp_path):
    mask = (disk() > 0).astype(np.uint8)
    ids = mask.astype(np.uint16) * 300
    half = np.where(mask > 0, 200, 40).astype(np.uint8)
    for name, pixels in (("truth", mask * 255), ("ones", mask), ("ids", ids), ("probability", half)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.png").write_bytes(encoded(pixels))
    read_as = {"ones": "1 = foreground", "ids": "300 = ", "probability": "128 and above", "truth": "0/255"}
    for name, words in read_as.items():
        result = ask("score", tmp_path / name, tmp_path / "truth")
        assert result["dice"] == 1
        assert words in result["masks_read_as"]
    (tmp_path / "truth" / "a.png").write_bytes(encoded(np.pad(mask, ((0, 0), (0, 90))) * 255))
    refused = command("score", tmp_path / "ones", tmp_path / "truth")
    assert refused.returncode == 1
    assert "no mask of the same image" in refused.stderr
