"""Odnoklassniki: topics, photos and videos of a group, every comment under them, by the REST API of apiok.ru.

No machine-readable description is published; what no source confirms is read either way or is an option
(docs/ok-youtube-rutube.md): names of fields, counters that count removed comments, stubs, the order of a page. A
discussion has no id of its own: it is a type and an object's id, so a post is "GROUP_TOPIC:158000111" here, a comment
"GROUP_TOPIC:158000111:MTc2…". Comments are one flat list by anchors; a reply names its parent. A topic that a resident
wrote in the group is itself a message: the first comment of its own discussion, counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collectors.contract import (
    Batch,
    Blocked,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Gone,
    Prices,
    RateLimited,
    Unauthorised,
    Unavailable,
    Walk,
    page_check,
)
from collectors.json_api import clock_check
from collectors.ok_client import OkClient, discussion, has, listed, scalar
from collectors.ok_items import (
    NETWORK,
    SITE,
    TYPES,
    Raw,
    attachment,
    author,
    count_of,
    id_of,
    media_post,
    page_name,
    removed,
    time_of,
    url_of,
)
from collectors.paging import CursorWalk, Slice
from collectors.raw import clean, mapping, rows
from collectors.reading import Level, Reading, Tree
from store.values import Author, Comment, PageRef, Post

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import OkNetwork
    from settings import Page as PageSettings

COMMENTS = 100  # a call
TOPICS = 50
_WORDS = {"photo": "фотографии", "video": "видео"}


class OkCollector(Collector):
    """Odnoklassniki through the REST API."""

    network = NETWORK
    title = "Одноклассники"
    api = "https://api.ok.ru/"
    hosts = frozenset({"api.ok.ru"})
    requests_per_second = 1.0
    capabilities = Capabilities(
        counters=True,
        replies=True,
        edits=True,
        deletions=True,
        cost="бесплатно; сколько запросов можно, не объявлено, берётся один в секунду",
        note="нужно приложение с правами VALUABLE_ACCESS и GROUP_CONTENT; отвечать приходится вручную",
    )
    prices = Prices(posts=TOPICS, counters=TOPICS, comments=COMMENTS)

    def __init__(self, config: OkNetwork, manners: Manners) -> None:
        super().__init__(config, manners)
        self.client = OkClient(config, manners)
        self.call = self.client.call
        self._comment_fields, self._topic_fields = config.comment_fields, config.topic_fields
        self._own = set(config.own_ids)
        self._residents: dict[str, Comment | None] = {}  # topic -> itself as a message, None for the group's own

    # --- pages -------------------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        name = page_name(page.id)
        if not name.isdigit():
            found = mapping(self.call("url.getInfo", lambda d: isinstance(d, dict) and "type" in d, url=SITE + name))
            if found.get("type") not in ("GROUP", "group") or not (number := id_of(found, "objectIdStr", "objectId")):
                raise Gone(f"{clean(page.id)[:100]} в Одноклассниках не группа; укажите адрес группы", code=300)
            name = number
        group = self._group(name)
        if group is None:
            raise Gone(f"группы {clean(page.id)[:100]} в Одноклассниках нет; проверьте адрес в браузере", code=300)
        title = page.title or clean(group.get("name"))
        return PageRef(NETWORK, name, title, f"{SITE}group/{name}", page.owner, tuple(page.include))

    def _group(self, number: str) -> Raw | None:
        found = rows(self.call("group.getInfo", listed, uids=number, fields="uid,name,shortname,private"))
        return next((g for g in found if id_of(g, "uid", "id") == number), None)

    def server_time(self) -> datetime:
        return self.client.api.server_time(lambda: self.call("users.getLoggedInUser", scalar))

    # --- posts -------------------------------------------------------------------------------------------------------

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        failed: CollectError | None = None
        for kind, listing in (("post", self._topics), ("photo", self._photos), ("video", self._videos)):
            if f"{kind}s" not in page.include:
                continue
            try:
                yield from listing(page, since)
            except CollectError as e:
                if e.page_wide or isinstance(e, RateLimited) or (isinstance(e, Unauthorised) and kind == "post"):
                    raise
                if kind == "post":
                    failed = e
                else:  # unconfirmed methods, or no right to this section: the topics are read all the same
                    problem = f"{_WORDS[kind]}: {e}; или уберите {kind}s из include"
                    yield Post(
                        NETWORK, f"{TYPES[kind]}:{page.id}", page.id, kind, url=page.url, denied=True, problem=problem
                    )
        if failed is not None:
            raise failed

    def _list(
        self, method: str, key: str, since: datetime | None, make: Callable[[Raw], Post | None], **more: Any
    ) -> Iterator[Post]:
        """Posts of one list by anchors, back to `since`; a pinned one says nothing of how far back the list is."""
        walk = CursorWalk(self._anchored(method, key, more), lambda r: id_of(r, "id", "object_id"))
        for batch in walk:
            posts = [p for raw in batch if (p := make(raw))]
            yield from posts
            ages = [p.published_at for p in posts if p.published_at is not None and not p.pinned]
            if since is not None and ages and min(ages) < since:
                return
        if not walk.complete:
            raise Unavailable(f"список публикаций прочитан не весь: {walk.reason}; повторите позже")

    def _anchored(
        self, method: str, key: str, params: Mapping[str, Any]
    ) -> Callable[[str | None], tuple[Slice[Raw], str | None]]:
        """`fetch` of a list that goes on by `anchor` while `has_more`."""

        def fetch(anchor: str | None) -> tuple[Slice[Raw], str | None]:
            data = mapping(self.call(method, has(key), anchor=anchor, **params))
            items = [r for r in rows(data.get(key)) if id_of(r, "id", "object_id")]
            more, following = data.get("has_more", data.get("hasMore")), clean(data.get("anchor")) or None
            more = more if more is None else more in (True, 1, "true", "1")
            if more is True and following is None:
                raise Unavailable("Одноклассники обрывают список на середине; повторите позже")
            return Slice(items, None, data), following if more is True or (more is None and items) else None

        return fetch

    def _topics(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        return self._list(
            "mediatopic.getTopics", "media_topics", since, lambda r: self._topic(r, page), gid=page.id, count=TOPICS,
            fields=self._topic_fields,
        )  # fmt: skip

    def _photos(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        return self._list(
            "photos.getPhotos", "photos", since, lambda r: media_post(r, page, "photo"), gid=page.id, count=100,
            fields="photo.*",
        )  # fmt: skip

    def _videos(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """No list of a group's videos is known: those that the token's owner has as discussions of this group."""

        def make(raw: Raw) -> Post | None:
            of = {id_of(r, "id") for r in rows(raw.get("ref_objects"))} | {clean(raw.get("owner_uid"))}
            return (
                media_post(raw, page, "video") if raw.get("object_type") == TYPES["video"] and page.id in of else None
            )

        return self._list(
            "discussions.getList", "discussions", since, make, category="GROUP", gid=page.id, count=100,
            fields="discussion.*",
        )  # fmt: skip

    def _topic(self, raw: Raw, page: PageRef) -> Post | None:
        """A topic; a resident's own counts itself as one message more."""
        number = id_of(raw, "id")
        owner = clean(raw.get("owner_ref"))
        if not number or (owner and owner != f"group:{page.id}"):
            return None
        author = clean(raw.get("author_ref"))
        name = f"{TYPES['post']}:{number}"
        text = "\n\n".join(filter(None, (clean(m.get("text")) for m in rows(raw.get("media")))))
        at = time_of(raw)
        count = count_of(raw)
        self._residents[name] = None
        if author.startswith("user:") and author.removeprefix("user:") not in self._own:
            who = author.removeprefix("user:")
            named = Author(who, clean(raw.get("author_name")) or None, f"{SITE}profile/{who}", "person")
            url = url_of(page, TYPES["post"], number)
            count = None if count is None else count + 1
            self._residents[name] = Comment(NETWORK, name, page.id, name, number, None, named, text, at, url)
        return Post(
            NETWORK, name, page.id, "post", at, count, url_of(page, TYPES["post"], number), text,
            pinned=raw.get("is_pinned") is True or raw.get("pinned") is True,
            closed=raw.get("is_commenting_denied") is True or raw.get("commenting_denied") is True,
        )  # fmt: skip

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        topics = [p for p in posts if p.kind == "post"]
        found: dict[str, Post] = {}
        for _ in (1, 2):  # an answer may be cut or empty: ask again before a post is called gone
            missing = [p for p in topics if p.id not in found]
            for start in range(0, len(missing), TOPICS):
                found |= self._topics_by_id(page, missing[start : start + TOPICS])
        open_to_us = False
        for post in posts:
            fresh = found.get(post.id)
            if fresh is None:
                fresh = self._asked(post)
                if fresh.gone and not open_to_us:  # a group that was closed to us answers as if each post were deleted
                    self.call("mediatopic.getTopics", has("media_topics"), gid=page.id, count=1)
                    open_to_us = True
            yield fresh

    def _topics_by_id(self, page: PageRef, posts: Sequence[Post]) -> dict[str, Post]:
        """Those that are there. One that is gone may make the whole answer an error (unconfirmed): it is found out."""
        ids = ",".join(p.id.rpartition(":")[2] for p in posts)
        try:
            answer = self.call("mediatopic.getByIds", has("media_topics"), topic_ids=ids, fields=self._topic_fields)
        except Gone:
            half = len(posts) // 2
            return self._topics_by_id(page, posts[:half]) | self._topics_by_id(page, posts[half:]) if half else {}
        return {t.id: t for raw in rows(mapping(answer).get("media_topics")) if (t := self._topic(raw, page))}

    def _asked(self, post: Post) -> Post:
        """The post by its own discussion: counter of now, `gone`, or `denied`."""
        try:
            found = self._discussion(post)
        except Gone:
            return replace(post, gone=True)
        except Blocked as e:
            if e.page_wide:
                raise
            return replace(post, denied=True, problem=str(e))
        if found is not None:
            return replace(post, counter=self._with_itself(post, found))
        try:  # "no such discussion" alone is too little to call it gone
            self.call("discussions.getComments", has("comments"), count=1, **self._of(post))
        except Gone:
            return replace(post, gone=True)
        return replace(post, counter=None)

    def _of(self, post: Post) -> dict[str, str]:
        type_, _, number = post.id.partition(":")
        return {"discussionId": number, "discussionType": type_, "mark_as_read": "false"}

    def _discussion(self, post: Post) -> Raw | None:
        """None: the network knows no such discussion (it answers `{}` then)."""
        type_, _, number = post.id.partition(":")
        params = {"discussionId": number, "discussionType": type_, "fields": "discussion.*"}
        found = self.call("discussions.get", discussion, **params).get("discussion")
        return found if isinstance(found, dict) and found else None

    def _with_itself(self, post: Post, raw: Raw) -> int | None:
        count = count_of(raw)
        return count + 1 if count is not None and self._residents.get(post.id) else count

    # --- comments ----------------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        if ":" not in post.id:
            walk.complete, walk.counter = True, 0
            return
        try:
            if post.kind == "post" and post.id not in self._residents:  # a process that has not listed it yet
                list(self.refresh(page, [post]))
            if post.counter is None:  # topics came without a summary; the discussion has a counter of its own
                post = replace(post, counter=self.counter(post))
            yield from Reading(OkTree(self, page, post), post, walk).run()
        except Gone as e:
            if any(p.gone for p in self.refresh(page, [post])):
                raise Gone("публикация удалена", code=e.code) from None
            raise Unavailable(str(e), code=e.code) from None

    def resident(self, post: Post) -> Comment | None:
        return self._residents.get(post.id)

    def counter(self, post: Post) -> int | None:
        found = self._discussion(post)
        return None if found is None else self._with_itself(post, found)

    def fetcher(self, post: Post, newest_first: bool) -> Callable[[str | None], tuple[Slice[Raw], str | None]]:
        params = {"count": COMMENTS, "direction": "BACKWARD" if newest_first else "FORWARD"}
        fetch = self._anchored(
            "discussions.getComments", "comments", params | {"fields": self._comment_fields} | self._of(post)
        )

        def sorted_fetch(anchor: str | None) -> tuple[Slice[Raw], str | None]:
            page, following = fetch(anchor)  # within a page the order is not confirmed
            items = sorted(page.items, key=lambda r: str(r.get("date_ms") or r.get("date") or ""), reverse=newest_first)
            return Slice(items, None, page.more), following

        return sorted_fetch

    def is_own(self, author_ref: str, author_id: str, page: PageRef) -> bool:
        return author_ref == f"group:{page.id}" or author_id in self._own or author_id == page.id

    # --- doctor ------------------------------------------------------------------------------------------------------

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        advice = "как получить ключи и вечный токен: docs/ru/ok-token.md"
        try:
            user = self.call("users.getLoggedInUser", scalar)
        except CollectError as e:
            yield Check("токен Одноклассников", False, str(e), advice)
            return
        yield Check("токен Одноклассников", True, f"действует, владелец {clean(str(user))[:30]}")
        yield clock_check(self.title, self.server_time)
        advice = "владелец токена должен быть администратором или модератором группы"
        for page in pages:
            yield page_check(page, lambda page=page: self._look(page), advice)

    def _look(self, page: PageRef) -> None:
        if self._group(page.id) is None:
            raise Gone("такой группы нет", code=300)
        self.call("mediatopic.getTopics", has("media_topics"), gid=page.id, count=1)


