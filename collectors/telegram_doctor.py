"""What `otklik doctor` tells of Telegram: token, webhook, clock, what the bot may see, each page. Takes no news."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from collectors.contract import Check, CollectError
from collectors.raw import clean, mapping, whole
from store.values import PageRef

if TYPE_CHECKING:
    from collectors.telegram import TelegramCollector

MAX_DRIFT = 60.0
HELP = "как — docs/ru/telegram-token.md"


def check(collector: TelegramCollector, pages: Iterable[PageRef]) -> Iterator[Check]:
    client = collector.client
    me = client.me()
    name = clean(me.get("username"))
    reads_all = me.get("can_read_all_group_messages") is True
    yield Check("бот Telegram", True, f"@{name}, номер {client.bot}")
    yield _webhook(collector)
    drift = (datetime.now(UTC) - client.now()).total_seconds()
    ok = abs(drift) < MAX_DRIFT
    yield Check("часы", ok, f"расхождение с Telegram {drift:+.0f} с", "" if ok else "включите синхронизацию времени")
    for page in pages:
        yield _page(collector, page, reads_all)


def _webhook(collector: TelegramCollector) -> Check:
    try:
        found = mapping(collector.client.call("getWebhookInfo"))
    except CollectError as e:
        return Check("очередь новостей", None, str(e))
    address = clean(found.get("url"))
    waiting = whole(found.get("pending_update_count")) or 0
    if address:
        host = address.partition("//")[2].partition("/")[0][:100]
        return Check(
            "очередь новостей",
            False,
            f"у бота задан webhook на {host or 'другой сервер'}: новости уходят туда",
            f"удалите webhook или заведите отдельного бота; {HELP}",
        )
    return Check("очередь новостей", True, f"ждут сбора: {waiting}; Telegram хранит их 24 часа")


def _page(collector: TelegramCollector, page: PageRef, reads_all: bool) -> Check:
    name = f"страница {page.title or page.id}"
    client = collector.client
    try:
        place = collector.place(page)
        if not place.group:
            return Check(name, False, "у канала нет группы обсуждений", f"подключите её в настройках канала; {HELP}")
        member = mapping(client.call("getChatMember", chat_id=place.group, user_id=int(client.bot)))
    except CollectError as e:
        return Check(name, False, str(e), f"добавьте бота администратором в группу обсуждений; {HELP}")
    status = clean(member.get("status"))
    if status not in ("administrator", "creator", "member", "restricted"):
        return Check(name, False, "бота нет в группе обсуждений", f"добавьте его администратором; {HELP}")
    if status in ("member", "restricted") and not reads_all:
        return Check(
            name,
            False,
            "бот видит только команды и ответы себе: включён режим приватности",
            f"сделайте бота администратором группы или выключите режим (/setprivacy у @BotFather); {HELP}",
        )
    return Check(name, True, f"{page.url or page.id}; бот в группе обсуждений и видит сообщения")
