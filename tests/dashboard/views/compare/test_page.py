"""The compare page, without a browser."""

from __future__ import annotations

import json

import pytest

from db import datasets, runs
from engine.core.run_config import config_from
from engine.core.settings import settings
from tests.support.installation import add_discs
from tests.support.pages import page_at
from tests.support.predicted import add_label_set, add_run
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes


@pytest.fixture
def page(installation, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(installation.settings.data_root))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings.cache_clear()

    def open_page(**query):
        at = page_at("views/compare/page.py", **query).run()
        assert not at.exception
        return at

    yield open_page
    settings.cache_clear()


def text_of(at):
    return " ".join(element.value for kind in (at.markdown, at.caption, at.info) for element in kind)


def with_curves(at):
    at.session_state["compare-curves-box"] = True
    return at.run()


def test_with_fewer_than_two_runs_the_page_explains_what_to_do(page, installation):
    assert "Nothing to compare yet" in text_of(page())
    add_run(installation, add_discs(installation, 2), "only")
    assert "Only one run yet" in text_of(page())


def test_the_address_chooses_the_runs_and_follows_the_choice(page, installation):
    dataset = add_discs(installation, 4)
    a, b, c = (add_run(installation, dataset, name) for name in "abc")
    at = page(runs=f"{c.id},{a.id}")
    assert at.multiselect(key="compare-runs").value == [c.id, a.id]
    at.multiselect(key="compare-runs").set_value([c.id, a.id, b.id]).run()
    assert not at.exception
    assert at.query_params["runs"] in (f"{c.id},{a.id},{b.id}", [f"{c.id},{a.id},{b.id}"])


def test_numbers_and_differences_are_in_tables(page, installation):
    dataset = add_discs(installation, 4)
    a = add_run(installation, dataset, "a", shifts_px=(0,))
    config = config_from("fast", {"training": {"epochs": 7}})
    b = add_run(
        installation, dataset, "b", label_set_id=add_label_set(installation, dataset), shifts_px=(6,), config=config
    )
    at = page(runs=f"{a.id},{b.id}")
    numbers, differing = (table.value for table in at.table)
    assert list(numbers.columns) == ["a", "b"]
    assert list(numbers.loc["Epochs measured against"]) == ["truth", r"pseudo\-label recipe"]
    truth = numbers.loc["Dice vs truth, 4 shared images"]
    assert truth["a"] == "1.000" and float(truth["b"]) < 0.95
    assert list(differing.index) == ["Trained on", "Training · Epochs"]
    assert "measure different things" in text_of(at)


def test_the_threshold_of_the_address_applies_from_the_start(page, installation):
    dataset = add_discs(installation, 4)
    runs = ",".join(add_run(installation, dataset, name, shifts_px=(0,)).id for name in "ab")
    numbers = page(runs=runs, threshold="0.3").table[0].value
    assert float(numbers.loc["Dice vs truth, 4 shared images", "a"]) < 0.999


def test_the_next_image_is_the_one_with_the_next_largest_disagreement(page, installation):
    dataset = add_discs(installation, 6)
    a = add_run(installation, dataset, "a", shifts_px=(0,))
    b = add_run(installation, dataset, "b", shifts_px=(0, 2, 4, 8, 12, 20))
    at = page(runs=f"{a.id},{b.id}")
    assert "1 of 6 shared images" in text_of(at)
    {button.label: button for button in at.button}["Next"].click().run()
    assert not at.exception
    assert "2 of 6 shared images" in text_of(at)


def test_runs_of_different_datasets_explain_what_cannot_be_compared(page, installation):
    runs = [add_run(installation, add_discs(installation, 3, name=name), name) for name in ("here", "there")]
    text = text_of(page(runs=",".join(run.id for run in runs)))
    assert "different datasets" in text and "share no image" in text


def test_a_run_without_masks_shows_its_curves(page, installation):
    dataset = add_discs(installation, 3)
    runs = [add_run(installation, dataset, "with masks"), add_run(installation, dataset, "without", shifts_px=())]
    at = page(runs=",".join(run.id for run in runs))
    assert "No masks yet of without" in text_of(at) and not at.get("plotly_chart")
    assert len(with_curves(at).get("plotly_chart")) == 1


