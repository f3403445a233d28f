"""How well each order without truth finds the masks with a low Dice vs truth."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.scores import ScoreTable
from dashboard.facts.trust import strength
from dashboard.ui.trust_chart import trust_chart
from dashboard.views.gallery import suspicion
from dashboard.views.gallery.order import BY_SIGNAL, Choice
from dashboard.views.gallery.suspicion import Order, RankTrust

TITLES: dict[Order, str] = {"combined": "Suspicious first"}
TITLES.update({signal: sort for sort, signal in BY_SIGNAL.items()})
AXES: dict[Order, str] = {
    "combined": "Suspicion (mean of ranks)",
    "disagreement": "1 − agreement with the pseudo-label",
    "uncertainty": "Uncertainty",
    "mirror": "1 − agreement with the flipped image",
    "area": "Distance from the typical area (robust deviations)",
}
WORTH = {"good": "finds the worst", "hint": "a hint", "none": "useless here"}


def rank_trust(table: ScoreTable, choice: Choice) -> str | None:
    """Draw the table and one chart in an expander; return the id of an image whose point was clicked.

    Nothing is computed while it is closed.
    """
    box = st.expander("How reliable are these orders?", icon=":material/balance:", key="ranks", on_change="rerun")
    if not box.open:
        return None
    with box:
        return _trusted(suspicion.rank_trust(table, choice.threshold, choice.success_from), choice)


def _trusted(found: list[RankTrust], choice: Choice) -> str | None:
    of_what = " It is that of foreground at the mask threshold, not of classes." if choice.by_class else ""
    st.markdown(
        "These orders do not use truth. Here they are compared with truth, on all images of the run that have it: "
        "Spearman is 1 for the same order as Dice vs truth (worst first), and 0 for an unrelated order. "
        f"A failure is a Dice vs truth below {choice.success_from:.2f}, as set above.{of_what}"
    )
    st.dataframe([_row(each) for each in found], hide_index=True)
    names = {TITLES[each.signal]: each for each in found if each.trust.spearman is not None}
    if not names:
        return None
    title = st.segmented_control("Order", list(names), default=next(iter(names)), required=True, key="rank")
    chosen = names[title]
    return trust_chart(chosen.trust, key=f"rank-{chosen.signal}", title=AXES[chosen.signal])


def _row(each: RankTrust) -> dict[str, str | int | float | None]:
    correlation = each.trust.spearman
    return {
        "Order": TITLES[each.signal],
        "Spearman with Dice vs truth": None if correlation is None else round(correlation, 2),
        "Verdict": "too few images" if correlation is None else WORTH[strength(correlation)],
        "Failures among the first": f"{each.found} of {each.looked}",
        "By chance": round(each.expected, 1),
        "Images": len(each.trust.image_ids),
    }
