"""The poll loop on the emulator, with real databases of both kinds: what it reads, when, what it believes, its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import make, schedule
from collectors.contract import Unauthorised, Unavailable
from collectors.doctor import checks
from collectors.pages import choose_pages, plan
from collectors.poll import Options, Poller
from collectors.report import Silent
from collectors.vk import VkCollector
from emulator import GROUP_TOKEN, Behaviour, Shaker
from emulator.faults import Plan
from emulator.world import Clock, Post, World
from settings import ConfigError
from store import Store
from store.values import Coverage, Outcome
from tests.rig import FIRE, Rig, rig, two_pages

HOUR = 3600.0


@pytest.fixture
def r(store_url: str) -> Iterator[Rig]:
    with rig(store_url) as opened:
        yield opened


@pytest.fixture
def lite(sqlite_url: str) -> Iterator[Rig]:
    """On SQLite alone, for what does not depend on the database."""
    with rig(sqlite_url) as opened:
        yield opened


def outcomes(report: Any) -> list[str]:
    return [str(c.outcome) for c in report.coverages]


def reads(r: Rig) -> int:
    """How many times comments were asked for, inside `execute` too."""
    return sum(
        n for calls in (r.emulator.calls, r.emulator.inner_calls) for m, n in calls.items() if m.endswith("getComments")
    )


# --- one run after another --------------------------------------------------------------------------------------------


def test_what_was_there_before_the_first_sight_is_historical(r: Rig) -> None:
    r.say(FIRE)  # before the first run: no alert
    first = r.collect()
    assert (first.exit_code, outcomes(first), first.landed.new) == (0, ["complete", "complete"], 25)
    assert all(m["historical"] and not m["deadlines"] for m in r.stored().values())
    assert r.alerts() == []

    r.world.advance(60)
    fire, calm = r.key(r.say(FIRE)), r.key(r.say("Когда дадут воду?", r.post(2)))
    second = r.collect()
    assert (second.exit_code, second.landed.new, len(second.landed.alerts)) == (0, 2, 1)
    found = r.stored()
    assert {k for k, m in found.items() if not m["historical"]} == {fire, calm}
    assert found[fire]["deadlines"] and found[calm]["deadlines"]
    assert [a["message_id"] for a in r.alerts()] == [found[fire]["id"]]
    r.agrees()


def test_a_run_without_news_reads_no_comments_and_lands_nothing(lite: Rig) -> None:
    r = lite
    r.collect()
    before = r.events()
    r.emulator.forget_calls()
    again = r.collect()
    assert (again.exit_code, again.landed.new, again.landed.revised) == (0, 0, 0)
    assert outcomes(again) == ["complete", "complete"]
    assert reads(r) == 0
    assert r.events() == before
    assert all(c.seen == 0 and c.gap == 0 and c.stored == c.counter == 12 for c in again.coverages)


def test_only_the_post_that_changed_is_read_and_from_its_newest_comment(lite: Rig) -> None:
    r = lite
    r.collect()
    r.say("Ещё вопрос", r.post(1, 2))
    asked: list[dict[str, str]] = []
    r.emulator.face.observer = lambda method, params, kind, answer: (
        asked.append(params) if method == "wall.getComments" else None
    )
    assert r.collect().landed.new == 1
    assert {(p["owner_id"], p["post_id"], p["sort"]) for p in asked} == {("-1", str(r.post(1, 2).id), "desc")}

    asked.clear()
    r.collect(full=True)
    assert {p["sort"] for p in asked} == {"asc"}
    assert len({(p["owner_id"], p["post_id"]) for p in asked}) == 6
    r.agrees()


def test_replies_under_old_comments_and_new_posts_are_found(r: Rig) -> None:
    r.collect()
    old = next(iter(r.post().comments.values()))
    reply = r.key(r.say("И у нас", parent=old))
    r.world.advance(10)
    post = r.world.add_post(r.page(2), "Свежая новость")
    fresh = r.key(r.say(FIRE, post))
    assert r.collect().landed.new == 2
    found = r.stored()
    assert found[reply]["parent_id"] == r.key(old)
    assert not found[fresh]["historical"] and len(r.alerts()) == 1
    r.agrees()


def test_the_pages_own_answers_never_enter_the_queue(r: Rig) -> None:
    r.collect()
    r.world.advance(1)
    own = r.world.add_comment(r.post(), FIRE, r.page().author_id)
    r.say("Нет воды")
    report = r.collect()
    assert (report.landed.new, report.landed.own, report.landed.alerts) == (2, 1, ())
    assert all(e["data"].get("external_id") != r.key(own) for e in r.events())
    taken = r.store.take("somebody", 100, 60, datetime.now(UTC))
    assert taken and r.key(own) not in {m["external_id"] for m in taken}
    r.agrees()


# --- edits and deletions ----------------------------------------------------------------------------------------------


def test_an_edit_makes_a_revision_and_leaves_the_clocks(r: Rig) -> None:
    r.collect()
    comment = r.say("Нет воды")
    r.collect()
    before = r.stored()[r.key(comment)]
    r.world.advance(60)
    r.world.edit(comment, "Нет воды и света")
    assert r.collect().landed.revised == 0, "an edit leaves the counter as it was"
    assert r.collect(full=True).landed.revised == 1
    after = r.story(comment)
    assert after["text"] == "Нет воды и света"
    assert [v["text"] for v in after["revisions"]] == ["Нет воды"]
    assert after["deadlines"] == before["deadlines"] and after["collected_at"] == before["collected_at"]
    r.agrees()


def test_an_edit_into_an_emergency_raises_the_alarm(lite: Rig) -> None:
    r = lite
    r.collect()
    comment = r.say("Нет воды")
    r.collect()
    r.world.advance(60)
    r.world.edit(comment, FIRE)
    assert len(r.collect(full=True).landed.alerts) == 1
    assert r.collect(full=True).landed.alerts == ()


def test_edits_are_found_without_being_asked_when_the_time_for_a_whole_walk_has_come(lite: Rig) -> None:
    r = lite
    r.collect()
    comment = next(iter(r.post().comments.values()))
    r.world.edit(comment, "Исправлено")
    assert r.collect().landed.revised == 0
    r.world.advance(7 * 86400 + HOUR)
    assert r.collect().landed.revised == 1
    r.agrees()


def test_a_deletion_is_marked_the_text_kept_and_a_restored_comment_comes_back(r: Rig) -> None:
    r.collect()
    comment = r.say("Передумал")
    key = r.key(comment)
    r.collect()
    r.world.delete(comment)
    assert r.collect(full=True).landed.deleted == 1
    gone = r.stored()[key]
    assert gone["deleted_at"] is not None and gone["text"] == "Передумал"
    assert [e["type"] for e in r.events() if e["data"].get("external_id") == key][-1] == "otklik.message.deleted"
    r.agrees()

    r.world.restore(comment)
    r.collect(full=True)
    assert r.stored()[key]["deleted_at"] is None
    assert [e["type"] for e in r.events() if e["data"].get("external_id") == key][-1] == "otklik.message.restored"
    r.agrees()


def test_one_comment_goes_and_another_comes_in_one_moment(lite: Rig) -> None:
    r = lite
    r.collect()
    first = r.say("Уйдёт")
    r.collect()
    r.world.delete(first)
    r.say("Придёт")  # the counter is what it was
    r.collect(full=True)
    r.agrees()


def test_a_deleted_parent_does_not_take_its_replies_along(lite: Rig) -> None:
    r = lite
    parent = r.say("Вопрос")
    r.say("Ответ", parent=parent)
    r.collect()
    r.world.delete(parent)
    r.collect(full=True)
    assert r.collect().exit_code == 0
    r.agrees()


# --- posts that go, that are closed, that are denied -----------------------------------------------------------------


def test_a_deleted_post_takes_its_comments_and_a_restored_one_brings_them_back(r: Rig) -> None:
    r.collect()
    post = r.post()
    r.world.delete_post(post)
    r.world.advance(2 * 86400)
    report = r.collect(full=True)
    assert (report.exit_code, report.landed.deleted) == (0, 4)
    r.agrees()
    post.deleted = False
    post.version += 1
    assert r.collect().exit_code == 0
    r.agrees()


def test_a_post_that_vanishes_while_it_is_read(lite: Rig) -> None:
    r = lite
    r.collect()
    r.say("Ещё", r.post())
    post = r.post()

    def vanish(world: World, method: str) -> None:
        if method.endswith("getComments") and not post.deleted:
            world.delete_post(post)

    r.world.mutator = vanish
    r.collect()
    r.world.mutator = None
    r.collect(full=True)
    assert r.collect().exit_code == 0
    r.agrees()


def hide(*posts: Post, hidden: bool = True) -> None:
    for post in posts:
        post.unreadable = hidden
        post.version += 1


def test_a_denied_post_is_told_of_asked_again_tomorrow_and_read_when_it_opens(lite: Rig) -> None:
    r = lite
    hide(r.post())
    first = r.collect()
    assert (first.exit_code, sorted(outcomes(first))) == (1, ["complete", "partial"])
    problem = next(c.problem for c in first.coverages if c.outcome is Outcome.partial)
    for _ in range(3):  # told of every time, with the reason; asked for once a day
        r.emulator.forget_calls()
        again = r.collect()
        assert (again.exit_code, reads(r)) == (1, 0)
        said = next(c.problem for c in again.coverages if c.outcome is Outcome.partial)
        assert said in problem
    hide(r.post(), hidden=False)
    r.world.advance(86400 + 60)
    assert r.collect().exit_code == 0
    r.agrees()


def test_a_refusal_that_passes_hides_no_new_comment_for_a_day(lite: Rig) -> None:
    r = lite
    r.collect()
    r.say("Вопрос")
    r.emulator.plan = Plan.parse("wall.getComments:error=15")
    assert r.collect().exit_code == 1
    r.emulator.plan = Plan.parse(None)
    fire = r.key(r.say(FIRE))
    assert r.collect().exit_code == 0
    assert fire in r.stored() and len(r.alerts()) == 1
    r.agrees()


def test_hiding_comments_deletes_none_of_those_that_are_stored(lite: Rig) -> None:
    r = lite
    r.collect()
    hide(r.post())
    report = r.collect(full=True)
    assert (report.exit_code, report.landed.deleted) == (1, 0)
    r.agrees()


def test_a_page_of_denied_posts_is_blocked_not_empty(lite: Rig) -> None:
    r = lite
    hide(*r.page().posts.values())
    report = r.collect()
    assert (report.exit_code, sorted(outcomes(report))) == (1, ["blocked", "complete"])
    hide(*r.page(2).posts.values())
    assert r.collect(only=["1"]).exit_code == 4


def test_a_post_of_a_resident_on_the_wall_is_a_message(r: Rig) -> None:
    r.collect()
    r.world.advance(1)
    post = r.world.add_post(r.page(), FIRE, author=1001)
    assert r.collect().landed.new == 1
    assert r.stored()[r.key(post)]["emergency"] and len(r.alerts()) == 1
    r.agrees()


# --- what the network says and does not show --------------------------------------------------------------------------


def test_a_counter_without_comments_is_blocked(sqlite_url: str) -> None:
    with rig(sqlite_url, faults="wall.getComments:hollow") as r:
        report = r.collect()
        assert outcomes(report) == ["blocked", "blocked"]
        assert report.exit_code == 4
        assert r.stored() == {}
        assert all(c.problem and "не показывает" in c.problem for c in report.coverages)
        r.emulator.plan.faults.clear()
        assert r.collect().exit_code == 0
        r.agrees()


def test_hollow_answers_delete_nothing_that_is_stored(lite: Rig) -> None:
    r = lite
    r.collect()
    r.emulator.plan = Plan.parse("wall.getComments:hollow")
    r.say("Новое")
    for _ in range(3):
        report = r.collect(full=True)
        assert report.landed.deleted == 0
        assert report.exit_code in (1, 4)
    r.emulator.plan = Plan.parse(None)
    assert r.collect(full=True).exit_code == 0
    r.agrees()


def test_while_the_network_counts_more_than_it_shows_one_walk_calls_nothing_deleted(lite: Rig) -> None:
    r = lite
    r.collect()
    victim = next(c for c in r.post().comments.values() if not c.children)
    r.world.delete(victim)
    r.emulator.plan = Plan.parse("wall.get*:counter=3")  # one is gone, and the counter says more
    first = r.collect(full=True)
    assert first.exit_code == 1 and first.landed.deleted == 0
    assert all(c.gap for c in first.coverages)
    assert r.stored()[r.key(victim)]["deleted_at"] is None
    r.emulator.plan = Plan.parse(None)
    assert r.collect(full=True).exit_code == 0
    r.agrees()


def test_a_counter_that_is_too_high_for_ever_hides_no_deletion(r: Rig) -> None:
    """Two whole walks in succession that miss the same comments by the same gap are believed, even between others."""
    r.emulator.plan = Plan.parse("wall.get*:counter=2")
    assert r.collect().exit_code == 1
    victim = next(c for c in r.post().comments.values() if not c.children)
    r.world.delete(victim)
    first = r.collect(full=True)
    assert (first.exit_code, first.landed.deleted) == (1, 0)
    r.say("Ещё")  # an ordinary run lies between the two
    middle = r.collect()
    assert middle.landed.new == 1
    last = r.collect(full=True)
    assert first.landed.deleted + middle.landed.deleted + last.landed.deleted == 1
    assert r.stored()[r.key(victim)]["deleted_at"] is not None
    r.emulator.plan = Plan.parse(None)
    assert r.collect(full=True).exit_code == 0
    r.agrees()


def test_a_gap_that_differs_from_walk_to_walk_hides_comments_and_deletes_none(lite: Rig) -> None:
    """What is missing now this, now that, is not deleted; nor is what returns."""
    r = lite
    for n in range(30):
        r.say(f"Ещё {n}")
    r.collect()
    stored = set(r.stored())
    for n in range(6):
        hidden = [c for c in r.post().comments.values() if not c.children][n::7]
        for c in hidden:
            r.world.delete(c)
        r.emulator.plan = Plan.parse(f"wall.get*:counter={len(hidden)}")
        assert r.collect(full=True).landed.deleted == 0
        for c in hidden:
            r.world.restore(c)
    r.emulator.plan = Plan.parse(None)
    assert r.collect(full=True).exit_code == 0
    assert set(r.stored()) == stored
    r.agrees()


@pytest.mark.parametrize("seed", range(20 if os.environ.get("OTKLIK_SOAK") else 2))
def test_comments_that_move_under_a_counter_that_is_too_high_are_not_taken_for_deleted(
    sqlite_url: str, seed: int
) -> None:
    """Whatever appears and vanishes while pages of it are read: what stood there all the time stays."""
    with rig(sqlite_url, behaviour=Behaviour(wall_max=15)) as r:
        for n in range(25):
            r.world.add_comment(r.post(), f"Ещё {n}", 1001)
        r.emulator.plan = Plan.parse("wall.get*:counter=2")
        r.collect()
        standing = {r.key(c) for c in r.world.comments()}
        shaker = Shaker(seed)

        def shake(world: World, method: str) -> None:
            shaker.shake(world)
            standing.difference_update([world.external_id(c) for c in world.comments() if c.deleted])

        r.world.mutator = shake
        for _ in range(3):
            r.world.advance(5)
            r.collect(full=True)
            assert not {k for k, m in r.stored().items() if m["deleted_at"]} & standing
        r.world.mutator = None
        assert standing
        r.emulator.plan = Plan.parse(None)
        r.collect(full=True)
        assert r.collect(full=True).exit_code == 0
        r.agrees()


def test_too_high_a_counter_costs_no_whole_walk_each_time(lite: Rig) -> None:
    r = lite
    r.emulator.plan = Plan.parse("wall.get*:counter=2")
    for n in range(250):
        r.world.add_comment(r.post(), f"Ещё {n}", 1001)
    r.collect()
    r.world.advance(5)
    r.collect()
    r.world.advance(5)
    r.say("Новое")
    asked: list[str] = []
    post = str(r.post().id)
    r.emulator.face.observer = lambda method, params, kind, answer: (
        asked.append(params["sort"]) if (params.get("owner_id"), params.get("post_id")) == ("-1", post) else None
    )
    assert r.collect().landed.new == 1
    assert asked == ["desc"]


@pytest.mark.parametrize("behaviour", [Behaviour(counter_replies=False), Behaviour(counter_stubs=False)], ids=str)
def test_counters_of_another_meaning(sqlite_url: str, behaviour: Behaviour) -> None:
    with rig(sqlite_url, behaviour=behaviour) as r:
        parent = r.say("Вопрос")
        r.say("Ответ", parent=parent)
        r.collect()
        r.world.delete(parent)
        r.say("Ещё")
        r.collect(full=True)
        assert r.collect(full=True).exit_code == 0
        r.agrees()


# --- first sight with a depth -----------------------------------------------------------------------------------------


def test_under_posts_older_than_the_depth_only_what_comes_from_now_on_is_read(sqlite_url: str) -> None:
    world = two_pages()
    with rig(sqlite_url, world, collect=", first_depth: 1d") as r:
        old = world.add_post(r.page(), "Давняя", at=world.now() - 30 * 86400)
        for i in range(3):
            world.add_comment(old, f"Давнее {i}", 1001, at=world.now() - 29 * 86400)
        first = r.collect()
        assert first.exit_code == 0
        assert not any(m["post_id"] == r.key(old) for m in r.stored().values())
        fresh = r.key(r.say(FIRE, old))
        report = r.collect()
        assert report.exit_code == 0 and len(report.landed.alerts) == 1
        assert r.stored()[fresh]["emergency"]
        r.collect(full=True)
        r.agrees()


# --- runs that end early ----------------------------------------------------------------------------------------------


class Watch(Silent):
    """A progress display that does something when so many posts are done."""

    def __init__(self, after: int, action: Any) -> None:
        self.left = after
        self.action = action

    def post_done(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.action()


def poller(r: Rig, *, stop: Any = None, progress: Any = None, now: Any = None) -> Poller:
    conf = r.settings
    more = {} if now is None else {"now": now}
    return Poller(
        r.store,
        conf,
        r.judges[0],
        lambda name: make(conf, name, r.store, stop=stop),
        stop=stop,
        progress=progress,
        **more,
    )


def test_the_deadline_cuts_a_run_and_the_next_one_goes_on(r: Rig) -> None:
    late = timedelta(0)

    def expire() -> None:
        nonlocal late
        late = timedelta(hours=1)

    cut = poller(r, progress=Watch(2, expire), now=lambda: datetime.now(UTC) + late).run(Options())
    assert cut.exit_code == 1
    assert 0 < len(r.stored()) < 24
    assert any("время запуска вышло" in (c.problem or "") for c in cut.coverages)
    assert r.collect().exit_code == 0
    r.agrees()
    assert all(m["historical"] for m in r.stored().values())


def test_the_deadline_is_looked_at_inside_a_post_and_a_listing(lite: Rig) -> None:
    """What came before it stays; the run says so; nothing is taken for deleted; the next run has everything."""
    r = lite
    for n in range(350):
        r.world.add_comment(r.post(), f"Ещё {n}", 1001)
    for n in range(250):
        r.world.add_post(r.page(2), f"Новость {n}")
    for method, after, stored in (("wall.getComments", 4, 100), ("wall.get", 1, 0)):
        late = timedelta(0)
        calls = 0

        def expire(world: World, asked: str, method: str = method, after: int = after) -> None:
            nonlocal late, calls
            calls += asked == method
            if calls == after:
                late = timedelta(hours=1)

        r.world.mutator = expire
        only = ("1",) if method == "wall.getComments" else ("2",)
        report = poller(r, now=lambda: datetime.now(UTC) + late).run(Options(only, full=True))  # noqa: B023
        r.world.mutator = None
        assert report.exit_code == 1 and outcomes(report) == ["partial"]
        assert "время запуска вышло" in (report.coverages[0].problem or "")
        assert calls < after + 2, "it read on after its time"
        assert len(r.stored()) >= stored and report.landed.deleted == 0
    assert r.collect().exit_code == 0
    r.agrees()


def test_pages_that_a_run_had_no_time_for_come_first_in_the_next(lite: Rig) -> None:
    r = lite
    r.collect()
    for run in range(2):
        late = timedelta(0)

        def expire(world: World, asked: str) -> None:
            nonlocal late
            late = timedelta(hours=1)

        r.world.mutator = expire
        cut = poller(r, now=lambda: datetime.now(UTC) + late).run(Options())  # noqa: B023
        r.world.mutator = None
        assert cut.exit_code == 1
        done = [x.coverage.page_id for x in cut.results if x.coverage]
        assert (done, [x.postponed for x in cut.results]) == ([f"-{run + 1}"], [False, True])
    assert r.collect().exit_code == 0


def test_a_second_walk_of_a_post_counts_nothing_twice(lite: Rig) -> None:
    r = lite
    r.emulator.plan = Plan.parse("wall.get*:counter=3")  # inconsistent, so each post is walked twice
    report = r.collect()
    assert [c.seen for c in report.coverages] == [12, 12]
    states = [s for page in r.store.page_states() for s in r.store.post_states(page.page)]
    assert all(s.last_new_at is not None for s in states)


def test_a_stop_keeps_what_came_and_the_next_run_completes(r: Rig) -> None:
    stop = threading.Event()
    report = poller(r, stop=stop, progress=Watch(2, stop.set)).run(Options())
    assert report.exit_code == 5 and report.interrupted
    assert 0 < len(r.stored()) < 24
    assert len(report.results) == 1, "the other page was not begun"
    assert report.coverages[0].outcome is Outcome.partial
    stop.clear()
    assert poller(r, stop=stop).run(Options()).exit_code == 0
    r.agrees()


def test_a_stop_ends_the_waiting_for_a_network_at_once(lite: Rig) -> None:
    lite.emulator.plan = Plan.parse("wall.get:http=503,60")  # "come back in a minute"
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    report = poller(lite, stop=stop).run(Options())
    assert report.exit_code == 5
    lite.emulator.plan = Plan.parse(None)
    assert lite.collect().exit_code == 0
    lite.agrees()


def test_a_first_run_cut_short_leaves_the_line_between_old_and_new_where_it_was(r: Rig) -> None:
    stop = threading.Event()
    poller(r, stop=stop, progress=Watch(1, stop.set)).run(Options())
    r.world.advance(600)
    fresh = r.key(r.say(FIRE))
    assert r.collect().exit_code == 0
    live = {k for k, m in r.stored().items() if not m["historical"]}
    assert live == {fresh}
    r.agrees()


# --- locks ------------------------------------------------------------------------------------------------------------


def test_a_page_that_another_run_holds_is_left_to_it(r: Rig) -> None:
    with Store.open(r.url) as other:
        first = other.try_lock("page:vk:-1")
        assert first is not None
        report = r.collect()
        assert (report.exit_code, [x.locked for x in report.results].count(True)) == (0, 1)
        assert {m["page"] for m in r.stored().values()} == {"-2"}
        second = other.try_lock("page:vk:-2")
        assert second is not None
        assert r.collect().exit_code == 6
        first.release()
        second.release()
    assert r.collect().exit_code == 0
    r.agrees()


TWICE = [{"network": "vk", "id": i, "include": ["posts"]} for i in ("club1", "-2", "-1", "https://vk.com/stranica1")]


def test_a_page_that_is_configured_twice_is_collected_once_and_told(lite: Rig) -> None:
    r = lite
    r.options["pages"] = TWICE
    first = r.collect()
    assert (first.exit_code, outcomes(first), first.landed.new) == (0, ["complete"] * 2, 24)
    notes = [x.note for x in first.results if x.note]
    assert len(notes) == 2 and all("та же страница, что и «vk:club1»" in n for n in notes)
    r.emulator.forget_calls()
    r.emulator.calls.clear()
    assert r.collect(full=True).exit_code == 0
    assert r.emulator.calls["wall.get"] == 2
    assert len(otklik_doctor(r, "указана дважды")) == 2
    r.agrees()


def otklik_doctor(r: Rig, words: str) -> list[str]:
    return [c.detail for c in checks(r.settings, r.store) if words in c.detail]


@pytest.mark.parametrize("spelling", ["club1", "public1", "https://vk.com/club1", "stranica1"])
def test_the_lock_is_the_pages_whatever_it_is_called(r: Rig, spelling: str) -> None:
    r.options["pages"] = [{"network": "vk", "id": spelling, "include": ["posts"]}]
    with Store.open(r.url) as other:
        held = other.try_lock("page:vk:-1")
        assert held is not None
        assert (r.collect().exit_code, r.stored()) == (6, {})
        held.release()
    assert r.collect().exit_code == 0


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_a_bad_token_is_3_and_keeps_what_is_stored(sqlite_url: str) -> None:
    world = two_pages()
    with rig(sqlite_url, world) as r:
        r.collect()
    with rig(sqlite_url, world, token="never-was-a-token") as r:
        report = r.collect()
        assert (report.exit_code, outcomes(report)) == (3, ["unauthorised", "unauthorised"])
        assert all("токен" in c.problem for c in report.coverages)
        assert len(r.stored()) == 24
        states = r.store.page_states()
        assert all(s.last_success_at and s.last_outcome is Outcome.unauthorised for s in states)


def test_a_right_that_lacks_at_one_post_leaves_the_others(sqlite_url: str) -> None:
    with rig(sqlite_url) as r:
        comments, struck = VkCollector.comments, iter([True])

        def once(self: Any, *how: Any) -> Any:
            if next(struck, False):
                raise Unauthorised("нет права на это", code=10)
            return comments(self, *how)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(VkCollector, "comments", once)
            report = r.collect()
        assert (report.exit_code, sorted(outcomes(report))) == (1, ["complete", "partial"])
        assert len(r.stored()) == 20
        assert r.collect(full=True).exit_code == 0 and len(r.stored()) == 24
    with rig(sqlite_url, faults="wall.getComments:error=5; execute:error=5") as r:
        r.collect(full=True)
        assert r.collect(full=True).exit_code == 3


def test_a_communitys_token_is_3(sqlite_url: str) -> None:
    with rig(sqlite_url, token=GROUP_TOKEN) as r:
        report = r.collect()
        assert report.exit_code == 3, report.as_dict()


def test_one_bad_page_is_1_and_the_other_is_read(lite: Rig) -> None:
    r = lite
    r.page(1).errors["page"] = 15
    report = r.collect()
    assert (report.exit_code, sorted(outcomes(report))) == (1, ["blocked", "complete"])
    assert {m["page"] for m in r.stored().values()} == {"-2"}
    assert next(c for c in report.coverages if c.outcome is Outcome.blocked).code == "15"


def test_no_page_readable_is_4(lite: Rig) -> None:
    r = lite
    r.page(1).errors["page"] = 15
    r.page(2).errors["page"] = 18
    assert r.collect().exit_code == 4
    assert r.stored() == {}


def test_a_network_that_is_down_is_4(sqlite_url: str) -> None:
    with rig(sqlite_url, faults="*:reset", network=", retries: 0") as r:
        report = r.collect()
        assert (report.exit_code, outcomes(report)) == (4, ["failed", "failed"])


def test_an_absent_token_is_told_with_its_line(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTKLIK_ABSENT", raising=False)
    with rig(sqlite_url, token="${OTKLIK_ABSENT}") as r:
        report = r.collect()
        assert report.exit_code == 3
        assert all("config.yaml:5" in c.problem and "OTKLIK_ABSENT" in c.problem for c in report.coverages)


def test_a_collector_that_breaks_fails_its_page_only(lite: Rig, caplog: pytest.LogCaptureFixture) -> None:
    conf = lite.settings
    collector = make(conf, "vk", lite.store)
    real = collector.posts

    def posts(page: Any, since: Any) -> Any:
        if page.id == "-1":
            raise ZeroDivisionError
        return real(page, since)

    collector.posts = posts  # type: ignore[method-assign]
    report = Poller(lite.store, conf, lite.judges[0], lambda name: collector).run(Options())
    assert sorted(outcomes(report)) == ["complete", "failed"] and report.exit_code == 1
    assert "Traceback" not in caplog.text


def test_a_post_that_a_collector_stumbles_over_does_not_keep_the_others_from_their_turn(lite: Rig) -> None:
    conf = lite.settings
    collector = make(conf, "vk", lite.store)
    real = collector.comments
    bad = lite.world.external_id(lite.post())

    def comments(page: Any, post: Any, walk: Any) -> Any:
        if post.id == bad:
            raise ZeroDivisionError
        return real(page, post, walk)

    collector.comments = comments  # type: ignore[method-assign]
    report = Poller(lite.store, conf, lite.judges[0], lambda name: collector).run(Options())
    assert sorted(outcomes(report)) == ["complete", "failed"] and report.exit_code == 1
    stored = len(lite.stored())
    assert 0 < stored < len(list(lite.world.comments()))
    assert lite.collect().exit_code == 0
    lite.agrees()


def test_a_bad_text_in_front_does_not_keep_an_emergency_behind_it_waiting(lite: Rig) -> None:
    lite.collect()
    lite.judge.dead = True
    for n in range(120):
        lite.say(f"дурной {n}" if n < 60 else f"обычный {n}")
    lite.say(FIRE)
    lite.collect()
    assert lite.alerts() == []
    lite.judge.dead = False
    lite.judge.broken = {f"дурной {n}" for n in range(60)}
    lite.collect()
    assert len(lite.alerts()) == 1


def test_shapeless_answers_delete_nothing_and_are_not_complete(lite: Rig) -> None:
    lite.collect()
    before = lite.stored()
    lite.options["network"] = ", retries: 1, max_wait: 0.2s"
    lite.emulator.plan = Plan.parse("wall.getComments:shape;wall.getById:shape;execute:shape")
    report = lite.collect(full=True)
    assert report.exit_code in (1, 4) and "complete" not in outcomes(report)
    assert report.landed.deleted == 0 and lite.stored().keys() == before.keys()


def test_comments_that_vanish_all_at_once_are_looked_for_twice(lite: Rig) -> None:
    for _ in range(6):
        lite.say("Нет воды")
    lite.collect()
    for c in list(lite.post().comments.values()):
        lite.world.delete(c)
    report = lite.collect(full=True)
    assert report.landed.deleted == 0 and report.exit_code == 1
    report = lite.collect(full=True)
    assert report.landed.deleted >= 6 and report.exit_code == 0
    lite.agrees()


def test_a_page_called_token_is_a_bad_address_and_no_bad_token(sqlite_url: str) -> None:
    with rig(sqlite_url, pages=[{"network": "vk", "id": "https://example.com/token"}]) as r:
        report = r.collect()
        assert outcomes(report) == ["failed"] and report.exit_code == 4


def test_pages_are_named_by_number_id_and_title_and_nothing_else(lite: Rig) -> None:
    conf = lite.settings
    assert [i for i, _ in choose_pages(conf, ["2", "-1", "vk:-1"])] == [1, 0]
    with pytest.raises(ConfigError, match="страницы «3» нет"):
        choose_pages(conf, ["3"])


def test_the_page_longest_unvisited_comes_first_and_page_every_lets_pages_rest(sqlite_url: str) -> None:
    with rig(sqlite_url, collect=", page_every: 1h") as r:
        assert r.collect(only=["2"]).exit_code == 0
        assert [(x.page.network, x.page.id) for x in r.collect().results] == [("vk", "-1")]
        rest = r.collect()
        assert (rest.results, rest.exit_code) == ([], 0)
        assert len(r.collect(full=True).results) == 2


def test_a_dry_run_asks_nobody_and_changes_nothing(lite: Rig) -> None:
    r = lite
    fresh = plan(r.store, r.settings, (), datetime.now(UTC))
    assert [(p["number"], p["first_time"], p["posts_known"]) for p in fresh] == [(1, True, 0), (2, True, 0)]
    assert not r.emulator.calls
    r.collect()
    r.emulator.forget_calls()
    later = plan(r.store, r.settings, ["1"], datetime.now(UTC) + timedelta(days=30))
    assert [(p["posts_known"], p["posts_due"]) for p in later] == [(3, 3)]
    assert not r.emulator.calls


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [10, -10])
def test_a_network_whose_clock_is_far_from_ours(sqlite_url: str, years: int) -> None:
    server = datetime.now(UTC).timestamp() + years * 365 * 86400
    with rig(sqlite_url, two_pages(start=server)) as r:
        assert r.collect().exit_code == 0
        fresh = [r.key(r.say(FIRE)), r.key(r.say("Ещё", r.post(2)))]
        assert r.collect().landed.new == 2
        r.agrees()
        nothing_lies_after(r)
        assert [r.stored()[k]["historical"] for k in fresh] == [False, False] or years < 0


def nothing_lies_after(r: Rig) -> None:
    """No cursor of ours is later than the network's now."""
    now = datetime.fromtimestamp(r.world.now() + 60, UTC)  # the world stands still while we work
    for state in r.store.page_states():
        assert state.first_seen_at <= now
        assert state.last_success_at is None or state.last_success_at <= now
        for post in r.store.post_states(state.page):
            for at in (post.checked_at, post.walked_at, post.full_walked_at):
                assert at is None or at <= now


