"""Care of a database: migrate, back up, restore, verify.

A backup of either database is one SQLite file with all tables, so a small installation can move to PostgreSQL (and
back) by restoring its backup there. A backup is one consistent snapshot; work goes on meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from settings import USAGE
from store import migrate as schema
from store.db import BUSY_TIMEOUT_S, Database
from store.errors import StoreError, translate
from store.tables import (
    SEQUENCES,
    Instant,
    Json,
    alerts,
    counters,
    events,
    messages,
    metadata,
    posts,
)

_CHUNK = 2000


@contextmanager
def _database(url: str) -> Iterator[Database]:
    db = Database(url)
    try:
        yield db
    finally:
        db.close()


def migrate(url: str) -> str:
    """Bring the schema to this program's version, in one transaction; the version."""
    with _database(url) as db:
        return schema.upgrade(db)


def current_version(url: str) -> str | None:
    """The schema's version; None for a database without our tables."""
    with _database(url) as db:
        if db.path is not None and not db.path.exists():
            return None
        with db.read() as conn:
            return schema.version_of(conn)


# --- backup -----------------------------------------------------------------------------------------------------------


def backup(url: str, path: str | os.PathLike[str], force: bool = False) -> None:
    """Write a snapshot of the database to the SQLite file `path`; an existing file is replaced only with `force`.

    The file appears whole or not at all, readable by its owner only, and was checked before it got its name.
    """
    target = Path(path)
    if target.exists() and not force:
        raise StoreError(f"{target}: файл уже есть; укажите другое имя или --force", exit_code=USAGE)
    if not target.parent.is_dir():
        raise StoreError(f"{target}: нет каталога {target.parent}; создайте его", exit_code=USAGE)
    with _database(url) as db:
        _must_exist(db)
        if db.path is not None and target.exists() and target.samefile(db.path):
            raise StoreError(f"{target}: это сама база; укажите для копии другое имя", exit_code=USAGE)
        with _scratch(target) as scratch:
            with db.read() as conn:
                schema.check_version(schema.version_of(conn), db.name)
            if db.path is not None:
                _copy_sqlite(db, scratch)
            else:
                _dump(db, scratch)
            _check_file(scratch, target)
            _sync(scratch)
            os.replace(scratch, target)


