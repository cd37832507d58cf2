"""Databases that can't do what is asked: one clear Russian sentence, no password, nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading

import pytest

from settings import OtklikError
from store import Store, StoreError
from store.admin import backup, restore
from tests.store.build import NOW, dense, judged, landing, see


def one_sentence(error: BaseException) -> str:
    text = str(error)
    assert isinstance(error, OtklikError) and error.exit_code in (1, 2)
    assert "\n" not in text and re.search("[а-я]{4}", text) and len(text) < 300, text
    assert "sqlalchemy" not in text.lower() and "Traceback" not in text and "psycopg." not in text
    return text


def fails(url: str, work=lambda store: store.last_seq()) -> str:
    with pytest.raises(StoreError) as e:
        with Store.open(url) as store:
            work(store)
    return one_sentence(e.value)


def land(store: Store, n: int = 1, words: str = "нет воды") -> None:
    store.land(landing(*(judged(f"{words[:9]}{i}", words) for i in range(n))), NOW)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:geheim@h/db",
        "oracle://x",
        "nonsense",
        "",
        "sqlite",
        "postgresql+asyncpg://u:geheim@h/db",
        "://",
        "file.db",
    ],
)
def test_an_unknown_kind_of_url(url):
    text = fails(url)
    assert "store.url" in text and "geheim" not in text


def test_no_directory(tmp_path):
    assert "нет каталога" in fails(f"sqlite:///{tmp_path}/no/such/otklik.db")


def test_a_directory_in_the_place_of_the_file(tmp_path):
    assert "не открывается" in fails(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize(
    "content", [b"this is a letter, not a database\n" * 99, os.urandom(8192), b"SQLite format 3\0" + b"x" * 5000]
)
def test_not_a_database_stays_as_it_is(tmp_path, content):
    path = tmp_path / "letter.db"
    path.write_bytes(content)
    text = fails(f"sqlite:///{path}")
    assert "letter.db" in text and ("не база" in text or "повреждён" in text)
    assert path.read_bytes() == content


def test_somebody_elses_database(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as conn:
        conn.execute("CREATE TABLE things (x)")
    conn.close()
    assert "чужие таблицы" in fails(f"sqlite:///{tmp_path}/other.db")


def test_a_damaged_file(sqlite_url):
    path = sqlite_url.removeprefix("sqlite:///")
    with Store.open(sqlite_url) as store:
        land(store, 500)
    with sqlite3.connect(path) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.seek(8192)
        f.write(b"\xff" * (size - 8192))
    assert "повреждён" in fails(sqlite_url, lambda s: list(s.messages()))


def test_only_for_reading(sqlite_url):
    with Store.open(sqlite_url) as store:
        see(store)
        land(store)
    path = sqlite_url.removeprefix("sqlite:///")
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    with Store.open(url) as store:
        assert len(list(store.messages())) == 1
        for work in (
            lambda s: land(s, 1, "свет"),
            see,
            lambda s: s.take("a", 1, 9, NOW),
            lambda s: s.reserve("k", 1, now=0),
        ):
            with pytest.raises(StoreError, match="только для чтения"):
                work(store)
    with Store.open(sqlite_url) as store:
        assert dense(store)


def test_locked_by_somebody_for_too_long(sqlite_url):
    with Store.open(f"{sqlite_url}?timeout=0.2") as store:
        land(store)
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="занята") as e:
            land(store, 3, "свет")
        one_sentence(e.value)
        assert len(list(store.messages())) == 1  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        land(store, 3, "свет")
        assert dense(store) and store.last_seq() == 4


def test_locked_for_a_moment_is_waited_for(sqlite_url):
    with Store.open(sqlite_url) as store:
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        release.start()
        land(store)
        release.join()
        other.close()
        assert store.last_seq() == 1


def test_a_full_disk_loses_nothing(sqlite_url):
    """`max_page_count` makes SQLite's own "disk is full" real, also for root."""
    from sqlalchemy import event

    with Store.open(sqlite_url) as store:
        land(store)

        @event.listens_for(store._db.engine, "connect")
        def small(connection, _record):
            connection.execute("PRAGMA max_page_count = 60")

        store._db.engine.dispose()
        with pytest.raises(StoreError, match="кончилось место") as e:
            land(store, 2000, "слово " * 50)
        assert "otklik.db" in one_sentence(e.value)
        assert [m["text"] for m in store.messages()] == ["нет воды"] and dense(store)
        event.remove(store._db.engine, "connect", small)
        store._db.engine.dispose()
        land(store, 2000, "слово " * 50)
        assert dense(store) and store.last_seq() == 2001


@pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="mounting a small disk needs root"
)
def test_a_really_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "none", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with Store.open(f"sqlite:///{disk}/otklik.db") as store:
            land(store)
            with pytest.raises(StoreError) as e:
                land(store, 3000)
            one_sentence(e.value)
            assert [m["external_id"] for m in store.messages()] == ["cнет воды0"]
            assert dense(store)
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


@pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="mounting a small disk needs root"
)
def test_a_directory_for_reading_only_and_a_disk_without_room(tmp_path):
    """What is written beside the database: the database itself, its locks, a backup, the file of a restore."""
    source = f"sqlite:///{tmp_path}/source.db"
    with Store.open(source) as store:
        land(store, 20)
    backup(source, tmp_path / "good.db")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        shutil.copy(tmp_path / "source.db", disk / "otklik.db")
        (disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(disk).free - 16384))
        for work in (
            lambda: backup(source, disk / "copy.db"),
            lambda: restore(f"sqlite:///{disk}/new.db", tmp_path / "good.db"),
            lambda: restore(f"sqlite:///{disk}/otklik.db", tmp_path / "good.db", force=True),
        ):
            with pytest.raises(StoreError, match=r"нет места|кончилось место|чтения или записи") as e:
                work()
            one_sentence(e.value)
        left = {p.name for p in disk.iterdir()}  # and nothing half-done lies about
        assert left <= {"ballast", "otklik.db", "otklik.db-wal", "otklik.db-shm"}
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for work in (
            lambda: Store.open(f"sqlite:///{disk}/new.db"),
            lambda: Store.open(f"sqlite:///{disk}/otklik.db").try_lock("x"),
            lambda: backup(source, disk / "copy.db"),
            lambda: restore(f"sqlite:///{disk}/otklik.db", tmp_path / "good.db", force=True),
        ):
            with pytest.raises(StoreError, match="только для чтения") as e:
                work()
            one_sentence(e.value)
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def test_the_file_is_private_to_its_owner(tmp_path):
    Store.open(f"sqlite:///{tmp_path}/otklik.db").close()
    assert (tmp_path / "otklik.db").stat().st_mode & 0o777 == 0o600


def test_in_memory_works_for_a_try():
    with Store.open("sqlite://") as store:
        see(store)
        land(store, 3)
        listing = store.messages()
        next(listing)
        land(store, 2, "свет")
        assert store.last_seq() == 5 and store.try_lock("x") and not store.try_lock("x")


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def test_postgresql_is_not_there():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    text = fails(f"postgresql://otklik:geheim77@127.0.0.1:{port}/db")
    assert "не отвечает" in text and "geheim77" not in text


def test_something_else_listens():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()

        def answer() -> None:
            conn, _ = s.accept()
            with conn:
                conn.recv(100)
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        helper = threading.Thread(target=answer)
        helper.start()
        fails(f"postgresql://u:geheim77@127.0.0.1:{s.getsockname()[1]}/db?sslmode=disable")
        helper.join()


def test_a_wrong_password_is_told_and_not_shown(postgres, postgres_template):
    text = fails(postgres.url(postgres_template, password="geheim-88"))
    assert "пароль" in text and "geheim-88" not in text


def test_no_such_database(postgres):
    assert "нет такой базы" in fails(postgres.url("no_such_database"))


def test_an_unknown_user(postgres):
    url = postgres.url("postgres").replace("//otklik:", "//stranger:")
    assert postgres.password not in fails(url)


def test_read_only_postgresql(postgres_url):
    url = f"{postgres_url}?options=-c%20default_transaction_read_only%3Don"
    assert "только для чтения" in fails(url, land)


def test_locked_postgresql(postgres_url):
    import psycopg

    dsn = postgres_url.replace("+psycopg", "")
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE messages")
        assert "занята" in fails(f"{postgres_url}?options=-c%20lock_timeout%3D200ms", land)


def test_a_connection_that_was_cut_is_made_anew(postgres_url):
    import psycopg

    with Store.open(postgres_url) as store:
        land(store)
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        land(store, 2, "свет")
        assert store.last_seq() == 3


def test_cut_in_the_middle_of_a_landing_nothing_is_half_done(postgres_url):
    import psycopg

    from store.db import Tx

    with Store.open(postgres_url) as store:
        land(store)
        flush = Tx.flush

        def cut(self: Tx) -> None:
            with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
                pid = self.conn.connection.driver_connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            flush(self)

        Tx.flush = cut
        try:
            with pytest.raises(StoreError) as e:
                land(store, 5, "свет")
        finally:
            Tx.flush = flush
        one_sentence(e.value)
        assert len(list(store.messages())) == 1
        land(store, 5, "свет")
        assert dense(store) and store.last_seq() == 6
