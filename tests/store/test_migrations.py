"""The schema: made by migrations, the same as the tables say, guarded by its version."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from sqlalchemy import text

from store import Store, StoreError
from store.admin import current_version, migrate
from store.migrate import HEAD, _config
from store.tables import metadata
from tests.store.build import NOW, judged, landing, see, together


def execute(url: str, sql: str) -> None:
    from store.db import Database

    db = Database(url)
    with db.write() as conn:
        conn.execute(text(sql))
    db.close()


def test_the_newest_migration_is_the_programs_version():
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(_config(None)).get_heads() == [HEAD]


def test_the_migrations_make_the_tables_of_the_code(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store._db.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


def test_indexes_are_partial_on_both_databases(store):
    with store._db.read() as conn:
        if store.dialect == "sqlite":
            found = conn.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index'")).all()
        else:
            found = conn.execute(text("SELECT indexname, indexdef FROM pg_indexes")).all()
    definitions = {name: sql or "" for name, sql in found}
    for name in ("ix_messages_queue", "ix_messages_waiting", "ix_messages_unassessed", "ix_alerts_open"):
        assert "WHERE" in definitions[name]


def test_an_empty_database_gets_its_tables_once(blank_url):
    assert current_version(blank_url) is None
    with Store.open(blank_url) as store:
        see(store)
        store.land(landing(judged(1)), NOW)
    assert current_version(blank_url) == HEAD == migrate(blank_url)
    with Store.open(blank_url) as store:
        assert store.last_seq() == 1


def _open(url: str, who: int) -> int:
    with Store.open(url) as store:
        store.land(landing(judged(who)), NOW)
    return who


def test_programs_that_meet_an_empty_database_together_make_it_once(blank_url):
    together(_open, [(blank_url, who) for who in range(4)])
    with Store.open(blank_url) as store:
        assert store.last_seq() == 4


def test_a_newer_database_is_left_alone(store_url):
    execute(store_url, "UPDATE alembic_version SET version_num = '9999'")
    for work in (lambda: Store.open(store_url), lambda: migrate(store_url)):
        with pytest.raises(StoreError, match="более новой версией"):
            work()
    assert current_version(store_url) == "9999"


def test_an_older_database_asks_to_be_migrated(store_url, monkeypatch):
    import store.migrate

    monkeypatch.setattr(store.migrate, "HEAD", "9999")  # the program of tomorrow meets the database of today
    with pytest.raises(StoreError, match="otklik store migrate"):
        Store.open(store_url)


def test_every_kind_of_wal_and_page_size(sqlite_url):
    with Store.open(sqlite_url) as store, store._db.read() as conn:
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert conn.exec_driver_sql("PRAGMA page_size").scalar() == 8192
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def _at(url: str, version: str) -> None:
    """A database as an older program left it: a message whose author that program had blocked."""
    from alembic import command
    from sqlalchemy import MetaData, insert

    from store.db import Database
    from store.tables import micros

    db = Database(url)
    db.create_file()
    with db.write() as conn:
        command.upgrade(_config(conn), version)
        old = MetaData()
        old.reflect(conn)
        at = micros(NOW)
        row = {
            "id": 1, "network": "vk", "external_id": "c1", "page_id": "-1", "post_id": "wall-1_10", "comment_id": "1",
            "author_id": "5", "author": '{"id":"5","name":"Имя","url":null,"kind":"person"}', "url": "", "text": "спам",
            "folded": "спам", "own": False, "collected_at": at, "listed_at": at, "historical": False, "status": "new",
            "emergency": False, "due_at": at, "priority": 2,
        }  # fmt: skip
        conn.execute(insert(old.tables["messages"]).values(**row))
        for id_, until in ((1, "2026-11-26T09:00:00Z"), (2, None)):
            if id_ == 2:
                conn.execute(insert(old.tables["messages"]).values(**{**row, "id": 2, "external_id": "c2"}))
            data = orjson.dumps({"state": "new", "blocked": until and "spam", "blocked_until": until}).decode()
            conn.execute(insert(old.tables["cases"]).values(message_id=id_, version=1, data=data))
    db.close()


@pytest.mark.parametrize("version", ["0004", "0005", "0011"])
def test_who_was_blocked_before_the_upgrade_is_unblocked_in_time(blank_url, version):
    _at(blank_url, version)
    assert migrate(blank_url) == HEAD
    with Store.open(blank_url) as store:
        (blocked,) = store.blocks()
        assert (blocked["message_id"], blocked["ground"], blocked["until"]) == ("1", "spam", "2026-11-26T09:00:00Z")
        assert store.blocks(due=NOW) == [] and len(store.blocks(due=NOW + timedelta(days=2))) == 1
