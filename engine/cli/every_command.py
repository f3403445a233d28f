"""The application with every command: each module adds its own when it is imported."""

from engine.cli import adding, classes, correcting, doctor, exporting, importing, keeping, measuring, people
from engine.cli.commands import app

__all__ = [
    "adding",
    "app",
    "classes",
    "correcting",
    "doctor",
    "exporting",
    "importing",
    "keeping",
    "measuring",
    "people",
]
