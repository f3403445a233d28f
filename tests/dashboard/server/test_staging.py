"""Where files of an upload lie."""

from pathlib import PurePosixPath

from dashboard.server.staging import Staging


def test_names_that_become_one_are_not_searched_for_one_by_one(monkeypatch):
    staging, tried = Staging(), []
    with_stem = PurePosixPath.with_stem
    monkeypatch.setattr(PurePosixPath, "with_stem", lambda self, stem: tried.append(stem) or with_stem(self, stem))
    staging.issue("token")
    wished = PurePosixPath("q______.png")
    places = [staging.place("token", f"q?{number}.png", wished, 5000) for number in range(3000)]
    assert len(set(places)) == 3000 and places[-1] == PurePosixPath("q______-3000.png")
    assert len(tried) == 2999
    assert staging.place("token", "q?7.png", wished, 5000) == places[7]
    assert staging.place("token", "q?new.png", wished, 3000) is None
