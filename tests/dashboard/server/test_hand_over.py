"""Handing an upload over to an object store before its job is submitted."""

from dashboard.server import resources
from engine.store import keys as stored
from engine.store.objects import ObjectStore
from tests.support.stored_in_objects import ObjectInstallation

TOKEN = "1" * 32


def test_a_file_that_was_discarded_after_the_first_try_is_not_imported(in_objects: ObjectInstallation, monkeypatch):
    monkeypatch.setattr(resources, "settings", lambda: in_objects.settings)
    folder = resources.upload_folder(TOKEN)
    folder.mkdir(parents=True)
    for name in ("wanted.png", "discarded.png"):
        (folder / name).write_bytes(name.encode())
    resources.hand_over({"kind": "upload", "token": TOKEN})
    (folder / "discarded.png").unlink()
    resources.hand_over({"kind": "upload", "token": TOKEN})
    elsewhere = ObjectStore(in_objects.settings.store_url, folder.parent / "elsewhere")
    with elsewhere.workspace(stored.upload_folder(TOKEN)) as arrived:
        assert [path.name for path in arrived.iterdir()] == ["wanted.png"]
