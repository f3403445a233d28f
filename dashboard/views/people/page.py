"""Page: who may come in and do what, and who did what. For admins, where people log in."""

import streamlit as st

from dashboard.access import rights
from dashboard.facts import people as viewmodel
from dashboard.facts import wording
from dashboard.server.resources import database
from db import people
from db.actors import NotAllowed, Role
from db.models import utc_now


def roles() -> None:
    """Draw everybody with their role, which can be changed in its place."""
    with database().reading() as session:
        everybody = viewmodel.everybody(session)
    now = utc_now()
    for person in everybody:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"person-{person.id}"):
            mine = " (you)" if person.id == rights.who().id else ""
            seen = wording.ago(person.last_seen_at, now)
            address = wording.escaped(person.email) if person.email else "no confirmed address"
            st.markdown(
                f"**{wording.escaped(person.name)}**{mine}  \n"
                f":small[{address} · since {person.created_at:%d %B %Y} · here {seen}]",
                width="stretch",
            )
            st.selectbox(
                f"Role of {person.name}",
                list(Role),
                index=list(Role).index(person.role),
                key=f"role-{person.id}-{person.role}",
                format_func=str.capitalize,
                label_visibility="collapsed",
                width=150,
                on_change=change_role,
                args=[person.id, f"role-{person.id}-{person.role}"],
            )
    with st.expander("What the roles may do"):
        st.markdown("\n".join(f"- **{role.capitalize()}**: {meaning}" for role, meaning in viewmodel.MEANING.items()))


def change_role(person_id: str, key: str) -> None:
    """Give a person the role that was chosen, or say why not."""
    chosen = st.session_state.pop(key)
    try:
        with database().writing(Role.ADMIN) as session:
            people.set_role(session, person_id, Role(chosen))
    except (NotAllowed, people.LastAdmin) as refused:
        st.session_state["people-refused"] = str(refused)


def history() -> None:
    """Draw the audit with its search and its download."""
    search = st.text_input("Search", key="audit", bind="query-params", placeholder="A person, an action, a name …")
    with database().reading() as session:
        found = viewmodel.audit_count(session, search)
    if not found:
        st.info("No line has all these words. Search for fewer.", icon=":material/search_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{wording.count(found, 'line').capitalize()}, newest first.", width="stretch")
        st.download_button(
            "CSV", lambda: csv_of(search), "audit.csv", "text/csv", icon=":material/download:", key="audit-csv"
        )
    pages = -(-found // viewmodel.PER_PAGE)
    number = st.pagination(pages, key=f"audit-page-{search}") if pages > 1 else 1
    with database().reading() as session:
        rows = viewmodel.audit_rows(session, search, number)
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
        # The byte order mark tells spreadsheets that it is UTF-8.
        return ("\ufeff" + viewmodel.audit_csv(session, search)).encode()


rights.require(Role.ADMIN)
st.title("People")
st.caption("Who may come in, what they may do, and what was done.")
refused = st.session_state.pop("people-refused", None)
if refused:
    st.error(wording.escaped(refused), icon=":material/error:")
roles()
st.subheader("What was done")
history()
