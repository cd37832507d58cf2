"""Odnoklassniki, YouTube and RuTube through the whole program: one configuration, one database, several runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

import cli
from emulator import Emulator, Shaker, World, generate, load
from emulator.ok import APPLICATION_KEY, SESSION_SECRET
from emulator.ok import TOKEN as OK_TOKEN
from emulator.youtube import KEY
from settings import Settings, parse
from store import Store
from store.ledger import compare
from tests.rig import PlainJudge

KEYS = {
    "ok": f'token: "{OK_TOKEN}", application_key: {APPLICATION_KEY}, session_secret_key: "{SESSION_SECRET}"',
    "youtube": f'token: "{KEY}"',
    "rutube": "agreed: true",
}


@dataclass
class Three:
    store: Store
    url: str
    worlds: dict[str, World] = field(default_factory=dict)
    emulators: dict[str, Emulator] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        networks = "\n".join(
            f'  {n}: {{{KEYS[n]}, api: "{e.url}", requests_per_second: 10000, retries: 1}}'
            for n, e in self.emulators.items()
        )
        pages = "\n".join(
            f'  - {{network: {n}, id: "{w.naming.page(p)}"}}' for n, w in self.worlds.items() for p in w.pages.values()
        )
        return parse(f'store: {{url: "{self.url}"}}\nnetworks:\n{networks}\npages:\n{pages}')

    def collect(self, **how: Any) -> Any:
        judge = PlainJudge()
        return cli.run_collect(self.store, self.settings, judges=(cli.judge_with(judge, self.settings), judge), **how)

    def agrees(self) -> None:
        ledger = "".join(w.ledger_ndjson() for w in self.worlds.values())
        found = compare(self.url, ledger.splitlines())
        assert found.agrees, found.examples()


@contextmanager
def three(url: str) -> Iterator[Three]:
    with ExitStack() as stack:
        it = Three(stack.enter_context(Store.open(url)), url)
        for seed, name in enumerate(KEYS):
            kinds = ("post", "photo", "video") if name == "ok" else ("video",)
            world = generate(seed, pages=1, posts=6, comments=60, kinds=kinds, people=30, network=name, pool="calm")
            it.worlds[name] = world
            it.emulators[name] = stack.enter_context(Emulator(world, network=name))
        yield it


def test_all_of_it_lands_once_and_again_after_changes(store_url: str) -> None:
    with three(store_url) as it:
        first = it.collect()
        assert [str(c.outcome) for c in first.coverages] == ["complete"] * 3, [c.problem for c in first.coverages]
        it.agrees()
        assert it.collect().landed.new == 0
        shaker = Shaker(3)
        for _ in range(15):
            for world in it.worlds.values():
                world.advance(5)
                shaker.shake(world)
        changed = it.collect(full=True)
        assert [str(c.outcome) for c in changed.coverages] == ["complete"] * 3, [c.problem for c in changed.coverages]
        it.agrees()


@pytest.mark.parametrize("network", KEYS)
def test_the_built_in_story_can_be_told_in_each_of_them(network: str, sqlite_url: str) -> None:
    world = load(None, network=network)
    with Store.open(sqlite_url) as store, Emulator(world, network=network) as emulator:
        it = Three(store, sqlite_url, {network: world}, {network: emulator})
        for mark in ("act1", "act2"):
            world.advance_to(mark)
            report = it.collect(full=True)
            assert {str(c.outcome) for c in report.coverages} == {"complete"}, [c.problem for c in report.coverages]
        it.agrees()


def test_one_network_that_fails_does_not_keep_the_others(sqlite_url: str) -> None:
    with three(sqlite_url) as it:
        it.emulators["ok"].plan = type(it.emulators["ok"].plan).parse("*:error=102")
        it.emulators["rutube"].plan = type(it.emulators["rutube"].plan).parse("comments.video:html")
        found = {c.network: c for c in it.collect().coverages}
        assert {n: str(c.outcome) for n, c in found.items()} == {
            "ok": "unauthorised", "youtube": "complete", "rutube": "blocked",
        }  # fmt: skip
        assert "ok-token.md" in (found["ok"].problem or "")
        for emulator in it.emulators.values():
            emulator.plan = type(emulator.plan)()
        assert it.collect(full=True).exit_code == 0
        it.agrees()
