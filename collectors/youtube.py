"""YouTube: the videos of a channel and every comment under them, by the Data API v3.

Counters first: a list of uploads and the statistics of 50 videos are a unit each. Threads come newest first with about
five replies; longer ones are read by `comments.list`. Times of two levels only: a reply to a reply stands in the same
thread, whom it answers is said in its text. Quota: every call costs, a failed one too (docs/ok-youtube-rutube.md).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from collectors.contract import (
    Answer,
    Batch,
    Blocked,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Declined,
    Gone,
    Prices,
    Receipt,
    Unavailable,
    Walk,
)
from collectors.json_api import clock_check
from collectors.paging import CursorExpired, CursorWalk, Slice
from collectors.raw import clean, mapping
from collectors.reading import NO_THREAD, Level, Reading, Thread, Tree
from collectors.replying import write_once
from collectors.when import from_text
from collectors.youtube_client import DISABLED, YoutubeClient
from collectors.youtube_items import (
    NETWORK,
    SITE,
    Raw,
    addressed,
    comment_of,
    comment_url,
    page_name,
    thread_of,
    top_of,
    video,
    video_id,
)
from store.values import Author, Comment, PageRef, Post

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Page as PageSettings
    from settings import YoutubeNetwork

VIDEOS = 50  # a call, of any list but comments
COMMENTS = 100
MAX_REPLY = 9_900  # characters; YouTube is said to take 10 000 (unconfirmed), and the @name of whom one answers
LOOK_BACK = timedelta(days=1)
WRITE_UNITS = 50
HELD = ("heldForReview", "likelySpam")


class YoutubeCollector(Collector):
    """YouTube by an API key; with OAuth of the channel also comments held for review, and answers."""

    network = NETWORK
    title = "YouTube"
    api = "https://youtube.googleapis.com/youtube/v3/"
    hosts = frozenset({"youtube.googleapis.com", "www.googleapis.com"})
    requests_per_second = 5.0
    capabilities = Capabilities(
        counters=True,
        replies=True,
        depth=2,
        edits=True,
        deletions=True,
        reply=True,
        hide=True,
        block=True,
        cost="10 000 единиц в сутки на проект Google (чтение 1, ответ 50); сутки начинаются в полночь Калифорнии",
        note="с доступом владельца канала (OAuth) видны и комментарии на проверке, можно отвечать и скрывать; "
        "блокируют там вместе со скрытием комментария, снимать блокировку приходится самому; записей сообщества в "
        "API нет",
    )
    max_reply = MAX_REPLY
    prices = Prices(posts=VIDEOS, counters=VIDEOS, comments=COMMENTS, unit="единиц")
    daily_budget = 10_000
    day_zone = "America/Los_Angeles"

    def __init__(self, config: YoutubeNetwork, manners: Manners) -> None:
        super().__init__(config, manners)
        self.client = YoutubeClient(config, manners)
        self._uploads: dict[str, str] = {}
        self._owned: frozenset[str] | None = None

    # --- pages -------------------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        found = self._channel(**page_name(page.id))
        number = clean(mapping(found).get("id"))
        if found is None or not number:
            raise Gone(f"канала {clean(page.id)[:100]} на YouTube нет; проверьте адрес в браузере", code=404)
        title = page.title or clean(mapping(found.get("snippet")).get("title"))
        return PageRef(NETWORK, number, title, f"{SITE}channel/{number}", page.owner, tuple(page.include))

    def _channel(self, **by: str) -> Raw | None:
        items = self.client.items("channels", part="snippet,contentDetails,statistics", maxResults=1, **by)
        if not items:
            return None
        uploads = mapping(mapping(items[0].get("contentDetails")).get("relatedPlaylists")).get("uploads")
        if isinstance(uploads, str) and uploads:
            self._uploads[clean(items[0].get("id"))] = uploads
        return items[0]

    def owned(self) -> frozenset[str]:
        """The channels that OAuth was given for; asked once, nothing without OAuth."""
        if self.client.oauth is None:
            return frozenset()
        if self._owned is None:
            items = self.client.items("channels", part="id", mine="true", as_owner=True)
            self._owned = frozenset(clean(i.get("id")) for i in items)
        return self._owned

    def server_time(self) -> datetime:
        return self.client.api.server_time(lambda: self.client.items("channels", part="id", id="UC" + "_" * 22))

    # --- posts -------------------------------------------------------------------------------------------------------

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        if "videos" not in page.include:
            return
        walk = CursorWalk(self._uploaded(page), lambda r: video_id(r))
        for batch in walk:
            found = self._videos([v for r in batch if (v := video_id(r))], page)
            yield from found.values()
            times = [from_text(mapping(r.get("contentDetails")).get("videoPublishedAt")) for r in batch]
            if since is not None and (last := times[-1]) is not None and last < since:
                return
        if not walk.complete:
            raise Unavailable(f"список видео прочитан не весь: {walk.reason}; повторите позже")

    def _uploaded(self, page: PageRef) -> Any:
        if page.id not in self._uploads and self._channel(id=page.id) is None:
            raise Gone(f"канала {page.id} на YouTube больше нет; проверьте адрес", code=404)

        def fetch(token: str | None) -> tuple[Slice[Raw], str | None]:
            try:
                items, following = self.client.page(
                    "playlistItems", part="contentDetails", playlistId=self._uploads.get(page.id, ""),
                    maxResults=VIDEOS, pageToken=token,
                )  # fmt: skip
            except Gone as e:  # so YouTube answers for a channel without a single video
                channel = mapping(self._channel(id=page.id))
                if str(mapping(channel.get("statistics")).get("videoCount")) == "0":
                    return Slice([], 0), None
                raise Blocked(f"список видео канала не показан: {e}", code=e.code) from None
            return Slice([r for r in items if video_id(r)]), following

        return fetch

    def _videos(self, ids: Sequence[str], page: PageRef) -> dict[str, Post]:
        """The videos with their counters of now; those that YouTube does not show are left out."""
        found: dict[str, Post] = {}
        for _ in (1, 2):  # an answer may be cut or empty
            missing = [i for i in ids if i not in found]
            for start in range(0, len(missing), VIDEOS):
                some = ",".join(missing[start : start + VIDEOS])
                for raw in self.client.items("videos", part="snippet,statistics", id=some, maxResults=VIDEOS):
                    if (post := video(raw, page)) is not None:
                        found[post.id] = post
        return found

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        found = self._videos([p.id for p in posts], page)
        for post in posts:
            yield found.get(post.id) or self._confirm(post)

    def _confirm(self, post: Post) -> Post:
        """A video that no list shows: gone only when its comments can't be reached either."""
        try:
            self.client.page("commentThreads", part="id", videoId=post.id, maxResults=1)
        except Gone:
            return replace(post, gone=True)
        except Blocked as e:
            return replace(post, denied=True, problem=str(e))
        return replace(post, counter=None)

    # --- comments ----------------------------------------------------------------------------------------------------

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        try:
            yield from Reading(YoutubeTree(self, page, post), post, walk).run()
        except Blocked as e:
            if e.code != DISABLED or walk.live or post.counter:
                raise
            walk.complete, walk.counter = True, 0  # the owner lets nobody comment: nothing to read, nothing missed
        except Gone as e:
            if any(p.gone for p in self.refresh(page, [post])):
                raise Gone("видео удалено", code=e.code) from None
            raise Unavailable(str(e), code=e.code) from None

    def threads(self, page: PageRef, video: str, cursor: str | None) -> tuple[Slice[Raw], str | None]:
        """A page of threads; after the published ones those held for review, when it is our own channel.

        `cursor`: "status token".
        """
        states = ["published", *(HELD if page.id in self.owned() else ())]
        state, _, token = (cursor or "published ").partition(" ")
        params = {"part": "snippet,replies", "videoId": video, "order": "time", "maxResults": COMMENTS}
        params |= {"textFormat": "plainText"} | ({} if state == "published" else {"moderationStatus": state})
        try:
            items, following = self.client.page("commentThreads", pageToken=token or None, **params)
        except CollectError as e:
            if e.code == "invalidPageToken":
                raise CursorExpired from None
            raise
        found = Slice([c for r in items if (c := top_of(r))])
        if following is not None:
            return found, f"{state} {following}"
        later = states[states.index(state) + 1 :]
        return found, f"{later[0]} " if later else None

    def replies(self, under: str, token: str | None) -> tuple[Slice[Raw], str | None]:
        items, following = self.client.page(
            "comments", part="snippet", parentId=under, maxResults=COMMENTS, textFormat="plainText", pageToken=token
        )
        return Slice([r for r in items if clean(r.get("id"))]), following

    def counter(self, page: PageRef, post: Post) -> int | None:
        found = self._videos([post.id], page).get(post.id)
        return found.counter if found else None

    # --- answers -----------------------------------------------------------------------------------------------------

    def no_replies(self) -> str | None:
        if self.client.oauth is not None:
            return None
        return "YouTube: для ответов нужен доступ владельца канала, networks.youtube.oauth (docs/ru/youtube-token.md)"

    def send_reply(self, answer: Answer) -> Receipt:
        body = {"snippet": {"parentId": thread_of(answer.external_id), "textOriginal": addressed(answer)}}

        def write() -> Receipt:
            try:
                made = self.client.write("comments", body, part="snippet", units=WRITE_UNITS)
            except (Blocked, Gone) as e:
                why = "YouTube не даёт каналу отвечать здесь" if e.code == "forbidden" else str(e)
                raise Declined(f"{why}; разместите ответ сами и укажите ссылку на него", code=e.code) from None
            number, at = clean(made.get("id")), from_text(mapping(made.get("snippet")).get("publishedAt"))
            return Receipt(number, comment_url(answer.post_id, number), at)

        if answer.speaker.id not in self.owned():
            raise Declined("доступ владельца (OAuth) выдан для другого канала YouTube; разместите ответ сами")
        since = self.server_time() - LOOK_BACK
        return write_once(self.manners, lambda: self.find_reply(answer, since), write)

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        top, wanted = thread_of(answer.external_id), addressed(answer).split()
        try:
            for batch in CursorWalk(lambda token: self.replies(top, token), lambda r: r["id"]):
                for raw in batch:
                    one = comment_of(raw, answer.page, answer.post_id, top)
                    if (
                        one.author.id == answer.speaker.id
                        and one.external_id not in besides
                        and (one.published_at is None or one.published_at >= since - LOOK_BACK)
                        and one.text.split() == wanted
                    ):
                        return Receipt(one.external_id, one.url, one.published_at)
        except Gone:
            return None  # the comment is deleted, and all that stood below it
        return None

    # --- hiding and blocking -----------------------------------------------------------------------------------------

    def send_hide(self, page: PageRef, external_id: str, hidden: bool) -> None:
        self._moderate(page, external_id, "rejected" if hidden else "published")

    def send_block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None
    ) -> None:
        """`banAuthor` goes with rejecting one of the author's comments, and there is no call that takes it back."""
        if until is None:
            raise Declined(
                "YouTube не даёт программам снимать блокировку; снимите её сами: Творческая студия, Настройки, "
                "Модерация сообщества, Скрытые пользователи"
            )
        if hidden is None:
            raise Declined(
                "YouTube блокирует автора только вместе со скрытием комментария: скройте его (otklik queue hide) и "
                "повторите (otklik queue blocks --send) или заблокируйте автора сами в Творческой студии"
            )
        self._moderate(page, hidden, "rejected", banAuthor="true")

    def _moderate(self, page: PageRef, comment: str, status: str, **more: str) -> None:
        if (why := self.no_replies()) is not None:
            raise Declined(why.replace("для ответов", "для этого"))
        if page.id not in self.owned():
            raise Declined("доступ владельца (OAuth) выдан для другого канала YouTube; сделайте это сами")
        try:
            self.client.set(
                "comments", "setModerationStatus", units=WRITE_UNITS, id=comment, moderationStatus=status, **more
            )
        except (Blocked, Gone) as e:
            why = "YouTube не даёт этому каналу распоряжаться комментарием" if e.code == "forbidden" else str(e)
            raise Declined(f"{why}; сделайте это сами в Творческой студии", code=e.code) from None

    # --- doctor ------------------------------------------------------------------------------------------------------

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        advice = "как получить ключ: docs/ru/youtube-token.md"
        try:
            self.client.items("channels", part="id", id="UC" + "_" * 22)
        except CollectError as e:
            yield Check("ключ YouTube", False, str(e), advice)
            return
        yield Check("ключ YouTube", True, "действует")
        quota = self.manners.quota
        if quota is not None:
            left = quota.total - quota.used()
            told = f"сегодня израсходовано {quota.used()} из {quota.total}"
            yield Check("квота YouTube", left > 0, told, "" if left > 0 else "новая будет после полуночи в Калифорнии")
        if self.client.oauth is not None:
            yield self._check_oauth()
        yield clock_check(self.title, self.server_time)
        for page in pages:
            name = f"страница {page.title or page.id}"
            try:
                channel = self._channel(id=page.id)
            except CollectError as e:
                yield Check(name, False, str(e), advice)
                continue
            if channel is None:
                yield Check(name, False, "такого канала нет", "проверьте адрес канала в браузере")
            else:
                count = clean(str(mapping(channel.get("statistics")).get("videoCount", "?")))
                yield Check(name, True, f"{page.url}, видео: {count}")

    def _check_oauth(self) -> Check:
        try:
            items = self.client.items("channels", part="id", mine="true", as_owner=True)
        except CollectError as e:
            return Check(
                "доступ владельца (OAuth)", False, str(e), "получите refresh_token заново: docs/ru/youtube-token.md"
            )
        return Check(
            "доступ владельца (OAuth)", bool(items), "действует" if items else "у этой учётной записи нет канала"
        )


class YoutubeTree(Tree[Raw]):
    """Threads of two levels; a thread's first replies come along."""

    title = "YouTube"

    def __init__(self, youtube: YoutubeCollector, page: PageRef, post: Post) -> None:
        self._youtube, self._page, self._post = youtube, page, post

    def level(self, under: str | None, newest_first: bool) -> Level[Raw]:
        if under is not None:
            return CursorWalk(lambda token: self._youtube.replies(under, token), self.key)
        return CursorWalk(lambda cursor: self._youtube.threads(self._page, self._post.id, cursor), self.key)

    def key(self, raw: Raw) -> str:
        return clean(raw["id"])

    def thread(self, raw: Raw) -> Thread:
        count = raw.get("_count") or 0
        return Thread(raw["_replies"], count, len(raw["_replies"]) >= count) if count else NO_THREAD

    def counter(self) -> int | None:
        return self._youtube.counter(self._page, self._post)

    def comment(self, raw: Raw, more: Any, under: str | None) -> Comment:
        return comment_of(raw, self._page, self._post.id, under)
