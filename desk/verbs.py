"""What each verb of the desk does to a case: `apply`. Pure: the time, the actor and the configuration are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from desk.calendar import calendar_of
from desk.clocks import due, term
from desk.deadlines import draft_due
from desk.rights import PROGRAM, Actor, permit
from desk.running import move_clocks
from desk.states import (
    STATES,
    TITLES,
    TRANSITIONS,
    VERBS,
    Case,
    Facts,
    Part,
    Refusal,
    Reply,
    Step,
    transition,
    verbs_for,
)
from desk.text import term_words
from settings import Settings

REFUSE_GROUNDS = {
    "incorrect": "некорректное содержание",
    "unintelligible": "невозможно определить содержание",
    "harm": "намерение причинить вред другому лицу",
    "obscene": "нецензурные или оскорбительные выражения",
    "threat": "угроза жизни, здоровью или имуществу должностного лица или его семьи",
}
"""Clause 9."""
BLOCK_GROUNDS = {
    "insult": "оскорбление сотрудников или пользователей",
    "illegal": "призыв к незаконным действиям",
    "advertising": "реклама посторонних услуг и продукции",
    "offtopic": "не относится к деятельности администрации",
    "spam": "спам",
}
"""Clause 10."""
NOTICES = {"acknowledgement": "сообщение принято", "extension": "срок продлён"}
MAX_TEXT = 16_000
MAX_REASON = 500
FARTHEST = timedelta(days=3653)
"""A term beyond it is a slip; its account would go through every day of thousands of years."""

Args = Mapping[str, Any]


class _No(Exception):
    """Inside this module: the step is not possible, and why."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """One question to the machine, for the functions of the verbs."""

    case: Case
    facts: Facts
    actor: Actor
    args: Args
    now: datetime
    settings: Settings

    def words(self, name: str, what: str, longest: int = MAX_REASON) -> str:
        text = str(self.args.get(name) or "").strip()
        if not text:
            raise _No(f"не указано: {what}")
        if len(text) > longest:
            raise _No(f"{what}: длиннее {longest} знаков; сократите")
        return text

    def reason(self) -> str | None:
        """A reason that may be left out."""
        return self.words("reason", "причина") if str(self.args.get("reason") or "").strip() else None

    @property
    def second_look(self) -> bool:
        """Whether another person must agree: to an emergency, to what nobody has judged (it may be one), and to what
        only this person has said to be none."""
        return self.facts.emergency or self.facts.reaction is None or self.facts.calmed_by == self.actor.id

    def one_of(self, name: str, known: Mapping[str, str], what: str) -> str:
        value = str(self.args.get(name) or "").strip()
        if value not in known:
            listed = ", ".join(f"{k} ({v})" for k, v in known.items())
            raise _No(f"{what}: нет такого «{value[:40]}»; есть {listed}" if value else f"не указано: {what}; {listed}")
        return value

    def future(self, name: str, what: str) -> datetime:
        at = self.args.get(name)
        if not isinstance(at, datetime):
            raise _No(f"не указан {what}")
        if at <= self.now:
            raise _No(f"{what} уже прошёл; укажите более поздний")
        if at > self.now + FARTHEST:
            raise _No(f"{what} дальше десяти лет; проверьте год")
        return at


@dataclass(frozen=True, slots=True)
class _Done:
    """What a verb did: the case (its clocks not yet moved), where it leads, what the log keeps."""

    case: Case
    target: str | None
    details: Mapping[str, Any]
    text: str | None = None


def apply(
    case: Case, facts: Facts, verb: str, actor: Actor, args: Args, now: datetime, settings: Settings
) -> Step | Refusal:
    """Take one step, or say why not. Nothing is changed in place; the same question has the same answer."""
    if verb not in VERBS:
        return Refusal(f"нет такого действия: {verb[:40]}; есть {', '.join(VERBS)}")
    if not any(verb == t.verb and case.state in t.sources for t in TRANSITIONS):
        possible = ", ".join(f"{TITLES[v]} ({v})" for v in verbs_for(case))
        return Refusal(f"«{TITLES[verb]}» нельзя: сообщение «{STATES[case.state]}»; можно: {possible}")
    allowed = permit(actor, verb, _whose(case, verb))
    if not allowed.ok:
        return Refusal(f"«{TITLES[verb]}» нельзя: {allowed.why}")
    try:
        done = _DO[verb](_Ask(case, facts, actor, args, now, settings))
    except _No as no:
        return Refusal(f"«{TITLES[verb]}» нельзя: {no}")
    row = transition(verb, case.state, done.target)
    moved, late = move_clocks(case, done.case, facts, row, now, settings)
    details = {k: v for k, v in done.details.items() if v is not None}
    if allowed.whose != actor.id:
        details["for"] = allowed.whose
    if late:
        details["late"] = list(late)
    moved = replace(moved, state=row.target or case.state)
    return Step(verb, case.state, moved, row.event, details, late, done.text)


def _whose(case: Case, verb: str) -> tuple[str | None, ...]:
    """The divisions that may do an executor's verb now."""
    if verb == "part":
        waited_for = case.part_due()
        return (waited_for.division,) if waited_for else case.divisions
    return (case.division,) if verb in ("begin", "draft") else case.divisions


