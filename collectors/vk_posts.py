"""VK's publications: the lists of a wall, photos, videos and discussions, and their counters of now.

Counters first: `wall.getById` (100 posts a call, 25 calls an `execute`) tells what changed, only that is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from collectors.contract import Blocked, CollectError, Gone, RateLimited, Unauthorised, Unavailable
from collectors.paging import OffsetWalk, Slice
from collectors.vk_client import VkClient
from collectors.vk_comments import comments_call, entries
from collectors.vk_items import (
    NETWORK,
    WORDS,
    Authors,
    Target,
    by_resident,
    mapping,
    photo_post,
    post_as_comment,
    rows,
    topic_post,
    video_post,
    wall_post,
    whole,
)
from store.values import Comment, PageRef, Post

PAGE = 100  # posts a call
PHOTOS = 1000
VIDEOS = 200
Raw = dict[str, Any]
Level = Callable[[int, int], Slice[Raw]]

GONE_CODES = frozenset({"15", "18", "100", "104", "204", "210"})
"""What VK may answer about the comments of a post that was deleted; only with a second sign it is called gone."""
_SECTIONS = {"photo": "фотографии", "video": "видео", "topic": "обсуждения"}


class VkPosts:
    """The publications of pages, seen with one token. Remembers which of them residents wrote."""

    def __init__(self, client: VkClient) -> None:
        self.client = client
        self._residents: dict[str, Comment | None] = {}  # wall post -> itself as a message, None for the page's own

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """Every kind that `page.include` names. A kind that can't be read comes as one `denied` post with the reason;
        a wall that can't be read raises, after the other kinds were yielded."""
        listings: dict[str, Callable[[PageRef, datetime | None], Iterator[Post]]] = {
            "posts": self._wall,
            "photos": self._photos,
            "videos": self._videos,
            "topics": self._topics,
        }
        wall_error: CollectError | None = None
        for include, listing in listings.items():
            if include not in page.include:
                continue
            kind = include[:-1]
            try:
                yield from listing(page, since)
            except CollectError as e:
                if not _section_only(e):
                    raise
                if kind == "post":
                    wall_error = e
                else:
                    yield self._denied(page, kind, e)
        if wall_error is not None:
            raise wall_error

    def _denied(self, page: PageRef, kind: str, e: CollectError) -> Post:
        return Post(
            network=NETWORK,
            id=f"{WORDS[kind]}{page.id}",
            page_id=page.id,
            kind=kind,
            url=page.url,
            denied=True,
            problem=f"{_SECTIONS[kind]}: {e}; или уберите {kind}s из include",
        )

    def _listing(
        self,
        fetch: Level,
        make: Callable[[Raw, PageRef], Post | None],
        page: PageRef,
        size: int,
        until: Callable[[list[Raw]], bool],
    ) -> Iterator[Post]:
        """Posts of one list, stopping after the page of the list for which `until` holds."""
        walk = OffsetWalk(fetch, lambda r: (r.get("owner_id"), r.get("id")), size=size)
        anything = False
        for batch in walk:
            for raw in batch:
                anything = True
                post = make(raw, page)
                if post is not None:
                    yield post
            if until(batch):
                return
        if not anything and walk.short:
            raise Blocked(f"ВКонтакте считает записей {walk.short}, но не показывает ни одной; проверьте права токена")
        if not walk.complete:
            raise Unavailable(f"список записей прочитан не весь: {walk.reason}; повторите позже")

    def _wall(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        def fetch(offset: int, count: int) -> Slice[Raw]:
            answer = mapping(
                self.client.call(
                    "wall.get", owner_id=int(page.id), filter="all", offset=offset, count=count, extended=1
                )
            )
            self._remember_residents(rows(answer.get("items")), page, Authors(answer))
            return _slice(answer)

        # A pinned post comes first whatever its age, so the last item tells how far back we are.
        yield from self._listing(fetch, wall_post, page, PAGE, lambda b: _older(b[-1].get("date"), since))

    def _remember_residents(self, items: Sequence[Raw], page: PageRef, authors: Authors) -> None:
        for raw in items:
            number = whole(raw.get("id"))
            if number:
                target = Target("post", int(page.id), number)
                own = not by_resident(raw, target.owner)
                self._residents[target.id] = None if own else post_as_comment(raw, target, page, authors)

    def _photos(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """Photos of all albums, the service ones (wall, profile) too; only `photos.get` tells comment counters."""
        self._probe(*_section_call(page, "photo"))
        answer = mapping(self.client.call("photos.getAlbums", owner_id=int(page.id), need_system=1))
        for album in rows(answer.get("items")):
            number = whole(album.get("id"))
            if number is None or album.get("size") == 0:
                continue
            yield from self._listing(
                self._album(page, number), photo_post, page, PHOTOS, lambda b: _older(b[-1].get("date"), since)
            )

    def _album(self, page: PageRef, album: int) -> Level:
        names = {-6: "profile", -7: "wall", -15: "saved"}

        def fetch(offset: int, count: int) -> Slice[Raw]:
            return _slice(
                self.client.call(
                    "photos.get",
                    owner_id=int(page.id),
                    album_id=names.get(album, str(album)),
                    rev=1,
                    extended=1,
                    offset=offset,
                    count=count,
                )
            )

        return fetch

    def _videos(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        def fetch(offset: int, count: int) -> Slice[Raw]:
            return _slice(self.client.call("video.get", owner_id=int(page.id), extended=1, offset=offset, count=count))

        yield from self._listing(fetch, video_post, page, VIDEOS, lambda b: _older(b[-1].get("date"), since))

    def _topics(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        if int(page.id) > 0:  # people have no discussions
            return

        def fetch(offset: int, count: int) -> Slice[Raw]:
            return _slice(
                self.client.call("board.getTopics", group_id=-int(page.id), order=1, offset=offset, count=count)
            )

        yield from self._listing(fetch, topic_post, page, PAGE, lambda b: _older(b[-1].get("updated"), since))

    def _probe(self, method: str, params: Mapping[str, Any]) -> None:
        """Is the method open to this token? What can be listed but not read is better known at once."""
        self.client.call(method, **params)

    # --- counters of now ---------------------------------------------------------------------------------------------

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        asks = {
            "post": self._ask_walls,
            "photo": self._ask_photos,
            "video": self._ask_videos,
            "topic": self._ask_topics,
        }
        for kind, ask in asks.items():
            some = [p for p in posts if p.kind == kind and Target.parse(p.id)]
            if not some:
                continue
            try:
                found = ask(page, some)
                missing = [p for p in some if p.id not in found]
                if missing:  # an answer may be cut or empty: ask again for these before they are called gone
                    found |= ask(page, missing)
                    missing = [p for p in missing if p.id not in found]
                found |= {p.id: p for p in self._confirm(page, missing)}
            except CollectError as e:
                if kind == "post" or not _section_only(e):
                    raise
                yield self._denied(page, kind, e)
                continue
            for post in some:
                yield found[post.id]

    def _confirm(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        """Posts that no list shows: gone only when their comments can't be reached either, but the section can.

        A page that was closed to us answers for each of its posts as if it were deleted.
        """
        open_kinds: set[str] = set()
        targets = [t for p in posts if (t := Target.parse(p.id))]
        answers = self.client.many([comments_call(t, None, "asc", 0, 1) for t in targets])
        for post, answer in zip(posts, answers, strict=True):
            if not isinstance(answer, CollectError):
                yield replace(post, counter=None)  # it is there, only its counter is not to be had
            elif answer.code in GONE_CODES:
                if post.kind not in open_kinds:
                    self._probe(*_section_call(page, post.kind))
                    open_kinds.add(post.kind)
                yield replace(post, gone=True)
            elif isinstance(answer, Blocked):
                yield replace(post, denied=True, problem=str(answer))
            else:
                raise answer

    def _ask_walls(self, page: PageRef, posts: Sequence[Post]) -> dict[str, Post]:
        chunks = [posts[i : i + PAGE] for i in range(0, len(posts), PAGE)]
        calls = [("wall.getById", {"posts": ",".join(p.id[4:] for p in chunk), "extended": 1}) for chunk in chunks]
        found: dict[str, Post] = {}
        for answer in self.client.many(calls):
            if isinstance(answer, CollectError):
                raise answer
            items = rows(answer.get("items")) if isinstance(answer, dict) else rows(answer)
            self._remember_residents(items, page, Authors(mapping(answer)))
            found |= {p.id: p for raw in items if (p := wall_post(raw, page))}
        return found

    def _ask_photos(self, page: PageRef, posts: Sequence[Post]) -> dict[str, Post]:
        names = [p.id.removeprefix("photo") for p in posts]
        chunks = [names[i : i + PAGE] for i in range(0, len(names), PAGE)]
        return self._collect(
            [("photos.getById", {"photos": ",".join(c), "extended": 1}) for c in chunks], photo_post, page
        )

    def _ask_videos(self, page: PageRef, posts: Sequence[Post]) -> dict[str, Post]:
        names = [p.id.removeprefix("video") for p in posts]
        chunks = [names[i : i + VIDEOS] for i in range(0, len(names), VIDEOS)]
        calls = [
            ("video.get", {"owner_id": int(page.id), "videos": ",".join(c), "count": VIDEOS, "extended": 1})
            for c in chunks
        ]
        return self._collect(calls, video_post, page)

    def _ask_topics(self, page: PageRef, posts: Sequence[Post]) -> dict[str, Post]:
        names = [p.id.rpartition("_")[2] for p in posts]
        chunks = [names[i : i + PAGE] for i in range(0, len(names), PAGE)]
        calls = [
            ("board.getTopics", {"group_id": -int(page.id), "topic_ids": ",".join(c), "count": PAGE}) for c in chunks
        ]
        return self._collect(calls, topic_post, page)

    def _collect(
        self, calls: list[tuple[str, Raw]], make: Callable[[Raw, PageRef], Post | None], page: PageRef
    ) -> dict[str, Post]:
        found: dict[str, Post] = {}
        for answer in self.client.many(calls):
            if isinstance(answer, CollectError):
                raise answer
            items = rows(answer.get("items")) if isinstance(answer, dict) else rows(answer)
            found |= {p.id: p for raw in items if (p := make(raw, page))}
        return found

    def resident(self, page: PageRef, target: Target) -> Comment | None:
        """The wall post as a message, when a resident wrote it."""
        if target.kind != "post":
            return None
        if target.id not in self._residents:
            self.counter(page, target)
        return self._residents.get(target.id)

    def counter(self, page: PageRef, target: Target) -> int | None:
        """The counter of one post as of now; Gone when it is deleted."""
        post = Post(NETWORK, target.id, page.id, target.kind)
        for fresh in self.refresh(page, [post]):
            if fresh.gone:
                raise Gone("запись удалена", code=104)
            if fresh.id == target.id:
                return fresh.counter
        return None

    def is_gone(self, page: PageRef, target: Target) -> bool:
        """No list shows the post, and its comments can't be reached."""
        try:
            return any(p.gone for p in self.refresh(page, [Post(NETWORK, target.id, page.id, target.kind)]))
        except CollectError:
            return False


def _section_call(page: PageRef, kind: str) -> tuple[str, Raw]:
    """A small call that is answered only when posts of this kind are open to us."""
    owner = int(page.id)
    if kind == "photo":
        return "photos.getAllComments", {"owner_id": owner, "count": 1}
    if kind == "video":
        return "video.get", {"owner_id": owner, "count": 1}
    if kind == "topic":
        return "board.getTopics", {"group_id": -owner, "count": 1}
    return "wall.get", {"owner_id": owner, "filter": "all", "count": 1}


def _slice(answer: Any) -> Slice[Raw]:
    answer = mapping(answer)
    return Slice(entries(answer.get("items")), whole(answer.get("count")), answer)


def _older(date: Any, since: datetime | None) -> bool:
    seconds = whole(date)
    return since is not None and seconds is not None and seconds < since.timestamp()


def _section_only(e: CollectError) -> bool:
    """Does the error speak of one section of the page (wall, photos…), so that the others may still be read?"""
    if e.page_wide or isinstance(e, RateLimited):
        return False
    return isinstance(e, Blocked) or (isinstance(e, Unauthorised) and e.code in ("27", "28"))
