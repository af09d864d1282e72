"""Who is asking, and may they: the control token for machines, a session for people, and neither for anyone else.

A request with an ``Authorization`` header is a machine's and its cookies are not looked at. A session changes something
only with its CSRF token and from our own origin; SameSite=Strict alone would let another port of this host in.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from fastapi import Request, Response
from pydantic import SecretStr

from proxy.console.answers import Refusal
from proxy.console.attempts import Attempts, is_loopback
from proxy.console.sessions import AGE_MAX, Session, Sessions, digest
from proxy.people.names import bare
from proxy.people.register import CodeMissing, Register
from proxy.people.roles import Role
from proxy.people.users import People, User, UserState
from proxy.settings import TOKEN_LENGTH_MIN

T = TypeVar("T")

FAILURES_OF_PERSON_MAX: Final = 20
"""More than an address has: one guesser must not be able to lock a person out alone."""
PROVING_MAX: Final = 2
PROVING_WAIT_S: Final = 10.0

Note = Callable[[str, str, dict[str, str]], None]
"""Hears what, who and the rest of a visit."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Holds the control token: it may do everything that is not for people alone."""

    role: Role = Role.ADMIN


Caller = Machine | Session


class Door:
    """The token, the people, the sessions and the checks."""

    def __init__(
        self, *, token: SecretStr, people: Register | None, https: bool, now: Callable[[], datetime], note: Note
    ) -> None:
        """``people`` are who may sign in, nobody without them; ``note`` hears who came, went and failed to."""
        if len(token.get_secret_value()) < TOKEN_LENGTH_MIN:
            raise ValueError(f"the control token has at least {TOKEN_LENGTH_MIN} characters")
        self._token = digest(token.get_secret_value())
        self._people = people
        self._https = https
        self._note = note
        # The prefix makes browsers refuse such a cookie from a neighbouring port or host.
        self._cookie = "__Host-perpguard" if https else "perpguard_session"
        self._sessions = Sessions(now)
        self._by_address = Attempts(now)
        self._by_person = Attempts(now, failures_max=FAILURES_OF_PERSON_MAX, key=bare)
        self._proving = asyncio.Semaphore(PROVING_MAX)

    @property
    def cookie(self) -> str:
        """What the session's cookie is called."""
        return self._cookie

    def caller(self, request: Request, *, touch: bool = True) -> Caller:
        """Whoever may read. Refusal 401 for anyone else."""
        if "authorization" in request.headers:
            return self._machine(request)
        return self.person(request, touch=touch)

    def person(self, request: Request, *, touch: bool = True) -> Session:
        """The signed-in person, of the role they have by now. Refusal 401 when there is none, and for machines."""
        session_id = self._session_id(request)
        session = None
        if "authorization" not in request.headers:
            session = self._sessions.find(session_id, touch=touch)
        if session is None:
            raise Refusal(401, "UNAUTHENTICATED", "sign in, or send the control token as a bearer token")
        user = None if self._people is None else self._people.people.find(session.person)
        if user is None or user.state is not UserState.ACTIVE or user.generation != session.generation:
            self._sessions.close(session_id)
            raise Refusal(401, "UNAUTHENTICATED", "this session is over; sign in again")
        return replace(session, role=user.role)

    def actor(self, request: Request) -> Caller:
        """Whoever may change something over the API; a person proves it with the ``X-CSRF-Token`` header."""
        caller = self.caller(request)
        if isinstance(caller, Session):
            self.check_own_origin(request)
            check_csrf(caller, request.headers.get("x-csrf-token", ""))
        return caller

    def check_own_origin(self, request: Request) -> None:
        """Refusal 403 unless a person's request came from our own page."""
        check_same_origin(request, https=self._https)

    def base_url(self, request: Request) -> str:
        """Where this browser reaches us; the host was checked by the shell."""
        return f"{'https' if self._https else 'http'}://{request.headers['host'].lower()}"

    async def sign_in(self, request: Request, name: str, password: str, code: str) -> str:
        """A new session's id, for the right password and code. Whatever session the browser had is closed.

        Refusal 401 for anything wrong, without saying what; 429 after too much of it; 403 from another's page.
        """
        self.check_own_origin(request)
        people = self._register()

        def proved() -> User | None:
            try:
                return people.proved(name, password, code)
            except CodeMissing:
                raise Refusal(
                    403, "CODE_NEEDED", "your role needs an authenticator app; ask an admin for a new link"
                ) from None

        try:
            user = await self._proved(request, name, proved)
        except Refusal as refusal:
            known = people.people.find(name)
            # The name may be a password in the wrong field: only one that is somebody's is written down.
            self._note("signin.failed", "nobody" if known is None else known.name, _visit(request, why=refusal.code))
            raise
        return self.let_in(request, user)

    def let_in(self, request: Request, user: User) -> str:
        """A new session's id, for somebody who has just proved who they are."""
        self._sessions.close(self._session_id(request))
        self._note("signin", user.name, _visit(request, role=user.role))
        return self._sessions.open(user.name, user.role, user.generation)

    async def check_again(self, request: Request, session: Session, proof: str) -> None:
        """An unlocked screen is not enough: the person types their password, or a new code. Refusal 401 or 429."""
        people = self._register()
        try:
            await self._proved(request, session.person, lambda: people.proved_again(session.person, proof) or None)
        except Refusal as refusal:
            self._note("signin.proof.failed", session.person, _visit(request, why=refusal.code))
            if refusal.status != 401:
                raise
            raise Refusal(
                401, "PROOF", "that is neither your password nor a code of yours that was not used yet"
            ) from None

    def named(self, name: str, role: Role) -> str:
        """The person a machine names, as we spell it. Refusal 403 unless they could have done it themselves.

        While there are no people at all, every name is taken. Refusal 503 when nobody knows whether there are.
        """
        people = People() if self._people is None else self._register().people
        if not people.users:
            return name
        user = people.find(name)
        if user is None or user.state is not UserState.ACTIVE:
            raise Refusal(403, "UNKNOWN_PERSON", "nobody of that name is active here")
        if not user.role.covers(role):
            raise Refusal(403, "ROLE", f"this takes the role {role}; that of {user.name} is {user.role}")
        return user.name

    def sign_out(self, request: Request, session: Session) -> None:
        """Close the browser's session."""
        self._note("signout", session.person, _visit(request))
        self._sessions.close(self._session_id(request))

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Work on passwords, in a thread, few at once: each takes a core and tens of megabytes. Refusal 503."""
        try:
            async with asyncio.timeout(PROVING_WAIT_S):
                await self._proving.acquire()
        except TimeoutError:
            raise Refusal(503, "BUSY", "too many are signing in; try again") from None
        try:
            return await asyncio.to_thread(work)
        finally:
            self._proving.release()

    async def _proved(self, request: Request, name: str, proof: Callable[[], T | None]) -> T:
        address = self._address(request)

        def proved() -> T | None:
            # Counted in the turn: a hundred guesses that came at once are still looked at one after another.
            if self._by_address.exhausted(address) or self._by_person.exhausted(name):
                raise Refusal(429, "TOO_MANY_ATTEMPTS", "too many wrong attempts; wait five minutes")
            return proof()

        found = await self.in_turn(proved)
        if found is None:
            self._by_address.failed(address)
            self._by_person.failed(name)
            raise Refusal(401, "UNAUTHENTICATED", "name, password or code is wrong")
        self._by_address.succeeded(address)
        self._by_person.succeeded(name)
        return found

    def _address(self, request: Request) -> str:
        """Whose wrong attempts are counted. Behind a TLS proxy of this machine all come from there, and one guesser
        would lock everybody out: then it is what the proxy says last, for what comes before that a client can write."""
        address = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        if self._https and forwarded and is_loopback(address):
            return forwarded[-1].rpartition(",")[2].strip() or address
        return address

    def _register(self) -> Register:
        if self._people is None or (not self._people.people.users and self._people.trouble):
            raise Refusal(
                503, "PEOPLE_UNREADABLE", "the guard's file of people cannot be read; stopping works all the same"
            )
        return self._people

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
        right = hmac.compare_digest(digest(token), self._token)
        if len(headers) != 1 or scheme.lower() != "bearer" or not right:
            raise Refusal(401, "UNAUTHENTICATED", "that is not the control token")
        return Machine()

    def _session_id(self, request: Request) -> str:
        """What our cookie holds; empty without one. Browsers send us the cookies of every program on this host, and
        some are no tokens (JSON, mostly): they are nothing to us, and must not keep anybody from the button.

        Empty too where two are called like ours: one is another's, and whose session it is would be guessed.
        """
        found = [
            value.strip(" \t")
            for header in request.headers.getlist("cookie")
            for name, _, value in (pair.partition("=") for pair in header.split(";"))
            if name.strip(" \t") == self._cookie
        ]
        return found[0] if len(found) == 1 else ""


def check_csrf(session: Session, csrf: str) -> None:
    """Refusal 403 unless this is the session's own token."""
    if not hmac.compare_digest(digest(csrf), digest(session.csrf)):
        raise Refusal(403, "CSRF", "this form is not of your session; load the page again")


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


def _visit(request: Request, **more: str) -> dict[str, str]:
    return {"address": request.client.host if request.client else "", **more}


def _cross_origin() -> Refusal:
    return Refusal(403, "CROSS_ORIGIN", "this came from another site's page, or from a browser that does not say")
