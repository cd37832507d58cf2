"""Answers of the administration on VK: published by the `createComment` methods, found again among the comments.

`guid` is VK's own "unique identifier to avoid repeated comments" (schema 5.199, wall.createComment and its likes); how
long VK remembers one is nowhere said, so whoever tries again after a while looks first (`find`). VK's documents give no
limit of a comment's length either: `MAX_REPLY` is well below what is known to be taken.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from collectors.contract import (
    Blocked,
    CollectError,
    Declined,
    Gone,
    RateLimited,
    Unauthorised,
    Unavailable,
    Walk,
)
from collectors.vk_comments import VkTree, number_of
from collectors.vk_items import Target, clean, mapping, moment, rows, whole
from store.values import Answer, Comment, Post, Receipt

if TYPE_CHECKING:
    from collectors.vk import VkCollector

MAX_REPLY = 4096  # characters
SLACK = timedelta(days=1)  # our clock and VK's may differ; only for how far back one looks
_MENTION = re.compile(r"\[(?:id|club|public)\d+:bp-?\d+_\d+\|[^\]]*\],?\s*")
_NO_NAME = re.compile(r"[\[\]|\s]+")
_BY_HAND = "разместите ответ сами и укажите ссылку на него"


class VkReplies:
    """What the collector `vk` writes."""

    def __init__(self, vk: VkCollector) -> None:
        self._vk = vk
        self._me: int | None = None

    def send(self, answer: Answer) -> Receipt:
        target = _target(answer)
        method, params = self._call(answer, target)
        calls = self._vk.manners.calls
        try:
            made = self._vk.client.call(method, **params)
        except CollectError as e:
            refusal = _declined(e)
            if isinstance(refusal, Declined) and self._vk.manners.calls - calls > 1:
                # An earlier try got no answer: it may have been taken before comments were closed.
                raise Unavailable(f"не ясно, принят ли ответ ({refusal}); повторите позже", code=e.code) from None
            raise refusal from None
        number = whole(mapping(made).get("comment_id")) if isinstance(made, dict) else whole(made)
        if not number or number < 0:
            raise Unavailable("ВКонтакте не сказала номер размещённого ответа; повторите позже")
        return Receipt(target.comment_id(number), target.url(number))

    def find(self, answer: Answer, since: datetime, besides: Container[str]) -> Receipt | None:
        target = _target(answer)
        parent = None if answer.external_id == target.id else answer.external_id
        wanted = _words(answer.text)
        for one in self._near(answer, target, since - SLACK):
            if (
                one.author.id == answer.speaker.id
                and one.parent_id == parent
                and not one.deleted
                and one.external_id not in besides
                and _words(_MENTION.sub("", one.text, count=1) if target.kind == "topic" else one.text) == wanted
            ):
                return Receipt(one.external_id, one.url, one.published_at)
        return None

    # --- writing -----------------------------------------------------------------------------------------------------

    def _call(self, answer: Answer, target: Target) -> tuple[str, dict[str, Any]]:
        """The method that publishes and its parameters."""
        speaker = int(answer.speaker.id)
        asked = None if answer.external_id == target.id else number_of(answer.external_id)
        params: dict[str, Any] = {"message": answer.text, "guid": answer.guid}
        if asked is not None and target.kind != "topic":
            params["reply_to_comment"] = asked
        if speaker > 0:
            if speaker != self._owner_of_token():
                raise Declined(f"токен не владельца страницы {answer.speaker.url or speaker}; {_BY_HAND}")
        elif target.kind == "post":
            params["from_group"] = -speaker
        elif speaker == target.owner:
            params["from_group"] = 1
        else:
            raise Declined(f"ВКонтакте даёт отвечать здесь только от имени самой этой страницы; {_BY_HAND}")
        if target.kind == "topic":
            if asked is not None:
                params["message"] = _mention(answer, target, asked) + answer.text
            return "board.createComment", {"group_id": -target.owner, "topic_id": target.item, **params}
        section = "wall" if target.kind == "post" else target.kind + ("s" if target.kind == "photo" else "")
        return f"{section}.createComment", {"owner_id": target.owner, f"{target.kind}_id": target.item, **params}

    def _owner_of_token(self) -> int:
        if self._me is None:
            found = rows(self._vk.client.call("users.get"))
            self._me = (whole(found[0].get("id")) if found else None) or 0
        return self._me

    # --- looking -----------------------------------------------------------------------------------------------------

    def _near(self, answer: Answer, target: Target, since: datetime) -> Iterator[Comment]:
        """Comments among which an answer to this one would stand, newest first where VK sorts them so."""
        tree = VkTree(self._vk, answer.page, target)
        if target.kind in ("photo", "topic") or answer.external_id == target.id:
            yield from _level(tree, None, since)
            return
        threads = self._threads(target, number_of(answer.external_id)) if target.kind == "post" else None
        if threads is None:
            post = Post(answer.page.network, target.id, answer.page.id, kind=target.kind)
            for batch in self._vk.comments(answer.page, post, Walk(full=True)):
                yield from batch.comments
            return
        for under in threads:
            yield from _level(tree, target.comment_id(under), since)

    def _threads(self, target: Target, asked: int) -> list[int] | None:
        """The threads that an answer to `asked` may stand in; None when VK does not show the comment (any more)."""
        try:
            answer = mapping(self._vk.client.call("wall.getComment", owner_id=target.owner, comment_id=asked))
        except (Blocked, Gone):
            return None
        item = next(iter(rows(answer.get("items"))), None)
        if item is None or whole(item.get("id")) != asked:
            return None
        stack = item.get("parents_stack")
        return [asked, *(n for n in map(whole, reversed(stack if isinstance(stack, list) else ())) if n)]


def _target(answer: Answer) -> Target:
    target = Target.parse(answer.post_id)
    if target is None:
        raise Declined(f"не понятно, где отвечать: {clean(answer.post_id)[:60]}; {_BY_HAND}")
    return target


def _declined(e: CollectError) -> CollectError:
    """What VK says when it will not take a comment. Passing troubles and those of the token stay what they are."""
    if isinstance(e, RateLimited | Unavailable) or e.page_wide:
        return e
    if isinstance(e, Unauthorised) and e.code not in ("23", "27", "28"):
        return e
    why = "комментария, на который отвечают, больше нет (код 100)" if e.code == "100" else str(e)
    return Declined(f"ВКонтакте не приняла ответ: {why}; {_BY_HAND}", code=e.code)


def _level(tree: VkTree, under: str | None, since: datetime) -> Iterator[Comment]:
    level = tree.level(under, newest_first=True)
    for items in level:
        assert level.last is not None  # a page was read
        found = [tree.comment(raw, level.last.more, under) for raw in items]
        yield from found
        if all((at := moment(raw.get("date"))) is not None and at < since for raw in items):
            return


def _mention(answer: Answer, target: Target, asked: int) -> str:
    """Discussions are flat lists; VK's own pages write whom one answers into the text, as a link to the comment."""
    who = whole(int(answer.author.id)) if answer.author.id and re.fullmatch(r"-?\d+", answer.author.id) else None
    if not who:
        return ""
    name = _NO_NAME.sub(" ", clean(answer.author.name)).strip()[:80] or "Автор"
    return f"[{'id' if who > 0 else 'club'}{abs(who)}:bp{target.owner}_{asked}|{name}], "


def _words(text: str) -> str:
    """The text without what a network changes by itself: spaces and line ends."""
    return " ".join(clean(text).split())
