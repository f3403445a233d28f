"""The key of every stored file: this is the only module that builds them.

A key is a relative path with forward slashes, built from ids of 32 hexadecimal digits. Names that people give never
become part of a key.
"""

from __future__ import annotations

import re
from typing import Literal

DATASETS, LABELS, RUNS, PREDICTIONS, UPLOADS, JOBS = "datasets", "labels", "runs", "predictions", "uploads", "jobs"
MEASUREMENTS = "measurements"
OWNERS = (DATASETS, LABELS, RUNS, PREDICTIONS, MEASUREMENTS)
"""Folders that hold one folder for each row of a kind."""

EXPORTS = "exports"
SUBFOLDERS = {
    DATASETS: ("images", "thumbs", "truth", "corrections", "left_out", "features"),
    LABELS: ("classes",),
    PREDICTIONS: ("uncertainty", "classes"),
    MEASUREMENTS: ("maps", "parts"),
}
"""Folders inside the folder of a row, of images or, `features`, of a cache; each may have `EXPORTS` as well."""

FITTED = "fitted"
"""The folder in a dataset's cache of what methods took long to learn of it."""

BEST_MODEL = "best.keras"
MODELS = "models"
"""Pretrained networks of the installation; no row knows them."""

WORKERS_LOG = "workers.log"
"""Written by workers between jobs, beside the logs of the jobs."""

_WRITTEN_ONCE = ("images", "thumbs", "corrections", "left_out")

Part = Literal["objects", "images"]

_ID = re.compile(r"[0-9a-f]{32}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,120}")


class BadKey(ValueError):
    """A key that this module did not build."""


def is_key(path: str) -> bool:
    """Whether a relative path can be a key: no part of it is empty, hidden, absolute or ".."."""
    return all(_SEGMENT.fullmatch(part) for part in path.split("/"))


def is_written_once(key: str) -> bool:
    """Whether a file never changes once it is there; a job that is resumed writes the same label again."""
    parts = key.split("/")
    return (parts[0] == DATASETS and len(parts) > 3 and parts[2] in _WRITTEN_ONCE) or (
        parts[0] == LABELS and EXPORTS not in parts
    )


def checked(key: str) -> str:
    """Return `key` if it can be one.

    Raises:
        BadKey: it cannot.
    """
    if not is_key(key):
        raise BadKey(f"Not a key of the store: {key!r}.")
    return key


def checked_id(value: str) -> str:
    """Return `value` if it is an id (32 lower-case hex digits).

    Raises:
        BadKey: it is not.
    """
    if not _ID.fullmatch(value):
        raise BadKey(f"An id is 32 hexadecimal digits. Got {value!r}.")
    return value


def is_id(value: str) -> bool:
    """Whether a name is an id, as those of the folders of rows are."""
    return _ID.fullmatch(value) is not None


def dataset_folder(dataset_id: str) -> str:
    return f"{DATASETS}/{checked_id(dataset_id)}"


def image_key(dataset_id: str, image_id: str) -> str:
    """The decoded image: RGB uint8 PNG."""
    return f"{dataset_folder(dataset_id)}/images/{checked_id(image_id)}.png"


def thumb_key(dataset_id: str, image_id: str) -> str:
    """The image at 192 px on its longest side: WebP."""
    return f"{dataset_folder(dataset_id)}/thumbs/{checked_id(image_id)}.webp"


def truth_folder(dataset_id: str) -> str:
    return f"{dataset_folder(dataset_id)}/truth"


def truth_key(dataset_id: str, image_id: str) -> str:
    """The truth as imported: grey values, uint8 PNG. `dataset.lookup[values]` is the class map."""
    return f"{dataset_folder(dataset_id)}/truth/{checked_id(image_id)}.png"


def correction_key(dataset_id: str, correction_id: str) -> str:
    """What a person drew on an image, 8-bit PNG: class numbers, 254 to ignore, 255 where nothing was drawn.

    A file for each correction: a later one of the same image has its own, so that none is overwritten.
    """
    return f"{dataset_folder(dataset_id)}/corrections/{checked_id(correction_id)}.png"


def left_out_key(dataset_id: str, region_id: str | None) -> str:
    """What is left out of all images of a dataset, 8-bit PNG: 255 there. Empty if nothing is, `region_id` None.

    A file for each region that was stored: a later one has its own, so that none is overwritten.
    """
    return f"{dataset_folder(dataset_id)}/left_out/{checked_id(region_id)}.png" if region_id else ""


def features_folder(dataset_id: str) -> str:
    """A cache, which no row names: what label methods computed of the images."""
    return f"{dataset_folder(dataset_id)}/features"


