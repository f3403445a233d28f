"""Files that are nearly pictures and nearly zips: whatever comes, it is taken or refused with a sentence."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.datasets import ingest
from engine.datasets.pairing import pair
from engine.datasets.source import Limits, UnreadableSource, shown
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import read_truth
from engine.imaging import codec
from tests.assets import bad_images, bad_zips
from tests.assets.bad_files import picture
from tests.assets.bad_images import tiff
from tests.assets.mutations import mutated
from tests.support.installation import REPOSITORY

SHORT = settings(max_examples=150)
SMALL = 100_000
GREATEST_GROWTH_MB = {"picture": 150, "zip": 100}
"""What the worst file may take: no picture here is larger than its header says, and no zip is unpacked for its bomb."""


@cache
def pictures() -> list[bytes]:
    made = [make() for make in bad_images.TAKEN.values()]
    return [data for data in made if len(data) <= SMALL]


@cache
def zips() -> list[bytes]:
    made = [make() for name, (make, _) in bad_zips.TAKES_GOOD.items() if "bomb" not in name]
    return [data for data in made if len(data) <= SMALL]


def is_sentence(text: str) -> bool:
    return text.endswith(".") and text[:1].isupper() and "\n" not in text


@SHORT
@given(st.randoms(use_true_random=False))
def test_nearly_pictures(rng: random.Random):
    data = mutated(rng.choice(pictures()), rng.choice(pictures()), rng)
    for decode, shape in ((codec.decode_image, 3), (lambda data: TruthCodes().encode(read_truth(data)), 2)):
        try:
            pixels = decode(data)
        except codec.UnreadableImage as error:
            assert is_sentence(str(error))
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == shape and min(pixels.shape[:2]) >= 8


@SHORT
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"GIF89a", b"BM"]),
)
def test_any_bytes(data: bytes, magic: bytes):
    with pytest.raises(codec.UnreadableImage) as refused:
        codec.decode_image(magic + data)
    assert is_sentence(str(refused.value))


@SHORT
@given(st.randoms(use_true_random=False))
def test_nearly_zips(tmp_path: Path, rng: random.Random):
    path = tmp_path / "x.zip"
    path.write_bytes(mutated(rng.choice(zips()), rng.choice(zips()), rng))
    try:
        source = ingest.open_zip_or_folder(path)
    except UnreadableSource as error:
        assert is_sentence(str(error))
        return
    planned = ingest.plan(source)
    items, entries = planned.items, list(planned.entries)
    for item in items:
        entries.extend(ingest.read(source, item).entries)
    source.close()
    assert len({entry.name for entry in entries}) == len(entries)
    assert all(entry.name and (entry.taken or is_sentence(entry.reason)) for entry in entries)


@SHORT
@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.uint16, np.int16, np.uint32, np.int32, np.uint8]),
        st.sampled_from([(9, 8), (8, 9, 3)]),
    )
)
@example(np.full((9, 8), np.finfo(np.float64).max))
@example(np.full((9, 8), -1, np.float16))
@example(np.array([np.finfo(np.float32).max, np.finfo(np.float32).min] * 36, np.float32).reshape(9, 8))
@example(np.array([np.inf, -np.inf, 0] * 72, np.float32).reshape(8, 9, 3))
def test_any_numbers_are_a_picture(values: np.ndarray):
    data = tiff(values, photometric="rgb" if values.ndim == 3 else "minisblack")
    assert codec.decode_image(data).shape == (*values.shape[:2], 3)
    assert read_truth(data).values.shape == values.shape[:2]


@SHORT
@given(st.text(st.characters(exclude_categories=())))
def test_any_name_can_be_shown(name: str):
    text = shown(name)
    assert len(text) <= 500 and len(text.splitlines()) <= 1
    assert shown(text) == text
    text.encode()


FOLDERS = ["a", "A", "images", "masks", "truth", "b", ".", "ä", "labels", "x", "y", "train_masks", "train", "gtFine"]
NAMES = ["a_mask", "a.png", "a_mask_1", "mask_a", "a_color", "a_0000", "a_0001", "1", "scan1", "mask_1", "1st_manual"]
parts = st.sampled_from([*FOLDERS, *NAMES, "cat_masks"])


@SHORT
@given(st.lists(st.lists(parts, min_size=1, max_size=4).map(lambda names: "/".join(names) + ".png"), unique=True))
def test_pairing_accounts_for_every_file_once(names: list[str]):
    found = pair(names)
    images, truths = {one.image for one in found.pairs}, {name for one in found.pairs for name in one.truth}
    left = {entry.name for entry in found.entries}
    assert len(left) == len(found.entries)
    assert images | truths | left == set(names)
    assert not images & truths and not left & (images | truths)


def test_pairing_thousands_of_files_of_one_name():
    """Each truth was once compared with each image: a hundred thousand took hours."""
    names = [
        f"{place}/{kind}/{number}.png" for kind in ("images", "masks") for place in "ab" for number in range(4_000)
    ]
    found = pair(names)
    assert len(found.pairs) == 8_000 and all(len(one.truth) == 1 for one in found.pairs) and not found.entries
    word = "abcdefghijk"
    spellings = [
        "".join(sign.upper() if bits >> at & 1 else sign for at, sign in enumerate(word)) for bits in range(1 << 11)
    ]
    found = pair([f"{kind}/{name}.png" for kind in ("images", "masks") for name in spellings])
    assert len(found.pairs) == len(spellings) and len(found.entries) == len(spellings) - 1


WORST = """
import json, resource, sys, time
from pathlib import Path
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import read_truth
from engine.imaging import codec
from engine.datasets import ingest
from engine.datasets.source import UnreadableSource

