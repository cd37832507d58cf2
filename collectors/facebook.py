"""The Facebook collector: a page's posts and those of its visitors, every comment and reply under them.

Calls, cursors and errors are `collectors/graph.py`. Facebook shows all levels of comments as one list
(`filter=stream`), each with its parent, so a post is one flat walk. A visitor's post on the page is itself a message:
it is yielded as the first comment of its own discussion and counted, as in `collectors/vk.py`.

Facebook belongs to Meta, whose activity is banned in Russia as extremist: docs/ru/facebook-token.md says what that
means for the page and its marking.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

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
    Unauthorised,
    Unavailable,
    Walk,
)
from collectors.graph import GraphClient, check_token, moment, total_count
from collectors.raw import clean, mapping
from collectors.reading import Level, Reading, Tree
from collectors.replying import write_once
from settings import ConfigError, FacebookNetwork
from store.values import Attachment, Author, Comment, PageRef, Post

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Network
    from settings import Page as PageSettings

SITE = "https://www.facebook.com/"
GUIDE = "docs/ru/facebook-token.md"
RIGHTS = ("pages_read_engagement", "pages_read_user_content")
PAGE = 100  # objects a call
COUNTED = "comments.filter(stream).limit(0).summary(true)"
POST = f"id,from{{id,name}},message,story,created_time,permalink_url,{COUNTED}"
COMMENT = (
    "id,parent{id},from{id,name},message,created_time,is_hidden,permalink_url,attachment{type,title,url,target{id,url}}"
)
OWN_LISTS = frozenset({"published_posts", "posts", "ads_posts"})  # of what the page itself wrote
Raw = dict[str, Any]


class FacebookCollector(Collector):
    """A Facebook page through the Graph API with its page access token."""

    network = "facebook"
    title = "Facebook"
    api = "https://graph.facebook.com/v26.0/"
    hosts = frozenset({"graph.facebook.com"})
    requests_per_second = 2.0
    capabilities = Capabilities(
        counters=True,
        replies=True,
        edits=True,
        deletions=True,
        reply=True,
        hide=True,
        block=True,
        cost="бесплатно; предел за сутки зависит от числа читателей страницы",
        note="принадлежит Meta (запрещена в РФ); нужны решение юриста и выход в сеть через прокси",
    )

    max_reply = 8000

    def __init__(self, config: Network, manners: Manners) -> None:
        super().__init__(config, manners)
        assert isinstance(config, FacebookNetwork)
        self._lists = config.lists
        self.client = GraphClient(manners, self.title, GUIDE, config.app_secret)
        self._visitors: dict[str, Comment | None] = {}  # post -> itself as a message, None for the page's own

    # --- pages and posts ---------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        name = page_name(page.id)
        try:
            found = self.client.get(name, fields="id,name,link")
        except Gone as e:
            raise Gone(f"страницы Facebook {clean(page.id)[:100]} нет; проверьте адрес", code=e.code) from None
        link, id = clean(found.get("link")), clean(found.get("id"))
        if not id:
            raise Unavailable("Facebook не назвала номер страницы; повторите позже")
        return PageRef(
            network=self.network,
            id=id,
            title=page.title or clean(found.get("name")),
            url=link if link.startswith("https://") else f"{SITE}{found['id']}",
            owner=page.owner,
            include=tuple(page.include),
        )

    def server_time(self) -> datetime:
        return self.client.server_time()

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """The lists of `networks.facebook.lists`; one besides the first that the token may not read is `denied`."""
        seen: set[str] = set()
        for number, name in enumerate(self._lists):
            try:
                yield from self._list(page, name, since, seen)
            except Unauthorised as e:
                if number == 0 or (e.code or "").startswith("190"):
                    raise
                problem = f"{name}: {e}; или уберите {name} из lists"
                yield Post(self.network, f"{page.id}_{name}", page.id, url=page.url, denied=True, problem=problem)

    def _list(self, page: PageRef, name: str, since: datetime | None, seen: set[str]) -> Iterator[Post]:
        walk = self.client.walk(f"{page.id}/{name}", fields=POST, limit=PAGE)
        for batch in walk:
            for raw in batch:
                if raw["id"] not in seen:
                    seen.add(raw["id"])
                    yield self._post(raw, page, name)
            oldest = moment(batch[-1].get("created_time"))
            if since is not None and oldest is not None and oldest < since:
                return
        if not walk.complete:
            raise Unavailable(f"список публикаций прочитан не весь: {walk.reason}; повторите позже")

    def _post(self, raw: Mapping[str, Any], page: PageRef, listed: str = "") -> Post:
        """A post with its counter of now; whether a visitor wrote it is remembered.

        A visitor whom the app may not know is not named; the page itself always is, to its own token. `listed`: the
        list that shows the post.
        """
        writer = mapping(raw.get("from")).get("id")
        visitor = writer != page.id if isinstance(writer, str) else listed not in OWN_LISTS
        counter = total_count(raw.get("comments"))
        texts = (clean(raw.get("message")), clean(raw.get("story")))
        post = Post(
            network=self.network,
            id=raw["id"],
            page_id=page.id,
            published_at=moment(raw.get("created_time")),
            counter=counter + visitor if counter is not None else None,
            url=link_of(raw),
            text=texts[0] or texts[1],
        )
        self._visitors[post.id] = self._comment(raw, page, post.id) if visitor else None
        return post

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        answers = list(self.client.many([(p.id, {"fields": POST}) for p in posts]))
        for post, answer in zip(posts, answers, strict=True):
            if isinstance(answer, Gone):
                yield replace(post, gone=self.client.is_gone(page.id, post.id))
            elif isinstance(answer, CollectError):
                raise answer
            else:
                yield self._post(answer, page)

    # --- comments ----------------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        try:
            yield from Reading(_Stream(self, page, post), post, walk).run()
        except Gone:
            if self.client.is_gone(page.id, post.id):
                raise
            raise Unavailable("Facebook отказывает в комментариях публикации, которая есть; повторите позже") from None

    def counter(self, page: PageRef, post: Post) -> int | None:
        return self._post(self.client.get(post.id, fields=POST), page).counter

    def visitor(self, page: PageRef, post: Post) -> Comment | None:
        """A visitor's post as a message; None when the page itself wrote it."""
        if post.id not in self._visitors:
            self.counter(page, post)
        return self._visitors.get(post.id)

    def _comment(self, raw: Mapping[str, Any], page: PageRef, post_id: str) -> Comment:
        """A comment, or (when its id is the post's) a visitor's post as one. Hidden comments are messages too."""
        writer = mapping(raw.get("from"))
        who = clean(writer.get("id")) or None
        parent = clean(mapping(raw.get("parent")).get("id")) or None
        return Comment(
            network=self.network,
            external_id=raw["id"],
            page_id=page.id,
            post_id=post_id,
            comment_id=raw["id"].rpartition("_")[2],
            parent_id=parent if parent not in (raw["id"], post_id) else None,
            author=author_of(who, clean(writer.get("name")) or None, who == page.id),
            text=clean(raw.get("message")),
            published_at=moment(raw.get("created_time")),
            url=link_of(raw),
            attachments=_attachments(raw.get("attachment")),
            own=who == page.id,
        )

    # --- answers -----------------------------------------------------------------------------------------------------

    def send_reply(self, answer: Answer) -> Receipt:
        self.client.speaks_for(answer.speaker.id)

        def write() -> Receipt:
            id = self.client.publish(f"{answer.external_id}/comments", message=answer.text)
            try:
                return self._receipt(self.client.get(id, fields=COMMENT))
            except CollectError:
                return Receipt(id, f"{SITE}{id}")

        since = self.client.server_time() - timedelta(days=1)
        return write_once(self.manners, lambda: self.find_reply(answer, since), write)

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        """The newest comments of the post, back to `since`: Facebook shows an answer there whatever it stands under."""
        under = None if answer.external_id == answer.post_id else answer.external_id
        walk = self.client.walk(
            f"{answer.post_id}/comments", fields=COMMENT, filter="stream", order="reverse_chronological", limit=PAGE
        )
        for batch in walk:
            for raw in batch:
                one = self._comment(raw, answer.speaker, answer.post_id)
                same = one.own and one.parent_id == under and one.text.split() == answer.text.split()
                if same and one.external_id not in besides:
                    return self._receipt(raw)
            oldest = moment(batch[-1].get("created_time"))
            if oldest is not None and oldest < since - timedelta(hours=1):
                return None
        if not walk.complete:
            raise Unavailable(f"ответы Facebook просмотрены не все: {walk.reason}; повторите позже")
        return None

    # --- hiding and blocking -----------------------------------------------------------------------------------------

    def send_hide(self, page: PageRef, external_id: str, hidden: bool) -> None:
        """The writer and their friends go on seeing a hidden comment; the page sees it, so it is read as before."""
        if external_id.startswith(f"{page.id}_"):
            raise Declined("это публикация посетителя, а не комментарий; скройте её сами на странице Facebook")
        self.client.change(external_id, is_hidden="true" if hidden else "false")

    def send_block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None
    ) -> None:
        """Facebook knows no term: what blocks until then is the program, which lifts it."""
        if not re.fullmatch(r"\d{1,25}", author.id or ""):
            raise Declined("Facebook не назвала автора; заблокируйте его сами на странице")
        self.client.change(f"{page.id}/blocked", "POST" if until is not None else "DELETE", user=str(author.id))

    @staticmethod
    def _receipt(raw: Mapping[str, Any]) -> Receipt:
        return Receipt(raw["id"], link_of(raw), moment(raw.get("created_time")))

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        yield from check_token(self.client, RIGHTS)
        for page in pages:
            yield self.client.check_page(page, f"{page.id}/{self._lists[0]}")


