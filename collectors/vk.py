"""The VK collector: walls, photos, videos and discussions of a page, every comment and reply under them.

Counters first: `wall.getById` (100 posts a call, 25 calls an `execute`) tells what changed, only that is paged. Threads
come ten replies deep with their comment (`thread_items_count`), longer ones are paged by `comment_id`, to any depth.

A post that a resident wrote on the page's wall is itself a message to the administration: it is yielded as the first
comment of its own discussion (external id = the post's id, no parent) and counted, so `Post.counter` and
`Walk.counter` of such a post are the network's number plus one.

What no source confirms is treated as either way (specs: networks.md): whether a counter includes replies or stubs,
whether stubs bear an author, how deep threads go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from collectors.contract import (
    Batch,
    Blocked,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Gone,
    RateLimited,
    Unauthorised,
    Unavailable,
    Walk,
)
from collectors.paging import OffsetWalk, Slice
from collectors.vk_client import VkClient
from collectors.vk_items import (
    NETWORK,
    SITE,
    WORDS,
    Authors,
    Target,
    by_resident,
    clean,
    comment,
    mapping,
    photo_post,
    post_as_comment,
    rows,
    topic_post,
    video_post,
    wall_post,
    whole,
)
from settings import ConfigError
from store.values import Comment, Outcome, PageRef, Post

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Network
    from settings import Page as PageSettings

PAGE = 100  # comments or posts a call
SHOWN = 10  # replies that come with their comment: the most VK gives
PHOTOS = 1000
VIDEOS = 200
Raw = dict[str, Any]
Level = Callable[[int, int], Slice[Raw]]

_HOSTS = {"vk.com", "vk.ru", "m.vk.com", "m.vk.ru", "www.vk.com", "www.vk.ru", "vkontakte.ru"}
_NUMBERED = re.compile(r"(club|public|event|id)(\d+)", re.IGNORECASE)
_SCREEN_NAME = re.compile(r"[A-Za-z0-9_.]{2,64}")
_LINKED = re.compile(r"(wall|photo|video|topic|board|album|albums|videos|photos)(-?\d+)(?:_\d+)?")
_GONE_CODES = frozenset({"15", "18", "100", "104", "204", "210"})
"""What VK may answer about the comments of a post that was deleted; only with a second sign it is called gone."""
_RIGHTS = {"photos": 4, "video": 16, "wall": 8192, "groups": 262144}
"""Bits of account.getAppPermissions that reading needs (vk_api's VkUserPermissions says the same)."""
MAX_DRIFT = 60.0  # seconds our clock may differ from VK's
_SECTIONS = {"photo": "фотографии", "video": "видео", "topic": "обсуждения"}


class VkCollector(Collector):
    """VK through its official API 5.199."""

    network = NETWORK
    title = "ВКонтакте"
    api = "https://api.vk.ru/method/"
    hosts = frozenset({"api.vk.ru", "api.vk.com"})
    requests_per_second = 3.0
    capabilities = Capabilities(counters=True, replies=True, edits=True, deletions=True)

    def __init__(self, config: Network, manners: Manners) -> None:
        super().__init__(config, manners)
        self.client = VkClient(manners)
        self._ahead: dict[tuple[str, str], Any] = {}  # (post, order) -> its first page of comments, read ahead
        self._residents: dict[str, Comment | None] = {}  # wall post -> itself as a message, None for the page's own

    # --- pages -------------------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        name = page_name(page.id)
        owner = owner_id(name)
        if owner is None:
            owner = self._by_screen_name(name, page.id)
        title, screen = self._describe(owner, page.id)
        return PageRef(
            network=NETWORK,
            id=str(owner),
            title=page.title or title,
            url=f"{SITE}{screen or (f'club{-owner}' if owner < 0 else f'id{owner}')}",
            owner=page.owner,
            include=tuple(page.include),
        )

    def _by_screen_name(self, name: str, given: str) -> int:
        missing = Gone(f"страницы ВКонтакте {clean(given)[:100]} нет; проверьте адрес в браузере", code=104)
        try:
            found = self.client.call("utils.resolveScreenName", screen_name=name)
        except Gone:
            raise missing from None
        number = whole(mapping(found).get("object_id")) or whole(mapping(found).get("group_id"))
        kind = mapping(found).get("type")
        if not number:
            raise missing
        if kind in ("group", "page", "event"):
            return -number
        if kind == "user":
            return number
        raise Gone(f"{clean(given)[:100]} во ВКонтакте не страница и не сообщество, а {clean(kind)[:40]}", code=104)

    def _describe(self, owner: int, given: str) -> tuple[str, str]:
        """(title, screen name) of a community or a person; Blocked when it is banned or deleted."""
        what = clean(given)[:100]
        try:
            if owner < 0:
                answer = self.client.call("groups.getById", group_id=-owner)
                found = rows(answer.get("groups")) if isinstance(answer, dict) else rows(answer)
            else:
                found = rows(self.client.call("users.get", user_ids=owner, fields="screen_name"))
        except CollectError as e:
            if e.code in ("100", "113", "125", "40", "39"):
                raise Gone(f"страницы ВКонтакте {what} нет; проверьте её номер", code=e.code) from None
            raise
        if not found:
            raise Gone(f"страницы ВКонтакте {what} нет; проверьте её номер", code=104)
        one = found[0]
        if one.get("deactivated"):
            raise Blocked(f"страница ВКонтакте {what} удалена или заблокирована", code=18, page_wide=True)
        name = " ".join(filter(None, (clean(one.get("first_name")), clean(one.get("last_name")))))
        return clean(one.get("name")) or name, clean(one.get("screen_name"))

    def server_time(self) -> datetime:
        seconds = whole(self.client.call("utils.getServerTime"))
        if not seconds or not 0 < seconds < 2**40:
            raise Unavailable("ВКонтакте не сказала время; повторите позже")
        return datetime.fromtimestamp(seconds, UTC)

    # --- posts -------------------------------------------------------------------------------------------------------

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
            elif answer.code in _GONE_CODES:
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

    # --- comments ----------------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        target = Target.parse(post.id)
        if target is None:
            walk.complete, walk.counter = True, 0
            return
        try:
            yield from _Reading(self, page, post, target, walk).run()
        except CollectError as e:
            if isinstance(e, Unauthorised) and e.code in ("27", "28") and post.kind != "post":
                raise Blocked(str(e), code=e.code) from None  # the token reads other kinds of posts
            # One answer is not enough to call a post deleted: its comments would be marked as deleted too.
            if (e.code in _GONE_CODES or isinstance(e, Gone)) and self._is_gone(page, target):
                raise Gone("запись удалена", code=104) from None
            if isinstance(e, Gone):
                raise Unavailable(str(e), code=e.code) from None
            raise

    def prefetch(self, page: PageRef, posts: Sequence[tuple[Post, bool]]) -> None:
        """The first pages of up to 25 posts in one `execute`; each is a slice as good as a call of its own brings."""
        self._ahead.clear()
        wanted = [(t, _order(full)) for post, full in posts if (t := Target.parse(post.id))]
        if len(wanted) < 2 or not self.client.may_execute:
            return
        answers = self.client.many([comments_call(t, None, order, 0, PAGE) for t, order in wanted])
        for (target, order), answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, CollectError):
                self._ahead[target.id, order] = answer

    def ahead(self, target: Target, order: str) -> Any:
        """What `prefetch` brought for this walk, once; None when nothing."""
        return self._ahead.pop((target.id, order), None)

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

    def _is_gone(self, page: PageRef, target: Target) -> bool:
        """No list shows the post, and its comments can't be reached."""
        try:
            return any(p.gone for p in self.refresh(page, [Post(NETWORK, target.id, page.id, target.kind)]))
        except CollectError:
            return False

    # --- doctor ------------------------------------------------------------------------------------------------------

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        """Token and its kind, rights, clock, then each page."""
        try:
            kind, rights = self._token_kind()
        except CollectError as e:
            yield Check("токен ВКонтакте", False, str(e), "получите токен заново (README, «Токен ВКонтакте»)")
            return
        if kind == "group":
            yield Check(
                "токен ВКонтакте",
                False,
                "действует, но это ключ сообщества: комментарии он не читает",
                "нужен токен пользователя, который управляет страницей, или сервисный ключ приложения",
            )
        elif kind == "service":
            advice = "для фотографий и видео нужен токен пользователя; иначе уберите photos и videos из include"
            yield Check("токен ВКонтакте", True, "сервисный ключ: читает стену и обсуждения, по одному запросу", advice)
        else:
            yield Check("токен ВКонтакте", True, "токен пользователя")
        yield from self._check_rights(kind, rights)
        yield self._check_clock()
        for page in pages:
            yield self._check_page(page)

    def _token_kind(self) -> tuple[str, list[str] | None]:
        """("group" | "service" | "user", names of its rights or None); raises when the token is no good."""
        try:
            answer = self.client.call("groups.getTokenPermissions")
            return "group", [clean(r.get("name")) for r in rows(mapping(answer).get("permissions"))]
        except CollectError as e:
            if isinstance(e, RateLimited | Unavailable) or e.page_wide:
                raise
            # Not a community's: whatever the code was, the next question tells the rest.
        try:
            self.client.call("execute", code="return 1;")
        except CollectError as e:
            if e.code == "28":
                return "service", None
            raise
        return "user", None

    def _check_rights(self, kind: str, rights: list[str] | None) -> Iterator[Check]:
        name = "права токена"
        if kind == "service":
            return
        if kind == "group":
            yield Check(name, None, ", ".join(rights or ()) or "прав нет")
            return
        try:
            mask = whole(self.client.call("account.getAppPermissions"))
        except CollectError as e:
            if isinstance(e, Unauthorised | RateLimited) or e.page_wide:
                raise
            mask = None
        if mask is None:
            yield Check(name, None, "ВКонтакте не сказала, какие права у токена")
            return
        missing = [right for right, bit in _RIGHTS.items() if not mask & bit]
        if missing:
            yield Check(name, False, f"нет прав: {', '.join(missing)}", "получите токен с этими правами")
        else:
            yield Check(name, True, ", ".join(_RIGHTS))

    def _check_clock(self) -> Check:
        try:
            drift = (datetime.now(UTC) - self.server_time()).total_seconds()
        except CollectError as e:
            return Check("часы", None, str(e))
        ok = abs(drift) < MAX_DRIFT
        return Check(
            "часы", ok, f"расхождение с ВКонтакте {drift:+.0f} с", "" if ok else "включите синхронизацию времени (NTP)"
        )

    def _check_page(self, page: PageRef) -> Check:
        name = f"страница {page.title or page.id}"
        try:
            answer = mapping(self.client.call("wall.get", owner_id=int(page.id), filter="all", count=1))
        except CollectError as e:
            return Check(name, False, str(e), "откройте страницу в браузере под владельцем токена")
        return Check(name, True, f"{page.url or page.id}, записей на стене: {whole(answer.get('count')) or 0}")


