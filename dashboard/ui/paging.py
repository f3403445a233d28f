"""Page numbers under a grid, kept in the URL as `?page=`."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import wording

PER_PAGE = 48


def page_numbers(found: int, noun: str = "image") -> int:
    """Draw how many there are and, where one page does not hold them, the page numbers; return the chosen page."""
    pages = max(1, -(-found // PER_PAGE))
    if pages == 1:
        return 1
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(wording.count(found, noun).capitalize())
        return st.pagination(pages, key="page", bind="query-params")


def first_page() -> None:
    """A callback for filters and orders: what they change starts at its first page."""
    st.session_state["page"] = 1
