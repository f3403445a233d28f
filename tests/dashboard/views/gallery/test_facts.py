"""The gallery's arrangement against scores recomputed from the stored masks, and the origin of masks."""

from datetime import timedelta

import numpy as np
import pytest

from dashboard.facts.scores import iou_from_dice, read_scores
from dashboard.views.gallery import facts as gallery
from dashboard.views.gallery import order as gallery_order
from dashboard.views.gallery.order import Choice
from db import predictions, rounds, runs
from db.columns import utc_now
from db.models import Image, Label, Prediction, PredictionSet
from db.submissions import submit_predict
from engine.imaging import codec, metrics
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run, truth_of


@pytest.fixture
def predicted(installation):
    dataset = add_discs(installation, 12)
    run = add_run(installation, dataset, "run", label_set_id=add_label_set(installation, dataset))
    with installation.database.reading() as session:
        origin = gallery.source(session, run.id, utc_now(), 60)
        return installation, dataset, origin, read_scores(session, origin.prediction_set_id)


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.5, 0.89, 1.0])
def test_scores_at_any_threshold_are_those_of_the_masks_themselves(predicted, threshold):
    installation, dataset, origin, table = predicted
    for row, image_id in enumerate(table.image_ids):
        levels = codec.decode_png(installation.files.read(stored.prediction_key(origin.prediction_set_id, image_id)))
        mask, truth = metrics.to_mask(levels, threshold), truth_of(installation, dataset, image_id)
        label = codec.decode_png(installation.files.read(stored.label_key(origin.label_set_id, image_id))) > 127
        assert table.scores("truth", threshold)[row] == pytest.approx(metrics.dice(mask, truth), abs=1e-6)
        assert table.scores("label", threshold)[row] == pytest.approx(metrics.dice(mask, label), abs=1e-6)
        assert table.area(threshold)[row] == pytest.approx(mask.mean(), abs=1e-6)
        assert iou_from_dice(metrics.dice(mask, truth)) == pytest.approx(metrics.iou(mask, truth))


def test_the_least_certain_come_first_and_masks_without_a_map_last(predicted):
    installation, _, origin, _ = predicted
    with installation.database.writing() as session:
        rows = session.query(Prediction).filter_by(prediction_set_id=origin.prediction_set_id)
        unsure = {row.image_id: None if number == 3 else (number * 5 % 12) / 12 for number, row in enumerate(rows)}
        for row in rows:
            row.uncertainty = unsure[row.image_id]
    with installation.database.reading() as session:
        table = read_scores(session, origin.prediction_set_id)
    choice = Choice("truth", sort="Least sure first")
    arranged = gallery_order.arrange(table, choice)
    order = [unsure[table.image_ids[row]] for row in arranged.rows]
    assert order[:-1] == sorted(order[:-1], reverse=True) and order[-1] is None
    shown = gallery.thumbnails(origin, table, arranged, choice, 1)
    assert shown[0].uncertainty == pytest.approx(max(order[:-1]))
    assert f"/uncertainty/{shown[0].image_id}" in shown[0].uncertainty_map
    assert shown[-1].uncertainty_map is None
    assert gallery.detail(table, arranged, choice, shown[0].image_id).uncertainty == shown[0].uncertainty


def test_successes_and_failures_partition_the_scored_images(predicted):
    *_, table = predicted
    for success_from in (0.0, 0.5, 0.8, 1.0):
        choice = Choice("truth", success_from=success_from)
        everything = gallery_order.arrange(table, choice)
        good = gallery_order.arrange(table, Choice("truth", success_from=success_from, show="Successes"))
        bad = gallery_order.arrange(table, Choice("truth", success_from=success_from, show="Failures"))
        assert sorted([*good.rows, *bad.rows]) == sorted(everything.rows)
        assert (len(good.rows), len(bad.rows)) == (everything.successes, everything.failures)
        assert all(everything.scores[good.rows] >= success_from)
        assert all(everything.scores[bad.rows] < success_from)