def _must_exist(db: Database) -> None:
    if db.path is not None and not db.path.exists():
        raise StoreError(f"{db.path}: файла базы нет; проверьте store.url", exit_code=USAGE)


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A file beside `target`, private, gone at the end unless it was renamed."""
    path = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as e:
        raise StoreError(f"{target}: файл не создаётся ({e.strerror}); проверьте права на каталог") from None
    try:
        yield path
    finally:
        for leftover in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")):
            leftover.unlink(missing_ok=True)


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
    to.unlink()
    with _database(f"sqlite:///{to}") as file:
        schema.upgrade(file)
        with db.errors(), db.engine.connect() as source:
            if not db.is_sqlite:
                source = source.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with file.write() as target:
                _copy_rows(source, target)
                for name in SEQUENCES:
                    table = metadata.tables[name]
                    last = target.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
                    if not db.is_sqlite:
                        last = max(last, source.execute(text(f"SELECT last_value FROM {name}_ids")).scalar_one())
                    target.execute(counters.update().where(counters.c.name == name).values(value=last))
    with closing(sqlite3.connect(to)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")


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


def _sync(path: Path) -> None:
    """The file, and then its place in the directory, on the disk."""
    with open(path, "rb+") as f:
        os.fsync(f.fileno())


# --- restore ----------------------------------------------------------------------------------------------------------


def restore(url: str, path: str | os.PathLike[str], force: bool = False) -> None:
    """Make the database what it was when the backup at `path` was taken, in one transaction.

    A database that has messages is replaced only with `force`. A backup of an older version is migrated on the way;
    one of a newer version is refused.
    """
    file = Path(path)
    if not file.is_file():
        raise StoreError(f"{file}: файла копии нет; проверьте путь", exit_code=USAGE)
    with _database(url) as db:
        if db.path is not None and db.path.exists() and db.path.samefile(file):
            raise StoreError(f"{file}: это сама база, а не её копия; укажите файл копии", exit_code=USAGE)
        version = _check_file(file, file)
        if version == schema.HEAD:
            _restore(db, file, force)
            return
        if not schema.is_older(version):
            schema.check_version(version, file.name)
        with _scratch(file.with_name(f"{file.name}.migrated")) as scratch:
            with closing(_sqlite(file)) as source, closing(sqlite3.connect(scratch)) as target:
                _pages(source, target)
            with _database(f"sqlite:///{scratch}") as older:
                schema.upgrade(older)
            _restore(db, scratch, force)


def _restore(db: Database, file: Path, force: bool) -> None:
    if not force and _has_messages(db):
        raise StoreError("в базе уже есть сообщения; чтобы заменить их копией, повторите с --yes", exit_code=USAGE)
    if db.path is not None:
        db.create_file()
        try:
            with closing(_sqlite(file)) as source, closing(_sqlite(db.path, read_only=False)) as target:
                _pages(source, target)
                target.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as e:
            raise translate(e, db.name) from None
        return
    schema.upgrade(db)
    with _database(f"sqlite:///{file}") as backup_, backup_.read() as source, db.write() as target:
        if not db.is_sqlite:
            names = ", ".join(f'"{t.name}"' for t in metadata.sorted_tables)
            target.execute(text(f"TRUNCATE {names}"))
        _copy_rows(source, target)
        if not db.is_sqlite:
            for name in SEQUENCES:
                last = target.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one()
                target.execute(text(f"SELECT setval('{name}_ids', :v, true)"), {"v": max(last, 1)})


def _has_messages(db: Database) -> bool:
    if db.path is not None and not db.path.exists():
        return False
    with db.read() as conn:
        if schema.version_of(conn) is None:
            return False
        return conn.execute(select(messages.c.id).limit(1)).first() is not None


# --- verify -----------------------------------------------------------------------------------------------------------


def verify(url: str) -> list[str]:
    """What is wrong with the database, one Russian sentence each; nothing when it is sound. Reads everything."""
    with _database(url) as db:
        _must_exist(db)
        with db.read() as conn:
            schema.check_version(schema.version_of(conn), db.name)
        try:
            with db.engine.connect() as conn:
                if not db.is_sqlite:
                    conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                return [*_file_problems(conn, db.is_sqlite), *_problems(conn)]
        except DBAPIError as e:
            raise translate(e, db.name) from None


def _file_problems(conn: Any, is_sqlite: bool) -> Iterator[str]:
    if not is_sqlite:
        return
    for (found,) in conn.exec_driver_sql("PRAGMA integrity_check(5)"):
        if found != "ok":
            yield f"файл базы повреждён: {found}; восстановите копию (otklik store restore)"
    if conn.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        yield "есть записи о сообщениях, которых нет; восстановите копию (otklik store restore)"


def _problems(conn: Any) -> Iterator[str]:
    def one(query: Any) -> Any:
        return conn.execute(query).scalar_one()

    m = messages.c
    count, first, last = conn.execute(
        select(func.count(), func.coalesce(func.min(events.c.seq), 1), func.coalesce(func.max(events.c.seq), 0))
    ).one()
    counted = one(select(func.coalesce(func.max(counters.c.value), 0)).where(counters.c.name == "events"))
    if count != last - first + 1 or first != 1:
        yield f"в журнале событий пропуски: событий {count}, номера с {first} по {last}"
    if counted != last:
        yield f"счётчик событий ({counted}) не равен последнему номеру ({last})"
    landed = select(events.c.message_id).where(events.c.type == "otklik.message.landed")
    silent = one(select(func.count()).select_from(select(m.id).where(~m.own).except_(landed).subquery()))
    if silent:
        yield f"сообщений без события о поступлении: {silent}"
    orphans = one(select(func.count()).select_from(landed.except_(select(m.id)).subquery()))
    if orphans:
        yield f"событий о сообщениях, которых нет: {orphans}"
    doubled_events = one(
        select(func.count() - func.count(events.c.message_id.distinct())).where(
            events.c.type == "otklik.message.landed"
        )
    )
    if doubled_events:
        yield f"лишних событий о поступлении: {doubled_events}"
    emergencies = select(m.id).where(m.emergency, ~m.own, ~m.historical)
    missed = one(select(func.count()).select_from(emergencies.except_(select(alerts.c.message_id)).subquery()))
    if missed:
        yield f"чрезвычайных сообщений без тревоги: {missed}"
    twice = select(m.network, m.external_id).group_by(m.network, m.external_id).having(func.count() > 1).subquery()
    if doubled := one(select(func.count()).select_from(twice)):
        yield f"комментариев, записанных дважды: {doubled}"
    live = (
        select(m.network, m.post_id, func.count().label("n"))
        .where(m.deleted_at.is_(None))
        .group_by(m.network, m.post_id)
        .subquery()
    )
    same = (live.c.network == posts.c.network) & (live.c.post_id == posts.c.id)
    wrong = (
        select(func.count())
        .select_from(posts)
        .join(live, same, isouter=True)
        .where(posts.c.stored != func.coalesce(live.c.n, 0))
    )
    if off := one(wrong):
        yield f"публикаций, у которых счётчик сохранённых комментариев не сходится: {off}"
    lost = one(
        select(func.count()).select_from(
            select(m.network, m.post_id).except_(select(posts.c.network, posts.c.id)).subquery()
        )
    )
    if lost:
        yield f"публикаций с комментариями, но без записи о них: {lost}"
