"""The administrator's hour: keys in, steps out, on both databases; the screen in any window."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event

from desk import calming
from desk.deadlines import after_correction
from desk.review import Review
from desk.review_modes import KEYS, Catalog
from desk.review_view import View
from desk.search import Choice
from desk.text import plain
from desk.work import Refused, act
from settings import parse
from store import Store
from store.admin import verify
from store.values import Judged, Place
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, comment, landing, see

one_database = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what is the same on both; a few tests of this file run on both."""
SETTINGS = parse(
    """
people:
  - {id: adm, name: "Иванова А. А.", roles: [administrator]}
  - {id: two, roles: [administrator]}
  - {id: cur, roles: [curator]}
divisions:
  - {id: zhkh, name: "Отдел ЖКХ", topics: [housing], people: [{id: petrov, name: "Петров П. П."}]}
  - {id: roads, name: "Отдел дорог", topics: [roads]}
"""
)
CATALOG = Catalog(
    [Choice(("potholes", "roads"), "Ямы на дороге", "Дороги"), Choice(("water", "housing"), "Нет воды", "ЖКХ")],
    [
        Choice(Place("Хкем", "село", ("Ахтынский район",)), "Хкем", "село"),
        Choice(Place("Ахты", "село"), "Ахты", "село"),
    ],
    {"water": "Нет воды", "housing": "ЖКХ", "roads": "Дороги", "potholes": "Ямы на дороге"},
)
DUE = {"route": NOW + timedelta(minutes=30), "answer": NOW + timedelta(hours=5)}
REFUSE = PLAIN.__class__(reaction="refuse", conduct=("threat",), model="m")
UNKNOWN = PLAIN.__class__(urgency="prompt", model="m")


class Clock:
    def __init__(self):
        self.now = NOW + timedelta(minutes=1)

    def __call__(self):
        return self.now


def fill(store, *assessments, texts=()):
    see(store)
    items = [
        Judged(comment(n, texts[n - 1] if texts else f"Вопрос {n}"), a, DUE if a and a.reaction == "required" else {})
        for n, a in enumerate(assessments, 1)
    ]
    store.land(landing(*items), NOW)


def session(store, by="adm", clock=None, **more):
    clock = clock or Clock()

    def correct(id, changes):
        store.correct(id, changes, by=by, now=clock(), clocks=lambda m, d: after_correction(m, d, SETTINGS))

    return Review(store, SETTINGS, by, CATALOG, correct, clock, **more)


def press(review, *keys):
    for key in keys:
        review.press(key)
        assert not review.failed, review.notice


def log(store, id):
    return [e["verb"] for e in store.desk(id)["log"]]


def test_enter_sends_it_where_it_belongs_and_the_next_one_comes(store):
    fill(store, PLAIN, PLAIN)
    review = session(store)
    assert (review.offer["id"], review.to, review.proposal.why) == ("1", ("zhkh",), "его группа тем")
    press(review, "enter")
    assert (store.message("1")["division"], review.offer["id"], review.notice) == (
        "zhkh", "2", "№ 1: направлено: Отдел ЖКХ"
    )  # fmt: skip
    press(review, "enter")
    assert review.offer is None and review.counts["all"] == 0 and review.plan() == "look"
    assert review.summary().startswith("направлено 2; осталось 0")