def test_the_same_rows_follow_the_threshold(predicted):
    *_, table = predicted
    tight = gallery_order.arrange(table, Choice("truth", threshold=0.5, success_from=0.999))
    wide = gallery_order.arrange(table, Choice("truth", threshold=0.3, success_from=0.999))
    assert tight.successes == 2 and wide.successes == 0  # at 0.3 every mask has its border, also the two exact ones
    assert tight.mean_score != pytest.approx(wide.mean_score)


def test_sorting(predicted):
    *_, table = predicted
    worst = gallery_order.arrange(table, Choice("truth"))
    best = gallery_order.arrange(table, Choice("truth", sort="Best first"))
    assert np.all(np.diff(worst.scores[worst.rows]) >= 0)
    assert np.all(np.diff(best.scores[best.rows]) <= 0)
    names = [table.names[row] for row in gallery_order.arrange(table, Choice("truth", sort="Name")).rows]
    assert names == [f"disc {number}.png" for number in range(12)]  # 2 before 10
    area = table.area(0.3)[gallery_order.arrange(table, Choice("truth", threshold=0.3, sort="Largest area")).rows]
    assert np.all(np.diff(area) <= 0)


def test_split_and_search(predicted):
    *_, table = predicted
    held_out = gallery_order.arrange(table, Choice("truth", split="Validation"))
    assert {table.names[row] for row in held_out.rows} == {f"disc {number}.png" for number in (0, 3, 6, 9)}
    assert held_out.successes + held_out.failures == 4
    found = gallery_order.arrange(table, Choice("truth", search=" DISC 1"))
    assert {table.names[row] for row in found.rows} == {"disc 1.png", "disc 10.png", "disc 11.png"}
    assert len(gallery_order.arrange(table, Choice("truth", search="no such")).rows) == 0
    assert gallery_order.arrange(table, Choice("truth", search="no such")).mean_score is None


def test_dropped_images_can_be_shown_alone(predicted):
    installation, _, origin, table = predicted
    with installation.database.writing() as session:
        session.get_one(Prediction, (origin.prediction_set_id, table.image_ids[5])).split = "dropped"
    with installation.database.reading() as session:
        table = read_scores(session, origin.prediction_set_id)
    dropped = gallery_order.arrange(table, Choice("truth", split="Dropped"))
    assert [table.image_ids[row] for row in dropped.rows] == [table.image_ids[5]]


def test_search_folds_case_in_every_script(installation):
    dataset = add_discs(installation, 2)
    run = add_run(installation, dataset, "run")
    with installation.database.writing() as session:
        session.query(Image).filter_by(name="disc 1.png").one().name = "ÄPFEL Груши.png"
    with installation.database.reading() as session:
        table = read_scores(session, runs.own_prediction_set(session, run).id)
    for search in ("äpfel", "ГРУШИ"):
        assert [table.names[row] for row in gallery_order.arrange(table, Choice("truth", search=search)).rows] == [
            "ÄPFEL Груши.png"
        ]


def test_images_without_a_reference_are_neither_success_nor_failure_and_come_last(installation):
    dataset = add_discs(installation, 4)
    with installation.database.writing() as session:
        session.query(Image).filter_by(name="disc 0.png").one().has_truth = False
    run = add_run(installation, dataset, "run")
    with installation.database.reading() as session:
        origin = gallery.source(session, run.id, utc_now(), 60)
        table = read_scores(session, origin.prediction_set_id)
    for sort in ("Worst first", "Best first"):
        choice = Choice("truth", sort=sort)
        arrangement = gallery_order.arrange(table, choice)
        last = gallery.thumbnails(origin, table, arrangement, choice, 1)[-1]
        assert (last.name, last.score, last.success, last.reference) == ("disc 0.png", None, None, None)
        assert (arrangement.unscored, arrangement.successes + arrangement.failures) == (1, 3)
    assert table.references == ("truth",)


