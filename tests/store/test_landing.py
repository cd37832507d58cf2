"""What a landing does, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from store import Store
from store.admin import verify
from store.values import Author, Comment, Judged, Known, Landed, PageRef, Place, Post, PostMark
from tests.store.build import (
    EMERGENCY,
    NOW,
    PAGE,
    PLAIN,
    POST,
    SOON,
    THANKS,
    comment,
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
def land(store):
    see(store)

    def run(*comments, now=NOW, **more):
        return store.land(landing(*comments, **more), now)

    return run


def test_a_new_comment_becomes_a_message_with_the_fields_of_the_design(store, land):
    assert land(judged(1, attachments=(photo(),))) == Landed(new=1)
    assert store.message("1") == {
        "id": "1",
        "network": "vk",
        "external_id": "c1",
        "page": "-1",
        "url": "https://vk.com/wall-1_10?reply=1",
        "post_id": POST,
        "comment_id": "1",
        "parent_id": None,
        "author": {"id": "5", "name": "Имя Отчество", "url": "https://vk.com/id5"},
        "text": "нет воды",
        "attachments": [{"kind": "photo", "url": "https://x/1.jpg?sig=a", "title": None, "id": "p1"}],
        "published_at": "2026-11-24T08:55:00Z",
        "collected_at": "2026-11-24T09:00:00Z",
        "edited_at": None,
        "deleted_at": None,
        "status": "new",
        "historical": False,
        "repeat_of": None,
        "division": None,
        "deadlines": {"route": "2026-11-24T09:30:00Z"},
        **PLAIN.as_dict(),
    }
    assert [e["data"] for e in store.events(0, 9)] == [store.message("1")]
    assert list(store.messages()) == [store.message("1")]


def test_landing_the_same_again_changes_nothing(store, land):
    batch = [judged(1), judged(2, "пожар", EMERGENCY), judged(3, own=True), judged(4, deleted=True)]
    land(*batch)
    before = store.last_seq(), list(store.messages()), store.post_states(PAGE)
    assert land(*batch) == Landed(unchanged=4)
    assert (store.last_seq(), list(store.messages()), store.post_states(PAGE)) == before


def test_twice_in_one_landing_is_once_with_the_later_words(store, land):
    assert land(judged(1, "раз"), judged(1, "два")).new == 1
    assert store.message("1")["text"] == "два"


def test_the_same_id_in_two_networks_is_two_messages(store, land):
    land(judged(1))
    other = replace(judged(1), comment=comment(1, network="ok", page_id="7"))
    store.land(landing(other, page=PageRef("ok", "7")), NOW)
    assert [m["network"] for m in store.messages()] == ["vk", "ok"]


def test_an_edit_keeps_the_old_words_and_the_clocks(store, land):
    land(judged(1))
    later = NOW + timedelta(hours=2)
    edited = Judged(comment(1, "нет света"), THANKS, {"route": later, "urgent": later})
    assert land(edited, now=later) == Landed(revised=1)
    found = store.message("1", full=True)
    assert (found["text"], found["edited_at"], found["reaction"]) == ("нет света", "2026-11-24T11:00:00Z", "none")
    assert found["collected_at"] == "2026-11-24T09:00:00Z"
    assert found["deadlines"] == {"route": "2026-11-24T09:30:00Z", "urgent": "2026-11-24T11:00:00Z"}
    assert [r["text"] for r in found["revisions"]] == ["нет воды"]
    assert [h["assessment"]["reaction"] for h in found["history"]] == ["required", "none"]
    assert types(store) == ["message.landed", "message.revised"]


def test_the_networks_time_of_an_edit_is_taken_when_it_tells(store, land):
    land(judged(1))
    land(judged(1, "иначе", edited_at=NOW - timedelta(minutes=1)))
    assert store.message("1")["edited_at"] == "2026-11-24T08:59:00Z"


def test_every_edit_keeps_its_predecessor(store, land):
    for text in ("один", "два", "один", "три"):
        land(judged(1, text))
    assert [r["text"] for r in store.message("1", full=True)["revisions"]] == ["один", "два", "один"]


def test_another_photo_is_an_edit_another_address_of_it_is_not(store, land):
    land(judged(1, attachments=(photo(),)))
    assert land(judged(1, attachments=(photo(url="https://x/1.jpg?sig=b"),))).revised == 0
    assert land(judged(1, attachments=(photo("p2"),))).revised == 1
    assert store.message("1", full=True)["revisions"][0]["attachments"][0]["id"] == "p1"


def test_a_deletion_is_marked_once_and_the_text_kept(store, land):
    land(judged(1), judged(2))
    assert land(deleted=["c1", "never-seen"]).deleted == 1
    assert land(judged(2, "", None, deleted=True, author=Author())).deleted == 1
    assert land(deleted=["c1", "c2"]) == Landed()
    for id_ in ("1", "2"):
        assert store.message(id_)["text"] == "нет воды"
        assert store.message(id_)["deleted_at"] == "2026-11-24T09:00:00Z"
    assert types(store, 2) == ["message.deleted", "message.deleted"]
    tombstone = store.events(2, 1)[0]["data"]
    assert tombstone == {"id": "1", "network": "vk", "external_id": "c1", "deleted_at": "2026-11-24T09:00:00Z"}
    assert store.known("vk", POST) == {"c1": Known(None, True), "c2": Known(None, True)}


def test_seen_again_after_a_deletion_it_is_there_again(store, land):
    land(judged(1))
    land(deleted=["c1"])
    assert land(judged(1)) == Landed(unchanged=1)
    assert store.message("1")["deleted_at"] is None
    assert types(store) == ["message.landed", "message.deleted", "message.restored"]
    land(deleted=["c1"])
    assert land(judged(1, "иначе")).revised == 1
    assert types(store, 3) == ["message.deleted", "message.restored", "message.revised"]


def test_landed_and_found_deleted_in_one_landing(store, land):
    assert land(judged(1), deleted=["c1"]) == Landed(new=1, deleted=1)
    assert types(store) == ["message.landed", "message.deleted"]
    assert store.post_states(PAGE)[0].stored == 0


def test_a_stub_of_a_comment_never_seen_is_kept_and_filled_when_it_shows(store, land):
    stub = Judged(comment(1, "", deleted=True, author=Author(), published_at=None), None)
    assert land(stub).new == 1
    assert store.message("1")["deleted_at"] and store.message("1")["author"]["id"] is None
    assert store.unassessed(9) == [] and store.post_states(PAGE)[0].stored == 0
    land(judged(1, "горит дом", EMERGENCY))
    found = store.message("1", full=True)
    assert (found["text"], found["author"]["id"], found["revisions"]) == ("горит дом", "5", [])
    assert found["edited_at"] is None and len(found["alerts"]) == 1
    assert types(store) == ["message.landed", "message.restored", "alert.raised"]


def test_the_administrations_own_comments_are_known_and_nothing_else(store, land):
    assert land(judged(1, "горит дом", EMERGENCY, own=True)) == Landed(new=1, own=1)
    land(judged(1, "горит дом!", EMERGENCY, own=True))
    land(deleted=["c1"])
    land(judged(1, "горит дом!", EMERGENCY, own=True))
    assert list(store.messages()) == [] and store.last_seq() == 0 and store.alerts() == []
    assert store.take("a", 9, 60, NOW) == [] and store.unassessed(9) == []
    assert store.known("vk", POST) == {"c1": Known(None, False)} and store.post_states(PAGE)[0].stored == 1


def test_every_author_and_every_form_counts(store, land):
    land(
        judged(1, author=Author()),
        judged(2, "", attachments=(photo(),)),
        judged(3, parent_id="c1"),
        judged(4, parent_id="c3", author=Author("-9", "Сообщество", None, "community")),
        judged(5, published_at=None),
    )
    assert len(list(store.messages())) == 5
    assert store.known("vk", POST)["c4"] == Known("c3", False)
    assert store.message("5")["published_at"] is None and not store.message("5")["historical"]


def test_older_than_the_first_sight_is_historical_without_clocks_and_alerts(store):
    see(store, NOW - timedelta(hours=1))
    old, new = NOW - timedelta(hours=2), NOW - timedelta(minutes=59)
    found = store.land(
        landing(
            judged(1, "пожар", EMERGENCY, published_at=old),
            judged(2, published_at=old),
            judged(3, "пожар", EMERGENCY, published_at=new),
        ),
        NOW,
    )
    assert len(found.alerts) == 1 and [a["message_id"] for a in store.alerts()] == ["3"]
    assert store.message("2")["historical"] and store.message("2")["deadlines"] == {}
    assert not store.message("3")["historical"] and store.message("3")["deadlines"]
    # An edit years later is the only thing that is new about it: still no clock.
    store.land(landing(judged(1, "пожар!", EMERGENCY, published_at=old)), NOW)
    assert len(store.alerts()) == 1
    assert [m["id"] for m in store.messages()] == ["3", "1", "2"]


def test_a_wrong_clock_of_ours_does_not_make_live_comments_historical(store):
    see(store, NOW + timedelta(days=3650))
    store.land(landing(judged(1, published_at=NOW)), NOW)
    assert not store.message("1")["historical"]


def test_the_first_sight_of_a_page_stays(store):
    first = store.see_page(PAGE, NOW)
    again = store.see_page(replace(PAGE, title="Иначе"), NOW + timedelta(days=9))
    assert (first.first_seen_at, again.first_seen_at, again.page.title) == (NOW, NOW, "Иначе")
    assert store.page_states() == [again]


def test_a_cursor_never_passes_the_servers_time(store, land):
    future = datetime(2099, 1, 1, tzinfo=UTC)
    land(judged(1, published_at=future), posts=[mark(checked_at=future, walked="full", cursor="x")])
    state = store.post_states(PAGE)[0]
    assert state.checked_at == state.walked_at == state.full_walked_at == NOW
    assert store.message("1")["published_at"] == "2099-01-01T00:00:00Z"
    land(judged(2, published_at=NOW - timedelta(minutes=1)), judged(3, published_at=None))
    assert [m["id"] for m in store.messages()] == ["2", "1", "3"]  # it stands where it was found, not after 2098


def test_marks_of_posts(store, land):
    post = Post("vk", POST, "-1", "post", NOW, 2, "https://vk.com/wall-1_10", "текст", pinned=True)
    land(judged(1), judged(2), posts=[PostMark(post, NOW, "full", "cur", SOON, SOON, 0)], deleted=["c2"])
    state = store.post_states(PAGE)[0]
    assert state.post == post
    assert (state.stored, state.walked_counter, state.cursor, state.gap) == (1, 2, "cur", 0)
    assert (state.first_seen_at, state.last_new_at, state.next_check_at) == (NOW, NOW, SOON)
    later = NOW + timedelta(hours=1)
    # Looked at, not walked: what the walk found stays.
    only_looked = PostMark(replace(post, counter=5, text=""), later, None, None, later)
    store.land(landing(posts=[only_looked], server_time=later), later)
    state = store.post_states(PAGE)[0]
    assert (state.post.counter, state.walked_counter, state.walked_at, state.checked_at) == (5, 2, NOW, later)
    assert (state.cursor, state.post.text, state.next_full_at, state.last_new_at) == ("cur", "текст", None, NOW)
    store.land(landing(posts=[PostMark(post, later, "tail", None)], server_time=later), later)
    state = store.post_states(PAGE)[0]
    assert (state.walked_at, state.full_walked_at, state.cursor) == (later, NOW, None)


def test_a_baseline_mark_remembers_the_counter_without_a_full_walk(store, land):
    land(posts=[mark(counter=40, walked="baseline", gap=0)])
    state = store.post_states(PAGE)[0]
    assert (state.walked_counter, state.walked_at, state.full_walked_at) == (40, NOW, None)


def test_due_posts(store, land):
    land(
        posts=[
            mark("a", next_check_at=NOW, next_full_at=SOON),
            mark("b", next_check_at=SOON),
            mark("c", next_full_at=NOW),
            mark("d"),
        ]
    )
    assert {s.post.id for s in store.post_states(PAGE, due=NOW)} == {"a", "c"}
    assert {s.post.id for s in store.post_states(PAGE)} == {"a", "b", "c", "d"}


def test_an_emergency_raises_one_alert_for_ever(store, land):
    found = land(judged(1, "пожар", EMERGENCY))
    assert found.alerts == ("1",) and types(store) == ["message.landed", "alert.raised"]
    land(judged(1, "пожара нет", PLAIN))
    assert land(judged(1, "пожар!", EMERGENCY)).alerts == ()
    assert len(store.alerts()) == 1
    assert store.alerts()[0]["kind"] == "пожар" and store.alerts()[0]["message"]["id"] == "1"


def test_an_edit_that_turns_into_an_emergency_raises_an_alert(store, land):
    land(judged(1))
    assert len(land(judged(1, "горит дом", EMERGENCY)).alerts) == 1


def test_unassessed_comments_land_and_are_taken_up(store, land):
    land(judged(1, "а", None, attachments=(photo(),)), judged(2, "пожар", None), judged(3))
    assert store.message("1")["topic"] is None and store.message("1")["emergency"] is False
    waiting = store.unassessed(10)
    assert [(w.message_id, w.text, w.page, w.attachments) for w in waiting] == [
        ("1", "а", PAGE.title, ("photo",)),
        ("2", "пожар", PAGE.title, ()),
    ]
    assert store.unassessed(1) == waiting[:1]
    found = store.assess([("1", PLAIN, {"route": SOON}), ("2", EMERGENCY, {"route": SOON}), ("3", THANKS, {})], NOW)
    assert len(found.alerts) == 1
    assert types(store, 3) == ["message.assessed", "message.assessed", "alert.raised"]
    assert store.message("1")["deadlines"] == {"route": "2026-11-24T09:30:00Z"}
    assert store.message("3")["reaction"] == "required"  # was assessed already
    assert store.unassessed(10) == [] and store.assess([("1", THANKS, {})], NOW) == Landed()


def test_an_unassessed_comment_seen_again_with_an_assessment_takes_it(store, land):
    land(judged(1, "пожар", None))
    found = land(judged(1, "пожар", EMERGENCY))
    assert len(found.alerts) == 1 and found.revised == 0
    assert types(store) == ["message.landed", "message.assessed", "alert.raised"]


def test_an_edit_the_classifier_fails_on_is_taken_up_later(store, land):
    land(judged(1))
    land(judged(1, "горит дом", None))
    assert [w.text for w in store.unassessed(9)] == ["горит дом"]
    assert len(store.assess([("1", EMERGENCY, {})], NOW).alerts) == 1
    assert store.message("1", full=True)["history"][-1]["assessment"]["emergency"]


def test_a_persons_word_outlives_the_classifiers(store, land):
    land(judged(1))
    store.correct("1", {"topic": "roads", "topic_group": "transport"}, by="ivanova", now=NOW)
    land(judged(1, "нет воды и света", replace(PLAIN, topic="light", urgency="urgent")))
    found = store.message("1")
    assert (found["topic"], found["topic_group"], found["urgency"]) == ("roads", "transport", "urgent")


def test_an_emergency_in_new_words_counts_whatever_was_said_of_the_old(store, land):
    land(judged(1))
    store.correct("1", {"emergency": False}, by="ivanova", now=NOW)
    found = land(judged(1, "горит дом", EMERGENCY))
    assert len(found.alerts) == 1 and store.message("1")["emergency"]
    # But a false alarm that a person called off does not come back with a comma.
    store.correct("1", {"emergency": False}, by="ivanova", now=NOW)
    assert land(judged(1, "горит, дом", EMERGENCY)).alerts == ()
    assert not store.message("1")["emergency"]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\0", "😀" * 9, "x" * 100_000, "'); DROP TABLE messages; --", ""])
def test_any_text_lands_and_lands_once(store, land, text):
    odd = judged(1, text, author=Author("5", text, text, "person"), attachments=(photo(url=text),))
    assert land(odd).new == 1
    assert land(odd) == Landed(unchanged=1)
    assert "\0" not in store.message("1")["text"] and dense(store)


def test_times_of_other_zones_are_the_same_instant_and_naive_ones_refused(store, land):
    msk = timezone(timedelta(hours=3))
    land(judged(1, published_at=datetime(2026, 11, 24, 11, 0, 0, 250, tzinfo=msk)))
    assert store.message("1")["published_at"] == "2026-11-24T08:00:00.000250Z"
    with pytest.raises(TypeError):
        land(judged(2, published_at=datetime(2026, 11, 24)))
    assert len(list(store.messages())) == 1


def test_all_or_nothing(store, land):
    broken = replace(judged(2), deadlines={"route": datetime(2026, 1, 1)})  # naive: fails half-way
    with pytest.raises(TypeError):
        land(judged(1, "пожар", EMERGENCY), broken, posts=[mark()])
    assert list(store.messages()) == [] and store.alerts() == [] and store.post_states(PAGE) == []
    assert store.last_seq() == 0
    land(judged(1))
    assert dense(store)


def test_a_large_batch(store, land):
    many = [judged(i, f"текст {i}", post_id=f"wall-1_{i % 7}") for i in range(6000)]
    assert land(*many).new == 6000
    assert land(*many).unchanged == 6000
    assert sum(s.stored for s in store.post_states(PAGE)) == 6000 and dense(store)


def test_places_can_be_found_by_name_and_parent(store, land):
    from store import QueueFilter

    land(judged(1), judged(2, assessment=replace(PLAIN, places=(Place("Ялак", "село"),))))
    assert [m["id"] for m in store.messages(QueueFilter(place="хрЮг"))] == ["1"]
    assert [m["id"] for m in store.messages(QueueFilter(place="Ахтынский район"))] == ["1"]
    land(judged(1, "в Ялаке", replace(PLAIN, places=(Place("Ялак", "село"),))))
    assert [m["id"] for m in store.messages(QueueFilter(place="Ялак"))] == ["1", "2"]
    assert list(store.messages(QueueFilter(place="Хрюг"))) == []


# --- many writers -----------------------------------------------------------------------------------------------------


def _land_all(url: str, who: int, rounds: int) -> tuple[int, int, int]:
    """Land the same 60 comments over and over, in one's own order; (new, revised, alerts)."""
    import random

    order = random.Random(who)
    total = [0, 0, 0]
    with Store.open(url) as store:
        for _ in range(rounds):
            batch = [judged(i, "пожар" if i % 5 == 0 else f"слово {i}", EMERGENCY if i % 5 == 0 else PLAIN,
                            post_id=f"wall-1_{i % 4}") for i in range(60)]  # fmt: skip
            order.shuffle(batch)
            found = store.land(landing(*batch[:40], deleted=[]), NOW)
            total = [total[0] + found.new, total[1] + found.revised, total[2] + len(found.alerts)]
    return tuple(total)


