"""Who has what: every message once, with whoever must do the next thing, late or soon or in time."""

from __future__ import annotations

import io
import tracemalloc
from datetime import timedelta

import pytest
from rich.console import Console

from desk import board_view
from desk.board import arranged, board, of_person
from desk.rights import called
from desk.work import act
from settings import parse
from store.values import Judged
from tests.desk.test_states import GOOD
from tests.rig import otklik
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, comment, landing, see

one_database = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what is the same on both; a few tests of this file run on both."""
SETTINGS = parse(
    """
people: [{id: adm, name: "Иванова А. А.", roles: [administrator]}, {id: cur, roles: [curator]}]
divisions:
  - {id: zhkh, name: "Отдел жилищно-коммунального хозяйства", people: [{id: z, name: "Петров П. П."}, z2]}
  - {id: roads, people: [r]}
"""
)
DUE = {"route": NOW + timedelta(minutes=30), "answer": NOW + timedelta(days=2)}
LATE = NOW + timedelta(minutes=31)


def step(store, id, verb, by="adm", now=NOW, **args):
    act(store, SETTINGS, id, verb, {**GOOD.get(verb, {}), **args}, by=by, now=now)


@pytest.fixture
def queue(store):
    see(store)
    judged = [EMERGENCY, *[PLAIN] * 9, THANKS]
    store.land(landing(*(Judged(comment(n), a, DUE) for n, a in enumerate(judged[:-1], 1))), NOW)
    store.land(landing(Judged(comment(11), THANKS, {})), NOW)
    step(store, "1", "refuse")  # the curator's turn
    for id in "34567":
        step(store, id, "route")
    for id, who in (("4", "z"), ("5", "z"), ("6", "z2")):
        step(store, id, "begin", who)
    step(store, "5", "draft", "z")  # the administrator's turn
    step(store, "6", "draft", "z2"), step(store, "6", "approve")
    step(store, "8", "route", to=["roads", "zhkh"])  # the roads' information first
    step(store, "9", "route", to=["roads"])
    step(store, "10", "redirect")
    step(store, "10", "publish")  # nothing is open there any more
    return store


def rows(store, now=NOW, **more):
    return {(r.role, r.division, r.person): r for r in board(store.workload(**more), now)}


def ids(row):
    return sorted(int(d.id) for d in row.nearest)


def test_each_message_stands_once_with_whoever_is_next(queue):
    found = rows(queue)
    assert {key: ids(row) for key, row in found.items()} == {
        ("administrator", None, None): [2, 5, 6], ("curator", None, None): [1],
        (None, "zhkh", None): [3, 7], (None, "zhkh", "z"): [4], (None, "roads", None): [8, 9],
    }  # fmt: skip
    assert sum(r.total for r in found.values()) == 9 and found["curator", None, None].emergencies == 1
    assert found["administrator", None, None].states == {"new": 1, "draft": 1, "approved": 1}
    assert [(d.id, d.clock) for d in found[None, "roads", None].nearest] == [("8", "part"), ("9", "draft")]


@one_database
def test_late_soon_and_in_time(queue):
    assert (rows(queue)["administrator", None, None].soon, rows(queue)[None, "zhkh", "z"].in_time) == (3, 1)
    later = rows(queue, LATE)
    assert (later["administrator", None, None].overdue, later["curator", None, None].overdue) == (3, 1)
    assert later[None, "zhkh", None].in_time == 2  # that it was not given back in time is no lateness
    assert rows(queue, NOW + timedelta(days=3))[None, "zhkh", None].overdue == 2


@one_database
def test_one_division_sees_what_it_answers_and_what_it_owes(queue):
    assert {k: ids(r) for k, r in rows(queue, division="roads").items()} == {(None, "roads", None): [8, 9]}
    assert ("curator", None, None) not in rows(queue, division="zhkh")


@one_database
def test_one_person_sees_the_own_the_untaken_and_what_waits_for_the_role(queue):
    found = board(queue.workload(), NOW)
    assert sorted(i for r in of_person(found, "z", SETTINGS) for i in ids(r)) == [3, 4, 7]
    assert sorted(i for r in of_person(found, "z2", SETTINGS) for i in ids(r)) == [3, 7]
    assert sorted(i for r in of_person(found, "adm", SETTINGS) for i in ids(r)) == [2, 5, 6]
    assert of_person(found, "nobody", SETTINGS) == []


def test_what_is_returned_is_nobodys_and_an_old_message_without_a_term_is_seen(queue):
    step(queue, "4", "return", "z")
    assert ids(rows(queue)["administrator", None, None]) == [2, 4, 5, 6]
    queue.land(landing(Judged(comment(20, published_at=NOW - timedelta(days=9)), PLAIN, {})), NOW)
    assert queue.message("12")["historical"]
    step(queue, "12", "route")
    last = rows(queue)[None, "zhkh", None].nearest[-1]
    assert (last.id, last.due_at, rows(queue)[None, "zhkh", None].in_time) == ("12", None, 3)


def shown(store, now, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(board_view.board(arranged(board(store.workload(), now), SETTINGS), now, called(SETTINGS)))
    console.print(board_view.nearest(board(store.workload(), now), now, called(SETTINGS)))
    return console.file.getvalue()


@one_database
def test_eighty_columns_with_words(queue):
    text = shown(queue, LATE)
    assert all(len(line) <= 80 for line in text.splitlines())
    for word in ("Администратор", "Куратор (ЧП 1)", "Просрочено", "Скоро", "В срок", "Петров П. П.",
                 "ещё никто не взял", "№ 1: опоздание 1 мин", "просрочено 4", "чрезвычайных 1"):  # fmt: skip
        assert word in text, (word, text)
    order = [text.index(w) for w in ("Администратор", "Куратор", "Отдел", "roads")]
    assert order == sorted(order)


@one_database
def test_an_empty_board(store):
    assert "Ни у кого ничего нет" in shown(store, NOW)


def test_many_messages_in_little_memory():
    def many():
        for n in range(20_000):
            due = NOW + timedelta(minutes=(n * 7919) % 5000 - 100)
            yield {
                "id": str(n), "status": "routed", "division": f"d{n % 5}", "urgency": None,
                "emergency": n % 1000 == 0, "deadlines": {"answer": due}, "worker": None, "part": None,
            }  # fmt: skip

    tracemalloc.start()
    found = board(many(), NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 and sum(r.total for r in found) == 20_000 and len(found) == 5
    assert all(len(r.nearest) == 5 and r.nearest == sorted(r.nearest, key=lambda d: d.due_at) for r in found)
    assert sum(r.emergencies for r in found) == 20


def test_the_command(tmp_path, sqlite_url):
    from store import Store

    with Store.open(sqlite_url) as store:
        see(store)
        store.land(landing(Judged(comment(1), PLAIN, DUE)), NOW)
        step(store, "1", "route")
    config = tmp_path / "config.yaml"
    config.write_text(f'store: {{url: "{sqlite_url}"}}\ndivisions: [{{id: zhkh, name: ЖКХ, people: [z]}}]\n')

    def run(*argv):
        return otklik("--config", str(config), "board", *argv)

    (row,) = run("--json").json["rows"]
    assert (row["division"], row["total"], row["states"]) == ("zhkh", 1, {"routed": 1})
    assert "ЖКХ" in run().out and "№ 1" in run("--person", "z").out
    unknown = run("--division", "zhk")
    assert unknown.code == 2 and "подразделения «zhk» в настройках нет; похожие: zhkh" in unknown.err
    config.write_text(config.read_text(encoding="utf-8").replace("id: zhkh", "id: gas"), encoding="utf-8")
    gone = run("--division", "zhkh")
    assert gone.code == 0 and "показано то, что у него осталось" in gone.err
    assert "человека «x» в настройках нет" in run("--person", "x").err
