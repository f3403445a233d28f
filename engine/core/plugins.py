"""Plug-ins: what the modules of one of our packages export, and what other installed packages register."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType
from typing import Protocol, TypeVar

log = logging.getLogger("maskloom.plugins")


class Named(Protocol):
    """A plug-in has a name by which it is stored and chosen."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def plugins(package: ModuleType, attribute: str, kind: type[T]) -> dict[str, T]:
    """Return {name: plug-in}: the `attribute` of every module of `package` that has one, then registered ones.

    Other packages register theirs as entry points of the group "maskloom." and the last part of the package's name,
    such as `maskloom.methods`. One that cannot be imported, is no `kind`, or has the name of another plug-in is left
    out, and the log says why: a faulty package must not keep the app from starting.
    """
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found: dict[str, T] = {
        plugin.name: plugin for module in modules if isinstance(plugin := getattr(module, attribute, None), kind)
    }
    group = f"maskloom.{package.__name__.rpartition('.')[2]}"
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        try:
            plugin = entry.load()
        except Exception:  # whatever the module of another package raises
            log.exception("The plug-in %r of %s cannot be imported.", entry.value, group)
            continue
        if not isinstance(plugin, kind):
            log.error("The plug-in %r of %s is no %s.", entry.value, group, kind.__name__)
        elif plugin.name in found:
            log.error("The plug-in %r of %s has the name of another one: %r.", entry.value, group, plugin.name)
        else:
            found[plugin.name] = plugin
    return found