class _Stream(Tree[Raw]):
    """All comments of a post as one list, whatever their depth."""

    title = "Facebook"

    def __init__(self, facebook: FacebookCollector, page: PageRef, post: Post) -> None:
        self._facebook, self._page, self._post = facebook, page, post

    def level(self, under: str | None, newest_first: bool) -> Level[Raw]:
        order = "reverse_chronological" if newest_first else "chronological"
        return self._facebook.client.walk(
            f"{self._post.id}/comments", fields=COMMENT, filter="stream", order=order, summary="true", limit=PAGE
        )

    def key(self, raw: Raw) -> str:
        return raw["id"]

    def comment(self, raw: Raw, more: Any, under: str | None) -> Comment:
        return self._facebook._comment(raw, self._page, self._post.id)

    def first(self) -> Comment | None:
        return self._facebook.visitor(self._page, self._post)

    def total(self, more: Any) -> int | None:
        return total_count(more)

    def counter(self) -> int | None:
        return self._facebook.counter(self._page, self._post)


def author_of(id: str | None, name: str | None, own: bool) -> Author:
    """Facebook names a writer only when the app may know him: others are unknown, their comments count all the same."""
    if id is None or name is None:
        return Author(id)
    return Author(id, name, f"{SITE}{id}", "community" if own else "person")


