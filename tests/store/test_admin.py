"""Backups of either database restored into either; verification finds what is wrong."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from store import Store, StoreError
from store.admin import backup, current_version, restore, verify
from store.ledger import compare
from store.values import Coverage, Outcome, QueueFilter
from tests.store.build import EMERGENCY, NOW, PAGE, judged, landing, mark, photo, see, together


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
    """Everything but the name of the log, which a restored one has for itself."""
    return {
        "events": [{**e, "source": ""} for e in store.events(0, 999)],
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
        # Life goes on, with numbers that nobody has seen.
        kept = again.last_seq()
        alert = again.land(landing(judged(5, "горит дом", EMERGENCY)), NOW).alerts[0]
        assert [e["seq"] for e in again.events(kept, 9)] == [10**9 + 1, 10**9 + 2]
        assert again.message(str(10**6 + 1))["external_id"] == "c5" and alert == str(10**6 + 1)
        assert again.reserve("k", 0.25, now=1000.5) == 0.25
        again.add_coverage("r", Coverage("vk", "-1", NOW, NOW, Outcome.failed))
        assert again.raise_drill("x", NOW) == str(10**6 + 2)
    assert verify(blank_url) == []


def everything(store: Store) -> list[tuple[int, str]]:
    return [(e["seq"], e["source"]) for e in store.events(0, 9999)]


def test_a_restored_log_never_gives_a_number_out_again(filled, store_url, tmp_path):
    """Also when it is restored over and over, and whatever was given out between backup and restore."""
    file = tmp_path / "copy.db"
    backup(store_url, file)
    seen: set[int] = {seq for seq, _ in everything(filled)}
    sources: set[str] = set()
    for round_ in range(3):
        kept = len(list(filled.messages()))
        for i in range(round_ + 1):
            filled.land(landing(judged(f"{round_}-{i}"), judged(f"{round_}-{i}x", "пожар", EMERGENCY)), NOW)
        last = filled.last_seq()
        given = {m["id"] for m in filled.messages()} | {a["id"] for a in filled.alerts()}
        seen |= {seq for seq, _ in everything(filled)}
        restore(store_url, file, force=True)
        assert filled.last_seq() > last and verify(store_url) == []
        filled.land(landing(judged("new", "пожар", EMERGENCY)), NOW)
        fresh = filled.events(last, 99)
        assert fresh and not {e["seq"] for e in fresh} & seen
        (newest,) = filled.messages(QueueFilter(order="newest", limit=1))
        assert newest["id"] not in given and filled.alerts()[0]["id"] not in given
        sources.add(fresh[0]["source"])
        assert kept and verify(store_url) == []
    assert len(sources) == 3 and len({s for _, s in everything(filled)}) == 1
    backup(store_url, tmp_path / "again.db")  # the history of restores goes with the copy
    assert verify(f"sqlite:///{tmp_path}/again.db") == []


def test_a_hole_after_a_restore_is_found_as_before(filled, store_url, tmp_path):
    backup(store_url, tmp_path / "copy.db")
    restore(store_url, tmp_path / "copy.db", force=True)
    filled.land(landing(*(judged(f"n{i}") for i in range(3))), NOW)
    assert verify(store_url) == []
    for damage, words in (
        (f"DELETE FROM events WHERE seq = {10**9 + 2}", "пропуски"),
        (f"UPDATE events SET seq = 77 WHERE seq = {10**9 + 1}", "никто не выдавал"),
    ):
        with filled._db.write() as conn:
            conn.execute(text(damage))
        assert any(words in problem for problem in verify(store_url))


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
    assert verify(store_url) == []


def test_a_database_of_a_newer_program_is_not_replaced(filled, store_url, tmp_path):
    backup(store_url, tmp_path / "copy.db")
    with filled._db.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="более новой версией") as e:
        restore(store_url, tmp_path / "copy.db", force=True)
    assert e.value.exit_code == 2 and current_version(store_url) == "9999" and len(list(filled.messages())) == 3


def test_a_backup_of_an_older_program_is_migrated_on_its_way(filled, store_url, tmp_path):
    """The first schema of all, filled by hand, restored into a database of today."""
    from alembic import command

    from store.db import Database
    from store.migrate import HEAD, _config

    old = Database(f"sqlite:///{tmp_path}/old.db")
    with old.write() as conn:
        command.upgrade(_config(conn), "0001")
        conn.execute(
            text("INSERT INTO pages (network, id, title, url, owner, first_seen_at) VALUES ('vk','-9','','','',1)")
        )
    old.close()
    before = (tmp_path / "old.db").read_bytes()
    restore(store_url, tmp_path / "old.db", force=True)
    assert current_version(store_url) == HEAD and [s.page.id for s in filled.page_states()] == ["-9"]
    assert (tmp_path / "old.db").read_bytes() == before


@pytest.mark.parametrize("what", ["header", "all", "body"])
def test_a_destroyed_file_is_put_aside_and_replaced(sqlite_url, tmp_path, what):
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with Store.open(sqlite_url) as store:
        fill(store)
        before = content(store)
    backup(sqlite_url, tmp_path / "copy.db")
    size = path.stat().st_size
    start, length = {"header": (0, 100), "all": (0, size), "body": (8192, size - 8192)}[what]
    with open(path, "r+b") as f:
        f.seek(start)
        f.write(b"\xff" * length)
    broken = path.read_bytes()
    with pytest.raises(StoreError, match="--yes"):
        restore(sqlite_url, tmp_path / "copy.db")
    assert path.read_bytes() == broken
    aside = restore(sqlite_url, tmp_path / "copy.db", force=True)
    assert verify(sqlite_url) == [] and stat.S_IMODE(path.stat().st_mode) == 0o600
    with Store.open(sqlite_url) as store:
        assert content(store) == before
        store.land(landing(judged(9)), NOW)
    if aside is not None:
        assert aside.read_bytes() == broken and aside.name.startswith("otklik.db.damaged-")
    assert aside is not None or what == "body"
    assert not list(tmp_path.glob(".*partial*"))


def test_an_unfinished_copy_of_a_killed_program_does_not_stay(filled, store_url, tmp_path):
    old, young = tmp_path / ".copy.db.abc.partial", tmp_path / ".copy.db.xyz.partial"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    backup(store_url, tmp_path / "copy.db")
    assert not old.exists() and young.exists()  # the younger one may be another backup at work


def _backup(url: str, file: str) -> int:
    for _ in range(3):
        backup(url, file, force=True)
    return 0


def test_backups_of_one_name_at_once_do_not_meet(filled, store_url, tmp_path):
    together(_backup, [(store_url, f"{tmp_path}/copy.db")] * 2)
    assert verify(f"sqlite:///{tmp_path}/copy.db") == [] and not list(tmp_path.glob(".*"))


def test_an_existing_backup_is_not_overwritten(filled, store_url, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("важное")
    with pytest.raises(StoreError, match="уже есть"):
        backup(store_url, file)
    assert file.read_text() == "важное"
    backup(store_url, file, force=True)
    assert sqlite3.connect(file).execute("SELECT count(*) FROM messages").fetchone() == (4,)


def test_somebody_elses_tables_are_not_replaced(filled, store_url, blank_url, tmp_path):
    from store.db import Database

    backup(store_url, tmp_path / "copy.db")
    db = Database(blank_url)
    with db.write() as conn:
        conn.execute(text("CREATE TABLE things (x INTEGER)"))
    with pytest.raises(StoreError, match="чужие таблицы") as e:
        restore(blank_url, tmp_path / "copy.db", force=True)
    assert e.value.exit_code == 2
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM things")).scalar_one() == 0
    db.close()


def test_where_no_backup_can_be(filled, store_url, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(StoreError, match="не обычный файл"):
            backup(store_url, place, force=True)
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


WRITERS, BATCHES, SIZE = 2, 30, 5


def _batch(writer: int, i: int) -> list:
    return [judged(f"{writer}-{i}-{k}", f"пожар {i}", EMERGENCY) for k in range(SIZE)]


def _write(url: str, file: str, role: int) -> int:
    if role == 0:
        for i in range(3):
            backup(url, f"{file}{i}")
        return 0
    with Store.open(url) as store:
        for i in range(BATCHES):
            store.land(landing(*_batch(role, i)), NOW)
    return 0


def test_a_backup_under_load_is_one_moment_and_grows_into_the_ledger(store_url, tmp_path):
    with Store.open(store_url) as store:
        see(store)
    together(_write, [(store_url, f"{tmp_path}/copy", role) for role in range(WRITERS + 1)])
    assert verify(store_url) == []
    told = [j.comment for w in range(1, WRITERS + 1) for i in range(BATCHES) for j in _batch(w, i)]
    ledger = [
        json.dumps({"network": c.network, "external_id": c.external_id, "text": c.text, "deleted": False}) for c in told
    ]
    for i in range(3):
        copy = f"sqlite:///{tmp_path}/copy{i}"
        assert verify(copy) == []
        # Of each writer's batches the first so many, whole: nothing later without what was before it.
        missing = compare(copy, ledger).lost
        assert missing == [j.comment.external_id for w in range(1, WRITERS + 1) for i in _lost(missing, w) for j in i]
    restore(store_url, tmp_path / "copy1", force=True)
    with Store.open(store_url) as store:  # what is missing is still in the network
        for writer in range(1, WRITERS + 1):
            for i in range(BATCHES):
                store.land(landing(*_batch(writer, i)), NOW)
    assert compare(store_url, ledger).agrees and verify(store_url) == []


def _lost(missing: list[str], writer: int) -> list[list]:
    """The batches of a writer from the first one that is missing on."""
    mine = [int(m.split("-")[1]) for m in missing if m.startswith(f"c{writer}-")]
    return [_batch(writer, i) for i in range(min(mine, default=BATCHES), BATCHES)]


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
