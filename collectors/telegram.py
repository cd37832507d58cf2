"""The Telegram collector: comments under a channel's posts, told to a bot in the channel's discussion group.

The Bot API has no history and no list of posts or comments: what is written comes once, as an update, and is kept 24
hours (`telegram_stream`). So there is no counter and no walk over everything; a post is known from its copy in the
group, an edit comes as an update of its own, and **a deletion is never told to a bot**. JSON is read in
`telegram_items`, calls are made in `telegram_client`.

A page is a channel (its discussion group is found by itself) or a group. `Post.id` is "GROUP_COPY", the copy's number
in the group; a comment's external id is "GROUP_MESSAGE".
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from collectors import telegram_blocks, telegram_doctor, telegram_replies
from collectors.contract import (
    Answer,
    Batch,
    Capabilities,
    Check,
    CollectError,
    Collector,
    Gone,
    Receipt,
    Unauthorised,
    Walk,
)
from collectors.raw import clean, mapping, whole
from collectors.telegram_client import TelegramClient
from collectors.telegram_items import (
    GROUP_CHAT,
    NETWORK,
    SITE,
    Found,
    Place,
    bare,
    chat_named,
    comment,
    is_copy,
    is_service,
    post,
    thread_of,
)
from collectors.telegram_stream import TelegramStream, remember
from settings import ConfigError
from store.values import Author, Outcome, PageRef, Post, Pushed

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Page as PageSettings
    from settings import TelegramNetwork

MAX_REPLY = 4096


class TelegramCollector(Collector):
    """Telegram through the Bot API (10.1)."""

    network = NETWORK
    title = "Telegram"
    api = "https://api.telegram.org/"
    hosts = frozenset({"api.telegram.org"})
    requests_per_second = 20.0
    max_reply = MAX_REPLY
    capabilities = Capabilities(
        posts=False,
        history=False,
        replies=True,
        edits=True,
        deletions=False,
        reply=True,
        block=True,
        push=True,
        cost="бесплатно; бот видит только то, что написано при нём; новости хранятся 24 часа",
        note="удалений и счётчиков бот не видит; публикация видна с первого комментария или с её копии в группе",
    )
    config: TelegramNetwork

    def __init__(self, config: TelegramNetwork, manners: Manners) -> None:
        super().__init__(config, manners)
        self.client = TelegramClient(manners)
        self._places: dict[str, Place] = {}
        self.stream = TelegramStream(self.client, lambda: self.inbox, self._page_of, lambda: self._places)
        self._staff = {s.strip().lstrip("@").lower() for s in config.staff}
        self._waiting: dict[str, list[Pushed]] = {}  # post -> its news, in order
        self._taken: dict[str, list[str]] = {}  # page -> refs of what was yielded
        self._notes: list[tuple[str, str, Any]] = []  # for later messages; kept once what they tell of is landed
        self._told: set[str] = set()
        self._watched: dict[str, Any] | None = None  # where the pages are, by the names they are watched by

    # --- pages -------------------------------------------------------------------------------------------------------

    def resolve(self, page: PageSettings) -> PageRef:
        wanted = chat_named(page.id)
        if wanted is None:
            raise ConfigError(
                f"{page.id[:100]}: это не адрес Telegram; нужен https://t.me/канал, @канал или номер чата вида -100…"
            )
        try:
            chat = self.client.chat(wanted)
        except Gone as e:
            raise Gone(f"{page.id[:100]}: {e}", code=e.code) from None
        kind, linked = chat.get("type"), whole(chat.get("linked_chat_id"))
        if kind not in ("channel", "supergroup", "group") or whole(chat.get("id")) is None:
            raise ConfigError(f"{page.id[:100]}: это не канал и не группа; укажите канал администрации")
        if kind != "channel" and linked is not None:
            chat = self._channel_of(chat, linked)
        place = self._place(chat)
        self._places[place.page_id] = place
        title = page.title or clean(chat.get("title"))
        name = place.channel_name or place.group_name
        return PageRef(NETWORK, place.page_id, title, f"{SITE}{name or f'c/{bare(int(place.page_id))}'}")

    def _channel_of(self, group: Mapping[str, Any], channel: int) -> Mapping[str, Any]:
        """The channel that a group belongs to; as far as known when the bot is not in it."""
        try:
            return self.client.chat(channel)
        except (Gone, Unauthorised):
            return {"id": channel, "type": "channel", "title": group.get("title"), "linked_chat_id": group.get("id")}

    def _place(self, chat: Mapping[str, Any]) -> Place:
        id, linked = whole(chat.get("id")) or 0, whole(chat.get("linked_chat_id"))
        name = clean(chat.get("username"))
        if chat.get("type") != "channel":
            return Place(str(id), id, None, name)
        if linked is None:
            return Place(str(id), 0, id, "", name)
        try:
            group_name = clean(self.client.chat(linked).get("username"))
        except (Gone, Unauthorised):
            group_name = ""
        return Place(str(id), linked, id, group_name, name)

    def place(self, page: PageRef) -> Place:
        """Where the comments of a page are written; asked once a run."""
        if page.id not in self._places:
            self._places[page.id] = self._place(self.client.chat(int(page.id)))
        return self._places[page.id]

    def _know_all(self) -> Mapping[str, Any]:
        """Every watched page must be known before the news are fetched: what belongs to none is dropped.

        A channel that does not let the bot in (any more) says so in its own turn; news of its group come all the same,
        so the place of a page is kept, under the name by which it is watched.
        """
        if self._watched is not None:
            return self._watched
        kept = mapping(self.stream.state.get("places"))
        places: dict[str, Any] = {}
        for page in self.configured:
            try:
                id = self.resolve(page).id
            except ConfigError:
                continue
            except (Gone, Unauthorised):
                if (place := Place.kept(kept.get(page.id))) is None:
                    continue
                self._places.setdefault(id := place.page_id, place)
            places[page.id] = self._places[id].note()
        self._watched = places
        return places

    def _page_of(self, chat: int, moved: Mapping[str, Any]) -> str | None:
        for place in self._places.values():
            if chat == place.group or str(chat) == moved.get(str(place.group)):
                return place.page_id
        return None

    # --- the contract ------------------------------------------------------------------------------------------------

    def server_time(self) -> datetime:
        return self.client.now()

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """Posts of which there is news: their copies, and those under which something was written."""
        place = self.place(page)
        if not place.group:
            raise CollectError(
                f"у канала «{page.title or page.id}» нет группы обсуждений, поэтому нет и комментариев; "
                "подключите её в настройках канала (docs/ru/telegram-token.md)",
                outcome=Outcome.blocked,
            )
        self.stream.fetch(page.id, self._know_all())
        yield from self._sort(page, place)
        hole = self.stream.hole(page.id)
        if hole is not None:
            self._told.add(page.id)
            since, until = (t.strftime("%d.%m %H:%M") for t in hole)
            raise CollectError(
                f"комментарии с {since} по {until} UTC могли пропасть: сбора не было больше суток, а Telegram хранит "
                "новости для бота 24 часа; просмотрите обсуждение за это время сами",
                outcome=Outcome.partial,
            )

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        """Nothing can be asked about a post; one with news is among `posts`."""
        return iter(())

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        group, thread = (int(part) for part in post.id.split("_"))
        place = replace(self.place(page), group=group)
        albums = mapping(self.stream.state.get("albums"))
        found: dict[int | str, Found] = {}
        items = self._waiting.pop(post.id, [])
        for item in items:
            message = mapping(orjson.loads(item.raw))
            number = whole(message.get("message_id"))
            if number is None or is_service(message) or is_copy(message):
                continue
            album = f"{group}:{message['media_group_id']}" if message.get("media_group_id") else None
            if album is not None and album not in found and album in albums:  # the parts that came in an earlier run
                found[album] = Found.kept(albums[album], thread)
            found.setdefault(album or number, Found(number, thread)).add(number, message, known=album in albums)
        comments = [comment(f, place, self._staff | {self.client.bot}) for f in found.values()]
        if comments:
            yield Batch(comments)
        self._notes += [("albums", key, f.note()) for key, f in found.items() if isinstance(key, str)]
        self._taken.setdefault(page.id, []).extend(item.ref for item in items)
        walk.complete, walk.exhaustive, walk.counter = True, False, None

    def landed(self, page: PageRef) -> None:
        refs, notes = self._taken.pop(page.id, []), self._notes
        if notes:
            self._notes = []

            def keep(state: dict[str, Any]) -> None:
                for what, key, value in notes:
                    remember(state, what, key, value)

            self.stream.change(keep)
        if refs:
            self.inbox.inbox_done(self.stream.source, refs, self.client.now())
        if page.id in self._told:
            self._told.discard(page.id)
            self.stream.told(page.id)

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        return telegram_doctor.check(self, pages)

    # --- sorting what came -------------------------------------------------------------------------------------------

    def _sort(self, page: PageRef, place: Place) -> Iterator[Post]:
        """The page's news by post; what belongs to none is done with at once."""
        state = self.stream.state
        threads, albums = mapping(state.get("threads")), mapping(state.get("albums"))
        copies: dict[str, Mapping[str, Any]] = {}
        order: dict[str, tuple[int, Place]] = {}
        for item in self.inbox.inbox_items(self.stream.source, page.id):
            message = mapping(orjson.loads(item.raw))
            chat = whole(mapping(message.get("chat")).get("id")) or place.group
            thread = thread_of(message)
            if thread is not None:
                thread = whole(threads.get(f"{chat}:{thread}")) or thread
                if is_copy(message):  # of an album each part is copied; comments lie under the first
                    thread = self._first_copy(chat, thread, message, albums)
            elif self.config.group_messages == "all" and not is_service(message):
                thread = GROUP_CHAT
            if thread is None:
                self._taken.setdefault(page.id, []).append(item.ref)
                continue
            here = replace(place, group=chat)
            id = here.post_id(thread)
            order[id] = (thread, here)
            copy = message if is_copy(message) else mapping(message.get("reply_to_message"))
            if is_copy(copy) and (id not in copies or (is_copy(message) and whole(copy.get("message_id")) == thread)):
                copies[id] = copy
            self._waiting.setdefault(id, []).append(item)
        for id, (thread, here) in sorted(order.items(), key=lambda entry: -entry[1][0]):
            found = post(thread, copies.get(id, {}), here)
            if thread == GROUP_CHAT:
                found = replace(found, text="Разговор в группе, вне публикаций", url=page.url)
            yield found

    def _first_copy(self, chat: int, number: int, message: Mapping[str, Any], albums: Mapping[str, Any]) -> int:
        group = message.get("media_group_id")
        if not group:
            return number
        key = f"{chat}:{group}"
        known = next((v for w, k, v in self._notes if w == "albums" and k == key), albums.get(key))
        first = whole(mapping(known).get("first")) or number
        if known is None:
            self._notes.append(("albums", key, {"first": number, "date": message.get("date"), "parts": []}))
        return first

    # --- answering ---------------------------------------------------------------------------------------------------

    def send_reply(self, answer: Answer) -> Receipt:
        return telegram_replies.send(self, answer)

    def send_block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None
    ) -> None:
        telegram_blocks.block(self, page, author, until)

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        return telegram_replies.find(self, answer, besides)
