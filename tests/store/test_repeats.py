"""Repeats as they land: links, clusters, edits, deletions, a person's word; with the real classifier's signatures."""

from __future__ import annotations

import itertools
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from store import NotFound, Store, StoreError
from store.tables import signature_keys, signatures
from store.values import Author, Judged, PageRef, Reassessing
from tests.store.build import NOW, comment, dense, landing, see, together


@cache
def judge():
    import classifier

    return classifier.load()


def said(n: int | str, text: str, author: str | None = None, **more: Any) -> Judged:
    """A judged comment; every one by somebody else and under a post of its own, unless told otherwise."""
    from classifier.contract import Text

    values = {"author": Author(author or f"a{n}", "Имя", None, "person"), "post_id": f"wall-1_{n}", **more}
    return Judged(comment(n, text, **values), judge().assess(Text(text)))


def ids(store: Store) -> dict[str, str]:
    return {m["external_id"]: m["id"] for m in store.messages()}


def links(store: Store) -> dict[str, str | None]:
    """external id -> external id of the message it repeats."""
    names = {m["id"]: m["external_id"] for m in store.messages()}
    return {m["external_id"]: names.get(m["repeat_of"]) for m in store.messages()}


def clusters(store: Store) -> set[frozenset[str]]:
    found = (frozenset(m["external_id"] for m in store.repeats(i)) for i in ids(store).values())
    return {c for c in found if c}


def count(store: Store, table: Any) -> int:
    from sqlalchemy import func, select

    with store._db.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def opened(store: Store) -> Store:
    see(store)
    return store


FIRST = "Нет воды в Хкеме с утра"
AGAIN = "Когда дадут воду в Хкеме? Третий день сидим"
ELSEWHERE = "Нет воды в Луткуне с утра"


def test_a_rewritten_question_points_to_the_first(opened):
    opened.land(landing(said(1, FIRST)), NOW)
    opened.land(landing(said(2, AGAIN), said(3, ELSEWHERE)), NOW)
    assert links(opened) == {"c1": None, "c2": "c1", "c3": None}
    first = ids(opened)["c1"]
    again = opened.message(ids(opened)["c2"])
    assert again["repeat_of"] == first
    assert [r for r in again["reasons"] if r.startswith(f"повтор: см. № {first} (")]
    assert again["status"] == "new"  # a repeat is a message of its own


def test_the_event_of_landing_tells_of_the_repeat(opened):
    opened.land(landing(said(1, FIRST)), NOW)
    opened.land(landing(said(2, AGAIN)), NOW)
    landed = [e for e in opened.events(0, 100) if e["type"] == "otklik.message.landed"]
    assert [e["data"]["repeat_of"] for e in landed] == [None, landed[0]["data"]["id"]]
    assert "повтор" in landed[1]["data"]["reasons"][-1]
    assert dense(opened)


def test_copies_of_one_batch_are_one_cluster_and_the_earliest_is_first(opened):
    copies = [said(n, FIRST, published_at=NOW - timedelta(minutes=n)) for n in range(1, 9)]
    opened.land(landing(*copies), NOW)
    assert set(links(opened).values()) == {None, "c8"}
    assert clusters(opened) == {frozenset(f"c{n}" for n in range(1, 9))}


def test_a_text_pasted_en_masse_is_one_cluster_whatever_it_says(opened):
    advert = "Кредит под залог, одобрение 100%, пиши в лс, работаем по всему Дагестану"
    for n in range(40):
        opened.land(landing(said(n, advert)), NOW)
    assert len(clusters(opened)) == 1
    counts = opened.repeat_counts(ids(opened)["c7"])
    assert (counts["messages"], counts["authors"]) == (40, 40)


def test_across_pages_and_networks(opened):
    other = PageRef("ok", "77", "Новости", "https://ok.ru/77")
    opened.see_page(other, NOW - timedelta(days=1))
    opened.land(landing(said(1, FIRST)), NOW)
    there = said(2, AGAIN, network="ok", page_id="77", post_id="p1")
    opened.land(landing(there, page=other), NOW)
    assert links(opened)["c2"] == "c1"


@pytest.mark.parametrize(
    "text", ["+1", "согласен", "когда?", "Спасибо!", "у нас тоже", "🙏", "Спасибо, воду в Хкеме дали"]
)
def test_short_replies_and_thanks_do_not_join_a_question(opened, text):
    opened.land(landing(said(1, FIRST)), NOW)
    opened.land(landing(said(2, text, parent_id="c1", post_id="wall-1_1")), NOW)
    assert clusters(opened) == set()


