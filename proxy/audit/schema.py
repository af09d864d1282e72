"""The archive's tables as questions name them. How they are laid out is in ``migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import column, table

ARCHIVE: Final = table("archive", column("only_row"), column("id"), column("created_at"))

RECORDS: Final = table(
    "records",
    column("seq"),
    column("chain"),
    column("place"),
    column("kind"),
    column("identity"),
    column("id"),
    column("at_us"),
    column("bot"),
    column("account"),
    column("hash"),
    column("body"),
)

JUDGEMENTS: Final = table(
    "judgements",
    column("seq"),
    column("item"),
    column("place"),
    column("at_us"),
    column("bot"),
    column("account"),
    column("symbol"),
    column("verdict"),
    column("rule"),
    column("code"),
    column("headroom"),
    column("words"),
)

CHECKPOINTS: Final = table("checkpoints", column("number"), column("seq"), column("content"))

SEAL: Final = table("seal", column("only_row"), column("content"))

PROGRESS: Final = table("progress", column("source"), column("position"))