def test_a_click_in_the_scatter_returns_a_plain_list(page, installation):
    dataset = add_discs(installation, 4)
    runs = ",".join(add_run(installation, dataset, name, shifts_px=(0, 3)).id for name in "ab")
    scatter = page(runs=runs).get("plotly_chart")[-1]
    traces = json.loads(scatter.proto.spec)["data"]
    clickable = [trace["customdata"] for trace in traces if "customdata" in trace]
    assert sorted(image for rows in clickable for (image,) in rows) == [0, 1, 2, 3]


def test_names_are_escaped(page, installation):
    dataset = add_discs(installation, 3)
    names = ("<b>a</b> [x](y)", "*b*")
    at = with_curves(page(runs=",".join(add_run(installation, dataset, name, shifts_px=(0,)).id for name in names)))
    scatter, curves = (json.loads(chart.proto.spec) for chart in at.get("plotly_chart"))
    assert curves["data"][0]["name"].startswith("&lt;b&gt;a&lt;/b&gt; [x](y)")
    assert scatter["layout"]["xaxis"]["title"]["text"] == "A: &lt;b&gt;a&lt;/b&gt; [x](y)"
    assert "\\[x\\]" in text_of(at)


def test_encoder_weights_are_shown_with_the_scores_of_their_run(page, installation):
    dataset = add_discs(installation, 6)
    plain, helped = (add_run(installation, dataset, name) for name in ("plain", "helped"))
    assert not any("Pretrained weights" in table.value.index for table in page().table)
    with installation.database.writing() as session:
        runs.update_run(session, helped.id, details={"weights": "MobileNetV2 encoder: ImageNet"})
    at = page(runs=f"{plain.id},{helped.id}")
    assert dict(at.table[0].value.loc["Pretrained weights"]) == {"plain": "none", "helped": "ImageNet weights"}


def test_the_address_chooses_a_and_b_and_the_better_is_named(page, installation):
    dataset = add_discs(installation, 9)
    exact = add_run(installation, dataset, "exact", shifts_px=(0,))
    moved = add_run(installation, dataset, "moved", shifts_px=(4,))
    third = add_run(installation, dataset, "third", shifts_px=(8,))
    address = ",".join(run.id for run in (exact, moved, third))
    at = page(runs=address)
    assert "A is ahead on **9**, B on **0**" in text_of(at)
    at = page(runs=address, a=third.id, b=exact.id)
    assert (at.selectbox(key="compare-a").value, at.selectbox(key="compare-b").value) == (third.id, exact.id)
    assert "A is ahead on **0**, B on **9**" in text_of(at) and "**B scores" in text_of(at)
    at = page(runs=address, a=third.id, b=exact.id, held="true")
    assert "Of 3 images" in text_of(at) and "too few for a confidence interval" in text_of(at)
    at.selectbox(key="compare-b").set_value(third.id).run()
    assert not at.exception and "A and B are the same run" in text_of(at)


def test_chosen_images_of_the_address_are_the_ones_shown(page, installation):
    dataset = add_discs(installation, 8)
    address = ",".join(
        add_run(installation, dataset, name, shifts_px=(shift,)).id for name, shift in (("a", 0), ("b", 5))
    )
    with installation.database.reading() as session:
        images = [image.id for image in datasets.images(session, dataset.id)]
    at = page(runs=address, picked=f"{images[1]},{images[5]},{'0' * 32}")
    assert "**2 images chosen in the chart**" in text_of(at)
    at.button(key="pair-all").click().run()
    assert not at.exception and "picked" not in at.query_params and "**B worse first**" in text_of(at)
    assert "**B better first**" in text_of(page(runs=address, first="B gained most"))  # its name in older addresses


