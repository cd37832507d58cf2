"""RuTube: the videos of a channel and the comments under them, by the JSON addresses that its own site uses.

There is no official API of comments and no promise: everything may change without notice (docs/ok-youtube-rutube.md
says what was seen by whom). So it is off until the operator agrees (`networks.rutube.agreed`), reads only, one call a
second; names of fields are lists of candidates that `networks.rutube.fields` may extend; a comment without a time is
kept as "time unknown"; a page of HTML or a 403 is `blocked`, never "no comments".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collectors.contract import (
    Batch,
    Blocked,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Gone,
    Prices,
    Unavailable,
    Walk,
    page_check,
)
from collectors.json_api import JsonApi, clock_check
from collectors.manners import Retry
from collectors.paging import PageWalk, Slice
from collectors.raw import clean, mapping, rows
from collectors.reading import NO_THREAD, Level, Reading, Thread, Tree
from collectors.when import from_seconds, from_text
from settings import ConfigError
from store.values import Attachment, Author, Comment, PageRef, Post

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Page as PageSettings
    from settings import RutubeNetwork

NETWORK = "rutube"
SITE = "https://rutube.ru/"
ZONE = "Europe/Moscow"  # of times without one (unconfirmed)
SIZE = 20  # comments a page (unconfirmed; only for estimates)
_HOSTS = {"rutube.ru", "www.rutube.ru", "m.rutube.ru"}
_VIDEO = re.compile(r"[0-9a-f]{32}")
FIELDS: dict[str, tuple[str, ...]] = {
    "time": ("created_ts", "publication_ts", "created_at", "date"),
    "edited": ("edited_ts", "updated_ts", "last_update_ts"),
    "author": ("user", "author"),
    "replies": ("replies_number", "replies_count", "children_count"),
    "parent": ("parent_id", "parent"),
    "deleted": ("is_deleted", "deleted", "is_removed"),
    "counter": ("comments_count", "comments_number", "count"),
    "attachments": ("stickers", "attachments"),
}
Raw = dict[str, Any]


class RutubeCollector(Collector):
    """RuTube as its site shows it."""

    network = NETWORK
    title = "RuTube"
    api = "https://rutube.ru/api/"
    hosts = frozenset({"rutube.ru"})
    needs_token = False
    requests_per_second = 1.0
    capabilities = Capabilities(
        counters=True,
        replies=True,
        edits=True,
        deletions=True,
        cost="бесплатно, один запрос в секунду",
        note="официального API нет: читаются адреса сайта, которые могут измениться в любой день; включается отдельно "
        "(agreed: true); ответить можно только на сайте",
    )
    prices = Prices(posts=SIZE, counters=1, comments=SIZE)

    def __init__(self, config: RutubeNetwork, manners: Manners) -> None:
        super().__init__(config, manners)
        if not config.agreed:
            raise ConfigError(
                "networks.rutube: у RuTube нет официального API комментариев; если согласны читать их так, как "
                "их показывает сайт, впишите agreed: true (docs/ru/rutube.md)"
            )
        if unknown := config.fields.keys() - FIELDS.keys():
            raise ConfigError(
                f"networks.rutube.fields: {sorted(unknown)[0]} здесь не бывает; можно: {', '.join(FIELDS)}"
            )
        self.fields = {k: (*config.fields.get(k, ()), *v) for k, v in FIELDS.items()}
        self._client = config.client
        self.api_ = JsonApi(manners, self.title)

    # --- calls -------------------------------------------------------------------------------------------------------

    def get(self, path: str, what: str, *, listed: bool = False, **params: Any) -> Raw:
        """The JSON of an address. `listed`: `results` must be in it; a page too far is an empty one."""

        def read(status: int, data: Any) -> Raw:
            detail = clean(str(mapping(data).get("detail") or ""))[:100]
            if status == 404:
                if listed and int(params.get("page") or 1) > 1:
                    return {"results": [], "has_next": False}
                raise Gone("такого на RuTube больше нет", code=404)
            if status in (401, 403):
                raise Blocked(f"RuTube не показывает это ({detail or f'HTTP {status}'})", code=status)
            if status >= 400 or not isinstance(data, dict):
                raise Retry(f"HTTP {status}" if status >= 400 else "ответ не похож на ответ RuTube", code=str(status))
            if listed and not isinstance(data.get("results"), list):
                raise Retry("ответ не похож на ответ RuTube")
            if not listed and "id" not in data:
                raise Retry("ответ не похож на ответ RuTube")
            return data

        try:
            return self.api_.ask(path, read, params={k: v for k, v in params.items() if v is not None}, what=what)
        except Unavailable as e:
            if e.code == "page":
                raise Blocked(
                    "RuTube вместо данных показывает страницу: сервер принят за робота или страна не та; откройте "
                    "rutube.ru с этого сервера в браузере и повторите позже",
                    code="page",
                    page_wide=True,
                ) from None
            raise

    def field(self, raw: Mapping[str, Any], name: str) -> Any:
        """The first candidate that is there and not empty."""
        return next((raw[k] for k in self.fields[name] if raw.get(k) not in (None, "")), None)

    def count(self, raw: Mapping[str, Any], name: str = "counter") -> int | None:
        value = self.field(raw, name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    # --- pages -------------------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        number = page_name(page.id)
        try:
            found = self.get(f"profile/user/{number}/", "profile.user", format="json")
        except Gone:
            raise Gone(f"канала {clean(page.id)[:100]} на RuTube нет; проверьте адрес в браузере", code=404) from None
        title = page.title or clean(found.get("name") or found.get("title"))
        return PageRef(NETWORK, number, title, f"{SITE}channel/{number}/", page.owner, tuple(page.include))

    def server_time(self) -> datetime:
        return self.api_.server_time(lambda: self.get("video/category/", "video.category", listed=True, page=1))

    # --- posts -------------------------------------------------------------------------------------------------------

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        if "videos" not in page.include:
            return
        walk = PageWalk(
            lambda n: self._page(f"video/person/{page.id}/", "video.person", n), lambda r: _video_id(r), twice=False
        )
        for batch in walk:
            posts = [p for raw in batch if (p := self._video(raw, page))]
            yield from posts
            ages = [p.published_at for p in posts if p.published_at is not None]
            if since is not None and ages and min(ages) < since:
                return
        if not walk.complete:
            raise Unavailable(f"список видео прочитан не весь: {walk.reason}; повторите позже")

    def _page(self, path: str, what: str, number: int, **params: Any) -> tuple[Slice[Raw], bool]:
        data = self.get(path, what, listed=True, page=number, format="json", **params)
        items = [r for r in rows(data.get("results")) if _text_id(r)]
        more = data.get("has_next")
        return Slice(items, None, data), more is True or (more is None and bool(data.get("next")))

    def _video(self, raw: Raw, page: PageRef) -> Post | None:
        number = _video_id(raw)
        author = mapping(raw.get("author"))
        if (
            not number
            or (author.get("id") is not None and str(author["id"]) != page.id)
            or raw.get("is_hidden") is True
        ):
            return None
        text = "\n\n".join(filter(None, (clean(raw.get("title")), clean(raw.get("description")))))
        at = next((t for k in ("publication_ts", "created_ts") if (t := from_text(raw.get(k), ZONE))), None)
        return Post(NETWORK, number, page.id, "video", at, self.count(raw), f"{SITE}video/{number}/", text)

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        for post in posts:
            try:
                yield replace(post, counter=self._counter_of_video(post))
            except Gone:
                yield replace(post, gone=True)
            except Blocked as e:
                if e.page_wide:
                    raise
                yield replace(post, denied=True, problem=str(e))

    def _counter_of_video(self, post: Post) -> int | None:
        """As the video itself tells it. Gone only when its list of comments says so too."""
        try:
            return self.count(self.get(f"video/{post.id}/", "video", format="json"))
        except Gone:
            self._comments(post.id, None, 1)
            return None

    def _counter(self, post: Post) -> int | None:
        """By the video itself, else by its list of comments."""
        found = self._counter_of_video(post)
        return found if found is not None else self.count(mapping(self._comments(post.id, None, 1)[0].more))

    # --- comments ----------------------------------------------------------------------------------------------------

    def _comments(self, video: str, under: str | None, number: int) -> tuple[Slice[Raw], bool]:
        return self._page(f"comments/video/{video}/", "comments.video", number, client=self._client, parent_id=under)

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        try:
            yield from Reading(RutubeTree(self, page, post), post, walk).run()
        except Gone as e:
            if any(p.gone for p in self.refresh(page, [post])):
                raise Gone("видео удалено", code=404) from None
            raise Unavailable(str(e), code=e.code) from None

    # --- doctor ------------------------------------------------------------------------------------------------------

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        try:
            self.get("video/category/", "video.category", listed=True, page=1)
        except CollectError as e:
            yield Check("доступ к RuTube", False, str(e), "подробно: docs/ru/rutube.md")
            return
        yield Check("доступ к RuTube", True, "сайт отвечает; ключ не нужен, адреса неофициальные")
        yield clock_check(self.title, self.server_time)
        for page in pages:
            yield page_check(page, lambda page=page: self._look(page), "проверьте адрес канала в браузере")

    def _look(self, page: PageRef) -> None:
        self.get(f"profile/user/{page.id}/", "profile.user", format="json")
        self._page(f"video/person/{page.id}/", "video.person", 1)


class RutubeTree(Tree[Raw]):
    """A list by page numbers, and one more under each comment that has replies, to any depth."""

    title = "RuTube"

    def __init__(self, rutube: RutubeCollector, page: PageRef, post: Post) -> None:
        self._rutube, self._page, self._post = rutube, page, post

    def level(self, under: str | None, newest_first: bool) -> Level[Raw]:
        above = None if under is None else under.rpartition("_")[2]
        return PageWalk(
            lambda n: self._rutube._comments(self._post.id, above, n),
            _text_id,
            twice=under is not None or not newest_first,
        )

    def key(self, raw: Raw) -> str:
        return f"{self._post.id}_{_text_id(raw)}"

    def thread(self, raw: Raw) -> Thread:
        count = self._rutube.count(raw, "replies") or 0
        return Thread((), count, False) if count else NO_THREAD

    def total(self, more: Any) -> int | None:
        return self._rutube.count(mapping(more))

    def counter(self) -> int | None:
        return self._rutube._counter(self._post)

    def comment(self, raw: Raw, more: Any, under: str | None) -> Comment:
        of = self._rutube.field
        number = _text_id(raw)
        parent = _number(of(raw, "parent"))
        above = f"{self._post.id}_{parent}" if parent else under
        deleted = of(raw, "deleted") is True
        person = mapping(of(raw, "author"))
        author = _author(person)
        at, edited = (_when(of(raw, k)) for k in ("time", "edited"))
        return Comment(
            network=NETWORK,
            external_id=self.key(raw),
            page_id=self._page.id,
            post_id=self._post.id,
            comment_id=number,
            parent_id=above if above != self.key(raw) else None,
            author=author,
            text="" if deleted else clean(raw.get("text")),
            published_at=at,
            url=self._post.url or f"{SITE}video/{self._post.id}/",
            attachments=() if deleted else tuple(map(_attachment, rows(of(raw, "attachments")))),
            own=author.id is not None and author.id == self._page.id,
            deleted=deleted,
            edited_at=edited if edited is not None and edited != at else None,
        )


# --- JSON -> values --------------------------------------------------------------------------------------------------


def page_name(given: str) -> str:
    """The number of a channel: "https://rutube.ru/channel/23704195/" -> "23704195"; ConfigError for anything else."""
    text = given.strip()
    if "/" in text:
        parts = urlsplit(text if "//" in text else f"//{text}")
        words = [w for w in parts.path.split("/") if w]
        if (
            (parts.hostname or "") in _HOSTS
            and len(words) > 1
            and (words[0] == "channel" or words[:2] == ["video", "person"])
        ):
            text = words[-1] if words[0] == "video" else words[1]
    if not re.fullmatch(r"\d{1,18}", text):
        raise ConfigError(
            f"{clean(text)[:100] or 'пустой id'} не похоже на канал RuTube; укажите адрес вида "
            "https://rutube.ru/channel/123/ (имя канала откройте в браузере: в адресе станет номер)"
        )
    return text


def _video_id(raw: Raw) -> str:
    text = clean(raw.get("id")).strip().lower()
    return text if _VIDEO.fullmatch(text) else ""


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return clean(value).strip()[:100] if isinstance(value, str) else ""


def _text_id(raw: Raw) -> str:
    return _number(raw.get("id"))


def _when(value: Any) -> datetime | None:
    return from_text(value, ZONE) or from_seconds(value)


def _author(raw: Mapping[str, Any]) -> Author:
    number, name = _number(raw.get("id")), clean(raw.get("name"))
    if not number or number == "0" or not name:
        known = number if number not in ("", "0") else None
        return Author(known, None, f"{SITE}channel/{known}/" if known else None, "unknown")
    return Author(number, name, f"{SITE}channel/{number}/", "person")


def _attachment(raw: Raw) -> Attachment:
    return Attachment(
        clean(raw.get("type"))[:64] or "sticker", None, clean(raw.get("name"))[:500] or None, _text_id(raw) or None
    )