def features_key(dataset_id: str, settings: str, image: str) -> str:
    """What a label method computed of an image with some settings; both are digests in hexadecimal digits."""
    return checked(f"{features_folder(dataset_id)}/{settings}/{image}.npz")


def fitted_key(dataset_id: str, fitted_to: str) -> str:
    """What a label method learned of the images, JSON; `fitted_to` is a digest of all that it depends on."""
    return checked(f"{features_folder(dataset_id)}/{FITTED}/{fitted_to}.json")


def label_folder(label_set_id: str) -> str:
    return f"{LABELS}/{checked_id(label_set_id)}"


def label_key(label_set_id: str, image_id: str) -> str:
    """A pseudo-label: foreground probability, 8-bit PNG."""
    return f"{label_folder(label_set_id)}/{checked_id(image_id)}.png"


def label_classes_folder(label_set_id: str) -> str:
    return f"{label_folder(label_set_id)}/classes"


def label_classes_key(label_set_id: str, image_id: str) -> str:
    """The class of each pixel of a pseudo-label, 8-bit PNG of class numbers; only of a mask set with several."""
    return f"{label_classes_folder(label_set_id)}/{checked_id(image_id)}.png"


def run_folder(run_id: str) -> str:
    return f"{RUNS}/{checked_id(run_id)}"


def best_model_key(run_id: str) -> str:
    return f"{run_folder(run_id)}/{BEST_MODEL}"


def probe_path(epoch: int, image_id: str) -> str:
    """Return where a probe image of an epoch (counted from 1) lies inside the folder of its run."""
    return f"probe/{int(epoch):04d}/{image_id}.png"


def probe_key(run_id: str, epoch: int, image_id: str) -> str:
    """The probability of a probe image after an epoch (counted from 1): 8-bit PNG, longest side at most 256 px."""
    return f"{run_folder(run_id)}/{probe_path(epoch, checked_id(image_id))}"


def probe_classes_path(epoch: int, image_id: str) -> str:
    """Return where the classes of a probe image of an epoch (counted from 1) lie inside the folder of its run."""
    return f"probe/{int(epoch):04d}/classes/{image_id}.png"


def probe_classes_key(run_id: str, epoch: int, image_id: str) -> str:
    """The most likely class of each pixel of a probe image, of the size of its probability: 8-bit PNG of numbers.

    Only of a run that tells classes apart, and was trained by a version that stores them.
    """
    return f"{run_folder(run_id)}/{probe_classes_path(epoch, checked_id(image_id))}"


def round_path(number: int) -> str:
    """Return where a round (counted from 1) of self-training lies inside the folder of its run."""
    return f"rounds/{int(number)}"


def label_path(image_id: str) -> str:
    """Return where a label that a round is trained on lies inside the folder of that round."""
    return f"labels/{image_id}.png"


def mask_path(image_id: str) -> str:
    """Return where a mask computed by the network of a round lies inside the folder of that round."""
    return f"masks/{image_id}.png"


def classes_path(path: str) -> str:
    """Return where the class numbers of such a label or mask lie inside the folder of the round."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/classes/{name}"


def round_folder(run_id: str, number: int) -> str:
    return f"{run_folder(run_id)}/{round_path(number)}"


def round_masks_folder(run_id: str, number: int) -> str:
    return f"{round_folder(run_id, number)}/masks"


def round_label_key(run_id: str, number: int, image_id: str) -> str:
    """A label that a round (counted from 1) of self-training is trained on: foreground probability, 8-bit PNG."""
    return f"{round_folder(run_id, number)}/{label_path(checked_id(image_id))}"


def round_mask_key(run_id: str, number: int, image_id: str) -> str:
    """A mask computed by the network of a round, refined: foreground probability, 8-bit PNG."""
    return f"{round_folder(run_id, number)}/{mask_path(checked_id(image_id))}"


def round_label_classes_key(run_id: str, number: int, image_id: str) -> str:
    """The class of each pixel of such a label, 8-bit PNG of class numbers; only of a run with several."""
    return f"{round_folder(run_id, number)}/{classes_path(label_path(checked_id(image_id)))}"


def round_mask_classes_key(run_id: str, number: int, image_id: str) -> str:
    """The class of each pixel of such a mask, 8-bit PNG of class numbers; only of a run with several."""
    return f"{round_folder(run_id, number)}/{classes_path(mask_path(checked_id(image_id)))}"


def prediction_folder(prediction_set_id: str) -> str:
    return f"{PREDICTIONS}/{checked_id(prediction_set_id)}"


def prediction_key(prediction_set_id: str, image_id: str) -> str:
    """A predicted foreground probability in the image's own size: 8-bit PNG."""
    return f"{prediction_folder(prediction_set_id)}/{checked_id(image_id)}.png"


