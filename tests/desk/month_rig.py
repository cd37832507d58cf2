"""A store with some months of work in it: messages of two pages, every kind of way through the desk, runs, alerts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from desk.deadlines import clocks
from desk.work import Refused, act
from settings import Settings, parse
from store import Store
from store.values import Assessment, Author, Comment, Coverage, Judged, Landing, Outcome, PageRef, Place

CONFIG = """
organisation: {name: "Администрация <b>района</b>", timezone: Europe/Moscow}
people:
  - {id: adm, name: "Иванова А. А.", roles: [administrator]}
  - {id: cur, roles: [curator]}
  - {id: boss, roles: [head]}
divisions:
  - {id: zhkh, name: "Отдел ЖКХ", deputy: "Магомедов М. М.", people: [{id: z, name: "=HYPERLINK(1)"}]}
  - {id: roads, name: "Дороги", people: [r]}
"""
EVIL = "=cmd|'/c calc'!A1 <script>alert(1)</script>"
PAGES = (PageRef("vk", "-1", f"Страница {EVIL}"), PageRef("vk", "-2", "Новости"))
PLACES = (
    Place("Хкем", "село", (), 41.42, 47.65), Place("Луткун", "село", (), 41.47, 47.72), Place(EVIL, "село"),
    Place("Ахты", "село", (), 41.464, 47.74),
)  # fmt: skip
OF = {"zhkh": "z", "roads": "r"}


def configured(extra: str = "") -> Settings:
    return parse(CONFIG + extra)


PACES = (5, 20, 60, 900)
"""Between two steps pass up to so many minutes, one of these for each message."""
DONE = (0, 1, 3, 9, 9, 9, 9)
"""So many steps of its way a message has taken, one of these."""


def fill(
    store: Store, settings: Settings, n: int, seed: int, first: datetime, days: int, *, paces: Sequence[int] = PACES,
    done: Sequence[int] = DONE,
) -> None:  # fmt: skip
    """`n` messages collected over `days` from `first`, most of them worked at."""
    rng = random.Random(seed)
    for page in PAGES:
        store.see_page(page, first - timedelta(days=60))
    at = sorted(first + timedelta(seconds=rng.randrange(days * 86400)) for _ in range(n))
    for i, when in enumerate(at):
        _land(store, settings, rng, i, when)
    for m in list(store.messages()):
        _work(store, settings, rng, m, rng.choice(paces), rng.choice(done))
    for day in range(days):
        for page in PAGES:
            begun = first + timedelta(days=day, hours=rng.randrange(20))
            outcome = rng.choice([Outcome.complete, Outcome.complete, Outcome.partial, Outcome.blocked, Outcome.failed])
            run = store.start_run("collect", begun)
            gap = rng.choice([None, 0, 3])
            record = Coverage(
                "vk", page.id, begun, begun + timedelta(minutes=2), outcome, new=rng.randrange(9), gap=gap
            )
            store.add_coverage(run, record)
    for n_alert in store.alerts():
        if rng.random() < 0.7 and n_alert["state"] != "acknowledged":
            raised = datetime.fromisoformat(n_alert["created_at"])
            for job in store.claim_alerts(raised, 60, [("json#1", "head")], 600, 60, 3, n_alert["id"]):
                store.alert_result(job, True, None, raised + timedelta(seconds=rng.randrange(1, 50)))
            store.acknowledge(n_alert["id"], "boss", raised + timedelta(seconds=rng.randrange(60, 900)))


def _land(store: Store, settings: Settings, rng: random.Random, i: int, when: datetime) -> None:
    page = rng.choice(PAGES)
    reaction = rng.choices(["required", "none", "refuse"], [8, 2, 1])[0]
    group, topic = rng.choice([("housing", "cold_water"), ("roads", "potholes"), ("roads", None), (None, None)])
    said: Assessment | None = Assessment(
        topic, group, 0.5, tuple(rng.sample(PLACES, rng.choice([0, 1, 1, 2]))),
        rng.choice(["urgent", "prompt", "prompt"]) if reaction == "required" else None,
        reaction=reaction, model="m1",
        emergency=(emergency := reaction == "required" and rng.random() < 0.1),
        emergency_kind="пожар" if emergency else None,
    )  # fmt: skip
    if rng.random() < 0.08:
        said = None
    own = rng.random() < 0.05
    published = when - timedelta(minutes=rng.randrange(1, 50))
    if rng.random() < 0.05:
        published = when - timedelta(days=300)  # of the archive
    author = Author(f"a{rng.randrange(50)}", "Житель", None, "person")
    comment = Comment(
        "vk", f"c{i}", page.id, "w1", str(i), None, author, f"текст {i}", published, f"https://vk.com/wall{i}", own=own
    )
    terms = {} if own or said is None else clocks(comment, said, settings, when)
    gone = [f"c{i}"] if rng.random() < 0.06 else []
    store.land(Landing(page, [Judged(comment, said, terms)], server_time=when, deleted=gone), when)


def _work(store: Store, settings: Settings, rng: random.Random, m: dict[str, Any], pace: int, done: int) -> None:
    """Some way through the desk; a step that the state forbids is simply not taken."""
    now = datetime.fromisoformat(m["collected_at"])
    division = rng.choice(["zhkh", "roads"])
    way: list[tuple[str, str, dict[str, Any]]] = [("route", "adm", {"to": [division]})]
    if rng.random() < 0.2:
        way.append(("return", OF[division], {"reason": "не наше"}))
        division = "roads" if division == "zhkh" else "zhkh"
        way.append(("route", "adm", {"to": [division]}))
    who = OF[division]
    if rng.random() < 0.15:
        way.append(("extend", "adm", {"until": now + timedelta(days=9), "reason": "ждём"}))
    kind = {"kind": "interim", "condition": "после ремонта"} if rng.random() < 0.15 else {"kind": "final"}
    way.append(("draft", who, {**kind, "text": "Воду включат в 18 часов."}))
    if rng.random() < 0.25:
        way += [("rework", "adm", {"reason": "подробнее"}), ("draft", who, {**kind, "text": "Воду дадут сегодня."})]
    way += [("approve", "adm", {}), ("publish", "adm", {"url": "https://vk.com/w"})]
    if rng.random() < 0.1:
        way.append(("reopen", "cur", {"reason": "жалуются"}))
    if rng.random() < 0.1:
        way = [("redirect", "adm", {"body": "Росреестр", "text": "Это к ним."}), ("publish", "adm", {})]
    if rng.random() < 0.1:
        way = [("refuse", "adm", {"ground": "obscene"})]
    for verb, by, args in way[:done]:
        now += timedelta(seconds=60 * rng.randrange(1, pace + 1))
        try:
            act(store, settings, m["id"], verb, args, by=by, now=now)
        except Refused:
            return


FIRST = datetime(2026, 9, 20, tzinfo=UTC)
