"""Who may do what: the whole matrix against one written by hand, absences, people of the configuration, the page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from desk import regulation
from desk.rights import RIGHTS, THE_PROGRAM, Actor, actor, permit
from desk.states import STATES, TRANSITIONS, VERBS, Refusal, verbs_from
from desk.verbs import apply
from settings import ConfigError, parse
from tests.desk.test_states import ACTORS, GOOD, PEOPLE, SETTINGS, facts, fresh, walk
from tests.store.build import NOW

# Rows: actions. Columns: head, curator, administrator, executor of the division, of another one, a stranger, and the
# program itself.
MATRIX = """
correct      . x x . . . .
accept       . . x . . . .
route        . . x . . . .
return       . . . x . . .
recall       . . x . . . .
begin        . . . x . . .
part         . . . x . . .
draft        . . . x . . .
approve      . . x . . . .
rework       . . x . . . .
publish      . . x . . . .
notify       . . x . . . .
extend       . . x . . . .
redirect     . . x . . . .
join         . . x . . . .
repeat       . . x . . . .
refuse       . . x . . . .
confirm      x x . . . . .
deny         x x . . . . .
block        . . x . . . .
unblock      . . x . . . x
hide         . . x . . . .
unhide       . . x . . . .
close        . . x . . . .
reopen       . x x . . . .
acknowledge  x x x . . . .
drill        x x x . . . .
forget       x x . . . . .
export       . x x . . . .
access       x x . . . . .
report       x x x . . . .
"""
COLUMNS = ("head", "curator", "administrator", "own", "other", "stranger", "program")
WHO = {
    **{role: Actor("a", duties=((role, None, "a"),)) for role in COLUMNS[:3]},
    "own": Actor("a", duties=(("executor", "zhkh", "a"),)),
    "other": Actor("a", duties=(("executor", "roads", "a"),)),
    "stranger": Actor("a"),
    "program": THE_PROGRAM,
}
ROWS = [(line.split()[0], line.split()[1:]) for line in MATRIX.strip().splitlines()]


def test_the_matrix_is_whole():
    assert [action for action, _ in ROWS] == list(RIGHTS) and set(VERBS) <= set(RIGHTS)
    for action, marks in ROWS:
        for column, mark in zip(COLUMNS, marks, strict=True):
            found = permit(WHO[column], action, ["zhkh"])
            assert found.ok == (mark == "x"), (action, column)
            assert found.ok or found.why


def test_nobodys_message_has_no_executor():
    assert not any(permit(WHO["own"], action, []).ok for action in RIGHTS)
    assert not any(permit(WHO["own"], action, [None]).ok for action in RIGHTS)
    assert permit(WHO["own"], "fly", ["zhkh"]).why == "нет такого действия: fly"


def cases():
    """A message in every state; those that somebody has are zhkh's."""
    work = walk(("route", "adm"), ("begin", "z"))
    draft = walk(("draft", "z"), start=work)
    approved = walk(("approve", "adm"), start=draft)
    burning = facts(emergency=True)
    return {
        "new": fresh(), "accepted": walk(("accept", "adm")), "routed": walk(("route", "adm")), "in_work": work,
        "draft": draft, "rework": walk(("rework", "adm"), start=draft), "approved": approved,
        "published": walk(("publish", "adm"), start=approved), "refusal": walk(("refuse", "adm"), about=burning),
        "closed": walk(("refuse", "adm")),
    }  # fmt: skip


def test_role_object_action_every_combination():
    """Every person × message in every state × verb: a step is taken only where table and matrix both allow it."""
    objects = cases()
    assert set(objects) == set(STATES)
    marks = {action: dict(zip(COLUMNS, row, strict=True)) for action, row in ROWS}
    column = {"adm": "administrator", "cur": "curator", "head": "head", "z": "own", "r": "other", "g": "other"}
    taken = 0
    for state, case in objects.items():
        for verb in VERBS:
            for who in PEOPLE:
                found = apply(case, facts(), verb, ACTORS[who], GOOD.get(verb, {}), NOW, SETTINGS)
                may = marks[verb][column[who]] == "x" and verb in verbs_from(state)
                if column[who] == "own" and not case.divisions:
                    may = False
                if not may:
                    assert isinstance(found, Refusal), (state, verb, who)
                taken += not isinstance(found, Refusal)
    assert taken > 45


