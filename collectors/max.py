"""The MAX collector: comments under the posts of a channel, by the Bot API for channels' administrators.

Documented: `GET /messages` (OpenAPI 0.0.32). The comment methods are newer than the published schema; their shapes are
those of the official TypeScript client of 2026-08. There is no counter of comments, no attachment, like or time of an
edit in them: an edit is seen by comparing texts, a deletion by two whole walks that agree; each asks for what was
absent by its ids.

`Post.id` is the post's `mid`; a comment's external id is "POST/MID".
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from collectors.contract import (
    Batch,
    Blocked,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Declined,
    Gone,
    Unauthorised,
    Unavailable,
    Walk,
)
from collectors.json_api import clock_check
from collectors.max_client import MaxClient
from collectors.max_walk import PAGE, TimeWalk, newest_first
from collectors.raw import clean, mapping, whole
from collectors.reading import Reading, Tree
from collectors.replying import write_once
from collectors.when import from_ms
from settings import ConfigError
from store.values import Answer, Author, Comment, Outcome, PageRef, Post, Receipt

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import MaxNetwork
    from settings import Page as PageSettings

SITE = "https://max.ru/"
MAX_REPLY = 4000
LOOK_BACK = timedelta(minutes=2)
_ADDRESS = re.compile(r"^(?:https?://)?(?:www\.)?(?:web\.)?max\.ru/(?P<rest>[^?#]*)", re.I)
_NUMBER = re.compile(r"-?\d{1,19}")
_LINK = re.compile(r"@?[A-Za-z][\w-]{0,99}", re.ASCII)
_HELP = "как — docs/ru/max-token.md"


def mid_of(message: Mapping[str, Any]) -> str:
    return clean(mapping(message.get("body")).get("mid"))


def time_of(message: Mapping[str, Any]) -> int:
    """Milliseconds; 0 when there is none."""
    return max(whole(message.get("timestamp")) or 0, 0)


class MaxCollector(Collector):
    """MAX through the Bot API."""

    network = "max"
    title = "MAX"
    api = "https://platform-api2.max.ru/"
    hosts = frozenset({"platform-api2.max.ru", "platform-api.max.ru"})
    requests_per_second = 5.0
    max_reply = MAX_REPLY
    capabilities = Capabilities(
        replies=True,
        edits=True,
        deletions=True,
        attachments=False,
        reply=True,
        block=True,
        cost="бесплатно; до 30 запросов в секунду, ответов — 2 в секунду",
        note="счётчика, вложений и оценок у комментариев нет; методы комментариев новее опубликованной схемы; "
        "блокируют, удаляя из канала; снимать блокировку приходится самому",
    )
    config: MaxNetwork

    def __init__(self, config: MaxNetwork, manners: Manners) -> None:
        super().__init__(config, manners)
        self.client = MaxClient(manners, config.ca_file)

    # --- pages -------------------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        wanted = _named(page.id)
        if wanted is None:
            raise ConfigError(f"{page.id[:100]}: это не адрес MAX; нужен https://max.ru/канал, @канал или номер канала")
        try:
            chat = self.client.get(f"chats/{quote(wanted, safe='@')}", "chats.get", "chat_id")
        except Gone as e:
            raise Gone(f"{page.id[:100]}: {e}", code=e.code) from None
        id, link = whole(chat.get("chat_id")), clean(chat.get("link"))
        if id is None:
            raise Unavailable("MAX не сказал номер канала; повторите позже")
        if clean(chat.get("status")) in ("removed", "left", "closed"):
            raise Blocked(f"бота нет в канале «{page.id[:100]}»; добавьте его администратором, {_HELP}")
        url = link if link.startswith("https://") else f"{SITE}{link.lstrip('@') or id}"
        return PageRef("max", str(id), page.title or clean(chat.get("title")), url)

    def server_time(self) -> datetime:
        return self.client.now()

    # --- posts -------------------------------------------------------------------------------------------------------

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        oldest = 0 if since is None else int(since.timestamp() * 1000)

        def fetch(**bounds: int) -> Sequence[dict[str, Any]]:
            return self.client.messages("messages", "messages.list", chat_id=page.id, count=PAGE, **bounds)

        for message in newest_first(fetch, mid_of, time_of):
            if time_of(message) and time_of(message) < oldest:
                return
            if mid_of(message):
                yield self._post(page, message)

    def _post(self, page: PageRef, message: Mapping[str, Any]) -> Post:
        body, url = mapping(message.get("body")), clean(message.get("url"))
        text = clean(body.get("text")) or clean(mapping(mapping(message.get("link")).get("message")).get("text"))
        return Post(
            "max",
            mid_of(message),
            page.id,
            published_at=from_ms(message.get("timestamp")),
            url=url if url.startswith("https://") else page.url,
            text=text,
        )

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        found = {
            mid_of(m): self._post(page, m)
            for m in self.client.by_ids("messages", "messages.list", "message_ids", [p.id for p in posts])
        }
        for post in posts:
            yield found.get(post.id) or replace(post, gone=self._is_gone(post.id))

    def _is_gone(self, mid: str) -> bool:
        """Asked by itself the post is not there: the second sign of its deletion."""
        try:
            self.client.get(f"messages/{quote(mid, safe='')}", "messages.get", "body")
        except Gone:
            return True
        return False

    # --- comments ----------------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        tree = MaxTree(self, page, post, whole=walk.full)
        reading: Reading[dict[str, Any]] = Reading(tree, post, walk)
        try:
            yield from reading.run()
            if walk.exhaustive:
                yield from self._absent(tree, walk, reading.seen)
        except Gone:
            if self._is_gone(post.id):
                raise
            raise Unavailable("MAX не показывает комментарии публикации, хотя она есть; повторите позже") from None

    def _absent(self, tree: MaxTree, walk: Walk, seen: Mapping[str, bool]) -> Iterator[Batch]:
        """Stored comments that the list does not show are asked for by their ids."""
        absent = [i.rpartition("/")[2] for i, k in walk.known.items() if not k.deleted and i not in seen]
        found = [
            tree.comment(m, None, None)
            for m in self.client.by_ids(tree.path, "comments.list", "comment_ids", absent)
            if mid_of(m) in absent
        ]
        if found:
            yield Batch(found)
            walk.complete, walk.exhaustive, walk.outcome = False, False, Outcome.partial
            walk.problem = f"список не показывает комментарии, которые есть: {len(found)}"

    def is_own(self, message: Mapping[str, Any]) -> bool:
        """Written in the channel's name (nobody is named), by our bot or by a person known as ours."""
        sender = mapping(message.get("sender"))
        id = whole(sender.get("user_id"))
        return id is None or id == whole(self.client.me().get("user_id")) or str(id) in self.config.staff

    # --- answering ---------------------------------------------------------------------------------------------------

    def send_reply(self, answer: Answer) -> Receipt:
        """An answer under a comment. No key of idempotency: looked for before each attempt (`replying`)."""
        tree = MaxTree(self, answer.page, Post("max", answer.post_id, answer.page.id, url=answer.page.url))
        to = answer.external_id.rpartition("/")[2]

        def write() -> Receipt:
            body = {"text": answer.text, "link": {"type": "reply", "mid": to}}
            try:
                made = self.client.write(tree.path, "comments.send", "message", body, disable_link_preview="true")
            except Unavailable:
                raise
            except Unauthorised as e:
                if "token" in (e.code or ""):
                    raise
                raise Declined(f"{e}; нужно право «писать»", code=e.code) from None
            except (Gone, CollectError) as e:
                if e.page_wide or e.outcome is Outcome.rate_limited:
                    raise
                raise Declined(f"MAX не принял ответ: {e}", code=e.code) from None
            one = tree.comment(mapping(made["message"]), None, None)
            return Receipt(one.external_id, one.url, one.published_at)

        since = self.server_time() - LOOK_BACK
        return write_once(self.manners, lambda: self.find_reply(answer, since), write)

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        tree = MaxTree(self, answer.page, Post("max", answer.post_id, answer.page.id, url=answer.page.url))
        try:
            items = list(tree.since(int((since - LOOK_BACK).timestamp() * 1000)))
        except Gone:
            return None
        for message in items:
            one = tree.comment(message, None, None)
            if (
                one.own
                and one.external_id not in besides
                and one.parent_id == answer.external_id
                and one.text.split() == answer.text.split()
            ):
                return Receipt(one.external_id, one.url, one.published_at)
        return None

    # --- blocking ----------------------------------------------------------------------------------------------------

    def send_block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None
    ) -> None:
        """The author is removed from the channel and can't come back; the API has no call that lets him in again."""
        if until is None:
            raise Declined("MAX не даёт программам снимать блокировку; снимите её сами в настройках канала")
        if not re.fullmatch(r"\d{1,19}", author.id or ""):
            raise Declined("MAX не назвал автора; заблокируйте его сами в настройках канала")
        try:
            self.client.remove(page.id, str(author.id))
        except Unauthorised as e:
            if "token" in (e.code or ""):
                raise
            raise Declined(f"{e}; нужно право управлять участниками (add_remove_members)", code=e.code) from None
        except CollectError as e:
            if e.page_wide or isinstance(e, Unavailable) or e.outcome is Outcome.rate_limited:
                raise
            raise Declined(f"MAX не выполнил это: {e}; сделайте это сами в настройках канала", code=e.code) from None

    # --- doctor ------------------------------------------------------------------------------------------------------

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        me = self.client.me()
        yield Check("бот MAX", True, clean(me.get("first_name")) or clean(me.get("name")) or str(me.get("user_id")))
        yield clock_check(self.title, self.server_time)
        for page in pages:
            yield self._check_page(page)

    def _check_page(self, page: PageRef) -> Check:
        name = f"страница {page.title or page.id}"
        try:
            member = self.client.get(f"chats/{page.id}/members/me", "members.me", "user_id")
            self.client.messages("messages", "messages.list", chat_id=page.id, count=1)
        except CollectError as e:
            return Check(name, False, str(e), f"добавьте бота администратором канала; {_HELP}")
        rights = {clean(r) for r in member.get("permissions") or () if isinstance(r, str)}
        if member.get("is_admin") is not True and member.get("is_owner") is not True:
            return Check(name, False, "бот не администратор канала", f"назначьте его; {_HELP}")
        missing = [r for r in ("read_all_messages",) if rights and r not in rights]
        if missing:
            return Check(name, False, f"у бота нет права {missing[0]}", f"дайте его в настройках канала; {_HELP}")
        says = "" if not rights or "write" in rights else "; отвечать бот не сможет: нет права write"
        return Check(name, True, f"{page.url}{says}")