def test_pages_hold_48_and_know_where_an_image_is(installation):
    run = add_run(installation, add_discs(installation, 50), "run")
    with installation.database.reading() as session:
        origin = gallery.source(session, run.id, utc_now(), 60)
        table = read_scores(session, origin.prediction_set_id)
    choice = Choice("truth", sort="Name")
    arrangement = gallery_order.arrange(table, choice)
    assert arrangement.pages == 2
    assert [len(gallery.thumbnails(origin, table, arrangement, choice, page)) for page in (1, 2, 3)] == [48, 2, 0]
    assert [arrangement.page_of(int(arrangement.rows[place])) for place in (0, 47, 48)] == [1, 1, 2]


def test_detail_knows_its_neighbours_in_the_order(predicted):
    *_, table = predicted
    choice = Choice("truth", threshold=0.5, success_from=0.8, show="Failures")
    arrangement = gallery_order.arrange(table, choice)
    ids = [table.image_ids[row] for row in arrangement.rows]
    first, second = (gallery.detail(table, arrangement, choice, id_) for id_ in ids[:2])
    assert (first.previous_id, first.next_id, first.position, first.total) == (None, ids[1], 0, len(ids))
    assert second.previous_id == ids[0]
    assert gallery.detail(table, arrangement, choice, ids[-1]).next_id is None
    assert set(first.dice) == {"truth", "label"} and first.success is False
    outside = gallery.detail(table, arrangement, choice, (set(table.image_ids) - set(ids)).pop())
    assert (outside.position, outside.previous_id, outside.next_id) == (None, None, None)
    assert gallery.detail(table, arrangement, choice, "0" * 32) is None


def test_the_source_names_recipe_and_job(predicted):
    installation, dataset, origin, _ = predicted
    assert (origin.dataset_name, origin.label_set_name, origin.recipe) == ("discs", "recipe", "kmeans")
    assert (origin.predicted, origin.image_count, origin.job) == (12, 12, None)
    with installation.database.writing() as session:
        submit_predict(session, origin.run_id, dataset.id)
    with installation.database.reading() as session:
        again = gallery.source(session, origin.run_id, utc_now() + timedelta(minutes=2), 60)
        assert again.job.status == "queued"
        assert gallery.source(session, "0" * 32, utc_now(), 60) is None


def test_runs_with_predictions_come_first(installation):
    dataset = add_discs(installation, 2)
    add_run(installation, dataset, "old but predicted")
    add_run(installation, dataset, "new", shifts_px=())
    with installation.database.reading() as session:
        choices = gallery.run_choices(session)
    assert [(choice.name, choice.predicted) for choice in choices] == [("old but predicted", True), ("new", False)]


def test_archived_runs_are_no_choices_unless_the_address_names_them(installation):
    dataset = add_discs(installation, 2)
    kept, away = add_run(installation, dataset, "kept"), add_run(installation, dataset, "away")
    with installation.database.writing() as session:
        runs.mark(session, [away.id], archived=True)
    with installation.database.reading() as session:
        assert [choice.name for choice in gallery.run_choices(session)] == ["kept"]
        assert {choice.id for choice in gallery.run_choices(session, away.id)} == {kept.id, away.id}


def test_a_set_is_read_in_parts_as_it_is_read_at_once(predicted, monkeypatch):
    installation, _, origin, table = predicted
    with installation.database.writing() as session:
        rows = session.query(Prediction).filter_by(prediction_set_id=origin.prediction_set_id).all()
        rows[4].truth_counts, rows[4].truth_dice = None, None
        rows[7].label_counts = rows[7].truth_counts = None
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", 5)
    with installation.database.reading() as session:
        again = read_scores(session, origin.prediction_set_id)
    assert again.image_ids == table.image_ids and again.sizes == table.sizes
    without = {rows[4].image_id, rows[7].image_id}
    for row, image_id in enumerate(table.image_ids):
        same = np.array_equal(again.dice["truth"][row], table.dice["truth"][row])
        assert same == (image_id not in without)
    bare = again.index[rows[7].image_id]
    assert np.isnan(again.dice["label"][bare]).all() and set(again.areas[bare]) == {np.float32(rows[7].area)}


