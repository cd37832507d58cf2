"""The Instagram collector: publications of the administration's own professional account and what is said under them.

The official way, the Graph API (`collectors/graph.py`), reads only an account that gave the token. With
`mode: instaloader` a page that is not ours is read as a logged-in person sees it (`collectors/instagram_loader.py`):
against the rules of Instagram, breaking often, and only on the operator's own decision.

Comments have one level of replies; a reply to a reply stands under the same top comment. Instagram belongs to Meta,
whose activity is banned in Russia as extremist: docs/ru/instagram-token.md.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collectors.contract import (
    Answer,
    Batch,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Declined,
    Gone,
    Receipt,
    Unavailable,
    Walk,
)
from collectors.graph import GraphClient, check_token, edge, following, moment
from collectors.instagram_items import SITE, comment_of
from collectors.raw import clean, mapping, whole
from collectors.reading import Level, Reading, Thread, Tree
from collectors.replying import write_once
from settings import ConfigError, InstagramNetwork, SecretError
from store.values import Comment, PageRef, Post

if TYPE_CHECKING:
    from collectors.instagram_loader import Instaloaded
    from collectors.manners import Manners
    from settings import Network
    from settings import Page as PageSettings

GUIDE = "docs/ru/instagram-token.md"
PAGE, REPLIES = 50, 50  # comments and replies a call: the most Instagram gives
MEDIA = "id,caption,comments_count,timestamp,permalink,is_comment_enabled"
REPLY = "id,text,timestamp,username,from{id,username},hidden,parent_id"
COMMENT = f"{REPLY},replies.limit({REPLIES}){{{REPLY}}}"
RIGHTS = {
    "instagram": ("instagram_business_basic", "instagram_business_manage_comments"),
    "facebook": ("instagram_basic", "instagram_manage_comments", "pages_read_engagement"),
}
Raw = dict[str, Any]


class InstagramCollector(Collector):
    """An Instagram account through the Graph API, or (`mode: instaloader`) as a person sees it."""

    network = "instagram"
    title = "Instagram"
    api = "https://graph.instagram.com/v26.0/"
    hosts = frozenset({"graph.instagram.com", "graph.facebook.com", "www.instagram.com"})
    requests_per_second = 1.0
    needs_token = False  # instaloader brings a session instead; said by `__init__`
    capabilities = Capabilities(
        counters=True,
        replies=True,
        depth=2,
        edits=True,
        deletions=True,
        reply=True,
        hide=True,
        attachments=False,
        cost="бесплатно; предел за сутки зависит от числа читателей страницы",
        note="своя страница; чужая — через instaloader на свой риск; принадлежит Meta (запрещена в РФ)",
    )

    max_reply = 2000  # 2200 less the name of whom it answers

    def __init__(self, config: Network, manners: Manners) -> None:
        super().__init__(config, manners)
        assert isinstance(config, InstagramNetwork)
        self._login = config.login or ("facebook" if "//graph.facebook.com/" in (config.api or "") else "instagram")
        self._links: dict[str, str] = {}  # publication -> its address
        self.loaded: Instaloaded | None = None
        if config.mode == "instaloader":
            from collectors.instagram_loader import Instaloaded

            self.loaded = Instaloaded(config, manners)
            return
        if config.token is None:
            raise SecretError(
                f'networks.{self.network}: не задан token; впишите token: "${{INSTAGRAM_TOKEN}}" (как: {GUIDE})'
            )
        self.client = GraphClient(manners, self.title, GUIDE, config.app_secret)

    # --- pages and posts ---------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        name = page_name(page.id)
        found = self.loaded.account(name) if self.loaded is not None else self._account(name, page.id)
        user = clean(found.get("username"))
        if not clean(found.get("id")):
            raise Unavailable("Instagram не назвала номер страницы; повторите позже")
        return PageRef(
            network=self.network,
            id=clean(found.get("id")),
            title=page.title or clean(found.get("name")) or user,
            url=f"{SITE}{user}/" if user else SITE,
            owner=page.owner,
            include=tuple(page.include),
        )

    def _account(self, name: str, given: str) -> Mapping[str, Any]:
        """An account by its number, or the token's own one when it bears that name."""
        if name.isdecimal():
            try:
                return self.client.get(name, fields="id,username,name")
            except Gone as e:
                raise Gone(f"учётной записи Instagram {name[:40]} нет или она не ваша", code=e.code) from None
        if self._login == "facebook":
            page = self.client.get("me", fields="instagram_business_account{id,username,name}")
            found = mapping(page.get("instagram_business_account"))
        else:
            found = self.client.get("me", fields="id,username,name")
        if clean(found.get("username")).lower() != name.lower() or not clean(found.get("id")):
            own = clean(found.get("username"))[:60] or "неизвестно чьё"
            raise Gone(
                f"токен выдан для учётной записи Instagram {own}, а не {clean(given)[:60]}: нужен токен этой страницы, "
                "чужую читает только mode: instaloader"
            )
        return found

    def server_time(self) -> datetime:
        return self.loaded.server_time() if self.loaded is not None else self.client.server_time()

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        if self.loaded is not None:
            yield from self.loaded.posts(page, since)
            return
        walk = self.client.walk(f"{page.id}/media", fields=MEDIA, limit=100)
        for batch in walk:
            for raw in batch:
                yield self._post(raw, page)
            oldest = moment(batch[-1].get("timestamp"))
            if since is not None and oldest is not None and oldest < since:
                return
        if not walk.complete:
            raise Unavailable(f"список публикаций прочитан не весь: {walk.reason}; повторите позже")

    def _post(self, raw: Mapping[str, Any], page: PageRef) -> Post:
        return Post(
            network=self.network,
            id=raw["id"],
            page_id=page.id,
            published_at=moment(raw.get("timestamp")),
            counter=whole(raw.get("comments_count")),
            url=link if (link := clean(raw.get("permalink"))).startswith("https://") else page.url,
            text=clean(raw.get("caption")),
            closed=raw.get("is_comment_enabled") is False,
        )

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        """The list tells 100 counters a call; what it does not show while that is cheaper is asked alone."""
        if self.loaded is not None:
            yield from self.loaded.refresh(page, posts)
            return
        missing = {p.id for p in posts}
        found: dict[str, Post] = {}
        lists = self.client.walk(f"{page.id}/media", fields=MEDIA, limit=100) if len(missing) > 1 else ()
        for calls, batch in enumerate(lists, 1):
            found |= {raw["id"]: self._post(raw, page) for raw in batch if raw["id"] in missing}
            missing -= found.keys()
            if len(missing) <= calls:
                break
        for post in posts:
            yield found.get(post.id) or self._asked(page, post)

    def _asked(self, page: PageRef, post: Post) -> Post:
        try:
            return self._post(self.client.get(post.id, fields=MEDIA), page)
        except Gone:
            return replace(post, gone=self.client.is_gone(page.id, post.id))

    # --- comments ----------------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        if self.loaded is not None:
            yield from self.loaded.comments(page, post, walk)
            return
        try:
            yield from Reading(_Threads(self, page, post), post, walk).run()
        except Gone:
            if self.client.is_gone(page.id, post.id):
                raise
            raise Unavailable("Instagram отказывает в комментариях публикации, которая есть; повторите позже") from None

    def counter(self, post: Post) -> int | None:
        return whole(self.client.get(post.id, fields="id,comments_count").get("comments_count"))

    # --- answers -----------------------------------------------------------------------------------------------------

    def send_reply(self, answer: Answer) -> Receipt:
        if self.loaded is not None:
            raise Declined("в режиме instaloader ответы не размещаются; разместите ответ сами")
        self._speaks_for(answer.speaker)
        top, text = self._addressed(answer)

        def write() -> Receipt:
            id = self.client.publish(f"{answer.external_id}/replies", message=text)
            try:
                return self._receipt(answer, self.client.get(id, fields=REPLY))
            except CollectError:
                return Receipt(id, f"{answer.page.url}c/{id}/")

        return write_once(self.manners, lambda: self._find(answer, top, text, ()), write)

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        if self.loaded is not None:
            raise Declined("в режиме instaloader размещённые ответы не проверяются")
        return self._find(answer, *self._addressed(answer), besides)

    def send_hide(self, page: PageRef, external_id: str, hidden: bool) -> None:
        if self.loaded is not None:
            raise Declined("в режиме instaloader комментарии не скрывают; скройте его сами")
        self.client.change(external_id, hide="true" if hidden else "false")

    def _speaks_for(self, speaker: PageRef) -> None:
        if self._login == "instagram":
            self.client.speaks_for(speaker.id)
        elif self._account(_name(speaker), speaker.id).get("id") != speaker.id:
            raise Declined("токен Instagram пишет от имени другой страницы; разместите ответ сами")

    def _addressed(self, answer: Answer) -> tuple[str, str]:
        """(the top comment under which the answer will stand, its text): an answer to a reply names whom it answers,
        for Instagram puts it under the top comment all the same."""
        try:
            parent = clean(self.client.get(answer.external_id, fields="id,parent_id").get("parent_id"))
        except Gone as e:
            raise Declined("комментария, на который отвечают, в Instagram больше нет", code=e.code) from None
        who = f"@{answer.author.name} " if parent and answer.author.name else ""
        return parent or answer.external_id, who + answer.text

    def _find(self, answer: Answer, top: str, text: str, besides: Container[str]) -> Receipt | None:
        walk = self.client.walk(f"{top}/replies", fields=REPLY, limit=REPLIES)
        for batch in walk:
            for raw in batch:
                writer = clean(mapping(raw.get("from")).get("id"))
                own = writer == answer.speaker.id or clean(raw.get("username")) == _name(answer.speaker)
                if own and raw["id"] not in besides and clean(raw.get("text")).split() == text.split():
                    return self._receipt(answer, raw)
        if not walk.complete:
            raise Unavailable(f"ответы в Instagram просмотрены не все: {walk.reason}; повторите позже")
        return None

    def _receipt(self, answer: Answer, raw: Mapping[str, Any]) -> Receipt:
        media = self._links.get(answer.post_id)
        if media is None:
            media = clean(self.client.get(answer.post_id, fields="id,permalink").get("permalink")) or answer.page.url
            self._links[answer.post_id] = media
        return Receipt(raw["id"], f"{media.rstrip('/')}/c/{raw['id']}/", moment(raw.get("timestamp")))

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        if self.loaded is not None:
            yield from self.loaded.check(pages)
            return
        yield from check_token(self.client, RIGHTS[self._login])
        for page in pages:
            yield self.client.check_page(page, f"{page.id}/media")