def test_processes_that_land_the_same_comments_make_one_message_and_one_event_each(store_url):
    with Store.open(store_url) as store:
        see(store)
    found = together(_land_all, [(store_url, who, 12) for who in range(4)])
    assert [sum(f[i] for f in found) for i in range(3)] == [60, 0, 12]
    with Store.open(store_url) as store:
        landed = [e["data"]["external_id"] for e in store.events(0, 999) if e["type"].endswith("landed")]
        assert sorted(landed) == sorted(f"c{i}" for i in range(60))
        assert len(store.alerts()) == 12 and dense(store)
    assert verify(store_url) == []


def _edit(url: str, who: int, rounds: int) -> int:
    with Store.open(url) as store:
        return sum(store.land(landing(judged(1, f"{who}-{r}")), NOW).revised for r in range(rounds))


def test_processes_that_edit_one_comment_keep_every_text(store_url):
    with Store.open(store_url) as store:
        see(store)
        store.land(landing(judged(1, "сначала")), NOW)
    assert together(_edit, [(store_url, who, 10) for who in range(3)]) == [10, 10, 10]
    with Store.open(store_url) as store:
        found = store.message("1", full=True)
        texts = [r["text"] for r in found["revisions"]] + [found["text"]]
        assert sorted(texts) == sorted(["сначала"] + [f"{w}-{r}" for w in range(3) for r in range(10)])


def test_a_comment_is_immutable():
    with pytest.raises(AttributeError):
        comment(1).text = "x"  # type: ignore[misc]
    assert isinstance(comment(1), Comment)