# --- the verbs --------------------------------------------------------------------------------------------------------


def _accept(ask: _Ask) -> _Done:
    return _Done(replace(ask.case, owed=_with(ask.case.owed, "acknowledgement")), "accepted", {})


def _route(ask: _Ask) -> _Done:
    known = {d.id for d in ask.settings.divisions}
    to = list(ask.args.get("to") or ())
    if not to:
        raise _No("не указано подразделение")
    for name in to:
        if name not in known:
            raise _No(f"нет подразделения «{str(name)[:40]}»; есть {', '.join(sorted(known)) or 'пока ни одного'}")
    if len(set(to)) < len(to):
        raise _No("подразделение названо дважды")
    compiler = ask.args.get("compiler") or to[-1]
    if compiler not in to:
        raise _No("ответственного за свод нет среди подразделений")
    parts = tuple(Part(d) for d in to if d != compiler)
    owed = _with(ask.case.owed, "acknowledgement") if ask.case.state == "new" else ask.case.owed
    return _Done(
        replace(ask.case, division=compiler, parts=parts, owed=owed, worker=None),
        "routed",
        {"to": to, "compiler": compiler},
    )


def _return(ask: _Ask) -> _Done:
    reason = ask.words("reason", "причина")
    details = {"reason": reason, "from": ask.case.division}
    return _Done(replace(ask.case, division=None, parts=(), worker=None), "accepted", details)


def _recall(ask: _Ask) -> _Done:
    if ask.case.state == "refusal":
        if ask.case.asked_by != ask.actor.id:
            raise _No("отказ предложил другой человек; решают куратор или глава")
        return _Done(replace(ask.case, ground=None, asked_by=None), "accepted", {"reason": ask.reason()})
    if any(p.given_at for p in ask.case.parts):
        raise _No("сведения для общего ответа уже переданы")
    details = {"reason": ask.reason(), "from": ask.case.division}
    return _Done(replace(ask.case, division=None, parts=(), worker=None), "accepted", details)


def _begin(ask: _Ask) -> _Done:
    return _Done(replace(ask.case, worker=ask.actor.id), "in_work", {})


def _part(ask: _Ask) -> _Done:
    waited_for = ask.case.part_due()
    if waited_for is None:
        raise _No("сведений для общего ответа больше никто не ждёт")
    text = ask.words("text", "сведения", MAX_TEXT)
    parts = tuple(replace(p, given_at=ask.now) if p is waited_for else p for p in ask.case.parts)
    n = ask.case.replies + 1
    return _Done(replace(ask.case, parts=parts, replies=n), None, {"division": waited_for.division, "n": n}, text)


def _draft(ask: _Ask) -> _Done:
    waited_for = ask.case.part_due()
    if waited_for is not None:
        raise _No(f"ещё нет сведений от подразделения {waited_for.division}")
    kind = ask.one_of("kind", {"final": "окончательный", "interim": "промежуточный"}, "вид ответа")
    text = ask.words("text", "текст ответа", MAX_TEXT)
    until, condition = None, None
    if kind == "interim":
        if ask.args.get("until") is not None:
            until = ask.future("until", "срок окончательного решения")
        condition = str(ask.args.get("condition") or "").strip()[:MAX_REASON] or None
        if until is None and condition is None:
            raise _No("в промежуточном ответе нужен срок или условие окончательного решения (п. 7.8)")
    reply = Reply(ask.case.replies + 1, kind, ask.actor.id, until, condition)
    details = {"n": reply.n, "kind": kind, "until": until, "condition": condition}
    worker = ask.case.worker or ask.actor.id
    return _Done(replace(ask.case, reply=reply, replies=reply.n, worker=worker), "draft", details, text)


