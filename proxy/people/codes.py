"""One-time codes of an authenticator app (RFC 6238): six digits, thirty seconds, one step of clock either way."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import pyotp
import segno
from pyotp.exceptions import OTPVerificationError

STEP_S: Final = 30
_DRIFT_STEPS: Final = 1
_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """A secret for an app, 160 bits in base32."""
    return pyotp.random_base32()


def is_code(text: str) -> bool:
    """Whether this has the shape of a code, blanks aside: apps show it in two groups."""
    return _CODE.fullmatch(_plain(text)) is not None


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code this is: the present one, the one before or the next; ``None`` when it is of none."""
    if not is_code(code):
        return None
    app = pyotp.TOTP(secret, interval=STEP_S)
    try:
        return app.verify_and_get_timecode(_plain(code), for_time=now, valid_window=_DRIFT_STEPS)
    except OTPVerificationError:
        return None


def picture(secret: str, *, name: str) -> str:
    """The QR code an app reads, as SVG elements without a style."""
    uri = pyotp.TOTP(secret, interval=STEP_S, name=name, issuer="perpguard").provisioning_uri()
    return segno.make(uri, error="m", micro=False).svg_inline(
        scale=4, dark="#000", light="#fff", svgclass="code-picture", lineclass=None, title="QR code of the secret"
    )


def _plain(text: str) -> str:
    return text.replace(" ", "")
