"""Every problem the control port answers with, by its permanent code: what clients match on, and what to do about it.

``docs/codes.md`` and ``/problems/CODE`` are written from this table; a test compares it with every refusal in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TYPE_PREFIX: Final = "/problems/"
"""A problem's ``type`` (RFC 9457) is this and its code: a reference below the port that answered."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal. ``title`` never changes with the occasion, ``advice`` says what to do."""

    code: str
    status: int
    title: str
    advice: str

    @property
    def type(self) -> str:
        """The reference that names it, and leads to its explanation."""
        return TYPE_PREFIX + self.code


_ALL: Final = (
    Problem("AT", 422, "the command's time is none", "write `at` as RFC 3339 with an offset"),
    Problem("UNKNOWN_COMMAND", 422, "no such command", "only `kill` and `reduce` can be commanded"),
    Problem("NONCE", 422, "the nonce is malformed", "a nonce is 16 to 64 of `A-Z a-z 0-9 _ -`, new for each command"),
    Problem("STALE_COMMAND", 422, "the command is too old, or too new", "set the clock; sign the command anew"),
    Problem("MALFORMED", 422, "the request is not understood", "read `errors`; `/openapi.json` says what is accepted"),
    Problem("NAME", 422, "the name is none", "a name has 2 to 64 characters; type the one you signed in with"),
    Problem("UNKNOWN_SCOPE", 422, "the scope is none", "`desk`, `venue:NAME`, `account:NAME` or `bot:NAME`"),
    Problem("LIMIT", 422, "the limit is none", "a whole number from 1 to 500"),
    Problem("DIGEST", 422, "the digest is none", "sixteen of `0-9 a-f`, as `perpguard policy` shows it"),
    Problem("PASSWORD", 422, "the password is not taken", "read `detail`: it cannot be a password, or the two differ"),
    Problem("ROLE_NAME", 422, "the role is none", "`viewer`, `trader`, `risk` or `admin`"),
    Problem("DRILL_KIND", 422, "no such drill", "`practice` or `dry`"),
    Problem("TIME", 422, "the time is none", "an age such as `6h`, or a time such as `2026-11-24T09:00` (UTC)"),
    Problem("WHAT_IF", 422, "no size that can be tried", "read `detail`: quantity, price or item is none"),
    Problem("TYPED", 422, "the word is not the one to be typed", "type it as the page shows it"),
    Problem("TERMS", 422, "the terms are no override's", "read `errors`: every reason at once"),
    Problem("UNAUTHENTICATED", 401, "nobody we know", "sign in, or send the control token as a bearer token"),
    Problem("PROOF", 401, "not this person's proof", "type your password, or a code that was not used yet"),
    Problem("BAD_SIGNATURE", 401, "nobody of ours signed this", "sign with a key whose public half is in the settings"),
    Problem("ROLE", 403, "another role is needed", "ask somebody who has it; an admin gives roles"),
    Problem("CSRF", 403, "not of this session", "send the session's token as `X-CSRF-Token`; load the page again"),
    Problem("CROSS_ORIGIN", 403, "from another site's page", "use the console's own page, or the control token"),
    Problem("UNKNOWN_PERSON", 403, "not one of the people", "name somebody who may use this desk"),
    Problem("CODE_NEEDED", 403, "an authenticator app is needed", "ask an admin for a new link"),
    Problem("OTHER_DESK", 403, "for another desk", "send it to the desk it was signed for"),
    Problem("NOT_FOUND", 404, "there is nothing here", "see `/openapi.json` for what there is"),
    Problem(
        "NO_SUCH_DECISION",
        404,
        "no such decision",
        "the id stands in the header `X-Guard-Decision`, and in `/api/blocked`",
    ),
    Problem("NO_SUCH_DRILL", 404, "no such drill", "the ids stand in `/api/drills`; the newest 100 are kept"),
    Problem("NO_SUCH_CERTIFICATE", 404, "no such certificate", "the ids stand in `/api/certificates`"),
    Problem("NO_SUCH_PROBLEM", 404, "no such problem", "the codes stand in `/problems`"),
    Problem("METHOD_NOT_ALLOWED", 405, "not with this method", "the header `Allow` names those there are"),
    Problem("TOO_SLOW", 408, "the body took too long", "send it within ten seconds"),
    Problem("REFUSED", 409, "the warden refuses", "read `detail`, and `errors` where there are several reasons"),
    Problem("TEXT_CHANGED", 409, "not the text that was compared", "compare it again, then propose it"),
    Problem("REPLAYED", 409, "carried out already", "sign a new command with a new nonce"),
    Problem("NOTHING_TO_TRY", 409, "this decision has no such size to try", "read `detail`: another item, or no price"),
    Problem("TOO_LARGE", 413, "the body is too large", "at most 64 KiB, with a policy 1 MiB"),
    Problem("MEDIA_TYPE", 415, "not this media type", "send `application/json`; a page sends a URL-encoded form"),
    Problem("CONTENT_ENCODING", 415, "the body is encoded", "send it as it is, without `Content-Encoding`"),
    Problem("WRONG_HOST", 421, "not a name of this port", "name the host in `control_names`"),
    Problem(
        "TOO_MANY_ATTEMPTS",
        429,
        "too many wrong attempts",
        "eight from an address, twenty for a person: wait five minutes",
    ),
    Problem("TOO_MANY_COMMANDS", 429, "too many commands", "press the button; or wait two minutes"),
    Problem("INTERNAL", 500, "a bug of the guard", "look at its log; `perpguard kill` works without this port"),
    Problem("BUSY", 503, "too many are signing in", "try again in a moment"),
    Problem("PEOPLE_UNREADABLE", 503, "the people cannot be read", "look at the log; machines are not concerned"),
    Problem("PEOPLE_UNWRITABLE", 503, "the people cannot be written", "free the disk; look at the log"),
    Problem("SLOW", 504, "no answer in time", "ask again; look at the warden's log when it lasts"),
)
PROBLEMS: Final = {problem.code: problem for problem in _ALL}