def test_landing_again_and_in_any_order_gives_the_same_clusters(opened, sqlite_template, tmp_path):
    import shutil

    asked = [
        said(1, FIRST),
        said(2, AGAIN),
        said(3, ELSEWHERE),
        said(4, "Луткун без воды, примите меры"),
        said(5, FIRST),
    ]
    opened.land(landing(*asked), NOW)
    before = (links(opened), opened.last_seq())
    opened.land(landing(*asked), NOW)
    assert (links(opened), opened.last_seq()) == before
    wanted = {frozenset({"c1", "c2", "c5"}), frozenset({"c3", "c4"})}
    assert clusters(opened) == wanted
    for n, order in enumerate(itertools.islice(itertools.permutations(asked), 0, 120, 17)):
        path = tmp_path / f"{n}.db"
        shutil.copy(sqlite_template, path)
        with Store.open(f"sqlite:///{path}") as other:
            see(other)
            for one in order:
                other.land(landing(one), NOW)
            assert clusters(other) == wanted


def test_the_window(store_url):
    with Store.open(store_url, repeat_window=timedelta(days=10)) as store:
        see(store)
        store.land(landing(said(1, FIRST)), NOW)
        later = NOW + timedelta(days=11)
        store.land(landing(said(2, AGAIN, published_at=later), server_time=later), later)
        assert clusters(store) == set()
        soon = NOW + timedelta(days=9)
        store.land(landing(said(3, AGAIN, published_at=soon), server_time=soon), soon)
        assert links(store)["c3"] in ("c1", "c2")


def test_an_old_question_may_be_the_first_and_gets_no_clocks(opened):
    before = NOW - timedelta(days=20)
    opened.land(landing(said(1, FIRST, published_at=before)), NOW)
    opened.land(landing(said(2, AGAIN)), NOW)
    first = opened.message(ids(opened)["c1"])
    assert first["historical"] and first["deadlines"] == {}
    assert links(opened)["c2"] == "c1"


def test_an_edit_is_looked_at_anew(opened):
    opened.land(landing(said(1, FIRST), said(2, ELSEWHERE), said(3, AGAIN)), NOW)
    assert links(opened)["c3"] == "c1"
    opened.land(landing(said(3, "Луткун без воды, примите меры")), NOW)
    assert links(opened)["c3"] == "c2"
    revised = [e for e in opened.events(0, 100) if e["type"] == "otklik.message.revised"][-1]
    assert revised["data"]["repeat_of"] == ids(opened)["c2"]
    opened.land(landing(said(3, "Спасибо всем!")), NOW)
    assert links(opened)["c3"] is None
    assert not any("повтор" in r for r in opened.message(ids(opened)["c3"])["reasons"])


def test_the_first_message_may_be_edited_or_deleted(opened):
    opened.land(landing(said(1, FIRST), said(2, AGAIN, published_at=NOW)), NOW)
    opened.land(landing(said(1, "Луткун без воды, примите меры")), NOW)
    assert links(opened) == {"c1": None, "c2": None}  # another question now
    opened.land(landing(said(2, FIRST + "!", published_at=NOW), said(3, AGAIN, published_at=NOW)), NOW)
    assert links(opened)["c3"] == "c2"
    opened.land(landing(said(2, FIRST + ", сколько можно?", published_at=NOW)), NOW)
    assert links(opened)["c3"] == "c2"  # the same in other words
    opened.land(landing(deleted=["c2"]), NOW)
    opened.land(landing(said(4, AGAIN, published_at=NOW)), NOW)
    assert links(opened)["c4"] == "c2"
    assert opened.repeat_counts(ids(opened)["c4"])["messages"] == 2
    opened.land(landing(said(3, "Когда дадут воду в Хкеме?", published_at=NOW)), NOW)
    assert links(opened)["c3"] == "c2"


def test_others_go_on_without_a_first_message_that_asks_something_else(opened):
    opened.land(landing(said(1, FIRST), *(said(n, AGAIN, published_at=NOW) for n in (2, 3, 4))), NOW)
    opened.land(landing(said(1, "Спасибо!")), NOW)
    assert links(opened) == {"c1": None, "c2": None, "c3": "c2", "c4": "c2"}
    told = {e["data"]["id"]: e["data"]["repeat_of"] for e in opened.events(0, 100)}
    assert told == {m["id"]: m["repeat_of"] for m in opened.messages()}


