"""A database: its engine, its transactions, its errors.

SQLite runs in WAL mode: readers never wait for the writer. A write begins with BEGIN IMMEDIATE, so two writers queue up
instead of failing half-way. Writes that others may act upon are synced to the disk at commit (synchronous=FULL): an
event that a consumer has read, or an alert that was sent, is still there after a power failure. The call budgets are
not synced (NORMAL): a killed process loses nothing of them, a power failure at most the last seconds.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Engine, Table, bindparam, create_engine, event, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from settings import USAGE, os_problem, remember_secret
from store.errors import StoreError, translate
from store.tables import counters

T = TypeVar("T")
BUSY_TIMEOUT_S = 30.0
REPEAT_WINDOW = timedelta(days=30)
"""How far apart two messages may be to count as one question (`classifier.repeat_window`)."""
_RETRIES = 5
_RETRY_STATES = {"40001", "40P01"}  # serialization failure, deadlock: the transaction was undone, it may run again


def parse_url(url: str) -> URL:
    """The URL with the driver made explicit; a password in it is remembered as a secret."""
    try:
        found = make_url(url)
    except ArgumentError:
        raise StoreError(
            "store.url не разбирается; нужно sqlite:///otklik.db или postgresql+psycopg://имя:пароль@сервер/база",
            exit_code=USAGE,
        ) from None
    if found.password:
        remember_secret(str(found.password))
    name = found.drivername
    if name in ("postgres", "postgresql"):
        return found.set(drivername="postgresql+psycopg")
    if name in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        return found
    raise StoreError(
        f"store.url: база {name} не поддерживается; нужно sqlite:///… или postgresql+psycopg://…", exit_code=USAGE
    )


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite database; None when it lives in memory."""
    name = url.database or ""
    if name.startswith("file:"):
        name = name[5:].split("?")[0]
        if url.query.get("mode") == "memory":
            return None
    return None if name in ("", ":memory:") else Path(name)


