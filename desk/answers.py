"""Answers under way: the checks on a stored message, and the steps that must not go round them.

An error refuses the approval; a warning needs a reason, which the audit log keeps beside what was warned of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from desk.checks import ERROR, NOTE, Draft, Earlier, Finding, examine
from desk.publishing import members
from desk.states import Case, load
from desk.work import Refused, act
from settings import Settings

if TYPE_CHECKING:
    from store import Store

REMEMBERED = 500
"""Published answers that a new one is compared with, the newest."""


@dataclass(frozen=True, slots=True)
class Known:
    """What other rooms know. `titles()`: topic id -> its name; `limit(network)`: the longest answer, None = unknown."""

    titles: Callable[[], Mapping[str, str]]
    limit: Callable[[str], int | None]


def check(
    store: Store,
    settings: Settings,
    known: Known,
    message: Mapping[str, Any],
    text: str,
    *,
    kind: str = "final",
    until: datetime | None = None,
    condition: str | None = None,
    body: str | None = None,
) -> list[Finding]:
    """What the checks say of this text as an answer to this message (as the store shows it)."""
    titles = known.titles()
    ids = [t for t in (message["topic"], message["topic_group"]) if t]
    draft = Draft(
        text,
        kind,
        message=message["text"],
        author=message["author"]["name"],
        topic=" ".join(titles.get(t, "") for t in ids),
        places=tuple(p["name"] for p in message["places"]),
        limit=known.limit(message["network"]),
        until=until,
        condition=condition,
        body=body,
        alike=sum(m.why is None for m in members(store, settings, message["id"])),
        zone=settings.organisation.timezone,
        earlier=[
            Earlier(r["message_id"], r["text"], r["topic"], tuple(r["places"]))
            for r in store.published_answers(besides=message["id"], limit=REMEMBERED)
        ],
    )
    return examine(draft)


def check_current(store: Store, settings: Settings, known: Known, id: str) -> tuple[list[Finding], int]:
    """The findings about the reply that waits for approval, and the version of the message they belong to."""
    message, desk = store.message(id), store.desk(id)
    case: Case = load(desk["case"]) if desk["case"] else Case()
    reply = case.reply
    text = next((r["text"] for r in desk["replies"] if reply is not None and r["n"] == reply.n), None)
    if reply is None or text is None or case.state != "draft":
        return [], desk["version"]  # the machine says why there is nothing to approve
    found = check(
        store, settings, known, message, text,
        kind=reply.kind, until=reply.until, condition=reply.condition, body=reply.body,
    )  # fmt: skip
    return found, desk["version"]


def approve(
    store: Store,
    settings: Settings,
    known: Known,
    id: str,
    *,
    by: str,
    now: datetime,
    version: int | None = None,
    even_so: str | None = None,
) -> dict[str, Any]:
    """Approve the draft (clause 7.5) if the checks let it pass. The text that was checked is the one approved.

    `even_so`: why the warnings do not count. Raises `Refused` and what `desk.work.act` raises.
    """
    found, at = check_current(store, settings, known, id)
    args = admitted(id, "согласовать", found, even_so)
    return act(store, settings, id, "approve", args, by=by, now=now, version=at if version is None else version)


def redirect(
    store: Store,
    settings: Settings,
    known: Known,
    id: str,
    *,
    body: str,
    text: str,
    by: str,
    now: datetime,
    even_so: str | None = None,
) -> dict[str, Any]:
    """Name the responsible body to the author (clause 7.12); the administrator's own text is approved at once."""
    found = check(store, settings, known, store.message(id), text, kind="redirect", body=body)
    args = {"body": body, "text": text, **admitted(id, "перенаправить", found, even_so)}
    return act(store, settings, id, "redirect", args, by=by, now=now)


def admitted(id: str, what: str, found: Sequence[Finding], even_so: str | None) -> dict[str, Any]:
    """The part of the step's arguments that tells of the checks; `Refused` when they forbid it."""
    found = [f for f in found if f.level != NOTE]
    if errors := [f.text for f in found if f.level == ERROR]:
        raise Refused(f"сообщение {id}: «{what}» нельзя: {'; '.join(errors)}")
    warnings = [f.text for f in found]
    if not warnings:
        return {}
    if not (even_so or "").strip():
        raise Refused(
            f"сообщение {id}: «{what}» пока нельзя: {'; '.join(warnings)}; исправьте или добавьте --even-so «почему»"
        )
    return {"even_so": even_so, "warnings": sorted({f.check for f in found})}
