"""`python -m engine migrate`: move an installation's database, such as from SQLite to PostgreSQL."""

from __future__ import annotations

from typing import Annotated

import typer

from db.moving import move_rows
from db.session import Database
from engine.cli.commands import AsJson, app, print_result


@app.command()
def migrate(
    source: Annotated[str, typer.Option("--from", help="URL of the database to copy, such as sqlite:////data/app.db")],
    target: Annotated[str, typer.Option("--to", help="URL of an empty one: postgresql://user:password@host/name")],
    as_json: AsJson = False,
):
    """Copy all rows into another database, all or none. The old one stays; images and models stay in DATA_ROOT."""
    old, new = Database(source), Database(target)
    try:
        rows = move_rows(old, new)
    finally:
        old.close()
        new.close()
    shown = (
        f"Copied {rows:,} rows. From now on start Maskloom on the same DATA_ROOT with the new address as DATABASE_URL."
    )
    print_result({"rows": rows}, as_json, shown)
