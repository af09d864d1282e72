"""Hands a message to a channel through apprise, in a thread of its own: its senders block, and have no common bound.

What apprise logs may quote a channel's address or what its server answered, and so may urllib3, which it sends with:
they log nothing here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Final

import apprise

from proxy.alerts.answers import Attempt, bound_answers
from proxy.alerts.wording import Message
from proxy.severity import Severity
from proxy.vault.keys import Secret

ATTEMPT_S: Final = 4.0
"""How long one attempt may take. Telegram, Slack and mail servers answer within a second."""

STUCK_MAX: Final = 4
"""Threads of one channel whose server neither answers nor hangs up; with so many it is asked no more."""

LOCAL_SCHEMES: Final = frozenset(
    {"dbus", "glib", "gnome", "kde", "qt", "gio", "macosx", "windows", "syslog", "blink1", "apprise", "apprises"}
)
"""What shows on the guard's own screen reaches nobody, and apprise's own server is one more that can fail."""

_KINDS: Final = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
    Severity.KILL: apprise.NotifyType.FAILURE,
}

for _library in ("apprise", "urllib3"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)
    logging.getLogger(_library).propagate = False
bound_answers()


class ChannelFailed(Exception):
    """A message was not taken; the text says why and has no secret in it."""


class Sender:
    """One channel's."""

    def __init__(self, url: Secret) -> None:
        self._url = url
        self._threads: set[threading.Thread] = set()

    async def send(self, message: Message) -> None:
        """Hand it over. Raises ``ChannelFailed``; after a time-out it may have arrived all the same."""
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        if len(self._threads) >= STUCK_MAX:
            raise ChannelFailed("its server answers nothing")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def settle(taken: bool) -> None:
            if not done.done():
                done.set_result(taken)

        attempt = Attempt()

        def work() -> None:
            with attempt:
                taken = _notify(self._url, message)
            # The loop is closed when the warden ends before the server answers.
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, taken)

        # Not a pool's: the process must not wait for a server that hangs when it ends.
        thread = threading.Thread(target=work, name="alert", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise ChannelFailed("this host gives the guard no more threads") from None
        self._threads.add(thread)
        try:
            async with asyncio.timeout(ATTEMPT_S):
                taken = await done
        except TimeoutError:
            attempt.cut()
            raise ChannelFailed(f"no answer within {ATTEMPT_S:g} s") from None
        if not taken:
            raise ChannelFailed("not reached, or it refused")


def usable(url: Secret) -> bool:
    """Whether apprise knows such a channel, and it leads away from this machine's own screen."""
    scheme = url.reveal().partition("://")[0].lower()
    return scheme not in LOCAL_SCHEMES and _plugin(url) is not None


def _notify(url: Secret, message: Message) -> bool:
    plugin = _plugin(url)
    if plugin is None:
        return False
    plugin.socket_connect_timeout = plugin.socket_read_timeout = ATTEMPT_S
    # Its own pauses between messages would make the second alert late.
    plugin.request_rate_per_sec = 0.0
    # We try again ourselves, and one that failed is never as good as taken, whatever its URL says.
    plugin.retry, plugin.optional = 0, False
    # A redirect turns the message into a question without it, and a page that is answered into a message taken.
    plugin.redirects = False
    # What is longer than the service takes goes out in parts: whole, the service would refuse it.
    plugin.overflow_mode = apprise.OverflowMode.SPLIT
    # Not by the sender alone: some leave it to this to escape plain text, and Telegram reads HTML.
    notifier = apprise.Apprise(asset=plugin.asset)
    notifier.add(plugin)
    try:
        return bool(
            notifier.notify(
                title=message.title,
                body=message.body,
                notify_type=_KINDS[message.severity],
                body_format=apprise.NotifyFormat.TEXT,
            )
        )
    except Exception:
        # The edge: a hundred senders we did not write. Whatever one raises, and it may quote the URL, it did not send.
        return False


def _plugin(url: Secret) -> Any:
    """A sender made anew each time: nothing of one message stays for the next, on disk neither."""
    asset = apprise.AppriseAsset(
        app_id="perpguard",
        app_desc="perpguard alerts",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        # In the thread that asks, as long as it takes: no pool of apprise's, whose threads would hold up the end.
        async_mode=False,
        service_timeout=0,
    )
    return apprise.Apprise.instantiate(url.reveal(), asset=asset, suppress_exceptions=True)
