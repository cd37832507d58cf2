"""The MAX collector holds the contract, and what is MAX's alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from collectors.max_client import trust
from emulator import Emulator, load
from emulator.max import TOKEN, Behaviour, MaxFace
from settings import ConfigError
from tests.collectors.block_suite import BlockContract
from tests.collectors.contract_suite import CollectorContract, Shelf, collect
from tests.collectors.reply_suite import ReplyContract


class TestMax(BlockContract, ReplyContract, CollectorContract):
    network = "max"
    blocking = "members.delete"
    lifts = False
    deed_errors: ClassVar = {"token": "verify.token", "right": "access.denied"}
    token = TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "oldest first, bounds inside": Behaviour(upper="to", newest_first=False, inclusive=True, own_as="bot"),
        "small pages": Behaviour(most=60),
    }
    methods = ("me", "chats.get", "messages.list", "comments.list")
    kinds = ("person", "hidden", "deleted")
    writing = ("comments.send",)
    refusing = ("http=500", "http=502", "http=429,1", "error=too.many.requests", "error=internal.error")
    writing_errors = ("verify.token", "access.denied", "not.found", "proto.payload")
    absent_page = "-999999999"

    def banned(self, emulator: Emulator) -> set[str]:
        return {str(who) for who in emulator.face.blocked}


def test_one_that_is_gone_hides_no_other() -> None:
    world = TestMax().make_world(3, pages=1, posts=6, comments=80)
    page = next(iter(world.pages))
    with Emulator(world, network="max", behaviour=Behaviour(gone_is_error=True)) as emulator:
        with TestMax().open(emulator, page) as (c, ref):
            shelf = Shelf()
            posts = collect(c, ref, shelf).posts
            post = max(world.posts(), key=lambda p: len(p.comments))
            doomed = [x for x in post.comments.values() if not x.deleted and not x.children][:2]
            for one in doomed:
                world.delete(one)
            for _ in range(2):  # two walks agree
                assert collect(c, ref, shelf).complete
            assert shelf.deleted == {world.external_id(x) for x in doomed}
            world.delete_post(post)
            assert [p.id for p in c.refresh(ref, posts) if p.gone] == [world.external_id(post)]


# --- what is MAX's alone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", ["@otklik_page1", "otklik_page1", "https://max.ru/otklik_page1", "web.max.ru/otklik_page1", "number"]
)
def test_ways_to_name_a_page(given: str) -> None:
    world = TestMax().make_world(1, comments=5)
    number = world.naming.page(world.pages["-100001"])
    with Emulator(world, network="max") as emulator:
        with TestMax().open(emulator, number if given == "number" else given) as (_, ref):
            assert (ref.id, ref.url) == (number, "https://max.ru/otklik_page1")


@pytest.mark.parametrize("given", ["https://vk.com/x", "два слова", "https://max.ru/"])
def test_what_is_no_page(given: str) -> None:
    with Emulator(TestMax().make_world(1, comments=5), network="max") as emulator:
        with pytest.raises(ConfigError) as e, TestMax().open(emulator, given):
            pass
        assert "MAX" in str(e.value) and not emulator.calls


def test_a_certificate_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("not a certificate")
    for path, words in ((bad, "PEM"), (tmp_path / "absent.pem", "такого файла нет")):
        with pytest.raises(ConfigError) as e:
            trust(str(path))
        assert words in str(e.value) and "networks.max.ca_file" in str(e.value)


def test_comments_of_one_millisecond_are_all_found() -> None:
    world = TestMax().make_world(1, pages=1, posts=1, comments=0)
    post = next(world.posts())
    world.add_author(7, "Олег")
    start = world.now() - 5000
    for n in range(300):
        world.add_comment(post, f"№ {n}", 7, at=start + n // 40)
    for behaviour in TestMax.behaviours.values():
        with Emulator(world, network="max", behaviour=behaviour) as emulator:
            with TestMax().open(emulator, "-100001") as (c, ref):
                shelf = Shelf()
                assert collect(c, ref, shelf).complete
                assert len(shelf.live) == 300


def test_a_network_that_pages_at_random_is_not_called_complete() -> None:
    world = TestMax().make_world(1, pages=1, posts=1, comments=400)

    class Shuffled(MaxFace):
        def _comments_list(self, p: Any) -> dict[str, Any]:
            found = super()._comments_list({k: v for k, v in p.items() if k != "before"} | {"count": 100})
            alive = [c for c in next(self.world.posts()).comments.values() if not c.deleted]
            return {"messages": [self.comment(c) for c in alive[:100]]} if "before" in p else found

    with Emulator(world, network="max") as emulator:
        emulator.face = Shuffled(world)
        with TestMax().open(emulator, "-100001") as (c, ref):
            run = collect(c, ref, Shelf())
    assert not run.complete and any("не подряд" in (w.problem or "") for w in run.walks.values())


def test_what_the_list_leaves_out_and_its_id_finds_is_not_deleted() -> None:
    world = TestMax().make_world(1, pages=1, posts=1, comments=60, deleted=0)

    class Forgetful(MaxFace):
        def _comments_list(self, p: Any) -> dict[str, Any]:
            found = super()._comments_list(p)
            return found if "comment_ids" in p else {"messages": found["messages"][3:]}

    with Emulator(world, network="max") as emulator, TestMax().open(emulator, "-100001") as (c, ref):
        shelf = Shelf()
        assert collect(c, ref, shelf).complete
        emulator.face = Forgetful(world)
        for _ in range(2):
            run = collect(c, ref, shelf)
            assert not run.complete and len(shelf.live) == 60


def test_the_scenario_of_the_network_plays() -> None:
    world = load(network="max", frozen=True)
    with Emulator(world, network="max") as emulator, TestMax().open(emulator, "@akhty_adm") as (c, ref):
        shelf = Shelf()
        for mark in ("act1", "act2"):
            world.advance_to(mark)
            assert collect(c, ref, shelf).complete
            TestMax().same(shelf, world, next(iter(world.pages)))
        assert len(shelf.live) > 20


def test_answers_obey_the_official_schema(shared: Path) -> None:
    """The methods that the published specification has; those of comments are newer."""
    jsonschema = pytest.importorskip("jsonschema")
    path = shared / "specs" / "max" / "max-bot-api-openapi-2026-07-01.json"
    if not path.exists():
        pytest.skip("the specification of MAX is not at hand")
    told = json.loads(path.read_text(encoding="utf-8"))
    paths = {
        "me": "/me",
        "chats.get": "/chats/{chatId}",
        "members.me": "/chats/{chatId}/members/me",
        "messages.list": "/messages",
        "messages.get": "/messages/{messageId}",
    }
    problems: set[str] = set()
    checked: set[str] = set()

    def watch(call: Any, answer: Any) -> None:
        at = paths.get(call.method)
        if at is None or answer.status != 200:
            return
        checked.add(call.method)
        method = told["paths"][at]["get"]
        allowed = {p["name"] for p in method.get("parameters", ()) if "name" in p} | {"chat", "message"}
        problems.update(f"{call.method}: {k}" for k in call.params if k not in allowed)
        schema = method["responses"]["200"]["content"]["application/json"]["schema"]
        validator = jsonschema.Draft4Validator({**_plain(schema), "components": _plain(told["components"])})
        assert list(validator.iter_errors({"messages": [{}], "user_id": "x", "chat_id": "x"}))  # it would notice
        problems.update(
            f"{e.json_path.rpartition('.')[2]}: {e.message[:120]}" for e in validator.iter_errors(answer.body)
        )

    world = TestMax().make_world(8, pages=1, comments=60)
    with Emulator(world, network="max") as emulator:
        emulator.face.watch = watch
        with TestMax().open(emulator, "-100001") as (c, ref):
            run = collect(c, ref, Shelf())
            world.delete_post(next(world.posts()))
            assert len([p for p in c.refresh(ref, run.posts) if p.gone]) == 1
            assert not c._is_gone(next(p.id for p in c.posts(ref, None)))
            list(c.check([ref]))
    assert checked == set(paths)
    assert problems <= KNOWN, problems - KNOWN


# The specification knows no channels among the types of chats, although its texts speak of them.
KNOWN = {"type: 'channel' is not one of ['chat']", "chat_type: 'channel' is not one of ['chat']"}


def _plain(value: Any) -> Any:
    """OpenAPI 3.0 -> JSON Schema: `nullable`, no flags, no discriminators; what is not described is not demanded."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    found = {k: _plain(v) for k, v in value.items() if k not in ("nullable", "discriminator", "pattern", "readOnly")}
    if isinstance(found.get("required"), bool):
        del found["required"]
    if isinstance(found.get("required"), list):
        named = found.get("properties")
        found["required"] = [r for r in found["required"] if not isinstance(named, dict) or r in named]
    if value.get("nullable") is True:
        return {"anyOf": [{"type": "null"}, found]}
    return found


def test_an_independent_client_works_with_the_emulator() -> None:
    maxapi = pytest.importorskip("maxapi")
    world = TestMax().make_world(8, pages=1, comments=60)
    post = next(p for p in world.posts() if p.comments)

    async def talk(url: str) -> tuple[Any, ...]:
        bot = maxapi.Bot(TOKEN)
        bot.set_api_url(url.rstrip("/"))
        try:
            me = await bot.get_me()
            chat = await bot.get_chat_by_id(int(world.naming.page(world.pages["-100001"])))
            found = await bot.get_comments(world.external_id(post), count=100)
            return me, chat, found
        finally:
            await bot.close_session()

    with Emulator(world, network="max") as emulator:
        me, chat, found = asyncio.run(talk(emulator.url))
    assert me.user_id == 9001 and chat.title == "Администрация, страница 1"
    alive = [c for c in post.comments.values() if not c.deleted]
    assert {m.body.mid for m in found.messages} == {world.external_id(c).rpartition("/")[2] for c in alive}
