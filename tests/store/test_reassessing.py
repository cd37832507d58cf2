"""Old messages judged anew: a person's word, clocks, alerts, kills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from store import Store
from store.values import Assessment, Reassessing
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, dense, judged, landing, see, types

RUN = Reassessing("m2")
LATER = NOW + timedelta(hours=2)
CLOCK = {"route": LATER + timedelta(minutes=30)}
DAY = timedelta(hours=24)
NEW = replace(PLAIN, topic="roof", model="m2")


def go(store: Store, said: Assessment | dict[str, Assessment], run: Reassessing = RUN, **more: Any) -> Any:
    """One batch of everything."""
    found = store.judgeable(run, more.pop("after", "0"), 100)
    at = more.pop("now", LATER)
    items = [(j, said if isinstance(said, Assessment) else said[j.text], CLOCK) for j in found]
    return store.reassess(run, items, found[-1].message_id, at, more.pop("alert_since", at - DAY))


def one(store: Store) -> dict[str, Any]:
    (found,) = store.messages()
    return store.message(found["id"], full=True)


def test_a_new_verdict_is_told_and_the_old_one_kept(store: Store) -> None:
    see(store)
    store.land(landing(judged(1)), NOW)
    before, seq = one(store), store.last_seq()
    assert (r := go(store, NEW)).changed == 1 and r.seen == 1
    after = one(store)
    assert (after["topic"], after["model"]) == ("roof", "m2")
    assert after["deadlines"] == before["deadlines"]  # the clock goes on
    assert [h["assessment"]["model"] for h in after["history"]] == ["m1", "m2"]
    assert types(store, seq) == ["message.assessed"] and dense(store)


def test_the_same_verdict_changes_the_model_only(store: Store) -> None:
    see(store)
    store.land(landing(judged(1)), NOW)
    seq = store.last_seq()
    assert go(store, replace(PLAIN, model="m2")).changed == 0
    assert one(store)["model"] == "m2"
    assert len(one(store)["history"]) == 1 and store.last_seq() == seq
    assert go(store, replace(PLAIN, model="m2")).changed == 0 and store.last_seq() == seq


def test_a_persons_word_stays(store: Store) -> None:
    see(store)
    store.land(landing(judged(1, assessment=EMERGENCY)), NOW)
    id_ = one(store)["id"]
    store.correct(id_, {"topic": "lamps", "topic_group": "light", "emergency": False}, by="Первый", now=NOW)
    said = replace(EMERGENCY, topic="roof", topic_group="houses", urgency="prompt", model="m2")
    assert go(store, said).alerts == ()
    found = one(store)
    assert (found["topic"], found["topic_group"], found["emergency"], found["emergency_kind"]) == (
        "lamps", "light", False, None,
    )  # fmt: skip
    assert (found["urgency"], found["model"]) == ("prompt", "m2")
    (correction,) = store.corrections()
    assert correction.by == "Первый" and correction.fields >= {"topic", "emergency"}


def test_only_a_new_and_recent_emergency_is_alerted(store: Store) -> None:
    see(store)
    old, fresh = NOW - timedelta(hours=20), NOW - timedelta(minutes=5)
    store.land(
        landing(
            judged("old", "старое", published_at=old),
            judged("fresh", "свежее", published_at=fresh),
            judged("known", "известное", EMERGENCY, published_at=fresh),
            judged("archive", "архив", published_at=NOW - timedelta(days=9)),
        ),
        NOW,
    )
    assert len(store.alerts()) == 1
    run = replace(RUN, historical=True)
    said = replace(EMERGENCY, model="m2", reasons=("иначе",))
    result = go(store, said, run, alert_since=NOW - timedelta(hours=1))
    assert (result.changed, result.emergencies, len(result.alerts)) == (4, 3, 1)
    alerted = {store.message(a["message_id"])["text"] for a in store.alerts()}
    assert alerted == {"свежее", "известное"}
    assert go(store, said, run, alert_since=NOW - timedelta(hours=1)).alerts == ()
    assert len(store.alerts()) == 2 and dense(store)


def test_clocks_start_only_for_what_waits(store: Store) -> None:
    see(store)
    store.land(
        landing(
            judged(1, "ждёт", THANKS),
            judged(2, "взято", THANKS),
            judged(3, "архив", THANKS, published_at=NOW - timedelta(days=9)),
        ),
        NOW,
    )
    (taken,) = [m for m in store.messages() if m["text"] == "взято"]
    others = [m["id"] for m in store.take("x", 10, 60, NOW) if m["id"] != taken["id"]]
    store.nack(others, "x", NOW)
    store.ack([taken["id"]], "x", NOW)
    go(store, NEW, replace(RUN, historical=True))
    assert {m["text"]: bool(m["deadlines"]) for m in store.messages()} == {"ждёт": True, "взято": False, "архив": False}


def test_what_is_looked_at(store: Store) -> None:
    see(store)
    store.land(
        landing(
            judged(1, "обычное"),
            judged(2, "своё", own=True),
            judged(3, "удалённое", deleted=True),
            judged(4, "неоценённое", None),
            judged(5, "архив", published_at=NOW - timedelta(days=9)),
        ),
        NOW,
    )
    store.land(landing(judged(6, "позднее")), LATER)

    def texts(run: Reassessing) -> list[str]:
        found = [j.text for j in store.judgeable(run, "0", 10)]
        assert store.count_judgeable(run) == len(found)
        return found

    assert texts(RUN) == ["обычное", "позднее"]
    assert texts(replace(RUN, since=LATER)) == ["позднее"]
    assert texts(replace(RUN, historical=True)) == ["обычное", "архив", "позднее"]


def test_a_broken_off_run_goes_on_where_it_was(store: Store) -> None:
    see(store)
    store.land(landing(*(judged(n) for n in range(6))), NOW)
    assert store.reassess_mark(RUN) == "0"
    first = store.judgeable(RUN, "0", 4)
    store.reassess(RUN, [(j, NEW, {}) for j in first], first[-1].message_id, LATER, LATER)
    mark = store.reassess_mark(RUN)
    assert mark == first[-1].message_id and store.count_judgeable(RUN, mark) == 2
    assert store.reassess_mark(replace(RUN, again=True)) == "0"  # another run is another matter
    assert store.reassess_mark(replace(RUN, model="m3")) == "0"
    store.finish_reassessing(LATER)
    assert store.reassess_mark(RUN) == "0"


def test_a_batch_lands_whole_or_not_at_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    see(store)
    store.land(landing(judged(1), judged(2)), NOW)
    seq = store.last_seq()

    def fail(*_: Any) -> None:
        raise RuntimeError("broken off")

    monkeypatch.setattr("store.reassessing._move", fail)
    with pytest.raises(RuntimeError):
        go(store, NEW)
    assert {m["model"] for m in store.messages()} == {"m1"} and store.last_seq() == seq
    assert store.reassess_mark(RUN) == "0"


def test_an_edit_that_came_meanwhile_wins(store: Store) -> None:
    see(store)
    store.land(landing(judged(1, "нет воды")), NOW)
    (item,) = store.judgeable(RUN, "0", 10)
    newer = replace(PLAIN, topic="light", model="m3")
    store.land(landing(judged(1, "нет света", newer, edited_at=LATER)), LATER)
    assert store.reassess(RUN, [(item, NEW, {})], item.message_id, LATER, LATER).changed == 0
    assert one(store)["topic"] == "light"


def test_another_model_does_not_take_back_what_the_head_was_told(store: Store) -> None:
    see(store)
    store.land(landing(judged(1, assessment=EMERGENCY)), NOW)
    assert go(store, replace(PLAIN, model="m2")).alerts == ()
    found = one(store)
    assert found["emergency"] and found["emergency_kind"] == EMERGENCY.emergency_kind and found["model"] == "m2"
    store.correct(found["id"], {"emergency": False}, by="Первый", now=LATER)
    go(store, replace(PLAIN, model="m3"), Reassessing("m3"))
    assert not one(store)["emergency"]
