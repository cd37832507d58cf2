"""Backups of either database restored into either; verification finds what is wrong."""

from __future__ import annotations

import os
import sqlite3
import stat
from datetime import timedelta

import pytest
from sqlalchemy import text

from store import Store, StoreError
from store.admin import backup, restore, verify
from store.values import Coverage, Outcome
from tests.store.build import EMERGENCY, NOW, PAGE, dense, judged, landing, mark, photo, see, together


def fill(store: Store) -> None:
    """Something in every table."""
    see(store)
    store.land(
        landing(
            judged(1, "нет воды", attachments=(photo(),)),
            judged(2, "горит дом \U0001f525", EMERGENCY),
            judged(3, own=True),
            judged(4, "не оценено", None),
            posts=[mark(walked="full", cursor="c", next_check_at=NOW)],
        ),
        NOW,
    )
    store.land(landing(judged(1, "нет воды и света"), deleted=["c4"]), NOW)
    store.correct("1", {"urgency": "urgent"}, by="ivanova", now=NOW)
    store.claim_alerts(NOW, 30, [("k", "head")], 600, 60, 3)
    store.raise_drill("учебная", NOW)
    store.take("a", 1, 60, NOW)
    store.remember_resolved("vk", "x", PAGE, NOW)
    store.reserve("k", 0.25, now=1000.5)
    store.count_call("k", "2026-11-24")
    store.add_coverage(
        store.start_run("collect", NOW), Coverage("vk", "-1", NOW, NOW, Outcome.complete, delay_p50=1.25)
    )


def content(store: Store) -> dict:
    return {
        "events": list(store.events_raw(0, 999)),
        "messages": [store.message(m["id"], full=True) for m in store.messages()],
        "alerts": store.alerts(),
        "posts": store.post_states(PAGE),
        "known": store.known("vk", "wall-1_10"),
        "pages": store.page_states(),
        "coverage": store.last_coverage(),
        "resolved": store.resolved("vk", "x"),
    }


@pytest.fixture
def filled(store):
    fill(store)
    return store


def test_what_was_backed_up_comes_back_in_either_database(filled, store_url, blank_url, tmp_path):
    before = content(filled)
    file = tmp_path / "copy.db"
    backup(store_url, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name or "copy.db-" in p.name] == []
    restore(blank_url, file)
    assert verify(blank_url) == []
    with Store.open(blank_url) as again:
        assert content(again) == before
        # Life goes on: numbers follow those of the copy.
        again.land(landing(judged(5, "горит дом", EMERGENCY)), NOW)
        assert dense(again) and again.message("5")["external_id"] == "c5"
        assert again.reserve("k", 0.25, now=1000.5) == 0.25
        again.add_coverage("r", Coverage("vk", "-1", NOW, NOW, Outcome.failed))
        assert again.raise_drill("x", NOW) == "4"
    assert verify(blank_url) == []


def test_restoring_replaces_only_when_told_to(filled, store_url, tmp_path):
    file = tmp_path / "copy.db"
    backup(store_url, file)
    before = content(filled)
    filled.land(landing(judged(9)), NOW)
    with pytest.raises(StoreError, match="уже есть сообщения"):
        restore(store_url, file)
    assert len(list(filled.messages())) == 4
    restore(store_url, file, force=True)
    assert content(filled) == before  # also for one that had the database open
    filled.land(landing(judged(9)), NOW)
    assert dense(filled) and verify(store_url) == []


