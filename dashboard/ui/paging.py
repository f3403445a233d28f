"""Page numbers under a grid, kept in the URL as `?page=`."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import wording

PER_PAGE = 48


def page_numbers(total: int, noun: str = "image") -> int:
    """Draw the total and the page numbers if there is more than one page; return the chosen page."""
    pages = max(1, -(-total // PER_PAGE))
    if pages == 1:
        return 1
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(wording.count(total, noun).capitalize())
        return st.pagination(pages, key="page", bind="query-params")


def first_page() -> None:
    """A callback for filters and orders: go to the first page."""
    st.session_state["page"] = 1
