"""What a collector that declares `capabilities.hide` or `block` must hold, as tests that a network inherits.

    class TestFacebook(HideContract, BlockContract, ReplyContract, CollectorContract): ...

The truth is the emulator's: which comments are hidden, who is banned.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from collectors.contract import CollectError, Collector, Declined, Unauthorised
from collectors.outlet import Outlet
from emulator import Emulator, World
from store.values import Author, ByHand, Comment, Known, PageRef
from tests.collectors.contract_suite import Shelf, collect

PASSING = ("http=500", "http=502", "http=429,1", "truncate=0", "reset", "json", "shape")
"""Faults that pass; the network may have done what it was asked for, or not."""
UNTIL = datetime.now(UTC) + timedelta(days=30)


class _Deeds:
    """What both suites share."""

    token: ClassVar[str]
    deed_errors: ClassVar[dict[str, int | str]]
    """"token": the network's error of a token that is no good; "right": of a missing right."""

    def deed_world(self) -> World:
        return self.make_world(seed=33, pages=1, posts=4, comments=60, depth=2, deleted=0.0)  # type: ignore[attr-defined]

    def residents(self, c: Collector, ref: PageRef) -> list[Comment]:
        shelf = Shelf()
        assert collect(c, ref, shelf).complete
        found = [one for one in shelf.live.values() if not one.own and one.author.id and one.external_id != one.post_id]
        assert len(found) > 5
        return sorted(found, key=lambda one: one.external_id)

    def fail(self, emulator: Emulator, method: str, fault: str) -> None:
        emulator.plan = type(emulator.plan).parse(f"{method}:{fault}" if fault else "")

    def said_well(self, e: CollectError) -> None:
        assert "\n" not in str(e) and 10 < len(str(e)) < 400
        assert self.token not in f"{e!r} {e} {e.__cause__!r} {e.__context__!r}"


