"""The way of a message through the Regulation, as an explicit machine. Pure: values in, values out.

`TRANSITIONS` is the whole of it: which verb leads from which states to which, which clocks it stops and starts, which
event tells of it. Who may do a verb stands in `desk/rights.py`; what a verb does, in `desk/verbs.py`.
`docs/regulation.md` is drawn from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

STATES = {
    "new": "поступило",
    "accepted": "принято",
    "routed": "направлено",
    "in_work": "в работе",
    "draft": "проект на согласовании",
    "rework": "на доработке",
    "approved": "согласовано",
    "published": "ответ размещён",
    "refusal": "отказ ждёт второго решения",
    "closed": "закрыто",
}
"""Every state, as shown."""

CLOSED = "closed"
OPEN = tuple(s for s in STATES if s != CLOSED)
AT_WORK = ("accepted", "routed", "in_work", "draft", "rework")


@dataclass(frozen=True, slots=True)
class Transition:
    """One kind of step. `target` None: the state stays. `starts`, `stops`: names of clocks ("*": all)."""

    verb: str
    sources: tuple[str, ...]
    target: str | None
    event: str
    title: str
    clause: str
    stops: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()


_ROUTED = ("return", "part", "draft")

TRANSITIONS: tuple[Transition, ...] = (
    Transition("accept", ("new",), "accepted", "moved", "принять", "7.1"),
    Transition(
        "route", ("new", "accepted"), "routed", "routed", "направить", "7.1, 7.10, 7.11",
        ("route",), ("answer", "return", "draft", "part"),
    ),
    Transition("return", ("routed", "in_work"), "accepted", "returned", "вернуть", "7.2", _ROUTED, ("route",)),
    Transition("recall", ("routed",), "accepted", "moved", "отозвать", "7.1", _ROUTED, ("route",)),
    Transition("recall", ("refusal",), "accepted", "moved", "отозвать отказ", "9"),
    Transition("begin", ("routed",), "in_work", "moved", "взять в работу", "7.4", ("return",)),
    Transition("part", ("routed", "in_work"), None, "moved", "передать сведения", "7.10", ("part",), ("part",)),
    Transition(
        "draft", ("routed", "in_work", "rework"), "draft", "moved", "представить проект", "7.4, 7.6, 7.8, 7.10",
        ("return", "draft", "rework"), ("approve",),
    ),
    Transition("approve", ("draft",), "approved", "moved", "согласовать", "7.5", ("approve",), ("publish",)),
    Transition(
        "rework", ("draft", "approved"), "rework", "moved", "вернуть на доработку", "7.5, 7.6",
        ("approve", "publish"), ("rework",),
    ),
    Transition(
        "rework", ("approved",), "accepted", "moved", "отменить перенаправление", "7.12", ("publish",), ("route",),
    ),
    Transition("publish", ("approved",), "published", "answered", "разместить", "7.7", ("*",)),
    Transition("publish", ("approved",), "in_work", "answered", "разместить промежуточный", "7.7, 7.8", ("*",),
               ("answer", "draft")),
    Transition("extend", AT_WORK, None, "moved", "продлить", "7.9"),
    Transition("redirect", ("new", "accepted"), "approved", "moved", "перенаправить", "7.12", ("route",), ("publish",)),
    Transition(
        "join", ("new", *AT_WORK), "approved", "moved", "ответить тем же", "7.11",
        ("route", "approve", "rework", *_ROUTED), ("publish",),
    ),
    Transition("repeat", ("new", *AT_WORK), None, "moved", "отметить повторным", "7.11"),
    Transition("notify", tuple(STATES), None, "moved", "известить автора", "7.1, 7.9"),
    Transition("refuse", ("new", "accepted"), "closed", "closed", "отказать", "9", ("*",)),
    Transition("refuse", ("new", "accepted"), "refusal", "moved", "предложить отказ (чрезвычайное)", "9, 17"),
    Transition("confirm", ("refusal",), "closed", "closed", "подтвердить отказ", "9, 17", ("*",)),
    Transition("confirm", tuple(STATES), None, "moved", "подтвердить блокировку или скрытие", "10, 17"),
    Transition("deny", ("refusal",), "accepted", "moved", "отклонить отказ", "9, 17"),
    Transition("deny", tuple(STATES), None, "moved", "отклонить блокировку или скрытие", "10, 17"),
    Transition("block", tuple(STATES), None, "moved", "заблокировать автора", "10, 10.1"),
    Transition("unblock", tuple(STATES), None, "moved", "разблокировать автора", "10.1"),
    Transition("hide", tuple(STATES), None, "moved", "скрыть комментарий", "10"),
    Transition("unhide", tuple(STATES), None, "moved", "показать комментарий", "10"),
    Transition("close", OPEN, "closed", "closed", "закрыть", "7", ("*",)),
    Transition(
        "reopen", ("published", "closed"), "accepted", "moved", "открыть снова", "7.11", ("*",), ("route", "answer"),
    ),
)  # fmt: skip

VERBS = tuple(dict.fromkeys(t.verb for t in TRANSITIONS))
EVENTS = tuple(dict.fromkeys(t.event for t in TRANSITIONS))
TITLES = {t.verb: t.title for t in reversed(TRANSITIONS)}


def verbs_from(state: str) -> list[str]:
    """The verbs that lead on from a state, in the order of the table."""
    return list(dict.fromkeys(t.verb for t in TRANSITIONS if state in t.sources))


def verbs_for(case: Case) -> list[str]:
    """The same for a message under way, without those that have nothing to decide: no refusal, blocking or hiding
    waits."""
    idle = set() if case.state == "refusal" or case.block_asked or case.hide_asked else {"confirm", "deny"}
    if case.blocked is None and case.block_asked is None:
        idle.add("unblock")
    idle.add("hide" if case.hidden else "" if case.hide_asked else "unhide")
    return [v for v in verbs_from(case.state) if v not in idle]


def transition(verb: str, source: str, target: str | None) -> Transition:
    """The row of the table; `target` None: the state stays. LookupError when there is none."""
    for t in TRANSITIONS:
        if t.verb == verb and source in t.sources and t.target == target:
            return t
    raise LookupError(f"no transition {verb} from {source} to {target}")


# --- a message under way ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock of a message. `term` as configured; `division`: whose part it is, for `part`."""

    name: str
    term: str
    started_at: datetime
    due_at: datetime
    started_by: str
    division: str | None = None
    stopped_at: datetime | None = None
    stopped_by: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One division's share of a joint answer (clause 7.10), in the administrator's order."""

    division: str
    given_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply that is on its way; its text lies in the store under the number `n`.

    `kind`: final, interim, redirect. `of`: the message whose answer this is, when it was given to a whole cluster.
    """

    n: int
    kind: str
    by: str
    until: datetime | None = None
    condition: str | None = None
    body: str | None = None  # of a redirect: who is responsible
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the machine knows of one message. `division` writes the (joint) answer.

    `owed`: notices that the author has not got yet (acknowledgement, extension). `limit`: the answer's term can't be
    extended beyond. `outcome` of a closed one: answered, redirected, refused, none, deleted. `blocked`: the ground for
    which the author may not write on the page until `blocked_until`; `block_asked…`: a blocking that waits for a second
    person. `hidden`: the ground for which the comment is kept from being seen on the page; `hide_asked…`: a hiding that
    waits for a second person. `worker`: the executor who has taken it.
    """

    state: str = "new"
    division: str | None = None
    parts: tuple[Part, ...] = ()
    clocks: tuple[Clock, ...] = ()
    reply: Reply | None = None
    replies: int = 0
    owed: tuple[str, ...] = ()
    limit: datetime | None = None
    repeat_of: str | None = None
    outcome: str | None = None
    ground: str | None = None
    asked_by: str | None = None
    blocked: str | None = None
    blocked_until: datetime | None = None
    block_asked: str | None = None
    block_asked_until: datetime | None = None
    block_asked_by: str | None = None
    hidden: str | None = None
    hide_asked: str | None = None
    hide_asked_by: str | None = None
    worker: str | None = None

    @property
    def running(self) -> dict[str, Clock]:
        """Clocks that have not been stopped, by name."""
        return {c.name: c for c in self.clocks if c.stopped_at is None}

    @property
    def deadlines(self) -> dict[str, datetime]:
        return {name: clock.due_at for name, clock in self.running.items()}

    @property
    def divisions(self) -> tuple[str, ...]:
        """Those at work on it: the ones that owe a part, and the one that answers."""
        return (*(p.division for p in self.parts), *([self.division] if self.division else ()))

    def part_due(self) -> Part | None:
        """The part that is waited for: the first not given yet."""
        return next((p for p in self.parts if p.given_at is None), None)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the message itself says; the machine does not change it.

    `calmed_by`: who said that it is no emergency after all. `publishing`: numbers of the replies that the network may
    have already and that nobody has recorded yet.
    """

    collected_at: datetime
    urgency: str | None = "prompt"
    reaction: str | None = "required"
    emergency: bool = False
    historical: bool = False
    deleted: bool = False
    author_id: str | None = None
    calmed_by: str | None = None
    publishing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step is not possible: one Russian sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken. `details`: what the log keeps of it (no resident's words). `text`: the words of a new
    reply, under the number `case.reply.n`; `late`: clocks it stopped after their end."""

    verb: str
    source: str
    case: Case
    event: str
    details: Mapping[str, Any]
    late: tuple[str, ...] = ()
    text: str | None = None


# --- as JSON ----------------------------------------------------------------------------------------------------------


def dump(case: Case) -> dict[str, Any]:
    """Plain data, times as they are."""
    return asdict(case)


def load(data: Mapping[str, Any]) -> Case:
    """The case behind `dump`, its times as texts or as they are."""
    found = dict(data)
    found["clocks"] = tuple(Clock(**{k: _time(k, v) for k, v in c.items()}) for c in data["clocks"])
    found["parts"] = tuple(Part(**{k: _time(k, v) for k, v in p.items()}) for p in data["parts"])
    if data["reply"] is not None:
        found["reply"] = Reply(**{k: _time(k, v) for k, v in data["reply"].items()})
    found["owed"] = tuple(data["owed"])
    return Case(**{k: _time(k, v) for k, v in found.items()})


_TIMES = frozenset(
    {"started_at", "due_at", "stopped_at", "given_at", "until", "limit", "blocked_until", "block_asked_until"}
)


def _time(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in _TIMES and isinstance(value, str) else value
