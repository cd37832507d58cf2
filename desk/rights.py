"""Who may do what: the one place. Roles × actions, and for executors also whose message it is. Pure functions.

Roles of clause 6 of the Regulation: the administrator finds, routes, approves, publishes; executors prepare answers for
their own division; the curator oversees and decides what needs a second look; the head is told and acknowledges alerts.
During an absence the person named as substitute acts with the absent one's rights and divisions; the log names both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings import Person, Settings

ADMINISTRATOR, CURATOR, HEAD, EXECUTOR = "administrator", "curator", "head", "executor"
ROLES = (HEAD, CURATOR, ADMINISTRATOR, EXECUTOR)
ROLE_NAMES = {HEAD: "глава", CURATOR: "куратор", ADMINISTRATOR: "администратор", EXECUTOR: "исполнитель"}
PROGRAM = "program"
"""What the program itself may do when a term ends; no person has this role."""

_ADMIN = frozenset({ADMINISTRATOR})
_OVERSEERS = frozenset({CURATOR, HEAD})

RIGHTS: dict[str, frozenset[str]] = {
    "correct": frozenset({ADMINISTRATOR, CURATOR}),
    "accept": _ADMIN,
    "route": _ADMIN,
    "return": frozenset({EXECUTOR}),
    "recall": _ADMIN,
    "begin": frozenset({EXECUTOR}),
    "part": frozenset({EXECUTOR}),
    "draft": frozenset({EXECUTOR}),
    "approve": _ADMIN,
    "rework": _ADMIN,
    "publish": _ADMIN,
    "notify": _ADMIN,
    "extend": _ADMIN,
    "redirect": _ADMIN,
    "join": _ADMIN,
    "repeat": _ADMIN,
    "refuse": _ADMIN,
    "confirm": _OVERSEERS,
    "deny": _OVERSEERS,
    "block": _ADMIN,
    "unblock": frozenset({ADMINISTRATOR, PROGRAM}),
    "hide": _ADMIN,
    "unhide": _ADMIN,
    "close": _ADMIN,
    "reopen": frozenset({ADMINISTRATOR, CURATOR}),
    "acknowledge": frozenset({ADMINISTRATOR, CURATOR, HEAD}),
    "drill": frozenset({ADMINISTRATOR, CURATOR, HEAD}),
    "forget": _OVERSEERS,
    "export": frozenset({ADMINISTRATOR, CURATOR}),
    "access": _OVERSEERS,
    "report": frozenset({ADMINISTRATOR, CURATOR, HEAD}),
}
"""Action -> the roles that may do it. An executor's right holds for messages of the own division only."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody at work. `duties`: (role, division or None, whose duty it is) — the own ones and those of the absent."""

    id: str
    name: str = ""
    duties: tuple[tuple[str, str | None, str], ...] = ()

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(role for role, _, _ in self.duties)


@dataclass(frozen=True, slots=True)
class Permission:
    """May it be done; `whose`: whose right was used (the actor's own id, or the absent person's); `why` not."""

    ok: bool
    whose: str = ""
    why: str = field(default="")


THE_PROGRAM = Actor("otklik", "otklik", ((PROGRAM, None, "otklik"),))


def permit(actor: Actor, action: str, divisions: Iterable[str | None] = ()) -> Permission:
    """May `actor` do `action` to a message that these divisions are working on? One's own right comes first."""
    wanted = RIGHTS.get(action)
    if wanted is None:
        return Permission(False, why=f"нет такого действия: {action}")
    mine = {d for d in divisions if d is not None}
    good = [
        whose for role, division, whose in actor.duties if role in wanted and (role != EXECUTOR or division in mine)
    ]
    if good:
        return Permission(True, actor.id if actor.id in good else good[0])
    *others, last = (ROLE_NAMES[r] for r in ROLES if r in wanted)
    who = f"{', '.join(others)} или {last}" if others else last
    if EXECUTOR in actor.roles and EXECUTOR in wanted:
        turn = f"; сейчас это делает: {', '.join(sorted(mine))}" if mine else ""
        return Permission(False, why=f"это сообщение не вашего подразделения{turn}")
    return Permission(False, why=f"это делает {who}")


# --- people of the configuration --------------------------------------------------------------------------------------


def called(settings: Settings) -> dict[str, str]:
    """Ids of people and divisions -> their names, where they have one."""
    people = {p.id: p.name for p, _ in everyone(settings) if p.name}
    return people | {d.id: d.name for d in settings.divisions if d.name}


def everyone(settings: Settings) -> list[tuple[Person, str | None]]:
    """People with the division they stand under in the configuration. A bare name there is an id of `people`, or of
    somebody about whom nothing else is said; it makes that person an executor of the division."""
    from settings import Person

    listed = [(p, None) for p in settings.people]
    listed += [(p, d.id) for d in settings.divisions for p in d.people]
    described = {p.id: p for p, _ in listed if not isinstance(p, str)}

    def executor(name: str) -> Person:
        person = described.get(name) or Person(id=name)
        return person.model_copy(update={"roles": list(dict.fromkeys([*person.held, EXECUTOR]))})

    return [(executor(p) if isinstance(p, str) else p, division) for p, division in listed]


def actor(settings: Settings, id: str, now: datetime) -> Actor | None:
    """The actor behind an id; None for a stranger.

    Where the configuration names nobody at all, whoever runs the program does everything: a single person's desk.
    """
    people = everyone(settings)
    if not people:
        duties = tuple((role, None, id) for role in ROLES if role != EXECUTOR)
        return Actor(id, id, duties + tuple((EXECUTOR, d.id, id) for d in settings.divisions))
    own = [(p, d) for p, d in people if p.id == id]
    if not own:
        return None
    duties = list(_duties(own))
    today = now.astimezone(_zone(settings)).date().isoformat()
    for person, division in people:
        absence = person.absence
        if absence is not None and absence.substitute == id and absence.from_ <= today <= absence.to:
            duties += _duties([(person, division)])
    return Actor(id, own[0][0].name or id, tuple(dict.fromkeys(duties)))


def _duties(entries: Sequence[tuple[Person, str | None]]) -> Iterable[tuple[str, str | None, str]]:
    for person, division in entries:
        for role in person.held:
            if role != EXECUTOR or division is not None:
                yield role, division if role == EXECUTOR else None, person.id


def _zone(settings: Settings):  # type: ignore[no-untyped-def]
    from zoneinfo import ZoneInfo

    return ZoneInfo(settings.organisation.timezone)