class HideContract(_Deeds):
    """`hiding`: the method that hides."""

    hiding: ClassVar[str]
    hidings: ClassVar[dict[str, Any]] = {}
    """What the network may do with hidden comments, as behaviours of its emulator."""

    def hidden(self, world: World) -> set[str]:
        return {world.external_id(c) for c in world.comments() if c.hidden}

    def test_hidden_once_and_shown_again(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            one, other = self.residents(c, ref)[:2]
            before = list(world.ledger())
            for _ in range(2):
                c.hide(ref, one.external_id, True)
                assert self.hidden(world) == {one.external_id}
            c.hide(ref, other.external_id, True)
            for _ in range(2):
                c.hide(ref, one.external_id, False)
                assert self.hidden(world) == {other.external_id}
            after = [e | {"hidden": False} for e in world.ledger()]
            assert after == before, "nothing is deleted, nothing is written"

    def test_whatever_fails_it_may_be_repeated(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, timeout=5, retries=2) as (c, ref):  # type: ignore[attr-defined]
            found = self.residents(c, ref)
            for n, fault in enumerate(PASSING):
                one = found[n % 5].external_id
                self.fail(emulator, self.hiding, f"{fault}*1")
                c.hide(ref, one, True)  # the retry heals it
                self.fail(emulator, self.hiding, fault)
                with pytest.raises(CollectError) as e:
                    c.hide(ref, one, False)
                assert not isinstance(e.value, Declined), fault
                self.said_well(e.value)
                self.fail(emulator, self.hiding, "")
                c.hide(ref, one, True)
                assert one in self.hidden(world)

    def test_a_refusal_is_one_sentence(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, retries=0) as (c, ref):  # type: ignore[attr-defined]
            one = self.residents(c, ref)[0].external_id
            self.fail(emulator, self.hiding, f"error={self.deed_errors['token']}")
            with pytest.raises(Unauthorised) as e:
                c.hide(ref, one, True)
            self.said_well(e.value)
            self.fail(emulator, self.hiding, f"error={self.deed_errors['right']}")
            with pytest.raises(Declined) as no:
                c.hide(ref, one, True)
            self.said_well(no.value)
            self.fail(emulator, self.hiding, "")
            world.pages[page].errors["write"] = 15
            with pytest.raises(Declined) as no:
                c.hide(ref, one, True)
            self.said_well(no.value)
        assert not self.hidden(world) and self.token not in caplog.text

    def test_to_a_comment_that_is_gone(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, retries=0) as (c, ref):  # type: ignore[attr-defined]
            one = self.residents(c, ref)[0].external_id
            for comment in world.comments():
                if world.external_id(comment) == one:
                    world.delete(comment)
            with pytest.raises(Declined) as no:
                c.hide(ref, one, True)
            self.said_well(no.value)

    def test_what_we_have_hidden_is_not_deleted(self) -> None:
        """Whether the network goes on showing it to us and counting it or not: no walk loses it or sees a gap."""
        for name, behaviour in {**self.behaviours, **self.hidings}.items():  # type: ignore[attr-defined]
            world = self.deed_world()
            page = next(iter(world.pages))
            with self.emulate(world, behaviour=behaviour) as emulator:  # type: ignore[attr-defined]
                with self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
                    shelf = Hiding()
                    assert collect(c, ref, shelf).complete, name
                    known = set(shelf.live)
                    answered = {o.parent_id for o in shelf.live.values()}
                    theirs = [o for o in shelf.live.values() if not o.own and o.external_id != o.post_id]
                    top = next(o for o in theirs if o.parent_id is None and o.external_id in answered)
                    alone = next(o for o in theirs if o.parent_id is not None and o.post_id != top.post_id)
                    for one in (top, alone):
                        c.hide(ref, one.external_id, True)
                        shelf.hidden.add(one.external_id)
                for full in (True, True, False):
                    with self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
                        run = collect(c, ref, shelf, full=full)
                        assert run.complete, (name, full, run.errors, run.gaps, [w.problem for w in run.walks.values()])
                        assert set(shelf.live) == known, (name, full)


class Hiding(Shelf):
    """A shelf that knows, like the store, what we have hidden, and does not take it for deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: set[str] = set()

    def below(self, id: str | None) -> bool:
        while id is not None and id in self.kept:
            if id in self.hidden:
                return True
            id = self.kept[id].parent_id
        return False

    def known(self, post: Any) -> dict[str, Known]:
        return {i: Known(k.parent_id, k.deleted, self.below(i)) for i, k in super().known(post).items()}


class BlockContract(_Deeds):
    """`blocking`: the method that blocks; `lifts`: whether the API lets the author in again."""

    blocking: ClassVar[str]
    lifts: ClassVar[bool] = True
    needs_hidden: ClassVar[bool] = False

    def banned(self, emulator: Emulator) -> set[str]:
        """Ids, as the collector writes them, of who may not write on the page."""
        raise NotImplementedError

    def keep_out(self, c: Collector, ref: PageRef, one: Comment, until: datetime | None = UNTIL) -> None:
        if self.needs_hidden:
            c.hide(ref, one.external_id, True)
        c.block(ref, one.author, until, "spam", one.external_id if self.needs_hidden else None)

    def test_kept_out_once_and_let_in_again(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            found = self.residents(c, ref)
            one = found[0]
            other = next(o for o in found if o.author.id != one.author.id)
            assert one.author.id and other.author.id
            for term in (UNTIL, UNTIL + timedelta(days=1)):
                self.keep_out(c, ref, one, term)
                assert self.banned(emulator) == {one.author.id}
            self.keep_out(c, ref, other)
            assert self.banned(emulator) == {one.author.id, other.author.id}
            if not self.lifts:
                with pytest.raises(Declined) as no:
                    c.block(ref, one.author, None, "")
                self.said_well(no.value)
                assert "сами" in str(no.value)
                return
            for _ in range(2):
                c.block(ref, one.author, None, "")
                assert self.banned(emulator) == {other.author.id}

    def test_what_can_not_be_done_here_is_left_to_a_person(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, retries=0) as (c, ref):  # type: ignore[attr-defined]
            one = self.residents(c, ref)[0]
            for wrong in (Author(), Author("x; drop")):
                if wrong.id is None or not self.needs_hidden:
                    with pytest.raises(Declined) as no:
                        c.block(ref, wrong, UNTIL, "spam", one.external_id)
                    self.said_well(no.value)
            if self.needs_hidden:
                with pytest.raises(Declined) as no:
                    c.block(ref, one.author, UNTIL, "spam")
                assert "queue hide" in str(no.value)
            hidden = one.external_id if self.needs_hidden else None
            self.fail(emulator, self.blocking, f"error={self.deed_errors['right']}")
            with pytest.raises(Declined) as no:
                c.block(ref, one.author, UNTIL, "spam", hidden)
            self.said_well(no.value)
            self.fail(emulator, self.blocking, f"error={self.deed_errors['token']}")
            with pytest.raises(Unauthorised) as e:
                c.block(ref, one.author, UNTIL, "spam", hidden)
            self.said_well(e.value)
            self.fail(emulator, self.blocking, "")
            world.pages[page].errors["write"] = 15
            with pytest.raises(Declined) as no:
                c.block(ref, one.author, UNTIL, "spam", hidden)
            self.said_well(no.value)
            assert not self.banned(emulator)

    def test_whatever_fails_a_block_may_be_repeated(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, timeout=5, retries=2) as (c, ref):  # type: ignore[attr-defined]
            one = self.residents(c, ref)[0]
            if self.needs_hidden:
                c.hide(ref, one.external_id, True)
            hidden = one.external_id if self.needs_hidden else None
            for fault in PASSING:
                self.fail(emulator, self.blocking, fault)
                with pytest.raises(CollectError) as e:
                    c.block(ref, one.author, UNTIL, "spam", hidden)
                assert not isinstance(e.value, Declined), fault
                self.fail(emulator, self.blocking, f"{fault}*1")
                c.block(ref, one.author, UNTIL, "spam", hidden)
                assert self.banned(emulator) == {one.author.id}

    def test_the_outlet_hands_over_what_is_declined(self) -> None:
        world = self.deed_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator:  # type: ignore[attr-defined]
            with self.open(emulator, page, retries=0) as (c, ref):  # type: ignore[attr-defined]
                one = self.residents(c, ref)[0]
                outlet = Outlet(_settings_of(c), lambda network: c)
                if self.needs_hidden:
                    assert outlet.hide(ref, one.external_id, True) is None
                hidden = one.external_id if self.needs_hidden else None
                assert outlet.block(ref, one.author, UNTIL, "spam", hidden) is None
                world.pages[page].errors["write"] = 15
                assert isinstance(outlet.block(ref, one.author, UNTIL, "spam", hidden), ByHand)


def _settings_of(c: Collector) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(networks={c.network: c.config})
