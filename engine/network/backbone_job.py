"""Job: add pretrained weights of MobileNetV2 to the installation, for trainings and for strokes.

Payload: {"source": {"kind": "download"} or {"kind": "upload", "token": …}}. Result: {"bytes", "sha256", "weights"} of
the file that was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from db.models import Job, JobKind
from engine.network.pretrained import IMAGENET
from engine.store import keys as stored
from engine.store.base import Store
from engine.work.context import BadSource, JobContext, JobFailed, JobStopped, JobType

DOWNLOAD, UPLOAD = "download", "upload"
STEPS = 2


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Download the ImageNet weights as Keras does, or take those of an upload, and store them in both forms.

    Raises:
        JobFailed: there is no network connection.
        BadSource: the uploaded file holds other weights.
        JobStopped: a person stopped it; what was there before stays.
    """
    source, files = job.payload["source"], context.artifacts
    uploaded = source["kind"] == UPLOAD
    context.progress(0, STEPS, unit="steps", phase="reading_the_weights" if uploaded else "downloading_the_weights")
    # TensorFlow: seconds that no page waits for
    from engine.network.backbone import add_pretrained
    from engine.network.conversion import ConversionError
    from engine.network.encoder_weights import EncoderWeightsError, pretrained_encoder

    files.delete_unfinished(stored.MODELS)  # of a killed attempt
    try:
        with _weights(source, files) as weights:
            pretrained_encoder(weights, installed=False)  # checks a file; Keras keeps what it has downloaded
            if context.should_stop():
                raise JobStopped
            context.progress(1, STEPS, unit="steps", phase="converting_the_network")
            added = add_pretrained(weights, files)
    except (EncoderWeightsError, ConversionError) as error:
        sentence = f"{str(error).rstrip('.')}."
        if uploaded and isinstance(error, EncoderWeightsError):
            files.delete(stored.upload_folder(source["token"]))
            raise BadSource(sentence) from None
        raise JobFailed(sentence) from None
    if uploaded:
        files.delete(stored.upload_folder(source["token"]))
    context.progress(STEPS, STEPS, unit="steps", phase="stored")
    return {"bytes": added.bytes, "sha256": added.sha256, "weights": added.file}


@contextmanager
def _weights(source: dict[str, Any], files: Store) -> Iterator[str]:
    """Yield what `pretrained_encoder` reads: "imagenet", or the path of the only file of an upload."""
    if source["kind"] != UPLOAD:
        yield IMAGENET
        return
    with files.workspace(stored.upload_folder(source["token"])) as folder:  # people's names are no keys
        found = [path for path in folder.rglob("*") if path.is_file()]
        if not found:
            raise JobFailed("The uploaded file is gone. Upload it again.")
        if len(found) > 1:
            raise JobFailed(f"Upload one file of weights. Got {len(found)}.")
        yield str(found[0])


JOB = JobType(JobKind.BACKBONE, run)
