"""What a command's exit code says. Standard library only: a kill ends with one of these too."""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Done, or as it should be: everything trades, the drill passed, the desk is flat."""

NOT_OK: Final = 1
"""It was done, or looked at, and what came of it is not as it should be: not flat, something differs."""

REFUSED: Final = 1
"""It was understood, and the guard will not do it."""

USAGE_ERROR: Final = 2
"""It could not be asked: the words, a file, the settings or the vault are such that a person has to mend them first."""

NO_ANSWER: Final = 3
"""No warden answered; whether it has heard is not known."""

NOT_STARTED: Final = 3
"""It could not be begun, or not be carried through.

Of a kill: nothing was cancelled or closed; whether entries are stopped is printed.
"""

SIGNALLED: Final = 128
"""A shell adds the number of the signal that ended a command."""
