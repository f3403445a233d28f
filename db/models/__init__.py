"""The tables. Portable types only, so that every query also runs on PostgreSQL."""

from db.models.datasets import Correction, Dataset, Image, ImportEntry, LeftOutRegion, Probe
from db.models.masks import Label, LabelSet, SavedRecipe
from db.models.people import AuditEntry, EndedLogin, Person
from db.models.runs import Measurement, Metric, Prediction, PredictionSet, Round, Run, RunImage
from db.models.sweeps import Sweep, SweepKind, SweepState, Trial, TrialState
from db.models.work import Job, JobKind, JobStatus, Launch, Worker, WorkerKind, WorkerState

__all__ = [
    "AuditEntry",
    "Correction",
    "Dataset",
    "EndedLogin",
    "Image",
    "ImportEntry",
    "Job",
    "JobKind",
    "JobStatus",
    "Label",
    "LabelSet",
    "Launch",
    "LeftOutRegion",
    "Measurement",
    "Metric",
    "Person",
    "Prediction",
    "PredictionSet",
    "Probe",
    "Round",
    "Run",
    "RunImage",
    "SavedRecipe",
    "Sweep",
    "SweepKind",
    "SweepState",
    "Trial",
    "TrialState",
    "Worker",
    "WorkerKind",
    "WorkerState",
]
