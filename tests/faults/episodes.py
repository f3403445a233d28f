"""One fault from beginning to end: a job, a moment, the fault, the check, Resume or Retry, and the check again.

    session = Episodes(rig)
    session.prepare()                        # what the jobs work on, made by jobs without a fault
    outcome = session.run(seed, number, kind, job_kind)

An outcome's `broken` is a list of sentences, empty if the fault was survived.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from db import datasets, recipes, runs, submissions
from db.columns import utc_now
from db.inventory import Inventory
from db.models import Dataset, JobStatus, LabelSet, PredictionSet, Run
from engine.care.checkup import check
from tests.faults import invariants, jobs_at_work
from tests.faults.jobs_at_work import Place, Work, draw_pictures, submit, unfinished
from tests.faults.kinds import Done, Kind, wait_for_moment
from tests.faults.rig import Rig, Stuck
from tests.support.installation import REPOSITORY

MOST_PRESSES = 5
ORPHANS_S = 20.0
AT_REST = ("finished", "failed", "stopped", "lost")
HARMLESS = ("half_written", "orphan")
OUTSIDE = ("home/.keras", "home/.streamlit", "tmp/__autograph_generated_file", "tmp/tmp")
"""What Keras and Streamlit keep in a home folder, and what TensorFlow and Keras leave in TMPDIR when killed."""

CACHED = ("cache/",)
"""A download that was broken off: of an object store, where nothing is half written, and forgotten with time."""

Press = Callable[[Rig, Work], None]


@dataclass
class Outcome:
    """What became of one fault."""

    seed: int
    number: int
    kind: str
    job: str
    moment: str = ""
    fault: str = ""
    state: str = ""
    presses: int = 0
    pressed_by: str = ""
    attempts: int = 0
    seconds: float = 0.0
    sentences: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Episodes:
    """Faults one after the other on one rig, so that damage adds up where there is any."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.place = Place(
            draw_pictures(rig.folder / "pictures", 200, 100), draw_pictures(rig.folder / "more", 12, 400)
        )
        self._base = draw_pictures(rig.folder / "base", jobs_at_work.PICTURES)
        self._works: list[Work] = []
        self._before_all = self._outside()

    def prepare(self, with_run: bool = True) -> list[str]:
        """Import, label and train what the faulty jobs work on; returns what is broken without any fault."""
        base = replace(self.place, pictures=self._base)
        found = submit(self.rig, base, "import", "base", 0)
        self._finished(found)
        self.place = replace(self.place, dataset_id=found.owner_id)
        labels = submit(self.rig, self.place, "label", "base labels", 0)
        works = [found, labels]
        if with_run:
            works.append(submit(self.rig, self.place, "train", "base run", 0))
        for work in works:
            self._finished(work)
        self.place = replace(self.place, label_set_id=labels.owner_id, run_id=works[-1].owner_id if with_run else "")
        return [sentence for work in works for sentence in unfinished(self.rig, work)] + self.check()

    def _finished(self, work: Work) -> None:
        self.rig.until(lambda: self.rig.job(work.job_id).status.ended, f"{work.kind} has ended")
        job = self.rig.job(work.job_id)
        assert job.status == JobStatus.FINISHED, job.error

    def run(
        self, seed: int, number: int, kind: Kind, job_kind: str, press: Press | None = None, short: bool = False
    ) -> Outcome:
        """Inject one fault. `press` goes on with the job in a browser; None calls what the button calls."""
        rng = random.Random(f"{seed}-{number}")
        outcome, began = Outcome(seed, number, kind.name, job_kind), time.monotonic()
        try:
            self._episode(outcome, kind, rng, press, short)
        except Exception as error:  # the faults after it are injected all the same
            outcome.broken.append(f"{type(error).__name__}: {error}")
        outcome.seconds = time.monotonic() - began
        return outcome

    def _episode(self, outcome: Outcome, kind: Kind, rng: random.Random, press: Press | None, short: bool) -> None:
        before = invariants.look(self.rig.root, self.rig.url)
        name, seed = f"{outcome.job} {outcome.seed}-{outcome.number}", 1000 * outcome.seed + outcome.number - 999
        work = submit(self.rig, self.place, outcome.job, name, seed, launch=not kind.app_starts)
        self._works.append(work)
        outcome.moment = wait_for_moment(self.rig, work, rng, kind)
        seen = invariants.look(self.rig.root, self.rig.url)
        done = kind.inject(self.rig, work, rng, short)
        outcome.fault = done.words
        outcome.state = self._settle(work)
        outcome.broken += self.check(done.removed, done.damaged)
        outcome.broken += self._lost(before) + self._lost(seen, self._made_anew(work))
        self._go_on(outcome, work, done, press)
        outcome.attempts = self.rig.job(work.job_id).attempt
        outcome.broken += unfinished(self.rig, work)
        self._bring_back(done)
        # An epoch that is trained twice comes out the same to the last digit, so its numbers must be as they were seen.
        outcome.broken += self.check() + self._lost(before) + self._lost(seen) + self._half_written()
        outcome.broken = list(dict.fromkeys(outcome.broken))  # what is broken twice is told once

    def _settle(self, work: Work) -> str:
        """Wait until it is clear how the job took it: it ended, is shown as lost, or a living process works on it."""
        give_up = time.monotonic() + self.rig.lost_after_s * 2

        def settled() -> str:
            state = self.rig.view(work.job_id).status
            clear = state in AT_REST or (state != "queued" and self.rig.worker_of(work.job_id))
            return state if clear or time.monotonic() > give_up else ""

        return self.rig.until(settled, "the job has settled", every_s=0.2)

    def _go_on(self, outcome: Outcome, work: Work, done: Done, press: Press | None) -> None:
        """Press until the job has finished; what was removed is brought back first if the job says that it needs it."""

        def ended_or_lost() -> str:
            state = self.rig.view(work.job_id).status
            # Taking a job from a worker that lives must go well, too; but on a machine with no time for any worker to
            # give a sign of life, doing so again and again would end none.
            lives = state == "lost" and outcome.presses and self.rig.worker_of(work.job_id)
            return state if state in AT_REST and not lives else ""

        while (state := self.rig.until(ended_or_lost, f"{work.kind} job ends or is lost")) != "finished":
            job = self.rig.job(work.job_id)
            if job.error:
                outcome.sentences.append(job.error)
            if outcome.presses == MOST_PRESSES:
                raise Stuck(f"After {MOST_PRESSES} presses the job is still {state}: {job.error}")
            if state == "failed" and not _is_sentence(job.error):
                outcome.broken.append(f"it failed without a sentence: {job.error!r}")
            if done.removed and state == "failed":
                self._import_again(done.removed)
            outcome.pressed_by = "browser" if press else "its function"
            (press or _call)(self.rig, work)
            outcome.presses += 1

    def _import_again(self, removed: str) -> None:
        """Do what the sentence advises: import the picture again."""
        dataset_id = removed.split("/")[1]
        folder = self._base if dataset_id == self.place.dataset_id else self.place.more
        source = {"kind": "folder", "path": str(folder)}
        job_id = self.rig.submit(lambda session: submissions.submit_more_images(session, dataset_id, source))
        self.rig.until(lambda: self.rig.job(job_id).status.ended, "the picture is imported again")

    def _bring_back(self, done: Done) -> None:
        """Import again what no job had missed."""
        if done.removed and not self.rig.installation.files.exists(done.removed):
            self._import_again(done.removed)

    def _lost(self, before: invariants.Seen, made_anew: Collection[str] = ()) -> list[str]:
        return invariants.lost_rows(before, invariants.look(self.rig.root, self.rig.url), made_anew)

    def _made_anew(self, work: Work) -> set[str]:
        """Return the run if a further attempt trains it: it forgets the epoch after the last checkpoint at first."""
        again = work.kind == "train" and self.rig.job(work.job_id).attempt > 1
        return {work.owner_id} if again else set()

    def check(self, *excused: str) -> list[str]:
        """Return a sentence for each invariant that does not hold now; the files `excused` may be gone or damaged."""
        root, url = self.rig.root, self.rig.url
        found = invariants.broken_database(root, url)
        if found:
            return found
        found += invariants.doubled_rows(root, url)
        said, told = self._doctor(excused)
        found += told + invariants.broken_files(root, said, url, self.rig.stored)
        states = {work.job_id: self.rig.view(work.job_id).status for work in self._works}
        workers = {job_id: self.rig.worker_of(job_id) for job_id in states}
        found += invariants.deserted_jobs(states, workers)
        orphans = self._orphans()
        if orphans:
            found.append(f"processes are left behind: {orphans}")
        base = f"{self.rig.folder}/"
        allowed = [base + place for place in OUTSIDE]
        found += invariants.written_outside(self._before_all, self._outside(), allowed)
        return found

    def _orphans(self) -> list[int]:
        give_up = time.monotonic() + ORPHANS_S
        while self.rig.orphans() and time.monotonic() < give_up:
            time.sleep(0.1)
        return self.rig.orphans()

    def _doctor(self, excused: Collection[str]) -> tuple[set[str], list[str]]:
        """Return which of `excused` the product itself says are gone or damaged, and what else it finds."""
        inventory = Inventory(self.rig.installation.database)
        report = check(inventory, self.rig.installation.files, utc_now(), self.rig.lost_after_s)
        said: set[str] = set()
        told = []
        for finding in report.findings:
            said.update(finding.items)
            if finding.kind in (*HARMLESS, "lost_job"):
                continue
            unexpected = [item for item in finding.items if item not in excused]
            told += [f"doctor: {finding.sentence} {unexpected[:3]}"] if unexpected else []
        return said.intersection(excused), told

    def _half_written(self) -> list[str]:
        """Nothing half written stays once its job has finished, but in what another job is at work on."""
        return invariants.half_written(self.rig.root, CACHED) if not self.rig.workers() else []

    def _outside(self) -> frozenset[str]:
        top = frozenset(str(path) for path in REPOSITORY.iterdir() if not path.name.startswith((".", "__pycache__")))
        return top | invariants.contents(self.rig.folder / "home", self.rig.folder / "tmp")

    def clean_up(self) -> list[str]:
        """Delete what the episodes made, as pages do; the doctor must find nothing then that it cannot mend."""
        try:
            with self.rig.installation.database.writing() as session:
                gone = self._delete(session)
        except datasets.InUse as error:  # by a job that broke: the faults after it go on
            return [f"cannot be deleted: {error}"]
        with self.rig.environment():
            from dashboard.server import resources

            resources.remove_files(gone)
            self._works.clear()
            command = [sys.executable, "-m", "engine", "doctor", "--repair"]
            ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return [] if ended.returncode == 0 else [f"after --repair the doctor still says: {ended.stdout}{ended.stderr}"]

    def _delete(self, session: Session) -> list[tuple[str, str]]:
        place, gone = self.place, []
        for found in session.query(PredictionSet).all():
            if (found.run_id, found.dataset_id) != (place.run_id, place.dataset_id):
                gone += runs.delete_prediction_set(session, found.id)
        for run in session.query(Run).filter(Run.id != place.run_id).all():
            gone += runs.delete_run(session, run.id)
        for found in session.query(LabelSet).filter(LabelSet.id != place.label_set_id).all():
            gone += recipes.delete_label_set(session, found.id)
        for found in session.query(Dataset).filter(Dataset.id != place.dataset_id).all():
            gone += datasets.delete_dataset(session, found.id)
        return gone


def _call(rig: Rig, work: Work) -> None:
    rig.press(work.job_id)


def _is_sentence(error: str | None) -> bool:
    return bool(error) and error.endswith(".") and "Unexpected error" not in error and "\n" not in error
