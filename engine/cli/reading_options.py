"""The options of commands that import images: which channels and which pages of a file are taken."""

from __future__ import annotations

from typing import Annotated

import typer

Channels = Annotated[
    str,
    typer.Option(
        metavar="N[,N[,N]]",
        help="Channels to take as grey, or as red, green and blue, counted from 1; or mix, the mean of all.",
    ),
]
Pages = Annotated[
    str,
    typer.Option(
        metavar="first|all|max",
        help="Of files with several pages: the first, each as an image, or the greatest value of each pixel.",
    ),
]
