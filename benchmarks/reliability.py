"""What is tested of reliability, kind by kind: runs those tests and prints a table for docs/reliability.md.

    python -m benchmarks.reliability [--only uploads] [--json]

Faults that are injected into an installation at work have a command of their own, benchmarks.faults, and so has the
search for files that break an import, benchmarks.fuzz.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tests.assets import bad_images, bad_names, bad_zips

ROOT = Path(__file__).resolve().parents[1]
WAYS = 3
"""A server's folder, a zip, and files from the browser."""


@dataclass(frozen=True)
class Group:
    """Tests of one kind. `holds` says how much a few of them hold that one test goes through."""

    kind: str
    what: str
    tests: tuple[str, ...]
    holds: str = ""


UPLOADS = "tests/dashboard/server/test_bad_uploads.py"
ACCESS = "tests/dashboard/access"
GROUPS = (
    Group(
        "uploads",
        "pictures with lying headers, bombs, odd depths, damaged; by folder, zip and browser",
        (f"{UPLOADS}::test_every_picture_has_its_line_and_nothing_else_is_touched",),
        f"{len(bad_images.TAKEN)} odd ones taken and {len(bad_images.REFUSED)} bad ones refused, {WAYS} ways each",
    ),
    Group(
        "uploads",
        "names with HTML, quotes, newlines, control characters, right-to-left marks, 255 bytes, reserved ones",
        (f"{UPLOADS}::test_odd_names_are_text_and_no_file_is_lost", "tests/browser/test_odd_names.py"),
        f"{len(bad_names.NAMES)} names, {WAYS} ways each, and on every page",
    ),
    Group(
        "uploads",
        "zips that leave their folder, link, nest, bomb, overlap, lie, are encrypted or cut off",
        (
            f"{UPLOADS}::test_the_good_picture_in_a_bad_zip_is_taken",
            f"{UPLOADS}::test_a_zip_that_cannot_be_trusted_as_a_whole_is_refused_with_a_sentence",
            f"{UPLOADS}::test_bad_zips_in_an_upload_leave_the_rest",
            f"{UPLOADS}::test_zips_of_one_name_in_an_upload_lose_nothing",
        ),
        f"{len(bad_zips.TAKES_GOOD)} from which the good picture is taken, {len(bad_zips.REFUSED)} refused whole",
    ),
    Group(
        "uploads",
        "links, devices and pipes in a folder; files that change while they are read; too many files",
        (
            f"{UPLOADS}::test_links_that_leave_the_folder_are_not_followed",
            f"{UPLOADS}::test_a_file_that_becomes_something_else_after_it_was_listed",
            f"{UPLOADS}::test_an_upload_of_more_files_than_an_import_may_have",
        ),
    ),
    Group(
        "uploads",
        "bytes, pictures, zips and names that hypothesis makes up; memory of the worst files",
        ("tests/engine/datasets/test_nearly_files.py",),
    ),
    Group(
        "uploads",
        "any image that is taken gets a mask and a quality from every method",
        ("tests/contracts/test_bad_images.py",),
    ),
    Group(
        "exports", "cells of tables that begin like a formula become text", ("tests/dashboard/server/test_exports.py",)
    ),
    Group(
        "models",
        "stored models and weights that hold code, other people's classes, links or false sizes",
        ("tests/engine/network/test_stored_files.py",),
    ),
    Group(
        "access",
        "every route and page refuses strangers; roles, cookies, tokens, other sites, other names",
        (ACCESS,),
    ),
    Group(
        "access",
        "a real login at a real provider, a token, and the content policy in a browser",
        ("tests/browser/test_login.py", "tests/browser/test_token.py", "tests/browser/test_policy.py"),
    ),
    Group(
        "care",
        "back-up of an installation at work, restored, opened and resumed; back-ups that were cut or changed",
        ("tests/engine/care/test_backup.py", "tests/browser/test_care.py"),
    ),
    Group("care", "check-up and repair", ("tests/engine/care/test_doctor.py",)),
    Group(
        "limits",
        "memory of a job, a full disk, and a worker that is killed",
        (
            "tests/engine/work/test_memory_watch.py",
            "tests/engine/work/test_worker.py",
            "tests/faults/test_training_faults.py",
        ),
    ),
    Group("logs", "four processes, one log; secrets stay out of it", ("tests/engine/core/test_logs.py",)),
    Group("logs", "what a bug report holds and does not hold", ("tests/dashboard/server/test_bug_reports.py",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted({group.kind for group in GROUPS}), default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measured(group) for group in GROUPS if arguments.only in (None, group.kind)]
    if arguments.json:
        print(json.dumps(rows))
    else:
        print("| Kind | What | Cases passed | Of them | Seconds |\n|---|---|---|---|---|")
        for row in rows:
            passed = f"{row['passed']} of {row['cases']}"
            print(f"| {row['kind']} | {row['what']} | {passed} | {row['holds']} | {row['s']:.0f} |")
    sys.exit(any(row["passed"] < row["cases"] for row in rows))


def measured(group: Group) -> dict[str, str | int | float]:
    """Run a group's tests and return how many cases there were and how many passed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *group.tests]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if not report.exists():
            raise SystemExit(f"The tests could not be run:\n{ended.stdout}{ended.stderr}")
        suite = ElementTree.parse(report).getroot().find("testsuite")
    cases, lost = int(suite.get("tests")), sum(int(suite.get(name)) for name in ("failures", "errors", "skipped"))
    if lost:
        print(ended.stdout, file=sys.stderr)
    return {
        "kind": group.kind,
        "what": group.what,
        "holds": group.holds,
        "cases": cases,
        "passed": cases - lost,
        "s": float(suite.get("time")),
    }


if __name__ == "__main__":
    main()
