"""A desk with approved answers over a real emulator and a real database, for the tests of publishing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import cli
import settings
from desk import publishing
from desk.work import act
from emulator import Behaviour, Emulator
from store import Store
from store.values import Assessment, Likeness
from tests.rig import PlainJudge, Rig, config, two_pages

PEOPLE = """
people: [{id: adm, role: administrator}, {id: cur, role: curator}]
divisions: [{id: zhkh, name: ЖКХ, people: [z]}, {id: roads, people: [r]}]
"""
TEXT = "Добрый день! Воду на Ленина включат к вечеру, работает бригада водоканала."


class SameJudge(PlainJudge):
    """Texts that begin with the same two words ask the same."""

    def assess(self, text: Any) -> Assessment:
        return replace(super().assess(text), signature=_Same(" ".join(text.text.split()[:2])))


@dataclass(frozen=True)
class _Same:
    body: str
    topical: tuple[int, ...] = ()
    copy: int = 0  # none is known to be a mere copy

    @property
    def keys(self) -> tuple[int, ...]:
        return (zlib.crc32(self.body.encode()),)

    def likeness(self, body: str, **_: Any) -> Likeness | None:
        return Likeness(1.0, "те же слова") if body == self.body else None

    def contradicts(self, body: str) -> bool:
        return False


class PublishingRig(Rig):
    people = PEOPLE

    @property
    def settings(self) -> settings.Settings:
        return settings.parse(config(self.url, self.emulator.url, **self.options) + self.people)

    @contextmanager
    def outlet(self) -> Iterator[Any]:
        with cli.open_outlet(self.settings, self.store) as outlet:
            yield outlet

    def id(self, thing: Any) -> str:
        return self.stored()[self.key(thing)]["id"]

    def step(self, id: str, verb: str, by: str = "adm", **args: Any) -> dict[str, Any]:
        return act(self.store, self.settings, id, verb, args, by=by, now=datetime.now(UTC))

    def approve(self, id: str, text: str = TEXT, **draft: Any) -> str:
        """Carry a message to an approved answer."""
        self.step(id, "route", to=["zhkh"])
        self.step(id, "begin", "z")
        self.step(id, "draft", "z", **{"kind": "final", "text": text, **draft})
        self.step(id, "approve")
        return id

    def asked(self, text: str = "Когда включат воду?", *, answer: str | None = TEXT, **more: Any) -> str:
        """A resident asks now; the message's id, its answer approved (None: none yet)."""
        one = self.say(text, **more)
        self.collect(only=["-1" if one.post.page.id == "-1" else "-2"])
        id = self.id(one)
        return id if answer is None else self.approve(id, answer)

    def publish(self, id: str, by: str = "adm", **more: Any) -> publishing.Outcome:
        with self.outlet() as outlet:
            return publishing.publish(self.store, self.settings, outlet, id, by=by, **more)

    def to_all(self, id: str, by: str = "adm") -> dict[str, Any]:
        with self.outlet() as outlet:
            found = publishing.publish_to_all(self.store, self.settings, outlet, id, by=by)
            return {one.id: one for one in found}

    def resume(self) -> list[publishing.Outcome]:
        with self.outlet() as outlet:
            return list(publishing.resume(self.store, self.settings, outlet))

    def written(self, text: str = TEXT) -> list[dict[str, Any]]:
        return [e for e in self.world.ledger() if e["own"] and e["text"].endswith(text)]

    def strike(self, plan: str) -> None:
        self.emulator.plan = type(self.emulator.plan).parse(plan)


@contextmanager
def publishing_rig(url: str, **behaviour: Any) -> Iterator[PublishingRig]:
    """A running one; the pages have been seen, so that what is said from now on is new."""
    world = two_pages(posts=2, comments=2)
    with Emulator(world, behaviour=Behaviour(**behaviour)) as emulator, Store.open(url) as store:
        rig = PublishingRig(world, emulator, store, url, judge=SameJudge())
        rig.collect()
        world.advance(1)
        yield rig


LATER = timedelta(days=3)
