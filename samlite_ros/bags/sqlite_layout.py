"""Is a sqlite3 bag made of plain tables? A database may also hold programs: views, computed columns, virtual tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from samlite_ros.errors import BagError
from samlite_ros.foreign.limits import QOS_CHARACTERS
from samlite_ros.foreign.words import quoted

_TABLES = ("schema", "metadata", "topics", "messages", "message_definitions")
"""Source: rosbag2_storage_sqlite3, sqlite_storage.cpp."""


def check_tables(connection: sqlite3.Connection) -> None:
    """Make sure that reading the bag's tables runs nothing.

    Raises:
        BagError: One is no plain table.
        sqlite3.Error: The file is damaged.
    """
    rows = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    for name, kind, sql in rows:
        if str(name).lower() not in _TABLES:
            continue
        columns = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()  # its name is one of ours
        is_virtual = "VIRTUAL" in str(sql).upper().partition("(")[0]
        if kind != "table" or is_virtual or any(column[6] for column in columns):
            raise BagError(f"its {quoted(name)} is no plain table: a bag is read, not run")


def check_file(path: Path) -> None:
    """Check a whole file's tables, and that its texts are of a sane length.

    Raises:
        BagError: One is no plain table, or a text is too long.
        sqlite3.Error: The file is damaged.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        check_tables(connection)
        names = {row[1] for row in connection.execute("PRAGMA table_info(topics)")}
        if "offered_qos_profiles" in names:
            (longest,) = connection.execute("SELECT max(length(offered_qos_profiles)) FROM topics").fetchone()
            if (longest or 0) > QOS_CHARACTERS:
                raise BagError(f"a topic's QoS has {longest:,} characters, at most {QOS_CHARACTERS:,} are read")
