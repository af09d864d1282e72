"""What every command is given: where its guard keeps things, and what was said on the command line."""

from __future__ import annotations

import argparse
import os
import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.settings import Settings

DATA_DIR_DEFAULT: Final = Path(".perpguard")


class Arguments(argparse.Namespace):
    """The parsed command line. ``settings`` are read when first asked for: a kill stops the gates before that."""

    config: Path | None
    data_dir_given: Path | None
    command: str = ""

    @cached_property
    def data_dir(self) -> Path:
        """The data directory, found with the standard library alone.

        Raises ``SettingsError`` where a settings file would have to say it that cannot be read: the usual directory
        may be another guard's. To a kill alone nothing is refused: it goes by the usual one then, and says so.
        """
        if self.data_dir_given is not None:
            return self.data_dir_given
        if os.environ.get("PERPGUARD_DATA_DIR"):
            return Path(os.environ["PERPGUARD_DATA_DIR"])
        if self.config is None:
            return DATA_DIR_DEFAULT
        try:
            named = tomllib.loads(self.config.read_text(encoding="utf-8")).get("data_dir")
            if not isinstance(named, str | None):
                raise ValueError("data_dir is not the name of a folder")
        except (OSError, ValueError, RecursionError) as trouble:
            if self.command == "kill":
                return DATA_DIR_DEFAULT
            from proxy.settings import SettingsError

            why = trouble.strerror if isinstance(trouble, OSError) else trouble
            raise SettingsError(f"{self.config}: {why}") from trouble
        return DATA_DIR_DEFAULT if named is None else self.config.parent / named

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises ``SettingsError``."""
        from proxy.settings import load_settings

        return load_settings(self.config, {"data_dir": self.data_dir})
