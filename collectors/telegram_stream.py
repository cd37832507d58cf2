"""The bot's stream of news: fetched into the inbox, confirmed to Telegram only when they lie there.

Telegram keeps an update until a call with a higher `offset` confirms it, and at most 24 hours
(https://core.telegram.org/bots/api#getting-updates). So each batch is kept in one transaction with the offset to go on
from, and the next call confirms it. When more than 24 hours have passed since the last call, what was written in
between and is older than 24 hours is lost for a bot: such a hole is kept until each page has told of it.

After a week without news the numbers of updates begin anew, anywhere (type Update, `update_id`): an offset so old is
left out, for a lower number would count as confirmed already.

The state of the stream: `offset`, `news_at` (ISO time of the last news), `fetched` (of the last call), `pages` (watched
at that time), `places` (where they are, by the names they are watched by), `holes` {page: [from, to]} not told of yet,
`moved` {new number of a group: its former one}, `threads` and `albums` (what later
messages need to find their post and their comment), `album_at`, `sent` (see `telegram_replies`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from collectors.contract import Unavailable
from collectors.raw import mapping, rows, whole
from collectors.telegram_client import TelegramClient
from collectors.telegram_items import alias_of
from store.values import Pushed

if TYPE_CHECKING:
    from collectors.inbox import Inbox

KEPT = timedelta(hours=24)
BATCH = 100
WANTED = ("message", "edited_message")
SAME_NUMBERS = timedelta(days=6)  # after the last news; Telegram says a week
CLOCKS = timedelta(minutes=1)  # a pause of 24 hours counts as too long only when it is longer by so much
REMEMBERED = 500  # threads whose number is not their post's, and albums
EDITABLE = 48 * 3600  # seconds in which an author may edit a message
ATTEMPTS = 20  # to change the state while others change it too
ALBUM_WAIT = 2  # seconds in which the rest of an album comes


class TelegramStream:
    """One bot's news. `page_of(chat id)`: which page a chat belongs to; news of other chats are dropped unread.
    `pages()`: all that are watched."""

    def __init__(
        self,
        client: TelegramClient,
        inbox: Callable[[], Inbox],
        page_of: Callable[[int, Mapping[str, Any]], str | None],
        pages: Callable[[], Collection[str]],
    ) -> None:
        self._client = client
        self._inbox = inbox
        self._page_of = page_of
        self._pages = pages
        self._served: set[str] | None = None  # pages that had what the last fetch brought

    @property
    def source(self) -> str:
        return f"telegram:{self._client.bot}"

    @property
    def state(self) -> dict[str, Any]:
        return self._inbox().inbox_state(self.source)[1]

    def fetch(self, page: str, places: Mapping[str, Any]) -> None:
        """Everything that waits, once for all pages; again when a page comes a second time. `places`: to be kept."""
        if self._served is not None and page not in self._served:
            self._served.add(page)
            return
        wait = 0
        while True:
            version, state = self._inbox().inbox_state(self.source)
            offset = whole(state.get("offset")) if self._numbers_go_on(state) else None
            updates = self._ask(offset, wait)
            now = self._client.now()
            _note_hole(state, now)
            state["fetched"], state["pages"] = now.isoformat(), sorted(self._pages())
            state["places"] = dict(places)
            forget_albums(state, now.timestamp())
            found = [u for u in updates if (n := whole(u.get("update_id"))) is not None and n >= (offset or 0)]
            state.setdefault("news_at", now.isoformat())
            if found:
                state["offset"] = max(u["update_id"] for u in found) + 1
                state["news_at"] = now.isoformat()
            elif updates:
                raise Unavailable("Telegram повторяет новости, которые уже подтверждены; повторите позже")
            if not self._inbox().inbox_put(self.source, version, state, list(self._pieces(found, state)), now):
                continue  # another run was faster: what it did not get is still there
            if len(updates) < BATCH:
                if wait or not self._half_an_album(state, now):
                    break
                wait = ALBUM_WAIT
        self._served = {page}

    def _numbers_go_on(self, state: Mapping[str, Any]) -> bool:
        """Was there news lately, so that the next number is the one after the last?"""
        at = state.get("news_at")
        return not isinstance(at, str) or self._client.now() - datetime.fromisoformat(at) < SAME_NUMBERS

    def _ask(self, offset: int | None, wait: int) -> list[dict[str, Any]]:
        answer = self._client.call("getUpdates", offset=offset, limit=BATCH, timeout=wait, allowed_updates=list(WANTED))
        if not isinstance(answer, list) or len(rows(answer)) != len(answer):
            raise Unavailable("список новостей не похож на ответ Telegram; повторите позже")
        return rows(answer)

    def _pieces(self, updates: list[dict[str, Any]], state: dict[str, Any]) -> Any:
        """News of our pages; what later ones need to know is noted in `state`."""
        for update in updates:
            kind = next((k for k in WANTED if isinstance(update.get(k), dict)), None)
            if kind is None:
                continue
            message = update[kind]
            chat = whole(mapping(message.get("chat")).get("id"))
            moved = whole(message.get("migrate_to_chat_id"))
            if chat is not None and moved is not None:
                state.setdefault("moved", {})[str(moved)] = str(chat)
            page = self._page_of(chat, mapping(state.get("moved"))) if chat is not None else None
            if page is None:
                continue
            if (alias := alias_of(message)) is not None:
                remember(state, "threads", f"{chat}:{alias[0]}", alias[1])
            if message.get("media_group_id"):
                state["album_at"] = whole(message.get("date")) or 0
            yield Pushed(str(update["update_id"]), page, orjson.dumps(message).decode())

    def _half_an_album(self, state: Mapping[str, Any], now: datetime) -> bool:
        """The rest of an album that has only just come may still be on its way."""
        at = whole(state.get("album_at")) or 0
        return 0 <= now.timestamp() - at <= ALBUM_WAIT

    # --- what is lost ------------------------------------------------------------------------------------------------

    def hole(self, page: str) -> tuple[datetime, datetime] | None:
        """(since, until): comments of that time may be lost and this page has not told so yet."""
        found = mapping(self.state.get("holes")).get(page)
        return None if found is None else (datetime.fromisoformat(found[0]), datetime.fromisoformat(found[1]))

    def change(self, change: Callable[[dict[str, Any]], None], items: Sequence[Pushed] = ()) -> None:
        """Change the state, whatever else changes it at the same time, and keep `items` that did not come as news."""
        for _ in range(ATTEMPTS):
            version, state = self._inbox().inbox_state(self.source)
            change(state)
            if self._inbox().inbox_put(self.source, version, state, items, self._client.now()):
                return
        raise Unavailable("другой запуск otklik всё время меняет состояние бота; повторите позже")

    def told(self, page: str) -> None:
        """This page has told of its hole."""
        self.change(lambda state: state.get("holes", {}).pop(page, None))


def _note_hole(state: dict[str, Any], now: datetime) -> None:
    """More than 24 hours since the last call: what was written then and is older than 24 hours is gone."""
    last = state.get("fetched")
    if not isinstance(last, str) or now - datetime.fromisoformat(last) <= KEPT + CLOCKS:
        return
    holes = state.setdefault("holes", {})
    for page in state.get("pages", ()):
        holes[page] = [holes[page][0] if page in holes else last, (now - KEPT).isoformat()]


def remember(state: dict[str, Any], what: str, key: str, value: Any) -> None:
    """Keep a note in the state, the last `REMEMBERED` ones of its sort."""
    notes = state.setdefault(what, {})
    notes.pop(key, None)
    notes[key] = value
    while len(notes) > REMEMBERED:
        notes.pop(next(iter(notes)))


def forget_albums(state: dict[str, Any], now: float) -> None:
    """Albums are remembered as long as their author may edit them (`now`: seconds since 1970)."""
    notes = state.get("albums", {})
    for key in [k for k, n in notes.items() if (whole(mapping(n).get("date")) or 0) < now - EDITABLE]:
        del notes[key]