def test_late_and_repeated_judging_links_too(opened):
    opened.land(landing(said(1, FIRST), Judged(comment(2, AGAIN), None)), NOW)
    assert links(opened)["c2"] is None
    (waiting,) = opened.unassessed(10)
    from classifier.contract import Text

    opened.assess([(waiting.message_id, judge().assess(Text(AGAIN)), {})], NOW)
    assert links(opened)["c2"] == "c1"


def test_judging_anew_finds_repeats_among_messages_that_had_no_signature(opened):
    from dataclasses import replace

    from classifier.contract import Text

    bare = [replace(j, assessment=replace(j.assessment, signature=None)) for j in (said(1, FIRST), said(2, AGAIN))]
    opened.land(landing(*bare), NOW)
    assert clusters(opened) == set()
    run = Reassessing("m2", again=True)
    old = opened.judgeable(run, "0", 10)
    items = [(m, judge().assess(Text(m.text)), {}) for m in old]
    opened.reassess(run, items, old[-1].message_id, NOW, NOW)
    assert links(opened) == {"c1": None, "c2": "c1"}
    told = [e for e in opened.events(0, 100) if e["type"] == "otklik.message.assessed"]
    assert told[-1]["data"]["repeat_of"] == ids(opened)["c1"]
    last = opened.last_seq()
    opened.reassess(run, [(m, judge().assess(Text(m.text)), {}) for m in old], "0", NOW, NOW)
    assert opened.last_seq() == last


def test_a_persons_word_stays(opened):
    opened.land(landing(said(1, FIRST), said(2, AGAIN, published_at=NOW), said(3, "Что с крышей клуба?")), NOW)
    found = ids(opened)
    assert opened.relate(found["c2"], None, by="Иванова", now=NOW)["repeat_of"] is None
    assert opened.relate(found["c3"], found["c1"], by="Иванова", now=NOW)["repeat_of"] == found["c1"]
    opened.land(landing(said(2, FIRST)), NOW)
    assert links(opened) == {"c1": None, "c2": None, "c3": "c1"}
    with pytest.raises(StoreError, match="само себя"):
        opened.relate(found["c1"], found["c1"], by="Иванова", now=NOW)
    with pytest.raises(StoreError, match="повторяют другие"):
        opened.relate(found["c1"], found["c2"], by="Иванова", now=NOW)
    with pytest.raises(NotFound):
        opened.relate(found["c1"], "999", by="Иванова", now=NOW)


def test_forgetting_takes_the_signatures_along(opened):
    from store.clusters import drop

    opened.land(landing(said(1, FIRST), said(2, AGAIN, published_at=NOW), said(3, FIRST, published_at=NOW)), NOW)
    found = ids(opened)
    opened._db.transact(lambda tx: drop(tx, [int(found["c1"])]), NOW)
    left = {m["external_id"]: m["repeat_of"] for m in opened.messages()}
    assert left == {"c1": None, "c2": None, "c3": found["c2"]}
    assert f"№ {found['c2']} " in opened.message(found["c3"])["reasons"][-1]
    opened._db.transact(lambda tx: drop(tx, [int(found["c2"]), int(found["c3"])]), NOW)
    assert (count(opened, signatures), count(opened, signature_keys)) == (0, 0)


def test_no_text_is_kept_in_signatures(opened):
    opened.land(landing(said(1, "Нет воды в Хкеме у Магомедова на Луговой 7")), NOW)
    from sqlalchemy import select

    with opened._db.read() as conn:
        (row,) = conn.execute(select(signatures)).mappings()
    assert not any(c.isalpha() for c in row["body"] + row["keys"])


def _land(url: str, n: int) -> int:
    with Store.open(url) as store:
        for turn in range(3):
            store.land(landing(said(f"{n}-{turn}", FIRST)), NOW)
    return n


def test_writers_at_once_make_one_cluster(store_url):
    with Store.open(store_url) as store:
        see(store)
        together(_land, [(store_url, n) for n in range(3)])
        assert len(clusters(store)) == 1
        (whole,) = clusters(store)
        assert len(whole) == 9
        assert sum(v is None for v in links(store).values()) == 1


def test_a_pasted_text_loses_its_first_message_in_little_memory(opened):
    import tracemalloc

    copies = [said(f"{n:03}", FIRST) for n in range(600)]
    opened.land(landing(*copies), NOW)
    tracemalloc.start()
    try:
        opened.land(landing(said("000", ELSEWHERE)), NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert links(opened) == {"c000": None, "c001": None, **{f"c{n:03}": "c001" for n in range(2, 600)}}
    assert peak < 600 * 16_000, f"{peak / 600:.0f} bytes for each copy"
