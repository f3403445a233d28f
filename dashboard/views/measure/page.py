"""Page: measure. The objects of masks: how many, how large, which shape."""

from __future__ import annotations

import streamlit as st

from dashboard.server import resources
from dashboard.views.measure import facts
from dashboard.views.measure.measurement import measurement
from dashboard.views.measure.start import start
from db.columns import utc_now


def page() -> None:
    chosen = st.query_params.get("measurement")
    with resources.database().reading() as session:
        view = facts.view(session, chosen, utc_now(), resources.settings().lost_after_s)
    if chosen and view is None:
        st.warning("This measurement no longer exists.")
        st.query_params.pop("measurement", None)
    if view is None:
        start()
    else:
        measurement(view)


page()