class Database:
    """One database, for all threads of a process. Every error leaves it as a `StoreError`."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = sqlite_path(self.url) if self.is_sqlite else None
        self.in_memory = self.is_sqlite and self.path is None
        self.name = self.path.name if self.path else ("" if self.is_sqlite else "PostgreSQL")
        self.repeat_window = REPEAT_WINDOW
        self.guard: Callable[[Connection], None] | None = None
        """Called first in each transaction of `transact`; what it raises undoes it."""
        self._alone = threading.RLock()  # one connection for all, in memory only
        self.engine = self._make_engine()

    @property
    def dialect(self) -> str:
        return "sqlite" if self.is_sqlite else "postgresql"

    def close(self) -> None:
        self.engine.dispose()

    # --- engines -----------------------------------------------------------------------------------------------------

    def _make_engine(self, *, pooled: bool = True) -> Engine:
        if not self.is_sqlite:
            url = self.url.update_query_dict(
                {k: v for k, v in _PG_DEFAULTS.items() if k not in self.url.query}, append=False
            )
            how: dict[str, Any] = {"pool_size": 5, "max_overflow": 20} if pooled else {"poolclass": NullPool}
            engine = create_engine(url, pool_pre_ping=pooled, hide_parameters=True, **how)
            return engine
        args: dict[str, Any] = {"check_same_thread": False}
        if "timeout" not in self.url.query:
            args["timeout"] = BUSY_TIMEOUT_S
        if self.in_memory:
            how = {"poolclass": StaticPool}
        else:  # the connection used last is used next: what it remembers (store/likely.py) is the newest
            how = {"pool_use_lifo": True} if pooled else {"poolclass": NullPool}
        engine = create_engine(self.url, connect_args=args, hide_parameters=True, **how)
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine

    def create_file(self) -> None:
        """Make an absent SQLite file readable by its owner only: it will hold what residents wrote."""
        if self.path is None or self.path.exists() or self.url.query.get("mode") == "ro":
            return
        if not self.path.parent.is_dir():
            raise StoreError(f"{self.path}: нет каталога {self.path.parent}; создайте его или исправьте store.url")
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as e:
            raise StoreError(
                f"{self.path}: файл базы не создаётся ({os_problem(e)}); проверьте путь и права на каталог"
            ) from None

    # --- transactions ------------------------------------------------------------------------------------------------

    @contextmanager
    def errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as e:
            raise translate(e, self.name) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection with one consistent snapshot (PostgreSQL: of each statement); nothing is written."""
        with self.errors(), self._turn(), self.engine.connect() as conn:
            yield conn

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction: committed at the end, undone on any error."""
        with self.errors(), self._turn(), self.engine.connect() as conn:
            conn = conn.execution_options(otklik_write="FULL" if durable else "NORMAL")
            with conn.begin():
                yield conn

    def again(self, work: Callable[[], T]) -> T:
        """`work()`, a whole transaction, run again when PostgreSQL undid it for the sake of another."""
        for attempt in range(_RETRIES):
            try:
                return work()
            except _Undone:
                time.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise translate_undone(self.name)

    def transact(self, work: Callable[[Tx], T], now: datetime, *, durable: bool = True) -> T:
        """Run `work(tx)` in one transaction and append the events it emitted as its last step."""

        def once() -> T:
            try:
                with self._turn(), self.engine.connect() as conn:
                    conn = conn.execution_options(otklik_write="FULL" if durable else "NORMAL")
                    with conn.begin():
                        if self.guard is not None:
                            self.guard(conn)
                        tx = Tx(conn, self.is_sqlite, now, self.repeat_window)
                        result = work(tx)
                        tx.flush()
                    for done in tx.after_commit:
                        done()
                    return result
            except DBAPIError as e:
                if getattr(e.orig, "sqlstate", None) in _RETRY_STATES:
                    raise _Undone from None
                raise translate(e, self.name) from None

        return self.again(once)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.in_memory:
            with self._alone:
                yield
        else:
            yield

    def session(self) -> Connection:
        """A connection outside the pool, for what lives as long as a session does (advisory locks)."""
        engine = self._make_engine(pooled=False)
        with self.errors():
            return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


class _Undone(Exception):
    pass


def translate_undone(where: str) -> StoreError:
    return StoreError(f"{where}: база слишком занята одновременными записями; повторите позже")


_PG_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "otklik",
    # A writer waits for another one, but not for ever; a vanished client's session ends.
    "options": "-c lock_timeout=30s -c idle_in_transaction_session_timeout=10min -c timezone=UTC",
}


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _sqlite_begin alone
    cursor = connection.cursor()
    for pragma in (
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-32000",
        "wal_autocheckpoint=8000",
        "journal_size_limit=67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(conn: Connection) -> None:
    level = conn.get_execution_options().get("otklik_write")
    if level:
        conn.exec_driver_sql(f"PRAGMA synchronous={level}")
        _take_turn(conn)
    else:
        conn.exec_driver_sql("BEGIN")


def _take_turn(conn: Connection) -> None:
    """BEGIN IMMEDIATE, asking every millisecond while another writer is at work.

    SQLite itself waits in steps that grow to 100 ms, in which the file often stands idle; the last word is left to it.
    """
    driver = conn.connection.driver_connection
    (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
    until = time.monotonic() + patience / 1000
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < until:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as e:
                if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(0.001)
        conn.exec_driver_sql("BEGIN IMMEDIATE")  # the same error again, told the usual way
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience}")


class Tx:
    """A write transaction in hand: dialect helpers, ids, and the events that will be appended at its end."""

    def __init__(
        self, conn: Connection, is_sqlite: bool, now: datetime, repeat_window: timedelta = REPEAT_WINDOW
    ) -> None:
        self.conn = conn
        self.is_sqlite = is_sqlite
        self.now = now
        self.repeat_window = repeat_window
        self.after_commit: list[Callable[[], None]] = []
        self._events: list[tuple[str, int | None, bytes]] = []

    def execute(self, statement: Any, values: Any = None) -> Any:
        return self.conn.execute(statement, values)

    def insert(self, table: Table) -> Any:
        """INSERT of this dialect, which knows ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def insert_many(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, unless_known: str = ""
    ) -> set[Any] | None:
        """INSERT many rows of the same columns in one statement, past the work per parameter of a usual one: SQLite's
        driver gets tuples, PostgreSQL one JSON array that the server takes apart.

        `unless_known` (PostgreSQL): rows that another transaction put in first are skipped; returns the values of this
        column of the rows that were really inserted.
        """
        if not rows:
            return set()
        names = tuple(rows[0])
        return self.insert_packed(table, names, pack(table, rows, self.conn.dialect), unless_known=unless_known)

    def insert_packed(
        self, table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]], *, unless_known: str = ""
    ) -> set[Any] | None:
        """`insert_many` for rows that `pack` prepared, before the transaction perhaps; `names`: their keys then."""
        if not rows:
            return set()
        sql, columns = _bulk(table, names, self.conn.dialect)
        if self.is_sqlite:
            self.conn.exec_driver_sql(sql, rows)
            return None
        ordered = [name for name, _ in columns]
        listed = ", ".join(f'"{name}"' for name in ordered)
        query = (
            f"INSERT INTO {table.name} ({listed}) SELECT {listed} "
            f"FROM json_populate_recordset(NULL::{table.name}, CAST(:rows AS json))"
        )
        if unless_known:
            query += f" ON CONFLICT DO NOTHING RETURNING {unless_known}"
        packed = orjson.dumps([dict(zip(ordered, row, strict=True)) for row in rows]).decode()
        result = self.conn.execute(text(query), {"rows": packed})
        return set(result.scalars()) if unless_known else None

    def lock(self, query: Any) -> Any:
        """SELECT … FOR UPDATE; SQLite's writer is alone anyway."""
        return query if self.is_sqlite else query.with_for_update()

    def allocate(self, name: str, n: int) -> Sequence[int]:
        """`n` fresh ids of a table."""
        if n == 0:
            return ()
        if self.is_sqlite:
            last = self._count_up(name, n)
            return range(last - n + 1, last + 1)
        found = self.conn.execute(text(f"SELECT nextval('{name}_ids') FROM generate_series(1, :n)"), {"n": n})
        return sorted(found.scalars())

    def allocate_one(self, name: str) -> int:
        """The next number of a dense row of numbers, on both databases; others wait for it until the commit."""
        return self._count_up(name, 1)

    def _count_up(self, name: str, n: int) -> int:
        bump = (
            update(counters)
            .where(counters.c.name == name)
            .values(value=counters.c.value + n)
            .returning(counters.c.value)
        )
        return self.conn.execute(bump).scalar_one()

    def emit(self, type_: str, message_id: int | None, data: bytes) -> int:
        """Remember an event; `data` is its JSON. It gets its number when the transaction ends. Returns its place."""
        self._events.append((type_, message_id, data))
        return len(self._events) - 1

    def emitted(self, place: int) -> bytes:
        """The data of an event that this transaction emitted."""
        return self._events[place][2]

    def amend(self, place: int, data: bytes) -> None:
        """Other data for an event that this transaction emitted: more became known."""
        type_, message_id, _ = self._events[place]
        self._events[place] = (type_, message_id, data)

    def flush(self) -> None:
        """Append the events. The counter's row stays locked until the commit that follows at once, so numbers become
        visible in their order and without gaps: a reader that saw n has seen everything before n."""
        if not self._events:
            return
        from store.tables import events

        last = self._count_up("events", len(self._events))
        batch = os.urandom(8).hex()  # an id stays unique even when a restored backup gives a number out again
        first = last - len(self._events) + 1
        for part in chunks(range(len(self._events))):
            rows = [
                {
                    "seq": first + i,
                    "id": f"{batch}-{i}",
                    "type": self._events[i][0],
                    "time": self.now,
                    "message_id": self._events[i][1],
                    "data": self._events[i][2].decode(),
                }
                for i in part
            ]
            self.insert_many(events, rows)
        self._events.clear()


