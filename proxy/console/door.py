"""Who is asking, and may they: the control token for machines, a session for people, and neither for anyone else.

A request with an ``Authorization`` header is a machine's and its cookies are not looked at. A session changes something
only with its CSRF token and from our own origin; SameSite=Strict alone would let another port of this host in.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import Final

from fastapi import Request, Response
from pydantic import SecretStr

from proxy.console.answers import Refusal
from proxy.console.attempts import Attempts
from proxy.console.sessions import AGE_MAX, Session, Sessions

TOKEN_LENGTH_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class Machine:
    """Holds the control token."""


Caller = Machine | Session


class Door:
    """The token, the sessions and the checks."""

    def __init__(
        self, *, token: SecretStr, people: Collection[str] | None, https: bool, now: Callable[[], datetime]
    ) -> None:
        if len(token.get_secret_value()) < TOKEN_LENGTH_MIN:
            raise ValueError(f"the control token has at least {TOKEN_LENGTH_MIN} characters")
        self._token = _digest(token.get_secret_value())
        self._people = None if people is None else frozenset(people)
        self._https = https
        # The prefix makes browsers refuse such a cookie from a neighbouring port or host.
        self._cookie = "__Host-perpguard" if https else "perpguard_session"
        self._sessions = Sessions(now)
        self._attempts = Attempts(now)

    def caller(self, request: Request, *, touch: bool = True) -> Caller:
        """Whoever may read. Refusal 401 for anyone else."""
        if "authorization" in request.headers:
            return self._machine(request)
        return self.person(request, touch=touch)

    def person(self, request: Request, *, touch: bool = True) -> Session:
        """The signed-in person. Refusal 401 when there is none, and for machines: they have the API."""
        session = None
        if "authorization" not in request.headers:
            session = self._sessions.find(self._session_id(request), touch=touch)
        if session is None:
            raise Refusal(401, "UNAUTHENTICATED", "sign in, or send the control token as a bearer token")
        return session

    def actor(self, request: Request) -> Caller:
        """Whoever may change something over the API; a person proves it with the ``X-CSRF-Token`` header."""
        caller = self.caller(request)
        if isinstance(caller, Session):
            self.check_own_page(request, caller, request.headers.get("x-csrf-token", ""))
        return caller

    def check_own_page(self, request: Request, session: Session, csrf: str) -> None:
        """Refusal 403 unless a person's request came from our own page."""
        check_same_origin(request, https=self._https)
        if not hmac.compare_digest(_digest(csrf), _digest(session.csrf)):
            raise Refusal(403, "CSRF", "this form is not of your session; load the page again")

    def sign_in(self, request: Request, name: str, token: str) -> str:
        """A new session's id, for the right token from our own page. Whatever session the browser had is closed."""
        check_same_origin(request, https=self._https)
        self.check_token(request, token)
        self.check_known(name)
        self._sessions.close(self._session_id(request))
        return self._sessions.open(name)

    def check_known(self, name: str) -> None:
        """Refusal 403 unless this is one of the people, where they are listed."""
        if self._people is not None and name not in self._people:
            raise Refusal(403, "UNKNOWN_PERSON", "nobody of that name may sign in")

    def check_token(self, request: Request, token: str) -> None:
        """A person typed the control token. Refusal 401 when it is wrong, 429 after too many wrong ones."""
        address = request.client.host if request.client else ""
        if self._attempts.exhausted(address):
            raise Refusal(429, "TOO_MANY_ATTEMPTS", "too many wrong tokens; wait five minutes")
        if not hmac.compare_digest(_digest(token), self._token):
            self._attempts.failed(address)
            raise Refusal(401, "UNAUTHENTICATED", "that is not the control token")
        self._attempts.succeeded(address)

    def sign_out(self, request: Request) -> None:
        """Close the browser's session."""
        self._sessions.close(self._session_id(request))

    def give_cookie(self, response: Response, session_id: str) -> None:
        """Hand the session to the browser; an empty id takes it away."""
        response.set_cookie(
            self._cookie,
            session_id,
            max_age=int(AGE_MAX.total_seconds()) if session_id else 0,
            path="/",
            secure=self._https,
            httponly=True,
            samesite="strict",
        )

    def _machine(self, request: Request) -> Machine:
        headers = request.headers.getlist("authorization")
        scheme, _, token = headers[0].partition(" ")
        right = hmac.compare_digest(_digest(token), self._token)
        if len(headers) != 1 or scheme.lower() != "bearer" or not right:
            raise Refusal(401, "UNAUTHENTICATED", "that is not the control token")
        return Machine()

    def _session_id(self, request: Request) -> str:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load("; ".join(request.headers.getlist("cookie")))
        except CookieError:
            return ""
        return cookies[self._cookie].value if self._cookie in cookies else ""


def check_same_origin(request: Request, *, https: bool) -> None:
    """Refusal 403 unless the browser vouches that our own page sent this.

    Under ``Referrer-Policy: no-referrer`` a plain form post carries ``Origin: null`` (Fetch standard, "append a request
    Origin header"); then Sec-Fetch-Site, which browsers send to loopback and https, has to say it.
    """
    fetched_from = request.headers.getlist("sec-fetch-site")
    origins = request.headers.getlist("origin")
    ours = f"{'https' if https else 'http'}://{request.headers['host'].lower()}"
    vouched = fetched_from == ["same-origin"]
    if fetched_from and not vouched:
        raise _cross_origin()
    if origins == [ours] or (vouched and origins in ([], ["null"])):
        return
    raise _cross_origin()


def _cross_origin() -> Refusal:
    return Refusal(403, "CROSS_ORIGIN", "this came from another site's page, or from a browser that does not say")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
