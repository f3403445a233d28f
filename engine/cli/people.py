"""`python -m engine people` and `role`: accounts and roles, also when no admin can log in."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import or_, select

from db import people
from db.actors import Role
from db.models import Person
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result


@app.command("people")
def people_(as_json: AsJson = False):
    """List everybody who has logged in, with their role."""
    with Installation().database.reading() as session:
        result = [
            {"id": each.id, "name": each.name, "email": each.email, "role": Role(each.role).value}
            for each in people.listing(session)
        ]
    lines = [f"{row['name']} ({row['email'] or row['id']}): {row['role']}" for row in result]
    print_result(result, as_json, "\n".join(lines) or "Nobody has logged in yet.")


@app.command("role")
def role_(
    person: Annotated[str, typer.Argument(help="A person's address or id, as `people` lists them.")],
    role: Annotated[Role, typer.Argument(help="Their new role.")],
    as_json: AsJson = False,
):
    """Change a person's role."""
    with Installation().database.writing() as session:
        found = session.scalars(select(Person).where(or_(Person.id == person, Person.email == person))).all()
        if len(found) != 1:
            raise CommandFailed(f"{'Several people have' if found else 'Nobody has'} the address or id {person!r}.")
        people.set_role(session, found[0].id, role)
        result = {"id": found[0].id, "name": found[0].name, "role": role.value}
    print_result(result, as_json, f"{result['name']} is {result['role']} now.")
