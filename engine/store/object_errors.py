"""What a failure of an object store means, in one sentence without keys, passwords and addresses that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from engine.store.base import MissingFile, StoreFailed

_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")

CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
WRONG_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthenticationFailed"}
KEPT = "Nothing was lost; try again."


@contextmanager
def named_failures(url: str, key: str = "") -> Iterator[None]:
    """Turn what obstore raises in the block into MissingFile of a key or StoreFailed."""
    with without_obstore():
        from obstore.exceptions import BaseError, NotModifiedError  # an optional package

    try:
        yield
    except (NotModifiedError, MissingFile):
        raise
    except FileNotFoundError as error:  # obstore's NotFoundError, or a file of this machine
        if error.errno is not None or "(os error" in str(error):
            raise
        if key and code_of(error) not in NO_BUCKET:
            raise MissingFile.of(key) from None
        raise StoreFailed(sentence(error, url)) from None
    except BaseError as error:
        raise StoreFailed(sentence(error, url)) from None


@contextmanager
def without_obstore() -> Iterator[None]:
    """
    Raises:
        StoreFailed: in place of ImportError.
    """
    try:
        yield
    except ImportError:
        raise StoreFailed("STORE_URL needs the package obstore: pip install 'obstore==0.12.1'.") from None


def code_of(error: BaseException) -> str:
    """Return the code that a provider gave, such as "NoSuchBucket"; "" if it gave none."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def sentence(error: BaseException, url: str) -> str:
    code, text = code_of(error), str(error)
    found = _STATUS.search(text)
    status = found[1] if found else ""
    if code in CLOCK:
        return f"The object store {url} refuses requests because the clock of this machine is wrong. Set it. {KEPT}"
    if code in NO_BUCKET:
        return f"There is no bucket for STORE_URL={url}. Create it, or correct STORE_URL."
    if code in WRONG_KEY or status == "401":
        return f"The object store {url} does not accept the key of this machine. Set the right one. {KEPT}"
    if code == "AccessDenied" or status == "403":
        return (
            f"The object store {url} denies access. The key needs the rights to list, read, write and delete objects. "
            f"{KEPT}"
        )
    if ("Missing" in text and "redential" in text) or "metadata token" in text or "instance metadata" in text:
        return f"There is no key for the object store {url} on this machine. Set the variables of its provider."
    if status and not status.startswith("5"):
        return f"The object store {url} refused a request ({code or status}). Is STORE_URL right? {KEPT}"
    return f"The object store {url} does not respond. See that its address is right and that it runs. {KEPT}"
