"""URLs of the routes that serve images and downloads.

All of them are built here; dashboard/server/routes.py has the routes. `size=192` requests a copy whose longest side is
at most 192 px; only `SIZES_PX` are allowed.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from engine.exports.pictures import MaskKind

PREFIX = "/files"
PICTURES = f"{PREFIX}/pictures"
SIZES_PX = (192, 384, 768)

MaskOwner = Literal["prediction_set", "label_set"]
_FOLDERS: dict[MaskOwner, str] = {"prediction_set": "predictions", "label_set": "labels"}


def image(dataset_id: str, image_id: str, size: int | None = None) -> str:
    """Return the URL of a stored image (RGB PNG)."""
    return _with(f"{PREFIX}/datasets/{dataset_id}/images/{image_id}", size=size)


def thumbnail(dataset_id: str, image_id: str) -> str:
    """Return the URL of the 192 px WebP made at import."""
    return f"{PREFIX}/datasets/{dataset_id}/thumbs/{image_id}"


def patch(dataset_id: str, image_id: str, row: float, column: float) -> str:
    """Return the URL of a small square of a stored image (WebP) around a position; both in [0, 1]."""
    return _with(f"{PREFIX}/datasets/{dataset_id}/patches/{image_id}", row=f"{row:.4g}", column=f"{column:.4g}")


def truth(
    dataset_id: str,
    image_id: str,
    size: int | None = None,
    *,
    colour: bool = False,
    classes: bool = False,
    run_id: str | None = None,
    version: int = 0,
) -> str:
    """Return the URL of the truth: grey (0 background, 255 any class), one colour per class, or the class itself
    as the grey value.

    Args:
        run_id: a run of the dataset, to get the classes that it was trained with instead of the present ones.
        version: the dataset's `truth_version`, so that a changed mapping of classes changes the URL.
    """
    path = f"{PREFIX}/datasets/{dataset_id}/truth/{image_id}"
    return _with(path, size=size, colour=1 if colour else None, classes=1 if classes else None, run=run_id, v=version)


def left_out(dataset_id: str, region_id: str, size_px: tuple[int, int], *, drawn: bool = False) -> str:
    """Return the URL of what is left out of an image of (width, height): 8-bit PNG, 255 there; or `drawn`, as a
    correction."""
    width, height = size_px
    path = f"{PREFIX}/datasets/{dataset_id}/left-out/{region_id}"
    return _with(path, width=width, height=height, drawn=1 if drawn else None)


def left_out_of(dataset_id: str, image_id: str) -> str:
    """Return the URL of what is left out, to draw it on an image, as `corrections_of`."""
    return f"{PREFIX}/datasets/{dataset_id}/images/{image_id}/left-out"


def correction(dataset_id: str, correction_id: str, size: int | None = None) -> str:
    """Return the URL of what a correction shows (8-bit PNG, see `engine.imaging.corrections`)."""
    return _with(f"{PREFIX}/datasets/{dataset_id}/corrections/{correction_id}", size=size)


def corrections_of(dataset_id: str, image_id: str) -> str:
    """Return the URL of an image's corrections: GET the newest with its history (JSON), POST one, DELETE the newest."""
    return f"{PREFIX}/datasets/{dataset_id}/images/{image_id}/corrections"


def corrections_zip(dataset_id: str) -> str:
    """Return the URL of a zip of the newest corrections of a dataset, as `python -m engine correct` reads them."""
    return f"{PREFIX}/datasets/{dataset_id}/corrections.zip"


