"""The archive: records in chains, the rows questions are answered from, checkpoints, and how far sources were read.

Records, judgements and checkpoints are inserted in sequence and never touched again; triggers of the database say so
to whoever tries.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision: Final = "0001"
down_revision: Final = None

# In SQLite the indexes of refusals hold all that is asked of one: looking each row up would take ten times as long.
# The verdict stands in them although it is always the same, or SQLite would look the rows up for it. PostgreSQL bounds
# what an index entry holds, and finds rows faster.
_NAMES: Final = ("bot", "account", "symbol", "rule", "code")
_BESIDE: Final = {
    **{name: ", place, verdict, " + ", ".join(each for each in _NAMES if each != name) for name in _NAMES},
    "words": ", place, verdict, " + ", ".join((*_NAMES, "words")),
}

# The body stands last: SQLite reads a row's pages only as far as it must.
_TABLES: Final = (
    "CREATE TABLE archive (only_row {integer} PRIMARY KEY CHECK (only_row = 1), id TEXT NOT NULL,"
    " created_at TEXT NOT NULL){strict}",
    "CREATE TABLE records (seq {integer} PRIMARY KEY, chain TEXT NOT NULL, place {integer} NOT NULL,"
    " kind TEXT NOT NULL, identity TEXT NOT NULL, id TEXT NOT NULL, at_us {integer} NOT NULL, bot TEXT, account TEXT,"
    " hash {bytes} NOT NULL, body {bytes} NOT NULL){strict}",
    "CREATE TABLE judgements (seq {integer} NOT NULL, item {integer} NOT NULL, place {integer} NOT NULL,"
    " at_us {integer} NOT NULL, bot TEXT, account TEXT, symbol TEXT, verdict TEXT NOT NULL, rule TEXT, code TEXT,"
    " headroom TEXT, words TEXT NOT NULL, PRIMARY KEY (seq, item, place)){strict_by_key}",
    "CREATE TABLE checkpoints (number {integer} PRIMARY KEY, seq {integer} NOT NULL, content {bytes} NOT NULL){strict}",
    # The one table that changes: how far the store's stream and each journal were read.
    "CREATE TABLE progress (source TEXT PRIMARY KEY, position TEXT NOT NULL){strict_by_key}",
    "CREATE UNIQUE INDEX records_by_place ON records (chain, place)",
    "CREATE UNIQUE INDEX records_by_identity ON records (identity, kind)",
    "CREATE INDEX records_by_id ON records (id)",
    "CREATE INDEX records_by_time ON records (at_us, seq)",
    "CREATE INDEX records_by_kind ON records (kind, at_us, seq)",
    "CREATE INDEX judgements_by_time ON judgements (at_us, seq, item)",
    "CREATE INDEX judgements_by_bot ON judgements (bot, at_us, seq, item)",
    "CREATE INDEX judgements_by_account ON judgements (account, at_us, seq, item)",
    "CREATE INDEX refusals_by_time ON judgements (at_us, seq, item{words}) WHERE verdict = 'DENY'",
    *(
        f"CREATE INDEX refusals_by_{name} ON judgements ({name}, at_us, seq, item{{{name}}}) WHERE verdict = 'DENY'"
        for name in _NAMES
    ),
)
_APPEND_ONLY: Final = ("archive", "records", "judgements", "checkpoints")
_REFUSED: Final = "RAISE(ABORT, 'the audit is append-only')"
_RAISED: Final = "RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'integrity_constraint_violation';"

# "INSERT OR REPLACE" would delete without firing a delete trigger, so the door is shut before the insert.
_SQLITE_TRIGGERS: Final = (
    "CREATE TRIGGER records_in_sequence BEFORE INSERT ON records"
    " WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM records)"
    " OR EXISTS (SELECT 1 FROM records WHERE kind = NEW.kind AND identity = NEW.identity)"
    " OR EXISTS (SELECT 1 FROM records WHERE chain = NEW.chain AND place = NEW.place)"
    f" BEGIN SELECT {_REFUSED}; END",
    "CREATE TRIGGER judgements_in_sequence BEFORE INSERT ON judgements"
    " WHEN EXISTS (SELECT 1 FROM judgements WHERE seq = NEW.seq AND item = NEW.item AND place = NEW.place)"
    f" BEGIN SELECT {_REFUSED}; END",
    "CREATE TRIGGER checkpoints_in_sequence BEFORE INSERT ON checkpoints"
    " WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM checkpoints)"
    f" BEGIN SELECT {_REFUSED}; END",
    *(
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} BEGIN SELECT {_REFUSED}; END"
        for table in _APPEND_ONLY
        for change in ("UPDATE", "DELETE")
    ),
)

# A row that is there already is refused by its key; PostgreSQL replaces nothing without an UPDATE.
_POSTGRESQL_TRIGGERS: Final = (
    f"CREATE FUNCTION perpguard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_RAISED} END $$",
    "CREATE FUNCTION perpguard_in_sequence() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ DECLARE newest bigint; given bigint; BEGIN"
    " IF TG_TABLE_NAME = 'records' THEN SELECT coalesce(max(seq), 0) INTO newest FROM records; given := NEW.seq;"
    " ELSE SELECT coalesce(max(number), 0) INTO newest FROM checkpoints; given := NEW.number; END IF;"
    f" IF given <> newest + 1 THEN {_RAISED}"
    " END IF; RETURN NEW; END $$",
    *(
        f"CREATE TRIGGER {table}_in_sequence BEFORE INSERT ON {table} FOR EACH ROW"
        " EXECUTE FUNCTION perpguard_in_sequence()"
        for table in ("records", "checkpoints")
    ),
    *(
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}"
        f" FOR EACH {'STATEMENT' if change == 'TRUNCATE' else 'ROW'} EXECUTE FUNCTION perpguard_append_only()"
        for table in _APPEND_ONLY
        for change in ("UPDATE", "DELETE", "TRUNCATE")
    ),
    # A trigger that fires "always" also fires for whoever sets session_replication_role.
    *(
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_{change.lower()}"
        for table in _APPEND_ONLY
        for change in ("UPDATE", "DELETE", "TRUNCATE")
    ),
    *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_in_sequence" for table in ("records", "checkpoints")),
)


def postgresql_layout() -> dict[str, tuple[object, ...]]:
    """What PostgreSQL's catalogue says of this layout: triggers, indexes and functions by name."""
    events = {"UPDATE": 16 + 2 + 1, "DELETE": 8 + 2 + 1, "TRUNCATE": 32 + 2}
    layout: dict[str, tuple[object, ...]] = {
        f"{table}_no_{change.lower()}": (table, events[change], "perpguard_append_only", "A")
        for table in _APPEND_ONLY
        for change in events
    }
    for table in ("records", "checkpoints"):
        layout[f"{table}_in_sequence"] = (table, 4 + 2 + 1, "perpguard_in_sequence", "A")
    for statement in _POSTGRESQL_TRIGGERS:
        if statement.startswith("CREATE FUNCTION"):
            layout[statement.split("(")[0].removeprefix("CREATE FUNCTION ")] = (statement.split("$$")[1],)
    for statement in _TABLES:
        words = statement.split()
        if statement.startswith("CREATE TABLE"):
            layout[f"{words[2]}_pkey"] = (words[2], True, True, False)
        else:
            unique = words[1] == "UNIQUE"
            layout[words[3] if unique else words[2]] = (
                words[5] if unique else words[4],
                unique,
                True,
                " WHERE " in statement,
            )
    return layout


def upgrade() -> None:
    """Lay out an empty archive."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    types = {
        "integer": "INTEGER" if sqlite else "BIGINT",
        "bytes": "BLOB" if sqlite else "BYTEA",
        "strict": " STRICT" if sqlite else "",
        "strict_by_key": " STRICT, WITHOUT ROWID" if sqlite else "",
        **(_BESIDE if sqlite else dict.fromkeys(_BESIDE, "")),
    }
    for statement in _TABLES:
        op.get_bind().exec_driver_sql(statement.format(**types))
    for statement in _SQLITE_TRIGGERS if sqlite else _POSTGRESQL_TRIGGERS:
        op.get_bind().exec_driver_sql(statement)
