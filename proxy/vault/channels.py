"""Where alerts go: each channel's URL is a secret, for it carries the bot's token or the mailbox's password."""

import re
from dataclasses import dataclass
from datetime import datetime

from proxy.vault.errors import InvalidField
from proxy.vault.keys import Secret, checked_name, utc

CHANNELS_MAX = 16
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://[!-~]{1,4000}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AlertChannel:
    """One channel, under the desk's own name for it."""

    name: str
    url: Secret
    created_at: datetime

    @property
    def scheme(self) -> str:
        """What kind it is: ``tgram``, ``slack``, ``mailtos``, ``json``; no secret."""
        return self.url.reveal().partition("://")[0].lower()

    def __repr__(self) -> str:
        return f"AlertChannel(name={self.name!r}, scheme={self.scheme!r})"


def new_channel(*, name: str, url: Secret, now: datetime) -> AlertChannel:
    """A channel whose every field has been checked for its shape. InvalidField."""
    if _URL.fullmatch(url.reveal()) is None:
        raise InvalidField("url", "an apprise URL such as tgram://TOKEN/CHAT, without blanks")
    return AlertChannel(name=checked_name("name", name), url=url, created_at=utc(now))