def test_comments_and_posts_dated_2099(r: Rig) -> None:
    r.collect()
    far = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    odd = r.world.add_comment(r.post(), FIRE, 1001, at=far)
    post = r.world.add_post(r.page(2), "Из будущего", at=far)
    assert r.collect().landed.new == 1
    assert len(r.alerts()) == 1
    nothing_lies_after(r)
    later = [r.say("После", r.post()), r.say("Под будущим", post), r.say("Ещё", r.post(2))]
    assert r.collect().landed.new == 3
    found = r.stored()
    assert {r.key(odd), *map(r.key, later)} <= found.keys()
    r.agrees()


def test_our_clock_once_stood_in_2036(r: Rig) -> None:
    """What a run with a wrong clock left behind must not hide anything from the runs after it."""
    assert poller(r, now=lambda: datetime.now(UTC) + timedelta(days=3650)).run(Options()).exit_code == 0
    nothing_lies_after(r)
    for i in range(130):  # more than one page of the wall
        r.world.add_post(r.page(), f"Новость {i}")
    old = r.page().posts["post", max(n for k, n in r.page().posts) - 120]
    r.say(FIRE, old)
    assert r.collect().exit_code == 0
    assert len(r.alerts()) == 1
    r.agrees()


# --- a classifier that fails ------------------------------------------------------------------------------------------