def test_an_existing_backup_is_not_overwritten(filled, store_url, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("важное")
    with pytest.raises(StoreError, match="уже есть"):
        backup(store_url, file)
    assert file.read_text() == "важное"
    backup(store_url, file, force=True)
    assert sqlite3.connect(file).execute("SELECT count(*) FROM messages").fetchone() == (4,)


def test_where_no_backup_can_be(filled, store_url, tmp_path):
    with pytest.raises(StoreError, match="нет каталога"):
        backup(store_url, tmp_path / "no" / "copy.db")
    with pytest.raises(StoreError, match="файла базы нет"):
        backup(f"sqlite:///{tmp_path}/absent.db", tmp_path / "copy.db")
    assert not (tmp_path / "absent.db").exists() and not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(
    "bytes_", [b"", b"letter" * 999, b"SQLite format 3\0" + b"x" * 9000], ids=["empty", "letter", "only-a-header"]
)
def test_what_is_no_backup_is_refused(filled, store_url, tmp_path, bytes_):
    file = tmp_path / "copy.db"
    before = content(filled)
    file.write_bytes(bytes_)
    for path in (tmp_path / "absent", tmp_path, file):
        with pytest.raises(StoreError):
            restore(store_url, path, force=True)
    assert content(filled) == before


def test_a_damaged_or_foreign_or_newer_backup_is_refused(filled, store_url, tmp_path):
    before = content(filled)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as conn:
        conn.execute("CREATE TABLE t (x)")
    conn.close()
    newer = tmp_path / "newer.db"
    backup(store_url, newer)
    with sqlite3.connect(newer) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    conn.close()
    damaged = tmp_path / "damaged.db"
    backup(store_url, damaged)
    with open(damaged, "r+b") as f:
        f.seek(8192)
        f.write(os.urandom(damaged.stat().st_size - 8192))
    for file, words in ((foreign, "не копия"), (newer, "более новой"), (damaged, "повреж")):
        with pytest.raises(StoreError, match=words):
            restore(store_url, file, force=True)
    assert content(filled) == before


def test_the_database_is_not_its_own_backup(sqlite_url):
    with pytest.raises(StoreError, match="сама база"):
        restore(sqlite_url, sqlite_url.removeprefix("sqlite:///"), force=True)


def _write(url: str, file: str, role: int) -> int:
    if role == 0:
        for i in range(3):
            backup(url, f"{file}{i}")
        return 0
    with Store.open(url) as store:
        for i in range(30):
            store.land(landing(*(judged(f"{role}-{i}-{k}", "пожар", EMERGENCY) for k in range(5))), NOW)
    return 0


def test_a_backup_is_one_moment_while_others_write(store_url, tmp_path):
    with Store.open(store_url) as store:
        see(store)
    together(_write, [(store_url, f"{tmp_path}/copy", role) for role in range(3)])
    for i in range(3):
        assert verify(f"sqlite:///{tmp_path}/copy{i}") == []
    assert verify(store_url) == []


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_sound_database_has_no_problems(filled, store_url):
    assert verify(store_url) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM events WHERE seq = 2", "пропуски"),
        ("UPDATE counters SET value = 77 WHERE name = 'events'", "счётчик событий"),
        ("DELETE FROM sendings; DELETE FROM alerts WHERE message_id IS NOT NULL", "без тревоги"),
        ("UPDATE posts SET stored = 99", "не сходится"),
        ("DELETE FROM posts", "без записи"),
        ("UPDATE events SET message_id = 99 WHERE seq = 1", "без события"),
        ("UPDATE events SET message_id = 99 WHERE seq = 1", "которых нет"),
        ("UPDATE events SET type = 'otklik.message.landed' WHERE type = 'otklik.message.revised'", "лишних событий"),
    ],
)
def test_what_is_wrong_is_found(filled, store_url, damage, words):
    with filled._db.write() as conn:
        for statement in damage.split(";"):
            conn.execute(text(statement))
    assert any(words in problem for problem in verify(store_url)), verify(store_url)


def test_a_damaged_file_is_found(sqlite_url):
    with Store.open(sqlite_url) as store:
        see(store)
        for i in range(20):
            store.land(landing(*(judged(f"{i}-{k}") for k in range(100))), NOW + timedelta(seconds=i))
        with store._db.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    path = sqlite_url.removeprefix("sqlite:///")
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        f.write(b"\xff" * 8192)
    try:
        assert verify(sqlite_url) != []
    except StoreError as e:
        assert "повреждён" in str(e)
