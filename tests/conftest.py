"""What tests share: an installation of their own under a temporary folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from db.session import Database
from engine.core.settings import Settings
from engine.store.local import LocalStore
from engine.store.objects import ObjectStore
from tests.support.chromium import chromium
from tests.support.installation import Installation
from tests.support.postgresql import Server, running_server
from tests.support.s3_server import S3Server, running_s3_server
from tests.support.stored_in_objects import ObjectInstallation

# How long an example takes says how busy the machine is. The same examples every time: a commit has one result.
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("unhurried")

# Several test processes share the cores, and their images have 64 px: threads would only wait for each other.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
IN_A_BROWSER = "tests/browser/"
FAULTS = "faults in a browser"
BROWSER_SCOPES = (IN_A_BROWSER, FAULTS)
FAULTS_IN_A_BROWSER = ("tests/faults/test_faults.py", "tests/faults/test_two_of_everything.py")


SLOW_PLACES = (
    *(
        "tests/engine/training/",
        "tests/engine/network/",
        "tests/engine/work/",
        "tests/engine/cli/",
        "tests/engine/care/",
    ),
    *("tests/engine/exports/", "tests/engine/labelling/test_job.py", "tests/engine/labelling/methods/test_auto.py"),
    *("tests/dashboard/access/", "tests/dashboard/test_app.py", "tests/dashboard/ui/test_form.py"),
    *("tests/benchmarks/", "tests/faults/", "tests/upgrade/"),
)
"""Most tests there load TensorFlow, start processes, label whole sets or run pages."""

PAGES = re.compile("tests/dashboard/views/.*/test_(page|detail|label_sets)[.]py")


class ByFile(LoadScopeScheduling):
    """Hands out file by file, in the order of `by_cost`, and to at most two test processes what needs a browser.

    A test that its process died of, or that hung (`faulthandler_timeout`), is not run again: it would end one process
    after the other. In a browser it gets a second chance: a call that opens or closes a tab has no time limit, and
    Chromium, short of cores, sometimes never answers it.
    """

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        self.tried_again: set[str] = set()
        self.told: set[str] = set()

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(IN_A_BROWSER):
            return IN_A_BROWSER
        return FAULTS if nodeid.startswith(FAULTS_IN_A_BROWSER) else nodeid.partition("::")[0]

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test that a process died of, after handing out what else it had."""
        tests = [(unit, test) for unit in self.assigned_work[node].values() for test, done in unit.items() if not done]
        for unit, test in tests[:1]:
            again = self._split_scope(test) in BROWSER_SCOPES and test not in self.tried_again
            unit[test] = not again
            self.tried_again |= {test} if again else set()
        # Of what is handed out anew, a file that is finished would leave the process that gets it waiting for ever.
        self.assigned_work[node] = {
            scope: unit for scope, unit in self.assigned_work[node].items() if not all(unit.values())
        }
        super().remove_node(node)
        return tests[0][1] if tests else None

    def _reschedule(self, node: WorkerController) -> None:
        """Give a process more work, or say that there is none: it runs its last test only then."""
        super()._reschedule(node)
        if not self.workqueue and not node.shutting_down:
            node.shutdown()


def by_cost(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with those files first that take longest, so that no test process ends long after the others."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    return sorted(items, key=lambda item: (not item.get_closest_marker("browser"), -slow[item.path]))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark as slow what `make check` leaves to `make test`, beside the tests that are marked one by one."""
    if item.nodeid.startswith(SLOW_PLACES) or PAGES.match(item.nodeid):
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)  # after the marks of tests/browser
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = by_cost(items)


def pytest_configure(config: pytest.Config) -> None:
    """Set threads, and keep the checkout's data out of reach: a page's thread may outlive the settings of its test."""
    if "PYTEST_XDIST_WORKER" not in os.environ:  # test processes inherit what the process that starts them has set
        os.environ |= dict.fromkeys(ONE_THREAD, "1")
        os.environ["DATA_ROOT"] = tempfile.mkdtemp(prefix="maskloom-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ["DATA_ROOT"], ignore_errors=True))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    config.option.loadscopereorder = False  # by number of tests
    return ByFile(config, log)


def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: ByFile) -> None:
    """Count a test that is run again as such, and not as failed; if it ends its process again, it has failed."""
    if crashitem in sched.tried_again and crashitem not in sched.told:
        sched.told.add(crashitem)
        report.outcome = "rerun"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was run again, and why."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_line(f"RERUN {report.nodeid} - {report.longreprtext[-300:]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has been migrated, to copy: a tenth of the time of making one."""
    path = tmp_path_factory.mktemp("empty") / "app.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server of this test process."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server of this test process."""
    with running_s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """That server, working, with the variables by which this process and those that it starts find it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    s3_server.tell("well")


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a label job work in this process: starting others takes longer than a few small discs."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Iterator[Database]:
    """A migrated database: SQLite in the folder of an installation, or "postgresql" where a test asks for it."""
    if getattr(request, "param", os.environ.get("MASKLOOM_TEST_DATABASE")) == "postgresql":
        with request.getfixturevalue("postgresql").database() as found:
            yield found
        return
    path = tmp_path / "data" / "app.db"
    path.parent.mkdir()
    shutil.copyfile(empty_database, path)
    found = Database(f"sqlite:///{path}")
    yield found
    found.close()


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    settings = Settings(
        data_root=tmp_path / "data",
        database_url="" if database.is_sqlite else database.url,
        free_disk_floor_mb=0,
        heartbeat_s=0.5,
    )
    settings.data_root.mkdir(exist_ok=True)
    return Installation(settings, database, LocalStore(settings.data_root))


@pytest.fixture
def in_objects(s3: S3Server, tmp_path: Path, empty_database: Path) -> Iterator[ObjectInstallation]:
    """An installation with SQLite whose files are in an object store."""
    root = tmp_path / "data"
    root.mkdir()
    shutil.copyfile(empty_database, root / "app.db")
    settings = Settings(
        data_root=root, database_url="", store_url=s3.bucket(), free_disk_floor_mb=0, heartbeat_s=0.5, warm_worker_s=0
    )
    database = Database(settings.resolved_database_url)
    yield ObjectInstallation(settings, database, ObjectStore(settings.store_url, root, patience_s=10))
    database.close()
