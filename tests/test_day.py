"""A whole working day of five people: everything accounted for, every term as counted by hand, the page of today."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime

import pytest
from openpyxl import load_workbook

from store import QueueFilter, Store
from store.admin import verify
from tests.day import page
from tests.day.residents import OLD, everything
from tests.day.script import ANSWERS, play
from tests.day.stage import ZONE, stage

TEN = {"12", "14", "17", "19", "21", "23", "25", "28", "32", "37"}
"""Who asked of the water in Lutkun."""


class Evening:
    """The end of the day, as the database, the network and the phones have it."""

    def __init__(self, day):
        self.day = day
        self.shown, self.ids = day.shown, day.ids
        with Store.open(day.url) as store:
            every = list(store.messages(QueueFilter(limit=1000)))
            self.messages = {m["id"]: m for m in every if not m["historical"]}
            self.old = [m for m in every if m["historical"]]
            self.desk = {id: store.desk(id) for id in self.messages}
            self.alerts = store.alerts()
        self.ledger = [json.loads(line) for line in day.world.ledger_ndjson().splitlines()]
        self.problems = verify(day.url)
        sheet = load_workbook(day.folder / "month-2026-11.xlsx").worksheets[0]
        self.report = {row[0]: row[1] for row in sheet.iter_rows(values_only=True) if isinstance(row[1], int)}
        self.phone, self.mail = day.phone.texts, day.mail.texts

    def clocks(self, name: str, clock: str) -> list[tuple[str, str | None]]:
        """The clocks of this name of a message: (term, stopped), "day HH:MM" on the wall."""
        found = self.desk[self.ids[name]]["case"]["clocks"]
        return [(wall(c["due_at"]), wall(c["stopped_at"])) for c in found if c["name"] == clock]

    def outcomes(self) -> Counter:
        return Counter((self.desk[id]["case"] or {}).get("outcome") for id in self.of("closed"))

    def of(self, status: str) -> set[str]:
        return {id for id, m in self.messages.items() if m["status"] == status}


def wall(at: str | datetime | None) -> str | None:
    if at is None:
        return None
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{at.astimezone(ZONE):%d %H:%M}"


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    with stage(tmp_path_factory.mktemp("day")) as day:
        play(day)
        return Evening(day)


def test_every_message_is_accounted_for(evening):
    assert len(list(everything())) == 100 == len(evening.messages)
    written = {e["external_id"] for e in evening.ledger if not e["own"]}
    kept = {m["external_id"] for m in [*evening.messages.values(), *evening.old]}
    assert len(kept) == len(written) == 103
    assert [id.partition(":")[0] for id in kept - written] == ["forgotten"]  # whose author asked for it
    assert len(evening.old) == len(OLD)
    ids = evening.ids
    answered = {ids[name] for name in ANSWERS} | TEN | {ids["pension"]}
    assert evening.of("published") == answered
    assert evening.of("in_work") == {ids["bridge"]}
    assert evening.outcomes() == {"refused": 3, "none": 18, None: 1}  # the forgotten one had not been touched
    assert {evening.desk[ids[n]]["case"]["ground"] for n in ("joke", "windows")} == {"incorrect"}
    assert evening.desk[ids["insult"]]["case"]["ground"] == "obscene"
    assert len(evening.of("routed")) == 52 and len(evening.of("new")) == 5
    for id in evening.of("routed") | evening.of("new") | {ids["bridge"]}:
        assert "answer" in evening.messages[id]["deadlines"]
    for id in evening.of("closed") | evening.of("published"):
        assert evening.messages[id]["deadlines"] == {}


def test_terms_as_counted_by_hand(evening):
    # Collected at 02:45: working time begins at 9. Half an hour of it, three hours of it.
    assert evening.clocks("mudslide", "route") == [("03 09:30", "03 09:01")]
    assert evening.clocks("mudslide", "answer") == [("03 12:00", "03 09:12")]
    assert evening.clocks("mudslide", "draft") == [("03 11:00", "03 09:10")]
    # Collected at 08:58, two working days after the third: the fifth and the sixth, for the fourth is a holiday.
    assert evening.clocks("water", "answer") == [("06 18:00", "03 09:40")]
    # Called urgent by a person: three hours from 09:30, over before lunch. 14 minutes late.
    assert evening.clocks("pipe", "answer") == [("03 12:30", "03 12:44")]
    assert evening.clocks("pipe", "draft") == [("03 11:30", "03 12:41")]
    # Extended to the end of a day; the interim answer names the same day and starts the clock of the last answer.
    assert evening.clocks("bridge", "answer") == [("25 18:00", "03 09:58"), ("25 18:00", None)]
    # Routed at 11:02, returned at 11:10: a new half hour to route, the same term of the answer.
    assert evening.clocks("bus", "return") == [("03 11:32", "03 11:10"), ("03 11:42", "03 11:30")]
    assert evening.clocks("bus", "route") == [("03 11:30", "03 11:02"), ("03 11:40", "03 11:12")]
    assert evening.clocks("bus", "answer") == [("06 18:00", "03 11:36")]
    # Two hours for information: of plain time 13:02.
    assert evening.clocks("joint", "part") == [("03 13:02", "03 11:15")]
    # Sent back at 11:45: an hour.
    assert evening.clocks("heating", "rework") == [("03 12:45", "03 12:20")]
    assert evening.clocks("heating", "approve") == [("03 12:10", "03 11:45"), ("03 12:50", "03 12:25")]
    # Collected at 17:30 of a day that ends at 17:00: the holiday is jumped over.
    for id in evening.of("new"):
        deadlines = evening.messages[id]["deadlines"]
        assert {k: wall(v) for k, v in deadlines.items()} == {"route": "05 09:30", "answer": "06 18:00"}
    waiting = {wall(evening.messages[id]["deadlines"]["answer"]) for id in evening.of("routed")}
    assert waiting == {"06 18:00"}


def test_only_what_was_late_is_late(evening):
    late = [
        (evening.messages[id]["id"], e["verb"], e["details"]["late"])
        for id, desk in evening.desk.items()
        for e in desk["log"]
        if e["details"].get("late")
    ]
    pipe = evening.ids["pipe"]
    assert late == [(pipe, "draft", ["draft"]), (pipe, "publish", ["answer"])]


def test_the_head_knows_in_the_same_run(evening):
    real, joke = sorted(evening.alerts, key=lambda a: int(a["id"]))
    # The clock stands still while a command runs: the same minute is the same run.
    assert [wall(d["delivered_at"]) for d in real["deliveries"]] == ["03 02:45"] == [wall(real["created_at"])]
    assert (real["acknowledged_by"], wall(real["acknowledged_at"])) == ("magomedov", "03 02:48")
    for part in ("Сель", "снесло в реку", "Ахты, Хнов", "https://vk.com/wall-123456_2?reply="):
        assert part in evening.phone[0]
    assert [wall(d["delivered_at"]) for d in joke["deliveries"]] == ["03 08:58"]
    assert len(evening.phone) == 2
    confirmed = evening.desk[evening.ids["joke"]]["log"]
    assert [(e["verb"], e["actor"]) for e in confirmed] == [
        ("acknowledge", "magomedov"), ("refuse", "ivanova"), ("confirm", "gadzhieva"),
    ]  # fmt: skip


def test_nothing_stands_twice_in_the_network(evening):
    own = [e for e in evening.ledger if e["own"]]
    assert len({(e["parent"], e["text"]) for e in own}) == len(own)
    said = [(id, r) for id, d in evening.desk.items() for r in d["replies"] if r["state"] == "published"]
    assert len(said) == len(own)
    for id, reply in said:
        here = [e for e in own if e["parent"] == evening.messages[id]["external_id"] and reply["text"] in e["text"]]
        assert len(here) == 1 and reply["url"].startswith("https://vk.com/wall")
    water = [e for e in own if ANSWERS["water"] in e["text"]]
    assert {e["parent"] for e in water} == {evening.messages[id]["external_id"] for id in TEN}


def test_the_stand_in_and_the_log(evening):
    log = evening.desk[evening.ids["pipe"]]["log"]
    assert [e["details"].get("for") for e in log if e["actor"] == "kurbanov"] == ["petrov", "petrov"]
    actors = {e["actor"] for d in evening.desk.values() for e in d["log"]}
    assert actors == {"ivanova", "kurbanov", "gadzhieva", "magomedov"}  # Petrov is away
    assert evening.problems == []
    titles = Counter(text.split("\n")[0].partition(": ")[2] for text in evening.mail)  # three divisions, twice
    assert len(titles) == 6 and set(titles.values()) == {1}


def test_the_report_agrees(evening):
    r = evening.report
    assert (r["Поступило сообщений"], r["Отвечено"], r["в срок"], r["с опозданием"]) == (100, 21, 20, 1)
    assert (r["Без ответа, срок прошёл"], r["Без ответа, срок не прошёл"]) == (0, 52 + 5)
    assert (r["Закрыто без ответа"], r["чрезвычайных"], r["срочных"]) == (1, 2, 3)
    assert (r["ответ не нужен"], r["можно не рассматривать"], r["требуют ответа"]) == (19, 2, 79)
    repeats = {id for id, m in evening.messages.items() if m["repeat_of"]}
    assert r["повторных"] == len(repeats) and repeats >= TEN - {evening.ids["water"]}


def test_the_page_is_of_this_day(evening):
    shown = {name: page.mask(text) for name, text in evening.shown.items()}
    published = page.published()
    assert published.keys() == shown.keys(), "another piece: docs/ru/day.md"
    for name, text in shown.items():
        assert published[name].splitlines() == text.splitlines(), f"{name}: the program prints something else: make day"
    whole = page.PAGE.read_text(encoding="utf-8")
    told = re.sub(r"\s+", " ", whole[whole.index("## Итог дня") :])
    counts = [int(n) for n in re.findall(r"\b(100|20|52|22|5)\b", told)[:5]]
    states = ("published", "routed", "closed", "new")
    assert counts == [len(evening.messages), *(len(evening.of(s)) for s in states)]
