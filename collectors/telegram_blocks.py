"""Who may not write in a channel's discussion group: `banChatMember` and `banChatSenderChat`, and their opposites.

A ban is for the group where the comments stand; the bot must be its administrator with the right to restrict members
(Bot API 10.1). Who writes as a channel is banned as a channel, for which Telegram knows no term. A term of more than
366 days or less than 30 seconds means "for ever" there: it is the program that lifts a ban when its term ends, and
`only_if_banned` keeps that from removing somebody who was let in again by hand. Nothing is deleted: `revoke_messages`
is not sent (in a supergroup Telegram takes it for True: the messages of who is banned may vanish from the group).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from collectors.contract import Blocked, CollectError, Declined, Gone, RateLimited, Stopped, Unauthorised, Unavailable
from collectors.telegram_client import Migrated

if TYPE_CHECKING:
    from collectors.telegram import TelegramCollector
    from store.values import Author, PageRef

_BY_HAND = "сделайте это сами в управлении группой"


def block(collector: TelegramCollector, page: PageRef, author: Author, until: datetime | None) -> None:
    who = author.id or ""
    if not re.fullmatch(r"-?\d{1,19}", who):
        raise Declined(f"Telegram не назвал автора; {_BY_HAND}")
    place = collector.place(page)
    if not place.group:
        raise Declined("у канала нет группы обсуждений, блокировать негде")
    method, params = _call(int(who), until)
    for _ in range(2):
        try:
            collector.client.call(method, chat_id=place.group, **params)
            return
        except Migrated as e:
            place = replace(place, group=e.chat)
        except (RateLimited, Unavailable, Stopped):
            raise
        except Unauthorised as e:
            if e.code != "403":
                raise
            raise Declined(f"{e}; {_BY_HAND}", code=e.code) from None
        except (Blocked, Gone) as e:
            raise Declined(f"{e}; {_BY_HAND}", code=e.code) from None
        except CollectError as e:
            raise Declined(f"Telegram не выполнил это: {e}; {_BY_HAND}", code=e.code) from None
    raise Declined(f"группа сменила номер дважды; {_BY_HAND}")


def _call(who: int, until: datetime | None) -> tuple[str, dict[str, int | bool]]:
    if who < 0:
        return ("unbanChatSenderChat" if until is None else "banChatSenderChat"), {"sender_chat_id": who}
    if until is None:
        return "unbanChatMember", {"user_id": who, "only_if_banned": True}
    return "banChatMember", {"user_id": who, "until_date": int(until.timestamp())}
