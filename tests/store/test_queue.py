"""Lists, filters, a person's corrections, leases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from store import NotFound, NotHeld, QueueFilter, Store, StoreError, lists
from store.assessing import alerted_among
from store.queue import _set
from store.values import Author, Place
from tests.store.build import (
    EMERGENCY,
    NOW,
    PLAIN,
    SOON,
    THANKS,
    URGENT,
    dense,
    judged,
    landing,
    mark,
    photo,
    see,
    together,
    types,
)


@pytest.fixture
def full(store):
    """Seven messages of every kind, landed in an order unlike the queue's."""
    see(store, NOW - timedelta(hours=1))
    old = NOW - timedelta(days=2)
    store.land(
        landing(
            judged(1, "Спасибо большое!", THANKS),
            judged(2, "Нет ВОДЫ", published_at=NOW - timedelta(minutes=9)),
            judged(3, "Ёлку уберите", replace(PLAIN, topic="yard", topic_group="city"), author=Author("7", "Пётр")),
            judged(4, "нет света", URGENT),
            judged(5, "горит дом", EMERGENCY),
            judged(6, "старое", EMERGENCY, published_at=old),
            judged(7, "ещё не оценено", None),
            judged(8, "ответ администрации", own=True),
        ),
        NOW,
    )
    return store


def ids(store, **f):
    return [m["id"] for m in store.messages(QueueFilter(**f))]


def test_emergencies_then_urgent_then_by_deadline_and_time(full):
    assert ids(full) == ["5", "4", "2", "3", "7", "1", "6"]
    assert [m["id"] for m in full.messages()] == ids(full)


def test_other_orders(full):
    assert ids(full, order="newest") == ["7", "6", "5", "4", "3", "2", "1"]
    assert ids(full, order="id") == ["1", "2", "3", "4", "5", "6", "7"]
    with pytest.raises(ValueError):
        ids(full, order="random")


@pytest.mark.parametrize("order", ["queue", "newest", "id"])
def test_pages_of_the_list_join_up(full, order):
    whole, found, after = ids(full, order=order), [], None
    while part := ids(full, order=order, limit=2, after_id=after):
        found += part
        after = part[-1]
    assert found == whole


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"urgency": "urgent"}, ["5", "4", "6"]),
        ({"urgency": "prompt"}, ["2", "3"]),
        ({"topic": "yard"}, ["3"]),
        ({"topic": "city"}, ["3"]),
        ({"group": "housing"}, ["4", "2"]),
        ({"place": "ХРЮГ"}, ["4", "2", "3"]),
        ({"place": "Ахты"}, []),
        ({"emergency": True}, ["5", "6"]),
        ({"emergency": False, "historical": False}, ["4", "2", "3", "7", "1"]),
        ({"historical": True}, ["6"]),
        ({"search": "нет воды"}, ["2"]),
        ({"search": "ЕЛКУ"}, ["3"]),
        ({"search": "петр"}, ["3"]),
        ({"search": "воды нет"}, ["2"]),
        ({"search": "%"}, []),
        ({"search": "_"}, []),
        ({"search": "  "}, ["5", "4", "2", "3", "7", "1", "6"]),
        ({"search": "' OR 1=1 --"}, []),
        ({"page": "-1"}, ["5", "4", "2", "3", "7", "1", "6"]),
        ({"page": "-2"}, []),
        ({"network": "ok"}, []),
        ({"status": "new", "limit": 1}, ["5"]),
        ({"status": "own"}, []),
        ({"overdue": SOON}, []),
        ({"overdue": SOON + timedelta(seconds=1)}, ["5", "4", "2", "3"]),
        ({"deleted": True}, []),
        ({"limit": 0}, []),
    ],
)
def test_filters(full, wanted, expected):
    assert ids(full, **wanted) == expected


def test_deleted_ones_are_listed_as_such_and_never_overdue(full):
    full.land(landing(deleted=["c4"]), NOW)
    assert ids(full, deleted=True) == ["4"] and "4" not in ids(full, deleted=False)
    assert "4" in ids(full) and "4" not in ids(full, overdue=NOW + timedelta(days=1))


def test_a_list_left_in_the_middle_holds_nothing(full):
    for _ in range(40):  # more than there are connections
        next(full.messages())
    full.land(landing(judged(99)), NOW)


def test_a_list_is_one_snapshot_while_others_write(full):
    listing = full.messages(QueueFilter(order="id"))
    first = next(listing)
    with Store.open(str(full._db.url.render_as_string(hide_password=False))) as other:
        other.land(landing(judged(100)), NOW)
    assert [first["id"], *(m["id"] for m in listing)] == ["1", "2", "3", "4", "5", "6", "7"]


@pytest.mark.parametrize("id_", ["0", "99", "abc", "", "-1", "1; DROP TABLE", "9" * 40, "٣", "1.0"])
def test_no_such_message_is_one_sentence(full, id_):
    for call in (
        lambda: full.message(id_),
        lambda: full.correct(id_, {"urgency": None}, by="x", now=NOW),
    ):
        with pytest.raises(NotFound) as e:
            call()
        assert e.value.exit_code == 2 and "нет" in str(e.value)


