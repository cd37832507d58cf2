"""What a network pushed is kept with the place to go on from, once, in order, until it is landed."""

from __future__ import annotations

import threading

import pytest

from store import Store
from store.values import Pushed
from tests.store.build import NOW


def pushed(n: int, page: str = "p", raw: str = "{}") -> Pushed:
    return Pushed(str(n), page, raw)


def test_pieces_come_back_in_order_by_page_and_leave_when_done(store):
    assert store.inbox_state("s") == (0, {})
    assert store.inbox_put("s", 0, {"offset": 3}, [pushed(2), pushed(1), pushed(9, "q")], NOW)
    assert store.inbox_put("s", 1, {"offset": 4}, [pushed(0, raw='"\\u0000\\ud83d"')], NOW)
    assert store.inbox_state("s") == (2, {"offset": 4})
    assert [p.ref for p in store.inbox_items("s", "p")] == ["2", "1", "0"]
    assert store.inbox_items("s", "p")[2].raw == '"\\u0000\\ud83d"'
    assert store.inbox_items("other", "p") == []
    store.inbox_done("s", ["1", "2", "77"], NOW)
    assert [p.ref for p in store.inbox_items("s", "p")] == ["0"]
    assert [p.ref for p in store.inbox_items("s", "q")] == ["9"]


def test_what_is_there_already_stays_as_it_is(store):
    store.inbox_put("s", 0, {}, [pushed(1, raw='"first"')], NOW)
    store.inbox_put("s", 1, {}, [pushed(1, raw='"second"'), pushed(2)], NOW)
    assert [(p.ref, p.raw) for p in store.inbox_items("s", "p")] == [("1", '"first"'), ("2", "{}")]


def test_a_state_that_moved_on_meanwhile_keeps_nothing(store):
    store.inbox_put("s", 0, {"offset": 1}, [], NOW)
    for version in (0, 7):
        assert not store.inbox_put("s", version, {"offset": 99}, [pushed(5)], NOW)
    assert store.inbox_state("s") == (1, {"offset": 1}) and store.inbox_items("s", "p") == []


def test_of_many_at_once_one_wins_each_time(store_url):
    won: list[int] = []

    def work(who: int) -> None:
        with Store.open(store_url) as mine:
            for _ in range(5):
                version, _state = mine.inbox_state("s")
                if mine.inbox_put("s", version, {"who": who}, [pushed(version)], NOW):
                    won.append(version)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(won) == list(range(len(won))) and won
    with Store.open(store_url) as mine:
        assert [p.ref for p in mine.inbox_items("s", "p")] == [str(n) for n in range(len(won))]


def test_too_many_are_refused(store):
    with pytest.raises(ValueError):
        store.inbox_put("s", 0, {}, [pushed(n) for n in range(10_000)], NOW)
