"""The application with every command: each module adds its own when it is imported."""

from engine.cli import (
    adding,
    auditing,
    classes,
    correcting,
    doctor,
    exporting,
    fetching,
    image_care,
    importing,
    keeping,
    leaving_out,
    measuring,
    measuring_objects,
    moving,
    people,
    queueing,
    retraining,
)
from engine.cli.commands import app

__all__ = [
    "adding",
    "app",
    "auditing",
    "classes",
    "correcting",
    "doctor",
    "exporting",
    "fetching",
    "image_care",
    "importing",
    "keeping",
    "leaving_out",
    "measuring",
    "measuring_objects",
    "moving",
    "people",
    "queueing",
    "retraining",
]
