"""Every fault of the plan at the methods the collector uses: never "complete" when it isn't, nothing lost, all healed.

Again and again the world moves on, a run of the whole program meets a fault in every call of one method, and what it
says of itself is held against the ledger. Then the fault is lifted, and the store must become the truth.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator import SERVICE_TOKEN, USER_TOKEN, Behaviour
from emulator.faults import ALL_FAULTS, CONTENT, Plan
from store.values import Outcome
from tests.rig import FIRE, Rig, rig, two_pages

METHODS = ("utils.getServerTime", "groups.getById", "wall.get", "wall.getById", "execute", "wall.getComments")
PATIENCE = ", retries: 1, max_wait: 0.2s, timeout: 5s"
DAY = 86400.0
CHUNK = 12
BRINGING = ("wall.getById", "execute", "wall.getComments")  # counters and comments come by these
TELLING = {"error=5", "error=14", "error=15", "truncate=0.5", "html", "reset", "hollow", "shift=3"}

UNAUTHORISED = {2, 4, 5, 16, 17, 24, 25, 38, 42, 1114, 1116, 1117, 1118, 3609, 3610, 3611}
BLOCKED = {7, 14, 15, 18, 19, 30, 37, 200, 203, 3300}
LATER = {6: Outcome.rate_limited, 9: Outcome.rate_limited, 29: Outcome.rate_limited}
LATER |= dict.fromkeys((1, 10, 36, 43), Outcome.failed)


def code_of(fault: str) -> int | None:
    return int(fault.removeprefix("error=")) if fault.startswith("error=") else None


def chunks() -> Iterator[Any]:
    """Each fault at one method, in turn, the telling ones at all that bring something; the whole product when
    OTKLIK_SOAK is set."""
    for n, method in enumerate(METHODS):
        faults = [
            f
            for i, f in enumerate(ALL_FAULTS)
            if (f in TELLING and method in BRINGING[1:]) or i % len(METHODS) == n or os.environ.get("OTKLIK_SOAK")
        ]
        for start in range(0, len(faults), CHUNK):
            some = tuple(faults[start : start + CHUNK])
            yield pytest.param(method, some, id=f"{method}-{some[0]}..{some[-1]}")


def move_on(r: Rig, step: int) -> None:
    """What a run has to find: an emergency, a reply, a comment under an old and a new post, an edit, a deletion."""
    r.world.advance(3 * DAY)  # old posts are no longer among those listed first
    first, second = (list(r.page(n).posts.values()) for n in (1, 2))
    r.world.add_comment(first[0], f"{FIRE}, {step}", 1001)
    r.world.add_comment(first[1], f"И у нас, {step}", 1002, parent=next(iter(first[1].comments.values())))
    r.world.add_comment(second[0], f"Ещё вопрос, {step}", 1003)
    r.world.add_comment(r.world.add_post(r.page(2), f"Свежая новость {step}"), "Первый", 1004)
    comments = [c for c in second[1].comments.values() if not c.deleted]
    r.world.edit(comments[0], f"Исправлено, {step}")
    r.world.delete(r.world.add_comment(first[2], "Мимо", 1001) if len(comments) < 2 else comments[-1])
    if len(comments) < 3:
        r.world.add_comment(second[1], f"Снова, {step}", 1002)


def honest(r: Rig, report: Any, *, moving: bool) -> None:
    """What the report says agrees with what the store has; nothing that was stored is gone."""
    found = r.compare()
    assert not found.unknown and not found.doubled and not found.unalerted, found.examples()
    truth = {e["external_id"]: e["deleted"] or e["post_deleted"] for e in r.world.ledger()}
    for key, m in r.stored().items():
        assert m["deleted_at"] is None or truth[key], f"{key} is called deleted and is not"
    outcomes = {c.outcome for c in report.coverages}
    if outcomes == {Outcome.complete}:
        assert report.exit_code == 0
        assert moving or found.agrees, found.examples()
    else:
        assert report.exit_code in (1, 3, 4)
        assert all(c.problem for c in report.coverages if c.outcome is not Outcome.complete)
    for c in report.coverages:
        if c.outcome is Outcome.complete and not moving:
            mine = [e for e in r.world.ledger() if e["page"] == c.page_id and not (e["deleted"] or e["post_deleted"])]
            lost = {e["external_id"] for e in mine if not e["own"]} - r.stored().keys()
            assert not lost, f"page {c.page_id} is called complete without {lost}"


def healed(r: Rig) -> None:
    """With the network well again a full sweep, or two, makes the store the truth."""
    r.emulator.plan = Plan.parse(None)
    report = r.collect(full=True)
    if not (report.exit_code == 0 and r.compare().agrees):
        report = r.collect(full=True)
    assert report.exit_code == 0, report.as_dict()
    r.agrees()


def expect(report: Any, code: int) -> None:
    """How the run ends when the wall itself answers with this code."""
    outcomes = {c.outcome for c in report.coverages}
    read = any(c.seen for c in report.coverages)  # known posts are read although the wall can't be listed
    if code in UNAUTHORISED:
        assert (report.exit_code, outcomes) == (3, {Outcome.unauthorised})
    elif code in BLOCKED:
        assert (report.exit_code, outcomes) == (1 if read else 4, {Outcome.blocked})
    elif code in LATER:
        assert (report.exit_code, outcomes) == (1 if read else 4, {LATER[code]})
    else:
        assert report.exit_code != 0 and Outcome.complete not in outcomes


@pytest.mark.parametrize(("method", "faults"), list(chunks()))
def test_faults_are_survived(tmp_path: Path, method: str, faults: tuple[str, ...], caplog: Any) -> None:
    listed = method == "wall.getById"  # asked about posts that the first page of the wall no longer shows
    world = two_pages(posts=4, start=time.time() - 200 * DAY)
    behaviour = Behaviour(wall_max=4) if listed else None
    with rig(f"sqlite:///{tmp_path}/otklik.db", world, behaviour=behaviour, network=PATIENCE) as r:
        assert r.collect().exit_code == 0
        r.world.advance(3 * DAY)
        assert r.collect().exit_code == 0
        for step, fault in enumerate(faults):
            try:
                survive(r, step, method, fault, full=not listed)
            except AssertionError as e:
                raise AssertionError(f"{method}:{fault}: {e}") from e
        assert r.emulator.failures == 0
    assert "Traceback" not in caplog.text


def survive(r: Rig, step: int, method: str, fault: str, *, full: bool) -> None:
    move_on(r, step)
    # Another spelling of a page's address, so that it is asked for again.
    r.options["pages"] = [
        {"network": "vk", "id": f"https://vk.com/club{n}?{step}", "include": ["posts"]} for n in (1, 2)
    ]  # fmt: skip
    # Without `execute` each call of the method is a request of its own.
    inner = fault.partition("=")[0] in CONTENT | {"error", "null"}
    alone = method in ("wall.getComments", "wall.getById") and (not inner or step % 2)
    r.options["token"] = SERVICE_TOKEN if alone else USER_TOKEN
    r.emulator.plan = Plan.parse(f"{method}:{fault}" + ("*2" if fault.startswith("huge") else ""))  # 64 MB each
    report = r.collect(full=full)
    assert r.emulator.plan.struck, "the fault met no call"
    # A run that is no full sweep need not find edits and deletions.
    honest(r, report, moving=not full or fault.startswith("shift"))
    code = code_of(fault)
    if method == "wall.get" and code is not None:
        expect(report, code)
    healed(r)


PASSING = [
    "*:http=502%30",
    "*:reset%25",
    "*:error=6%20",
    "*:error=10%20; *:truncate=0.5%10",
    "*:empty%20; *:html%10",
    "wall.getComments:hollow%40",
    pytest.param(
        "wall.getComments:shift=2%50",
        marks=pytest.mark.xfail(
            strict=False,
            reason="KNOWN DEFECT, open: on a slow machine (other calls, so other chances of the plan) a comment of a "
            "page that shifts in half of the answers was called deleted and is not",
        ),
    ),
    "wall.get*:counter=1%50; wall.getComments:hollow%20",
    "execute:null%50",
    "wall.getComments:error=15%30",
]


@pytest.mark.parametrize("plan", PASSING)
def test_faults_that_come_and_go(store_url: str, plan: str) -> None:
    """Runs go on while the network is ill; at no moment is anything lost, doubled or called deleted wrongly."""
    world = two_pages(posts=4)
    with rig(store_url, world, faults=plan, network=", retries: 2, max_wait: 1s") as r:
        for i in range(4):
            report = r.collect(full=i % 2 == 1)
            honest(r, report, moving=i % 2 == 0 or "shift" in plan)
            r.world.advance(600)
            r.say(FIRE if i == 1 else f"Вопрос {i}", r.post(1 + i % 2, 1 + i % 4))
        healed(r)
        assert r.compare().total >= 36


def test_an_ill_page_does_not_keep_the_next_from_its_turn(sqlite_url: str) -> None:
    with rig(sqlite_url, network=PATIENCE) as r:
        assert r.collect().exit_code == 0
        for code in (15, 18, 30, 203, 10):
            r.page(1).errors["page"] = code
            r.say(f"Вопрос {code}", r.post(2))
            report = r.collect(full=True)
            by_page = {c.page_id: c.outcome for c in report.coverages}
            assert by_page["-2"] is Outcome.complete and by_page["-1"] is not Outcome.complete
            assert report.exit_code == 1
            honest(r, report, moving=False)
        r.page(1).errors.clear()
        healed(r)
