"""Make `installation-before-classes.zip`: runs of one class on truth of two, as they were before migration 0009.

    PYTHONPATH=. python PATH/make_before_classes.py ZIP    # in a checkout of commit 0dd7a93, schema 0008

It was run once and documents how the zip was made, like `make_installation.py`, whose parts it uses. Real processes do
the work: a run trained on truth, one whose worker is killed while it trains, a computed mask set, and one imported
from masks of both classes, which that version merged into foreground.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from db.session import Database
from tests.upgrade import make_installation
from tests.upgrade.make_installation import cli, draw, make_anonymous, pack, params, train_and_kill

TINY = ["model.image_size=32", "model.depth=1", "model.base_filters=2", "training.learning_rate=0.02"]
EPOCHS = 6


def main(target: Path) -> None:
    make_installation.TINY = TINY
    make_installation.SIZE_PX = 48
    make_installation.EPOCHS = EPOCHS
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        root = place / "data"
        os.environ |= {"DATA_ROOT": str(root), "WARM_WORKER_S": "0", "FREE_DISK_FLOOR_MB": "0"}
        draw(place / "plates", range(6))
        cli("import", place / "plates", "--name", "plates")
        cli("classes", "plates", "--map", "0=background,128=plate,255=egg")
        cli("label", "plates", "--method", "kmeans", *params("clusters=3"), "--name", "computed")
        cli("import", place / "plates" / "truth", "--into", "plates", "--as", "labels", "--name", "drawn")
        cli("train", "plates", "--truth", *params(*TINY, "training.epochs=8"), "--name", "one class")
        database = Database(f"sqlite:///{root / 'app.db'}")
        train_and_kill(database)
        listed = cli("runs", "--json")
        database.close()
        make_anonymous(root, place)
        pack(root, target)
    print(json.dumps(json.loads(listed), indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
