"""The black list of a VK community: `groups.ban` until a day, `groups.unban` before it.

Both need the token of a user who administers the community, with the right `groups` (VK schema 5.199: `user` tokens
only). The ban ends by itself at `end_date`. What VK answers where somebody is in the list already, or is not, is
nowhere said; here both are asked for as if it were so that the last word counts.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collectors.contract import CollectError, Declined, RateLimited, Unavailable

if TYPE_CHECKING:
    from collectors.vk_client import VkClient
    from store.values import Author, PageRef

REASONS = {"spam": 1, "advertising": 1, "insult": 2, "offtopic": 4}
"""Grounds of clause 10 -> VK's reasons: 0 other, 1 spam, 2 insults, 3 strong language, 4 off topic."""
_BY_HAND = "сделайте это сами в управлении сообществом"


def block(client: VkClient, page: PageRef, author: Author, until: datetime | None, ground: str) -> None:
    if not re.fullmatch(r"-\d{1,15}", page.id):
        raise Declined(f"страница {page.title or page.id} не сообщество, у неё нет чёрного списка; {_BY_HAND}")
    if author.id is None or not re.fullmatch(r"-?\d{1,15}", author.id):
        raise Declined("сеть не назвала автора")
    params: dict[str, Any] = {"group_id": -int(page.id), "owner_id": int(author.id)}
    try:
        if until is None:
            client.call("groups.unban", **params)
        else:
            end = {"end_date": int(until.timestamp()), "reason": REASONS.get(ground, 0)}
            client.call("groups.ban", **params, **end)
    except (RateLimited, Unavailable):
        raise
    except CollectError as e:
        raise Declined(f"ВКонтакте не выполнила это: {e}; {_BY_HAND}", code=e.code) from None
