"""The figures of `otklik status`: right, and got along indexes however many messages there are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from store import Store, health
from store.values import AlertJob
from tests.store.build import EMERGENCY, NOW, SOON, THANKS, judged, landing, see

QUERIES = {
    "latest_runs": (health.latest_runs(), "runs"),
    "waiting": (health.waiting(), "ix_messages_waiting"),
    "untouched": (health.untouched(), "ix_messages_due"),
    "overdue": (health.overdue(NOW), "ix_messages_due"),
    "unassessed": (health.unassessed(), "ix_messages_unassessed"),
    "approved": (health.approved(), "ix_messages_status"),
    "open_alerts": (health.open_alerts(), "ix_alerts_open"),
    "latest_alerts": (health.latest_alerts(), "alerts"),
    "undelivered": (health.undelivered("crm"), "hook_events"),
    "underway": (health.underway(), "ix_publications_underway"),
}


@pytest.mark.parametrize("name", QUERIES)
def test_each_figure_follows_an_index(store: Store, name: str) -> None:
    query, index = QUERIES[name]
    with store._db.write() as conn:
        sql = str(query.compile(conn.engine, compile_kwargs={"literal_binds": True}))
        if store.dialect == "sqlite":
            plan = [r.detail for r in conn.execute(text(f"EXPLAIN QUERY PLAN {sql}".replace(":", "\\:")))]
            # Alerts are read in the order of their numbers, the table's own, and only so many of them.
            assert all("USING" in step or step == "SCAN alerts" for step in plan), plan
            assert "TEMP B-TREE" not in " ".join(plan)
        else:
            conn.execute(text("SET LOCAL enable_seqscan = off"))  # the tables are empty: would an index fit?
            plan = [r[0] for r in conn.execute(text(f"EXPLAIN {sql}".replace(":", "\\:")))]
            assert "Seq Scan" not in " ".join(plan), plan
    assert index in " ".join(plan) or f"{index}_pkey" in " ".join(plan), plan


def claim(store: Store, at=NOW) -> list[AlertJob]:
    return store.claim_alerts(at, 30, [("k", "head")], 600, 60, 3)


def test_the_figures_are_those_of_the_lists(store: Store) -> None:
    empty = store.health(NOW)
    assert (empty.last_run, empty.finished_run, empty.database.backup_at) == (None, None, None)
    assert empty.queue == health.QueueFacts(0, 0, None, 0, 0)
    see(store)
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    store.land(landing(judged(1), judged(2, "спасибо", THANKS), judged(3, "ваш", own=True), server_time=early), early)
    store.land(landing(judged(4, "горит дом", EMERGENCY), judged(5, "?", None), server_time=late), late)
    store.land(landing(judged(6, "давно", published_at=NOW - timedelta(days=9)), server_time=late), late)
    historical = [m["id"] for m in store.messages() if m["historical"]]
    assert len(historical) == 1
    found = store.health(NOW)
    assert found.queue.waiting == 4 and found.queue.unassessed == 1
    assert (found.queue.untouched, found.queue.oldest_untouched_at, found.queue.overdue) == (2, early, 0)
    assert store.health(SOON + timedelta(hours=1)).queue.overdue == 2
    assert (found.alerts.open, found.alerts.undelivered, found.alerts.oldest_undelivered_at) == (1, 1, late)
    assert found.alerts.delay_max is None
    assert found.database.events == store.last_seq() and found.database.size > 100_000

    (job,) = claim(store, late)
    store.alert_result(job, True, None, late + timedelta(seconds=40))
    told = store.health(NOW).alerts
    assert (told.open, told.undelivered, told.delay_p50, told.delay_max) == (1, 0, 40.0, 40.0)
    store.raise_drill("учебная", NOW - timedelta(minutes=1))
    (drill,) = claim(store)
    store.alert_result(drill, True, None, NOW)
    assert store.health(NOW).alerts.delay_max == 40.0, "a drill is no emergency"
    store.acknowledge(job.alert_id, "глава", NOW)
    assert store.health(NOW).alerts.open == 1
    assert store.health(NOW + timedelta(days=8)).alerts.delay_max is None

    ids = [m["id"] for m in store.take("a", 10, 60, NOW)]
    store.ack(ids, "a", NOW)
    assert store.health(NOW).queue.waiting == 0


def test_runs_are_told_apart(store: Store) -> None:
    first = store.start_run("collect", NOW - timedelta(hours=2))
    store.finish_run(first, 1, NOW - timedelta(hours=1))
    second = store.start_run("collect", NOW)
    found = store.health(NOW)
    assert found.last_run is not None and found.finished_run is not None
    assert (found.last_run.id, found.last_run.exit_code, found.last_run.finished_at) == (second, None, None)
    assert (found.finished_run.id, found.finished_run.exit_code) == (first, 1)


def test_a_webhook_that_gets_nothing_away(store: Store) -> None:
    see(store)
    store.land(landing(*(judged(n) for n in range(4))), NOW)
    cursor, _ = store.hook_cursor("crm", NOW)
    store.hook_take("crm", cursor, 3, [(1, 1), (2, 2), (3, 3)], NOW)
    assert store.health(NOW).webhooks == (health.HookFacts("crm", 1, 3, 0, None, False),)
    with store._db.write() as conn:
        conn.execute(health.hook_events.update().values(first_at=NOW).where(health.hook_events.c.seq == 2))
        conn.execute(health.hook_events.update().values(dead_at=NOW).where(health.hook_events.c.seq == 1))
    assert store.health(NOW).webhooks == (health.HookFacts("crm", 1, 2, 1, NOW, False),)


def test_a_count_ends_at_its_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CAP", 3)
    see(store)
    store.land(landing(*(judged(n) for n in range(5))), NOW)
    queue = store.health(NOW + timedelta(days=1)).queue
    assert (queue.waiting, queue.untouched, queue.overdue) == (3, 3, 3)


def test_a_backup_is_remembered_by_when_it_began(store: Store) -> None:
    store.backup_taken("root", NOW, NOW + timedelta(minutes=5))
    store.backup_taken("root", NOW + timedelta(days=1), NOW + timedelta(days=1))
    assert store.health(NOW).database.backup_at == NOW + timedelta(days=1)
    assert [e["verb"] for e in store.log("backup")] == ["backup", "backup"]
