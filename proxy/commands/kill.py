"""`perpguard kill`: works with gates, Redis, console and warden down.

The sentinel is written before anything is imported that could fail, be slow or ask a question. Of a name that may be
misspelt the running warden is asked first, for a quarter of a second: as soon as it has heard, the name is right and
the sentinel is written, whether or not the warden gets to it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, NOT_STARTED, OK, USAGE_ERROR
from proxy.commands.kill_told import Telling
from proxy.kill.asked import Asked, answered, fitting, note_asked
from proxy.kill.calling import ANSWER_S_MAX, LineRefused, NothingOfThatName, NoWarden, Silent, ask_warden
from proxy.store.fence import DESK, Fence, FenceCorrupt, Scope

if TYPE_CHECKING:
    from proxy.commands.settings_at_hand import AtHand
    from proxy.kill.hands import AccountHands, VenueHands
    from proxy.kill.job import Latch
    from proxy.kill.press import Press
    from proxy.kill.report import KillReport
    from proxy.vault.keys import ExchangeKey
    from proxy.vault.vault import Vault
    from rules.kill.settings import Flatten

QUICK_ANSWER_S: Final = 0.25


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``kill`` to the global command line."""
    kill = subparsers.add_parser("kill", help="stop all bots, cancel everything, close every position")
    scope = kill.add_mutually_exclusive_group()
    scope.add_argument("--venue", help="only the accounts on this venue; default: the whole desk")
    scope.add_argument("--account", help="only this account")
    scope.add_argument("--bot", help="only this bot: its orders, and its share of each position")
    kill.add_argument("--reason", required=True)
    kill.add_argument("--by", required=True, help="your name")
    kill.add_argument("--json", action="store_true", help="print the report as JSON")
    kill.add_argument("--passphrase-file", type=Path, help="a file only you can read")


def run(args: Arguments, stdout: TextIO = sys.stdout, stderr: TextIO = sys.stderr) -> int:
    """Run ``perpguard kill``: 0 flat, 1 not flat, 2 the scope is wrong, 3 nothing was cancelled or closed.

    Reads ``args.settings`` only after the sentinel stands.
    """
    telling = Telling(stdout, stderr, as_json=args.json)
    try:
        scope = Scope(args.account or None, venue=args.venue or None, bot=args.bot or None)
    except ValueError as trouble:
        telling.stopped_nothing(str(trouble))
        return USAGE_ERROR
    if _is_missing(args.data_dir):
        telling.stopped_nothing(
            f"no guard has ever run in {args.data_dir}: nothing that trades is stopped; give --config or --data-dir"
        )
        return NOT_STARTED
    command = _Command(args, scope, telling)
    try:
        return command.run()
    except KeyboardInterrupt:
        return command.began_nothing("interrupted") if not command.began else command.interrupted()


