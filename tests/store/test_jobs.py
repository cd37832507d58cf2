"""Where workers' jobs lie, and the wall between an older program and a newer schema (PostgreSQL)."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import store.jobs
import store.migrate
from store import Store
from store.admin import backup, migrate, restore, verify
from store.copies import opened
from store.errors import Outdated, StoreError
from store.jobs import SCHEMA, ensure, facts, place
from tests.postgres import Server
from tests.store.build import NOW, PAGE


def tables(url: str) -> set[str]:
    with opened(url) as db, db.read() as conn:
        query = text("SELECT table_name FROM information_schema.tables WHERE table_schema = :s")
        return set(conn.execute(query, {"s": SCHEMA}).scalars())


def test_migrate_makes_the_tables_and_copies_leave_them_alone(postgres_url: str, tmp_path: Path) -> None:
    assert tables(postgres_url) == set()
    with opened(postgres_url) as db, db.read() as conn:
        assert facts(conn, 10, 30.0) is None
    migrate(postgres_url)
    made = tables(postgres_url)
    assert "procrastinate_jobs" in made
    with opened(postgres_url) as db:
        with db.write() as conn:
            conn.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
            conn.execute(text(f"INSERT INTO {SCHEMA}.procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')"))
        with db.read() as conn:
            found = facts(conn, 10, 30.0)
        assert found is not None and (found.workers, found.waiting, found.running, found.failed) == (0, 1, 0, 0)
    migrate(postgres_url)  # nothing to do: the job stays
    with Store.open(postgres_url) as opened_:
        opened_.see_page(PAGE, NOW)
        assert opened_.health(NOW).jobs.waiting == 1  # type: ignore[union-attr]
    backup(postgres_url, tmp_path / "copy.sqlite")
    restore(postgres_url, tmp_path / "copy.sqlite", force=True)
    assert verify(postgres_url) == [] and tables(postgres_url) == made
    restore(f"sqlite:///{tmp_path}/small.db", tmp_path / "copy.sqlite")
    assert verify(f"sqlite:///{tmp_path}/small.db") == []


def test_tables_of_another_version_of_the_library_are_replaced_by_migrate_alone(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(postgres_url)
    sql, _ = store.jobs._wanted()
    monkeypatch.setattr(store.jobs, "_wanted", lambda: (sql + "CREATE TABLE of_the_future ();", "procrastinate newer"))
    with Store.open(postgres_url) as opened_, pytest.raises(Outdated, match="otklik store migrate"):
        opened_.jobs_place()
    assert "of_the_future" not in tables(postgres_url)
    migrate(postgres_url)
    assert "of_the_future" in tables(postgres_url)
    with Store.open(postgres_url) as opened_:
        assert "search_path=otklik_jobs" in opened_.jobs_place()["options"]


def test_workers_that_start_at_once_make_the_tables_once(postgres_url: str) -> None:
    wrong: list[BaseException] = []

    def start() -> None:
        try:
            with opened(postgres_url) as db:
                ensure(db, anew=False)
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert wrong == [] and "procrastinate_jobs" in tables(postgres_url)


def test_without_the_right_one_sentence_says_what_to_do(postgres: Server, postgres_url: str) -> None:
    with opened(postgres_url) as db, db.write() as conn:
        conn.execute(text("DROP ROLE IF EXISTS poor"))
        conn.execute(text("CREATE ROLE poor LOGIN PASSWORD 'poor'"))
    poor = postgres_url.replace(f"otklik:{postgres.password}@", "poor:poor@")
    with opened(poor) as db, pytest.raises(StoreError, match=r"GRANT CREATE ON DATABASE .* TO .poor.") as told:
        ensure(db, anew=False)
    assert told.value.exit_code == 2 and "poor:poor" not in str(told.value)


def test_sqlite_has_no_place_for_jobs(sqlite_url: str) -> None:
    migrate(sqlite_url)
    with opened(sqlite_url) as db, pytest.raises(StoreError, match="PostgreSQL") as told:
        place(db)
    assert told.value.exit_code == 2
    with Store.open(sqlite_url) as opened_:
        assert opened_.health(NOW).jobs is None


def test_no_transaction_of_an_older_program_meets_a_newer_schema(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has begun ends first, the migration waits for it; the next one is refused, and changes nothing."""
    begun, go_on = threading.Event(), threading.Event()
    with Store.open(postgres_url, guarded=True) as older:

        def slowly(tx: Any) -> None:
            begun.set()
            assert go_on.wait(60)
            tx.conn.execute(text("INSERT INTO meta (name, value) VALUES ('before', '1')"))

        writing = threading.Thread(target=lambda: older._db.transact(slowly, NOW))
        writing.start()
        assert begun.wait(60)
        done = threading.Event()

        def newer() -> None:
            with opened(postgres_url) as db, db.write() as conn:
                conn.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))  # as `upgrade` does
                conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            done.set()

        migrating = threading.Thread(target=newer)
        migrating.start()
        with opened(postgres_url) as db:
            limit = time.monotonic() + 60
            waits = text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while time.monotonic() < limit:
                with db.read() as conn:
                    if conn.execute(waits).scalar_one():
                        break
                time.sleep(0.02)
            assert not done.is_set(), "the migration waits"
            go_on.set()
            writing.join(60)
            migrating.join(60)
            assert done.is_set()
            with pytest.raises(Outdated, match="9999"):
                older.see_page(PAGE, NOW)
            with db.read() as conn:
                assert conn.execute(text("SELECT value FROM meta WHERE name = 'before'")).scalar() == "1"
                assert conn.execute(text("SELECT count(*) FROM pages")).scalar() == 0
        with pytest.raises(Outdated):
            older.same_version()


def test_upgrade_takes_that_lock(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the version before: the statement is really sent."""
    from sqlalchemy import event

    from store.db import Database

    db = Database(postgres_url)
    said: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda c, cur, statement, *a: said.append(statement))
    monkeypatch.setattr(store.migrate, "HEAD", "9999")
    monkeypatch.setattr("alembic.command.upgrade", lambda *_: None)
    store.migrate.upgrade(db)
    db.close()
    assert "LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE" in said
