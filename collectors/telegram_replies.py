"""Answers written by the bot, each at most once.

The Bot API knows no key of idempotency, and a bot is never shown its own messages, so what stands there can't be read
back. A journal in the state of the stream (`sent`: guid -> {"to", "receipt"}) takes its place: an entry is written
before the call and gets its receipt after it. No entry: it was never sent. A receipt: it was, and where. An entry
without one: the call was made and its answer was lost; then only a person can look, and nothing is sent again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from collectors.contract import Answer, CollectError, Declined, RateLimited, Receipt, Stopped, Unavailable
from collectors.raw import mapping, whole
from collectors.telegram_client import Migrated
from collectors.telegram_items import Place
from collectors.telegram_stream import remember
from collectors.when import from_seconds
from store.values import Pushed

if TYPE_CHECKING:
    from collectors.telegram import TelegramCollector

LOST = (
    "Telegram не подтвердил этот ответ, а показать боту его сообщения не может: посмотрите в обсуждении, стоит ли "
    "ответ, и укажите его адрес; если его нет, разместите ответ вручную"
)


def find(collector: TelegramCollector, answer: Answer, besides: Container[str]) -> Receipt | None:
    """What the journal knows of this answer; `Unavailable` when nobody but a person can tell."""
    entry = _journal(collector).get(answer.guid)
    if entry is None:
        return None
    receipt = _receipt_of(entry)
    if receipt is None:
        raise Unavailable(LOST)
    return None if receipt.external_id in besides else receipt


def send(collector: TelegramCollector, answer: Answer) -> Receipt:
    """Write the answer under the comment, or tell where it stands already."""
    known = _journal(collector).get(answer.guid)
    if known is not None:
        found = _receipt_of(known)
        if found is None:
            raise Unavailable(LOST)
        return found
    place, number = _target(collector, answer)
    _note(collector, answer, {"to": answer.external_id})
    try:
        sent, place = _write(collector, place, number, answer.text)
    except Unavailable:
        raise  # it may stand there: the entry stays
    except CollectError as e:
        _note(collector, answer, None)  # refused, or not even sent
        if isinstance(e, RateLimited | Stopped | Declined) or e.page_wide or e.code not in ("400", "403"):
            raise
        raise Declined(f"Telegram не принял ответ: {e}", code=e.code) from None
    made = whole(sent.get("message_id"))
    if made is None:
        raise Unavailable(LOST)
    thread = int(answer.post_id.rpartition("_")[2])
    receipt = Receipt(place.comment_id(made), place.url(made, thread), from_seconds(sent.get("date")))
    # The bot is never told of its own message: it is collected from here.
    own = Pushed(f"sent:{receipt.external_id}", answer.page.id, orjson.dumps(dict(sent)).decode())
    told = [
        receipt.external_id,
        receipt.url,
        None if receipt.published_at is None else receipt.published_at.isoformat(),
    ]
    collector.stream.change(
        lambda state: remember(state, "sent", answer.guid, {"to": answer.external_id, "receipt": told}), [own]
    )
    return receipt


def _write(collector: TelegramCollector, place: Place, number: int, text: str) -> tuple[Mapping[str, Any], Place]:
    """(the sent message, where it stands); follows a group that got a new number."""
    for _ in range(2):
        try:
            sent = collector.client.call_once(
                "sendMessage",
                chat_id=place.group,
                text=text,
                reply_parameters={"message_id": number, "allow_sending_without_reply": False},
                link_preview_options={"is_disabled": True},
            )
            return mapping(sent), place
        except Migrated as e:
            place = replace(place, group=e.chat)
    raise Declined("группа сменила номер дважды; разместите ответ вручную")


def _target(collector: TelegramCollector, answer: Answer) -> tuple[Place, int]:
    group, _, number = answer.external_id.rpartition("_")
    if not (group.lstrip("-").isdigit() and number.isdigit()):
        raise Declined(f"{answer.external_id[:60]}: это не комментарий Telegram; ответьте вручную")
    return replace(collector.place(answer.page), group=int(group)), int(number)


def _journal(collector: TelegramCollector) -> Mapping[str, Any]:
    return mapping(collector.stream.state.get("sent"))


def _note(collector: TelegramCollector, answer: Answer, entry: dict[str, Any] | None) -> None:
    def write(state: dict[str, Any]) -> None:
        if entry is None:
            state.get("sent", {}).pop(answer.guid, None)
        else:
            remember(state, "sent", answer.guid, entry)

    collector.stream.change(write)


def _receipt_of(entry: Any) -> Receipt | None:
    told = mapping(entry).get("receipt")
    if not told:
        return None
    external_id, url, at = told
    return Receipt(external_id, url, None if at is None else datetime.fromisoformat(at))