def _approve(ask: _Ask) -> _Done:
    return _Done(ask.case, "approved", {"n": ask.case.reply.n if ask.case.reply else None, **_even_so(ask)})


def _even_so(ask: _Ask) -> dict[str, Any]:
    """What the checks of the text have warned of, and why it does not count; kept in the log."""
    if not ask.args.get("warnings"):
        return {}
    return {"warnings": list(ask.args["warnings"]), "even_so": ask.words("even_so", "почему предупреждения не мешают")}


_UNDERWAY = "ответ уже отправлен в сеть, но ещё не записан; сначала узнайте, размещён ли он: otklik queue publish"


def _rework(ask: _Ask) -> _Done:
    assert ask.case.reply is not None  # a draft or an approved case has one
    if ask.case.reply.n in ask.facts.publishing:
        raise _No(_UNDERWAY)
    details = {"n": ask.case.reply.n, "reason": ask.words("reason", "что доработать")}
    # A redirection was the administrator's own text: it comes back to the administrator.
    # So does an answer to a whole question that was given to a message which no division has.
    own = ask.case.reply.kind == "redirect" or ask.case.division is None
    return _Done(ask.case, "accepted" if own else "rework", details)


def _publish(ask: _Ask) -> _Done:
    reply = ask.case.reply
    assert reply is not None  # an approved case has one
    details = {"n": reply.n, "kind": reply.kind, "url": str(ask.args.get("url") or "").strip()[:MAX_REASON] or None}
    if reply.kind == "interim":
        return _Done(replace(ask.case, owed=()), "in_work", {**details, "until": reply.until})
    outcome = "redirected" if reply.kind == "redirect" else "answered"
    return _Done(replace(ask.case, owed=(), outcome=outcome), "published", details)


def _extend(ask: _Ask) -> _Done:
    until = ask.future("until", "новый срок")
    reason = ask.words("reason", "причина")
    running = ask.case.running.get("answer")
    if running is None:
        raise _No("срок ответа не идёт")
    if until <= running.due_at:
        raise _No("новый срок не позже прежнего")
    longest = ask.settings.desk.deadlines.extension
    limit = ask.case.limit or due(running.due_at, term(longest), calendar_of(ask.settings))
    if until > limit:
        raise _No(
            f"срок продлевают не более чем на {term_words(longest)}, то есть до {_local(limit, ask.settings)} (п. 7.9)"
        )
    clocks = tuple(replace(c, due_at=until) if c is running else c for c in ask.case.clocks)
    case = replace(ask.case, clocks=clocks, limit=limit, owed=_with(ask.case.owed, "extension"))
    draft = case.running.get("draft")
    if draft is not None:
        new = replace(draft, due_at=draft_due(until, ask.settings))
        case = replace(case, clocks=tuple(new if c is draft else c for c in case.clocks))
    return _Done(case, None, {"until": until, "reason": reason})


def _redirect(ask: _Ask) -> _Done:
    body = ask.words("body", "ответственный орган")
    text = ask.words("text", "текст ответа", MAX_TEXT)
    reply = Reply(ask.case.replies + 1, "redirect", ask.actor.id, body=body)
    details = {"n": reply.n, "body": body, **_even_so(ask)}
    return _Done(replace(ask.case, reply=reply, replies=reply.n), "approved", details, text)


def _join(ask: _Ask) -> _Done:
    """The approved answer to another message of the same question is the answer to this one too."""
    kinds = {"final": "окончательный", "interim": "промежуточный", "redirect": "перенаправление"}
    kind, of = ask.one_of("kind", kinds, "вид ответа"), ask.words("of", "номер сообщения с ответом", 20)
    text = ask.words("text", "текст ответа", MAX_TEXT)
    until = ask.future("until", "срок окончательного решения") if ask.args.get("until") is not None else None
    condition = ask.args.get("condition")
    if kind == "interim" and until is None and not condition:
        raise _No("в промежуточном ответе нужен срок или условие окончательного решения (п. 7.8)")
    reply = Reply(ask.case.replies + 1, kind, ask.actor.id, until, condition, ask.args.get("body"), of)
    division = ask.case.division or ask.args.get("division")
    if kind == "interim" and division is None:
        raise _No("после промежуточного ответа работа продолжается, а подразделения у сообщения нет; направьте его")
    case = replace(ask.case, reply=reply, replies=reply.n, division=division, parts=())
    return _Done(case, "approved", {"n": reply.n, "kind": kind, "of": of, "until": until}, text)


