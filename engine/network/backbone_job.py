"""Job: store MobileNetV2 as the ONNX file with which strokes teach more.

Payload: {"source": {"kind": "download"} or {"kind": "upload", "token": …}}. Result: {"bytes", "sha256", "weights"}.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from db.models import Job, JobKind
from engine.store import keys as stored
from engine.store.base import Store
from engine.work.context import JobContext, JobFailed, JobStopped, JobType

DOWNLOAD, UPLOAD = "download", "upload"
STEPS = 2


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Download the ImageNet weights as Keras does, or take those of an upload, and convert them.

    Raises:
        JobFailed: there is no network connection, or the file holds other weights.
        JobStopped: a person stopped it; what was there before stays.
    """
    source, files = job.payload["source"], context.artifacts
    uploaded = source["kind"] == UPLOAD
    context.progress(0, STEPS, unit="steps", phase="reading_the_weights" if uploaded else "downloading_the_weights")
    # TensorFlow: seconds that no page waits for
    from engine.network.backbone import save_backbone
    from engine.network.conversion import ConversionError
    from engine.network.encoder_weights import EncoderWeightsError, pretrained_encoder

    key = stored.backbone_key()
    files.delete_unfinished(key.rpartition("/")[0])  # of a killed attempt
    try:
        with _weights(source, files) as weights:
            pretrained_encoder(weights)  # checks a file; Keras keeps what it has downloaded
            if context.should_stop():
                raise JobStopped
            context.progress(1, STEPS, unit="steps", phase="converting_the_network")
            with files.writing(key) as path:
                save_backbone(weights, path)
    except (EncoderWeightsError, ConversionError) as error:
        instead = "" if uploaded else " Without a connection to the Internet, upload the file instead."
        raise JobFailed(f"{str(error).rstrip('.')}.{instead}") from None
    if uploaded:
        files.delete(stored.upload_folder(source["token"]))
    context.progress(STEPS, STEPS, unit="steps", phase="stored")
    digest = hashlib.sha256(files.read(key)).hexdigest()
    return {"bytes": files.size(key), "sha256": digest, "weights": Path(weights).name}


@contextmanager
def _weights(source: dict[str, Any], files: Store) -> Iterator[str]:
    """Yield what `pretrained_encoder` reads: "imagenet", or the path of the only file of an upload."""
    if source["kind"] != UPLOAD:
        yield "imagenet"
        return
    with files.workspace(stored.upload_folder(source["token"])) as folder:  # people's names are no keys
        found = [path for path in folder.rglob("*") if path.is_file()]
        if not found:
            raise JobFailed("The uploaded file is gone. Upload it again.")
        if len(found) > 1:
            raise JobFailed(f"Upload one file of weights. Got {len(found)}.")
        yield str(found[0])


JOB = JobType(JobKind.BACKBONE, run)
