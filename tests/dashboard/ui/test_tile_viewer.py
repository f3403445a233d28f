"""A clicked tile in the viewer: its images in their own size, as the grid displays them."""

from dashboard.facts import urls
from dashboard.ui.mask_grid import Tile
from dashboard.ui.tile_viewer import TileLook, panes_of

ID = "0" * 32


def test_a_tile_opens_in_its_own_size_and_side_by_side_with_all_its_parts():
    truth = urls.truth(ID, ID, 192, version=3)
    tile = Tile("a", "a.png", urls.image(ID, ID, 384), urls.label(ID, ID, 192), truth, teacher=urls.label(ID, ID, 384))
    [pane] = panes_of(tile, TileLook(mode="errors"))
    assert (pane.image, pane.mask) == (urls.image(ID, ID), urls.label(ID, ID))
    assert pane.reference == urls.truth(ID, ID, None, version=3)
    assert pane.mode == "errors"
    titles = [pane.title for pane in panes_of(tile, TileLook(mode="side by side"))]
    assert titles == ["Image", "Teacher", "Mask", "Reference"]