class OkTree(Tree[Raw]):
    """One flat list; who answers whom is told by the comments themselves."""

    title = "Одноклассники"

    def __init__(self, ok: OkCollector, page: PageRef, post: Post) -> None:
        self._ok, self._page, self._post = ok, page, post

    def level(self, under: str | None, newest_first: bool) -> Level[Raw]:
        return CursorWalk(self._ok.fetcher(self._post, newest_first), self.key)

    def key(self, raw: Raw) -> str:
        return f"{self._post.id}:{id_of(raw, 'id')}"

    def first(self) -> Comment | None:
        return self._ok.resident(self._post)

    def counter(self) -> int | None:
        return self._ok.counter(self._post)

    def comment(self, raw: Raw, more: Any, under: str | None) -> Comment:
        parent = id_of(raw, "reply_to_comment_id")
        number = id_of(raw, "id") or ""
        author_id, ref = id_of(raw, "author_id") or "", clean(raw.get("author_ref"))
        deleted = removed(raw)
        type_, _, item = self._post.id.partition(":")
        return Comment(
            network=NETWORK,
            external_id=self.key(raw),
            page_id=self._page.id,
            post_id=self._post.id,
            comment_id=number,
            parent_id=f"{self._post.id}:{parent}" if parent and parent != number else None,
            author=author(author_id, ref, clean(raw.get("author_name"))),
            text="" if deleted else clean(raw.get("text")),
            published_at=time_of(raw),
            url=f"{url_of(self._page, type_, item)}#comment-{number}",
            attachments=() if deleted else tuple(map(attachment, rows(raw.get("attachments")))),
            own=self._ok.is_own(ref, author_id, self._page),
            deleted=deleted,
        )
