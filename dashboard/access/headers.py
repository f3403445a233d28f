"""The security headers of every response."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

from starlette.datastructures import MutableHeaders

from dashboard.index_page import index_html

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would hide the origin of our own forms
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@lru_cache(maxsize=1)
def page_policy() -> str:
    """Return the Content-Security-Policy of the pages: nothing from other origins, and only our scripts.

    Styles may be inline, because Streamlit creates its own in the browser; `blob:` scripts are our components, which
    Streamlit sends as text; its frontend uses WebAssembly for 64-bit numbers.
    """
    inline = re.findall(r"<script>(.*?)</script>", index_html(), re.S)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inline]
    return "; ".join(
        [
            "default-src 'self'",
            " ".join(["script-src 'self' blob: 'wasm-unsafe-eval'", *hashes]),
            "worker-src 'self' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def guard(headers: MutableHeaders) -> None:
    """Add the headers that a response has not set itself."""
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", page_policy())