def _repeat(ask: _Ask) -> _Done:
    earlier = ask.words("of", "номер прежнего сообщения", 20)
    return _Done(replace(ask.case, repeat_of=earlier), None, {"of": earlier})


def _notify(ask: _Ask) -> _Done:
    """With `text` the notice is only kept, for the program to publish; it is given when that is out (`n`, `url`)."""
    kind = ask.one_of("kind", NOTICES, "извещение")
    if kind not in ask.case.owed:
        raise _No(f"извещать об этом автора не нужно: {NOTICES[kind]}")
    if ask.args.get("text") is not None:
        text = ask.words("text", "текст извещения", MAX_TEXT)
        n = ask.case.replies + 1
        return _Done(replace(ask.case, replies=n), None, {"kind": kind, "n": n}, text)
    url = str(ask.args.get("url") or "").strip()[:MAX_REASON] or None
    details = {"kind": kind, "url": url, "n": ask.args.get("n")}
    return _Done(replace(ask.case, owed=tuple(o for o in ask.case.owed if o != kind)), None, details)


def _refuse(ask: _Ask) -> _Done:
    ground = ask.one_of("ground", REFUSE_GROUNDS, "основание")
    if ask.second_look:
        return _Done(replace(ask.case, ground=ground, asked_by=ask.actor.id), "refusal", {"ground": ground})
    return _Done(replace(ask.case, ground=ground, outcome="refused"), "closed", {"ground": ground})


def _confirm(ask: _Ask) -> _Done:
    if ask.case.state != "refusal":
        return _confirm_block(ask) if ask.case.block_asked or not ask.case.hide_asked else _confirm_hide(ask)
    if ask.actor.id == ask.case.asked_by:
        raise _No("отказ по чрезвычайному сообщению подтверждает другой человек")
    return _Done(replace(ask.case, outcome="refused"), "closed", {"ground": ask.case.ground, "what": "refuse"})


def _deny(ask: _Ask) -> _Done:
    if ask.case.state != "refusal":
        block, hide = ask.case.block_asked, ask.case.hide_asked
        if block is None and hide is None:
            raise _No("второго решения по этому сообщению ничего не ждёт")
        details = {"ground": block or hide, "what": "block" if block else "hide"}
        left: dict[str, Any] = _NOTHING_ASKED if block else {"hide_asked": None, "hide_asked_by": None}
        return _Done(replace(ask.case, **left), None, {**details, "reason": ask.words("reason", "причина")})
    details = {"what": "refuse", "reason": ask.words("reason", "причина")}
    return _Done(replace(ask.case, ground=None, asked_by=None), "accepted", details)


def _block(ask: _Ask) -> _Done:
    if not ask.facts.author_id:
        raise _No("автор неизвестен")
    ground = ask.one_of("ground", BLOCK_GROUNDS, "основание")
    until = ask.future("until", "срок блокировки")
    details = {"ground": ground, "until": until, "reason": ask.reason()}
    if ask.second_look:
        asked = {"block_asked": ground, "block_asked_until": until, "block_asked_by": ask.actor.id}
        return _Done(replace(ask.case, **asked), None, {**details, "asked": True})
    return _Done(replace(ask.case, blocked=ground, blocked_until=until, **_NOTHING_ASKED), None, details)


_NOTHING_ASKED: dict[str, Any] = {"block_asked": None, "block_asked_until": None, "block_asked_by": None}


def _confirm_block(ask: _Ask) -> _Done:
    ground, until = ask.case.block_asked, ask.case.block_asked_until
    if ground is None or until is None:
        raise _No("второго решения по этому сообщению ничего не ждёт")
    if ask.actor.id == ask.case.block_asked_by:
        raise _No("блокировку по чрезвычайному сообщению подтверждает другой человек")
    if until <= ask.now:
        raise _No("срок блокировки уже прошёл; пусть администратор предложит новый")
    case = replace(ask.case, blocked=ground, blocked_until=until, **_NOTHING_ASKED)
    return _Done(case, None, {"ground": ground, "until": until, "what": "block"})