def uncertainty_key(prediction_set_id: str, image_id: str) -> str:
    """The uncertainty of a prediction at each pixel, in the image's own size: 8-bit PNG, 255 is 1."""
    return f"{prediction_folder(prediction_set_id)}/uncertainty/{checked_id(image_id)}.png"


def prediction_classes_key(prediction_set_id: str, image_id: str) -> str:
    """The most likely class of each pixel beside background, in the image's own size: 8-bit PNG of class numbers.

    Only of a run that tells classes apart. Where the foreground probability is below the threshold it has no meaning.
    """
    return f"{prediction_folder(prediction_set_id)}/classes/{checked_id(image_id)}.png"


def measurement_folder(measurement_id: str) -> str:
    return f"{MEASUREMENTS}/{checked_id(measurement_id)}"


def objects_key(measurement_id: str) -> str:
    """The objects of a measurement, Parquet: one row an object, columns as in docs/how-to/measure-objects.md."""
    return f"{measurement_folder(measurement_id)}/objects.parquet"


def measured_images_key(measurement_id: str) -> str:
    """The images of a measurement, Parquet: one row an image, columns as in docs/how-to/measure-objects.md."""
    return f"{measurement_folder(measurement_id)}/images.parquet"


def number_maps_folder(measurement_id: str) -> str:
    return f"{measurement_folder(measurement_id)}/maps"


def number_map_key(measurement_id: str, image_id: str) -> str:
    """The number of the object of each pixel of a measured image, 0 for none: 16-bit PNG."""
    return f"{number_maps_folder(measurement_id)}/{checked_id(image_id)}.png"


def parts_folder(measurement_id: str) -> str:
    """What the job of a measurement has measured so far; deleted when it ends."""
    return f"{measurement_folder(measurement_id)}/parts"


def parts_stamp_key(measurement_id: str) -> str:
    """What the masks were when the parts were measured: text (`db.measuring.stamp_of`)."""
    return f"{parts_folder(measurement_id)}/stamp.txt"


def part_key(measurement_id: str, number: int, what: Part) -> str:
    """The objects or the images of one part (counted from 0), Parquet. That of the images is written last."""
    return f"{parts_folder(measurement_id)}/{int(number):06d}_{what}.parquet"


def owner_folder(key: str) -> str:
    """Return the folder of the row that a file belongs to: of a dataset, a set of masks, a run or a measurement."""
    return "/".join(key.split("/")[:2])


def exports_folder(owner_folder: str) -> str:
    """Return the folder of exports, below what they are made from, so that both are deleted together."""
    return f"{owner_folder}/{EXPORTS}"


def export_folder(owner_folder: str, what: str) -> str:
    """Return the folder of exports in the format `what`."""
    return f"{exports_folder(owner_folder)}/{what}"


def export_key(owner_folder: str, what: str, job_id: str, suffix: str) -> str:
    """A file that an export job wrote."""
    return f"{export_folder(owner_folder, what)}/{checked_id(job_id)}.{suffix}"


def job_of_export(key: str) -> str:
    """Return the id of the job that wrote an export."""
    return key.rpartition("/")[2].partition(".")[0]


def encoder_weights_key() -> str:
    """Weights of MobileNetV2 without its top that were trained on ImageNet, once they were added."""
    return f"{MODELS}/mobilenet_v2_imagenet.weights.h5"


def backbone_key() -> str:
    """The same network as an ONNX file that describes images to strokes."""
    return f"{MODELS}/mobilenet_v2_imagenet.onnx"


def older_backbone_key() -> str:
    """Where earlier versions stored that ONNX file, without the weights."""
    return "backbones/mobilenet_v2_imagenet.onnx"


def pretrained_record_key() -> str:
    """The file that the weights were read from, or that nobody wants any."""
    return f"{MODELS}/mobilenet_v2_imagenet.json"


def mark_key() -> str:
    """What the database that belongs to these files has to remember (`engine.care.belonging`)."""
    return "installation.json"


def app_key() -> str:
    """The id of the app's last start, which the database has as well: by it a joined worker knows its folder."""
    return "app.json"


def upload_folder(token: str) -> str:
    """The files of one upload from the browser, until they are imported."""
    return f"{UPLOADS}/{checked_id(token)}"


def measure_key() -> str:
    """Where a job that measures settings has its temporary folder."""
    return f"{JOBS}/measure"


def job_log_key(job_id: str) -> str:
    return f"{JOBS}/{checked_id(job_id)}.log"
