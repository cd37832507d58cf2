"""The administrator's hour: one message after the other, a key or two each. Keys in, steps of the desk out.

What is decided is done at once, by the same verbs as on the command line, so that whatever ends the program leaves
nothing half done. Undoing is a step as well: `recall`, `reopen`, a correction back. The audit log tells both.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from desk import proposals
from desk.blocks import end_of
from desk.review_modes import KEYS, Catalog, Grounds, Helping, Mode, Picking, Reading, Term
from desk.rights import called
from desk.search import Choice, same_key
from desk.text import plain, plural
from desk.work import act, allow
from settings import OtklikError, Settings

if TYPE_CHECKING:
    from store import Store

HOLD_S = 600.0
"""So long a message is shown to nobody else; afterwards its version tells whether somebody has taken it."""
LOOK_AGAIN_S = 10.0
"""How often an empty queue is looked at."""
Correct = Callable[[str, Mapping[str, Any]], None]
"""(message, fields of an assessment) -> a person's word, with its clocks and alerts."""


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was done and may be undone: a verb, the messages, for a correction what was said before."""

    verb: str
    ids: tuple[str, ...]
    before: Mapping[str, Any] | None = None


UNDO = {"route": "recall", "refuse": "reopen", "close": "reopen", "block": "unblock"}


class Review:
    """One person at work. `press` takes a key; the rest is to be looked at: `offer` (the message, None when nothing
    waits), `siblings`, `to`, `mode`, `notice`, `failed` (the last key did not do what it says), `counts`, `over`.

    `decisions`: what was done, oldest first: plain dicts. Errors of the store other than refusals leave as they are.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        by: str,
        catalog: Catalog,
        correct: Correct,
        clock: Callable[[], datetime],
        *,
        every: bool = False,
    ) -> None:
        self.settings, self.catalog, self.by, self.every = settings, catalog, by, every
        self._store, self._correct, self._clock = store, correct, clock
        self.called = called(settings)
        self.offer: dict[str, Any] | None = None
        self.siblings: dict[str, Any] = {}
        self.proposal = proposals.Proposal()
        self.chosen: tuple[str, ...] | None = None
        self.mode: Mode | None = None
        self.notice, self.failed, self.over = "", False, False
        self.counts: dict[str, int] = {"all": 0, "emergencies": 0, "urgent": 0}
        self.skipped: list[str] = []
        self.decisions: list[dict[str, Any]] = []
        self.times: deque[datetime] = deque(maxlen=10_000)
        self.begun = clock()
        self._undo: list[Done] = []
        self._looked = self.begun
        allow(settings, "route", by, self.begun)
        self._next()

    # --- what is on the screen ---------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self._clock()

    @property
    def to(self) -> tuple[str, ...]:
        """Where the message would go."""
        return self.proposal.to if self.chosen is None else self.chosen

    def plan(self) -> str:
        """What Enter does now: route, choose, refuse, close or (nothing is offered) look."""
        m = self.offer
        if m is None:
            return "look"
        if self.chosen is None and not m["emergency"]:
            if m["reaction"] == "none":
                return "close"
            if m["reaction"] == "refuse":
                return "refuse"
        return "route" if self.to else "choose"

    def pace(self) -> tuple[int, float | None]:
        """How many were decided in the last hour, and how many that makes an hour; None in the first minute."""
        now = self.now
        recent = sum(1 for t in self.times if t > now - timedelta(hours=1))
        spent = min((now - self.begun).total_seconds(), 3600.0)
        return recent, recent * 3600 / spent if spent >= 60 else None

    def summary(self) -> str:
        """One line about the whole session."""
        words = {"route": "направлено", "refuse": "отказ", "close": "закрыто", "block": "заблокировано"}
        counted = Counter(d["verb"] for d in self.decisions if not d.get("undone"))
        parts = [f"{words[v]} {n}" for v, n in counted.items() if v in words]
        rate = self.pace()[1]
        pace = f"; темп {rate:.0f} в час" if rate is not None and self.times else ""
        return f"{', '.join(parts) or 'ничего не решено'}; осталось {self.left()}{pace}"

    def left(self) -> str:
        from store.review import MANY

        return f"больше {MANY}" if self.counts["all"] > MANY else str(self.counts["all"])

    def tick(self) -> None:
        """Time has passed: an empty queue is looked at again."""
        if self.offer is None and (self.now - self._looked).total_seconds() >= LOOK_AGAIN_S:
            self._next()

    # --- keys --------------------------------------------------------------------------------------------------------

    def press(self, key: str, *, line: bool = False) -> None:
        """One key; `line`: a whole line that stands for it, which in a choice is the text itself."""
        self.notice, self.failed = "", False
        if key == "end":
            self.over = True
        elif isinstance(self.mode, Picking):
            self._pick(self.mode, key, line)
        elif isinstance(self.mode, Grounds):
            self._ground(self.mode, key)
        elif isinstance(self.mode, Term):
            self._term(self.mode, key, line)
        elif isinstance(self.mode, Reading) and key in ("up", "down", "pgup", "pgdn", "k", "j", " "):
            step = {"up": -1, "k": -1, "pgup": -10, "pgdn": 10, " ": 10}.get(key, 1)
            self.mode = Reading(max(0, self.mode.top + step))
        elif isinstance(self.mode, Reading | Helping):
            self.mode = None
        else:
            self._command(key)

    def _command(self, key: str) -> None:
        name = key if key in KEYS or len(key) > 1 else same_key(key.lower())
        name = {"h": "?", ".": "?", "a": "enter", "=": "+", " ": "enter", "esc": "esc"}.get(name, name)
        if name == "q":
            self.over = True
        elif name == "?":
            self.mode = Helping()
        elif name == "z":
            self._take_back()
        elif name == "esc":
            self.chosen = None
        elif self.offer is None:
            if name == "enter":
                self.skipped.clear()
                self._next()
            else:
                self._fail("сейчас ничего не ждёт решения")
        elif (do := self._commands().get(name)) is not None:
            do(self.offer)
        else:
            self._fail(f"клавиши «{plain(key, 20)}» нет; справка: ?")

    def _commands(self) -> dict[str, Callable[[dict[str, Any]], None]]:
        return {
            "enter": self._accept,
            "t": lambda m: self._open("topic", "Тема", self.catalog.topics),
            "p": lambda m: self._open("place", "Место", self.catalog.places),
            "d": lambda m: self._open("division", "Кому направить", proposals.divisions(self.settings)),
            "+": lambda m: self._open("also", "Кто ещё даст сведения", proposals.divisions(self.settings)),
            "u": lambda m: self._say({"urgency": "prompt" if m["urgency"] == "urgent" else "urgent"}),
            "e": self._emergency,
            "r": lambda m: self._choose_ground("refuse", m),
            "k": lambda m: self._choose_ground("block", m),
            "n": self._nothing_needed,
            "b": self._all_alike,
            "s": self._skip,
            "v": lambda m: setattr(self, "mode", Reading()),
        }

    def _open(self, what: str, title: str, choices: Sequence[Choice]) -> None:
        if not choices:
            return self._fail("выбирать не из чего: в настройках нет подразделений")
        self.mode = Picking(what, title, choices)

    def _pick(self, mode: Picking, key: str, line: bool) -> None:
        if line and key not in ("enter", "esc", "up", "down"):
            mode, key = replace(mode, query=key, at=0), "enter"
        found = mode.found
        if key == "esc":
            self.mode = None
        elif key in ("up", "down"):
            last = max(len(found) - 1, 0)
            self.mode = replace(mode, at=min(max(mode.at + (1 if key == "down" else -1), 0), last))
        elif key == "backspace":
            self.mode = replace(mode, query=mode.query[:-1], at=0)
        elif key == "ctrl-u":
            self.mode = replace(mode, query="", at=0)
        elif key == "enter":
            self.mode = None
            if not found:
                return self._fail(f"ничего похожего на «{plain(mode.query, 40)}» нет")
            self._picked(mode.what, found[min(mode.at, len(found) - 1)])
        elif len(key) == 1:
            self.mode = replace(mode, query=(mode.query + key)[:60], at=0)

    def _picked(self, what: str, choice: Choice) -> None:
        if what == "topic":
            topic, group = choice.value
            self._say({"topic": topic, "topic_group": group})
        elif what == "place":
            self._say({"places": [choice.value]})
        elif what == "division":
            self.chosen = (*(d for d in (self.chosen or ())[:-1] if d != choice.value), choice.value)
            self.notice = f"направить: {self.names_of(self.to)}"
        else:
            self.chosen = (choice.value, *(d for d in self.to if d != choice.value))
            self.notice = f"направить: {self.names_of(self.to)}"

    def names_of(self, ids: Sequence[str]) -> str:
        return ", ".join(plain(self.called.get(d, d)) for d in ids)

    def _choose_ground(self, what: str, message: Mapping[str, Any]) -> None:
        self.mode = Grounds(what, proposals.grounds(what, message["conduct"]))

    def _ground(self, mode: Grounds, key: str) -> None:
        at = 0 if key == "enter" else int(key) - 1 if key in "123456789" and len(key) == 1 else -1
        at = next((i for i, (id, _) in enumerate(mode.options) if id == key), at)
        self.mode = None
        if key == "esc":
            return
        if not 0 <= at < len(mode.options):
            return self._fail(f"нет такого основания: {plain(key, 20)}")
        if mode.what == "block":
            self.mode = Term(mode.options[at][0])
        else:
            self._step("refuse", {"ground": mode.options[at][0]}, f"отказ: {mode.options[at][1]}")

    def _term(self, mode: Term, key: str, line: bool) -> None:
        if line and key not in ("enter", "esc"):
            mode, key = replace(mode, text=key), "enter"
        if key == "esc":
            self.mode = None
        elif key == "backspace":
            self.mode = replace(mode, text=mode.text[:-1])
        elif key == "ctrl-u":
            self.mode = replace(mode, text="")
        elif key == "enter":
            self.mode = None
            try:
                until = end_of(mode.text, self.now, self.settings)
            except OtklikError as e:
                return self._fail(str(e).removeprefix("--for "))
            self._step(
                "block", {"ground": mode.ground, "until": until}, "автор заблокирован; в сети — при выходе", stay=True
            )
        elif len(key) == 1:
            self.mode = replace(mode, text=(mode.text + key)[:12])

    # --- decisions ---------------------------------------------------------------------------------------------------

    def _accept(self, message: dict[str, Any]) -> None:
        plan = self.plan()
        if plan == "close":
            self._step("close", {}, "закрыто: ответ не нужен")
        elif plan == "refuse":
            self._choose_ground("refuse", message)
        elif plan == "choose":
            self._open("division", "Кому направить", proposals.divisions(self.settings))
        else:
            self._step("route", self._route_args(), f"направлено: {self.names_of(self.to)}")

    def _route_args(self) -> dict[str, Any]:
        return {"to": list(self.to), "compiler": self.to[-1]}

    def _nothing_needed(self, message: dict[str, Any]) -> None:
        before = None
        if message["reaction"] != "none":
            if not self._say({"reaction": "none"}):
                return
            before = self._undo[-1].before
        if self._step("close", {}, "закрыто: ответ не нужен") and before is not None:
            self._undo[-2:] = [Done("close", (message["id"],), before)]

    def _emergency(self, message: dict[str, Any]) -> None:
        if message["emergency"]:
            if self._say({"emergency": False}):
                alerts = self._store.message(message["id"], full=True)["alerts"]
                rings = any(not a["acknowledged_at"] for a in alerts)
                self.notice = "не чрезвычайное, тревога " + ("ещё не доставлена и остаётся" if rings else "снята")
                self.notice += "; отказать или закрыть сможет другой человек"
        elif self._say({"emergency": True, "urgency": "urgent", "reaction": "required"}):
            self.notice = "чрезвычайное: тревога Главе отправляется"

    def _all_alike(self, message: dict[str, Any]) -> None:
        alike = self.siblings["open"]
        if not alike:
            return self._fail("других таких же сообщений, ждущих решения, нет")
        if not self.to:
            return self._accept(message)
        args, to = self._route_args(), self.names_of(self.to)
        if not self._step("route", args, "", stay=True):
            return
        taken, missed = [message["id"]], 0
        for other in alike:
            try:
                act(
                    self._store, self.settings, other["id"], "route", args,
                    by=self.by, now=self.now, version=other["version"],
                )  # fmt: skip
            except OtklikError:
                missed += 1  # somebody else has it
            else:
                taken.append(other["id"])
                self._decided(other["id"], "route", args)
        self._undo[-1] = Done("route", tuple(taken))
        self._next()
        self.notice = f"направлено {plural(len(taken), 'сообщение', 'сообщения', 'сообщений')}: {to}"
        if missed:
            self.notice += f"; {missed} уже решает другой"

    def _step(self, verb: str, args: Mapping[str, Any], said: str, *, stay: bool = False) -> bool:
        """One step on the message that is shown, then the next message (`stay`: this one again)."""
        m = self.offer
        assert m is not None
        try:
            found = act(
                self._store, self.settings, m["id"], verb, args,
                by=self.by, now=self.now, version=m["version"], seen=m,
            )  # fmt: skip
        except OtklikError as e:
            self._again(m["id"])
            self._fail(str(e))
            return False
        if found["status"] == "refusal":
            said = "отказ ждёт второго решения: куратор или глава"
        elif verb == "block" and not self._store.desk(m["id"])["case"]["blocked"]:
            said = "блокировка ждёт второго решения: куратор или глава"
        self._undo.append(Done(verb, (m["id"],)))
        self._decided(m["id"], verb, args, count=not (stay and verb == "block"))
        if stay and verb == "block":
            self._again(m["id"])
        elif not stay:
            self._next()
        self.notice = f"№ {m['id']}: {said}"
        return True

    def _say(self, changes: Mapping[str, Any]) -> bool:
        """A person's word on the message that is shown; it stays on the screen."""
        m = self.offer
        assert m is not None
        before = {k: m[k] for k in changes if not (k == "reaction" and m[k] is None)}
        if "emergency" in changes:
            before["emergency_kind"] = m["emergency_kind"]
        try:
            self._correct(m["id"], changes)
        except OtklikError as e:
            self._again(m["id"])
            self._fail(str(e))
            return False
        self._undo.append(Done("correct", (m["id"],), before))
        chosen = self.chosen
        self._again(m["id"])
        if self.offer is not None and self.offer["id"] == m["id"]:
            self.chosen = chosen
        return True

    def _skip(self, message: dict[str, Any]) -> None:
        self.skipped.append(message["id"])
        self._undo.append(Done("skip", (message["id"],)))
        self._next()
        self.notice = f"№ {message['id']}: пропущено"

    def _take_back(self) -> None:
        if not self._undo:
            return self._fail("отменять нечего")
        last = self._undo.pop()
        undone, missed = 0, ""
        for id in last.ids:
            try:
                self._take_back_one(last, id)
                undone += 1
            except OtklikError as e:
                missed = str(e)
        gone = set(last.ids)
        for decision in self.decisions:
            if decision["id"] in gone and decision["verb"] == last.verb:
                decision["undone"] = True
        self._again(last.ids[0])
        words = {"skip": "снова здесь", "correct": "исправление отменено"}
        self.notice = f"№ {last.ids[0]}: {words.get(last.verb, 'отменено')}"
        if len(last.ids) > 1:
            self.notice = f"отменено: {undone} из {len(last.ids)}"
        if missed:
            self._fail(f"отменить не вышло: {missed}")

    def _take_back_one(self, last: Done, id: str) -> None:
        if last.verb == "skip":
            self.skipped = [s for s in self.skipped if s != id]
        elif last.verb == "correct":
            self._correct(id, last.before or {})
        else:
            refused = last.verb == "refuse" and self._store.message(id)["status"] == "refusal"
            verb = "recall" if refused else UNDO[last.verb]
            reason = {"reason": "отменено администратором сразу"}
            act(self._store, self.settings, id, verb, reason, by=self.by, now=self.now)
            if last.before:  # closed because a person had said that no answer is needed
                self._correct(id, last.before)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _decided(self, id: str, verb: str, args: Mapping[str, Any], *, count: bool = True) -> None:
        self.decisions.append({"id": id, "verb": verb, **args})
        if count:
            self.times.append(self.now)

    def _fail(self, said: str) -> None:
        self.notice, self.failed = said, True

    def _again(self, id: str) -> None:
        """The same message as it is now; the next one when it waits no longer."""
        self._show(self._store.offer(self.by, self.now, HOLD_S, every=self.every, only=id) or self._first())

    def _next(self) -> None:
        self._show(self._first())

    def _first(self) -> dict[str, Any] | None:
        return self._store.offer(self.by, self.now, HOLD_S, skip=self.skipped, every=self.every)

    def _show(self, message: dict[str, Any] | None) -> None:
        self._looked = self.now
        self.offer, self.mode, self.chosen = message, None, None
        self.siblings = self._store.siblings(message["id"]) if message else {"open": [], "messages": 0}
        self.proposal = proposals.propose(message, self.siblings, self.settings) if message else proposals.Proposal()
        self.counts = self._store.count_unrouted(self.every)
        if message:
            self._store.saw(self.by, [message["id"]], "review", self.now)

    def close(self) -> None:
        """Nobody looks at anything any more."""
        self._store.release_offers(self.by, self.now)