def test_what_the_classifier_fails_on_lands_and_the_next_run_takes_it_up(r: Rig) -> None:
    r.collect()
    r.judge.broken = {FIRE}
    fire, calm = r.key(r.say(FIRE)), r.key(r.say("Нет воды"))
    report = r.collect()
    assert (report.exit_code, report.landed.new, report.landed.alerts) == (0, 2, ())
    found = r.stored()
    assert found[fire]["model"] is None and found[calm]["model"] == "plain"
    r.agrees()

    r.collect()  # still broken: still there, still waiting
    assert r.alerts() == []
    r.judge.broken = set()
    r.collect()
    late = r.stored()[fire]
    assert late["emergency"]
    collected, due = (datetime.fromisoformat(t) for t in (late["collected_at"], late["deadlines"]["route"]))
    assert due - collected == timedelta(minutes=30), "the clocks run from when it came, not from when it was judged"
    assert len(r.alerts()) == 1
    r.collect()
    assert len(r.alerts()) == 1
    assert sum(e["type"] == "otklik.message.landed" and e["data"]["id"] == found[fire]["id"] for e in r.events()) == 1


def test_a_classifier_out_of_order_loses_nothing(r: Rig, caplog: pytest.LogCaptureFixture) -> None:
    r.collect()
    r.judge.dead = True
    keys = [r.key(r.say(FIRE)), r.key(r.say("Нет воды", r.post(2)))]
    report = r.collect()
    assert (report.exit_code, report.landed.new) == (0, 2)
    again = r.collect()  # it must not fail on what waits either
    assert again.exit_code == 0
    assert "Traceback" not in caplog.text
    r.judge.dead = False
    r.collect()
    found = r.stored()
    assert [found[k]["model"] for k in keys] == ["plain", "plain"]
    assert len(r.alerts()) == 1
    r.agrees()


