"""The folders of the server that can be chosen: odd names and links hide nothing else."""

from __future__ import annotations

import os

from dashboard.server.server_folders import folder_view


def test_links_and_names_that_cannot_be_shown_do_not_hide_the_others(tmp_path):
    for name in ("a [b]*c*", "👩‍🚀 'x'", "z" * 200):
        (tmp_path / name).mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("z" * 200)
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    (tmp_path / "photo.png").touch()
    found = folder_view(tmp_path)
    assert (set(found.folders), found.images, found.error) == ({"a [b]*c*", "👩‍🚀 'x'", "z" * 200, "linked"}, 1, "")


def test_a_folder_that_cannot_be_read_says_so(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "none", tmp_path / "loop", tmp_path / "a\0b", tmp_path / ("x" * 300)):
        found = folder_view(path)
        assert "cannot be read" in found.error and not found.folders
