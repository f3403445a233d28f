"""Settings from the environment, and what a worker is told of them."""

import sys
from pathlib import Path

import pytest

from engine.core.parameters import ParameterError
from engine.core.settings import Settings, settings


@pytest.fixture(autouse=True)
def fresh():
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_database_lies_beside_the_files_unless_told_otherwise(tmp_path):
    assert Settings(data_root=tmp_path, database_url="").resolved_database_url == f"sqlite:///{tmp_path / 'app.db'}"
    other = Settings(data_root=tmp_path, database_url="postgresql://somewhere/else")
    assert other.resolved_database_url == "postgresql://somewhere/else"


def test_relative_places_are_the_same_for_a_worker_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = Settings(data_root=Path("files"), database_url="sqlite:///my.db").as_environment()
    assert told["DATA_ROOT"] == str(tmp_path / "files")
    assert told["DATABASE_URL"] == f"sqlite:///{tmp_path / 'my.db'}"


def test_a_wrong_setting_does_not_show_a_password(monkeypatch):
    monkeypatch.setenv("STORE_URL", "s3://key:p4ssw0rd@bucket")
    with pytest.raises(ParameterError, match="The 'store_url' parameter is wrong: it must be") as refused:
        settings()
    assert "p4ssw0rd" not in str(refused.value)


@pytest.mark.skipif(sys.platform == "win32", reason="names there are text")
def test_a_data_root_that_leads_nowhere_or_is_no_text_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place, words in ((tmp_path / "loop", "it leads nowhere"), (tmp_path / "\udcff", "its name is no UTF-8")):
        monkeypatch.setenv("DATA_ROOT", str(place))
        with pytest.raises(ParameterError, match=f"The 'data_root' parameter is wrong: {words}"):
            settings()


def test_a_wrong_setting_is_a_sentence_that_names_it(monkeypatch):
    monkeypatch.setenv("MAX_WORKERS", "-1")
    with pytest.raises(ParameterError, match=r"The 'max_workers' parameter is wrong: .* Got '-1'"):
        settings()