def _hide(ask: _Ask) -> _Done:
    """The comment stays in the network and is not seen; the resident's words are not deleted, the work goes on."""
    if ask.facts.deleted:
        raise _No("сообщение удалил сам автор")
    if ask.case.hidden is not None:
        raise _No("комментарий уже скрыт")
    details = {"ground": ask.one_of("ground", BLOCK_GROUNDS, "основание"), "reason": ask.reason()}
    if ask.second_look:
        asked = {"hide_asked": details["ground"], "hide_asked_by": ask.actor.id}
        return _Done(replace(ask.case, **asked), None, {**details, "asked": True})
    return _Done(replace(ask.case, hidden=details["ground"], hide_asked=None, hide_asked_by=None), None, details)


def _confirm_hide(ask: _Ask) -> _Done:
    ground = ask.case.hide_asked
    if ask.actor.id == ask.case.hide_asked_by:
        raise _No("скрытие чрезвычайного сообщения подтверждает другой человек")
    case = replace(ask.case, hidden=ground, hide_asked=None, hide_asked_by=None)
    return _Done(case, None, {"ground": ground, "what": "hide"})


def _unhide(ask: _Ask) -> _Done:
    """Also takes back a hiding that waits."""
    case = ask.case
    if case.hidden is None and case.hide_asked is None:
        raise _No("комментарий не скрыт")
    details = {"ground": case.hidden or case.hide_asked, "reason": ask.reason()}
    return _Done(replace(case, hidden=None, hide_asked=None, hide_asked_by=None), None, details)


def _unblock(ask: _Ask) -> _Done:
    case = ask.case
    if case.blocked is None and case.block_asked is None:
        raise _No("автор по этому сообщению не заблокирован")
    if PROGRAM in ask.actor.roles and (case.blocked_until is None or case.blocked_until > ask.now):
        raise _No("срок блокировки ещё не прошёл")
    details = {"ground": case.blocked or case.block_asked, "until": case.blocked_until, "reason": ask.reason()}
    return _Done(replace(case, blocked=None, blocked_until=None, **_NOTHING_ASKED), None, details)


def _close(ask: _Ask) -> _Done:
    case = ask.case
    if case.state == "published":
        return _Done(case, "closed", {"outcome": case.outcome})
    if ask.facts.publishing:
        raise _No(_UNDERWAY)
    if ask.facts.deleted:
        return _Done(replace(case, outcome="deleted"), "closed", {"outcome": "deleted"})
    if ask.facts.emergency:  # as with a refusal, one person's word is not enough
        raise _No("чрезвычайное закрывают после ответа; если тревога ложная, исправьте: correct --no-emergency")
    if ask.second_look and ask.facts.reaction is not None:
        raise _No("вы сами решили, что оно не чрезвычайное; закрыть без ответа может другой человек")
    if case.state in ("new", "accepted") and ask.facts.reaction == "none":
        return _Done(replace(case, outcome="none"), "closed", {"outcome": "none"})
    raise _No(
        "ответ ещё не размещён; закрыть без ответа можно то, на что реагирование не требуется, или удалённое автором"
    )


def _reopen(ask: _Ask) -> _Done:
    reason = ask.words("reason", "причина")
    fresh = replace(
        ask.case, division=None, parts=(), worker=None, reply=None, outcome=None, ground=None, asked_by=None, limit=None
    )
    return _Done(fresh, "accepted", {"reason": reason})


_DO: dict[str, Callable[[_Ask], _Done]] = {
    "accept": _accept,
    "route": _route,
    "return": _return,
    "recall": _recall,
    "begin": _begin,
    "part": _part,
    "draft": _draft,
    "approve": _approve,
    "rework": _rework,
    "publish": _publish,
    "extend": _extend,
    "redirect": _redirect,
    "join": _join,
    "repeat": _repeat,
    "notify": _notify,
    "refuse": _refuse,
    "confirm": _confirm,
    "deny": _deny,
    "block": _block,
    "unblock": _unblock,
    "hide": _hide,
    "unhide": _unhide,
    "close": _close,
    "reopen": _reopen,
}


def _with(owed: tuple[str, ...], notice: str) -> tuple[str, ...]:
    return owed if notice in owed else (*owed, notice)


def _local(at: datetime, settings: Settings) -> str:
    return at.astimezone(calendar_of(settings).zone).strftime("%d.%m.%Y %H:%M")
