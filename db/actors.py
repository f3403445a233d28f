"""Who acts: the person or the process in whose name a transaction writes."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.StrEnum):
    """What a person may do. Each role may do what those before it may."""

    NONE = "none"
    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Return whether this role may do what asks for `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class NotAllowed(PermissionError):
    """The actor lacks the role that is needed. The sentence names both roles."""


@dataclass(frozen=True)
class Actor:
    """Whoever reads or writes. `id` is of `db.models.Person`, empty for whoever has no row there."""

    name: str
    role: Role
    id: str = ""

    def require(self, needed: Role) -> None:
        """
        Raises:
            NotAllowed: the role is less than `needed`.
        """
        if self.role.allows(needed):
            return
        if self.role == Role.NONE:
            raise NotAllowed("Log in first: nobody is let in without it.")
        article = "an" if needed in (Role.EDITOR, Role.ADMIN) else "a"
        raise NotAllowed(f"This takes {article} {needed}, and your role is {self.role}. An admin can change that.")


LOCAL = Actor("local", Role.ADMIN)
TOKEN = Actor("token", Role.EDITOR)
ANONYMOUS = Actor("anonymous", Role.NONE)
APP = Actor("the app", Role.ADMIN)
COMMAND_LINE = Actor("command line", Role.ADMIN)
MACHINE = Actor("this machine", Role.ADMIN)
