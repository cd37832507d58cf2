"""The X collector: a page's posts and the conversations under them, by search.

Search shows a conversation at all depths, but only its last seven days (`search: all` reads further, where the access
was bought). So a short walk asks for what is newer than the newest stored reply, which must come again (a search that
shows nothing of what it showed is not believed), and a full one looks every stored reply up that search did not show:
what is stored is checked for edits and deletions however old it is. Replies older than seven days that were never seen
can't be had: the coverage record says so.

`reply_count` counts the direct replies only, so it does not tell of news deeper in a conversation: a conversation is
looked at in every run while search still reaches it (`counter_tells_all`). Calls are `collectors/x_client.py`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from collectors.contract import (
    Batch,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Gone,
    Prices,
    Unavailable,
    Walk,
)
from collectors.raw import clean, mapping, rows, whole
from collectors.when import from_text
from collectors.x_client import GUIDE, MOST, Found, XClient, is_id
from collectors.x_hiding import set_hidden
from settings import ConfigError, XNetwork
from store.values import Attachment, Author, Comment, Outcome, PageRef, Post

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Network
    from settings import Page as PageSettings

SITE = "https://x.com/"
WINDOW = timedelta(days=7) - timedelta(hours=1)  # how far back search looks, a little less than X says
Raw = Mapping[str, Any]


class XCollector(Collector):
    """A page on X through API v2 with an application's bearer token."""

    network = "x"
    title = "X"
    api = "https://api.x.com/2/"
    hosts = frozenset({"api.x.com", "api.twitter.com"})
    requests_per_second = 0.5
    capabilities = Capabilities(
        counters=True,
        replies=True,
        edits=True,
        deletions=True,
        hide=True,
        cost="платно: 0,005 $ за прочитанный пост",
        note="поиск видит ответы за 7 дней; скрывают с ключами владельца страницы (networks.x.user)",
    )
    prices = Prices(posts=MOST, counters=MOST, comments=MOST, unit="постов", by_item=True, dollars=0.005)
    daily_budget: ClassVar[int | None] = 1000
    counter_tells_all = False

    def __init__(self, config: Network, manners: Manners) -> None:
        super().__init__(config, manners)
        assert isinstance(config, XNetwork)
        self._search = config.search
        self._user = config.user
        self.client = XClient(manners, config.vocabulary)
        self._direct: dict[str, int | None] = {}  # post -> its direct replies as last told

    # --- pages and posts ---------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        name = page_name(page.id)
        try:
            found = self.client.user(f"users/{name}" if name.isdecimal() else f"users/by/username/{name}")
        except Gone as e:
            raise Gone(f"страницы X {clean(page.id)[:60]} нет; проверьте имя", code=e.code) from None
        return PageRef(
            network=self.network,
            id=found["id"],
            title=page.title or clean(found.get("name")),
            url=f"{SITE}{clean(found.get('username'))}",
            owner=page.owner,
            include=tuple(page.include),
        )

    def server_time(self) -> datetime:
        return self.client.server_time()

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """The page's own posts; its replies to others stand in the conversations and are not paid for twice."""
        start = None if since is None else since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked = {"exclude": "retweets,replies", "start_time": start}
        hidden = 0
        for found in self.client.pages(f"users/{page.id}/tweets", "pagination_token", 20, **asked):
            hidden += found.missing
            yield from (self._post(raw, page) for raw in found.posts)
        if hidden:
            raise Unavailable(f"X считает публикаций на {hidden} больше, чем показывает; повторите позже")

    def _post(self, raw: Raw, page: PageRef) -> Post:
        id = first_id(raw)
        self._direct[id] = whole(mapping(raw.get("public_metrics")).get("reply_count"))
        return Post(
            network=self.network,
            id=id,
            page_id=page.id,
            published_at=from_text(raw.get("created_at")),
            counter=self._direct[id],
            url=f"{page.url}/status/{id}",
            text=text_of(raw),
        )

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        found: dict[str, Post] = {}
        absent: set[str] = set()
        for answer in self.client.posts([p.id for p in posts]):
            found |= {first_id(raw): self._post(raw, page) for raw in answer.posts}
            absent |= answer.absent
        for post in posts:
            if post.id in found:
                yield found[post.id]
            elif post.id in absent:
                yield replace(post, gone=self._is_gone(page, post.id))
            else:
                yield replace(post, counter=None)

    def _is_gone(self, page: PageRef, post_id: str) -> bool:
        """X is asked twice, and only when the page itself can be seen."""
        self.client.user(f"users/{page.id}")
        return any(post_id in answer.absent for answer in self.client.posts([post_id]))

    # --- conversations -----------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        turn = _Turn(self, page, post, walk, self.client.date or datetime.now(UTC))
        yield from turn.run()

    def conversation(self, post: Post, since: str | None) -> Iterator[Found]:
        first = 10 if since is not None else 10 + (self._direct.get(post.id) or 0)
        query = f"conversation_id:{post.id}"
        return self.client.pages(f"tweets/search/{self._search}", "next_token", first, query=query, since_id=since)

    @property
    def reaches_all(self) -> bool:
        return self._search == "all"

    def direct(self, post: Post, *, anew: bool = False) -> int | None:
        """The direct replies of a post by X's own count; Gone when the post is not there any more."""
        if anew or post.id not in self._direct:
            page = PageRef(self.network, post.page_id)
            (answer,) = self.client.posts([post.id])
            for raw in answer.posts:
                self._post(raw, page)
            if post.id in answer.absent:
                raise Gone(f"публикация {post.id} удалена", code="resource-not-found")
        return self._direct.get(post.id, post.counter)

    def send_hide(self, page: PageRef, external_id: str, hidden: bool) -> None:
        set_hidden(self.client, self._user, external_id, hidden)

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        pages = list(pages)
        for number, page in enumerate(pages):
            try:
                self.client.user(f"users/{page.id}")
                line = Check(f"страница {page.title or page.id}", True, page.url)
            except CollectError as e:
                line = Check(f"страница {page.title or page.id}", False, str(e), "проверьте имя страницы")
                if e.outcome is Outcome.unauthorised:
                    yield Check("токен X", False, str(e), f"получите токен заново: {GUIDE}")
                    return
            if number == 0:
                yield Check("токен X", True, f"действует; за месяц прочитано постов: {self.client.spent()}")
                yield self._cap()
            yield line
        if not pages:
            yield Check("токен X", None, "проверится, когда в pages появится страница этой сети")

    def _cap(self) -> Check:
        try:
            usage = self.client.usage()
        except CollectError as e:
            return Check("запас чтения X", None, f"X не сказала ({e.code or 'нет ответа'})")
        used, cap = clean(usage.get("project_usage")), clean(usage.get("project_cap"))
        return Check("запас чтения X", True, f"израсходовано {used or '?'} из {cap or '?'} постов за месяц")