def test_one_text_that_kills_the_classifier_does_not_spoil_the_others(lite: Rig) -> None:
    lite.collect()
    real = lite.judge.assess_many

    def assess_many(texts: Any) -> Any:
        if any("яд" in t.text for t in texts):
            raise RecursionError
        return real(texts)

    lite.judge.assess_many = assess_many  # type: ignore[method-assign]
    poison, fire = lite.key(lite.say("яд")), lite.key(lite.say(FIRE))
    assert len(lite.collect().landed.alerts) == 1
    found = lite.stored()
    assert found[poison]["model"] is None and found[fire]["emergency"]


# --- the display ------------------------------------------------------------------------------------------------------


def test_progress_is_told_what_happens_in_order(lite: Rig) -> None:
    told: list[str] = []

    class Display(Silent):
        def page_started(self, page: str) -> None:
            told.append("start")

        def posts_found(self, listed: int, to_walk: int) -> None:
            told.append(f"{listed}/{to_walk}")

        def post_done(self) -> None:
            told.append(".")

        def page_finished(self, coverage: Coverage, page: Any) -> None:
            told.append(str(coverage.outcome))

    lite.collect(progress=Display())
    assert told == ["start", "3/3", ".", ".", ".", "complete"] * 2


def test_coverage_tells_the_delay_of_live_comments(lite: Rig) -> None:
    lite.collect()
    comment = lite.say("Нет воды")
    lite.world.advance(120)
    report = lite.collect()
    delay = (lite.world.now() - comment.published_at) if comment else 0
    found = [c.delay_max for c in report.coverages if c.new]
    assert found and all(abs(d - delay) < 5 for d in found)


