"""The routes to enter the shared access token and to log out. The page contains nothing of the app."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.access import token_cookie
from dashboard.access.mode import AccessMode, access_mode
from engine.core.settings import settings

PATH = "/access"
LONGEST_BODY, LONGEST_S = 4096, 10.0
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
PAGE = Path(__file__).with_name("token_page.html")


def asking(status: int, problem: str = "", headers: dict[str, str] | None = None) -> Response:
    """Return the page to enter the token."""
    alert = f'<p role="alert">{problem}</p>' if problem else ""
    page = PAGE.read_text(encoding="utf-8").replace("{action}", PATH).replace("{problem}", alert)
    kept = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(page, status, {**kept, **(headers or {})})


@lru_cache(maxsize=1)
def patience() -> token_cookie.Patience:
    """Return the counter of tries of this process."""
    return token_cookie.Patience()


async def log_in(request: Request) -> Response:
    """Check the token: set the cookie, or show an error; after some wrong tries, ask to wait."""
    if access_mode() != AccessMode.TOKEN:
        return RedirectResponse("/", 303)
    if request.method == "GET":
        return asking(200)
    address = request.client.host if request.client else ""
    body = b""
    try:
        with anyio.fail_after(LONGEST_S):
            async for piece in request.stream():
                body += piece
                if len(body) > LONGEST_BODY:
                    return asking(413, "The token is too long.")
    except ClientDisconnect:
        return asking(400)
    except TimeoutError:
        return asking(408, "The token took too long to arrive.", {"Connection": "close"})
    chosen = settings()
    token = chosen.access_token.get_secret_value()
    typed = parse_qs(body.decode("utf-8", errors="replace")).get("token", [""])[0]
    if not token_cookie.is_token(typed.strip(), token):
        wait_s = patience().wrong(address)
        if not wait_s:
            return asking(401, "The token is wrong.")
        after = str(int(wait_s) + 1)
        return asking(429, f"Too many failed attempts. Wait {after} seconds.", {"Retry-After": after})
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        token_cookie.COOKIE,
        token_cookie.new_cookie(token),
        max_age=int(chosen.login_hours * 3600),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


async def leave(request: Request) -> Response:
    """Delete the cookie; the gate has ended the login already."""
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(token_cookie.COOKIE, httponly=True, samesite="lax")
    return answer


TOKEN_ROUTES = [Route(PATH, log_in, methods=["GET", "POST"]), Route(f"{PATH}/leave", leave, methods=["GET"])]
