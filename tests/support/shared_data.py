"""Real images and published weights, which lie in ../shared beside the checkout on some machines.

MASKLOOM_SHARED names another folder to take them from. Set but empty it hides the folder, so that tests can show that
they mean the same without it: they then use images that are drawn or that scikit-image brings along.
Tests that look at this folder have the marker `shared`.
"""

from __future__ import annotations

import os

from tests.support.installation import REPOSITORY

_CHOSEN = os.environ.get("MASKLOOM_SHARED")
_FOLDER = REPOSITORY.parent / "shared" if _CHOSEN is None else REPOSITORY / (_CHOSEN or "no shared folder")
SHARED_DATA = _FOLDER / "data"
SHARED_WEIGHTS = _FOLDER / "weights"