def test_an_answer_that_cannot_be_understood_is_never_complete(sqlite_url: str) -> None:
    """`Unavailable` at every post: the page's run ends as failed after a few, with nothing called gone."""
    with rig(sqlite_url, two_pages(posts=8), network=", retries: 0") as r:
        r.collect()
        r.say("Ещё")
        r.emulator.plan = Plan.parse("wall.getComments:error=10; execute:error=10")
        report = r.collect(full=True)
        assert report.exit_code in (1, 4) and report.landed.deleted == 0
        assert {Outcome.complete} != {c.outcome for c in report.coverages}
        assert issubclass(Unavailable, Exception)
        r.emulator.plan = Plan.parse(None)
        assert r.collect(full=True).exit_code == 0
        r.agrees()


# --- the schedule -----------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 24, tzinfo=UTC)
times = st.one_of(st.none(), st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))


@given(times, times)
def test_the_next_look_lies_within_its_bounds(published: datetime | None, last: datetime | None) -> None:
    check = schedule.next_check(NOW, published, last) - NOW
    assert schedule.CHECK_MIN <= check <= schedule.CHECK_MAX
    longest = timedelta(days=7)
    assert schedule.FULL_MIN <= schedule.next_full(NOW, published, last, longest=longest) - NOW <= longest