class MaxTree(Tree[dict[str, Any]]):
    """The comments of one post: one list, whoever answers whom."""

    title = "MAX"

    def __init__(self, collector: MaxCollector, page: PageRef, post: Post, *, whole: bool = True) -> None:
        self.collector = collector
        self.page = page
        self.post = post
        self.path = f"messages/{quote(post.id, safe='')}/comments"
        self._whole = whole

    def fetch(self, after: int | None, before: int | None) -> list[dict[str, Any]]:
        found = self.collector.client.messages(self.path, "comments.list", count=PAGE, after=after, before=before)
        return [m for m in found if mid_of(m)]

    def since(self, after: int) -> Iterator[dict[str, Any]]:
        """What was written after a time (ms)."""
        seen: set[str] = set()
        while fresh := [m for m in self.fetch(after - 1, None) if mid_of(m) not in seen]:
            yield from fresh
            seen.update(map(mid_of, fresh))
            after = max(map(time_of, fresh))

    def level(self, under: str | None, newest_first: bool) -> Any:
        began = int(self.collector.server_time().timestamp() * 1000)
        return TimeWalk(self.fetch, mid_of, time_of, began=began, short_ends=not self._whole)

    def key(self, raw: dict[str, Any]) -> str:
        return f"{self.post.id}/{mid_of(raw)}"

    def comment(self, raw: Mapping[str, Any], more: Any, under: str | None) -> Comment:
        link = mapping(raw.get("link"))
        parent = clean(mapping(link.get("message")).get("mid")) if link.get("type") == "reply" else ""
        mid = mid_of(raw)
        return Comment(
            "max",
            f"{self.post.id}/{mid}",
            self.page.id,
            self.post.id,
            mid,
            f"{self.post.id}/{parent}" if parent and parent != self.post.id else None,
            _author(raw),
            clean(mapping(raw.get("body")).get("text")),
            from_ms(raw.get("timestamp")),
            self.post.url or self.page.url,
            own=self.collector.is_own(raw),
        )


def _author(message: Mapping[str, Any]) -> Author:
    """Who wrote; nobody is named when it was written in the channel's name."""
    sender = mapping(message.get("sender"))
    id = whole(sender.get("user_id"))
    if id is None:
        return Author()
    name = " ".join(filter(None, (clean(sender.get("first_name")), clean(sender.get("last_name")))))
    name = name or clean(sender.get("name"))
    link = clean(sender.get("username"))
    return Author(str(id), name or None, f"{SITE}{link}" if link else None, "person" if name else "unknown")


def _named(given: str) -> str | None:
    """What a person wrote in `pages.id` -> a channel's number or public link; None when it is neither."""
    text = given.strip()
    m = _ADDRESS.match(text)
    if m:
        text = next(filter(None, m["rest"].split("/")), "")
    return text if _NUMBER.fullmatch(text) or _LINK.fullmatch(text) else None
