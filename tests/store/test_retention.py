"""Retention: what is kept too long goes, bit by bit; what somebody works on stays; nothing comes back."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import pytest
from sqlalchemy import select

from desk.work import act
from settings import ConfigError, parse
from store.admin import verify
from store.tables import messages
from store.values import Attachment, Author, Coverage, Outcome, Retention
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, judged, landing, see

ONE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""Where the database's kind makes no difference, one is enough."""
DESK = parse("divisions: [{id: zhkh}]")
DAY = timedelta(days=1)
YEAR = 365 * DAY
KEEP = Retention()


def days(**terms: float) -> Retention:
    return Retention(**{k: v * 86400.0 for k, v in terms.items()})


def land(store, *comments, at=NOW, **more):
    return store.land(landing(*comments, server_time=at, **more), at)


def texts(store) -> dict[str, str]:
    return {m["external_id"]: m["text"] for m in store.messages()}


def answer(store, id_: str, at=NOW) -> None:
    for verb, args in (
        ("route", {"to": ["zhkh"]}), ("draft", {"kind": "final", "text": "Включили воду."}), ("approve", {}),
        ("publish", {"url": "https://vk.com/1"}),
    ):  # fmt: skip
        act(store, DESK, id_, verb, args, by="adm", now=at)


@pytest.fixture
def five(store):
    """Open, answered, thanks, taken by a consumer, historical; one of them has an older text."""
    see(store)
    land(store, judged(1, "открыто"), judged(2, "отвечено"), judged(3, "спасибо", THANKS), judged(4, "взято"),
         judged(5, "давно", published_at=NOW - YEAR, attachments=(Attachment("photo", "u", "t", "p"),)))  # fmt: skip
    land(store, judged(2, "отвечено, исправлено"), at=NOW + timedelta(minutes=1))
    ids = {m["external_id"]: m["id"] for m in store.messages()}
    answer(store, ids["c2"])
    taken = store.take("c", 10, 60, NOW)
    store.ack([m["id"] for m in taken if m["external_id"] == "c4"], "c", NOW)
    return ids


def test_words_of_what_is_done_go_and_what_is_open_stays(store, store_url, five):
    terms = days(text=100)
    assert store.sweep(terms, NOW + 99 * DAY) == {}
    expected = store.overdue_for_erasure(terms, NOW + 101 * DAY)
    found = store.sweep(terms, NOW + 101 * DAY)
    assert found == expected == {"text": 4}
    assert texts(store) == {"c1": "открыто", "c2": "", "c3": "", "c4": "", "c5": ""}
    whole = store.message(five["c2"], full=True)
    assert whole["revisions"] == [] and whole["reasons"] == [] and whole["erased_at"] and whole["topic"] == "water"
    assert whole["author"]["name"] and store.message(five["c5"])["attachments"] == []
    assert store.sweep(terms, NOW + 101 * DAY) == {} and verify(store_url) == []


@ONE
def test_what_was_erased_does_not_come_back_but_an_edit_does(store, store_url, five):
    late = NOW + 101 * DAY
    store.sweep(days(text=100), late)
    seq = store.last_seq()
    again = (judged(2, "отвечено, исправлено"), judged(3, "спасибо", THANKS),
             judged(5, "давно", attachments=(Attachment("photo", "u2", "t", "p"),)))  # fmt: skip
    assert land(store, *again, at=late).revised == 0 and store.last_seq() == seq
    assert land(store, judged(3, "спасибо большое", THANKS), at=late).revised == 1
    assert texts(store)["c3"] == "спасибо большое"
    assert store.message(five["c3"], full=True)["revisions"] == []
    assert store.sweep(days(text=100), late) == {}  # it was edited just now
    assert store.sweep(days(text=100), late + 101 * DAY) == {"text": 1}
    assert verify(store_url) == []


@ONE
def test_authors_go_apart_from_words(store, five):
    assert store.sweep(days(authors=10), NOW + 11 * DAY) == {"authors": 4}
    answered = store.message(five["c2"])
    assert answered["author"] == {"id": None, "name": None, "url": None} and answered["text"]
    assert store.message(five["c1"])["author"]["id"] == "5"
    with store._db.read() as conn:
        folded = conn.execute(select(messages.c.folded).where(messages.c.id == int(five["c2"]))).scalar()
    assert "имя" not in folded and "отвечено" in folded
    assert store.sweep(days(authors=10), NOW + 11 * DAY) == {}


@ONE
def test_deleted_words_go_by_their_own_term(store, five):
    land(store, deleted=["c3", "c5", "c1"], at=NOW + DAY)
    assert store.sweep(days(deleted=10), NOW + 12 * DAY) == {"deleted": 3}
    left = texts(store)
    assert left["c3"] == left["c5"] == left["c1"] == "" and left["c2"] and left["c4"]


@ONE
def test_a_deleted_message_under_way_is_open(store, five):
    act(store, DESK, five["c1"], "route", {"to": ["zhkh"]}, by="adm", now=NOW)
    land(store, deleted=["c1"], at=NOW + DAY)
    assert store.sweep(days(deleted=10, text=10, authors=10), NOW + 50 * DAY).get("deleted") is None
    assert texts(store)["c1"] == "открыто"


@ONE
def test_an_alert_that_waits_keeps_its_message(store):
    see(store)
    land(store, judged(1, "горит дом", EMERGENCY))
    ids = [m["id"] for m in store.messages()]
    store.ack([m["id"] for m in store.take("c", 10, 60, NOW)], "c", NOW)
    assert store.sweep(days(text=10), NOW + 20 * DAY) == {}
    store.acknowledge(store.alerts()[0]["id"], "глава", NOW + 20 * DAY)
    assert store.sweep(days(text=10), NOW + 20 * DAY) == {"text": 1}
    assert store.message(ids[0])["emergency"]


