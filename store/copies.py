"""Copies of a database: back up, restore.

A backup of either database is one SQLite file with all tables, so a small installation can move to PostgreSQL (and
back) by restoring its backup there. A backup is one consistent snapshot; work goes on meanwhile.

A restored database is a new log: what happened after the backup is gone, and numbers given out then are remembered
elsewhere (a consumer's cursor, an alert on the Head's telephone). So it gets a new source, and all its numbers go on
in a range that nobody has seen.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, MetaData, Table, delete, func, insert, inspect, select, text, update
from sqlalchemy.dialects import sqlite as sqlite_dialect

from settings import USAGE, os_problem
from store import migrate as schema
from store.db import BUSY_TIMEOUT_S, Database
from store.errors import Damaged, StoreError, translate
from store.seals import find_key, hidden_id
from store.tables import SEQUENCES, Instant, Json, counters, messages, meta, metadata
from wholefile import sync

RESTORED = "restored"
"""In `meta`: JSON, of each restore so far `last` (event of the backup), `next` (event to come), the old `source`."""

_STEPS = {"events": 10**9, **dict.fromkeys(SEQUENCES, 10**6)}
"""Numbers after a restore begin at a multiple of this, half of it above the last known one at least."""

_CHUNK = 2000
_STALE_S = 86_400.0  # no backup takes a day: its unfinished file was left by a program that was killed


@contextmanager
def opened(url: str) -> Iterator[Database]:
    db = Database(url)
    try:
        yield db
    finally:
        db.close()


@contextmanager
def existing(url: str) -> Iterator[Database]:
    """The database, unless its file is not there: asking it must not make one."""
    with opened(url) as db:
        if db.path is not None and not db.path.exists():
            raise StoreError(f"{db.path}: файла базы нет; проверьте store.url", exit_code=USAGE)
        yield db


# --- backup -----------------------------------------------------------------------------------------------------------


def backup(url: str, path: str | os.PathLike[str], force: bool = False) -> None:
    """Write a snapshot of the database to the SQLite file `path`; an existing file is replaced only with `force`.

    The file appears whole or not at all, readable by its owner only, and was checked before it got its name.
    """
    target = Path(path)
    if target.exists() and not force:
        raise StoreError(f"{target}: файл уже есть; укажите другое имя или --force", exit_code=USAGE)
    if target.exists() and not target.is_file():
        raise StoreError(f"{target}: это не обычный файл; укажите имя файла", exit_code=USAGE)
    if not target.parent.is_dir():
        raise StoreError(f"{target}: нет каталога {target.parent}; создайте его", exit_code=USAGE)
    with existing(url) as db:
        if db.path is not None and target.exists() and target.samefile(db.path):
            raise StoreError(f"{target}: это сама база; укажите для копии другое имя", exit_code=USAGE)
        with db.read() as conn:
            schema.check_version(schema.version_of(conn), db.name)
        with _scratch(target) as scratch:
            if db.path is not None:
                _copy_sqlite(db, scratch)
            else:
                _dump(db, scratch)
            _check_file(scratch, target)
            _put_in_place(scratch, target)


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A file beside `target` with a name of its own, private, gone at the end unless it was renamed."""
    name = f".{target.name}."
    for old in target.parent.glob(f"{name}*.partial*"):
        try:
            if time.time() - old.stat().st_mtime > _STALE_S:
                old.unlink()
        except OSError:
            pass  # somebody else's, or gone already
    try:
        handle, made = tempfile.mkstemp(prefix=name, suffix=".partial", dir=target.parent)
        os.close(handle)
    except OSError as e:
        raise StoreError(f"{target}: файл не создаётся ({os_problem(e)}); проверьте права на каталог") from None
    path = Path(made)
    try:
        yield path
    finally:
        for leftover in (path, *_beside(path)):
            leftover.unlink(missing_ok=True)


