"""Whose connection it is. One connection serves one bot: what a front proxy mixes up must not reach another's account.

Nothing is remembered on a connection that could speak for a bot, each request carries its own signature. What remains
is the order of answers, and that is what is watched here. See decision 22.
"""

from __future__ import annotations


class Caller:
    """Whoever speaks on one connection, as far as its requests have said.

    ``behind`` is set while a request is carried whose bytes were here before the last answer was; ``changed`` once
    another bot has spoken than the first, and then nothing more is read.
    """

    __slots__ = ("_bot", "behind", "changed")

    def __init__(self) -> None:
        self._bot: tuple[str, str] | None = None
        self.behind = False
        self.changed = False

    def may_speak_for(self, account: str, bot: str) -> bool:
        """Whether an authenticated request of this bot is carried out.

        The first binds the connection. Another bot's, sent after every answer was there, is carried out as the last: a
        program with two keys may share its connections among them, and an exit must not be refused for that. Behind an
        unanswered request nobody sends it but a proxy that has lost count.
        """
        speaker = (account, bot)
        if self._bot is None:
            self._bot = speaker
        if self._bot == speaker:
            return True
        self.changed = True
        return not self.behind
