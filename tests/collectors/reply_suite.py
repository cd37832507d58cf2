"""What a collector that declares `capabilities.reply` must hold, as tests that a network inherits.

    class TestVk(ReplyContract, CollectorContract): ...

It uses what the network has already said for `CollectorContract` (its world, its emulator, its configuration). The
truth is the emulator's ledger: what stands there twice was published twice.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from collectors.contract import CollectError, Collector, Declined, Unauthorised, Unavailable
from emulator import Emulator, World
from store.values import Answer, Comment, PageRef, Receipt
from tests.collectors.contract_suite import Shelf, collect

LOST = ("truncate=0.5", "truncate=0", "reset", "close", "empty", "json", "html", "type", "shape", "null", "drip=0.3")
"""The network took the comment and its answer was lost or spoilt."""
REFUSED = ("http=500", "http=502", "http=429,1", "error=10", "error=6", "redirect=http://127.0.0.1:9/")
"""The network did not even look at it."""
TEXT = "Добрый день! Яму на улице Ленина засыплют до пятницы, за этим следит управление ЖКХ."


class ReplyContract:
    """Inherit before `CollectorContract`; `writing` names the methods that publish."""

    writing: ClassVar[tuple[str, ...]] = ()
    refusing: ClassVar[tuple[str, ...]] = REFUSED
    """Faults after which nothing was written and a repetition helps."""
    writing_errors: ClassVar[tuple[int | str, ...]] = (5, 7, 14, 15, 17, 29, 100, 113, 213)
    """The network's own errors of writing; among them one for a bad token and one for what only a person can do."""
    token: ClassVar[str]
    found_again: ClassVar[bool] = True
    """What became of an answer whose receipt was lost can be found out; else it is not sent again, a person looks."""

    # --- help ---------------------------------------------------------------------------------------------------------

    def reply_world(self) -> World:
        return self.make_world(seed=31, pages=1, posts=8, comments=120, depth=3, deleted=0.05)  # type: ignore[attr-defined]

    def collected(self, collector: Collector, ref: PageRef) -> dict[str, Comment]:
        shelf = Shelf()
        assert collect(collector, ref, shelf).complete
        return shelf.live

    def one_of_each(self, world: World, found: dict[str, Comment]) -> list[Comment]:
        """Comments of residents: of each kind of post the first, one that is itself a reply, one deeper still."""
        closed = {world.external_id(p) for p in world.posts() if p.closed}
        picked: dict[Any, Comment] = {}
        for c in found.values():
            if not c.own and c.post_id not in closed and c.author.id:
                depth, above = 0, c.parent_id
                while above in found:
                    depth, above = depth + 1, found[above].parent_id
                kind = next(p.kind for p in world.posts() if world.external_id(p) == c.post_id)
                picked.setdefault((kind, min(depth, 2), c.external_id == c.post_id), c)
        assert len(picked) >= (3 if self.can.depth is None else 2)  # type: ignore[attr-defined]
        return list(picked.values())

    def to(self, ref: PageRef, c: Comment, guid: str = "otklik-1", text: str = TEXT) -> Answer:
        return Answer(ref, c.post_id, c.external_id, c.author, text, ref, guid)

    def written(self, world: World, text: str = TEXT) -> list[dict[str, Any]]:
        """What the ledger says was published with this text, living or not."""
        return [e for e in world.ledger() if e["text"].endswith(text)]

    def soon(self) -> datetime:
        return datetime.now(UTC) - timedelta(minutes=1)

    # --- the way it should go -----------------------------------------------------------------------------------------

    def test_an_answer_stands_under_the_comment_and_is_known_as_our_own(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            asked = self.one_of_each(world, self.collected(c, ref))
            receipts: dict[str, Receipt] = {}
            for n, one in enumerate(asked):
                answer = self.to(ref, one, f"otklik-{n}", f"{TEXT} ({n})")
                assert c.find_reply(answer, self.soon()) is None
                receipts[one.external_id] = made = c.reply(answer)
                assert made.url.startswith("https://")
                found = c.find_reply(answer, self.soon())
                assert found is not None and found.external_id == made.external_id
                assert found.published_at is not None
                assert c.find_reply(answer, self.soon(), {made.external_id}) is None
            live = self.collected(c, ref)
            for n, one in enumerate(asked):
                entry, *more = self.written(world, f"{TEXT} ({n})")
                ours = live[receipts[one.external_id].external_id]
                assert not more and entry["external_id"] == ours.external_id
                assert ours.own and ours.text.endswith(f"{TEXT} ({n})")
                if one.external_id != one.post_id:
                    top = one.parent_id if c.capabilities.depth == 2 else None
                    assert ours.parent_id == entry["parent"] == (top or one.external_id)

    def test_the_same_guid_writes_nothing_twice(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            for n, one in enumerate(self.one_of_each(world, self.collected(c, ref))):
                answer = self.to(ref, one, f"otklik-{n}", f"{TEXT} ({n})")
                assert c.reply(answer) == c.reply(answer)
                assert len(self.written(world, f"{TEXT} ({n})")) == 1

    def test_the_same_text_to_two_comments_is_two_answers(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            asked = self.one_of_each(world, self.collected(c, ref))
            made = [c.reply(self.to(ref, one, f"otklik-{n}")) for n, one in enumerate(asked)]
            assert len({m.external_id for m in made}) == len(made) == len(self.written(world))
            for one, m in zip(asked, made, strict=True):
                n = asked.index(one)
                found = c.find_reply(self.to(ref, one, f"otklik-{n}"), self.soon())
                assert found is not None and found.external_id == m.external_id

    # --- when it fails ------------------------------------------------------------------------------------------------

    def test_a_lost_answer_is_not_a_second_comment(self) -> None:
        """Struck once, the retry heals it; struck always, it can be found although nobody was told its id."""
        if not self.found_again:
            pytest.skip("nobody can tell: see the next test")
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, timeout=0.2) as (c, ref):  # type: ignore[attr-defined]
            asked = self.one_of_each(world, self.collected(c, ref))
            for n, fault in enumerate(LOST + self.refusing):
                one = asked[n % len(asked)]
                text = f"{TEXT} ({fault})"
                answer = self.to(ref, one, f"otklik-{n}", text)
                self.strike(emulator, f"{fault}*1")
                made = c.reply(answer)
                assert len(self.written(world, text)) == 1, fault
                self.strike(emulator, None)
                assert c.reply(answer) == made
                found = c.find_reply(answer, self.soon())
                assert found is not None and found.external_id == made.external_id, fault
        with self.emulate(world) as emulator, self.open(emulator, page, timeout=0.2, retries=1) as (c, ref):  # type: ignore[attr-defined]
            for n, fault in enumerate(LOST):
                text = f"{TEXT} (всегда {fault})"
                answer = self.to(ref, asked[n % len(asked)], f"otklik-always-{n}", text)
                self.strike(emulator, fault)
                with contextlib.suppress(Unavailable):  # who has no key of idempotency looks, and may find it himself
                    c.reply(answer)
                self.strike(emulator, None)
                found = c.find_reply(answer, self.soon())
                assert found is not None, fault
                assert c.reply(answer).external_id == found.external_id
                assert len(self.written(world, text)) == 1, fault

    def test_where_nobody_can_tell_it_is_not_sent_again(self) -> None:
        if self.found_again:
            pytest.skip("it is found again: see the test before")
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, timeout=0.2, retries=1) as (c, ref):  # type: ignore[attr-defined]
            asked = self.one_of_each(world, self.collected(c, ref))
            for n, fault in enumerate(self.refusing):
                answer = self.to(ref, asked[n % len(asked)], f"otklik-{n}", text := f"{TEXT} ({fault})")
                self.strike(emulator, f"{fault}*1")
                made = c.reply(answer)
                assert c.reply(answer) == made and len(self.written(world, text)) == 1, fault
            for n, fault in enumerate(LOST):
                answer = self.to(ref, asked[n % len(asked)], f"otklik-lost-{n}", text := f"{TEXT} (потерян {fault})")
                self.strike(emulator, fault)
                with pytest.raises(Unavailable):
                    c.reply(answer)
                self.strike(emulator, None)
                with pytest.raises(Unavailable), self.open(emulator, page) as (later, _):  # type: ignore[attr-defined]
                    later.find_reply(answer, self.soon())
                with pytest.raises(Unavailable) as e:
                    c.reply(answer)
                assert "посмотрите" in str(e.value)
                assert len(self.written(world, text)) == 1, fault

    def strike(self, emulator: Emulator, fault: str | None) -> None:
        plan = "; ".join(f"{m}:{fault}" for m in self.writing) if fault else ""
        emulator.plan = type(emulator.plan).parse(plan)

    def test_where_comments_are_closed_a_person_must_do_it(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            asked = self.one_of_each(world, self.collected(c, ref))
            for post in world.posts():
                post.closed = True
            for one in asked:
                self.refused(c, self.to(ref, one))
        assert not self.written(world)

    def test_where_the_speaker_may_not_write_a_person_must_do_it(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            asked = self.one_of_each(world, self.collected(c, ref))
            world.pages[page].errors["write"] = 15
            for one in asked:
                self.refused(c, self.to(ref, one))
        assert not self.written(world)

    def test_to_a_comment_that_is_gone(self) -> None:
        """Nothing is written elsewhere instead: refused, or under a comment that the network still keeps as a stub."""
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            asked = [o for o in self.one_of_each(world, self.collected(c, ref)) if o.external_id != o.post_id]
            for comment in world.comments():
                if world.external_id(comment) in {o.external_id for o in asked}:
                    world.delete(comment)
            for n, one in enumerate(asked):
                try:
                    c.reply(self.to(ref, one, f"otklik-{n}"))
                except Declined:
                    continue
            assert all(e["parent"] is not None for e in self.written(world))

    def test_too_long_or_empty_is_refused_without_a_call(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):  # type: ignore[attr-defined]
            one = self.one_of_each(world, self.collected(c, ref))[0]
            before = c.manners.calls
            self.refused(c, self.to(ref, one, text=" \n"))
            if c.max_reply:
                assert str(c.max_reply) in str(self.refused(c, self.to(ref, one, text="д" * (c.max_reply + 1))))
            assert c.manners.calls == before
            if c.max_reply:
                c.reply(self.to(ref, one, text="д" * c.max_reply))

    def test_a_bad_token_is_said_and_never_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        world = self.reply_world()
        page = next(iter(world.pages))
        said = []
        with self.emulate(world) as emulator, self.open(emulator, page, retries=1) as (c, ref):  # type: ignore[attr-defined]
            one = self.one_of_each(world, self.collected(c, ref))[0]
            faults = (*LOST, *self.refusing, *(f"error={n}" for n in self.writing_errors))
            for n, fault in enumerate(faults):
                self.strike(emulator, fault)
                try:
                    c.reply(self.to(ref, one, f"otklik-{n}", f"{TEXT} ({n})"))
                except CollectError as e:
                    said.append(e)
        assert any(isinstance(e, Unauthorised) for e in said) and any(isinstance(e, Declined) for e in said)
        for e in said:
            assert self.token not in f"{e!r} {e} {e.__cause__!r} {e.__context__!r}"
            assert "\n" not in str(e) and len(str(e)) < 500
        assert self.token not in caplog.text
        assert all(len(self.written(world, f"{TEXT} ({n})")) <= 1 for n in range(len(faults)))

    def refused(self, c: Collector, answer: Answer) -> Declined:
        with pytest.raises(Declined) as e:
            c.reply(answer)
        assert "\n" not in str(e.value) and self.token not in str(e.value)
        return e.value
