"""The Telegram collector holds the contract, and what is Telegram's alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

import cli
import settings as config
from collectors.doctor import checks
from emulator import Emulator, World, generate, load
from emulator import telegram_shapes as shapes
from emulator.face import Answer as Reply
from emulator.face import Call
from emulator.telegram import _METHODS, TOKEN, Behaviour
from emulator.telegram_shapes import BOT_ID
from emulator.world import Clock, Post
from settings import ConfigError
from store import Store
from store.values import Answer, Attachment
from tests.collectors.block_suite import BlockContract
from tests.collectors.contract_suite import SOAK, CollectorContract, Shelf, collect
from tests.collectors.reply_suite import ReplyContract
from tests.rig import PlainJudge


class TestTelegram(BlockContract, ReplyContract, CollectorContract):
    network = "telegram"
    blocking = "banChatMember"
    deed_errors: ClassVar = {"token": 401, "right": 403}
    token = TOKEN
    writing = ("sendMessage",)
    found_again = False
    refusing = ("http=429,1", "error=429")
    writing_errors = (400, 401, 403, 404, 409, 429, 500)
    behaviours: ClassVar = {
        "default": Behaviour(),
        "as the channel, threads of their own": Behaviour(own_as="channel", thread_is_copy=False),
    }
    methods = ("getMe", "getChat", "getUpdates")

    def banned(self, emulator: Emulator) -> set[str]:
        return {str(who) for who in emulator.face.banned}

    def make_world(self, seed: int, **shape: Any) -> World:
        return generate(seed, **({"pages": 2, "posts": 8, "comments": 300, "days": 0.9, "network": "telegram"} | shape))


# --- the whole program -----------------------------------------------------------------------------------------------


def channel_world(pages: int = 1) -> World:
    """Channels with a post each and a question under it, of an hour ago; the clock stands."""
    now = time.time() - 40 * 3600
    world = World("telegram", clock=Clock(now, frozen=True), start=now)
    world.add_author(5, "Анна Кравец")
    for n in range(1, pages + 1):
        page = world.add_page(f"-{n}", f"Канал {n}", f"kanal{n}")
        world.add_comment(world.add_post(page, "Новость", at=now - 7200), "Когда включат воду?", 5, at=now - 3600)
    return world


def first_post(world: World, page: str = "-1") -> Post:
    return next(iter(world.pages[page].posts.values()))


class Program:
    """`otklik collect` on the emulated network with a database of its own."""

    def __init__(self, url: str, world: World, emulator: Emulator, pages: int = 1, more: str = "") -> None:
        self.store = Store.open(url)
        self.world, self.emulator = world, emulator
        listed = ", ".join(f'{{network: telegram, id: "@kanal{n}"}}' for n in range(1, pages + 1))
        self.settings = config.parse(
            f'store: {{url: "{url}"}}\nnetworks: {{telegram: {{token: "{TOKEN}", api: "{emulator.url}", '
            f"requests_per_second: 10000, retries: 1{more}}}}}\npages: [{listed}]"
        )
        self.judge = PlainJudge()

    def collect(self, **how: Any) -> Any:
        return cli.run_collect(
            self.store, self.settings, judges=(cli.judge_with(self.judge, self.settings), self.judge), **how
        )

    def texts(self) -> dict[str, str]:
        return {m["external_id"]: m["text"] for m in self.store.messages()}

    def waiting(self, page: str = "-1") -> int:
        name = self.world.naming.page(self.world.pages[page])
        return len(self.store.inbox_items(f"telegram:{BOT_ID}", name))


@contextmanager
def program(url: str, world: World | None = None, *, behaviour: Any = None, **how: Any) -> Iterator[Program]:
    world = world or channel_world(how.get("pages", 1))
    with Emulator(world, network="telegram", behaviour=behaviour) as emulator:
        made = Program(url, world, emulator, **how)
        try:
            yield made
        finally:
            made.store.close()


def outcome(report: Any) -> list[str]:
    return [str(c.outcome) for c in report.coverages]


def test_what_is_told_once_is_landed_once(store_url: str) -> None:
    with program(store_url) as p:
        assert outcome(p.collect()) == ["complete"]
        assert list(p.texts().values()) == ["Когда включат воду?"] and p.waiting() == 0
        p.world.advance(60)
        one = p.world.add_comment(first_post(p.world), "Горит сарай", 5)
        p.world.advance(60)
        p.world.edit(one, "Горит жилой дом, внутри люди")
        assert outcome(p.collect()) == ["complete"]
        assert p.texts()[p.world.external_id(one)] == one.text
        assert len(p.store.alerts()) == 1
        story = p.store.message(next(m["id"] for m in p.store.messages() if m["emergency"]), full=True)
        assert story["url"].startswith("https://t.me/")


def test_a_landing_that_fails_leaves_the_news_for_the_next_run(sqlite_url: str) -> None:
    """They are confirmed to Telegram only when they lie in the inbox, and leave the inbox only when they are landed."""
    with program(sqlite_url) as p:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "land", lambda *_: (_ for _ in ()).throw(RuntimeError("the power went")))
            assert outcome(p.collect()) == ["failed"]
        assert p.waiting() == 2 and p.texts() == {}
        p.emulator.face.queue.clear()  # Telegram has nothing any more
        assert outcome(p.collect()) == ["complete"]
        assert len(p.texts()) == 1 and p.waiting() == 0


def test_what_one_failed_landing_held_stays_in_the_inbox(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        second = p.world.add_post(p.world.pages["-1"], "Вторая", at=p.world.now() - 3000)  # it is read first
        for _ in range(20):
            p.world.add_comment(second, "Спасибо", 5)
            p.world.add_comment(first_post(p.world), "Спасибо", 5)
        p.settings = p.settings.model_copy(update={"collect": p.settings.collect.model_copy(update={"batch": 30})})
        land, fail = Store.land, iter([True])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "land", lambda *a: 1 / 0 if next(fail, False) else land(*a))
            assert outcome(p.collect()) == ["failed"]
        p.emulator.face.queue.clear()
        p.collect()
        assert len(p.texts()) == 41 and p.waiting() == 0


def test_numbers_of_updates_that_begin_anew_after_a_week(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        p.collect()
        p.world.advance(8 * 24 * 3600)
        p.collect()
        p.emulator.face._last_id = 100
        p.world.add_comment(first_post(p.world), "После недели тишины", 5)
        assert outcome(p.collect()) == ["complete"] and "После недели тишины" in p.texts().values()
        p.collect()
        assert not p.emulator.face.queue, "confirmed"


def test_a_network_that_repeats_what_was_confirmed_is_not_asked_for_ever(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        p.collect()
        again = {"update_id": 9001, "message": written(p, 900, text="Снова")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(_METHODS, "getupdates", lambda *_: [again] * 100)
            report = p.collect()
        assert outcome(report) == ["failed"] and "повторяет" in (report.coverages[0].problem or "")


def test_news_come_while_the_bot_may_not_see_the_channel(sqlite_url: str) -> None:
    with program(sqlite_url, pages=2) as p:
        p.collect()
        p.world.add_comment(first_post(p.world), "Пока бот был без прав", 5)
        p.world.pages["-1"].errors["page"] = "403"
        assert sorted(outcome(p.collect())) == ["complete", "unauthorised"] and p.waiting() == 1
        p.world.pages["-1"].errors.clear()
        p.collect()
        assert "Пока бот был без прав" in p.texts().values() and p.waiting() == 0


def test_where_the_pages_are_is_asked_once_a_run(sqlite_url: str) -> None:
    with program(sqlite_url, pages=6) as p:
        p.collect()
        p.emulator.forget_calls()
        p.collect()
        assert p.emulator.calls["getChat"] <= 2 * 6 + 2


def test_nothing_is_confirmed_before_it_is_kept(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        for _ in range(250):
            p.world.add_comment(first_post(p.world), "Спасибо", 5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "inbox_put", lambda *_: (_ for _ in ()).throw(RuntimeError("the disk is full")))
            assert outcome(p.collect()) == ["failed"]
        assert len(p.emulator.face.queue) == 252  # all of them are still there
        assert outcome(p.collect()) == ["complete"]
        assert len(p.texts()) == 251


def test_one_bots_news_reach_every_page_whatever_is_collected_first(sqlite_url: str) -> None:
    with program(sqlite_url, pages=2) as p:
        assert outcome(p.collect(only=("1",))) == ["complete"]
        assert len(p.texts()) == 1 and p.waiting("-2") == 2
        p.emulator.face.queue.clear()
        assert outcome(p.collect(only=("2",))) == ["complete"]
        assert len(p.texts()) == 2 and p.waiting("-2") == 0


def test_news_of_chats_that_are_not_watched_are_not_kept(sqlite_url: str) -> None:
    with program(sqlite_url, channel_world(2)) as p:
        p.collect()
        assert len(p.texts()) == 1 and p.waiting("-2") == 0


@pytest.mark.parametrize("hours", [23, 30])
def test_a_pause_of_more_than_a_day_is_a_hole_that_is_told(sqlite_url: str, hours: int) -> None:
    with program(sqlite_url, pages=2) as p:
        assert outcome(p.collect()) == ["complete"] * 2
        lost = p.world.add_comment(first_post(p.world), "Этого никто не увидит", 5)
        p.world.advance(hours * 3600)
        p.world.add_comment(first_post(p.world), "А это увидят", 5)
        told = p.collect(only=("1",))
        assert "А это увидят" in p.texts().values()
        if hours < 24:
            assert outcome(told) == ["complete"] and p.world.external_id(lost) in p.texts()
            return
        assert outcome(told) == ["partial"] and told.exit_code == 1
        assert "могли пропасть" in (told.coverages[0].problem or "") and "24 часа" in (told.coverages[0].problem or "")
        assert sorted(outcome(p.collect())) == ["complete", "partial"]  # each page tells it, once
        assert outcome(p.collect()) == ["complete"] * 2


def test_two_who_ask_at_once(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        p.emulator.plan = type(p.emulator.plan).parse("getUpdates:error=409*1")
        assert outcome(p.collect()) == ["complete"]
        p.emulator.plan = type(p.emulator.plan).parse("getUpdates:error=409")
        told = p.collect()
        assert outcome(told) == ["failed"] and "другая программа" in (told.coverages[0].problem or "")


def test_a_webhook_elsewhere_is_explained(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        p.emulator.face.webhook = "https://other.example/secret-path"
        report = p.collect()
        assert outcome(report) == ["failed"] and "webhook" in (report.coverages[0].problem or "")
        lines = {x.name: x for x in checks(p.settings, p.store)}
        assert lines["очередь новостей"].ok is False and "other.example" in lines["очередь новостей"].detail
        assert "secret-path" not in str(lines)
        p.emulator.face.webhook = ""
        assert outcome(p.collect()) == ["complete"]


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Behaviour(in_group="member"), "режим приватности"),
        (Behaviour(in_group="left"), "бота нет в группе"),
        (Behaviour(linked=False), "нет группы обсуждений"),
        (Behaviour(in_group="member", reads_all=True), None),
    ],
)
def test_doctor_says_what_keeps_the_bot_from_seeing(sqlite_url: str, behaviour: Behaviour, words: str | None) -> None:
    with program(sqlite_url, behaviour=behaviour) as p:
        line = next(x for x in checks(p.settings, p.store) if x.name.startswith("страница"))
        assert line.ok is (words is None)
        if words is not None:
            assert words in line.detail and "docs/ru/telegram-token.md" in line.advice


# --- what messages become --------------------------------------------------------------------------------------------


def deliver(p: Program, *messages: dict[str, Any], kind: str = "message") -> None:
    """Updates that the world knows nothing of."""
    face = p.emulator.face
    for message in messages:
        face._last_id += 1
        face.queue.append((p.world.now(), {"update_id": face._last_id, kind: message}))


def written(p: Program, number: int, **more: Any) -> dict[str, Any]:
    """A resident's message in the discussion of the first page's post."""
    page = p.world.pages["-1"]
    copy = shapes.copy(first_post(p.world))
    user = {"id": 77, "is_bot": False, "first_name": "Олег"}
    base = {"message_id": number, "date": int(p.world.now()), "chat": shapes.group(page), "from": user}
    return base | {"message_thread_id": copy["message_id"], "reply_to_message": copy} | more


def stored(p: Program) -> dict[int, Any]:
    return {int(m["external_id"].rpartition("_")[2]): m for m in p.store.messages()}


def test_an_album_is_one_comment_also_after_an_edit(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        p.collect()
        parts = [
            written(p, 900 + i, media_group_id="g", **shapes.media(Attachment("photo", id=f"ph{i}"))) for i in range(3)
        ]
        parts[1] |= {"caption": "Три ямы на Мира, 5"}
        deliver(p, *parts)
        p.collect()
        album = stored(p)[900]
        assert album["text"] == "Три ямы на Мира, 5" and len(album["attachments"]) == 3
        assert not {901, 902} & set(stored(p))
        deliver(p, parts[1] | {"caption": "Четыре ямы", "edit_date": int(p.world.now())}, kind="edited_message")
        p.collect()
        album = stored(p)[900]
        assert album["text"] == "Четыре ямы" and len(album["attachments"]) == 3
        assert not {901, 902} & set(stored(p))
        assert "Олег" in json.dumps(p.store.inbox_state(f"telegram:{BOT_ID}"), ensure_ascii=False)
        p.world.advance(49 * 3600)
        p.collect()
        assert "Олег" not in json.dumps(p.store.inbox_state(f"telegram:{BOT_ID}"), ensure_ascii=False)


def test_service_messages_are_nobodys_and_unknown_kinds_are_somebodys(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        deliver(
            p,
            written(p, 900, new_chat_members=[{"id": 1, "is_bot": False, "first_name": "Новый"}]),
            written(p, 901, pinned_message={"message_id": 1}),
            written(p, 902, hologram={"file_id": "x"}),
            written(p, 903, sticker={"file_unique_id": "s", "emoji": "👎"}),
            written(p, 904, photo=[{"file_unique_id": "small"}, {"file_unique_id": "big"}]),
            written(p, 905, location={"latitude": 41.5, "longitude": 47.7}),
            written(p, 906, text=None, date="soon", reply_to_message="x", entities=5),
        )
        p.collect()
        found = stored(p)
        assert {900, 901} & set(found) == set() and {902, 903, 904, 905, 906} <= set(found)
        assert found[903]["attachments"][0]["kind"] == "sticker" and found[904]["attachments"][0]["id"] == "big"
        assert found[905]["attachments"][0]["title"] == "41.5, 47.7" and found[906]["published_at"] is None


def test_who_speaks_for_the_administration(sqlite_url: str) -> None:
    with program(sqlite_url, more=", staff: [501, '@Sekretar']") as p:
        page = p.world.pages["-1"]
        deliver(
            p,
            written(p, 900, text="Анонимно", sender_chat=shapes.group(page)),
            written(p, 901, text="От канала", sender_chat=shapes.channel(page)),
            written(p, 902, text="Из отдела", **{"from": {"id": 501, "is_bot": False, "first_name": "Пётр"}}),
            written(
                p,
                903,
                text="Секретарь",
                **{"from": {"id": 502, "is_bot": False, "first_name": "А", "username": "sekretar"}},
            ),
            written(p, 904, text="Чужой канал", sender_chat={"id": -100555, "type": "channel", "title": "Соседи"}),
        )
        p.collect()
        assert {904} == {n for n in stored(p) if n >= 900}
        assert stored(p)[904]["author"]["name"] == "Соседи"


def test_a_thread_older_than_the_bot_and_talk_outside_threads(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        old = written(p, 900, text="Под старой публикацией", message_thread_id=11)
        old["reply_to_message"] = written(p, 899, text="чей-то комментарий", message_thread_id=11)
        chat = {
            k: v
            for k, v in written(p, 901, text="Просто в группе").items()
            if k not in ("message_thread_id", "reply_to_message")
        }
        deliver(p, old, chat)
        p.collect()
        group = shapes.group_id(p.world.pages["-1"])
        assert stored(p)[900]["post_id"] == f"{group}_11" and stored(p)[900]["parent_id"] == f"{group}_899"
        assert 901 not in stored(p) and p.waiting() == 0
    with program(sqlite_url.replace("otklik.db", "all.db"), more=", group_messages: all") as p:
        deliver(p, {**chat, "message_id": 902})
        p.collect()
        assert stored(p)[902]["text"] == "Просто в группе"


def test_a_group_with_a_new_number(sqlite_url: str) -> None:
    with program(sqlite_url) as p:
        p.collect()
        group = shapes.group_id(p.world.pages["-1"])
        former = {"id": -5, "type": "group", "title": "Старая"}
        deliver(p, {**written(p, 900, migrate_to_chat_id=group), "chat": former})
        deliver(p, {**written(p, 901, text="Написано до переезда"), "chat": former})
        p.collect()
        assert {m["external_id"] for m in p.store.messages()} >= {"-5_901"}


@pytest.mark.parametrize(
    "given",
    [
        "@kanal1",
        "kanal1",
        "https://t.me/kanal1",
        "t.me/s/kanal1/55",
        "https://t.me/kanal1/7?comment=9",
        "group",
        "-100",
    ],
)
def test_ways_to_name_a_page(given: str) -> None:
    world = channel_world()
    page = world.pages["-1"]
    given = {"group": str(shapes.group_id(page)), "-100": str(shapes.channel_id(page))}.get(given, given)
    with Emulator(world, network="telegram") as emulator, TestTelegram().open(emulator, given) as (c, ref):
        assert (ref.id, ref.title, ref.url) == (str(shapes.channel_id(page)), "Канал 1", "https://t.me/kanal1")
        assert c.place(ref).group == shapes.group_id(page)


@pytest.mark.parametrize("given", ["https://vk.com/x", "два слова", "https://t.me/+AbCdEf", "", "@a"])
def test_what_is_no_page(given: str) -> None:
    if not given:
        return
    with Emulator(channel_world(), network="telegram") as emulator:
        with pytest.raises(ConfigError) as e, TestTelegram().open(emulator, given):
            pass
        assert "Telegram" in str(e.value) and not emulator.calls


def test_the_scenario_of_the_network_plays(sqlite_url: str) -> None:
    world = load(network="telegram", frozen=True)
    with Emulator(world, network="telegram") as emulator:
        name = next(iter(world.pages.values())).screen_name
        p = Program(sqlite_url, world, emulator)
        p.settings = config.parse(
            f'networks: {{telegram: {{token: "{TOKEN}", api: "{emulator.url}", requests_per_second: 10000}}}}\n'
            f'pages: [{{network: telegram, id: "@{name}"}}]'
        )
        for mark in (None, "act1", "act2"):
            if mark is not None:
                world.advance_to(mark)
            assert outcome(p.collect()) == ["complete"]
        residents = {e["external_id"]: e for e in world.ledger() if not e["own"]}
        assert p.texts() == {i: e["text"] for i, e in residents.items()} and len(residents) > 20
        assert len(p.store.alerts()) == 1
        p.store.close()


# --- judged by others ------------------------------------------------------------------------------------------------


def test_requests_and_answers_obey_the_official_schema(shared: Path) -> None:
    path = shared / "specs" / "telegram" / "bot-api-10.1-trimmed.json"
    if not path.exists():
        pytest.skip("the Bot API's description is not at hand")
    judge = TelegramJudge(path)
    suite = TestTelegram()
    problems: set[str] = set()
    for behaviour in suite.behaviours.values():
        world = suite.make_world(8, comments=150)
        world.add_comment(
            next(world.posts()), "Альбом", 5001, attachments=[Attachment("photo", id="a"), Attachment("video", id="b")]
        )
        with Emulator(world, network="telegram", behaviour=behaviour) as emulator:
            emulator.face.watch = lambda call, answer: problems.update(judge.check(call, answer))
            with suite.open(emulator, next(iter(world.pages))) as (c, ref):
                shelf = Shelf()
                collect(c, ref, shelf)
                one = next(x for x in shelf.live.values() if not x.own)
                c.reply(Answer(ref, one.post_id, one.external_id, one.author, "Передали", ref, "g-1"))
                list(c.check([ref]))
            assert sum(emulator.calls.values()) > 8
    assert problems == set()


def test_the_judge_would_notice(shared: Path) -> None:
    path = shared / "specs" / "telegram" / "bot-api-10.1-trimmed.json"
    if not path.exists():
        pytest.skip("the Bot API's description is not at hand")
    judge = TelegramJudge(path)
    bad = {"ok": True, "result": [{"update_id": "x", "message": {"message_id": 1, "chat": {"id": 1}}}]}
    found = set(judge.check(Call("getUpdates", {"limit": "many", "offsett": 1}), Reply(bad)))
    assert len(found) >= 5, found


class TelegramJudge:
    """Checks calls and answers against the machine-readable description of the Bot API."""

    SCALARS: ClassVar = {"Integer": int, "String": str, "Boolean": bool, "Float": (int, float), "True": bool}

    def __init__(self, path: Path) -> None:
        told = json.loads(path.read_text(encoding="utf-8"))
        self.types, self.methods = told["types"], told["methods"]

    def check(self, call: Any, answer: Any) -> Iterator[str]:
        method = self.methods.get(call.method)
        if method is None:
            yield f"{call.method}: no such method"
            return
        yield from self._object(call.method, method.get("fields", []), call.params)
        if answer.body.get("ok") is True:
            yield from self._value(call.method, method["returns"], answer.body["result"])

    def _object(self, at: str, fields: list[dict[str, Any]], value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at}: not an object"
            return
        known = {f["name"]: f for f in fields}
        yield from (f"{at}.{k}: unknown" for k in value if k not in known)
        for name, one in known.items():
            if name in value:
                yield from self._value(f"{at}.{name}", one["types"], value[name])
            elif one["required"]:
                yield f"{at}.{name}: missing"

    def _value(self, at: str, types: list[str], value: Any) -> Iterator[str]:
        results = [list(self._one(at, t, value)) for t in types]
        if all(results):
            yield from min(results, key=len)

    def _one(self, at: str, kind: str, value: Any) -> Iterator[str]:
        if kind.startswith("Array of "):
            if not isinstance(value, list):
                yield f"{at}: not an array"
                return
            for item in value:
                yield from self._one(f"{at}[]", kind[9:], item)
        elif kind in self.SCALARS:
            if not isinstance(value, self.SCALARS[kind]) or (
                kind != "Boolean" and kind != "True" and isinstance(value, bool)
            ):
                yield f"{at}: {value!r:.40} is no {kind}"
        elif (found := self.types.get(kind)) is not None:
            if found.get("subtypes"):
                yield from self._value(at, found["subtypes"], value)
            else:
                yield from self._object(at, found.get("fields", []), value)


def test_an_independent_client_works_with_the_emulator() -> None:
    if not SOAK:
        pytest.skip("the client alone takes seconds to load (OTKLIK_SOAK)")
    aiogram = pytest.importorskip("aiogram")
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer

    world = TestTelegram().make_world(8, pages=1, comments=60)

    async def talk(url: str) -> tuple[Any, ...]:
        session = AiohttpSession(api=TelegramAPIServer.from_base(url.rstrip("/")))
        async with aiogram.Bot(TOKEN, session=session) as bot:
            me = await bot.get_me()
            updates = await bot.get_updates(limit=100, timeout=0, allowed_updates=["message", "edited_message"])
            chat = await bot.get_chat("@otklik_page1")
            member = await bot.get_chat_member(chat.linked_chat_id, me.id)
            asked = next(u.message for u in updates if u.message and not u.message.is_automatic_forward)
            sent = await bot.send_message(asked.chat.id, "Принято", reply_parameters={"message_id": asked.message_id})
            return me, updates, chat, member, asked, sent

    # As an administrator's, the client wants fields of a newer Bot API than the one described.
    with Emulator(world, network="telegram", behaviour=Behaviour(in_group="member")) as emulator:
        me, updates, chat, member, asked, sent = asyncio.run(talk(emulator.url))
    assert me.id == BOT_ID and chat.type == "channel" and member.status == "member"
    texts = {c.texts[0] for c in world.comments() if not c.attachments}
    messages = [u.message for u in updates if u.message]
    assert len(messages) >= 60 and {m.text for m in messages if m.text and not m.is_automatic_forward} <= texts
    assert sent.reply_to_message.message_id == asked.message_id and sent.text == "Принято"
