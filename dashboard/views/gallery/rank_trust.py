"""How well each order without truth found what truth calls bad, where there is truth."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.scores import ScoreTable
from dashboard.facts.trust import strength
from dashboard.ui.trust_chart import trust_chart
from dashboard.views.gallery import suspicion
from dashboard.views.gallery.order import BY_SIGNAL, Choice
from dashboard.views.gallery.suspicion import RankTrust

TITLES = {"combined": "Suspicious first", **{signal: sort for sort, signal in BY_SIGNAL.items()}}
AXES = {
    "combined": "Suspicion (mean of ranks)",
    "disagreement": "1 − agreement with the pseudo-label",
    "uncertainty": "Uncertainty",
    "mirror": "1 − agreement with the mirror image",
    "area": "Distance from the usual area (robust deviations)",
}
WORTH = {"good": "finds the worst", "hint": "a hint", "none": "of no use here"}


def rank_trust(table: ScoreTable, choice: Choice) -> str | None:
    """Draw the table and one chart in an expander; return the id of an image whose point was clicked.

    Nothing is computed while it is closed.
    """
    fold = st.expander("How far can these ranks be trusted?", icon=":material/balance:", key="ranks", on_change="rerun")
    if not fold.open:
        return None
    with fold:
        return _trusted(suspicion.rank_trust(table, choice.threshold, choice.success_from), choice)


def _trusted(found: list[RankTrust], choice: Choice) -> str | None:
    st.markdown(
        "None of these orders knows truth. Here truth judges them, on all images of the run that have it: Spearman is "
        "1 where the order is that of Dice vs truth (worst first), 0 where the two have nothing to do with each other. "
        f"A failure is a Dice vs truth below {choice.success_from:.2f}, as set above."
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
        "Worth": "too few images" if correlation is None else WORTH[strength(correlation)],
        "Failures among the first": f"{each.found} of {each.looked}",
        "By chance": round(each.expected, 1),
        "Images": len(each.trust.image_ids),
    }
