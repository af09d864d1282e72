"""What the warden sees to be so, and people must hear of for as long as it is so. Listed in ``docs/alerts.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.alerts.alert import Severity
from proxy.alerts.row import STOPPED, Row

CONDITIONS: Final[Mapping[str, Row]] = {
    "stopped": Row(
        severity=Severity.KILL,
        about="stop:{scope}",
        title="{scope} is stopped",
        text="The stop stands on this machine: pressed here, by command line, by a watchdog, or by a file.",
        advice=STOPPED,
        page="/kill",
    ),
    "external": Row(
        severity=Severity.KILL,
        about="external:{account}",
        title="EXTERNAL TRADER: {account} is traded past the guard",
        text="It stays stopped, and the guard does not fight on.",
        advice="Take the exchange key away from whoever trades it, then close what is open at the exchange.",
        page="/kill",
    ),
    "feed": Row(
        severity=Severity.WARNING,
        about="feed:{account}",
        title="The stream of {account} is down: {why}",
        text="Entries wait for the next survey; exits pass. After a minute this is critical.",
        advice="Look at the exchange's status and at the host's network.",
    ),
    "survey": Row(
        severity=Severity.CRITICAL,
        about="survey:{account}",
        title="{account} was not read for {age} s",
        text="Nothing checks what its stream tells; without a stream entries are refused. Exits and the kill pass.",
        advice="Look at the exchange's status, the exchange key and the host's network.",
    ),
    "market": Row(
        severity=Severity.CRITICAL,
        about="market:{venue}",
        title="Prices of {venue} are {age} s old",
        text="Entries are refused; exits pass.",
        advice="Look at the exchange's status and at the host's network.",
    ),
    "store": Row(
        severity=Severity.CRITICAL,
        about="store",
        title="The store does not answer",
        text="Entries are refused. Exits and cancels pass, and the kill works without it.",
        advice="Look at the Redis or Valkey server; see the runbook.",
    ),
    "gates": Row(
        severity=Severity.CRITICAL,
        about="gates",
        title="{living} of {expected} gates are heard of",
        text="Bots of the others are refused, or not answered.",
        advice="The supervisor starts a gate that ended; look at its log.",
    ),
    "archive": Row(
        severity=Severity.CRITICAL,
        about="archive",
        title="The audit cannot be written",
        text="{why}. Records wait in the store; when they are too many entries are refused.",
        advice="`perpguard audit verify`, and the runbook.",
        page="/audit",
    ),
    "archive.closed": Row(
        severity=Severity.CRITICAL,
        about="archive",
        title="The audit does not open",
        text="{why}. Entries are refused until it opens.",
        advice="`perpguard audit verify`, and the runbook.",
        page="/audit",
    ),
    "clock.off": Row(
        severity=Severity.WARNING,
        about="clock:{venue}",
        title="The clock of {venue} is {offset_ms} ms from this host's",
        text="The guard stamps its requests with the exchange's time; bots that do not are refused.",
        advice="Look at the time service of this host.",
    ),
    "watchdog": Row(
        severity=Severity.CRITICAL,
        about="watchdog:{watchdog}",
        title="The watchdog {watchdog} does not ask any more",
        text="If the guard dies now, nobody flattens in its place.",
        advice="Start it again.",
    ),
    "loop": Row(
        severity=Severity.CRITICAL,
        about="loop:{loop}",
        title="A loop of the warden stands still: {loop}",
        text="A watchdog takes the guard for dead when this lasts.",
        advice="Look at the log; if nothing changes, stop the warden's process: it is started anew.",
    ),
    "key": Row(
        severity=Severity.CRITICAL,
        about="key:{account}",
        title="The exchange key of {account} is not as it should be: {wrong}",
        advice="Take the right away at the exchange, or accept it with `perpguard keys check`.",
        page="/keys",
    ),
    "anomaly": Row(
        severity=Severity.WARNING,
        about="anomaly:{level}",
        title="The anomaly score of {level} is {score}",
        text="{why}.",
        advice="Look at what the bot does; stop it if you do not know.",
        page="/signals",
    ),
    "budget": Row(
        severity=Severity.WARNING,
        about="budget:{venue}",
        title="{share} of what bots may spend of the request budget of {venue} is used",
        text="The rest is kept for a kill: before it is touched bots are made to wait.",
        advice="Ask the bots to send less, or give the account an address of its own.",
    ),
    "disk": Row(
        severity=Severity.WARNING,
        about="disk",
        title="{free} are left on the disk of the data directory",
        text="Entries are refused when the audit cannot be written.",
        advice="Make room.",
    ),
    "drill": Row(
        severity=Severity.WARNING,
        about="drill",
        title="The last drill is {age} days old",
        text="A kill that was not rehearsed is a hope.",
        advice="Run one under Drills.",
        page="/drills",
    ),
    "drill.never": Row(
        severity=Severity.INFO,
        about="drill",
        title="There never was a drill",
        text="A kill that was not rehearsed is a hope.",
        advice="Run one under Drills.",
        page="/drills",
    ),
    "channel": Row(
        severity=Severity.CRITICAL,
        about="channel:{channel}",
        title="Alerts do not arrive at {channel}",
        text="{why}. The other channels and the console have them.",
        advice="`perpguard alerts test CHANNEL --name YOU`; then mend it, or remove it.",
        page="/alerts",
    ),
    "crowd": Row(
        severity=Severity.WARNING,
        about="crowd",
        title="There is no room for {count} more conditions",
        text="None is worse than the alerts that are open. The first of them: {first}.",
        advice="Look for what they have in common. Each is told when there is room.",
        page="/alerts",
    ),
    "memory": Row(
        severity=Severity.WARNING,
        about="memory",
        title="The alerts of before are not known or not kept",
        text="{why}. Some may be told once more.",
        page="/alerts",
    ),
}
