"""From what went wrong to what a person is told of it, and the exit code: of commands that ask the running warden, and
of those that ask the record.

What each has to know of is loaded when it is used: the record is asked without a client, the warden without an archive.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from proxy.commands.exit_codes import NO_ANSWER, NOT_OK, OK, REFUSED, USAGE_ERROR
from proxy.commands.in_words import file_trouble
from proxy.terminal import complain, safe


def answered_by_the_warden(command: str, ask: Callable[[], int], *, without: str = "", refused: int = REFUSED) -> int:
    """The exit code of ``ask``; a refusal and a silence are told on standard error, and have codes of their own.

    ``without`` is what works without a warden, told after a silence. ``refused`` is the code of a refusal.
    """
    from proxy.client.asking import NoAnswer, Refused

    try:
        return ask()
    except Refused as refusal:
        complain(command, str(refusal))
        return refused
    except NoAnswer as silence:
        complain(command, f"{silence}{without}")
        return NO_ANSWER


def answered_by_the_record(command: str, question: Callable[[], int]) -> int:
    """The exit code of ``question``, which is put to the archive or the books; trouble goes to standard error.

    Damage is not as it should be; whatever else keeps the question from being asked is for a person to mend.
    """
    import msgspec

    from proxy.audit.export import ExportBroken
    from proxy.audit.place import ArchiveUnavailable
    from proxy.audit.since import UsageError
    from proxy.policy.problems import PolicyError

    try:
        return question()
    except ExportBroken as broken:
        complain(command, safe(broken))
        return NOT_OK
    except (UsageError, ArchiveUnavailable, PolicyError) as trouble:
        complain(command, safe(trouble))
        return USAGE_ERROR
    except (msgspec.MsgspecError, UnicodeError) as damage:
        complain(command, safe(f"the archive is damaged, ask `perpguard audit verify`: {damage}"))
        return NOT_OK
    except BrokenPipeError:
        # The reader of our pipe has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as trouble:
        complain(command, safe(file_trouble(trouble)))
        return USAGE_ERROR
