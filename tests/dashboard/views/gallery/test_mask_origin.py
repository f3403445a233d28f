"""What made a mask, in words."""

from __future__ import annotations

from dashboard.views.gallery.mask_origin import mask_origin
from db import runs
from db.models import PredictionSet
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def origin_of(installation, run, **made):
    with installation.database.writing() as session:
        found = session.query(PredictionSet).filter_by(run_id=run.id).one()
        for name, value in made.items():
            setattr(found, name, value)
        return mask_origin(session, found.id)


def test_a_run_that_labels_taught_names_its_recipe_with_what_was_changed(installation):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset, "teachers"))
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={"weights": "MobileNetV2 encoder: ImageNet"})
    found = origin_of(installation, run, flips=True, refine="guided_filter")
    assert found.network == "preset fast · best epoch 3 · encoder weights: ImageNet"
    assert found.drawing == "averaged over flips, refined with guided filter"
    assert (found.label_set_name, found.dataset_name, found.run_name) == ("teachers", "discs", "r")
    assert found.recipe.endswith(": defaults") or "clusters 4" in found.recipe
    assert found.classes == ("background", "foreground")


def test_a_run_that_truth_taught_has_no_recipe(installation):
    run = add_run(installation, add_discs(installation, 3), "r")
    found = origin_of(installation, run)
    assert (found.label_set_id, found.recipe) == ("", "")
    assert found.drawing == "as the network drew it"
    assert "encoder weights" not in found.network


def test_a_set_that_is_gone_has_no_origin(installation):
    with installation.database.reading() as session:
        assert mask_origin(session, "0" * 32) is None