class _Command:
    """One press, from the sentinel to the report. Until the sentinel is written nothing is known of it but whose it is
    and of what: the rest is not imported before that."""

    def __init__(self, args: Arguments, scope: Scope, telling: Telling) -> None:
        self._args = args
        self._scope = scope
        self._telling = telling
        self._data_dir: Path = args.data_dir
        self._asked = Asked(by=fitting(args.by), reason=fitting(args.reason))
        self._stood_before = True
        self._unknown = ""
        self._may_answer = True
        self._engaged = False
        self._warden_has_it = False
        self._done = "nothing"
        self.began = False

    def run(self) -> int:
        """Block, then have the warden do it, or do it."""
        report = self._by_the_warden(QUICK_ANSWER_S) if self._scope != DESK else None
        if report is None and not self._unknown:
            if not self._engaged:
                self._note()
                self._engage()
            report = self._by_the_warden(ANSWER_S_MAX) if self._may_answer else None
        if report is not None:
            return self._ended(report)
        if not self._unknown and not self._warden_has_it:
            self._note()  # Also of a press that a warden had heard before it fell silent.
        try:
            vault = _open_vault(self._data_dir, self._args.passphrase_file)
        except Exception as trouble:  # The edge: whatever ails the vault is told in a line, with what to do next.
            if self._unknown:
                return self._nothing_of_that_name(self._unknown)
            return self.began_nothing(f"the exchange keys cannot be read: {trouble or type(trouble).__name__}")
        traders = tuple((key.bot, key.account) for key in vault.guard_keys())
        keys = tuple(key for key in vault.accounts() if self._covers(key, traders))
        if not keys:
            return self._not_in(vault)
        if self._unknown:  # To a warden that has not been started anew since the key came into the vault.
            self._note()
            self._engage()
        return self._drive(vault, keys, traders)

    def began_nothing(self, why: str, mend: str = "") -> int:
        """Say that nothing was cancelled or closed, and what a person can do now: ``mend``, where that comes first."""
        where = "give --config with the settings of the guard" if self._args.config is None else "mind --config"
        again = mend or f"run this again with the passphrase ({where})"
        self._telling.began_nothing(
            why,
            self._done,
            f"log in at the exchange and close there; or {again};"
            " a warden that runs here, or is started, makes flat what is stopped",
        )
        return NOT_STARTED

    def interrupted(self) -> int:
        """Say who goes on."""
        next_step = "press again, or a warden that runs here goes on with it"
        self._telling.say(f"interrupted: NOT KNOWN TO BE FLAT\nDONE: {self._done}\nNEXT: {next_step}")
        return NOT_OK

    def _note(self) -> None:
        note_asked(self._data_dir, self._scope, self._asked)

    def _engage(self) -> None:
        self._engaged = True
        fence = Fence(self._data_dir)
        with suppress(OSError):
            self._stood_before = self._scope in fence.scopes()
        try:
            fence.engage(self._scope)
            self._done = f"entries of {self._scope} are stopped on this machine and stay so until re-armed"
        except OSError as trouble:
            self._done = f"nothing: the sentinel could not be written ({trouble})"
        self._say_whose()
        self._telling.say(self._done)

    def _say_whose(self) -> None:
        """Which guard it is: a folder that an older one has left takes a press as well, and stops nothing that trades.

        Said once the gates are stopped: no terminal that holds its lines back holds the press back.
        """
        where = self._data_dir
        with suppress(OSError):  # The working directory may be gone.
            where = where.absolute()
        settings = f"settings {self._args.config}" if self._args.config is not None else "no settings file given"
        self._telling.say(f"perpguard kill: the guard in {where}, {settings}")

    def _by_the_warden(self, answer_s: float) -> KillReport | None:
        """What the running warden made of it; ``None`` when there is none, or it cannot: then it is done from here."""
        asked = self._asked
        try:
            told = ask_warden(
                self._data_dir,
                scope=str(self._scope),
                by=asked.by,
                reason=asked.reason,
                show=self._shown,
                answer_s=answer_s,
            )
            return _report_of(told)
        except NothingOfThatName as refusal:
            self._unknown = str(refusal)
        except (NoWarden, LineRefused) as trouble:
            # One that has heard, and then falls silent, has all that a second asking would tell it.
            self._may_answer = answer_s < ANSWER_S_MAX and isinstance(trouble, Silent) and not self.began
            self.began = False
            if not self._may_answer:
                self._telling.say(f"perpguard kill: {trouble}; going to the exchange from here")
        return None

    def _shown(self, line: dict[str, Any]) -> None:
        self.began = True
        # From here on the note of it is the warden's, or its jobs are on disk.
        self._warden_has_it = self._warden_has_it or line.get("kind") == "blocked"
        if not self._engaged:  # It has heard, and refused nothing: the name is right.
            self._engage()
        self._telling.show(line)

    def _covers(self, key: ExchangeKey, traders: Sequence[tuple[str, str]]) -> bool:
        return self._scope.covers(key.account, key.venue) or (
            self._scope.bot is not None and (self._scope.bot, key.account) in traders
        )

    def _not_in(self, vault: Vault) -> int:
        level = self._scope.level.value
        accounts = ", ".join(sorted(key.account for key in vault.accounts())) or "none"
        why = f"the vault holds no such {level}; its accounts: {accounts}"
        return self.began_nothing(why) if self._scope == DESK else self._nothing_of_that_name(why)

    def _nothing_of_that_name(self, why: str) -> int:
        """Take the stop back, where it is ours: a misspelt name stops nobody, and has to be re-armed by nobody."""
        if not self._stood_before:
            answered(self._data_dir, self._scope)
            try:
                Fence(self._data_dir).release(self._scope)
            except (OSError, FenceCorrupt) as trouble:
                self._telling.say(f"the stop of {self._scope} cannot be taken back: {trouble}")
        if not self._engaged:
            self._say_whose()
        self._telling.stopped_nothing(why)
        return USAGE_ERROR

    def _drive(self, vault: Vault, keys: Sequence[ExchangeKey], traders: tuple[tuple[str, str], ...]) -> int:
        import asyncio

        from proxy.certificate.keeping import CertificateKeeper
        from proxy.clock import utc_now

        at_hand = self._settings()
        unknown = ", ".join(sorted({key.venue for key in keys} - set(at_hand.settings.venue_urls)))
        if unknown and at_hand.doubt:
            why = f"where {unknown} is may stand in what cannot be read of the settings: {at_hand.doubt}"
            return self.began_nothing(why, mend="mend that and run this again")
        if unknown:
            return self.began_nothing(f"no base URL is set for {unknown}")
        try:
            report = asyncio.run(self._kill(at_hand, keys, traders))
        except Exception as bug:  # The edge: whatever it is, a person has to know what to do now.
            if self.began:
                raise
            return self.began_nothing(f"the kill could not begin ({type(bug).__name__}: {bug})")
        issued = CertificateKeeper(self._data_dir, vault, utc_now).certify(report)
        return self._ended(report, issued)

    def _settings(self) -> AtHand:
        """The settings, or what can be read of them."""
        from proxy.commands.settings_at_hand import AtHand, settings_at_hand

        try:
            return AtHand(settings=self._args.settings)
        except Exception as trouble:  # The edge: no mistake in a file may keep a position open.
            found = settings_at_hand(self._args.config, self._data_dir, os.environ)
            self._telling.say(f"perpguard kill: the settings are wrong ({trouble}); {found.said or 'going on without'}")
            return found

    async def _kill(
        self, at_hand: AtHand, keys: Sequence[ExchangeKey], traders: tuple[tuple[str, str], ...]
    ) -> KillReport:
        import asyncio

        from proxy.kill.direct import DirectHands
        from proxy.kill.job import kill
        from proxy.kill.late import CalledOff, kill_followed
        from proxy.kill.press import Press
        from proxy.kill.report import lacking

        def show(line: dict[str, Any]) -> None:
            self.began = True
            if line["kind"] == "event":
                self._telling.show(line["event"])

        async with DirectHands(at_hand.settings, traders, tells_store=at_hand.knows_desk) as direct:
            hands: list[VenueHands] = []
            unopened: list[str] = []
            for key in keys:
                try:
                    hands.append(await direct.hand(self._scope, key))
                except Exception as bug:  # The edge: one account that cannot be reached must not keep the others open.
                    unopened.append(f"{key.account} ({type(bug).__name__}: {bug})")
                    self._telling.say(f"perpguard kill: NOT TOUCHED: {unopened[-1]}")

            async def once(press: Press, hands: Sequence[AccountHands], latch: Latch) -> KillReport:
                generation: int | None = None
                try:
                    press = replace(press, flatten=_flatten(self._data_dir, at_hand.settings.policy))
                    report = await kill(self._data_dir, press, hands, on_step=show, latch=latch)
                    generation = report.generation
                    return report
                finally:
                    # Each at its end, also where a person interrupts it, or what may follow it.
                    await asyncio.shield(direct.end(self._scope, generation))

            press = Press(scope=self._scope, by=self._asked.by, reason=self._asked.reason, whole=not unopened)
            try:
                report = await kill_followed(
                    once, press, hands, latch=direct.latch, store=direct.store, say=self._telling.say
                )
            except CalledOff as interrupted:
                self._telling.say("interrupted: what was read as flat is not read once more")
                report = interrupted.report
            return lacking(report, unopened)

    def _ended(self, report: KillReport, issued: Any = None) -> int:
        from proxy.certificate.shelf import CertificateShelf
        from rules.kill.events import Phase

        self._telling.ended(report, issued, CertificateShelf(self._data_dir))
        return OK if report.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST) else NOT_OK


