"""YouTube holds the contract, and what is its alone: quota, reasons, threads of two levels, the discovery document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from collectors import make
from collectors.contract import CollectError, Declined, RateLimited
from collectors.manners import MemoryBudget
from collectors.outlet import Outlet
from emulator import Emulator, World, generate
from emulator.youtube import KEY, OAUTH, Behaviour, author_channel
from settings import ConfigError, Settings
from store.values import Answer, Attachment, Author, Comment
from tests.collectors.block_suite import BlockContract, HideContract
from tests.collectors.contract_suite import CollectorContract, Shelf, collect, named, truth
from tests.collectors.reply_suite import REFUSED, ReplyContract
from tests.emulator.discovery_judge import DiscoveryJudge


class TestYoutube(HideContract, BlockContract, ReplyContract, CollectorContract):
    network = "youtube"
    hiding = blocking = "comments.setModerationStatus"
    lifts = False
    needs_hidden = True
    deed_errors: ClassVar = {"token": "authError", "right": "forbidden"}
    token = KEY
    behaviours: ClassVar = {
        "default": Behaviour(),
        "no replies inline": Behaviour(inline=0),
        "counter of tops": Behaviour(counter="top"),
    }
    kinds = ("person", "hidden", "deleted")
    methods = ("channels.list", "playlistItems.list", "videos.list", "comments.list", "commentThreads.list")
    harmless = ("counter",)  # its lists of comments bear no counter
    writing = ("comments.insert",)
    refusing = (*(f for f in REFUSED if not f.startswith("error")), "error=backendError", "error=processingFailure")
    writing_errors = (
        "authError",
        "forbidden",
        "commentsDisabled",
        "parentCommentNotFound",
        "commentTextTooLong",
        "badRequest",
    )
    as_owner = False

    def make_world(self, seed: int, **shape: Any) -> World:
        usual = {"pages": 2, "posts": 8, "comments": 300, "people": 24, "network": "youtube"}
        world = generate(seed, **(usual | shape | {"kinds": ("video",)}))
        for one in world.comments():
            if one.attachments:
                one.attachments = (Attachment("photo", id=f"i{one.id}"),)
        return world

    def reply_world(self) -> World:
        self.as_owner = True  # answers need the right of the channel's owner
        return super().reply_world()

    def deed_world(self) -> World:
        self.as_owner = True
        return super().deed_world()

    def banned(self, emulator: Emulator) -> set[str]:
        return {author_channel(a) for a in emulator.face.banned}

    def one_of_each(self, world: World, found: dict[str, Comment]) -> list[Comment]:
        """All videos are of one kind and threads have two levels: two comments and two replies."""
        closed = {world.external_id(p) for p in world.posts() if p.closed}
        asked = [c for c in found.values() if not c.own and c.author.name and c.post_id not in closed]
        tops, replies = ([c for c in asked if (c.parent_id is None) is top] for top in (True, False))
        return [*tops[:2], *replies[:2]]

    @contextmanager
    def open(self, emulator: Emulator, page: str, **options: Any) -> Iterator[Any]:
        if self.as_owner:
            options = self.owner(emulator) | options
        with super().open(emulator, page, **options) as opened:
            yield opened

    def author_id(self, author: int) -> str:
        return author_channel(author)

    def threaded(self, world: World) -> tuple[str, int]:
        return next(iter(next(iter(world.pages.values())).posts))

    # --- channels ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "given",
        ["UC0000000000000000100001", "@otklik_page1", "otklik_page1", "https://www.youtube.com/@otklik_page1/videos",
         "https://youtube.com/channel/UC0000000000000000100001", "https://m.youtube.com/c/otklik_page1",
         "youtube.com/user/otklik_page1", "https://www.youtube.com/%40otklik_page1"],
    )  # fmt: skip
    def test_ways_to_name_a_channel(self, given: str) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator, self.open(emulator, given) as (_, ref):
            assert (ref.id, ref.title) == ("UC0000000000000000100001", "Администрация, страница 1")

    @pytest.mark.parametrize(
        "given", ["https://vk.com/club1", "два слова", "https://www.youtube.com/watch?v=abc", "https://youtu.be/abc"]
    )
    def test_what_is_no_channel(self, given: str) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator:
            with pytest.raises(ConfigError, match="YouTube"), self.open(emulator, given):
                pass
            assert not emulator.calls

    def test_a_channel_that_is_not_there_and_one_without_videos(self) -> None:
        world = World("youtube")
        world.add_page("-9", "Пустой", "empty")
        with self.emulate(world) as emulator:
            with pytest.raises(CollectError, match="nobody"), self.open(emulator, "@nobody"):
                pass
            with self.open(emulator, "@empty") as (c, ref):
                run = collect(c, ref, Shelf())
                assert run.complete and not run.posts, run.errors

    # --- the day's units ---------------------------------------------------------------------------------------------

    def test_the_networks_own_quota_ends_the_day(self) -> None:
        world = self.make_world(2, pages=1, comments=60)
        page = next(iter(world.pages))
        budget = MemoryBudget()
        with self.emulate(world, behaviour=Behaviour(quota=6)) as emulator:
            with self.open(emulator, page, budget=budget) as (c, ref):
                run = collect(c, ref, Shelf())
                assert [str(e.outcome) for e in run.errors] == ["rate_limited"] and not run.complete
                assert c.manners.quota is not None and c.manners.quota.used() == c.manners.quota.total == 10_000
            made = sum(emulator.calls.values())
            with pytest.raises(RateLimited, match="дневной запас"), self.open(emulator, page, budget=budget):
                pass
            assert sum(emulator.calls.values()) == made, "nobody asks again today"

    def test_a_passing_limit_is_waited_for(self) -> None:
        world = self.make_world(2, pages=1, comments=20)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, max_wait=60) as (c, _):
            emulator.plan = type(emulator.plan).parse("channels.list:error=rateLimitExceeded*2")
            assert next(iter(c.check([]))).ok

    def test_what_is_left_of_the_budget_is_in_units_and_shown(self) -> None:
        world = self.make_world(2, pages=1, comments=30)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, budget_=200) as (c, ref):
            collect(c, ref, Shelf())
            spent = emulator.face.spent
            assert c.manners.quota is not None and c.manners.quota.used() == spent
            lines = {x.name: x for x in c.check([ref])}
            assert f"израсходовано {spent + 1} из 200" in lines["квота YouTube"].detail

    def test_fifty_videos_cost_two_units(self) -> None:
        world = self.make_world(2, pages=1, posts=100, comments=0)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):
            emulator.face.spent = 0
            assert len(list(c.posts(ref, None))) == 100
            assert emulator.face.spent == 4

    # --- comments ----------------------------------------------------------------------------------------------------

    def test_disabled_comments_are_no_failure_unless_there_were_some(self) -> None:
        world = self.make_world(2, pages=1, posts=2, comments=40)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            for post in world.posts():
                post.unreadable = True
            again = collect(c, ref, shelf)
            assert {str(e.outcome) for e in again.errors} == {"blocked"} and len(again.errors) == 2
            assert not shelf.deleted
            fresh = collect(c, ref, Shelf())
            assert fresh.complete and not fresh.yielded

    def test_a_video_that_no_list_shows_is_not_gone_while_its_comments_are_there(self) -> None:
        world = self.make_world(2, pages=1, posts=2, comments=40)
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages))) as (c, ref):
            posts = list(c.posts(ref, None))
            emulator.plan = type(emulator.plan).parse("videos.list:hollow")
            assert [(p.gone, p.denied, p.counter) for p in c.refresh(ref, posts)] == [(False, False, None)] * 2
            emulator.plan = type(emulator.plan).parse("videos.list:hollow; commentThreads.list:error=videoNotFound")
            assert all(p.gone for p in c.refresh(ref, posts))

    def test_without_a_counter_two_walks_make_a_deletion(self) -> None:
        world = self.make_world(2, pages=1, comments=80)
        page = next(iter(world.pages))
        with self.emulate(world, behaviour=Behaviour(counter="absent")) as emulator:
            with self.open(emulator, page) as (c, ref):
                shelf = Shelf()
                assert collect(c, ref, shelf).complete
                self.same(shelf, world, page)
                world.delete(next(x for x in world.comments() if not x.deleted and not x.children))
                collect(c, ref, shelf)
                assert collect(c, ref, shelf).complete
                self.same(shelf, world, page)

    def test_an_edit_has_a_time_and_markup_is_data(self) -> None:
        world = self.make_world(2, pages=1, posts=1, comments=0)
        post = next(world.posts())
        one = world.add_comment(post, "<b>Когда</b> & почему?\nОтветьте", 5012)
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages))) as (c, ref):
            shelf = Shelf()
            collect(c, ref, shelf)
            kept = shelf.live[world.external_id(one)]
            assert (kept.text, kept.edited_at) == (one.text, None)
            world.advance(60)
            world.edit(one, "Исправил")
            collect(c, ref, shelf)
            kept = shelf.live[world.external_id(one)]
            assert kept.text == "Исправил" and kept.edited_at is not None and kept.edited_at > kept.published_at

    def test_a_page_token_that_died_starts_the_list_again(self) -> None:
        world = self.make_world(2, pages=1, posts=1, comments=260, depth=1)
        page = next(iter(world.pages))
        plan = "commentThreads.list:error=invalidPageToken@2"
        with self.emulate(world, faults=plan) as emulator, self.open(emulator, page) as (c, ref):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            self.same(shelf, world, page)

    @pytest.mark.parametrize(
        ("reason", "outcome"),
        [("keyInvalid", "unauthorised"), ("accessNotConfigured", "unauthorised"), ("forbidden", "blocked"),
         ("authError", "unauthorised"), ("processingFailure", "failed"), ("backendError", "failed"),
         ("rateLimitExceeded", "rate_limited"), ("badRequest", "failed")],
    )  # fmt: skip
    def test_reasons(self, reason: str, outcome: str) -> None:
        world = self.make_world(2, pages=1, posts=2, comments=20)
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages)), retries=1) as (c, ref):
            emulator.plan = type(emulator.plan).parse(f"commentThreads.list:error={reason}")
            run = collect(c, ref, Shelf())
            assert {str(e.outcome) for e in run.errors} == {outcome} and not run.complete

    # --- the channel's owner -----------------------------------------------------------------------------------------

    def owner(self, emulator: Emulator) -> dict[str, Any]:
        keys = ", ".join(f'{k}: "{v}"' for k, v in OAUTH.items())
        return {"oauth": f'{{{keys}, token_url: "{emulator.url}oauth2/token"}}'}

    def test_held_comments_are_seen_with_the_owners_right_only(self) -> None:
        world = self.make_world(2, pages=1, posts=1, comments=0)
        post = next(world.posts())
        page = next(iter(world.pages))
        open_, held = world.add_comment(post, "Спасибо", 5012), world.add_comment(post, "Нет воды третий день!", 5013)
        with self.emulate(world, behaviour=Behaviour(held=frozenset({held.id}))) as emulator:
            shelf = Shelf()
            with self.open(emulator, page) as (c, ref):
                collect(c, ref, shelf)
            assert set(shelf.live) == {world.external_id(open_)}
            both = {world.external_id(open_), world.external_id(held)}
            with self.open(emulator, page, **self.owner(emulator)) as (c, ref):
                for full in (True, False, False):
                    collect(c, ref, shelf, full=full)
                    assert set(shelf.live) == both
                both.add(world.external_id(world.add_comment(post, "И ещё", 5014)))
                collect(c, ref, shelf, full=False)  # whose counter never was what is shown
                assert set(shelf.live) == both

    def test_the_right_of_one_channel_does_not_spoil_another(self) -> None:
        world = self.make_world(2, pages=2, posts=4, comments=40)
        mine, other = world.pages
        with self.emulate(world, behaviour=Behaviour(owner_of=mine)) as emulator:
            with self.open(emulator, other, **self.owner(emulator)) as (c, ref):
                shelf = Shelf()
                assert collect(c, ref, shelf).complete
                self.same(shelf, world, other)
                one = next(x for x in shelf.live.values() if not x.own)
                with pytest.raises(Declined, match="другого канала"):
                    c.reply(Answer(ref, one.post_id, one.external_id, one.author, "Ответ", ref, "otklik-1"))
            assert not emulator.calls["comments.insert"]

    def test_a_video_made_private_leaves_the_others(self) -> None:
        world = self.make_world(2, pages=1, posts=3, comments=60)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):
            shelf = Shelf()
            posts = collect(c, ref, shelf).posts
            first = next(p for p in world.posts() if world.external_id(p) == posts[0].id)
            emulator.face.behaviour = Behaviour(private=frozenset({first.id}))
            found = {p.id: p for p in c.refresh(ref, posts)}
            assert [p.id for p in found.values() if p.denied] == [posts[0].id] and not found[posts[0].id].gone
            run = collect(c, ref, shelf)
            assert len(run.walks) == 2 and not run.errors and not shelf.deleted

    def test_an_answer_costs_fifty_units_and_one_to_look(self) -> None:
        world = self.reply_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):
            one = self.one_of_each(world, self.collected(c, ref))[0]
            assert c.manners.quota is not None
            c.owned()  # asked once a run, a unit
            emulator.face.spent, spent = 0, c.manners.quota.used()
            c.reply(self.to(ref, one))
            assert c.manners.quota.used() - spent == emulator.face.spent == 51

    def test_without_the_owners_right_a_person_must_answer(self) -> None:
        world = self.make_world(2, pages=1, comments=20)
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages))) as (c, ref):
            assert "docs/ru/youtube-token.md" in (c.no_replies() or "")
            with pytest.raises(Declined):
                c.reply(Answer(ref, "v", "c", Author(), "Ответ", ref, "otklik-1"))

    def test_the_desk_is_told_whether_answers_can_be_published(self) -> None:
        world = self.make_world(2, pages=1, comments=0)
        with self.emulate(world) as emulator:
            for right, able in (({}, False), (self.owner(emulator), True)):
                settings = self.configure(emulator.url, "@otklik_page1", **right)
                with Outlet(settings, lambda name, s=settings: make(s, name)) as outlet:
                    assert (outlet.closed("youtube") is None) is able

    def test_a_right_that_was_taken_back(self) -> None:
        world = self.make_world(2, pages=1, comments=20)
        with self.emulate(world) as emulator:
            right = self.owner(emulator)
            right["oauth"] = right["oauth"].replace(OAUTH["refresh_token"], "another-refresh-token")
            with self.open(emulator, next(iter(world.pages)), **right) as (c, ref):
                (line,) = [x for x in c.check([ref]) if "OAuth" in x.name]
                assert line.ok is False and "docs/ru/youtube-token.md" in line.advice
                assert "another-refresh-token" not in f"{line}"

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        if "budget_" in network:
            network["budget"] = network.pop("budget_")
        return super().configure(url, page, **network)

    # --- judged from outside -----------------------------------------------------------------------------------------

    def test_every_request_and_answer_obeys_the_discovery_document(self) -> None:
        judge = DiscoveryJudge()
        world = self.make_world(8, pages=1, posts=12, comments=300, depth=4)
        page = next(iter(world.pages))
        problems: list[str] = []
        with self.emulate(world) as emulator:
            emulator.face.watch = lambda call, answer: problems.extend(judge.check(call, answer))
            with self.open(emulator, page, **self.owner(emulator)) as (c, ref):
                shelf = Shelf()
                posts = collect(c, ref, shelf).posts
                list(c.refresh(ref, posts))
                collect(c, ref, shelf, full=False)
                list(c.check([ref]))
                one = next(x for x in shelf.live.values() if not x.own)
                c.reply(Answer(ref, one.post_id, one.external_id, one.author, "Ответ", ref, "otklik-1"))
            assert {"channels", "playlistItems", "videos", "commentThreads", "comments"} <= judge.seen
        assert set(problems) == set()

    def test_googles_own_client_works_against_the_emulator(self) -> None:
        discovery = pytest.importorskip("googleapiclient.discovery")
        world = self.make_world(3, pages=1, posts=2, comments=120)
        page = world.pages["-100001"]
        with self.emulate(world) as emulator:
            client = discovery.build(
                "youtube", "v3", developerKey=KEY, client_options={"api_endpoint": emulator.root}, cache_discovery=False
            )
            channel = client.channels().list(part="contentDetails", forHandle="@otklik_page1").execute()["items"][0]
            assert channel["id"] == named(world, page.id)
            uploads = channel["contentDetails"]["relatedPlaylists"]["uploads"]
            videos = client.playlistItems().list(part="contentDetails", playlistId=uploads).execute()["items"]
            found: set[str] = set()
            for video in videos:
                asked = client.commentThreads().list(
                    part="snippet", videoId=video["contentDetails"]["videoId"], maxResults=20
                )
                while asked is not None:
                    answer = asked.execute()
                    found |= {t["id"] for t in answer["items"]}
                    asked = client.commentThreads().list_next(asked, answer)
            expected = {i for i, e in truth(world, page.id).items() if e["parent"] is None}
            assert found == expected and len(found) > 20
            with pytest.raises(Exception, match="videoNotFound"):
                client.commentThreads().list(part="snippet", videoId="nothing").execute()
            client.close()