# --- one walk --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reading:
    """One walk over the comments of one post.

    Full walks read oldest first, to the end. Others read newest first and stop once they have met what is stored,
    nothing stored is missing on the way, and stored plus new makes the counter; else they read everything as well.
    What a counter can't tell (one reply more in an old thread, another comment less) waits for the next full walk.
    """

    vk: VkCollector
    page: PageRef
    post: Post
    target: Target
    walk: Walk
    seen: dict[int, bool] = field(default_factory=dict)  # comment -> live
    top: list[int] = field(default_factory=list)
    entered: set[int] = field(default_factory=set)  # comments whose thread was read by itself
    skipped: dict[int, int] = field(default_factory=dict)  # threads taken for unchanged -> their length
    short: int = 0
    problems: list[str] = field(default_factory=list)
    count: int | None = None
    bonus: int = 0
    _below: dict[str, int] = field(default_factory=dict)

    def run(self) -> Iterator[Batch]:
        first = self.vk.resident(self.page, self.target)
        if first is not None:
            self.bonus = 1
            yield Batch([first])
        tail = not self.walk.full
        order = _order(self.walk.full)
        level = self._level(None, order)
        ahead = self.vk.ahead(self.target, order)
        for attempt in (1, 2):
            start = self._slice(ahead) if ahead is not None and attempt == 1 else None
            top = OffsetWalk(level, _id, size=PAGE, first=start)
            for items in top:
                answer = top.last.more if top.last else {}
                self.count = whole(answer.get("count"))
                self.top += [i["id"] for i in items]
                yield from self._take(items, None, Authors(answer), tail)
                if tail and self._accounted(items):
                    self._finish_tail()
                    return
            if top.last is not None:
                self.count = whole(mapping(top.last.more).get("count"))
            if self.seen or attempt == 2 or not self._promised():
                break
        if not top.complete:
            self.problems.append(top.reason or "список комментариев прочитан не весь")
        self.short += top.short
        if self.skipped and not self._balanced():
            yield from self._threads(list(self.skipped))
            self.skipped.clear()
        yield from self._finish()

    # --- reading -----------------------------------------------------------------------------------------------------

    def _level(self, under: int | None, sort: str) -> Level:
        def fetch(offset: int, count: int) -> Slice[Raw]:
            method, params = comments_call(self.target, under, sort, offset, count)
            return self._slice(self.vk.client.call(method, **params))

        return fetch

    def _slice(self, answer: Any) -> Slice[Raw]:
        """`count` may include replies; where there are threads only `current_level_count` measures the level."""
        answer = mapping(answer)
        flat = self.target.kind in ("photo", "topic")
        total = whole(answer.get("count" if flat else "current_level_count"))
        return Slice(_items(answer.get("items")), total, answer)

    def _take(self, items: Sequence[Raw], under: int | None, authors: Authors, tail: bool) -> Iterator[Batch]:
        """What is new among `items` and the replies that came with them; then the threads that did not come whole."""
        found: list[Comment] = []
        enter: list[int] = []
        stack = [(i, under) for i in reversed(items)]
        while stack:
            raw, above = stack.pop()
            number = raw["id"]
            if number not in self.seen:
                c = comment(raw, self.target, self.page, authors, above)
                self.seen[number] = not c.deleted
                found.append(c)
            thread = mapping(raw.get("thread"))
            replies = _items(thread.get("items"))
            length = whole(thread.get("count")) or 0
            stack.extend((r, number) for r in reversed(replies))
            if number in self.entered or (length <= len(replies) < SHOWN):
                continue
            if tail and length == self._known_below(number):
                self.skipped[number] = length
            else:
                enter.append(number)
        if found:
            yield Batch(found)
        yield from self._threads(enter)

    def _threads(self, numbers: Sequence[int]) -> Iterator[Batch]:
        numbers = [n for n in numbers if n not in self.entered]
        self.entered.update(numbers)
        asks = [comments_call(self.target, n, "asc", 0, PAGE) for n in numbers]
        for number, answer in zip(numbers, self.vk.client.many(asks), strict=True):
            if isinstance(answer, CollectError):
                if isinstance(answer, RateLimited | Unauthorised):
                    raise answer
                self.problems.append(f"ответы на комментарий {number} не прочитаны: {answer}")
                continue
            thread = OffsetWalk(self._level(number, "asc"), _id, size=PAGE, first=self._slice(answer))
            try:
                for items in thread:
                    yield from self._take(items, number, Authors(thread.last.more if thread.last else {}), False)
            except Gone:
                self.problems.append(f"комментарий {number} исчез во время чтения")
                continue
            self.short += thread.short
            if not thread.complete:
                self.problems.append(f"ответы на комментарий {number}: {thread.reason}")

    # --- judging -----------------------------------------------------------------------------------------------------

    def _known_below(self, number: int) -> int:
        """How many live stored replies hang below comment `number`, at any depth."""
        if not self._below:
            for known in self.walk.known.values():
                if known.deleted:
                    continue
                above, hops = known.parent_id, 0
                while above is not None and hops < 1000:
                    self._below[above] = self._below.get(above, 0) + 1
                    parent = self.walk.known.get(above)
                    above, hops = (parent.parent_id if parent else None), hops + 1
        return self._below.get(self.target.comment_id(number), 0)

    def _fresh(self) -> int:
        """Live comments seen that the store does not have."""
        known = self.walk.known
        return sum(
            1
            for number, live in self.seen.items()
            if live and ((k := known.get(self.target.comment_id(number))) is None or k.deleted)
        )

    def _live(self) -> int:
        """Comments that should be there now: stored ones (the post itself apart) and new ones."""
        itself = self.target.id in self.walk.known and self.bonus
        return self.walk.live - (1 if itself else 0) + self._fresh()

    def _balanced(self) -> bool:
        return self.count is not None and self._live() == self.count - _beyond(self.walk.cursor)

    def _accounted(self, items: Sequence[Raw]) -> bool:
        """May a walk from the newest stop here? It has met what is stored, nothing stored is missing, sums agree."""
        known = self.walk.known
        reached = self.target.comment_id(items[-1]["id"]) in known
        return reached and self._balanced() and not self._vanished(items[-1]["id"])

    def _vanished(self, down_to: int) -> bool:
        """Some stored top-level comment, newer than the last one read, was not among those read."""
        for external_id, k in self.walk.known.items():
            if k.deleted or k.parent_id is not None or external_id == self.target.id:
                continue
            number = int(external_id.rpartition("_")[2])
            if number > down_to and not self.seen.get(number, False):
                return True
        return False

    def _promised(self) -> int:
        return max(self.count or 0, (self.post.counter or 0) - self.bonus)

    def _finish_tail(self) -> None:
        self.walk.complete = True
        self.walk.exhaustive = False
        self.walk.counter = (self.count or 0) + self.bonus
        self.walk.stubs = 0

    def _finish(self) -> Iterator[Batch]:
        walk = self.walk
        live = sum(self.seen.values())
        walk.stubs = len(self.seen) - live
        total = len(self.seen) + self.bonus
        counted = None if self.count is None else self.count + self.bonus
        now = self.post.counter
        if counted != now:
            # Drift between two calls, or two counters of different meaning? Asking again tells.
            now = self.vk.counter(self.page, self.target)
        if counted is not None and now == counted:
            walk.counter = counted
        else:
            walk.counter = self.post.counter if self.post.counter is not None else counted
        missing = max(counted or 0, now or 0) - total if not self.skipped else 0
        if missing > 0 or self.short:
            walk.counter = max(walk.counter or 0, total + max(missing, self.short))
        if not self.seen and missing > 0:
            walk.outcome = Outcome.blocked
            walk.problem = f"ВКонтакте считает комментариев {missing}, но не показывает ни одного"
            return
        if self.problems:
            walk.outcome = Outcome.partial
            walk.problem = "; ".join(self.problems[:3])
            return
        walk.complete = True
        walk.exhaustive = self.count is not None and not self.skipped and missing <= 0 and not self.short
        if walk.exhaustive and self.count is not None:
            yield Batch((), cursor=json.dumps({"beyond": self.count - live}))