def label(label_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the URL of a pseudo-label's 8-bit foreground probability."""
    return _with(f"{PREFIX}/labels/{label_set_id}/{image_id}", size=size)


def label_classes(label_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the URL of the class of each pixel of a pseudo-label (8-bit PNG); only a mask set with several has it."""
    return _with(f"{PREFIX}/labels/{label_set_id}/classes/{image_id}", size=size)


def prediction(prediction_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the URL of a predicted 8-bit foreground probability."""
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/{image_id}", size=size)


def prediction_classes(prediction_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the URL of the most likely class of each pixel beside background (8-bit PNG of class numbers).

    Only predictions of a run that tells classes apart have it.
    """
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/classes/{image_id}", size=size)


def uncertainty(prediction_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the URL of the 8-bit uncertainty map of a prediction."""
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/uncertainty/{image_id}", size=size)


def probe(run_id: str, epoch: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of a probe image's 8-bit probability after `epoch` (counted from 1)."""
    return _with(f"{PREFIX}/runs/{run_id}/probe/{epoch}/{image_id}", size=size)


def probe_classes(run_id: str, epoch: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of the most likely class of each pixel of a probe image (8-bit PNG of class numbers)."""
    return _with(f"{PREFIX}/runs/{run_id}/probe/{epoch}/classes/{image_id}", size=size)


def round_label(run_id: str, number: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of an 8-bit label that a round of self-training (counted from 1) was trained on."""
    return _with(f"{PREFIX}/runs/{run_id}/rounds/{number}/labels/{image_id}", size=size)


def round_mask(run_id: str, number: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of the 8-bit probability that the network of a round predicted."""
    return _with(f"{PREFIX}/runs/{run_id}/rounds/{number}/masks/{image_id}", size=size)


def round_label_classes(run_id: str, number: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of the class of each pixel of a round's label (8-bit PNG); only a run with several has it."""
    return _with(f"{PREFIX}/runs/{run_id}/rounds/{number}/labels/classes/{image_id}", size=size)


def round_mask_classes(run_id: str, number: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of the class of each pixel of a round's mask (8-bit PNG); only a run with several has it."""
    return _with(f"{PREFIX}/runs/{run_id}/rounds/{number}/masks/classes/{image_id}", size=size)


def preview(key: str) -> str:
    """Return the URL of the PNG bytes that `resources.previews().put(png)` stored under `key`."""
    return f"{PREFIX}/preview/{key}"


def live_masks(dataset_id: str, recipe: str) -> str:
    """Return the URL of the masks of a dataset's test images that a recipe (`recipe_to_text`) learns from strokes."""
    return _with(f"{PREFIX}/datasets/{dataset_id}/live-masks", recipe=recipe)


def upload(token: str) -> str:
    """Return the URL for uploading files; `resources.issue_upload()` creates the token."""
    return f"{PREFIX}/uploads/{token}"


def masks_zip(
    owner: MaskOwner, owner_id: str, threshold: float = 0.5, *, kind: MaskKind = "masks", probabilities: bool = False
) -> str:
    """Return the URL of a zip of a prediction set or a mask set: a folder of masks, scores.csv and, if requested,
    probabilities/ (8-bit PNG) and uncertainty/ where it exists.

    Args:
        kind: the folder of masks: masks/ (PNG 0/255, or the class of each pixel where there are several), classes/
            (PNG 0/1 …), palette/ (the same in colour) or cutouts/ (RGBA).
    """
    return _with(
        f"{PREFIX}/{_FOLDERS[owner]}/{owner_id}/masks.zip",
        threshold=f"{threshold:g}",
        kind=None if kind == "masks" else kind,
        probabilities=1 if probabilities else None,
    )


def scores_csv(owner: MaskOwner, owner_id: str, threshold: float = 0.5) -> str:
    """Return the URL of a table of areas and scores, one line for each image. A mask set has no threshold."""
    path = f"{PREFIX}/{_FOLDERS[owner]}/{owner_id}/scores.csv"
    return _with(path, threshold=f"{threshold:g}" if owner == "prediction_set" else None)


def prepared(job_id: str) -> str:
    """Return the URL of the file of an export job."""
    return f"{PREFIX}/exports/{job_id}"


def metrics_csv(run_id: str) -> str:
    """Return the URL of a run's metrics, one line for each epoch."""
    return f"{PREFIX}/runs/{run_id}/metrics.csv"


def model(run_id: str) -> str:
    """Return the URL of a run's best model (.keras)."""
    return f"{PREFIX}/runs/{run_id}/model.keras"


def run_log(run_id: str) -> str:
    """Return the URL of the whole log of a run's job (text)."""
    return f"{PREFIX}/runs/{run_id}/log.txt"


def live_run(run_id: str) -> str:
    """Return the URL of the state of a training run (JSON)."""
    return f"{PREFIX}/runs/{run_id}/live.json"


def run_news(run_id: str, log_scale: bool = False, smoothing: float = 0.0) -> str:
    """Return the URL of what the newest epoch changes on a run's page (JSON); `&version=…` is appended.

    `smoothing` of the curves is in [0, 0.95], in hundredths.
    """
    return _with(f"{PREFIX}/runs/{run_id}/epoch.json", smoothing=f"{smoothing:g}", log=1 if log_scale else None)


def bug_report(job_id: str, *, images: bool = False) -> str:
    """Return the URL of the bug report of a job (zip), with images only if requested."""
    return _with(f"{PREFIX}/jobs/{job_id}/report.zip", images=1 if images else None)


@cache  # the version is read from the package's files
def plotly() -> str:
    """Return the URL of the chart library in the plotly package."""
    return f"{PREFIX}/plotly-{version('plotly')}.js"


def import_report_csv(dataset_id: str) -> str:
    """Return the URL of the per-file import report."""
    return f"{PREFIX}/datasets/{dataset_id}/report.csv"


def sized(address: str, size: int) -> str:
    """Return the URL of a smaller copy of the image at `address`, a URL without a size."""
    return f"{address}{'&' if '?' in address else '?'}size={size}"


def whole(address: str) -> str:
    """Return the URL of an image in its own size; `address` may be that of a smaller copy."""
    path, _, query = address.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name != "size"]
    return f"{path}?{urlencode(kept)}" if kept else path


def _with(path: str, **query: int | str | None) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
