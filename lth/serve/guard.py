"""Who may read: the one that holds the token, or a browser on this machine that asks for this machine; reading only."""

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only programs of this machine reach."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets through what may be answered.

    Args:
        app: what answers.
        token: asked of everyone; None asks nobody.
        is_local: whether the server is bound to this machine alone: the Host header must then name it, so that a
            foreign page whose name points here gets nothing.
        cookie: name of the cookie that holds the token.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, is_local: bool, cookie: str = "lth-token") -> None:
        self.app, self.token, self.is_local, self.cookie = app, token, is_local, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that may not pass, or that brings the token in its address; else None."""
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only GET: this page changes nothing\n", 405, {"Allow": "GET, HEAD"})
        if self.is_local and not is_loopback(headers.get("host", "")):
            return PlainTextResponse("the Host header names another machine: open http://127.0.0.1:PORT/\n", 421)
        if self.token is None:
            return None
        fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in fields if name == "token"]
        if given and self._is_token(given[-1]):
            rest = urlencode([(name, value) for name, value in fields if name != "token"])
            return self._welcome(quote(scope["path"]) + (f"?{rest}" if rest else ""))
        if any(self._is_token(value) for value in (_bearer(headers), self._of_cookie(headers))):
            return None
        return PlainTextResponse(
            "a token is needed: open the address that `lth serve` printed, or send `Authorization: Bearer TOKEN`\n",
            401,
            {"WWW-Authenticate": "Bearer"},
        )

    def _welcome(self, address: str) -> Response:
        """Return a page that goes on without the token in its address: a cookie holds it from now on.

        A redirect would not do: a browser keeps a strict cookie back where a foreign page led to it.
        """
        address = "/" + address.lstrip("/\\")
        quoted = address.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        page = HTMLResponse(f'<!doctype html><meta http-equiv="refresh" content="0;url={quoted}"><title>lth</title>')
        page.set_cookie(self.cookie, self.token or "", httponly=True, samesite="strict", path="/")
        return page

    def _is_token(self, given: str) -> bool:
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def _of_cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found else ""


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def is_loopback(host: str) -> bool:
    """Return whether a Host header, with its port, names this machine alone."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    return name.strip("[]").lower() in LOOPBACK and (not port or port.isdigit())