@dataclass(slots=True)
class _Turn:
    """One walk over one conversation."""

    x: XCollector
    page: PageRef
    post: Post
    walk: Walk
    now: datetime
    live: dict[str, str | None] = field(default_factory=dict)  # met in this walk -> whom it answers
    hidden: int = 0

    def run(self) -> Iterator[Batch]:
        # What we have hidden is not looked for: search may leave it out, and looking it up is paid for.
        stored = {i: k.parent_id for i, k in self.walk.known.items() if not k.deleted and not k.hidden}
        if not self.walk.full and stored and self.walk.cursor is not None:
            newest = max(stored, key=int)
            believed = yield from self._read_newer(newest)
            lacking = self._lacking(stored | self.live)
            if believed and not lacking and not self.hidden:
                self._conclude(len(stored | self.live), lacking, exhaustive=False)
                yield Batch((), cursor=self._cursor())
                return
        yield from self._read(None)
        searched = len(self.live)
        unseen, hidden = [i for i in stored if i not in self.live], self.hidden
        young = yield from self._look_up(unseen)
        silent, self.hidden = self.hidden - hidden, hidden
        if not searched and not young and not stored:
            self.x.direct(self.post, anew=True)  # a post that is gone has an empty conversation too
        lacking = self._lacking(self.live, anew=True)
        reached = self.x.reaches_all or self.post.published_at is None or self.now - self.post.published_at < WINDOW
        if not searched and (young or self.hidden or (lacking and not stored and reached)):
            self.walk.outcome = Outcome.blocked
            most = max(young, lacking, self.hidden)
            self.walk.problem = f"X считает ответов {most}, но поиск не показывает ни одного"
            return
        if self.hidden:
            self.walk.outcome, self.walk.problem = Outcome.partial, f"поиск X не показал ответов: {self.hidden}"
            return
        if silent:  # deleted ones it names
            self.walk.outcome, self.walk.problem = (
                Outcome.partial,
                f"X ничего не сказала о сохранённых ответах: {silent}",
            )
            return
        if lacking and not reached and self.walk.cursor is None:
            self.walk.note = f"X отдаёт поиском только последние 7 дней: ответы до этого (не менее {lacking}) не видны"
        self._conclude(len(self.live), lacking, exhaustive=True)
        yield Batch((), cursor=self._cursor())

    def _cursor(self) -> str:
        return self.now.isoformat()

    def _read_newer(self, newest: str) -> Generator[Batch, None, bool]:
        """What is newer than a stored reply; True when search showed that one again, or can't any more for its age."""
        try:
            yield from self._read(str(int(newest) - 1))
        except CollectError as e:
            if e.code is None or not e.code.startswith("400"):
                raise
            yield from self._read(None)
            return True
        return newest in self.live

    def _read(self, since: str | None) -> Iterator[Batch]:
        """Everything search shows that is newer than `since`. Parents come after their replies, so all is read first:
        a reply may name a later version of what it answers. What came before an error is kept."""
        pages: list[Found] = []
        error: CollectError | None = None
        try:
            pages.extend(self.x.conversation(self.post, since))
        except CollectError as e:
            error = e
        yield from self._batches(pages)
        if error is not None:
            raise error

    def _batches(self, pages: Sequence[Found]) -> Iterator[Batch]:
        versions = {v: first_id(raw) for p in pages for raw in p.posts for v in history(raw)}
        for found in pages:
            self.hidden += found.missing
            fresh = []
            for raw in found.posts:
                comment = comment_of(raw, found, self.page, self.post, versions)
                if comment.external_id == self.post.id or comment.external_id in self.live:
                    continue
                self.live[comment.external_id] = comment.parent_id
                fresh.append(comment)
            if fresh:
                yield Batch(fresh)

    def _look_up(self, ids: Sequence[str]) -> Generator[Batch, None, int]:
        """Stored replies that search did not show: which still stand? Returns how many search should have shown."""
        pages = list(self.x.client.posts(ids))
        yield from self._batches(pages)
        if self.x.reaches_all:
            return sum(len(p.posts) for p in pages)
        times = [from_text(raw.get("created_at")) for p in pages for raw in p.posts]
        return sum(1 for t in times if t is not None and self.now - t < WINDOW)

    def _lacking(self, there: Mapping[str, str | None], *, anew: bool = False) -> int:
        """Replies that X counts and nobody has shown. Whether it counts direct ones only or all is nowhere said for
        certain: agreement with either is agreement."""
        shown = sum(1 for parent in there.values() if parent is None)
        agreed = (shown, len(there), None)
        counted = self.x.direct(self.post)
        if anew and counted not in agreed:
            counted = self.x.direct(self.post, anew=True)  # drift between two calls, or a gap? asking again tells
        if counted in agreed:
            return 0
        hidden = sum(1 for i, k in self.walk.known.items() if k.hidden and not k.deleted and i not in there)
        return max(0, counted - shown - hidden)

    def _conclude(self, there: int, lacking: int, *, exhaustive: bool) -> None:
        self.walk.complete, self.walk.exhaustive = True, exhaustive
        self.walk.counter = there + lacking


