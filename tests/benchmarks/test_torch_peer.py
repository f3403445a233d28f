"""The comparison with PyTorch: ratios the right way round, and a peer that is another network is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import torch_peer
from engine.core.run_config import config_from

SMALL = config_from("fast", {"model": {"image_size": 32, "depth": 2, "base_filters": 2}})
PEER = """
import json, sys
print(json.dumps({{"variables": {variables}}}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    seconds = asked["steps"] * (2.0 if asked["layout"] == "contiguous" else 1.0)
    print(json.dumps({{"seconds": seconds, "loss": 0.0}}), flush=True)
"""


def stand_in(folder: Path, variables: int) -> str:
    """Return a command that answers as the peer does, without PyTorch."""
    script = folder / "peer"
    script.write_text(f"#!{sys.executable}\n{PEER.format(variables=variables)}")
    script.chmod(0o755)
    return str(script)


def test_a_ratio_above_one_means_that_we_are_faster_than_the_peers_faster_layout() -> None:
    turns = [
        {"ours": 0.5, "contiguous": 2.0, "channels_last": 1.0},
        {"ours": 0.5, "contiguous": 2.0, "channels_last": 0.8},
    ]
    found = torch_peer.summarise("float32", 4, turns)
    assert found["ours"] == pytest.approx(8)
    assert found["peer"] == pytest.approx({"contiguous": 2, "channels_last": 4.444}, abs=0.001)
    assert found["ratios"] == pytest.approx([2, 1.6])
    assert found["ratio"] == pytest.approx(1.8)


def test_both_take_turns_and_each_layout_is_asked_in_every_round(tmp_path: Path) -> None:
    from engine.network.networks import network

    script, asked = stand_in(tmp_path, network(SMALL.model).count_params()), []
    with torch_peer.peer(script, SMALL) as (_, ask):
        found = torch_peer.compare(SMALL, "float32", lambda what: asked.append(what) or ask(what), rounds=2, steps=1)
    assert found["peer"] == {"contiguous": 2, "channels_last": 4}
    assert len(found["ratios"]) == 2
    first, second = torch_peer.LAYOUTS
    warm_up, round_1, round_2 = [first, second], [first, second], [second, first]  # every second one the other way
    assert [each["layout"] for each in asked] == [*warm_up, *round_1, *round_2]
    assert {each["precision"] for each in asked} == {"float32"}


def test_a_peer_of_another_size_or_without_pytorch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the peer's 7"), torch_peer.peer(stand_in(tmp_path, 7), SMALL):
        pass
    with pytest.raises(SystemExit, match="with PyTorch"), torch_peer.peer("true", SMALL):
        pass


def test_the_peers_file_needs_nothing_of_ours() -> None:
    text = Path(torch_peer.REPOSITORY, "benchmarks", "torch_unet.py").read_text()
    assert "engine" not in "".join(line for line in text.splitlines() if line.startswith(("import", "from")))