@ONE
def test_a_blocked_authors_message_is_needed(store, five):
    args = {"ground": "spam", "until": NOW + 300 * DAY}
    act(store, DESK, five["c3"], "block", args, by="adm", now=NOW)
    assert store.sweep(days(authors=10), NOW + 100 * DAY) == {"authors": 3}
    assert store.message(five["c3"])["author"]["id"] == "5"


def test_old_texts_answers_alerts_coverage_access_each_by_its_term(store, store_url, five):
    store.raise_drill("Учения", NOW)
    for job in store.claim_alerts(NOW, 60, [("k", "head")], 600, 60, 5):
        store.alert_result(job, True, None, NOW)
    for alert in store.alerts():
        store.acknowledge(alert["id"], "глава", NOW)
    run = store.start_run("collect", NOW)
    for at in (NOW, NOW + timedelta(hours=1)):
        store.add_coverage(run, Coverage("vk", "-1", at, at, Outcome.complete))
    store.saw("ivanova", list(five.values()), "list", NOW)
    late = NOW + 20 * DAY
    for kind, n in (("revisions", 1), ("replies", 1), ("alerts", 1), ("coverage", 1), ("access", 5)):
        terms = days(**{kind: 10})
        assert store.overdue_for_erasure(terms, late) == store.sweep(terms, late) == {kind: n}, kind
        assert store.sweep(terms, late) == {}
    assert store.desk(five["c2"])["replies"][0]["text"] == "" and len(store.last_coverage()) == 1
    assert verify(store_url) == []


def test_the_feed_and_the_log_lose_their_beginning(store, store_url, five):
    from feed.read import FeedError, read

    land(store, judged(9, "новое"), at=NOW + 40 * DAY)
    last = store.last_seq()
    terms = days(events=30, audit=30)
    found = store.sweep(terms, NOW + 50 * DAY)
    assert found["events"] == last - 1 and found["audit"] == 4 and verify(store_url) == []
    assert store.first_seq() == last and [e["seq"] for e in store.events(0, 100)] == [last]
    assert len(list(read(store, 0))) == 1 and list(read(store, last)) == [] and len(list(read(store, last - 1))) == 1
    with pytest.raises(FeedError, match=f"--after {last - 1}"):
        list(read(store, 2))
    act(store, DESK, five["c1"], "accept", {}, by="adm", now=NOW + 60 * DAY)
    assert verify(store_url) == []
    store._db.transact(lambda tx: tx.conn.exec_driver_sql("DELETE FROM audit"), NOW)
    assert any("журнал" in p for p in verify(store_url))


@ONE
def test_the_log_of_an_open_message_stays(store, five):
    act(store, DESK, five["c1"], "accept", {}, by="adm", now=NOW)
    assert store.sweep(days(audit=30), NOW + 50 * DAY) == {"audit": 4}
    assert [e["verb"] for e in store.desk(five["c1"])["log"]] == ["accept"]


@ONE
def test_small_steps_come_round(store):
    see(store)
    land(store, *[judged(n, f"спасибо {n}", THANKS) for n in range(25)])
    terms, late = days(text=10), NOW + 20 * DAY
    steps = [store.sweep_some(terms, late, rows=10).get("text", 0) for _ in range(4)]
    assert steps == [10, 10, 5, 0]
    land(store, *[judged(n, f"спасибо {n}", THANKS) for n in range(25, 30)], at=NOW + DAY)
    assert sum(store.sweep_some(terms, late, rows=10).get("text", 0) for _ in range(4)) == 5


@ONE
def test_judging_anew_leaves_what_was_erased_alone(store, five):
    from store.values import Reassessing

    store.sweep(days(text=100), NOW + 101 * DAY)
    run = Reassessing("m2", historical=True, again=True)
    assert [j.message_id for j in store.judgeable(run, "0", 100)] == [five["c1"]]


@ONE
def test_nothing_goes_without_a_term(store, five):
    assert store.sweep(KEEP, NOW + 5000 * DAY) == store.overdue_for_erasure(KEEP, NOW + 5000 * DAY) == {}


def test_the_configuration_has_every_kind():
    kept = parse("").store.retention
    assert {f.name for f in fields(Retention)} == set(type(kept).model_fields)
    assert parse("store: {retention: {text: forever}}").store.retention.text is None
    wrong_ones = (
        ("text: 3h", "суток"), ("text: вечно", "длительность"), ("events: 400d", "events"),
        ("events: forever", "events"), ("deleted: 30d", "ленте"), ("words: 3d", "неизвестный"),
    )  # fmt: skip
    for wrong, word in wrong_ones:
        with pytest.raises(ConfigError, match=word):
            parse(f"store: {{retention: {{{wrong}}}}}")


@ONE
def test_who_saw_what_is_kept_once_a_day(store, five):
    ids = list(five.values())
    assert store.saw("ivanova", ids, "list", NOW) == 5 and store.saw("ivanova", ids, "list", NOW) == 0
    assert store.saw("ivanova", ids[:1], "show", NOW) == 1
    assert store.saw("petrov", [ids[0], "99999"], "show", NOW + DAY) == 1
    of_one = store.access(five["c1"])
    assert {(r["actor"], r["how"]) for r in of_one} >= {("ivanova", "list")}
    assert len(store.access("vk:5")) == 7 and len(store.access(None, 3)) == 3
    assert store.access()[0]["actor"] == "petrov"


@ONE
def test_a_message_of_an_unknown_author_is_no_work_for_ever(store):
    see(store)
    land(store, judged(1, "ой", THANKS, author=Author(None, None, None, "unknown")), judged(2, "да", PLAIN))
    assert store.sweep(days(authors=10), NOW + 20 * DAY) == {}