def link_of(raw: Mapping[str, Any]) -> str:
    link = clean(raw.get("permalink_url"))
    return link if link.startswith("https://") else f"{SITE}{raw['id']}"


def _attachments(raw: Any) -> tuple[Attachment, ...]:
    """The one attachment of a comment. Addresses of media are signed anew each time, the target's stays."""
    found = mapping(raw)
    if not found:
        return ()
    target = mapping(found.get("target"))
    url = clean(target.get("url")) or clean(found.get("url"))
    kind = clean(found.get("type"))[:64] or "unknown"
    return (
        Attachment(
            kind,
            url[:2000] if url.startswith("https://") else None,
            clean(found.get("title"))[:500] or None,
            clean(target.get("id"))[:200] or None,
        ),
    )


_HOSTS = {"facebook.com", "www.facebook.com", "m.facebook.com", "ru-ru.facebook.com", "fb.com", "www.fb.com", "fb.me"}


def page_name(given: str) -> str:
    """The number or the name of a page in what a person wrote; ConfigError when it is neither."""
    text = given.strip()
    if re.match(r"(?:https?:)?//", text) or re.match(r"[\w.\-]+\.(?:com|me)/", text):
        parts = urlsplit(text if "//" in text else f"//{text}")
        if (parts.hostname or "") not in _HOSTS:
            raise ConfigError(f"{clean(text)[:100]} не адрес Facebook; укажите адрес вида https://www.facebook.com/имя")
        words = [w for w in parts.path.split("/") if w]
        if words and words[0] in ("pages", "people", "pg", "p") and len(words) > 1:
            words = words[-1:]
        text = (parse_qs(parts.query).get("id") or [""])[0] if words == ["profile.php"] else (words or [""])[0]
        text = text.rpartition("-")[2] if re.fullmatch(r".+-\d{5,}", text) else text
    text = text.lstrip("@")
    if not re.fullmatch(r"[A-Za-z0-9.]{1,100}", text):
        raise ConfigError(
            f"{clean(given)[:100] or 'пустой id'} не похоже на страницу Facebook; укажите адрес, имя или номер"
        )
    return text
