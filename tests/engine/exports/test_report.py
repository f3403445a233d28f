"""The report: whole, small, without a request to anything, and safe with any name."""

import base64
import html
import re
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from markdown_it import MarkdownIt

from engine.core.run_config import PRESETS
from engine.core.run_config_text import ConfigRow
from engine.exports.base import find_format
from engine.exports.formats.report import MISSED, RIGHT, WRONG_CLASS, report
from engine.exports.model_card import model_card
from engine.exports.run_facts import ImageCount, ReportTile, RunFacts, Score, TileRow, story
from engine.exports.svg_chart import Curve, chart, histogram
from engine.imaging.class_confusion import class_confusion

NASTY = "<script>alert(1)</script>\" onload='x' & ‮"


def metrics_of(epoch):
    values = {"loss": 1 / epoch, "val_loss": float("nan"), "dice": 0.9, "val_dice": 0.2 * epoch}
    return values | {"learning_rate": 10.0**-epoch}


def facts(**changes):
    found = RunFacts(
        name="a run",
        dataset="eggs",
        images=10,
        train_images=7,
        validation_images=3,
        trained_on="the mask set 'kmeans'",
        method="kmeans",
        reference="pseudo-label",
        preset="fast",
        weights="ImageNet",
        hardware="2 threads",
        parameters=1234567,
        created_at=datetime(2026, 11, 27, 12, 30, tzinfo=UTC),
        code_version="0.1",
        seconds=61.0,
        ended="All 3 epochs are done.",
        best_epoch=2,
        epochs=3,
        rounds=1,
        scores=(Score("Dice vs truth", 0.5432, "3 validation images; ImageNet weights"),),
        settings=(ConfigRow("Training", "Epochs", "3", "30"), ConfigRow("Training", "Seed", "0", None)),
        metrics={epoch: metrics_of(epoch) for epoch in (1, 2, 3)},
        model=PRESETS["fast"].model,
        data=PRESETS["fast"].data,
    )
    return replace(found, **changes)


def tile(name="egg.jpg"):
    image = np.random.default_rng(0).integers(0, 256, (500, 400, 3)).astype(np.uint8)
    mask = np.zeros((500, 400), np.uint8)
    mask[100:200] = 1
    return ReportTile(name, 0.25, image, mask, 1 - mask)


