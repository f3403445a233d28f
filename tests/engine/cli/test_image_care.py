"""`images` on the command line: what is excluded gets no mask, and what is removed leaves no file."""

from __future__ import annotations

from engine.store import keys as stored
from tests.support.installation import add_discs


def test_excluded_images_get_no_mask_until_they_are_included_again(installation, ask, command):
    add_discs(installation, 3)
    name = ask("images", "discs")["images"][0]["name"]
    told = ask("images", "discs", "--exclude", name)["images"]
    assert [image["excluded"] for image in told] == [True, False, False]
    assert ask("label", "discs", "--method", "threshold", "--name", "without")["images"] == 2
    assert not any(image["excluded"] for image in ask("images", "discs", "--include", name)["images"])
    assert ask("label", "discs", "--method", "threshold", "--name", "all")["images"] == 3
    refused = command("images", "discs", "--exclude", "nothing.png")
    assert refused.returncode and "has no image 'nothing.png'" in refused.stderr


def test_an_image_is_removed_only_when_that_is_confirmed(installation, ask, command):
    dataset = add_discs(installation, 2)
    image = ask("images", "discs")["images"][0]
    refused = command("images", "discs", "--remove", image["name"])
    assert refused.returncode and "Add --yes" in refused.stderr
    assert len(ask("images", "discs", "--remove", image["name"], "--yes")["images"]) == 1
    assert not installation.files.exists(stored.image_key(dataset.id, image["id"]))