@given(st.timedeltas(timedelta(0), timedelta(days=400)), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_the_quieter_a_post_the_rarer_the_looks(a: timedelta, b: timedelta) -> None:
    fresh, stale = sorted((a, b))
    assert schedule.next_check(NOW, NOW - fresh, None) <= schedule.next_check(NOW, NOW - stale, None)
    assert schedule.next_full(NOW, NOW - fresh, None, longest=timedelta(days=7)) <= schedule.next_full(
        NOW, NOW - stale, None, longest=timedelta(days=7)
    )
    watch = timedelta(days=90)
    assert schedule.watched(NOW, NOW - fresh, None, watch=watch) or not schedule.watched(
        NOW, NOW - stale, None, watch=watch
    )


@given(times, times, st.timedeltas(timedelta(0), timedelta(minutes=29)))
def test_a_short_longest_interval_is_held(
    published: datetime | None, last: datetime | None, longest: timedelta
) -> None:
    assert schedule.next_full(NOW, published, last, longest=longest) - NOW <= longest


def test_a_sign_of_life_wakes_an_old_post() -> None:
    old, year = NOW - timedelta(days=900), timedelta(days=365)
    assert not schedule.watched(NOW, old, None, watch=year)
    assert schedule.watched(NOW, old, NOW - timedelta(days=1), watch=year)
    assert schedule.watched(NOW, None, None, watch=timedelta(0))


def test_a_silent_post_is_left_alone_until_a_full_sweep(sqlite_url: str) -> None:
    world = two_pages(start=datetime.now(UTC).timestamp() - 50 * 86400)
    with rig(sqlite_url, world, collect=", watch: 30d") as r:
        r.collect()
        world.advance(40 * 86400)
        for _ in range(110):  # the wall's first page is full of newer ones
            world.add_post(r.page(), "Новое")
        r.collect()
        world.advance(5 * 86400)
        r.collect()
        r.say("Поздний вопрос")
        assert r.collect().landed.new == 0
        assert r.collect(full=True).landed.new == 1
        r.agrees()


def test_the_clock_of_the_rig_stands(lite: Rig) -> None:
    assert isinstance(lite.world.clock, Clock)
    assert lite.world.now() == lite.world.now()


def test_without_a_counter_one_walk_calls_nothing_deleted_and_two_that_agree_do(lite: Rig) -> None:
    from collectors.vk import VkCollector

    r = lite

    class Counterless(VkCollector):
        def posts(self, page: Any, since: Any) -> Any:
            for post in super().posts(page, since):
                yield replace(post, counter=None)

        def refresh(self, page: Any, posts: Any) -> Any:
            for post in super().refresh(page, posts):
                yield replace(post, counter=None)

        def comments(self, page: Any, post: Any, walk: Any) -> Any:
            yield from super().comments(page, post, walk)
            walk.counter = None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collectors.vk.VkCollector", Counterless)
        r.collect()
        before = set(r.stored())
        gone = next(iter(r.post().comments.values()))
        r.world.delete(gone)
        first = r.collect(full=True)
        assert outcomes(first) == ["complete", "complete"]
        assert not [m for m in r.stored().values() if m["deleted_at"]]
        r.collect(full=True)
        assert {i for i, m in r.stored().items() if m["deleted_at"]} == {r.key(gone)}
        assert set(r.stored()) == before
