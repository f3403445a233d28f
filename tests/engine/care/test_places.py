"""Places that no backup can be written or restored to."""

from pathlib import Path

import pytest

from tests.support.calling import call


@pytest.mark.parametrize("place", ["a file", "below a file", "too long"])
def test_a_restore_to_a_place_that_is_no_folder_is_a_sentence(installation, tmp_path, place):
    backup = tmp_path / "backup.zip"
    assert call(installation.settings, "backup", backup).returncode == 0
    (tmp_path / "file").write_text("mine")
    names = {"a file": "file", "below a file": "file/data", "too long": "n" * 256}
    refused = call(installation.settings.model_copy(update={"data_root": tmp_path / names[place]}), "restore", backup)
    assert refused.returncode == 1 and "cannot be used: " in refused.stderr and refused.stderr.endswith(".")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the folder that nobody can write to")
def test_a_backup_to_a_place_that_cannot_be_written_names_it(installation, tmp_path):
    for target in (Path("/proc/b.zip"), tmp_path / ("b" * 300)):
        refused = call(installation.settings, "backup", target)
        assert refused.returncode == 1 and str(target)[:8] in refused.stderr and "cannot be used: " in refused.stderr
    refused = call(installation.settings, "backup", tmp_path / "\udcff.zip")
    assert refused.returncode == 1 and refused.stderr.endswith("is no UTF-8. Choose another name.")
