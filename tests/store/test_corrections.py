"""A person's words as the classifier learns them: the last one counts, and the text that was judged."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store import Store
from store.values import Place
from tests.store.build import EMERGENCY, NOW, comment, judged, landing, see, types


def ids(store: Store) -> dict[str, str]:
    return {m["comment_id"]: m["id"] for m in store.messages()}


def test_the_last_word_of_a_person_counts(store: Store) -> None:
    see(store)
    store.land(landing(judged(1), judged(2), judged(3)), NOW)
    at = ids(store)
    store.correct(at["1"], {"topic": "lamps", "topic_group": "light"}, by="Первый", now=NOW + timedelta(minutes=1))
    store.correct(at["3"], {"urgency": "urgent"}, by="Вторая", now=NOW + timedelta(minutes=2))
    store.correct(at["1"], {"topic": "roof", "topic_group": "houses"}, by="Вторая", now=NOW + timedelta(minutes=3))
    found = list(store.corrections())
    assert [c.message_id for c in found] == [at["1"], at["3"]]
    first, other = found
    assert (first.assessment["topic"], first.by, first.at) == ("roof", "Вторая", NOW + timedelta(minutes=3))
    assert first.said("topic") and first.said("topic_group") and not first.said("urgency")
    assert (first.text, first.page, first.network, first.external_id) == (
        "нет воды",
        "Администрация района",
        "vk",
        "c1",
    )
    assert other.fields == {"urgency"}
    assert [c.message_id for c in store.corrections(NOW + timedelta(minutes=2))] == [at["1"]]
    assert not list(store.corrections(NOW + timedelta(minutes=3)))


def test_who_said_what_before_stays_in_the_history(store: Store) -> None:
    see(store)
    store.land(landing(judged(1)), NOW)
    (id_,) = ids(store).values()
    store.correct(id_, {"urgency": "urgent"}, by="Первый", now=NOW + timedelta(minutes=1))
    store.correct(
        id_, {"urgency": None, "places": [Place("Кака", "село")]}, by="Вторая", now=NOW + timedelta(minutes=2)
    )
    history = store.message(id_, full=True)["history"]
    assert [(h["by"], h["assessment"]["urgency"]) for h in history] == [
        ("classifier", "prompt"), ("Первый", "urgent"), ("Вторая", None),
    ]  # fmt: skip
    (last,) = store.corrections()
    assert last.assessment["places"][0]["name"] == "Кака"


def test_the_text_is_the_one_that_was_judged(store: Store) -> None:
    see(store)
    store.land(landing(judged(1, "нет воды")), NOW)
    (id_,) = ids(store).values()
    later = NOW + timedelta(hours=1)
    store.land(landing(judged(1, "нет воды в селе", edited_at=later)), later)
    store.correct(id_, {"urgency": "urgent"}, by="Первый", now=later + timedelta(minutes=1))
    after = later + timedelta(hours=1)
    store.land(landing(judged(1, "воду дали, спасибо", edited_at=after)), after)
    (found,) = store.corrections()
    assert found.text == "нет воды в селе"


def test_nothing_is_learnt_from_what_has_no_text(store: Store) -> None:
    see(store)
    store.land(landing(judged(1, ""), judged(2, "своё", own=True)), NOW)
    store.correct(ids(store)["1"], {"reaction": "none"}, by="Первый", now=NOW)
    assert not list(store.corrections())


def test_many_corrections_come_once_each(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.corrections._CHUNK", 5)
    see(store)
    store.land(landing(*(judged(n) for n in range(30))), NOW)
    by_comment = ids(store)
    for n in range(0, 30, 2):
        store.correct(by_comment[str(n)], {"reaction": "none"}, by="Первый", now=NOW)
    found = [c.external_id for c in store.corrections()]
    assert len(found) == len(set(found)) == 15
    assert comment(0).external_id in found


def test_an_emergency_that_a_person_calls_one_again_rings_again(store: Store) -> None:
    see(store)
    store.land(landing(judged(1, "горит дом", EMERGENCY)), NOW)
    (id,) = ids(store).values()
    late = NOW + timedelta(minutes=1)

    def due(at):
        return store.claim_alerts(at, 5.0, [("a", "head")], 6000.0, 60.0, 5)

    (job,) = due(NOW)
    store.alert_result(job, True, None, late)
    alert = store.alerts()[0]["id"]
    store.correct(id, {"emergency": False}, by="adm", now=late)
    store.acknowledge(alert, "adm", late)
    assert due(NOW + timedelta(hours=1)) == []
    again = NOW + timedelta(hours=2)
    store.correct(id, {"emergency": True, "urgency": "urgent"}, by="adm", now=again)
    (job,) = due(again)  # the Head is told once more, and the time to escalate begins anew
    assert (job.alert_id, job.level) == (alert, "head")
    (told,) = store.alerts(("raised",))
    assert (told["acknowledged_by"], told["escalated_at"]) == (None, None)
    assert types(store).count("alert.raised") == 2
    store.correct(id, {"emergency": True, "topic": "roof"}, by="adm", now=again + timedelta(minutes=5))
    assert types(store).count("alert.raised") == 2, "it rings already"
