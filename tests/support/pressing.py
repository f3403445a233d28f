"""Pressing buttons of a page under test."""

from streamlit.testing.v1 import AppTest


def click(app: AppTest, key: str) -> AppTest:
    """Press a button and return the page."""
    app.button(key).click().run()
    assert not app.exception
    return app


def press_in_dialog(app: AppTest, opener: str, key: str) -> None:
    """Press a button of the dialog that `opener` has opened; the harness opens it anew for that."""
    app.button(key=opener).click()
    app.button(key=key).click().run()
