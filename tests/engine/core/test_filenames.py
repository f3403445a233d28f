"""Names for files that leave the installation: every file system takes them, and none is given twice."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.filenames import LONGEST_STEM_BYTES, safe_part, safe_stems
from tests.assets.bad_names import NAMES

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
REFUSED_SIGNS = set('<>:"/\\|?*') | {chr(code) for code in (*range(32), *range(0x7F, 0xA0))}


def check(stems: list[str]) -> None:
    """Assert that a folder of any file system could hold these stems with .png behind them."""
    folded = [unicodedata.normalize("NFC", stem).casefold() for stem in stems]
    assert len(set(folded)) == len(stems)
    for stem in stems:
        assert stem and not set(stem) & REFUSED_SIGNS
        assert stem.strip() == stem and not stem.startswith(".")
        assert stem.split(".")[0].rstrip().lower() not in RESERVED
        assert len(f"{stem}.png".encode()) <= 255
        assert not any(unicodedata.bidirectional(sign) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI"} for sign in stem)


def test_odd_names():
    check(safe_stems(list(NAMES.values())))
    assert safe_stems(["CON.png", "con.jpg", "aux .png", "COM¹.png"]) == ["_CON", "_con-2", "_aux", "_COM¹"]
    assert safe_stems(["a/x.png", "b/X.png", "x-2.png", "c\\x.png"]) == ["x", "X-2", "x-2-2", "x-3"]
    assert safe_stems(["Käse.png", unicodedata.normalize("NFD", "Käse.png"), "...", ""]) == [
        "Käse",
        "Käse-2",
        "image",
        "image-2",
    ]


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=300), max_size=8))
def test_any_names(names):
    check(safe_stems(names))


def test_a_name_that_every_folder_has():
    stems = safe_stems([f"{number}/image.png" for number in range(20_000)])
    assert stems[0] == "image" and stems[-1] == "image-20000"


@pytest.mark.parametrize("longest", [1, 2, 3, 10, LONGEST_STEM_BYTES])
def test_long_names_lose_their_end_and_no_half_of_a_letter(longest):
    assert safe_part("写" * 300, longest) == "写" * (longest // 3)