# --- JSON -> values --------------------------------------------------------------------------------------------------


def history(raw: Raw) -> tuple[str, ...]:
    """Every id a post has had: an edit makes a new one."""
    found = raw.get("edit_history_tweet_ids") or raw.get("edit_history_post_ids")
    ids = [i for i in found if is_id(i)] if isinstance(found, list) else []
    return (*ids, raw["id"])


def first_id(raw: Raw) -> str:
    """The id that stays."""
    return history(raw)[0]


def text_of(raw: Raw) -> str:
    """What was written: of a long post all of it, and signs that X writes as HTML (&, <, >) as they are."""
    long = mapping(raw.get("note_tweet")).get("text") or mapping(raw.get("note_post")).get("text")
    text = clean(long) or clean(raw.get("text"))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def comment_of(raw: Raw, found: Found, page: PageRef, post: Post, versions: Mapping[str, str]) -> Comment:
    references = rows(raw.get("referenced_tweets")) or rows(raw.get("referenced_posts"))
    answered = next((clean(r.get("id")) for r in references if r.get("type") == "replied_to"), "")
    parent = versions.get(answered, answered)
    who = clean(raw.get("author_id")) or None
    user = mapping(found.users.get(who or ""))
    name, screen = clean(user.get("name")) or None, clean(user.get("username"))
    id = first_id(raw)
    own = who == page.id
    author = Author(who, name, f"{SITE}{screen}", "community" if own else "person") if name and screen else Author(who)
    keys = mapping(raw.get("attachments")).get("media_keys")
    media = [found.media.get(k, {"media_key": k}) for k in keys if isinstance(k, str)] if isinstance(keys, list) else []
    return Comment(
        network="x",
        external_id=id,
        page_id=page.id,
        post_id=post.id,
        comment_id=id,
        parent_id=parent if parent and parent not in (post.id, id) else None,
        author=author,
        text=text_of(raw),
        published_at=from_text(raw.get("created_at")),
        url=f"{SITE}{screen or 'i'}/status/{id}",
        attachments=tuple(
            Attachment(
                clean(m.get("type"))[:64] or "media",
                u if (u := clean(m.get("url"))).startswith("https://") else None,
                None,
                clean(m.get("media_key")) or None,
            )
            for m in media
        ),
        own=own,
    )


_HOSTS = {"x.com", "www.x.com", "mobile.x.com", "twitter.com", "www.twitter.com", "mobile.twitter.com"}


def page_name(given: str) -> str:
    """The number or the name of a page in what a person wrote; ConfigError when it is neither."""
    text = given.strip()
    if re.match(r"(?:https?:)?//", text) or re.match(r"[\w.]+\.com/", text):
        parts = urlsplit(text if "//" in text else f"//{text}")
        if (parts.hostname or "") not in _HOSTS:
            raise ConfigError(f"{clean(text)[:100]} не адрес X; укажите адрес вида {SITE}имя")
        text = parts.path.strip("/").split("/")[0]
    text = text.lstrip("@")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,20}", text) or text in ("home", "search", "i"):
        raise ConfigError(f"{clean(given)[:100] or 'пустой id'} не похоже на страницу X; укажите адрес, имя или номер")
    return text
