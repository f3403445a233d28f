"""Page numbers of a grid, kept in the URL as `?page=`."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import wording

PER_PAGE = 48
PAGES_PX = 420
"""Room for seven numbers: in the width of its content the widget starts with none, and keeps none."""


def page_numbers(total: int) -> int:
    """Draw which of the total are shown, and the page numbers if there is more than one; return the chosen page."""
    pages = max(1, -(-total // PER_PAGE))
    if pages == 1:
        return 1
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        words = st.empty()  # before the numbers, although it follows from them
        page = st.pagination(pages, key="page", bind="query-params", width=PAGES_PX)
    words.caption(page_range(page, total), width="content")
    return page


def page_range(page: int, total: int, noun: str = "image", per_page: int = PER_PAGE) -> str:
    """Return which of the total a page (from 1) shows, such as "1–48 of 60 images"."""
    if total <= per_page:
        return wording.count(total, noun)
    first = (page - 1) * per_page + 1
    return f"{first:,}–{min(page * per_page, total):,} of {wording.count(total, noun)}"


def first_page() -> None:
    """A callback for filters and orders: go to the first page."""
    st.session_state["page"] = 1
