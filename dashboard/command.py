"""The command `maskloom` of an installed package: `maskloom app`, and every command of `python -m engine`."""

from __future__ import annotations

from pathlib import Path

import typer

from engine.cli import main
from engine.cli.every_command import app

__all__ = ["main"]

SCRIPT = Path(__file__).with_name("app.py")


# Options are Streamlit's to parse, --help among them.
@app.command(
    "app",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    options_metavar="[STREAMLIT OPTIONS]",
)
def start(context: typer.Context) -> None:
    """Start Maskloom in the browser; takes the options of `streamlit run`, such as --server.port 8600."""
    from streamlit.web.cli import main as streamlit

    streamlit(["run", str(SCRIPT), *context.args], prog_name="streamlit")