# --- corrections ------------------------------------------------------------------------------------------------------


def test_a_correction_is_shown_remembered_and_told(full):
    after = full.last_seq()
    found = full.correct("2", {"topic": "gas", "topic_group": "housing", "places": ["Ялак"]}, by="ivanova", now=SOON)
    assert (found["topic"], found["topic_confidence"], found["places"][0]["name"]) == ("gas", 1.0, "Ялак")
    told = full.events(after, 1)[0]["data"]
    step = told.pop("step")
    assert types(full, after) == ["message.corrected"] and told == found
    assert (step["verb"], step["by"], step["details"]["topic"]) == ("correct", "ivanova", "gas")
    assert [(e["verb"], e["seq"]) for e in full.desk("2")["log"]] == [("correct", step["seq"])]
    history = full.message("2", full=True)["history"]
    assert [(h["by"], h["assessment"]["topic"]) for h in history] == [("classifier", "water"), ("ivanova", "gas")]
    assert history[1]["at"] == "2026-11-24T09:30:00Z"
    assert ids(full, topic="gas") == ["2"] and ids(full, place="ялак") == ["2"]
    full.correct("2", {"urgency": "urgent"}, by="petrov", now=SOON)
    assert [h["by"] for h in full.message("2", full=True)["history"]] == ["classifier", "ivanova", "petrov"]
    assert ids(full, limit=3) == ["5", "2", "4"]  # both urgent, 2 is older


def test_places_as_values_and_as_dicts(full):
    full.correct("2", {"places": [Place("Хкем", "село", ("Район",))]}, by="x", now=NOW)
    assert ids(full, place="Район") == ["2"]
    found = full.correct(
        "2", {"places": [{"name": "Ахты", "kind": "село", "parents": ["Район"], "odd": 1}]}, by="x", now=NOW
    )
    assert set(found["places"][0]) == {"name", "kind", "parents", "lat", "lon", "span", "confidence"}
    assert full.correct("2", {"places": []}, by="x", now=NOW)["places"] == []
    assert ids(full, place="Район") == []


def test_a_person_who_calls_it_an_emergency_raises_the_alert_once(full):
    before = len(full.alerts())
    full.correct("2", {"emergency": True, "emergency_kind": "авария"}, by="x", now=NOW)
    full.correct("2", {"emergency": False}, by="x", now=NOW)
    assert full.message("2")["emergency_kind"] is None
    full.correct("2", {"emergency": True}, by="x", now=NOW)
    assert len(full.alerts()) == before + 1 and set(ids(full)[0:2]) == {"5", "2"}


def test_an_unassessed_message_may_be_judged_by_a_person(full):
    full.correct("7", {"urgency": "prompt"}, by="x", now=NOW)
    assert full.unassessed(9) == []
    full.land(landing(judged(7, "ещё не оценено", EMERGENCY)), NOW)
    assert full.message("7")["urgency"] == "prompt"


@pytest.mark.parametrize(
    "changes",
    [{}, {"text": "x"}, {"id": 1}, {"urgency": "soon"}, {"reaction": None}, {"emergency": "да"}, {"model": "x"}],
)
def test_what_can_not_be_corrected(full, changes):
    before = full.message("2", full=True), full.last_seq()
    with pytest.raises(StoreError) as e:
        full.correct("2", changes, by="x", now=NOW)
    assert e.value.exit_code == 2
    assert (full.message("2", full=True), full.last_seq()) == before


def test_own_comments_are_not_judged(full):
    with pytest.raises(StoreError):
        full.correct("8", {"urgency": None}, by="x", now=NOW)


# --- leases -----------------------------------------------------------------------------------------------------------


def taken(store, consumer="a", limit=99, lease=60, now=NOW):
    return [m["id"] for m in store.take(consumer, limit, lease, now)]


def test_taking_follows_the_queue_and_nobody_gets_it_twice(full):
    assert taken(full, limit=3) == ["5", "4", "2"]
    assert taken(full, "b") == ["3", "7", "1"]
    assert taken(full) == taken(full, "b") == []
    assert full.message("5", full=True)["delivery"]["consumer"] == "a"


def test_old_messages_are_handed_over_only_when_asked_for(full):
    assert "6" not in taken(full)
    assert [m["id"] for m in full.take("b", 9, 60, NOW, historical=True)] == ["6"]
    assert full.ack(["6"], "b", NOW) == 1


def test_more_messages_than_a_statement_has_parameters(full):
    """PostgreSQL's protocol counts them in 16 bits."""
    many = range(1, 70_001)
    full._db.transact(lambda tx: _set(tx, many, {"lease_by": "a"}), NOW)
    assert full._db.transact(lambda tx: alerted_among(tx, many), NOW) == {5}
    assert full.ack([str(i) for i in (1, 2, 3, 4, 5)], "a", NOW) == 5
    with pytest.raises(NotHeld) as e:
        full.ack([str(i) for i in many], "a", NOW)
    assert e.value.done == 7 and len(e.value.ids) == 70_000 - 7


