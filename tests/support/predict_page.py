"""Runs that can predict, and predictions whose scores are known."""

from __future__ import annotations

import numpy as np

from db import datasets, runs
from db.models import Job, JobStatus
from engine.imaging import codec, metrics
from engine.store import keys as stored


def add_run(installation, dataset, name="net", best_epoch=3, status=JobStatus.FINISHED, label_set_id=None):
    with installation.database.writing() as session:
        run = runs.create(session, dataset, label_set_id, name, "fast", {}, "1")
        run.best_epoch, run.best_val_dice = best_epoch, 0.8125 if best_epoch else None
        job = Job(kind="train", status=status, payload={"run": run.id})
        session.add(job)
        session.flush()
        run.job_id = job.id
        return run


def add_predictions(installation, run, dataset, shift_px=0):
    """Predict every image of a drawn set: its truth, moved by `shift_px`, at probability 0.7 over 0.1."""
    with installation.database.writing() as session:
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, False)
        rows = []
        for image in datasets.images(session, dataset.id):
            levels = np.full((image.height, image.width), 26, np.uint8)
            reference = None
            if image.has_truth:
                reference = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image.id))) > 0
                levels[np.roll(reference, shift_px, axis=1)] = 178
            installation.files.write(stored.prediction_key(set_id, image.id), codec.encode_png(levels))
            mask = metrics.to_mask(levels, 0.5)
            row = {"image_id": image.id, "area": float(mask.mean()), "mean_probability": float(levels.mean() / 255)}
            if reference is not None:
                counts = metrics.threshold_counts(levels, reference)
                row |= {"truth_counts": metrics.pack_counts(counts), "truth_dice": metrics.dice(mask, reference)}
            rows.append(row)
        runs.add_predictions(session, set_id, rows)
        return set_id
