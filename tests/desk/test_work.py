"""Steps on stored messages, on both databases: one transaction, the log, the event, two people at once, tampering."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import text

from desk.work import Refused, act
from feed.schema import schema
from settings import OtklikError
from store import NotFound, QueueFilter, Store, StoreError
from store.admin import verify
from store.audit import STEP_EVENTS
from tests.desk.test_states import GOOD, SETTINGS
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, judged, landing, see

ANSWER = NOW + timedelta(days=2, hours=6)


@pytest.fixture
def queue(store):
    """Three messages that wait: a plain one, an emergency, one of the administration itself."""
    see(store)
    deadlines = {"route": NOW + timedelta(minutes=30), "answer": ANSWER}
    items = [judged(1), judged(2, "горит дом", EMERGENCY), judged(3, "спасибо", None, own=True)]
    store.land(landing(*(item.__class__(item.comment, item.assessment, deadlines) for item in items)), NOW)
    return store


def step(store, id, verb, by="adm", now=NOW, version=None, **args):
    return act(store, SETTINGS, id, verb, {**GOOD.get(verb, {}), **args}, by=by, now=now, version=version)


def to_the_answer(store, id="1"):
    for verb, by in (("accept", "adm"), ("route", "adm"), ("begin", "z"), ("draft", "z"), ("approve", "adm")):
        step(store, id, verb, by)
    return step(store, id, "publish", url="https://vk.com/wall-1_10?reply=9")


def execute(url, sql, **values):
    from store.db import Database

    db = Database(url)
    with db.write() as conn:
        conn.execute(text(sql), values)
    db.close()


def test_the_straight_way_is_kept_whole(queue, store_url):
    found = to_the_answer(queue)
    assert (found["status"], found["division"], found["deadlines"], found["version"]) == ("published", "zhkh", {}, 6)
    desk = queue.desk("1")
    assert [(e["verb"], e["source"], e["target"], e["actor"]) for e in desk["log"]] == [
        ("accept", "new", "accepted", "adm"), ("route", "accepted", "routed", "adm"),
        ("begin", "routed", "in_work", "z"),
        ("draft", "in_work", "draft", "z"), ("approve", "draft", "approved", "adm"),
        ("publish", "approved", "published", "adm"),
    ]  # fmt: skip
    (reply,) = desk["replies"]
    assert (reply["state"], reply["kind"], reply["by"], reply["text"]) == ("published", "final", "z", "Воду включили.")
    assert reply["url"] == "https://vk.com/wall-1_10?reply=9"
    assert verify(store_url) == []


def test_deadlines_follow_the_steps_and_lists_with_them(queue):
    assert step(queue, "1", "route")["deadlines"].keys() == {"answer", "return", "draft"}
    half = NOW + timedelta(minutes=31)
    assert {m["id"] for m in queue.messages(QueueFilter(overdue=half))} == {"2"}  # returning is no duty
    assert [m["id"] for m in queue.messages(QueueFilter(division="zhkh"))] == ["1"]
    step(queue, "1", "begin", "z")
    assert [m["id"] for m in queue.messages(QueueFilter(overdue=half, order="due"))] == ["2"]
    queue.take("somebody", 5, 60, NOW)
    queue.ack(["1"], "somebody", NOW)  # whoever took a copy does not answer for the desk
    late = QueueFilter(overdue=ANSWER + timedelta(days=1), order="due")
    assert [m["id"] for m in queue.messages(late)] == ["2", "1"]
    step(queue, "1", "draft", "z"), step(queue, "1", "approve"), step(queue, "1", "publish")
    assert [m["id"] for m in queue.messages(late)] == ["2"]
    assert [m["id"] for m in queue.messages()][-1] == "1"  # what is answered stands last


def test_every_step_has_its_event_as_the_schema_says(queue):
    before = queue.last_seq()
    to_the_answer(queue)
    step(queue, "2", "route"), step(queue, "2", "return", "z"), step(queue, "1", "close")
    found = queue.events(before, 100)
    assert [e["type"].rpartition(".")[2] for e in found] == [
        "moved", "routed", "moved", "moved", "moved", "answered", "routed", "returned", "closed"
    ]  # fmt: skip
    for event in found:
        Draft202012Validator(schema(event["type"], strict=True)).validate(event)
    assert found[1]["data"]["step"]["details"] == {"to": ["zhkh"], "compiler": "zhkh"}
    assert {e["type"] for e in found} == set(STEP_EVENTS)


@pytest.mark.parametrize(
    ("verb", "by", "said"),
    [("approve", "adm", "«согласовать» нельзя: сообщение «поступило»"), ("route", "z", "это делает администратор"),
     ("route", "nobody", "человека «nobody» нет в настройках"), ("fly", "adm", "нет такого действия")],
)  # fmt: skip
def test_what_is_refused_changes_nothing(queue, verb, by, said):
    before = queue.message("1"), queue.last_seq(), queue.desk("1")
    with pytest.raises(Refused, match=said):
        step(queue, "1", verb, by)
    assert (queue.message("1"), queue.last_seq(), queue.desk("1")) == before


def test_messages_that_are_not_there_or_not_residents(queue):
    with pytest.raises(NotFound):
        step(queue, "99", "accept")
    with pytest.raises(StoreError, match="написала сама администрация"):
        step(queue, "3", "accept")
    with pytest.raises(NotFound):
        queue.desk("99")


def test_a_person_who_saw_an_older_state_is_told(queue):
    assert step(queue, "1", "accept", version=0)["version"] == 1
    step(queue, "1", "extend", until=ANSWER + timedelta(days=5), version=1)
    with pytest.raises(StoreError, match=r"уже изменил кто-то другой \(версия 2, а не 1\)"):
        step(queue, "1", "extend", until=ANSWER + timedelta(days=6), version=1)
    assert queue.message("1")["deadlines"]["answer"] == (ANSWER + timedelta(days=5)).isoformat().replace("+00:00", "Z")


def test_two_people_at_once_never_both_succeed(queue, store_url):
    def one(n):
        with Store.open(store_url) as mine:
            try:
                return step(mine, "1", "route", to=[("zhkh", "roads", "gas")[n % 3]])["division"]
            except OtklikError as e:
                return e

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(one, range(6)))
    winners = [f for f in found if isinstance(f, str)]
    assert len(winners) == 1 and queue.message("1")["division"] == winners[0]
    assert all("«направить» нельзя: сообщение «направлено»" in str(f) for f in found if not isinstance(f, str))
    assert len(queue.desk("1")["log"]) == 1


def test_many_writers_make_one_chain(queue, store_url):
    def one(n):
        with Store.open(store_url) as mine:
            for i in range(5):
                step(mine, str(1 + n % 2), "block", until=NOW + timedelta(days=n * 10 + i + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    log = [e for id in ("1", "2") for e in queue.desk(id)["log"]]
    assert sorted(e["seq"] for e in log) == list(range(1, 21)) and verify(store_url) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE audit SET actor = 'somebody' WHERE seq = 3", "изменена запись 3 (begin, сообщение 1)"),
        ("UPDATE audit SET details = '{}' WHERE seq = 2", "изменена запись 2"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 6", "изменена запись 6"),
        ("DELETE FROM audit WHERE seq = 3", "нет записей с 3 по 3: их удалили"),
        ("DELETE FROM audit WHERE seq = 6", "нет записей, о которых сообщила лента: 6"),
        ("DELETE FROM audit", "нет записей, о которых сообщила лента: 1, 2, 3, 4, 5 и ещё 1"),
        ("UPDATE audit SET seq = 99 WHERE seq = 6", "нет записей с 6 по 98"),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)", "нет записей с 1"),
        ("UPDATE counters SET value = 7 WHERE name = 'audit'", "счётчик журнала действий (7) не равен"),
    ],
)
def test_tampering_with_the_log_is_found(queue, store_url, sql, said):
    to_the_answer(queue)
    assert verify(store_url) == []
    execute(store_url, sql)
    if "-3" in sql:
        execute(store_url, "UPDATE audit SET seq = -seq WHERE seq < 0")
        said = "изменена запись 2"
    assert any(said in problem for problem in verify(store_url))


def test_a_log_forged_from_end_to_end_is_told_by_the_feed(queue, store_url):
    """Somebody who knows the rule makes a sound chain of his own; the events that were read still tell."""
    from store import audit
    from store.db import Database
    from store.tables import audit as table

    to_the_answer(queue)
    db = Database(store_url)
    with db.write() as conn:
        rows = [dict(r) for r in conn.execute(table.select().order_by(table.c.seq)).mappings()]
        prev = ""
        for row in rows:
            row["actor"], row["prev"] = "somebody", prev
            row["hash"] = prev = audit._hash(row)
            conn.execute(table.update().where(table.c.seq == row["seq"]).values(**row))
    db.close()
    assert verify(store_url) == [f"запись {n} журнала действий не та, о которой сообщила лента" for n in range(1, 7)]


def test_a_correction_on_the_way_moves_the_desks_clocks(queue):
    from desk.deadlines import after_correction

    step(queue, "1", "route")
    change = {"urgency": "urgent"}
    queue.correct("1", change, by="adm", now=NOW, clocks=lambda m, before: after_correction(m, before, SETTINGS))
    shown = step(queue, "1", "begin", "z")["deadlines"]
    assert {k: datetime.fromisoformat(v) for k, v in shown.items()} == {
        "answer": NOW + timedelta(hours=4), "draft": NOW + timedelta(hours=3)
    }  # fmt: skip


def test_a_correction_counts_from_routing_where_the_term_does(store):
    from desk.deadlines import after_correction
    from desk.work import answer_started
    from settings import parse

    routed = parse("desk: {answer_from: routed}\ndivisions: [{id: zhkh}]")
    see(store)
    store.land(landing(judged(1)), NOW)
    later = NOW + timedelta(hours=2)  # 14:00 in Moscow, after lunch
    found = act(store, routed, "1", "route", {"to": ["zhkh"]}, by="me", now=later)
    assert datetime.fromisoformat(found["deadlines"]["answer"]) == ANSWER
    started = answer_started(store.desk("1")["case"])
    assert started == later and answer_started(None) is None
    found = store.correct(
        "1", {"urgency": "urgent"}, by="me", now=later,
        clocks=lambda m, before: after_correction(m, before, routed, started),
    )  # fmt: skip
    assert datetime.fromisoformat(found["deadlines"]["answer"]) == later + timedelta(hours=3)
    assert datetime.fromisoformat(found["deadlines"]["draft"]) == later + timedelta(hours=2)


def test_an_edit_by_the_author_gives_no_clock_back(queue):
    to_the_answer(queue)
    deadlines = {"route": NOW + timedelta(hours=1), "answer": ANSWER}
    edited = judged(1, "нет воды и света", PLAIN)
    queue.land(landing(edited.__class__(edited.comment, PLAIN, deadlines)), NOW + timedelta(hours=1))
    found = queue.message("1")
    assert (found["status"], found["deadlines"], found["text"]) == ("published", {}, "нет воды и света")


def test_a_substitute_acts_for_the_absent_and_the_log_names_both(store):
    from settings import parse

    away = parse(
        "people:\n"
        "  - {id: adm, roles: [administrator], absence: {from: 2026-11-23, to: 2026-11-25, substitute: cur}}\n"
        "  - {id: cur, roles: [curator]}\n"
        "divisions: [{id: zhkh, people: [z]}]\n"
    )
    see(store)
    store.land(landing(judged(1), judged(2)), NOW)
    act(store, away, "1", "route", {"to": ["zhkh"]}, by="cur", now=NOW)
    (entry,) = store.desk("1")["log"]
    assert (entry["actor"], entry["details"]["for"]) == ("cur", "adm")
    with pytest.raises(Refused, match="это делает администратор"):
        act(store, away, "2", "route", {"to": ["zhkh"]}, by="cur", now=NOW + timedelta(days=2))


@pytest.mark.parametrize("person", [False, True])
def test_what_is_an_emergency_only_after_it_was_closed_stands_at_the_top_again(store, store_url, person):
    see(store)
    store.land(landing(judged(1, "спасибо", THANKS), judged(2, "нет воды", PLAIN)), NOW)
    step(store, "1", "close")
    if person:
        store.correct("1", {"emergency": True}, by="adm", now=NOW)
    else:
        store.land(landing(judged(1, "горит дом", EMERGENCY)), NOW + timedelta(minutes=1))
    assert [m["id"] for m in store.messages(QueueFilter(order="queue"))] == ["1", "2"]
    assert len(store.alerts()) == 1
    step(store, "1", "reopen", reason="пожар")
    assert [m["id"] for m in store.messages(QueueFilter(order="queue"))] == ["1", "2"]
    assert verify(store_url) == []


def test_an_emergency_that_was_answered_stays_behind_what_is_open(queue):
    to_the_answer(queue, "2")
    queue.land(landing(judged(2, "горит дом, приезжайте", EMERGENCY)), NOW + timedelta(minutes=1))
    queue.correct("2", {"urgency": "prompt"}, by="adm", now=NOW)
    assert [m["id"] for m in queue.messages(QueueFilter(order="queue"))] == ["1", "2"]
