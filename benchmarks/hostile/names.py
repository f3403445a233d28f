"""Attempts with names that HTML, Markdown, SQL, a spreadsheet, a template or a terminal would take for its own."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from markdown_it import MarkdownIt

from benchmarks.hostile.rig import Outcome, Rig, Web, statuses, tried, web
from dashboard.facts import urls
from db.models import Image, ImportEntry
from engine.store import keys as stored
from tests.assets.bad_files import encoded, picture, zipped
from tests.support.installation import Installation, add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.small_installation import opened

EVIL = "evil.example"


def evil_names(rng: random.Random) -> list[str]:
    """Return names that HTML, Markdown, SQL, a spreadsheet, a template or a terminal would take for its own."""
    n = rng.randrange(1000)
    return [
        *(f"<img src=x onerror=alert({n})>", f'"><script src=//{EVIL}/{n}.js></script>'),
        *(f"</title><svg onload=alert({n})>",),
        *(f"[x{n}](http://{EVIL})", f"![x{n}](http://{EVIL}/x.png)", f"<http://{EVIL}/{n}>"),
        *(f"http://{EVIL}/{n} www.{EVIL}",),
        *(f'=HYPERLINK("http://{EVIL}/{n}")', f"@SUM({n})", f"+{n}+1", f"-{n}+1", f"\t={n}", f"  '={n}"),
        *(f"＝{n}",),
        *(f"'; DROP TABLE runs; -- {n}", f"%' OR 1=1 -- {n}", f"{{{{{n}*7}}}}", f"${{{n}*7}}"),
        *(f"{{0.__class__}}{n}", f"%s%s%n{n}"),
        *(f":material/delete: {n}", f":red[x{n}] **b** ~~c~~", f"$x^2${n}", f"photo{n}\u202egnp.exe"),
        *(f"a{n}\nb\rc", f"\x1b[31m{n}\x07"),
        *(f"&lt;b&gt;{n}", f"`code{n}`", f"| a | b{n} |", f"# x{n}", f"<!-- {n}", f"]]>{n}"),
        *("é" * 190 + str(n), f"../../x{n}", f"CON{n}"),
        *(f"\\{n}\\", f"[^{n}]: x", f"- [ ] {n}", f"<details open ontoggle=alert({n})>", f"{n}\u2028{n}"),
        *(f'"{n}",=1', f"javascript:alert({n})"),
    ]


def injection(rig: Rig) -> Iterator[Outcome]:
    """Names of datasets, mask sets, runs and files, and everything that shows them."""
    root = rig.copy("names")
    installation = opened(root)
    named: dict[str, dict[str, str]] = {}
    for name in evil_names(rig.rng):
        dataset = add_discs(installation, 2, name)
        _name_files(installation, dataset.id, name)
        label_set = add_label_set(installation, dataset, f"{name} masks"[:200])
        run = add_run(installation, dataset, f"{name} run"[:200], label_set_id=label_set, shifts_px=(0, 2)).id
        installation.files.write(stored.best_model_key(run), zipped({"model": b"stands for a network"}))
        named[name] = {"dataset": dataset.id, "label_set": label_set, "run": run}
    installation.database.close()
    for name, ids in named.items():
        yield tried(f"commands: {name!r}"[:90], _commands_show, rig, root, ids)
    yield tried("imports of files with these names", _import_names, rig, root, list(named))
    with web(root) as app:
        for name, ids in named.items():
            yield tried(f"downloads: {name!r}"[:90], _downloads_show, app, ids)
        app.remember_rows()
    for number, (name, ids) in enumerate(rig.rng.sample(list(named.items()), 8)):
        page, query = _PAGES[number % len(_PAGES)]
        words = {key: ids[value] for key, value in query.items()}
        yield tried(f"page {page}: {name!r}"[:90], _page, rig, page, words, root)
    yield "the doctor afterwards", rig.doctor(root)


def _name_files(installation: Installation, dataset_id: str, name: str) -> None:
    """Give the images of a dataset names that are nearly this one; an import leaves no control characters in them."""
    visible = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e]", "_", name)
    with installation.database.writing() as session:
        for table in (Image, ImportEntry):
            for number, row in enumerate(session.query(table).filter_by(dataset_id=dataset_id)):
                row.name = f"{visible} {number}.png"


_PAGES: tuple[tuple[str, dict[str, str]], ...] = (
    *(("home", {}), ("datasets", {"dataset": "dataset"}), ("measure", {"dataset": "dataset"})),
    ("runs", {"run": "run"}),
    *(("gallery", {"run": "run"}), ("compare", {}), ("train", {"dataset": "dataset"}), ("predict", {"run": "run"})),
)


def _commands_show(rig: Rig, root: Path, ids: dict[str, str]) -> list[str]:
    out = root.parent / "out"
    out.mkdir(exist_ok=True)
    broken = rig.command("images", ids["dataset"], root=root).broken(fails=False)
    said = rig.command("export", ids["run"], "--format", "report", "--out", out / "r.html", root=root)
    broken += said.broken(fails=False) + _html_faults((out / "r.html").read_text("utf-8"))
    said = rig.command("export", ids["label_set"], "--labels", "--format", "coco", "--out", out / "c.json", root=root)
    broken += said.broken(fails=False)
    json.loads((out / "c.json").read_text("utf-8"))
    said = rig.command("export", ids["label_set"], "--labels", "--format", "yolo", "--out", out / "y.zip", root=root)
    broken += said.broken(fails=False) + _zip_faults((out / "y.zip").read_bytes())
    broken += _card_faults(root, ids["run"])
    shutil.rmtree(out)
    return broken


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        live = tag in ("script", "iframe", "object", "embed", "form", "a")
        live |= any(name.startswith("on") or (name != "alt" and EVIL in (value or "")) for name, value in attrs)
        live |= tag == "img" and not (dict(attrs).get("src") or "").startswith("data:image/")
        self.faults += [f"live HTML: <{tag} {attrs}>"[:150]] if live else []


def _html_faults(text: str) -> list[str]:
    tags = _Tags()
    tags.feed(text)
    return tags.faults[:1]


def _markdown_faults(text: str) -> list[str]:
    tokens = [each for token in MarkdownIt().parse(text) for each in [token, *(token.children or [])]]
    live = [each for each in tokens if each.type.startswith(("html", "image")) or EVIL in str(each.attrs)]
    return [f"live Markdown: {each.content or each.attrs}"[:150] for each in live][:1]


def _card_faults(root: Path, run_id: str) -> list[str]:
    from engine.exports.base import ModelFormat, find_format
    from engine.exports.job import _run_rows
    from engine.exports.model_card import model_card
    from engine.exports.sources import run_facts

    installation = opened(root)
    what = find_format("keras")
    assert isinstance(what, ModelFormat)
    try:
        context: Any = SimpleNamespace(reading=installation.database.reading)
        return _markdown_faults(model_card(what, run_facts(_run_rows(context, run_id)), "It was compared."))
    finally:
        installation.database.close()


def _csv_faults(text: str) -> list[str]:
    cells = [cell for line in csv.reader(io.StringIO(text.lstrip("\ufeff"), newline="")) for cell in line]
    live = [cell for cell in cells if _FORMULA.match(cell) and not _is_number(cell)]
    return [f"a formula: {cell[:80]!r}" for cell in live][:1]


_FORMULA = re.compile(r"""(?!')[ \u00a0'"]*[=+\-@\t\r\n＝＋－＠]""")
"""Not the product's own rule: that one could be wrong."""


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(float(text)) or True
    return False