def _beyond(cursor: str | None) -> int:
    """How many more than the live ones the counter counted after the last exhaustive walk (stubs; less: no replies)."""
    try:
        return int(json.loads(cursor or "{}").get("beyond", 0))
    except (ValueError, TypeError, AttributeError):
        return 0


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


# --- small things ----------------------------------------------------------------------------------------------------


def _order(full: bool) -> str:
    return "asc" if full else "desc"


def _id(raw: Raw) -> int:
    return raw["id"]


def _items(value: Any) -> list[Raw]:
    """Comments or posts of an answer that have an id; the rest can't be told apart and is left out."""
    return [r for r in rows(value) if whole(r.get("id"))]


def _slice(answer: Any) -> Slice[Raw]:
    answer = mapping(answer)
    return Slice(_items(answer.get("items")), whole(answer.get("count")), answer)


def _older(date: Any, since: datetime | None) -> bool:
    seconds = whole(date)
    return since is not None and seconds is not None and seconds < since.timestamp()


def _section_only(e: CollectError) -> bool:
    """Does the error speak of one section of the page (wall, photos…), so that the others may still be read?"""
    if e.page_wide or isinstance(e, RateLimited):
        return False
    return isinstance(e, Blocked) or (isinstance(e, Unauthorised) and e.code in ("27", "28"))


