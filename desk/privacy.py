"""What the desk keeps of a case whose author was forgotten, and the words of the commands about personal data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from desk.states import CLOSED, dump, load

if TYPE_CHECKING:
    from settings import Settings
    from store.values import Retention

KINDS = {
    "messages": "сообщения",
    "text": "тексты сообщений",
    "authors": "данные авторов",
    "deleted": "тексты удалённых",
    "revisions": "прежние тексты",
    "replies": "тексты ответов",
    "judgements": "прежние оценки",
    "cases": "дела",
    "signatures": "отпечатки для поиска повторов",
    "events": "события ленты",
    "alerts": "тревоги",
    "sendings": "отправки тревог",
    "audit": "записи журнала действий",
    "coverage": "записи о сборах",
    "access": "кто что видел",
    "posts": "публикации",
    "inbox": "ещё не разобранные новости сети",
    "runs": "запуски",
}
"""How the kinds of what is kept are called."""
ELSEWHERE = "others."
"""Before the kind of what others wrote and the person stands in."""


def settle(data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A forgotten author's case: closed, its clocks stopped, without anything that somebody wrote."""
    case = load(data)
    clocks = tuple(c if c.stopped_at else replace(c, stopped_at=now, stopped_by="forget") for c in case.clocks)
    reply = None if case.reply is None else replace(case.reply, condition=None, body=None)
    over = case.state in ("published", CLOSED)
    return dump(
        replace(
            case,
            state=case.state if over else CLOSED,
            clocks=clocks,
            reply=reply,
            owed=(),
            outcome=case.outcome if over else "forgotten",
            blocked=None,
            blocked_until=None,
            block_asked=None,
            block_asked_until=None,
            block_asked_by=None,
            hide_asked=None,
            hide_asked_by=None,
        )
    )


def terms_of(settings: Settings) -> Retention:
    """The retention terms of the configuration as the store takes them."""
    from store.values import Retention

    chosen = settings.store.retention
    return Retention(**{name: getattr(chosen, name) for name in Retention.__slots__})


def counted(counts: Mapping[str, int]) -> list[str]:
    """«тексты сообщений — 12» for each kind, the person's own first."""
    own = [f"{KINDS.get(k, k)} — {n}" for k, n in counts.items() if not k.startswith(ELSEWHERE)]
    others = [
        f"{KINDS.get(name, name)} других, где назван автор, — {n}"
        for k, n in counts.items()
        if (name := k.removeprefix(ELSEWHERE)) != k
    ]
    return own + others
