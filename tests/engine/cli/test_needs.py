"""`--needs`: what it may say, and what it becomes."""

from __future__ import annotations

import pytest

from db.workers import Needs
from engine.cli.needs_option import BadNeeds, needs_from


@pytest.mark.parametrize(
    ("given", "needs"),
    [
        (None, Needs()),
        (["gpu"], Needs(gpu=True)),
        (["memory=8GB", "tag=lab-1"], Needs(memory_mb=8000, tag="lab-1")),
        (["memory=512 MB"], Needs(memory_mb=512)),
    ],
)
def test_needs_are_read(given, needs):
    assert needs_from(given) == needs


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["cpu"], "Got 'cpu'"),
        (["gpu=2"], "Got 'gpu=2'"),
        (["memory"], "Got 'memory'"),
        (["memory=much"], "Got 'memory=much'"),
        (["memory=-1GB"], "Got 'memory=-1GB'"),
        (["tag=a", "tag=b"], "Got 'tag=b'"),
        (["tag=two words"], "Got 'two words'"),
        (["tag=" + "x" * 65], "up to 64"),
    ],
)
def test_what_is_no_need_is_refused_with_a_sentence(given, words):
    with pytest.raises(BadNeeds, match=r"must be gpu, memory=8GB|A tag has up to 64") as refused:
        needs_from(given)
    assert words in str(refused.value)