PEOPLE_FILE = """
organisation: {timezone: Europe/Moscow}
people:
  - {id: adm, name: Админ, roles: [administrator], absence: {from: 2026-11-24, to: 2026-11-25, substitute: dep}}
  - {id: dep, roles: [curator]}
  - {id: two, roles: [administrator, executor]}
divisions:
  - id: zhkh
    people: [two, {id: z, absence: {from: 2026-11-24, to: 2026-11-24, substitute: r}}, {id: boss, role: head}]
  - {id: roads, people: [r]}
"""


def test_people_their_roles_and_divisions():
    settings = parse(PEOPLE_FILE)
    duties = {id: actor(settings, id, NOW.replace(day=20)).duties for id in ("adm", "dep", "two", "z", "boss", "r")}
    assert duties == {
        "adm": (("administrator", None, "adm"),), "dep": (("curator", None, "dep"),),
        "two": (("administrator", None, "two"), ("executor", "zhkh", "two")), "z": (("executor", "zhkh", "z"),),
        "boss": (("head", None, "boss"),), "r": (("executor", "roads", "r"),),
    }  # fmt: skip
    assert actor(settings, "nobody", NOW) is None and actor(settings, "adm", NOW).name == "Админ"


@pytest.mark.parametrize(
    ("at", "may"),
    [("2026-11-23T20:59", False), ("2026-11-23T21:00", True), ("2026-11-25T20:59", True), ("2026-11-25T21:00", False)],
)
def test_a_substitute_has_the_rights_on_the_days_of_the_absence_by_the_local_clock(at, may):
    found = permit(actor(parse(PEOPLE_FILE), "dep", datetime.fromisoformat(at).replace(tzinfo=UTC)), "route")
    assert (found.ok, found.whose) == (may, "adm" if may else "")


def test_a_substitute_works_for_the_absent_executors_division():
    settings = parse(PEOPLE_FILE)
    assert permit(actor(settings, "r", NOW), "draft", ["zhkh"]).whose == "z"
    assert permit(actor(settings, "r", NOW), "draft", ["roads"]).whose == "r"
    assert not permit(actor(settings, "r", NOW.replace(day=26)), "draft", ["zhkh"]).ok


def test_without_people_the_one_who_runs_the_program_may_do_everything():
    alone = actor(parse("divisions: [{id: a}]"), "whoever", NOW)
    assert all(permit(alone, action, ["a"]).ok for action in RIGHTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("people: [{id: a}, {id: a}]", r"people\[1\].id: a уже описан: people\[0\]"),
        ("people: [{id: a}]\ndivisions: [{id: x, people: [{id: a}]}]", r"people\[0\].id: a уже описан"),
        ("people: [{id: a, absence: {from: 2026-01-02, to: 2026-01-01, substitute: a}}]", "раньше, чем начинается"),
        ("people: [{id: a, absence: {from: 2026-01-01, to: 2026-01-02, substitute: b}}]", "человека b нет"),
        ("people: [{id: a, absence: {from: 2026-01-01, to: 2026-01-02}}]", "substitute: обязательный ключ"),
        ("people: [{id: a, absence: {from: 01-01, to: 2026-01-02, substitute: a}}]", "нужна дата с годом"),
        ("people: [{id: a, roles: [boss]}]", "допустимо 'head'"),
    ],
)
def test_bad_people_are_told_of(text, said):
    with pytest.raises(ConfigError, match=said):
        parse(text)


def test_the_page_is_fresh():
    found = (Path(__file__).parents[2] / "docs" / "regulation.md").read_text(encoding="utf-8")
    assert found == regulation.page(), "the tables say something else by now: make regulation"


def test_the_diagram_shows_every_arrow():
    arrows = {
        tuple(line.strip().split(":")[0].split(" --> ")) for line in regulation.diagram().splitlines() if "-->" in line
    }
    for t in TRANSITIONS:
        if t.target and t.verb != "close":
            assert {(s, t.target) for s in t.sources} <= arrows
