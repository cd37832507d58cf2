"""One resident asks the same on two networks: one question, one answer that stands in both. The whole program."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import yaml

import cli
import settings as config
from desk import publishing
from desk.work import act
from emulator import Emulator, World
from emulator.demo_set import config_at, environment, secrets
from emulator.face import NETWORKS, face_of
from emulator.world import Clock, Comment
from store import Store
from store.ledger import compare

HERE = "Здравствуйте! В Хкеме третий день нет воды, когда дадут?"
THERE = "Когда дадут воду в Хкеме? Третий день сидим без воды"
ANOTHER = "Здравствуйте! В Луткуне третий день нет воды, когда дадут?"
ANSWER = "Воду в Хкеме дадут сегодня к 18:00: на водоводе меняют задвижку, работает бригада водоканала."
PERSON = "Саида Магомедова"


@cache
def judge() -> Any:
    import classifier

    return classifier.load()


@dataclass
class Two:
    """VK and another network, with a page each, on one store."""

    worlds: dict[str, World]
    emulators: dict[str, Emulator]
    store: Store
    url: str

    @property
    def settings(self) -> config.Settings:
        return config.parse(yaml.safe_dump(config_at({n: e.url for n, e in self.emulators.items()}, self.url)))

    def collect(self, *only: str) -> Any:
        """One round over the pages of these networks (none named: all)."""
        pages = [str(i) for i, p in enumerate(self.settings.pages, 1) if p.network in (only or self.worlds)]
        settings = self.settings
        return cli.run_collect(
            self.store, settings, judges=(cli.judge_with(judge(), settings), judge()), only=pages, full=True
        )

    def say(self, network: str, text: str) -> Comment:
        world = self.worlds[network]
        world.advance(60)
        return world.add_comment(next(world.posts()), text, 501)

    def message(self, network: str, one: Comment) -> dict[str, Any]:
        name = self.worlds[network].external_id(one)
        return next(m for m in self.store.messages() if (m["network"], m["external_id"]) == (network, name))

    def agrees(self) -> None:
        found = compare(self.url, "".join(w.ledger_ndjson() for w in self.worlds.values()).splitlines())
        assert found.agrees, found.examples()


@contextmanager
def two(url: str, other: str) -> Iterator[Two]:
    """Both pages have been seen, so that what is said from now on is new."""
    with ExitStack() as stack:
        stack.enter_context(environment(secrets()))
        worlds = {}
        for name in ("vk", other):
            now = time.time() - 3000
            world = worlds[name] = World(name, clock=Clock(now, frozen=True), start=now)
            world.add_author(501, PERSON)
            page = world.add_page("-123456", "Администрация", "akhty.adm" if name == "facebook" else "akhty_adm")
            world.add_post(page, "Новости дня", kind=face_of(name).kinds[0], at=now - 3600, title="Новости")
        if other != "vk":
            worlds["vk"].add_page("-654321", "Новости", "akhty_news")
        emulators = {n: stack.enter_context(Emulator(w, network=n)) for n, w in worlds.items()}
        it = Two(worlds, emulators, stack.enter_context(Store.open(url)), url)
        assert {str(c.outcome) for c in it.collect().coverages} == {"complete"}
        yield it


OTHERS = [n for n in NETWORKS if n != "vk"] if os.environ.get("OTKLIK_SOAK") else ["ok", "telegram"]


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_question_elsewhere_is_a_repeat(other: str, sqlite_url: str) -> None:
    with two(sqlite_url, other) as it:
        here, there, another = it.say("vk", HERE), it.say(other, THERE), it.say(other, ANOTHER)
        it.collect()
        first, second, third = it.message("vk", here), it.message(other, there), it.message(other, another)
        assert (first["repeat_of"], second["repeat_of"], third["repeat_of"]) == (None, first["id"], None)
        assert [m["id"] for m in it.store.repeats(first["id"])] == [first["id"], second["id"]]
        assert any(r.startswith(f"повтор: см. № {first['id']} (") for r in second["reasons"])
        assert second["status"] == "new" and set(second["deadlines"]) == set(first["deadlines"])  # clocks of its own
        it.collect()
        assert len(list(it.store.messages())) == 3
        it.agrees()


def test_whoever_landed_first_is_the_first(sqlite_url: str) -> None:
    """Not the main network: what was asked in Telegram an hour ago is not asked again by VK."""
    with two(sqlite_url, "telegram") as it:
        there = it.say("telegram", THERE)
        it.collect("telegram")
        here = it.say("vk", HERE)
        it.collect("vk")
        assert it.message("vk", here)["repeat_of"] == it.message("telegram", there)["id"]
        assert it.message("telegram", there)["repeat_of"] is None


def test_one_answer_stands_in_both(store_url: str) -> None:
    with two(store_url, "telegram") as it:
        here, there = it.say("vk", HERE), it.say("telegram", THERE)
        it.collect()
        first, second = it.message("vk", here), it.message("telegram", there)
        steps = {"route": {"to": ["zhkh"]}, "begin": {}, "draft": {"text": ANSWER, "kind": "final"}, "approve": {}}
        for verb, args in steps.items():
            act(it.store, it.settings, first["id"], verb, args, by="кто-то", now=datetime.now(UTC))
        with cli.open_outlet(it.settings, it.store) as outlet:
            found = list(publishing.publish_to_all(it.store, it.settings, outlet, first["id"], by="кто-то"))
            assert [type(x).__name__ for x in found] == ["Published"] * 2
            assert list(publishing.resume(it.store, it.settings, outlet)) == []
        assert [it.message("vk", here)["status"], it.message("telegram", there)["status"]] == ["published"] * 2
        for name in ("vk", "telegram"):
            own = [e for e in it.worlds[name].ledger() if e["own"]]
            assert [ANSWER in e["text"] for e in own] == [True], name
        it.collect()
        assert sorted(m["id"] for m in it.store.messages() if not m["historical"]) == sorted(
            [first["id"], second["id"]]
        )
        it.agrees()
