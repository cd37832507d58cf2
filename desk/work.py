"""The desk at work: a person's step on a stored message. The decision is `desk.verbs.apply`; the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from desk.rights import Actor, actor, everyone, permit
from desk.running import corrected, first_case
from desk.states import Case, Facts, Refusal, Step, dump, load
from desk.verbs import apply
from settings import USAGE, OtklikError, Settings
from store.values import DeskStep, NewReply, ReplyMoved

if TYPE_CHECKING:
    from store import Store


class Refused(OtklikError):
    """The Regulation, the person's rights or the state of the message forbid the step; nothing was changed."""

    exit_code = USAGE


def act(
    store: Store,
    settings: Settings,
    id: str,
    verb: str,
    args: Mapping[str, Any],
    *,
    by: str,
    now: datetime,
    version: int | None = None,
    seen: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> dict[str, Any]:
    """One step; the message as it is then, with `version`. Raises `Refused`, `NotFound`, `StoreError`.

    `version`: which state of the message the person decided upon; None: whatever it is now. `seen`: the message as the
    person saw it; when its words or what is said of it have changed since, nothing is done. `actor`: who acts, when it
    is nobody of the configuration.
    """
    person = actor or known_actor(settings, by, now)

    def decide(message: Mapping[str, Any], data: Mapping[str, Any] | None) -> DeskStep:
        if seen is not None and _decided_upon(message) != _decided_upon(seen):
            raise Refused(f"сообщение {message['id']} изменилось, пока вы его читали; посмотрите его снова")
        facts = facts_of(message)
        found = apply(case_of(message, data, settings), facts, verb, person, args, now, settings)
        if isinstance(found, Refusal):
            raise Refused(f"сообщение {message['id']}: {found.sentence}")
        return _kept(found)

    return store.act(id, decide, by=by, now=now, version=version)


def _decided_upon(message: Mapping[str, Any]) -> tuple[Any, ...]:
    fields = ("text", "emergency", "topic", "urgency", "reaction")
    return (message["deleted_at"] is None, *(message[f] for f in fields))


def known_actor(settings: Settings, by: str, now: datetime) -> Actor:
    """The person of that id. Raises `Refused` for somebody the configuration does not name."""
    found = actor(settings, by, now)
    if found is None:
        known = dict.fromkeys(person.id for person, _ in everyone(settings))
        some = ", ".join(list(known)[:12]) + (" и другие" if len(known) > 12 else "")
        raise Refused(f"человека «{by[:60]}» нет в настройках; укажите --by с id из people или divisions: {some}")
    return found


def allow(settings: Settings, action: str, by: str, now: datetime) -> None:
    """Raise `Refused` unless this person may do `action`: one of `desk.rights` that is no step of a message."""
    found = permit(known_actor(settings, by, now), action)
    if not found.ok:
        raise Refused(f"этого {by[:60]} не может: {found.why}")


def facts_of(message: Mapping[str, Any]) -> Facts:
    """What the machine needs of a message as the store shows it; times as they are or as texts."""
    return Facts(
        collected_at=_time(message["collected_at"]),
        urgency=message["urgency"],
        reaction=message["reaction"],
        emergency=bool(message["emergency"]),
        historical=message["historical"],
        deleted=message["deleted_at"] is not None,
        author_id=message["author"]["id"],
        calmed_by=(message.get("corrected") or {}).get("calmed_by"),
        publishing=tuple(message.get("publishing") or ()),
    )


def case_of(message: Mapping[str, Any], data: Mapping[str, Any] | None, settings: Settings) -> Case:
    """The desk's value of a message, with the deadlines that the message has now."""
    deadlines = {name: _time(at) for name, at in message["deadlines"].items()}
    facts = facts_of(message)
    return first_case(facts, deadlines, settings) if data is None else corrected(load(data), facts, deadlines, settings)


def answer_started(data: Mapping[str, Any] | None) -> datetime | None:
    """When the running term of the answer began; None when the desk has not begun or none runs."""
    clock = load(data).running.get("answer") if data else None
    return clock.started_at if clock else None


def _time(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


_NEW_STATES = {"part": "part", "redirect": "approved", "join": "approved", "notify": "approved"}
_REPLY_STATES = {"approve": "approved", "rework": "rework", "publish": "published"}


def _kept(step: Step) -> DeskStep:
    """A step as the store keeps it."""
    case, new, moved = step.case, None, None
    if step.text is not None:
        kind = case.reply.kind if case.reply is not None and step.verb != "part" else "part"
        kind = step.details["kind"] if step.verb == "notify" else kind
        state = {"part": "part", "redirect": "approved", "join": "approved", "notify": "approved"}.get(
            step.verb, "draft"
        )
        new = NewReply(case.replies, kind, state, step.text)
    elif step.verb in _REPLY_STATES and case.reply is not None:
        moved = ReplyMoved(case.reply.n, _REPLY_STATES[step.verb], step.details.get("url"))
    elif step.verb == "notify" and step.details.get("n"):
        moved = ReplyMoved(step.details["n"], "published", step.details.get("url"))
    return DeskStep(
        verb=step.verb,
        source=step.source,
        status=case.state,
        event=step.event,
        division=case.division,
        deadlines=case.deadlines,
        case=dump(case),
        details=step.details,
        blocked_until=case.blocked_until,
        hidden=case.hidden is not None,
        repeat_of=case.repeat_of if step.verb == "repeat" else None,
        new_reply=new,
        reply_moved=moved,
        done=case.state in ("published", "closed"),
    )