@lru_cache(maxsize=64)
def _bulk(table: Table, names: tuple[str, ...], dialect: Any) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """The INSERT of these columns, and for each in its order the name and the function that prepares its values."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    # The table's order, whatever order a row's keys have: rows packed apart from each other go in together.
    order = compiled.positiontup or [c.name for c in table.columns if c.name in names]
    return str(compiled), tuple((n, table.c[n].type.dialect_impl(dialect).bind_processor(dialect)) for n in order)


def pack(table: Table, rows: Sequence[Mapping[str, Any]], dialect: Any) -> list[tuple[Any, ...]]:
    """Rows of the same keys as the driver takes them: values in the order of the table's columns."""
    if not rows:
        return []
    _, columns = _bulk(table, tuple(rows[0]), dialect)
    values = [
        [row[name] for row in rows] if process is None else [process(row[name]) for row in rows]
        for name, process in columns
    ]
    return list(zip(*values, strict=True))


def chunks(items: Sequence[T], size: int = 5000) -> Iterator[Sequence[T]]:
    """Slices that fit into one statement's parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def among(conn: Connection, column: Any, keys: Sequence[Any]) -> Any:
    """`column` is one of `keys`, however many: one parameter, planned once."""
    if conn.dialect.name == "postgresql":
        return column == func.any(bindparam(None, list(keys), type_=postgresql.ARRAY(column.type)))
    keys_ = func.json_each(orjson.dumps(list(keys)).decode()).table_valued("value")
    return column.in_(select(keys_.c.value))


def driver_rows(conn: Connection, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Rows as the driver gives them, to read very many: from PostgreSQL in its binary format, a bytea as bytes."""
    if conn.dialect.name == "sqlite":
        return list(conn.exec_driver_sql(sql, values).all())
    driver: Any = conn.connection.driver_connection
    try:
        with driver.cursor(binary=True) as cursor:
            return list(cursor.execute(sql, values).fetchall())
    except conn.dialect.loaded_dbapi.Error as e:
        raise DBAPIError(sql, None, e) from None


def rows_in(conn: Connection, query: Any, column: Any, keys: Sequence[Any]) -> Iterator[Any]:
    """Rows of `query` whose `column` is among `keys`."""
    for part in chunks(keys):
        yield from conn.execute(query.where(among(conn, column, part))).all()


__all__ = ["Database", "Tx", "among", "chunks", "parse_url", "rows_in", "select", "sqlite_path"]
