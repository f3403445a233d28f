"""Addresses of the routes that serve pictures and downloads beside the pages.

Views and view-models build addresses here and nowhere else; `routes.py` answers them.
`size=192` asks for a copy whose longest side is at most 192 px; only `SIZES_PX` are answered.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from urllib.parse import urlencode

from engine.exports.pictures import MaskKind

PREFIX = "/files"
PICTURES = f"{PREFIX}/pictures"
SIZES_PX = (192, 384, 768)


def image(dataset_id: str, image_id: str, size: int | None = None) -> str:
    """Return the address of a stored image (RGB PNG)."""
    return _with(f"{PREFIX}/datasets/{dataset_id}/images/{image_id}", size=size)


def thumbnail(dataset_id: str, image_id: str) -> str:
    """Return the address of the 192 px WebP made at import."""
    return f"{PREFIX}/datasets/{dataset_id}/thumbs/{image_id}"


def patch(dataset_id: str, image_id: str, row: float, column: float) -> str:
    """Return the address of a small square of a stored image (WebP) around a place; both in [0, 1]."""
    return _with(f"{PREFIX}/datasets/{dataset_id}/patches/{image_id}", row=f"{row:.4g}", column=f"{column:.4g}")


def truth(
    dataset_id: str,
    image_id: str,
    size: int | None = None,
    *,
    colour: bool = False,
    classes: bool = False,
    version: int = 0,
) -> str:
    """Return the address of the truth: grey (0 background, 255 any class), one colour per class, or the class itself
    as the grey value.

    Args:
        version: the dataset's `truth_version`, so that a changed mapping of classes is a new address.
    """
    path = f"{PREFIX}/datasets/{dataset_id}/truth/{image_id}"
    return _with(path, size=size, colour=1 if colour else None, classes=1 if classes else None, v=version)


def label(label_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the address of a pseudo-label's 8-bit foreground probability."""
    return _with(f"{PREFIX}/labels/{label_set_id}/{image_id}", size=size)


def prediction(prediction_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the address of a predicted 8-bit foreground probability."""
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/{image_id}", size=size)


def uncertainty(prediction_set_id: str, image_id: str, size: int | None = None) -> str:
    """Return the address of a prediction's 8-bit map of how unsure it is."""
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/uncertainty/{image_id}", size=size)


def probe(run_id: str, epoch: int, image_id: str, size: int | None = None) -> str:
    """Return the address of a probe image's 8-bit probability after `epoch` (counted from 1)."""
    return _with(f"{PREFIX}/runs/{run_id}/probe/{epoch}/{image_id}", size=size)


def round_label(run_id: str, number: int, image_id: str, size: int | None = None) -> str:
    """Return the address of the 8-bit label that taught a round of self-training (counted from 1)."""
    return _with(f"{PREFIX}/runs/{run_id}/rounds/{number}/labels/{image_id}", size=size)


def round_mask(run_id: str, number: int, image_id: str, size: int | None = None) -> str:
    """Return the address of the 8-bit probability that the network of a round drew."""
    return _with(f"{PREFIX}/runs/{run_id}/rounds/{number}/masks/{image_id}", size=size)


def preview(key: str) -> str:
    """Return the address of PNG bytes that `resources.previews().put(png)` filed under `key`."""
    return f"{PREFIX}/preview/{key}"


def upload(token: str) -> str:
    """Return the address that takes uploaded files; `resources.issue_upload()` makes the token."""
    return f"{PREFIX}/uploads/{token}"


def prediction_zip(
    prediction_set_id: str, threshold: float = 0.5, *, kind: MaskKind = "masks", probabilities: bool = False
) -> str:
    """Return the address of a zip: a folder of masks, scores.csv and, on request, probabilities/ (8-bit PNG) and
    uncertainty/ where there is some.

    Args:
        kind: the folder of masks: masks/ (PNG 0/255), classes/ (PNG 0/1) or cutouts/ (RGBA).
    """
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/masks.zip", **_masks(threshold, kind, probabilities))


def label_zip(
    label_set_id: str, threshold: float = 0.5, *, kind: MaskKind = "masks", probabilities: bool = False
) -> str:
    """Return the address of a zip of a label set's masks, laid out like a prediction's."""
    return _with(f"{PREFIX}/labels/{label_set_id}/masks.zip", **_masks(threshold, kind, probabilities))


def _masks(threshold: float, kind: MaskKind, probabilities: bool) -> dict[str, int | str | None]:
    return {
        "threshold": f"{threshold:g}",
        "kind": None if kind == "masks" else kind,
        "probabilities": 1 if probabilities else None,
    }


def label_csv(label_set_id: str) -> str:
    """Return the address of a table of a label set's areas, quality and scores, one line for each image."""
    return f"{PREFIX}/labels/{label_set_id}/scores.csv"


def prepared(job_id: str) -> str:
    """Return the address of the file that an export job made."""
    return f"{PREFIX}/exports/{job_id}"


def prediction_csv(prediction_set_id: str, threshold: float = 0.5) -> str:
    """Return the address of a table of areas and scores, one line for each image."""
    return _with(f"{PREFIX}/predictions/{prediction_set_id}/scores.csv", threshold=f"{threshold:g}")


def metrics_csv(run_id: str) -> str:
    """Return the address of a run's metrics, one line for each epoch."""
    return f"{PREFIX}/runs/{run_id}/metrics.csv"


def model(run_id: str) -> str:
    """Return the address of a run's best model (.keras)."""
    return f"{PREFIX}/runs/{run_id}/model.keras"


def run_log(run_id: str) -> str:
    """Return the address of the whole log of a run's job (text)."""
    return f"{PREFIX}/runs/{run_id}/log.txt"


def live_run(run_id: str) -> str:
    """Return the address that tells how a run that trains stands now (JSON)."""
    return f"{PREFIX}/runs/{run_id}/live.json"


def run_news(run_id: str, log_scale: bool = False, smoothing: float = 0.0) -> str:
    """Return the address that tells what the newest epoch changes on a run's page (JSON); `&version=…` is added to it.

    `smoothing` of the curves is in [0, 0.95], in hundredths.
    """
    return _with(f"{PREFIX}/runs/{run_id}/epoch.json", smoothing=f"{smoothing:g}", log=1 if log_scale else None)


@cache  # the version is read from the package's files
def bug_report(job_id: str, *, images: bool = False) -> str:
    """Return the address of a zip with all that a bug report about a job needs; images only if asked for."""
    return _with(f"{PREFIX}/jobs/{job_id}/report.zip", images=1 if images else None)


def plotly() -> str:
    """Return the address of the chart library that comes with the plotly package."""
    return f"{PREFIX}/plotly-{version('plotly')}.js"


def import_report_csv(dataset_id: str) -> str:
    """Return the address of the per-file import report."""
    return f"{PREFIX}/datasets/{dataset_id}/report.csv"


def sized(address: str, size: int) -> str:
    """Return the address of a smaller copy of the picture at `address`, which names no size itself."""
    return f"{address}{'&' if '?' in address else '?'}size={size}"


def _with(path: str, **query: int | str | None) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