def _zip_faults(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        tables = [archive.read(name).decode("utf-8") for name in names if name.endswith(".csv")]
    odd = [
        name
        for name in names
        if name.startswith("/") or ".." in name.split("/") or re.search(r"[\\\x00-\x1f\u202a-\u202e:]", name)
    ]
    return [f"a name in the zip: {name!r}" for name in odd[:1]] + [
        fault for table in tables for fault in _csv_faults(table)
    ]


def _import_names(rig: Rig, root: Path, names: list[str]) -> list[str]:
    folder = rig.place / "named" / "images"
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        file = name.replace("/", "∕").encode()[:200].decode(errors="ignore")
        (folder / f"{file}.png").write_bytes(encoded(picture(seed=number)))
    broken = rig.command("import", folder.parent, "--name", "named files", root=root).broken(fails=False)
    broken += rig.command("images", "named files", root=root).broken(fails=False)
    return broken + rig.command("audit", "named files", root=root).broken(fails=False)


def _downloads_show(app: Web, ids: dict[str, str]) -> list[str]:
    broken = []
    for address in (
        urls.import_report_csv(ids["dataset"]),
        urls.scores_csv("label_set", ids["label_set"]),
        urls.metrics_csv(ids["run"]),
        urls.masks_zip("label_set", ids["label_set"], kind="cutouts"),
        urls.corrections_zip(ids["dataset"]),
    ):
        answer = app.send(app.request("GET", address, "Accept-Encoding: identity"))
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            body = _unchunked(body)
        broken += [] if statuses(answer) == [200] else [f"{address}: {statuses(answer)}"]
        broken += _zip_faults(body) if ".zip" in address else _csv_faults(body.decode("utf-8"))
        disposition = re.findall(rb"(?im)^content-disposition: (.*)\r?$", head)
        if len(disposition) != 1 or not re.fullmatch(rb"attachment; filename\*?=[\w'%.\-~\"]+", disposition[0].strip()):
            broken.append(f"the name of the download: {disposition}")
        broken += app.broken(b"", same_rows=False)
    return broken + _bug_report_faults(app, ids)


def _bug_report_faults(app: Web, ids: dict[str, str]) -> list[str]:
    """Return which names people gave the report of an export of this run has."""
    with contextlib.closing(sqlite3.connect(f"{(app.root / 'app.db').as_uri()}?mode=ro", uri=True)) as database:
        (job,) = database.execute("SELECT id FROM jobs WHERE payload LIKE ?", (f"%{ids['run']}%",)).fetchone()
        given = [
            database.execute(f"SELECT name FROM {kind}s WHERE id = ?", (id_,)).fetchone()[0]
            for kind, id_ in ids.items()
        ]
    answer = app.send(app.request("GET", urls.bug_report(job), "Accept-Encoding: identity"))
    with zipfile.ZipFile(io.BytesIO(answer.partition(b"\r\n\r\n")[2])) as archive:
        texts = {name: archive.read(name).decode("utf-8") for name in archive.namelist()}
    forms = {
        form for name in given for form in (name, json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1])
    }
    return [f"{form!r} in {name} of the bug report" for name, text in texts.items() for form in forms if form in text][
        :1
    ]


def _unchunked(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        found, body = found + rest[:length], rest[length + 2 :]
        if not length:
            break
    return found


def _page(rig: Rig, page: str, query: dict[str, str], root: Path) -> list[str]:
    shown = rig.page(page, query, root)
    broken = [f"the page failed: {each}"[:200] for each in shown["exceptions"]]
    return broken + [fault for text in shown["markdown"] for fault in _markdown_faults(text)][:1]
