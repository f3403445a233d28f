"""How image files of an import are read: which channels and which pages. Counted from 1 in words and in payloads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from engine.imaging.codec import ImageOptions

PageChoice = Literal["first", "all", "max"]
PAGE_CHOICES: tuple[PageChoice, ...] = get_args(PageChoice)
_CHANNELS = re.compile(r"[1-9]\d{0,3}(\s*,\s*[1-9]\d{0,3}){0,2}")


class BadReading(ValueError):
    """A choice of channels or pages that cannot be used. The message is one sentence."""


@dataclass(frozen=True)
class Reading:
    """Channels to take of every image, counted from 0, or their mean ("mix"), or None for the default; and pages.

    Of pages the first is taken, or each as an image of its own ("all"), or the greatest value of each pixel ("max").
    """

    channels: tuple[int, ...] | Literal["mix"] | None = None
    pages: PageChoice = "first"

    @classmethod
    def chosen(cls, channels: str = "", pages: str = "first") -> Reading:
        """Return what a person chose: "1,2,3", "mix" or "" for the default, and one of PAGE_CHOICES.

        Raises:
            BadReading: the sentence names the value and what is allowed.
        """
        channels = channels.strip().lower()
        known = {choice: choice for choice in PAGE_CHOICES}
        if pages not in known:
            raise BadReading(f"Pages must be one of {', '.join(PAGE_CHOICES)}. Got {pages!r}.")
        if channels in ("", "mix"):
            return cls("mix" if channels else None, known[pages])
        if not _CHANNELS.fullmatch(channels):
            raise BadReading(f"Channels must be one to three numbers from 1, such as 1,2,3, or mix. Got {channels!r}.")
        return cls(tuple(int(number) - 1 for number in channels.split(",")), known[pages])

    @classmethod
    def from_payload(cls, payload: dict[str, Any] | None) -> Reading:
        """Return the reading that `payload` has written; the default for a job without."""
        return cls.chosen(**payload) if payload else cls()

    def payload(self) -> dict[str, str]:
        """Return it as JSON for a job's source; empty for the default."""
        if self == Reading():
            return {}
        numbers = ",".join(str(channel + 1) for channel in self.channels or ()) if self.channels != "mix" else "mix"
        return {"channels": numbers, "pages": self.pages}

    def options(self, page: int | None = None) -> ImageOptions:
        """Return the options of one image file, or of one of its pages."""
        return ImageOptions(self.channels, "max" if self.pages == "max" else page)


def with_reading(source: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """Return the source of an import job that is read so."""
    return source | ({"reading": reading.payload()} if reading.payload() else {})


def page_name(name: str, page: int | None) -> str:
    """Return the name of one page, counted from 0, of a file: "stack, page 2.tif"; the file's own for None."""
    if page is None:
        return name
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}, page {page + 1}{path.suffix}"))
