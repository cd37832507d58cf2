"""How VK shows the comments of a wall post, a photo, a video or a discussion (`collectors/reading.py` reads them).

Threads come ten replies deep with their comment (`thread_items_count`), longer ones are paged by `comment_id`, to any
depth. What no source confirms is treated as either way (specs: networks.md): whether a counter includes replies or
stubs, whether stubs bear an author, how deep threads go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from collectors.contract import CollectError
from collectors.paging import OffsetWalk, Slice
from collectors.reading import NO_THREAD, Level, Thread, Tree
from collectors.vk_items import Authors, Target, comment, mapping, rows, whole
from store.values import Comment, PageRef

if TYPE_CHECKING:
    from collectors.vk import VkCollector

PAGE = 100  # comments a call
SHOWN = 10  # replies that come with their comment: the most VK gives
Raw = dict[str, Any]


class Came(NamedTuple):
    """What came with a page of comments. `count` may include replies, unlike the level's own total."""

    count: int | None
    authors: Authors


class VkTree(Tree[Raw]):
    """The comments under `target`, seen by `vk`."""

    title = "ВКонтакте"

    def __init__(self, vk: VkCollector, page: PageRef, target: Target) -> None:
        self._vk = vk
        self._page = page
        self._target = target
        self._flat = target.kind in ("photo", "topic")
        self._prefix = target.comment_id(0)[:-1]

    def level(self, under: str | None, newest_first: bool) -> Level[Raw]:
        order = order_of(newest_first)
        ahead = self._vk.ahead(self._target, order) if under is None else None
        return self._walk(under, order, ahead)

    def threads(self, under: Sequence[str]) -> Iterator[Level[Raw] | CollectError]:
        asks = [comments_call(self._target, number_of(one), "asc", 0, PAGE) for one in under]
        for one, answer in zip(under, self._vk.client.many(asks), strict=True):
            yield answer if isinstance(answer, CollectError) else self._walk(one, "asc", answer)

    def _walk(self, under: str | None, order: str, first: Any) -> OffsetWalk[Raw]:
        above = None if under is None else number_of(under)

        def fetch(offset: int, count: int) -> Slice[Raw]:
            method, params = comments_call(self._target, above, order, offset, count)
            return self._slice(self._vk.client.call(method, **params))

        return OffsetWalk(fetch, _id, size=PAGE, first=None if first is None else self._slice(first))

    def _slice(self, answer: Any) -> Slice[Raw]:
        answer = mapping(answer)
        count = whole(answer.get("count"))
        total = count if self._flat else whole(answer.get("current_level_count"))
        return Slice(entries(answer.get("items")), total, Came(count, Authors(answer)))

    def key(self, raw: Raw) -> str:
        return f"{self._prefix}{int(raw['id'])}"

    def comment(self, raw: Raw, more: Came, under: str | None) -> Comment:
        return comment(raw, self._target, self._page, more.authors, None if under is None else number_of(under))

    def thread(self, raw: Raw) -> Thread:
        thread = raw.get("thread")
        if not isinstance(thread, dict):
            return NO_THREAD
        items, count = thread.get("items"), whole(thread.get("count")) or 0
        if not items and not count:  # nearly always
            return NO_THREAD
        replies = entries(items)
        return Thread(replies, count, count <= len(replies) < SHOWN)

    def first(self) -> Comment | None:
        return self._vk.listed.resident(self._page, self._target)

    def total(self, more: Came | None) -> int | None:
        return more.count if more is not None else None

    def counter(self) -> int | None:
        return self._vk.listed.counter(self._page, self._target)

    def order(self, external_id: str) -> int | None:
        try:
            return number_of(external_id)
        except ValueError:  # a comment that the store was told to forget: its id is not kept
            return None


def number_of(external_id: str) -> int:
    """ "wall-1_5" -> 5."""
    return int(external_id.rpartition("_")[2])


def order_of(newest_first: bool) -> str:
    return "desc" if newest_first else "asc"


def entries(value: Any) -> list[Raw]:
    """Comments or posts of an answer that have an id; the rest can't be told apart and is left out."""
    return [r for r in rows(value) if whole(r.get("id"))]


def _id(raw: Raw) -> int:
    return raw["id"]


def comments_call(t: Target, under: int | None, sort: str, offset: int, count: int) -> tuple[str, Raw]:
    """The call that reads `count` comments of a level: the top one, or the thread under comment `under`."""
    params: Raw = {"sort": sort, "offset": offset, "count": count, "extended": 1}
    if t.kind == "topic":
        return "board.getComments", {"group_id": -t.owner, "topic_id": t.item, **params}
    if t.kind == "photo":
        return "photos.getComments", {"owner_id": t.owner, "photo_id": t.item, **params}
    params |= {"owner_id": t.owner, "thread_items_count": SHOWN}
    if under is not None:
        params["comment_id"] = under
    if t.kind == "video":
        return "video.getComments", {"video_id": t.item, **params}
    return "wall.getComments", {"post_id": t.item, **params}
