"""What the person at a page may do: for the pages, so that they draw no button that would refuse.

What is refused, is refused where it is written (`db.session.Database.writing`), whatever a page draws.
"""

from __future__ import annotations

from dashboard import resources
from dashboard.access import identity
from db.actors import Actor, Role


def who() -> Actor:
    """Return who is at the page."""
    return identity.current(resources.database())


def may(role: Role) -> bool:
    """Return whether the person at the page may do what takes `role`."""
    return who().role.allows(role)


def require(role: Role) -> None:
    """
    Raises:
        NotAllowed: the person at the page has less than `role`.
    """
    who().require(role)
