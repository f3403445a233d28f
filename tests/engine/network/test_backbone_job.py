"""The job that stores MobileNetV2 for strokes: from an uploaded file, and without a network connection."""

from __future__ import annotations

import keras
import pytest

from db import submissions
from engine.network import backbone_job, pretrained
from engine.store import keys as stored
from engine.work.context import BadSource, JobFailed
from tests.support.training_job import Context

TOKEN = "a" * 32


def submit(installation, source):
    with installation.database.writing() as session:
        return submissions.submit_backbone(session, source)


def test_an_uploaded_file_is_converted_and_the_upload_deleted(installation):
    keras.utils.set_random_seed(1)
    folder = installation.files.path(stored.upload_folder(TOKEN))
    folder.mkdir(parents=True)
    uploaded = folder / "our weights (1).weights.h5"
    keras.applications.MobileNetV2(include_top=False, weights=None).save_weights(uploaded)
    size, digest = uploaded.stat().st_size, pretrained.sha256_of(uploaded)
    installation.files.write(stored.older_backbone_key(), b"of the previous version")
    context = Context(installation)
    told = backbone_job.run(submit(installation, {"kind": "upload", "token": TOKEN}), context)
    assert told == {"weights": "our weights (1).weights.h5", "bytes": size, "sha256": digest}
    assert not folder.exists() and not installation.files.exists(stored.older_backbone_key())
    assert installation.files.size(stored.backbone_key()) > 1e6
    added = pretrained.installed(installation.files)
    assert (added.file, added.sha256) == (told["weights"], digest)
    assert pretrained.default_preset(installation.files) == "encoder"
    assert context.texts == ["Reading the weights: step 1 of 2", "Converting the network: step 2 of 2", "Stored"]


def test_a_file_with_other_weights_is_refused_and_what_was_there_stays(installation):
    installation.files.write(stored.backbone_key(), b"before")
    folder = installation.files.path(stored.upload_folder(TOKEN))
    folder.mkdir(parents=True)
    (folder / "other.h5").write_bytes(b"no weights")
    with pytest.raises(BadSource, match=r"weights of other\.h5 do not fit MobileNetV2 without its top"):
        backbone_job.run(submit(installation, {"kind": "upload", "token": TOKEN}), Context(installation))
    assert not folder.exists()
    assert installation.files.read(stored.backbone_key()) == b"before"


def test_an_upload_that_is_gone_is_named(installation):
    with pytest.raises(JobFailed, match="The uploaded file is gone"):
        backbone_job.run(submit(installation, {"kind": "upload", "token": TOKEN}), Context(installation))


def test_without_a_connection_the_job_says_so_and_what_to_do(installation, monkeypatch):
    def offline(*arguments, **options):
        raise OSError("URL fetch failure: name or service not known")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(JobFailed, match=r"could not be downloaded: URL fetch failure.*add a file of them"):
        backbone_job.run(submit(installation, {"kind": "download"}), Context(installation))
    assert not installation.files.exists(stored.backbone_key())