def test_two_hundred_messages_with_a_key_or_two_each_and_the_same_work_for_each(sqlite_url):
    with Store.open(sqlite_url) as store:
        fill(store, *([PLAIN, PLAIN, THANKS, REFUSE, UNKNOWN] * 40))
        clock = Clock()
        review = session(store, clock=clock, every=True)
        statements: list[str] = []
        event.listen(store._db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        spent, keys = [], 0
        for _ in range(200):
            before = len(statements)
            for key in {"route": ["enter"], "close": ["enter"], "refuse": ["enter", "1"], "choose": ["d", "enter"]}[
                review.plan()
            ]:
                press(review, key)
                keys += 1
            if review.plan() == "route" and review.chosen:
                press(review, "enter")
                keys += 1
            spent.append(len(statements) - before)
            clock.now += timedelta(seconds=18)
        assert review.offer is None and keys <= 2 * 200 + 40
        assert max(spent) <= 45 and max(spent[150:]) <= max(spent[:50])  # the hour's end is as quick as its beginning
        assert review.pace() == (199, pytest.approx(199, abs=2))  # the first one is an hour old
        assert "направлено 120, отказ 40, закрыто 40" in review.summary() and "199 в час" in review.summary()
    assert verify(sqlite_url) == []


@one_database
def test_a_person_corrects_and_the_proposal_follows(store):
    fill(store, PLAIN)
    review = session(store)
    press(review, "t", *"ямы", "enter")
    assert (review.offer["topic"], review.offer["topic_group"], review.to) == ("potholes", "roads", ("roads",))
    press(review, "p", *"[rtv", "enter")  # typed with the English layout
    assert [p["name"] for p in review.offer["places"]] == ["Хкем"]
    press(review, "u")
    assert review.offer["urgency"] == "urgent"
    press(review, "d", *"петров", "enter")
    assert review.to == ("zhkh",) and review.notice == "направить: Отдел ЖКХ"
    press(review, "+", *"дорог", "enter", "enter")
    found = store.message("1")
    assert (found["status"], found["division"]) == ("routed", "zhkh")
    assert store.desk("1")["case"]["parts"][0]["division"] == "roads"
    assert log(store, "1") == ["correct", "correct", "correct", "route"]


@one_database
def test_a_russian_layout_works_as_well(store):
    fill(store, PLAIN)
    review = session(store)
    press(review, "г")  # where u stands
    assert review.offer["urgency"] == "urgent"
    press(review, "й")
    assert review.over


@one_database
def test_refusing_needs_a_ground_and_the_marked_one_comes_first(store):
    fill(store, REFUSE, PLAIN)
    review = session(store)
    assert review.offer["id"] == "2"
    press(review, "s")
    assert review.plan() == "refuse"
    press(review, "enter")
    assert review.mode.options[0][0] == "threat"
    press(review, "esc")
    assert review.mode is None and store.message("1")["status"] == "new"
    press(review, "enter", "enter")
    assert (store.message("1")["status"], store.desk("1")["case"]["ground"]) == ("closed", "threat")


@one_database
def test_an_emergency_goes_to_a_second_person_and_back(store):
    fill(store, EMERGENCY, PLAIN)
    review = session(store)
    press(review, "r", "4")
    assert store.message("1")["status"] == "refusal" and "второго решения" in review.notice
    press(review, "z")
    assert store.message("1")["status"] == "accepted" and review.offer["id"] == "1"
    press(review, "e")  # one person calls it off ...
    assert review.offer["emergency"] is False
    press(review, "s"), press(review, "z")
    assert review.offer["id"] == "1"
    press(review, "r", "1")  # ... and does not refuse it alone
    assert store.message("1")["status"] == "refusal"
    act(store, SETTINGS, "1", "confirm", {}, by="cur", now=NOW)
    assert store.message("1")["status"] == "closed"


@one_database
def test_one_persons_word_ends_an_alert_only_when_the_head_has_been_told(store):
    fill(store, EMERGENCY, EMERGENCY, PLAIN)
    (first, second) = (a["id"] for a in reversed(store.alerts()))
    one = next(j for j in store.claim_alerts(NOW, 5, [("k", "head")], 600, 60, 5) if j.alert_id == first)
    store.alert_result(one, True, None, NOW)
    for id, alert, over in (("1", first, True), ("2", second, False)):
        store.correct(id, {"emergency": False}, by="adm", now=NOW)
        assert calming.calm(store, id, by="adm", now=NOW) == [calming.Calmed(alert, over)]
    assert [a["id"] for a in store.alerts(("raised",))] == [second]
    assert second in calming.told([calming.Calmed(second, False)])[0]
    assert calming.calm(store, "1", by="adm", now=NOW) == []
    for by, over in (("cur", False), ("adm", True)):  # one's own word may be taken back, another's not
        store.correct("3", {"emergency": True}, by="adm", now=NOW + timedelta(minutes=1))
        store.correct("3", {"emergency": False}, by=by, now=NOW + timedelta(minutes=2))
        (found,) = calming.calm(store, "3", by=by, now=NOW + timedelta(minutes=2))
        assert found.over is over


@one_database
def test_emergency_yes_is_a_persons_word_with_an_alert(store):
    fill(store, PLAIN)
    review = session(store)
    press(review, "e")
    assert review.offer["emergency"] and review.offer["urgency"] == "urgent" and len(store.alerts()) == 1
    press(review, "z")
    assert (review.offer["emergency"], review.offer["urgency"]) == (False, "prompt")
    assert log(store, "1") == ["correct", "correct"]


@one_database
def test_nothing_needed_closes_it(store):
    fill(store, PLAIN, THANKS)
    review = session(store)
    press(review, "n")
    assert store.message("1")["status"] == "closed" and review.offer is None  # thanks are shown with --all only
    review.close()
    assert session(store, every=True).offer["id"] == "2"


@one_database
def test_blocking_asks_for_a_ground_and_a_term(store):
    fill(store, PLAIN)
    review = session(store)
    press(review, "k", "5")
    for wrong in ("x", "enter"):
        review.press(wrong)
    assert review.failed and "нужен срок" in review.notice
    press(review, "k", "5", *"30d", "enter")
    (blocked,) = store.blocks()
    assert (blocked["ground"], review.offer["id"]) == ("spam", "1")
    press(review, "z")
    assert store.blocks() == [] and log(store, "1") == ["block", "unblock"]


@pytest.mark.parametrize("keys", [["enter"], ["r", "1"], ["n"], ["s"]])
@one_database
def test_undo_is_a_step_of_its_own(store, keys):
    fill(store, PLAIN, PLAIN)
    review = session(store)
    press(review, *keys), press(review, "z")
    assert review.offer["id"] == "1" and store.message("1")["status"] in ("new", "accepted")
    assert review.summary().startswith("ничего не решено")
    assert len(log(store, "1")) == {"enter": 2, "r": 2, "n": 4, "s": 0}[keys[0]]
    press(review, "enter")
    assert store.message("1")["status"] == "routed"


@one_database
def test_what_an_executor_has_begun_is_not_taken_back(store):
    fill(store, PLAIN)
    review = session(store)
    press(review, "enter")
    act(store, SETTINGS, "1", "begin", {}, by="petrov", now=NOW)
    review.press("z")
    assert review.failed and "сообщение «в работе»" in review.notice and store.message("1")["status"] == "in_work"
    review.press("z")
    assert review.notice == "отменять нечего"


def test_all_messages_of_one_question_go_at_once_and_come_back_at_once(store):
    fill(store, *[PLAIN] * 6)
    for n in (2, 3, 4, 5):
        store.relate(str(n), "1", by="adm", now=NOW)
    act(store, SETTINGS, "5", "route", {"to": ["roads"]}, by="adm", now=NOW)
    review = session(store)
    assert (review.to, review.proposal.why) == (("roads",), "у него тот же вопрос")
    assert [o["id"] for o in review.siblings["open"]] == ["2", "3", "4"] and review.siblings["messages"] == 4
    act(store, SETTINGS, "3", "accept", {}, by="two", now=NOW)  # somebody else is at it
    press(review, "b")
    assert review.notice == "направлено 3 сообщения: Отдел дорог; 1 уже решает другой"
    assert [store.message(str(n))["status"] for n in range(1, 7)] == [
        "routed", "routed", "accepted", "routed", "routed", "new"
    ]  # fmt: skip
    press(review, "z")
    assert [store.message(str(n))["status"] for n in (1, 2, 4)] == ["accepted"] * 3


def test_an_earlier_answer_is_shown(store):
    fill(store, PLAIN, PLAIN)
    store.relate("2", "1", by="adm", now=NOW)
    for verb, by, args in (
        ("route", "adm", {"to": ["zhkh"]}), ("draft", "petrov", {"kind": "final", "text": "Воду дали."}),
        ("approve", "adm", {}), ("publish", "adm", {"url": "https://vk.com/x"}),
    ):  # fmt: skip
        act(store, SETTINGS, "1", verb, args, by=by, now=NOW)
    review = session(store)
    assert review.offer["id"] == "2" and review.siblings["answer"]["text"] == "Воду дали."
    assert "Воду дали." in "\n".join(View("UTC", None).lines(review, 100, 30))


def test_two_administrators_never_see_the_same_message(store, store_url):
    fill(store, *[PLAIN] * 5)
    with Store.open(store_url) as other:
        one, two = session(store), session(other, "two")
        assert (one.offer["id"], two.offer["id"]) == ("1", "2")
        press(one, "enter"), press(two, "s")
        assert (one.offer["id"], two.offer["id"]) == ("3", "4")
        two.close()
        press(one, "s")
        assert one.offer["id"] == "2"  # what the other has skipped


def test_a_hold_runs_out_and_then_the_version_tells(store, store_url):
    fill(store, PLAIN, PLAIN, PLAIN)
    clock = Clock()
    with Store.open(store_url) as other:
        slow = session(store, clock=clock)
        clock.now += timedelta(minutes=11)
        quick = session(other, "two", clock=clock)
        assert quick.offer["id"] == slow.offer["id"] == "1"
        press(quick, "enter")
        slow.press("enter")
        assert slow.failed and "уже изменил кто-то другой" in slow.notice and slow.offer["id"] == "3"
        assert len(store.desk("1")["log"]) == 1


@one_database
def test_words_that_changed_meanwhile_are_shown_before_anything_is_done(store):
    fill(store, PLAIN)
    review = session(store)
    store.land(landing(Judged(comment(1, "Горит дом!"), EMERGENCY, DUE)), NOW + timedelta(minutes=1))
    review.press("r"), review.press("1")
    assert review.failed and "изменилось, пока вы его читали" in review.notice
    assert review.offer["text"] == "Горит дом!" and store.message("1")["status"] == "new"


@one_database
def test_a_message_that_its_author_deleted_meanwhile_goes_away(store):
    fill(store, PLAIN, PLAIN)
    review = session(store)
    store.land(landing(Judged(comment(1, deleted=True), None, {})), NOW + timedelta(minutes=1))
    review.press("enter")
    assert review.failed and review.offer["id"] == "2"


@one_database
def test_only_an_administrator_reviews(store):
    with pytest.raises(Refused, match="это делает администратор"):
        session(store, "cur")
    with pytest.raises(Refused, match="человека «nobody» нет"):
        session(store, "nobody")


@one_database
def test_an_empty_queue_is_looked_at_again(store):
    see(store)
    clock = Clock()
    review = session(store, clock=clock)
    assert review.offer is None and "Всё разобрано" in "\n".join(View("UTC", None).lines(review, 80, 24))
    fill(store, PLAIN)
    review.tick()
    assert review.offer is None
    clock.now += timedelta(seconds=11)
    review.tick()
    assert review.offer["id"] == "1"


@one_database
def test_keys_that_are_none_change_nothing(store):
    fill(store, PLAIN)
    review = session(store)
    for key in ("y", "Н", "pgup", "😀", "7"):
        review.press(key)
        assert review.failed and "справка" in review.notice and "\n" not in review.notice
    assert log(store, "1") == []


# --- the screen -------------------------------------------------------------------------------------------------------

NASTY = (
    "Нет воды \x1b[31mкрасный\x1b]0;title\x07 \u202eхвост\x00\x9b2J [bold]x[/] 漢字漢字 " + "слово " * 260 + "z" * 99
)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    path = tmp_path_factory.mktemp("review") / "x.db"
    with Store.open(f"sqlite:///{path}") as store:
        fill(store, EMERGENCY, PLAIN, texts=(NASTY, NASTY))
        yield session(store)


@hypothesis_settings(max_examples=40, deadline=None, derandomize=True)
@given(
    width=st.integers(20, 200), height=st.integers(6, 60),
    keys=st.lists(st.sampled_from(["t", "d", "r", "v", "?", "k", "esc", "down", "я", "x"]), max_size=4),
)  # fmt: skip
def test_the_screen_fits_any_window(painted, width, height, keys):
    painted.mode = None
    for key in keys:
        painted.press(key)
    lines = View("Europe/Moscow", None).lines(painted, width, height)
    from rich.cells import cell_len

    assert len(lines) <= height and all(cell_len(line) < width for line in lines)
    assert all(ch.isprintable() for line in lines for ch in line)
    if painted.mode is None and height >= 10:
        assert "№ 1" in "\n".join(lines) and "Enter" in "\n".join(lines)


def test_eighty_columns_and_words_beside_colours(painted):
    painted.mode, painted.notice = None, ""
    coloured = View("Europe/Moscow", "standard").lines(painted, 80, 24)
    bare = View("Europe/Moscow", None).lines(painted, 80, 24)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in coloured] == [line.rstrip() for line in bare]
    text = "\n".join(bare)
    for word in ("Иванова А. А.", "осталось 2 (1 ЧП)", "ЧП", "направить: через", "чрезвычайное (пожар)", "горит дом",
                 "ещё строк", "Enter", "z отмена"):  # fmt: skip
        assert word in text, word
    assert plain("\x1b[31m") == "" and "[bold]" in text


def test_the_help_names_every_key(painted):
    painted.mode = None
    painted.press("?")
    text = "\n".join(View("UTC", None).lines(painted, 80, 24))
    assert all(f" {key}  " in f" {text}" for key in KEYS)
