"""The schema's version. Migrations lie in `store/migrations` and run from the wheel, without an ini file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from store.db import Database
from store.errors import Outdated, StoreError, translate

HEAD = "0014"
"""The version this program works with; a test compares it with the newest migration."""

PAGE_SIZE = 8192
"""Of a SQLite file, in bytes: a message with its event takes about 2 KB."""

_PG_LOCK = 0x6F746B6C696B  # "otklik": two programs that meet an empty database create it once


def version_of(conn: Connection) -> str | None:
    """The version of the schema in this database; None when there are no tables of ours."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check_version(found: str | None, name: str) -> None:
    """Raise unless `found` is the version this program works with."""
    at = f"{name}: " if name else ""
    if found == HEAD:
        return
    if found is None:
        raise StoreError(f"{at}в этой базе нет таблиц otklik; создайте их командой otklik store migrate")
    if is_older(found):
        raise StoreError(
            f"{at}схема базы версии {found}, программе нужна {HEAD}; сохраните копию (otklik store backup) "
            "и выполните otklik store migrate"
        )
    raise StoreError(
        f"{at}база создана более новой версией программы (схема {found}, здесь {HEAD}); обновите otklik, данные целы"
    )


def same_version(conn: Connection) -> None:
    """Raise `Outdated` when a migration has been here since the program opened the database.

    The SELECT's lock lasts until the transaction ends and `upgrade` waits for it (and it for `upgrade`): no transaction
    that began with this check meets another schema.
    """
    found = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found != HEAD:
        raise Outdated(f"база обновлена до схемы {found}, эта программа знает {HEAD}; запустите новую версию otklik")


def is_older(version: str) -> bool:
    """Whether a version is one that this program can migrate from."""
    from alembic.script import ScriptDirectory

    known = {r.revision for r in ScriptDirectory.from_config(_config(None)).walk_revisions()}
    return version in known


def _config(conn: Connection | None) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    return config


def ready(db: Database) -> None:
    """Check the version; create the tables in an empty database."""
    db.create_file()
    with db.read() as conn:
        found = version_of(conn)
        empty = found is None and not inspect(conn).get_table_names()
    if empty:
        upgrade(db)
        return
    if found is None:
        name = f"{db.name}: " if db.name else ""
        raise StoreError(f"{name}в этой базе чужие таблицы; укажите в store.url пустую базу или базу otklik")
    check_version(found, db.name)


def upgrade(db: Database) -> str:
    """Bring the schema to HEAD in one transaction; a newer one raises StoreError. Returns the version."""
    from alembic import command
    from alembic.script import ScriptDirectory

    db.create_file()
    try:
        if db.is_sqlite and not db.in_memory:
            with db.engine.connect() as conn:
                driver = conn.connection.driver_connection
                driver.execute(f"PRAGMA page_size={PAGE_SIZE}")  # has an effect in an empty file only
                driver.execute("PRAGMA journal_mode=WAL")
        with db.write() as conn:
            if not db.is_sqlite:
                conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _PG_LOCK})
            found = version_of(conn)
            if found == HEAD:
                return HEAD
            if found is not None and not db.is_sqlite:
                conn.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
            config = _config(conn)
            known = {r.revision for r in ScriptDirectory.from_config(config).walk_revisions()}
            if found is not None and found not in known:
                check_version(found, db.name)
            command.upgrade(config, "head")
    except DBAPIError as e:
        raise translate(e, db.name) from None
    return HEAD