def test_nothing_in_it_asks_for_anything():
    page = report(facts(), [TileRow("Worst", "Dice vs truth", [tile()])])
    words = re.sub(r"base64,[^\"]+", "", page)
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(|srcset", words)
    assert "default-src 'none'" in page
    assert set(re.findall(r'src="([^"]{0,15})', page)) == {"data:image/webp"}


def test_a_name_cannot_become_markup():
    nasty = facts(name=NASTY, dataset=NASTY, trained_on=NASTY, ended=NASTY)
    page = report(nasty, [TileRow("Worst", "Dice vs truth", [tile(NASTY)])])
    assert "<script" not in page and "onload='" not in page
    assert page.count("&lt;script&gt;") >= 6
    card = model_card(find_format("onnx"), nasty, "")
    assert "\\<script\\>" in card and "<script" not in card.replace("\\<script", "")


@pytest.mark.parametrize(
    "name",
    [NASTY, "<img src=x onerror=alert(1)//> [x](http://evil.example)", "\\<b>", "a\n# b", "`x` &lt;b&gt; ![i](j)"],
)
def test_no_name_on_the_card_is_markdown(name):
    nasty = facts(name=name, dataset=name, trained_on=name, ended=name, classes=("background", name))
    rendered = (
        MarkdownIt("commonmark", {"html": True}).enable("table").render(model_card(find_format("onnx"), nasty, ""))
    )
    assert not re.search(r"<(img|a|b|script|em|code>`?x)\b", rendered)
    assert rendered.count("<h1>") == 1
    assert html.escape(" ".join(name.split()), quote=False) in rendered.replace("&quot;", '"')


def test_every_score_stands_with_its_reference_and_the_encoders_weights():
    page = report(facts(), [])
    assert "Dice vs truth<b>0.543</b><small>3 validation images; ImageNet weights" in page
    assert "Agreement with the pseudo-label (soft Dice)" in page
    assert "how well they were learned, not whether they are right" in page
    assert "Its encoder began from weights learned on ImageNet" in page


def test_the_story_follows_from_the_numbers():
    sentences = " ".join(story(facts()))
    assert "best epoch is 2 of 3: agreement with the pseudo-label (soft Dice) of 0.400" in sentences
    assert "better on the images it learned from (0.900) than on those it never saw (0.400)" in sentences
    even = facts(metrics={2: {"dice": 0.41, "val_dice": 0.4}})
    assert "about as well on the images it learned from (0.410) as on those" in " ".join(story(even))
    truth = " ".join(story(facts(reference="truth", weights="")))
    assert "truth masks of 'eggs'" in truth and "pseudo" not in truth and "random weights" in truth


def test_a_run_that_has_nothing_yet_has_a_report_too():
    page = report(facts(metrics={}, scores=(), best_epoch=None, epochs=0, ended="", seconds=None), [])
    assert "No score is known yet." in page and "<svg" not in page


@pytest.mark.parametrize("kind", ["keras", "savedmodel", "onnx"])
def test_the_card_says_how_to_feed_the_network_and_what_it_is_worth(kind):
    card = model_card(find_format(kind), facts(), "Compared.")
    for words in ("0.5432", "ImageNet weights", "values 0 to 255", "longer side is 256 px", "at least 0.5"):
        assert words in card
    assert "## Limits" in card and "## Licence" in card and "kmeans" in card


def of_classes():
    names = ("background", "egg", "<pan>", "spoon")
    values = {f"{side}{metric}{of}": 0.5 for side in ("", "val_") for metric in ("dice", "iou") for of in ("_1", "_2")}
    return facts(
        reference="truth",
        metrics={epoch: metrics_of(epoch) | values for epoch in (1, 2)},
        classes=names,
        class_colours=("transparent", "#D55E00", "#123456", "#F0E442"),
        confusion=class_confusion(names, [[[0, 0, 50], [1, 1, 30], [1, 2, 10], [2, 2, 20]]]),
    )


def test_classes_have_a_table_curves_in_their_colours_and_a_sentence():
    page = report(of_classes(), [])
    assert "</span>egg</td><td class=number>0.857</td><td class=number>0.750</td><td class=number>1</td>" in page
    assert "</span>spoon</td><td class=number>–</td><td class=number>–</td><td class=number>0</td>" in page
    assert 'style="background:#123456"' in page and "&lt;pan&gt;" in page and "<pan>" not in page
    assert 'class="line" style="color:#123456"' in page and "Soft Dice vs truth of each class, validation" in page
    assert "Its masks confuse most often &lt;pan&gt; for egg (25% of the pixels of egg)." in page
    assert "<th class=number>val_dice of egg</th>" in page and "val_dice_1" not in page


def test_a_run_of_foreground_alone_has_no_classes():
    page = report(facts(), [])
    assert "<h2>Classes</h2>" not in page and "each class" not in page


def test_a_chart_leaves_out_what_is_no_number_and_stays_inside():
    drawn = chart("Loss", [Curve("a", [(1, 2.0), (2, float("nan")), (3, float("inf")), (4, 1.0)], "s0")])
    (path,) = re.findall(r'class="line s0" d="M([^"]+)"', drawn)
    assert len(path.split("L")) == 2 and "nan" not in drawn and "inf" not in drawn
    assert chart("Loss", [Curve("a", [(1, float("nan"))], "s0")]) == ""
    assert "<circle" in chart("One epoch", [Curve("a", [(1, 0.0)], "s0")])
    assert "1e-05" in chart("Rate", [Curve("a", [(1, 1e-3), (500, 1e-5), (1000, 0.0)], "s2")], logarithmic=True)


def pictures_of(page):
    """Return every picture of a report, uint8 RGB (H, W, 3)."""
    data = [base64.b64decode(text) for text in re.findall(r'src="data:image/webp;base64,([^"]+)"', page)]
    return [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for each in data]


def test_a_tile_of_several_classes_shows_them_and_where_they_are_wrong():
    image = np.zeros((200, 200, 3), np.uint8)
    mask, reference = np.zeros((2, 200, 200), np.uint8)
    mask[:100], reference[:50], reference[50:150] = 1, 1, 2  # right, wrong class, missed
    apart = ReportTile("a", 0.5, image, mask, reference, apart=True)
    page = report(of_classes(), [TileRow("Worst", "Dice of classes vs truth", [apart])])
    plain, classes, errors = pictures_of(page)
    assert plain.max() < 10

    def near(pixel, colour):
        return np.abs(pixel.astype(int) - 0.6 * np.array(colour)).max() < 12

    assert near(classes[20, 100], (0xD5, 0x5E, 0)) and near(classes[80, 100], (0xD5, 0x5E, 0))
    assert classes[180, 100].max() < 10
    assert near(errors[20, 100], RIGHT) and near(errors[80, 100], WRONG_CLASS) and near(errors[130, 100], MISSED)
    assert "</span>wrong class" in page
    legend = re.search(r"in the colours of its classes:(.+?), and its mask", page).group(1)
    assert ">egg<" in legend and ">pan<" not in legend
    page = report(of_classes(), [TileRow("Worst", "Dice vs truth", [replace(apart, apart=False)])])
    assert near(pictures_of(page)[2][80, 100], RIGHT) and "wrong class" not in page
    assert "in the colours" not in report(facts(), [TileRow("Worst", "Dice vs truth", [tile()])])


def counts(*numbers, name="image {}.png"):
    return tuple(ImageCount(name.format(index), number, (number, 0)) for index, number in enumerate(numbers))


def test_the_page_of_counts_says_what_was_counted_and_where_most_are():
    page = report(facts(counts=counts(*range(30))), [])
    assert "435 objects in 30 images: 0 to 29 in an image, median 14.5." in page
    assert "Connected components of the run's own masks at threshold 0.5, of at least 10 px², not split" in page
    most, fewest = re.findall(r"<caption>(.+?)</caption>(.+?)</table>", page[page.index("<h2>Objects per image") :])[:2]
    assert most[0] == "Most objects" and fewest[0] == "Fewest objects"
    listed = [re.findall(r"image (\d+)\.png</td><td class=number>(\d+)<", table) for _, table in (most, fewest)]
    assert listed == [[(str(n), str(n)) for n in range(29, 19, -1)], [(str(n), str(n)) for n in range(10)]]


def test_few_images_are_listed_once_with_their_classes_and_no_markup():
    page = report(of_classes(), [])
    assert "Objects per image" not in page
    page = report(replace(of_classes(), classes=("background", "egg", "<b>"), counts=counts(2, 7, name=NASTY)), [])
    (table,) = re.findall(r"<caption>All images</caption>(.+?)</table>", page)
    assert "<th class=number>egg</th><th class=number>&lt;b&gt;</th>" in table and "<script" not in page
    assert table.index("<td class=number>7</td><td class=number>7</td><td class=number>0</td>") < table.index(">2<")


@pytest.mark.parametrize(
    "values", [[0], [3, 3, 3], [0, 1, 1, 2], list(range(95)), [0, 12_345], [7] * 1000 + [1_000_000]]
)
def test_the_bars_of_a_histogram_hold_every_value_once(values):
    drawn = histogram("Objects", values, "objects", "images")
    bars = re.findall(r'height="([0-9.]+)"><title>([\d,]+)(?: to ([\d,]+))?: ([\d,]+) images', drawn)
    ranges = [[int(each.replace(",", "")) for each in (low, high or low, often)] for _, low, high, often in bars]
    assert [often for _, _, often in ranges] == [sum(low <= v <= high for v in values) for low, high, _ in ranges]
    assert sum(often for _, _, often in ranges) == len(values) and len(bars) <= 21
    assert all((float(bar[0]) > 0) == (often > 0) for bar, (_, _, often) in zip(bars, ranges, strict=True))


def test_without_values_there_is_no_histogram():
    assert histogram("Objects", [], "objects", "images") == ""
