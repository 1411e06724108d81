"""The history of the chat page: conversations as trees of messages, in one SQLite file.

Every message is a row with its parent, under an id that the page made up; so two tabs that go on with one conversation
make two branches of it, and neither overwrites what the other wrote. The records of an answer's tokens lie beside it,
compressed, and are read only when somebody looks.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from limpid.core.errors import LimpidError
from limpid.core.paths import describe_os_error, ensure_directory

VERSION = 1
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an id looks like; under another one, a chat could not be asked for, and so not be deleted either."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chats (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, settings TEXT NOT NULL, current TEXT,
    created REAL NOT NULL, updated REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    chat TEXT NOT NULL REFERENCES chats(id) ON DELETE CASCADE, id TEXT NOT NULL, parent TEXT, role TEXT NOT NULL,
    content TEXT NOT NULL, about TEXT NOT NULL, tokens BLOB, created REAL NOT NULL, PRIMARY KEY (chat, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_time ON chats (updated DESC);
"""


class Chats:
    """A file of conversations. Methods may be called from any thread; they raise LimpidError where the disk refuses.

    kept_aside: where a damaged file was put when this one was made in its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept_aside: Path | None = None
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    # ------------------------------------------------------------------ conversations

    def list(self, query: str = "", limit: int = 500) -> list[dict[str, Any]]:
        """The newest first; with ``query``, those that say it in their title or in a message."""
        like = "%" + query.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        with self._open() as db:
            rows = db.execute(
                "SELECT id, title, created, updated, (SELECT count(*) FROM messages WHERE chat = chats.id) FROM chats "
                r"WHERE ?1 = '%%' OR title LIKE ?1 ESCAPE '\' OR EXISTS ("
                r"SELECT 1 FROM messages WHERE chat = chats.id AND content LIKE ?1 ESCAPE '\') "
                "ORDER BY updated DESC, id LIMIT ?2",
                (like, limit),
            ).fetchall()
        return [dict(zip(("id", "title", "created", "updated", "messages"), row, strict=True)) for row in rows]

    def read(self, chat: str) -> dict[str, Any] | None:
        """A conversation with all its messages, without their tokens; None where there is none."""
        with self._open() as db:
            return self._read(db, chat)

    def write(
        self, chat: str, *, title: str, settings: dict[str, Any], current: str | None,
        messages: Sequence[dict[str, Any]] = (),
    ) -> None:  # fmt: skip
        """Make a conversation, or change what it is called and how it is led. current: the message one is at.

        messages: added with it, all or nothing; where a longer text of one is here already, that stays.
        """
        now = time.time()
        with self._open() as db:
            db.execute(
                "INSERT INTO chats VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (id) DO UPDATE SET "
                "title = ?2, settings = ?3, current = ?4, updated = CASE WHEN current IS ?4 THEN updated ELSE ?5 END",
                (chat, title, json.dumps(settings), current, now),
            )
            for place, message in enumerate(messages):
                self._write_message(db, chat, {"created": now + place * 1e-6, **message}, keep="longer")

    def delete(self, chat: str) -> bool:
        """Remove a conversation; whether there was one."""
        with self._open() as db:
            return db.execute("DELETE FROM chats WHERE id = ?", (chat,)).rowcount > 0

    # ------------------------------------------------------------------ messages

    def write_message(self, chat: str, message: str, fields: dict[str, Any]) -> bool:
        """Add a message (parent, role, content, about, tokens) or replace it; False where there is no such chat."""
        with self._open() as db:
            if db.execute("UPDATE chats SET updated = ? WHERE id = ?", (time.time(), chat)).rowcount == 0:
                return False
            self._write_message(db, chat, {"id": message, "created": time.time(), **fields})
            return True

    def tokens(self, chat: str, message: str) -> Any | None:
        """The records of a message's tokens, as the page gave them; None where it has none."""
        with self._open() as db:
            row = db.execute("SELECT tokens FROM messages WHERE chat = ? AND id = ?", (chat, message)).fetchone()
        return _unpacked(row[0]) if row else None

    # ------------------------------------------------------------------ out and in

    def export(self, chats: Sequence[str] | None = None) -> dict[str, Any]:
        """Conversations (all, unless named) with everything they hold."""
        with self._open() as db:
            ids = [row[0] for row in db.execute("SELECT id FROM chats ORDER BY created")]
            found = [self._read(db, chat, whole=True) for chat in ids if chats is None or chat in chats]
        return {"limpid_chats": VERSION, "chats": found}

    def bring_in(self, table: dict[str, Any]) -> int:
        """Add what `export` gave, here or elsewhere: messages that are here already stay. Returns how many chats.

        Raises:
            LimpidError: it is no export.
        """
        if table.get("limpid_chats") != VERSION or not isinstance(table.get("chats"), list):
            raise LimpidError("This is no export of limpid's chats (it lacks limpid_chats and a list of chats).")
        with self._open() as db:
            try:
                for chat in table["chats"]:
                    db.execute(
                        "INSERT OR IGNORE INTO chats VALUES (?, ?, ?, ?, ?, ?)",
                        (_checked(chat["id"]), str(chat["title"]), json.dumps(dict(chat["settings"])),
                         _checked(chat["current"], absent=True), float(chat["created"]), float(chat["updated"])),
                    )  # fmt: skip
                    for message in chat["messages"]:
                        known = {"id": _checked(message["id"]), "parent": _checked(message["parent"], absent=True)}
                        self._write_message(db, chat["id"], message | known, keep="first")
            except (KeyError, TypeError, ValueError, OverflowError, sqlite3.Error) as error:
                raise LimpidError(f"This export of chats is damaged: {error!r}.") from None
        return len(table["chats"])

    # ------------------------------------------------------------------ within

    def _read(self, db: sqlite3.Connection, chat: str, *, whole: bool = False) -> dict[str, Any] | None:
        row = db.execute("SELECT id, title, settings, current, created, updated FROM chats WHERE id = ?", (chat,))
        found = row.fetchone()
        if found is None:
            return None
        table = dict(zip(("id", "title", "settings", "current", "created", "updated"), found, strict=True))
        table["settings"] = json.loads(table["settings"])
        blob = "tokens" if whole else "tokens IS NOT NULL"
        rows = db.execute(
            f"SELECT id, parent, role, content, about, created, {blob} FROM messages WHERE chat = ? "
            "ORDER BY created, id", (chat,),
        )  # fmt: skip
        names = ("id", "parent", "role", "content", "about", "created", "tokens")
        table["messages"] = [dict(zip(names, row, strict=True)) for row in rows]
        for message in table["messages"]:
            message["about"] = json.loads(message["about"])
            message["tokens"] = _unpacked(message["tokens"]) if whole else bool(message["tokens"])
        return table

    def _write_message(
        self, db: sqlite3.Connection, chat: str, message: dict[str, Any], *,
        keep: Literal["first", "longer", "last"] = "last",
    ) -> None:  # fmt: skip
        """keep: which stays where one of that id is here. Without ``tokens``, those of the same content stay."""
        tokens = message.get("tokens")
        packed = None if not tokens else zlib.compress(json.dumps(tokens, separators=(",", ":")).encode(), 6)
        update = "UPDATE SET content = ?5, about = ?6, tokens = coalesce(?7, iif(content = ?5, tokens, NULL))"
        longer = "WHERE length(?5) > length(content) OR (content = ?5 AND tokens IS NULL)"
        db.execute(
            "INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO "
            + {"first": "NOTHING", "last": update, "longer": f"{update} {longer}"}[keep],
            (chat, str(message["id"]), message["parent"], str(message["role"]), str(message["content"]),
             json.dumps(dict(message["about"])), packed, float(message["created"])),
        )  # fmt: skip

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The file, as one transaction; a damaged one is put aside, and a new one begun."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                with self._connection:
                    yield self._connection
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError):
                raise  # of what was to be written; the file is well
            except sqlite3.OperationalError as error:  # locked, full, read-only: it may be well the next time
                raise LimpidError(f"The history of chats ({self.path}) cannot be used: {error}.") from None
            except sqlite3.DatabaseError:
                self._put_aside()
                raise LimpidError(f"The history of chats was damaged; it is kept as {self.kept_aside}.") from None

    def _connect(self) -> sqlite3.Connection:
        try:
            ensure_directory(self.path.parent)
            self.path.touch(mode=0o600)
        except OSError as error:
            raise describe_os_error(error, self.path) from None
        try:
            return self._prepared()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._put_aside()
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=5, check_same_thread=False)
        try:
            if (state := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(state)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            db.executescript(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _put_aside(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.kept_aside = self.path.with_name(f"{self.path.stem}.damaged-{stamp}{self.path.suffix}")
        for ending in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + ending)
            if part.exists():
                part.rename(self.kept_aside.with_name(self.kept_aside.name + ending))


def _checked(given: Any, *, absent: bool = False) -> str | None:
    """An id, or None where one may be absent. Raises ValueError."""
    if given is None and absent:
        return None
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise ValueError(f"{str(given)[:80]!r} is no id")
    return given


def _unpacked(blob: bytes | None) -> Any | None:
    return None if blob is None else json.loads(zlib.decompress(blob))
