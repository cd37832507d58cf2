"""The VK collector: walls, photos, videos and discussions of a page, every comment and reply under them.

Pages are in `vk_pages`, publications and counters in `vk_posts`, comments in `vk_comments` (read by `reading`), calls
in `vk_client`, JSON in `vk_items`, answers in `vk_replies`.

A post that a resident wrote on the page's wall is itself a message to the administration: it is yielded as the first
comment of its own discussion (external id = the post's id, no parent) and counted, so `Post.counter` and
`Walk.counter` of such a post are the network's number plus one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collectors import vk_blocks, vk_doctor, vk_pages
from collectors.contract import (
    Batch,
    Blocked,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Gone,
    Prices,
    Unauthorised,
    Unavailable,
    Walk,
)
from collectors.reading import Reading
from collectors.vk_client import VkClient
from collectors.vk_comments import PAGE, VkTree, comments_call, order_of
from collectors.vk_items import NETWORK, Target
from collectors.vk_posts import GONE_CODES, VkPosts
from collectors.vk_replies import MAX_REPLY, VkReplies
from store.values import Answer, Author, PageRef, Post, Receipt

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Network
    from settings import Page as PageSettings


class VkCollector(Collector):
    """VK through its official API 5.199."""

    network = NETWORK
    title = "ВКонтакте"
    api = "https://api.vk.ru/method/"
    hosts = frozenset({"api.vk.ru", "api.vk.com"})
    requests_per_second = 3.0
    block_ends = True
    capabilities = Capabilities(
        counters=True,
        replies=True,
        edits=True,
        deletions=True,
        reply=True,
        block=True,
        push=True,
        cost="бесплатно; 3 запроса в секунду",
        note="фото и видео — только с токеном пользователя; новости сама — для otklik worker",
    )
    max_reply = MAX_REPLY
    prices = Prices(posts=100, counters=2500, comments=100)

    def __init__(self, config: Network, manners: Manners) -> None:
        super().__init__(config, manners)
        self.client = VkClient(manners)
        self.listed = VkPosts(self.client)
        self.written = VkReplies(self)
        self._ahead: dict[tuple[str, str], Any] = {}  # (post, order) -> its first page of comments, read ahead

    def resolve(self, page: PageSettings) -> PageRef:
        return vk_pages.resolve(self.client, page)

    def server_time(self) -> datetime:
        return self.client.server_time()

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        return self.listed.posts(page, since)

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        return self.listed.refresh(page, posts)

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        target = Target.parse(post.id)
        if target is None:
            walk.complete, walk.counter = True, 0
            return
        try:
            yield from Reading(VkTree(self, page, target), post, walk).run()
        except CollectError as e:
            if isinstance(e, Unauthorised) and e.code in ("27", "28") and post.kind != "post":
                raise Blocked(str(e), code=e.code) from None  # the token reads other kinds of posts
            # One answer is not enough to call a post deleted: its comments would be marked as deleted too.
            if (e.code in GONE_CODES or isinstance(e, Gone)) and self.listed.is_gone(page, target):
                raise Gone("запись удалена", code=104) from None
            if isinstance(e, Gone):
                raise Unavailable(str(e), code=e.code) from None
            raise

    def prefetch(self, page: PageRef, posts: Sequence[tuple[Post, bool]]) -> None:
        """The first pages of up to 25 posts in one `execute`; each is a slice as good as a call of its own brings."""
        self._ahead.clear()
        wanted = [(t, order_of(not full)) for post, full in posts if (t := Target.parse(post.id))]
        if len(wanted) < 2 or not self.client.may_execute:
            return
        answers = self.client.many([comments_call(t, None, order, 0, PAGE) for t, order in wanted])
        for (target, order), answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, CollectError):
                self._ahead[target.id, order] = answer

    def ahead(self, target: Target, order: str) -> Any:
        """What `prefetch` brought for this walk, once; None when nothing."""
        return self._ahead.pop((target.id, order), None)

    def send_reply(self, answer: Answer) -> Receipt:
        return self.written.send(answer)

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        return self.written.find(answer, since, besides)

    def send_block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None
    ) -> None:
        vk_blocks.block(self.client, page, author, until, ground)

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        return vk_doctor.check(self.client, pages)
