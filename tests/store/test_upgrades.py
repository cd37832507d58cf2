"""A database of every earlier version, with rows in all its tables, becomes one of this version and loses nothing."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table, delete, event, inspect, select, text

from store import Store, StoreError
from store.admin import backup, current_version, migrate, restore, verify
from store.copies import _bare
from store.db import Database
from store.ledger import compare
from store.migrate import HEAD, _config
from store.tables import SEQUENCES, metadata
from store.values import DeskStep, NewReply, Pushed, Spike, Subject
from tests.store.build import EMERGENCY, NOW, PLAIN, SOON, judged, landing, types
from tests.store.test_admin import fill

REVISIONS = sorted(r.revision for r in ScriptDirectory.from_config(_config(None)).walk_revisions())
OLD = [r for r in REVISIONS if r != HEAD]
DESK, REDACTABLE = "0004", "0009"  # the audit log came with one, its salted digests with the other
LONG = "На улице Ленина в Хрюге третий день нет воды, люди носят вёдрами из родника"


@dataclass(frozen=True)
class Mark:
    """What two texts that are one question are found by."""

    keys: tuple[int, ...] = (5, 6)
    topical: tuple[int, ...] = ()
    body: str = "00"
    copy: int = 6

    def likeness(self, body: str, **_: Any) -> None:
        return None

    def contradicts(self, body: str) -> bool:
        return False


def step(verb: str, status: str, event: str, **more: Any) -> Any:
    case = {"step": verb, "parts": []}
    return lambda seen, _case: DeskStep(verb, seen["status"], status, event, "zhkh", {"answer": SOON}, case, **more)


def fill_all(store: Store, *, desk: bool) -> None:
    """Something in every table; `desk`: also what people do with messages."""
    fill(store)
    asked = replace(PLAIN, signature=Mark())
    twins = (judged(7, LONG, asked), judged(8, f"{LONG}!", asked))
    store.land(landing(*twins, judged(9, "сошёл сель", EMERGENCY)), NOW - timedelta(days=3))
    if not desk:
        return
    reply = NewReply(1, "final", "approved", "Воду дадут к вечеру.")
    store.act("1", step("route", "routed", "routed"), by="ivanova", now=NOW)
    store.act("1", step("approve", "approved", "moved", new_reply=reply), by="ivanova", now=NOW)
    store.act("2", step("block", "new", "moved", blocked_until=SOON), by="ivanova", now=NOW)
    store.intend("1", 1, "guid-1", by="ivanova", now=NOW)
    store.offer("ivanova", NOW, 60, every=True)
    store.claim_digest(NOW, "zhkh", "k", NOW, 60, 3)
    store.fold_activity(NOW + timedelta(days=1), timedelta(days=56))
    store.raise_spike(Spike(Subject(topic="water"), 1800, NOW, NOW, 9, 1.5, ("1",)), "много", NOW)
    store.saw("ivanova", ["1"], "show", NOW)
    store.inbox_put("max", 0, {"at": 1}, [Pushed("r1", "-1", "{}")], NOW)
    cursor, _ = store.hook_cursor("crm", NOW)
    store.hook_take("crm", cursor, 2, [(1, 1), (2, 2)], NOW)
    store.link_foreign("crm", [("1", "A-1")], NOW)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    """A database of today with and without the desk's rows, to be copied into older schemas."""
    found = {}
    for desk in (False, True):
        found[desk] = f"sqlite:///{tmp_path_factory.mktemp('upgrade') / 'now.db'}"
        with Store.open(found[desk]) as store:
            fill_all(store, desk=desk)
        assert verify(found[desk]) == []
    return found


def make_old(url: str, revision: str, source: str) -> None:
    """At `url` a database of an earlier version, made by its own migrations, with what `source` holds of its tables."""
    old, new = Database(url), Database(source)
    old.create_file()
    with old.write() as conn:
        command.upgrade(_config(conn), revision)
        for table in metadata.sorted_tables:
            if not inspect(conn).has_table(table.name):
                continue
            names = {c["name"] for c in inspect(conn).get_columns(table.name)}
            bare = _bare(table)
            kept = Table(table.name, MetaData(), *(Column(c.name, c.type) for c in bare.columns if c.name in names))
            with new.read() as today:
                rows = [dict(r) for r in today.execute(select(*(bare.c[c.name] for c in kept.columns))).mappings()]
            rows = as_of(revision, table.name, rows)
            conn.execute(delete(kept))
            assert rows, f"{table.name} is empty"
            conn.execute(kept.insert(), rows)
        if not old.is_sqlite:
            for name in SEQUENCES:
                last = conn.execute(text("SELECT value FROM counters WHERE name = :n"), {"n": name}).scalar_one()
                conn.execute(text(f"SELECT setval('{name}_ids', {last})"))
    old.close()
    new.close()