def page_name(given: str) -> str:
    """The last part of an address, or the name itself: "https://m.vk.com/club1?w=wall-1_2" -> "club1"."""
    text = given.strip()
    if re.match(r"(?:https?:)?//", text) or re.match(r"[\w.]+\.(?:com|ru)/", text):
        parts = urlsplit(text if "//" in text else f"//{text}")
        if (parts.hostname or "") not in _HOSTS:
            raise ConfigError(f"{clean(text)[:100]} не адрес ВКонтакте; укажите адрес вида https://vk.com/имя")
        text = parts.path.strip("/").split("/")[0]
        if text.lower() in ("", "feed", "wall"):  # a post opened over something else
            text = (parse_qs(parts.query).get("w") or [""])[0]
    return text.lstrip("@").strip()


def owner_id(name: str) -> int | None:
    """ "club5", "public5", "event5", "-5", "5" -> -5; "id5" -> 5; None for a screen name; ConfigError for nonsense."""
    if m := _NUMBERED.fullmatch(name):
        return int(m[2]) if m[1].lower() == "id" else -int(m[2])
    if m := _LINKED.fullmatch(name):
        return -int(m[2]) if m[1] == "board" else int(m[2])
    if re.fullmatch(r"-?\d{1,18}", name):
        return -abs(int(name))
    if not _SCREEN_NAME.fullmatch(name):
        raise ConfigError(
            f"{clean(name)[:100] or 'пустой id'} не похоже на страницу ВКонтакте; укажите адрес, короткое имя или номер"
        )
    return None