def test_without_a_common_reference_nobody_wins(page, installation):
    dataset = add_discs(installation, 4)
    address = ",".join(
        add_run(
            installation, dataset, name, label_set_id=add_label_set(installation, dataset, name), score_truth=False
        ).id
        for name in ("first", "second")
    )
    at = page(runs=address)
    assert "neither can win" in text_of(at) and "is ahead" not in text_of(at)
    assert not at.get("plotly_chart")  # no chart of A against B


def test_with_many_runs_the_user_chooses_whose_masks_to_show(page, installation):
    dataset = add_discs(installation, 3)
    made = [add_run(installation, dataset, f"run {number}", shifts_px=(number,)) for number in range(9)]
    address = ",".join(run.id for run in made)
    at = page(runs=address)
    assert at.multiselect(key="compare-panes").value == [run.id for run in made[:6]]
    at.multiselect(key="compare-panes").set_value([made[8].id, made[0].id]).run()
    assert not at.exception
    assert at.query_params["panes"] in (f"{made[8].id},{made[0].id}", [f"{made[8].id},{made[0].id}"])
    at = page(runs=address, panes=f"{made[7].id},{made[2].id}")
    assert at.multiselect(key="compare-panes").value == [made[7].id, made[2].id]
    curves = json.loads(with_curves(at).get("plotly_chart")[-1].proto.spec)["data"]
    looks = {(trace["line"]["color"], trace["line"]["dash"]) for trace in curves}
    assert len(looks) == 9  # colours come again with another dash


def test_all_settings_can_be_shown_and_any_name_is_possible(page, installation):
    dataset = add_discs(installation, 3)
    config = config_from("fast", {"training": {"epochs": 7}})
    names = ("Setting", "Run")
    made = [add_run(installation, dataset, names[0]), add_run(installation, dataset, names[1], config=config)]
    at = page(runs=",".join(run.id for run in made), settings="true")
    every = at.table[1].value
    assert list(every.columns) == list(names) and len(every) > 40
    assert list(every.loc["Training · Epochs"]) == ["30", "7"]


def test_curves_by_minute_spread_the_training_time(page, installation):
    dataset = add_discs(installation, 3)
    made = [add_run(installation, dataset, name, epochs=4) for name in "ab"]
    with installation.database.writing() as session:
        runs.update_run(session, made[0].id, train_seconds=240.0)
        runs.update_run(session, made[1].id, train_seconds=None)
    at = page(runs=",".join(run.id for run in made), x="Minutes")
    (curve,) = json.loads(with_curves(at).get("plotly_chart")[-1].proto.spec)["data"]
    assert curve["x"] == [1, 2, 3, 4]
    assert "Not timed yet: b" in text_of(at)


def test_an_archived_run_is_no_choice_unless_the_address_names_it(page, installation):
    dataset = add_discs(installation, 3)
    made = [add_run(installation, dataset, name) for name in "abc"]
    with installation.database.writing() as session:
        runs.mark(session, [made[0].id], archived=True)
    assert page().multiselect(key="compare-runs").options == ["c", "b"]
    at = page(runs=f"{made[0].id},{made[1].id},{made[0].id}")
    assert at.multiselect(key="compare-runs").value == [made[0].id, made[1].id]
    with installation.database.writing() as session:
        runs.mark(session, [made[1].id], archived=True)
    assert "The other runs are archived" in text_of(page())


def test_classes_are_shown_beside_the_mean_by_name(installation, open_page):
    plates = add_eggs_and_pans(installation, 6)
    several = add_run_of_classes(installation, plates, "several")
    binary = add_run(installation, plates, "binary")
    app = open_page("views/compare/page.py", runs=f"{several.id},{binary.id}")
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if frame.value.index.name == "Class")
    assert list(table.index) == ["egg", "pan"] and list(table.columns) == ["several", "binary"]
    assert table["several"].notna().all() and table["binary"].isna().all()
    captions = "\n".join(caption.value for caption in app.caption)
    assert "2 images held out from all runs" in captions
    assert "over shared images, are those of foreground" in captions
    app.segmented_control(key="class-score").set_value("IoU vs truth").run()
    assert not app.exception