def _beside(path: Path) -> list[Path]:
    """The files that SQLite keeps beside a database."""
    return [Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal")]


def _put_in_place(scratch: Path, target: Path) -> None:
    """Give the finished file its name, and only then; after a power failure it is whole or not there."""
    try:
        sync(scratch)
        os.replace(scratch, target)
        sync(target.parent)
    except OSError as e:
        raise StoreError(f"{target}: файл не записывается ({os_problem(e)}); проверьте диск и права") from None


def _copy_sqlite(db: Database, to: Path) -> None:
    try:
        with closing(_sqlite(db.path)) as source, closing(sqlite3.connect(to)) as target:
            _pages(source, target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal beside it
    except sqlite3.Error as e:
        raise translate(e, to.name if _is_full(e) else db.name) from None


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"


def _sqlite(path: Path | None, *, read_only: bool = True) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    return sqlite3.connect(f"{Path(path or '').absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT_S)


def _pages(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """SQLite's online backup; it would wait for ever for a lock, so it is given up after the usual time."""
    until = time.monotonic() + BUSY_TIMEOUT_S

    def waited(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > until:
            raise StoreError("база занята другой программой; остановите её и повторите")

    source.backup(target, progress=waited, sleep=0.05)


def _dump(db: Database, to: Path) -> None:
    """Copy every table of a database that is not a SQLite file, from one snapshot."""
    with opened(f"sqlite:///{to}") as file:
        schema.upgrade(file)
        with db.errors(), db.engine.connect() as source:
            if not db.is_sqlite:
                source = source.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with file.write() as target:
                _copy_rows(source, target)
                for name, last in _numbers(source, db.is_sqlite).items():
                    stored = target.execute(counters.update().where(counters.c.name == name).values(value=last))
                    if not stored.rowcount:
                        target.execute(insert(counters).values(name=name, value=last))
    with closing(sqlite3.connect(to)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")


def _numbers(conn: Any, is_sqlite: bool) -> dict[str, int]:
    """The last number given out of each kind."""
    found = {r.name: r.value for r in conn.execute(select(counters.c.name, counters.c.value))}
    if not is_sqlite:
        for name in SEQUENCES:
            value, called = conn.execute(text(f"SELECT last_value, is_called FROM {name}_ids")).one()
            found[name] = value if called else value - 1
    return found


def _copy_rows(source: Any, target: Any) -> None:
    """All rows of all tables; what stood in the target goes."""
    tables = [_bare(t) for t in metadata.sorted_tables]
    for table in reversed(tables):
        target.execute(delete(table))
    for table in tables:
        rows = source.execution_options(yield_per=_CHUNK).execute(select(table))
        for part in rows.mappings().partitions():
            target.execute(insert(table), [dict(r) for r in part])


def _bare(table: Table) -> Table:
    """The table with the plain types that lie in the file: values are copied as they are."""
    plain = [Column(c.name, _plain(c.type)) for c in table.columns]
    return Table(table.name, MetaData(), *plain)


def _plain(kind: Any) -> Any:
    return BigInteger() if isinstance(kind, Instant) else kind.impl if isinstance(kind, Json) else kind


def _check_file(path: Path, name: Path) -> str:
    """The schema's version of a backup that is sound; else StoreError."""
    try:
        with closing(_sqlite(path)) as conn:
            if (found := conn.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise StoreError(f"{name}: копия повреждена ({found}); возьмите другую")
            try:
                return conn.execute("SELECT version_num FROM alembic_version").fetchone()[0]
            except (sqlite3.OperationalError, TypeError):
                raise StoreError(f"{name}: это не копия базы otklik; укажите файл от otklik store backup") from None
    except sqlite3.DatabaseError as e:
        if getattr(e, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise StoreError(f"{name}: это не копия базы otklik; укажите файл от otklik store backup") from None
        raise translate(e, str(name)) from None


# --- restore ----------------------------------------------------------------------------------------------------------


def forgotten_in(url: str, path: str | os.PathLike[str]) -> list[str]:
    """Numbers of messages in the backup at `path` whose authors the database at `url` has forgotten since: restoring
    it brings them back. Nothing when there is no such database, or it can't be read."""
    file = Path(path)
    with opened(url) as db:
        if not file.is_file() or (db.path is not None and not db.path.exists()):
            return []
        try:
            with db.read() as conn:
                if schema.version_of(conn) != schema.HEAD or (key := find_key(conn)) is None:
                    return []
                hidden = set(
                    conn.execute(select(messages.c.external_id).where(messages.c.forgotten_at.isnot(None))).scalars()
                )
            with closing(_sqlite(file)) as source:
                rows = source.execute("SELECT id, network, external_id FROM messages ORDER BY id")
                return [
                    str(i)
                    for i, network, real in rows
                    if real not in hidden and hidden_id(key, network, real) in hidden
                ]
        except (Damaged, sqlite3.Error):
            return []


def restore(url: str, path: str | os.PathLike[str], force: bool = False) -> Path | None:
    """Make the database what it was when the backup at `path` was taken, at once and whole, with numbers of its own.

    A database that has messages, or can't be read, is replaced only with `force`; one of a newer version never. A
    backup of an older version is migrated on the way. Returns where a file that can't be read was put aside.
    """
    file = Path(path)
    if not file.is_file():
        raise StoreError(f"{file}: файла копии нет; проверьте путь", exit_code=USAGE)
    with opened(url) as db:
        if db.path is not None and db.path.exists() and db.path.samefile(file):
            raise StoreError(f"{file}: это сама база, а не её копия; укажите файл копии", exit_code=USAGE)
        version = _check_file(file, file)
        if version != schema.HEAD and not schema.is_older(version):
            schema.check_version(version, file.name)
        before = _before(db)
        if not force and (before.messages or not before.readable):
            what = "в базе уже есть сообщения" if before.readable else f"{db.name}: файл базы повреждён"
            raise StoreError(f"{what}; чтобы заменить её копией, повторите с --yes", exit_code=USAGE)
        place = db.path.resolve() if db.path is not None else Path(tempfile.gettempdir()) / "otklik-restore"
        with _scratch(place) as scratch:
            _prepare(file, scratch, before.numbers)
            if db.path is None:
                _replace_rows(db, scratch)
            elif before.readable and place.exists():
                try:
                    return _replace_pages(db, scratch)
                except Damaged:
                    pass
            if db.path is not None:
                return _replace_file(scratch, place)
    return None


@dataclass(frozen=True, slots=True)
class _Before:
    """What stood in the database that is to be replaced."""

    readable: bool = True
    messages: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


def _before(db: Database) -> _Before:
    if db.path is not None and not db.path.exists():
        return _Before()
    try:
        with db.read() as conn:
            version = schema.version_of(conn)
            if version is None:
                if inspect(conn).get_table_names():
                    raise StoreError(
                        f"{db.name}: в этой базе чужие таблицы; укажите в store.url пустую базу или базу otklik",
                        exit_code=USAGE,
                    )
                return _Before()
            if version != schema.HEAD and not schema.is_older(version):
                raise StoreError(
                    f"{db.name}: база создана более новой версией программы (схема {version}, здесь {schema.HEAD}) "
                    "и не заменяется; отложите её или укажите в store.url другую базу",
                    exit_code=USAGE,
                )
            some = conn.execute(select(messages.c.id).limit(1)).first() is not None
            return _Before(messages=some, numbers=_numbers(conn, db.is_sqlite))
    except Damaged:
        return _Before(readable=False)


def _prepare(file: Path, scratch: Path, known: Mapping[str, int]) -> None:
    """A copy of the backup, of this program's version, whose numbers go on above all that are `known`."""
    try:
        with closing(_sqlite(file)) as source, closing(sqlite3.connect(scratch)) as target:
            _pages(source, target)
    except sqlite3.Error as e:
        raise translate(e, scratch.name if _is_full(e) else file.name) from None
    with opened(f"sqlite:///{scratch}") as db:
        schema.upgrade(db)
        with db.write() as conn:
            _renumber(conn, known)
    with closing(sqlite3.connect(scratch)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")


def _renumber(conn: Any, known: Mapping[str, int]) -> None:
    mine = _numbers(conn, is_sqlite=True)
    after = {n: _next_range(max(mine.get(n, 0), known.get(n, 0)), step) for n, step in _STEPS.items()}
    for name, value in after.items():
        row = sqlite_dialect.insert(counters).values(name=name, value=value)
        conn.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
    facts = {r.name: r.value for r in conn.execute(select(meta.c.name, meta.c.value))}
    told = orjson.loads(facts[RESTORED]) if RESTORED in facts else []
    told.append(
        {
            "last": mine["events"],
            "next": after["events"] + 1,
            "source": facts["source"],
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    row = sqlite_dialect.insert(meta).values(name=RESTORED, value=orjson.dumps(told).decode())
    conn.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))
    conn.execute(update(meta).where(meta.c.name == "source").values(value=f"urn:uuid:{uuid.uuid4()}"))


def _next_range(last: int, step: int) -> int:
    """A multiple of `step`, at least half a step above `last`: what was given out since the backup is below it."""
    return (last + step + step // 2) // step * step


def _replace_pages(db: Database, scratch: Path) -> None:
    """Into the file as it stands, in one transaction; programs that have it open see the new content."""
    try:
        with closing(_sqlite(scratch, read_only=False)) as source, closing(_sqlite(db.path, read_only=False)) as target:
            (size,) = target.execute("PRAGMA page_size").fetchone()
            if source.execute("PRAGMA page_size").fetchone() != (size,):  # a file in use can't change its own
                source.execute(f"PRAGMA page_size={size}")
                source.execute("VACUUM")
            _pages(source, target)
            target.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as e:
        raise translate(e, db.name) from None


def _replace_file(scratch: Path, place: Path) -> Path | None:
    """The copy becomes the file; a file that can't be read is put aside, not deleted."""
    aside = None
    try:
        if place.exists():
            aside = place.with_name(f"{place.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            for old, new in zip(_beside(place), _beside(aside), strict=True):
                if old.exists():
                    os.replace(old, new)
            os.replace(place, aside)
    except OSError as e:
        raise StoreError(f"{place}: файл не отложить ({os_problem(e)}); проверьте права на каталог") from None
    with closing(sqlite3.connect(scratch)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
    _put_in_place(scratch, place)
    return aside


def _replace_rows(db: Database, scratch: Path) -> None:
    schema.upgrade(db)
    with opened(f"sqlite:///{scratch}") as source_, source_.read() as source, db.write() as target:
        if not db.is_sqlite:
            names = ", ".join(f'"{t.name}"' for t in metadata.sorted_tables)
            target.execute(text(f"TRUNCATE {names}"))
        _copy_rows(source, target)
        if not db.is_sqlite:
            for name in SEQUENCES:
                last = target.execute(select(func.max(counters.c.value)).where(counters.c.name == name)).scalar_one()
                target.execute(text(f"SELECT setval('{name}_ids', :v, true)"), {"v": max(last, 1)})
