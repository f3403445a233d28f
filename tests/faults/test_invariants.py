"""Each invariant can fail: a house in order pleases all of them, and each thing that is broken on purpose is told."""

import sqlite3

import pytest

from db.models import JobStatus
from engine import artifacts as stored
from tests.faults import invariants
from tests.predicted import add_predictions