def test_tile_and_detail_compare_teacher_and_network(predicted):
    installation, _, origin, table = predicted
    truth = table.scores("truth", 0.5)
    with installation.database.writing() as session:
        for label in session.query(Label):
            label.dice = 0.5 if label.image_id == table.image_ids[0] else None
        session.get_one(Prediction, (origin.prediction_set_id, table.image_ids[0])).flip_agreement = 0.25
    with installation.database.reading() as session:
        table = read_scores(session, origin.prediction_set_id)
    choice = Choice("truth", sort="Network beats label first")
    arranged = gallery_order.arrange(table, choice)
    first, second = gallery.thumbnails(origin, table, arranged, choice, 1)[:2]
    assert first.image_id == table.image_ids[0] and second.note == ""
    assert first.note == f"network {truth[0]:.3f}, label 0.500"
    assert "/truth/" in first.truth.levels and "/labels/" in first.label.levels and first.reference == first.truth
    detail = gallery.detail(table, arranged, choice, first.image_id)
    assert (detail.teacher_dice, detail.flip_agreement) == (0.5, 0.25) and detail.lead == pytest.approx(truth[0] - 0.5)
    assert detail.signals["mirror"] == pytest.approx(0.75) and 0 < detail.suspicion < 1
    other = gallery.detail(table, arranged, choice, second.image_id)
    assert (other.teacher_dice, other.lead, other.flip_agreement) == (None, None, None)


@pytest.mark.parametrize(
    ("sort", "words"),
    [
        ("Least like its label first", "agreement with its label 0."),
        ("Unusual area first", "typical "),
        ("Suspicious first", " "),
        ("Name", ""),
    ],
)
def test_a_tile_explains_its_position(predicted, sort, words):
    *_, origin, table = predicted
    choice = Choice("truth", sort=sort)
    note = gallery.thumbnails(origin, table, gallery_order.arrange(table, choice), choice, 1)[0].note
    assert words in note and bool(words) == bool(note)


def origin_of(installation, run, **values):
    with installation.database.writing() as session:
        found = session.query(PredictionSet).filter_by(run_id=run.id).one()
        for name, value in values.items():
            setattr(found, name, value)
        return gallery.mask_origin(session, found.id)


def test_the_origin_of_a_run_trained_on_labels_names_its_recipe_with_its_changes(installation):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset, "teachers"))
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={"weights": "MobileNetV2 encoder: ImageNet"})
    found = origin_of(installation, run, flips=True, refine="guided_filter")
    assert found.network == "preset fast · best epoch 3 · ImageNet weights"
    assert found.prediction == "averaged over flips, refined with guided filter"
    assert found.recipe.endswith(": defaults") or "clusters 4" in found.recipe
    assert found.classes == ("background", "foreground")


def test_the_origin_says_how_much_of_a_mask_is_the_label(installation):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset, "teachers"))
    found = {}
    for share in (0.5, 1.0):
        with installation.database.writing() as session:
            runs.update_run(session, run.id, details={rounds.LABEL_SHARE: share})
        found[share] = origin_of(installation, run, flips=True).prediction
    assert found[0.5] == "averaged over flips, 50% the labels that it was trained on"
    assert found[1.0] == "the labels that it was trained on"


def test_the_origin_of_a_run_trained_on_truth_has_no_recipe(installation):
    run = add_run(installation, add_discs(installation, 3), "r")
    found = origin_of(installation, run)
    assert found.recipe == ""
    assert found.prediction == "without averaging or refinement"
    assert "weights" not in found.network


def test_a_deleted_set_has_no_origin(installation):
    with installation.database.reading() as session:
        assert gallery.mask_origin(session, "0" * 32) is None