def _is_missing(data_dir: Path) -> bool:
    try:
        return not data_dir.exists()
    except OSError:  # Somebody else's, perhaps: nobody knows that no guard ran there.
        return False


def _report_of(told: dict[str, Any]) -> KillReport:
    """Raises ``NoWarden`` for the report of a warden of another version."""
    import msgspec

    from proxy.decoding import build
    from proxy.kill.report import KillReport as Report

    try:
        return build(told, Report)
    except msgspec.ValidationError:
        raise NoWarden("the warden's report cannot be read") from None


def _open_vault(data_dir: Path, passphrase_file: Path | None) -> Vault:
    from proxy.core_dumps import refuse_core_dumps
    from proxy.vault.opening import open_vault, person_here

    refuse_core_dumps()
    return open_vault(data_dir, environment=os.environ, file=passphrase_file, prompt=person_here())


def _flatten(data_dir: Path, policy: Path) -> Flatten:
    """How the policy in force wants positions closed; a policy that cannot be read delays no kill."""
    from proxy.policy.problems import PolicyError
    from proxy.policy.reading import read_policy
    from proxy.policy.shelf import Shelf
    from rules.kill.settings import FLATTEN_DEFAULT

    for path in (Shelf(data_dir).active_path, policy):
        with suppress(PolicyError):
            return read_policy(path)[0].kill.flatten
    return FLATTEN_DEFAULT
