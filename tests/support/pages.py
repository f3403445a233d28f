"""Pages under test, opened the way a browser opens an address."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from dashboard.pages import pages
from tests.support.installation import REPOSITORY

NAVIGATION = REPOSITORY / "dashboard" / "navigation.py"


def page_at(path: str, **query: str) -> AppTest:
    """Return a page, such as "views/runs/page.py", before its first run, at an address with these query parameters."""
    app = AppTest.from_file(str(NAVIGATION), default_timeout=120)
    # As `switch_page` does after a first run, which would draw the home page before each page under test
    url_path = Path(path).parent.name
    app._page_hash = calc_hash("" if url_path == next(iter(pages())) else url_path)
    for name, value in query.items():
        app.query_params[name] = value
    return app


def words(app: AppTest) -> str:
    """Return all texts of a page."""
    texts = app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error
    return "\n".join(element.value for kind in texts for element in kind)
