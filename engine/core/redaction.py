"""Removing secrets from text before it is logged or sent, and paths and people's names before it is sent."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from engine.core.settings import REPOSITORY_ROOT, Settings

HIDDEN = "***"
_SECRET_NAME = r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|xsrf)"
# None begins with a repetition that could start at every letter of a long word: the time is linear in a text's length.
_PATTERNS = (
    # A password in a URL: scheme://name:password@host
    (re.compile(r"((?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]*://[^\s/:@]*:)[^\s@]+(?=@)", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Whole headers: cookies hold several values, and an authorization has two words
    (re.compile(r"((?:set-)?cookie|authorization)(['\"]?\s*[:=]\s*)[^\r\n]+", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    (
        re.compile(rf"({_SECRET_NAME}[\w-]{{0,40}})(['\"]?\s{{0,4}}[:=]\s{{0,4}}['\"]?)[^\s'\",;&}}]+", re.IGNORECASE),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.\-~+/]{8,}=*", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),  # a signed token, which begins with {" in base 64
    (re.compile(r"(\buploads/)[0-9a-f]{32}"), rf"\1{HIDDEN}"),  # whoever knows it may add to the upload
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
PROVIDERS = ("AWS_", "AZURE_", "GOOGLE_")
"""How the variables of object stores begin."""
SHORTEST_SECRET = 4
"""Shorter values would be found everywhere in a text."""


def is_secret(name: str) -> bool:
    """Return whether a setting of this name holds a secret."""
    return re.search(_SECRET_NAME, name, re.IGNORECASE) is not None


def provider_environment() -> dict[str, str]:
    """Return the variables of object stores in the environment of this process: keys and addresses."""
    return {name: value for name, value in os.environ.items() if name.startswith(PROVIDERS)}


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return the secret values of an installation's settings and of its object store's variables, the longest first."""
    values = (getattr(settings, name) for name in type(settings).model_fields if is_secret(name))
    found = {value.get_secret_value() if isinstance(value, SecretStr) else str(value) for value in values}
    of_provider = provider_environment().items()
    found |= {value for name, value in of_provider if is_secret(name) or name.endswith("_KEY")}
    password = urlsplit(settings.database_url).password
    if password:
        found |= {password, unquote(password)}
    return tuple(sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=len, reverse=True))


def redacted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return a text without passwords, tokens and cookies: known ones, and everything that looks like one."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def without_places(text: str, data_root: Path) -> str:
    """Return a text in which folders of this machine are replaced by DATA_ROOT, MASKLOOM, PYTHON and ~.

    Home folders are named after people; mail addresses are removed as well.
    """
    places = {
        str(data_root): "DATA_ROOT",
        str(REPOSITORY_ROOT): "MASKLOOM",
        sys.prefix: "PYTHON",
        os.path.realpath(sys.prefix): "PYTHON",
        str(Path.home()): "~",
    }
    text = _MAIL.sub("somebody@…", text)
    for place in sorted(places, key=len, reverse=True):
        if len(place) > 1:
            text = text.replace(place, places[place])
    return re.sub(r"(?:/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s'\"]+", "~", text)