def as_of(revision: str, table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as a program of that version would have written them."""
    if table == "counters" and revision < DESK:
        return [r for r in rows if r["name"] != "audit"]
    if table == "audit" and revision < REDACTABLE:
        prev = ""
        for row in sorted(rows, key=lambda r: r["seq"]):
            names = ("seq", "at", "actor", "verb", "message_id", "source", "target", "details")
            row["prev"], row["hash"] = prev, (prev := old_hash(prev, [row[n] for n in names]))
            OLD_HASHES[row["seq"]] = row["hash"]
    if table == "events" and revision < REDACTABLE:
        for row in rows:
            data = json.loads(row["data"])
            if revision < DESK:
                data.pop("step", None)
            elif "hash" in (data.get("step") or {}):
                data["step"]["hash"] = OLD_HASHES[data["step"]["seq"]]
            row["data"] = orjson.dumps(data).decode()
    return rows


OLD_HASHES: dict[int, str] = {}


def old_hash(prev: str, facts: list[Any]) -> str:
    return hashlib.sha256(orjson.dumps([prev, *facts])).hexdigest()


def seen_by_people(url: str) -> dict[str, Any]:
    """The queue, the alerts and the feed, but for what a version had no place for."""
    with Store.open(url) as store:
        events = [
            {k: e[k] for k in ("seq", "id", "type", "time")} | {k: v for k, v in e["data"].items() if k != "step"}
            for e in store.events(0, 9999)
        ]
        queue = [{k: v for k, v in m.items() if k != "repeat_note"} for m in store.messages()]
        return {"queue": queue, "events": events, "alerts": store.alerts(), "pages": store.last_coverage()}


def ledger(url: str) -> list[bytes]:
    """What an outsider knows of the comments."""
    with Store.open(url) as store:
        rows = [store.message(m["id"]) for m in store.messages()]
    told = [{k: m[k] for k in ("network", "external_id", "text")} | {"deleted": bool(m["deleted_at"])} for m in rows]
    return [orjson.dumps(r) for r in told]


@pytest.mark.parametrize("revision", OLD)
def test_an_older_database_with_rows_in_all_its_tables_is_upgraded(
    revision: str, blank_url: str, sources: dict[bool, str], tmp_path: Path
) -> None:
    source = sources[revision >= DESK]
    make_old(blank_url, revision, source)
    assert current_version(blank_url) == revision
    with pytest.raises(StoreError, match="otklik store migrate"):
        Store.open(blank_url)
    assert migrate(blank_url) == HEAD == current_version(blank_url)
    assert verify(blank_url) == []
    found = seen_by_people(blank_url)
    assert found == seen_by_people(source)
    lines = ledger(source)
    own = {"network": "vk", "external_id": "c3", "text": "нет воды", "deleted": False, "own": True}
    compared = compare(blank_url, [*lines, orjson.dumps(own)])
    assert compared.agrees, compared
    backup(blank_url, tmp_path / "copy.db")
    copy = f"sqlite:///{tmp_path}/restored.db"
    restore(copy, tmp_path / "copy.db")
    assert verify(copy) == [] and seen_by_people(copy) == found
    with Store.open(blank_url) as store:  # and life goes on
        last = store.last_seq()
        store.land(landing(judged("new", LONG), judged("fire", "горит дом", EMERGENCY)), NOW)
        store.act("1", step("begin", "working", "moved"), by="p", now=NOW)
        assert sorted(types(store, last)) == ["alert.raised", "message.landed", "message.landed", "message.moved"]
        assert store.health(NOW).queue.waiting > 0
    assert verify(blank_url) == []


def _upgrade_and_die(url: str, after: int) -> None:
    """Upgrade; this process is killed at its statement number `after`."""
    from store.migrate import upgrade

    db, done = Database(url), 0

    def count(*_: Any) -> None:
        nonlocal done
        done += 1
        if done == after:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(db.engine, "after_cursor_execute", count)
    upgrade(db)


@pytest.mark.parametrize("after", [12, 40])
def test_a_killed_upgrade_changes_nothing_and_is_taken_up(after: int, blank_url: str, sources: dict[bool, str]) -> None:
    make_old(blank_url, "0001", sources[False])
    child = multiprocessing.get_context("fork").Process(target=_upgrade_and_die, args=(blank_url, after))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL, "it was to be killed in the middle"
    assert current_version(blank_url) == "0001"
    assert migrate(blank_url) == HEAD and verify(blank_url) == []
    assert seen_by_people(blank_url) == seen_by_people(sources[False])


def test_every_version_is_tried() -> None:
    assert OLD[0] == "0001" and REVISIONS[-1] == HEAD and len(OLD) >= 9
