"""Page for admins: roles of people, and the audit log. Offered where people log in."""

import streamlit as st

from dashboard.access import rights
from dashboard.facts.people import MEANING, audit_csv
from dashboard.facts.wording import ago, count, escaped
from dashboard.server.resources import database
from db import audit, people
from db.actors import NotAllowed, Role
from db.columns import utc_now

PER_PAGE = 50


def roles() -> None:
    """Draw all people with a menu of roles."""
    with database().reading() as session:
        everybody = people.listing(session)
    now = utc_now()
    for person in everybody:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"person-{person.id}"):
            mine = " (you)" if person.id == rights.who().id else ""
            seen = ago(person.last_seen_at, now)
            address = escaped(person.email) if person.email else "no confirmed email address"
            st.markdown(
                f"**{escaped(person.name)}**{mine}  \n"
                f":small[{address} · since {person.created_at:%d %B %Y} · last seen {seen}]",
                width="stretch",
            )
            st.selectbox(
                f"Role of {person.name}",
                list(Role),
                index=list(Role).index(Role(person.role)),
                key=f"role-{person.id}-{person.role}",
                format_func=str.capitalize,
                label_visibility="collapsed",
                width=150,
                on_change=change_role,
                args=[person.id, f"role-{person.id}-{person.role}"],
            )
    with st.expander("Permissions of each role"):
        st.markdown("\n".join(f"- **{role.capitalize()}**: {meaning}" for role, meaning in MEANING.items()))


def change_role(person_id: str, key: str) -> None:
    """Set the chosen role of a person, or show why not."""
    chosen = st.session_state.pop(key)
    try:
        with database().writing(Role.ADMIN) as session:
            people.set_role(session, person_id, Role(chosen))
    except (NotAllowed, people.LastAdmin) as refused:
        st.session_state["people-refused"] = str(refused)


def history() -> None:
    """Draw the audit log with search and download."""
    search = st.text_input("Search", key="audit", bind="query-params", placeholder="A person, an action, a name …")
    with database().reading() as session:
        total = audit.count(session, search)
    if not total:
        st.info("No entry contains all these words. Search for fewer.", icon=":material/search_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{count(total, 'entry', 'entries').capitalize()}, newest first.", width="stretch")
        st.download_button(
            "CSV", lambda: csv_of(search), "audit.csv", "text/csv", icon=":material/download:", key="audit-csv"
        )
    pages = -(-total // PER_PAGE)
    number = st.pagination(pages, key=f"audit-page-{search}") if pages > 1 else 1
    with database().reading() as session:
        rows = audit.entries(session, search, PER_PAGE, (number - 1) * PER_PAGE)
    st.dataframe(
        {
            "Time (UTC)": [row.at for row in rows],
            "Who": [row.who for row in rows],
            "What": [row.action for row in rows],
            "Kind": [row.kind for row in rows],
            "Name": [row.name for row in rows],
            "Detail": [row.detail for row in rows],
        },
        hide_index=True,
        column_config={"Time (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", timezone="UTC")},
    )


def csv_of(search: str) -> bytes:
    rights.require(Role.ADMIN)
    with database().reading() as session:
        # With a byte order mark, spreadsheets read it as UTF-8.
        return ("\ufeff" + audit_csv(session, search)).encode()


rights.require(Role.ADMIN)
st.title("People")
st.caption("Who has access, with which role, and what was done.")
refused = st.session_state.pop("people-refused", None)
if refused:
    st.error(escaped(refused), icon=":material/error:")
roles()
st.header("Audit log")
history()