def test_an_expired_lease_is_taken_again_and_the_first_holder_told(full):
    assert taken(full, "a", 1) == ["5"]
    assert taken(full, "b", 1, now=NOW + timedelta(seconds=59)) == ["4"]
    assert taken(full, "b", 1, now=NOW + timedelta(seconds=60)) == ["5"]
    full.take("a", 1, 60, NOW + timedelta(seconds=60))
    with pytest.raises(NotHeld) as e:
        full.ack(["5", "2", "77"], "a", NOW + timedelta(seconds=61))
    assert e.value.ids == ("5", "77") and e.value.done == 1 and "5, 77" in str(e.value)
    assert full.ack(["5"], "b", NOW + timedelta(hours=9)) == 1  # late, but nobody else has it


def test_acknowledged_is_for_good_and_may_be_repeated(full):
    taken(full, limit=2)
    assert full.ack(["5", "4"], "a", NOW) == 2
    assert full.ack(["5"], "a", NOW) == 1
    assert "5" not in taken(full, now=NOW + timedelta(days=1))
    with pytest.raises(NotHeld):
        full.nack(["5"], None, NOW)
    with pytest.raises(NotHeld):
        full.ack(["5"], "b", NOW)


def test_giving_back(full):
    taken(full, limit=2)
    assert full.nack(["5"], "a", NOW) == 1
    with pytest.raises(NotHeld):
        full.nack(["4"], "b", NOW)
    assert full.nack(["4"], None, NOW) == 1
    with pytest.raises(NotHeld):
        full.nack(["4"], None, NOW)
    assert taken(full, "b", 2) == ["5", "4"]


def test_deleted_own_and_strange_ids(full):
    full.land(landing(deleted=["c5"]), NOW)
    assert taken(full, limit=1) == ["4"]
    for bad in ("8", "x"):
        with pytest.raises((NotHeld, NotFound)):
            full.ack([bad], "a", NOW)
    assert full.ack([], "a", NOW) == 0


def _consume(url: str, who: str, total: int) -> list[str]:
    got: list[str] = []
    with Store.open(url) as store:
        while part := store.take(who, 7, 3600, NOW):
            mine = [m["id"] for m in part]
            store.ack(mine, who, NOW)
            got += mine
    return got


def test_consumers_in_processes_share_the_queue_without_overlap(store_url):
    with Store.open(store_url) as store:
        see(store)
        store.land(landing(*(judged(i) for i in range(300))), NOW)
    got = together(_consume, [(store_url, f"c{i}", 300) for i in range(4)])
    flat = [i for part in got for i in part]
    assert len(flat) == len(set(flat)) == 300


def test_attachments_of_a_message_without_text(store):
    see(store)
    store.land(landing(judged(1, "", attachments=(photo(),))), NOW)
    assert next(store.messages())["attachments"][0]["kind"] == "photo" and dense(store)


# --- lists stay flat --------------------------------------------------------------------------------------------------


def plan(store: Store, **wanted) -> str:
    """How SQLite goes about a list."""
    from sqlalchemy import text

    with store._db.read() as conn:
        query = lists._listing(conn, QueueFilter(**wanted))
        sql = str(query.compile(conn.engine, compile_kwargs={"literal_binds": True}))
        return " / ".join(r.detail for r in conn.execute(text(f"EXPLAIN QUERY PLAN {sql.replace(':', chr(92) + ':')}")))


@pytest.fixture
def few(sqlite_url):
    with Store.open(sqlite_url) as store:
        see(store)
        store.land(landing(judged(1, "нет света", URGENT), posts=[mark()]), NOW)
        yield store


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "ix_messages_queue"),
        ({"historical": False}, "ix_messages_queue (priority<?)"),
        ({"overdue": NOW, "order": "due"}, "ix_messages_due"),
        ({"division": "x"}, "ix_messages_division"),
        ({"status": "routed"}, "ix_messages_status"),
    ],
)
def test_lists_come_from_an_index_in_their_order(few, wanted, index):
    found = plan(few, limit=50, **wanted)
    assert index in found and "TEMP B-TREE" not in found, found


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"place": "хрюг"}, "message_places"),
        ({"topic": "light"}, "ix_messages_topic"),
        ({"topic": "housing"}, "ix_messages_group"),
        ({"group": "housing"}, "ix_messages_group"),
        ({"page": "-1"}, "ix_messages_post"),
    ],
)
def test_what_names_few_is_looked_up_and_what_names_many_comes_along_the_queue(few, wanted, index, monkeypatch):
    found = plan(few, limit=50, **wanted)
    assert index in found and "ix_messages_queue" not in found, found
    monkeypatch.setattr(lists, "_MANY", 1)
    found = plan(few, limit=50, **wanted)
    assert "ix_messages_queue" in found and "TEMP B-TREE" not in found, found


def test_both_ways_find_the_same(full, monkeypatch):
    filters = ({"topic": "yard"}, {"topic": "city"}, {"group": "housing"}, {"place": "ХРЮГ"}, {"page": "-1"})
    looked_up = [ids(full, **f) for f in filters]
    monkeypatch.setattr(lists, "_MANY", 1)
    assert [ids(full, **f) for f in filters] == looked_up and all(looked_up)