def status(what):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(what))

folder = Path(sys.argv[1])
codec.decode_image((folder / "good.png").read_bytes())
codec.decode_image((folder / "odd.tif").read_bytes())
resource.setrlimit(resource.RLIMIT_AS, (int(status("VmSize") + 1500) << 20,) * 2)
for path in sorted(folder.iterdir()):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before, began = status("VmRSS"), time.process_time()
    said = []
    try:
        if path.suffix == ".zip":
            source = ingest.open_zip_or_folder(path)
            planned = ingest.plan(source)
            items, entries = planned.items, list(planned.entries)
            for item in items:
                entries.extend(ingest.read(source, item).entries)
            said = [entry.reason for entry in entries]
            source.close()
        else:
            codec.decode_image(path.read_bytes())
    except (UnreadableSource, codec.UnreadableImage) as error:
        said = [str(error)]
    print(json.dumps([path.name, status("VmHWM") - before, time.process_time() - began, said]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is Linux's to tell")
def test_the_worst_files_in_bounded_memory(tmp_path):
    (tmp_path / "good.png").write_bytes(bad_zips.good())
    (tmp_path / "odd.tif").write_bytes(tiff(picture().astype(np.float32), photometric="rgb"))
    for number, (make, _) in enumerate(bad_images.REFUSED.values()):
        (tmp_path / f"picture {number:02d}.png").write_bytes(make())
    for number, (make, _) in enumerate((bad_zips.TAKES_GOOD | bad_zips.REFUSED).values()):
        (tmp_path / f"zip {number:02d}.zip").write_bytes(make())
    done = subprocess.run(  # the time limit is for what never ends
        [sys.executable, "-c", WORST, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(list(tmp_path.iterdir()))
    growth = {name: mb for name, mb, _, _ in results if mb > GREATEST_GROWTH_MB.get(name.split()[0], 50)}
    assert growth == {}
    assert not [said for _, _, _, reasons in results for said in reasons if "more memory than" in said]


def test_the_list_of_a_zip_is_bounded_before_it_is_read(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(bad_zips.many_entries(50))
    with pytest.raises(UnreadableSource, match="holds 50 files; the limit is 49"):
        ingest.open_zip_or_folder(path, Limits(max_files=49))