class _Threads(Tree[Raw]):
    """Top comments, newest first (Instagram knows no other order), each with the first of its replies."""

    title = "Instagram"

    def __init__(self, instagram: InstagramCollector, page: PageRef, post: Post) -> None:
        self._instagram, self._page, self._post = instagram, page, post

    def level(self, under: str | None, newest_first: bool) -> Level[Raw]:
        walk = self._instagram.client.walk
        if under is not None:
            return walk(f"{under}/replies", fields=REPLY, limit=REPLIES)
        return walk(f"{self._post.id}/comments", fields=COMMENT, limit=PAGE)

    def key(self, raw: Raw) -> str:
        return raw["id"]

    def comment(self, raw: Raw, more: Any, under: str | None) -> Comment:
        parent = clean(raw.get("parent_id")) or under
        return comment_of(
            self._page,
            self._post,
            raw["id"],
            clean(mapping(raw.get("from")).get("id")) or None,
            clean(raw.get("username")) or clean(mapping(raw.get("from")).get("username")) or None,
            clean(raw.get("text")),
            moment(raw.get("timestamp")),
            parent if parent != raw["id"] else None,
        )

    def thread(self, raw: Raw) -> Thread:
        """Instagram does not say how many replies there are, only that there are more."""
        found = mapping(raw.get("replies"))
        return Thread(edge(found).items, -1, following(found) is None)

    def counter(self) -> int | None:
        return self._instagram.counter(self._post)


def _name(page: PageRef) -> str:
    return page.url.rstrip("/").rpartition("/")[2]


_HOSTS = {"instagram.com", "www.instagram.com", "m.instagram.com"}


def page_name(given: str) -> str:
    """The number or the name of an account in what a person wrote; ConfigError when it is neither."""
    text = given.strip()
    if re.match(r"(?:https?:)?//", text) or re.match(r"[\w.\-]+\.com/", text):
        parts = urlsplit(text if "//" in text else f"//{text}")
        if (parts.hostname or "") not in _HOSTS:
            raise ConfigError(f"{clean(text)[:100]} не адрес Instagram; укажите адрес вида {SITE}имя")
        text = parts.path.strip("/").split("/")[0]
    text = text.lstrip("@")
    if not re.fullmatch(r"[A-Za-z0-9._]{1,30}", text) or text in ("p", "reel", "stories", "explore"):
        raise ConfigError(
            f"{clean(given)[:100] or 'пустой id'} не похоже на учётную запись Instagram; укажите адрес, имя или номер"
        )
    return text
