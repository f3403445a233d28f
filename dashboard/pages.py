"""What a page is, and which pages there are: one for each folder of `dashboard/views` whose package exports a PAGE.

A folder holds `page.py`, the script that Streamlit runs. If it also holds `routes.py`, the app serves its ROUTES.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from starlette.routing import BaseRoute

from dashboard import views
from dashboard.access.mode import AccessMode
from db.actors import Role


@dataclass(frozen=True)
class Page:
    """One page of the app. Pages appear in the navigation by `order`; the first one is the start page.

    The page is offered to visitors with at least `role`, in the access modes named. `icon` is a Material symbol.
    """

    title: str
    icon: str
    order: int
    role: Role = Role.VIEWER
    access: tuple[AccessMode, ...] = tuple(AccessMode)

    def is_offered(self, access: AccessMode, role: Role) -> bool:
        """Return whether the navigation shows the page to somebody with `role`."""
        return access in self.access and role.allows(self.role)


@cache
def pages() -> dict[str, Page]:
    """Return every page by the name of its folder, which is also its URL path, in the order of the navigation."""
    packages = [module.name for module in pkgutil.iter_modules(views.__path__) if module.ispkg]
    exported = {name: importlib.import_module(f"{views.__name__}.{name}").PAGE for name in packages}
    return dict(sorted(exported.items(), key=lambda item: item[1].order))


def script(name: str) -> str:
    """Return the script of the page called `name`, relative to `dashboard`: what Streamlit's links take."""
    return f"views/{name}/page.py"


def page_paths() -> frozenset[str]:
    """Return the URL paths of all pages. The start page also has "/"."""
    return frozenset({"/", *(f"/{name}" for name in pages())})


def page_routes() -> list[BaseRoute]:
    """Return the routes that pages bring along."""
    modules = [f"{views.__name__}.{name}.routes" for name in pages()]
    return [route for module in modules if find_spec(module) for route in importlib.import_module(module).ROUTES]
