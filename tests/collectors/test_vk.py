"""The VK collector holds the contract, and what is VK's alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

import collectors
import settings as config
from collectors.contract import CollectError, Unauthorised, Walk
from collectors.vk import VkCollector
from emulator import GROUP_TOKEN, SERVICE_TOKEN, USER_TOKEN, Behaviour, Emulator, Shaker, World, generate
from settings import ConfigError, Settings
from store.values import Outcome, PageRef
from tests.collectors.contract_suite import CollectorContract, Shelf, assert_same, collect, truth
from tests.collectors.reply_suite import ReplyContract
from tests.emulator.schema_judge import SchemaJudge

KINDS = ("post", "photo", "video", "topic")
KIND_OF = {"wall": "post", "photo": "photo", "video": "video", "topic": "topic"}


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parents[3] / "shared"))
    if not (folder / "specs" / "vk").is_dir():
        pytest.skip("the official VK schema is not at hand (OTKLIK_SHARED)")
    return folder


def configure(url: str, page: str, token: str = USER_TOKEN, include: str = "", **network: Any) -> Settings:
    more = "".join(f", {k}: {v}" for k, v in network.items())
    kinds = f", include: [{include}]" if include else ""
    return config.parse(
        f'networks: {{vk: {{token: "{token}", api: "{url}"{more}}}}}\npages: [{{network: vk, id: "{page}"{kinds}}}]'
    )


class TestVk(ReplyContract, CollectorContract):
    network = "vk"
    token = USER_TOKEN
    light = False
    behaviours: ClassVar = {
        "default": Behaviour(),
        "replies not counted": Behaviour(counter_replies=False),
        "stubs not counted": Behaviour(counter_stubs=False, stub_author="absent", hidden_author="zero"),
        "deep threads": Behaviour(thread_depth=9, stub_author="kept", hidden_author="flag"),
        "small pages": Behaviour(wall_max=20, thread_stubs=False),
    }
    methods = ("groups.getById", "wall.get", "wall.getById", "execute", "wall.getComments")
    writing = ("wall.createComment", "photos.createComment", "video.createComment", "board.createComment")

    def make_world(self, seed: int, **shape: Any) -> World:
        return generate(seed, **({"pages": 2, "posts": 8, "comments": 300, "kinds": KINDS} | shape))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        return configure(url, page, self.token, **network)

    @contextmanager
    def page_of(self, world: World, **options: Any) -> Iterator[tuple[VkCollector, PageRef, Emulator]]:
        with self.emulate(world, **options) as emulator, self.open(emulator, next(iter(world.pages))) as (c, ref):
            yield c, ref, emulator

    # --- answers -----------------------------------------------------------------------------------------------------

    def test_answers_obey_the_official_schema(self, shared: Path) -> None:
        judge = SchemaJudge(shared)
        problems: list[str] = []

        def observe(method: str, params: dict[str, str], kind: str, answer: dict[str, Any]) -> None:
            problems.extend(judge.check(method, params, kind, json.loads(json.dumps(answer))))

        with self.page_of(world := self.reply_world(), observer=observe) as (c, ref, emulator):
            for n, one in enumerate(self.one_of_each(world, self.collected(c, ref))):
                answer = self.to(ref, one, f"otklik-{n}")
                c.reply(answer)
                c.find_reply(answer, self.soon())
            for post in world.posts():
                post.closed = True
            self.refused(c, self.to(ref, one, "otklik-closed"))
            assert {m for m in self.writing if emulator.calls[m]} == set(self.writing)
        assert problems == []

    def test_a_forgotten_guid_is_found_before_it_is_used_again(self) -> None:
        """How long VK remembers a guid is nowhere said: whoever tries again looks first."""
        world = self.reply_world()
        with self.page_of(world, behaviour=Behaviour(guid_seconds=0)) as (c, ref, _):
            for n, one in enumerate(self.one_of_each(world, self.collected(c, ref))):
                answer = self.to(ref, one, f"otklik-{n}")
                made, found = c.reply(answer), c.find_reply(answer, self.soon())
                assert found is not None and found.external_id == made.external_id
                assert c.reply(answer) != made

    @pytest.mark.parametrize("depth", [2, 5])
    def test_an_answer_deep_in_a_long_argument_is_found(self, depth: int) -> None:
        world = self.make_world(4, pages=1, posts=2, comments=10)
        post = next(iter(world.pages.values())).posts[self.threaded(world)]
        last = None
        for n in range(60):
            last = world.add_comment(post, f"Ответ {n}", 101, parent=last)
        assert last is not None
        with self.page_of(world, behaviour=Behaviour(thread_depth=depth)) as (c, ref, _):
            asked = self.collected(c, ref)[world.external_id(last)]
            made = c.reply(self.to(ref, asked))
            for n in range(30):
                world.add_comment(post, f"И ещё {n}", 102, parent=last)
            found = c.find_reply(self.to(ref, asked), self.soon())
            assert found is not None and found.external_id == made.external_id
            world.delete(last)
            assert c.find_reply(self.to(ref, asked), self.soon()) == found

    def test_a_community_answers_on_somebody_elses_wall(self) -> None:
        world = self.make_world(6, pages=2, posts=6, comments=80, kinds=("post", "photo"))
        mine, other = world.pages
        with self.emulate(world) as emulator, self.open(emulator, mine) as (_, ref):
            with self.open(emulator, other) as (d, there):
                asked = self.one_of_each(world, self.collected(d, there))
                for n, one in enumerate(asked):
                    answer = replace(self.to(there, one, f"otklik-{n}"), speaker=ref)
                    if one.post_id.startswith("photo"):
                        self.refused(d, answer)  # VK has no way to say in whose name
                        continue
                    made = d.reply(answer)
                    found = d.find_reply(answer, self.soon())
                    assert found is not None and found.external_id == made.external_id
        assert {e["author"] for e in self.written(world)} == {int(mine)}

    def test_a_person_answers_only_as_the_owner_of_the_token(self) -> None:
        for owner, may in ((77, True), (78, False)):
            world = World("vk")
            page = world.add_page("77", "Глава", "glava")
            world.add_author(77, "Глава района", screen_name="glava")
            asked = world.add_comment(world.add_post(page, "Добрый день"), "Когда дорога?", world.add_author(5).id)
            with (
                self.emulate(world, behaviour=Behaviour(token_owner=owner)) as emulator,
                self.open(emulator, "id77") as (c, ref),
            ):
                answer = self.to(ref, self.collected(c, ref)[world.external_id(asked)])
                if may:
                    c.reply(answer)
                else:
                    self.refused(c, answer)
            assert len(self.written(world)) == may

    def test_a_community_key_may_answer_but_not_look(self) -> None:
        world = self.reply_world()
        with self.page_of(world) as (c, ref, emulator):
            asked = [o for o in self.one_of_each(world, self.collected(c, ref)) if o.post_id.startswith("wall")]
            settings = configure(emulator.url, ref.id, GROUP_TOKEN, requests_per_second=10000)
            d = collectors.make(settings, "vk")
            answer = self.to(ref, asked[0])
            assert d.reply(answer) == c.reply(answer)
            with pytest.raises(Unauthorised):
                d.find_reply(answer, self.soon())
            d.close()

    @pytest.mark.parametrize("name", ["Мария | К.", "[id1|Я]", "", None, "\x1b[31mИмя\n"])
    def test_a_name_in_a_discussion_breaks_nothing(self, name: str | None) -> None:
        world = self.reply_world()
        with self.page_of(world) as (c, ref, _):
            one = next(o for o in self.one_of_each(world, self.collected(c, ref)) if o.post_id.startswith("topic"))
            answer = replace(self.to(ref, one), author=replace(one.author, name=name))
            made = c.reply(answer)
            assert self.collected(c, ref)[made.external_id].parent_id == one.external_id
            found = c.find_reply(answer, self.soon())
            assert found is not None and found.external_id == made.external_id

    # --- pages -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "given",
        [
            "-100001",
            "100001",
            " -100001 ",
            "club100001",
            "public100001",
            "event100001",
            "Club100001",
            "otklik_page1",
            "@otklik_page1",
            "https://vk.com/otklik_page1",
            "https://vk.ru/otklik_page1/",
            "http://m.vk.com/otklik_page1?from=groups",
            "https://www.vk.com/club100001",
            "vk.com/public100001",
            "m.vk.com/otklik_page1",
            "//vk.com/otklik_page1",
            "https://vk.com/club100001?w=wall-100001_5",
            "https://vk.com/wall-100001_5",
            "https://vk.com/wall-100001",
            "https://vk.com/board100001",
            "https://vk.com/albums-100001",
            "https://vk.com/feed?w=wall-100001_5",
        ],
    )
    def test_ways_to_name_a_page(self, given: str) -> None:
        world = self.make_world(1, comments=10)
        with self.emulate(world) as emulator, self.open(emulator, given) as (_, ref):
            assert ref.id == "-100001"
            assert ref.title == "Администрация, страница 1"
            assert ref.url == "https://vk.com/otklik_page1"

    def test_a_person_has_a_page_too(self) -> None:
        world = World("vk")
        page = world.add_page("77", "Глава", "glava")
        world.add_author(77, "Глава района", screen_name="glava")
        world.add_author(5, "Анна К.")
        own = world.add_post(page, "Добрый день")
        strange = world.add_post(page, "Помогите с дорогой", author=5)
        world.add_comment(own, "Спасибо", 5)
        world.add_comment(strange, "Разберёмся", 77)
        for given in ("id77", "https://vk.com/id77", "glava"):
            with self.emulate(world) as emulator, self.open(emulator, given) as (c, ref):
                assert ref.id == "77"
                shelf = Shelf()
                run = collect(c, ref, shelf)
                assert run.complete, (run.errors, run.posts)
                assert_same(shelf, world, "77")
                assert shelf.live[f"wall77_{strange.id}"].parent_id is None
                assert not any(p.kind == "topic" for p in run.posts)

    @pytest.mark.parametrize(
        "given", ["https://example.org/club1", "два слова", "a", "https://ok.ru/group/1", "club1<script>", "имя"]
    )
    def test_what_is_no_vk_page(self, given: str) -> None:
        world = self.make_world(1, comments=10)
        with self.emulate(world) as emulator:
            with pytest.raises(ConfigError) as e, self.open(emulator, f"{given}"):
                pass
            assert "ВКонтакте" in str(e.value)
            assert not emulator.calls

    @pytest.mark.parametrize("unknown", ["error", "empty"])
    @pytest.mark.parametrize("given", ["nobody_has_it", "-999999", "id999999"])
    def test_a_page_that_is_not_there(self, given: str, unknown: str) -> None:
        world = self.make_world(1, comments=10)
        with self.emulate(world, behaviour=Behaviour(unknown_name=unknown)) as emulator:
            with pytest.raises(CollectError) as e, self.open(emulator, given):
                pass
            assert given in str(e.value)

    @pytest.mark.parametrize("code", [7, 15, 18, 19, 30, 37, 203])
    def test_a_closed_page_is_blocked_and_the_next_one_runs(self, code: int) -> None:
        world = self.make_world(2, comments=60)
        closed, other = world.pages.values()
        closed.errors["page"] = code
        with self.emulate(world) as emulator:
            settings = self.configure(emulator.url, closed.id, requests_per_second=10000)
            collector = collectors.make(settings, "vk")
            ref = PageRef("vk", closed.id)
            shelf = Shelf()
            run = collect(collector, ref, shelf)
            assert [e.outcome for e in run.errors] == [Outcome.blocked]
            assert run.errors[0].code == str(code) and not run.yielded
            assert collect(collector, PageRef("vk", other.id), shelf).complete
            assert_same(shelf, world, other.id)
            collector.close()

    # --- posts -------------------------------------------------------------------------------------------------------

    def test_pinned_reposts_and_wordless_posts(self) -> None:
        world = self.make_world(3, pages=1, posts=27, comments=100, kinds=("post",))
        page = next(iter(world.pages.values()))
        truth_of = {world.external_id(p): p for p in world.posts()}
        with self.page_of(world) as (c, ref, _):
            posts = {p.id: p for p in c.posts(ref, None)}
            assert set(posts) == set(truth_of)
            oldest = min(p.published_at for p in page.posts.values())
            pinned = [p for p in posts.values() if p.pinned]
            assert len(pinned) == 1 and pinned[0].published_at.timestamp() < oldest + 1
            assert any(not p.text for p in posts.values())
            assert any("Новость соседей" in p.text for p in posts.values())
            assert any(p.closed for p in posts.values())
            for i, p in posts.items():
                assert p.counter is not None and p.url == f"https://vk.com/{i}"

    def test_a_pinned_old_post_does_not_end_the_listing(self) -> None:
        world = self.make_world(3, pages=1, posts=300, comments=10, kinds=("post",), days=300)
        with self.page_of(world) as (c, ref, emulator):
            since = datetime.fromtimestamp(world.now() - 60 * 86400, UTC)
            posts = list(c.posts(replace(ref, include=("posts",)), since))
            recent = [p for p in world.posts() if p.published_at >= since.timestamp()]
            assert {world.external_id(p) for p in recent} <= {p.id for p in posts}
            assert emulator.calls["wall.get"] == 1

    @pytest.mark.parametrize("include", [(k,) for k in ("posts", "photos", "videos", "topics")])
    def test_kinds_are_switchable(self, include: tuple[str, ...]) -> None:
        world = self.make_world(4, pages=1, posts=12, comments=120)
        with self.page_of(world) as (c, ref, emulator):
            ref = replace(ref, include=include)
            shelf = Shelf()
            run = collect(c, ref, shelf)
            assert run.complete
            kind = include[0][:-1]
            assert {p.kind for p in run.posts} == {kind}
            wanted = {i for i, e in truth(world, ref.id).items() if KIND_OF[e["post"].rstrip("0123456789_-")] == kind}
            assert set(shelf.live) == wanted and wanted
            allowed = {"posts": "wall", "photos": "photos", "videos": "video", "topics": "board"}[include[0]]
            assert {m.partition(".")[0] for m in emulator.calls} <= {allowed, "groups", "execute"}

    def test_a_residents_post_is_a_message(self) -> None:
        world = World("vk")
        page = world.add_page("-9", "Администрация", "adm")
        world.add_author(5, "Анна К.")
        silent = world.add_post(page, "На Мира, 5 нет воды третий день", author=5)
        talked = world.add_post(page, "Яма у школы", author=5)
        answer = world.add_comment(talked, "Передали", -9)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            run = collect(c, ref, shelf)
            assert run.complete
            assert {p.id: p.counter for p in run.posts} == {
                f"wall-9_{silent.id}": 1,
                f"wall-9_{talked.id}": 2,
            }
            assert set(shelf.live) == {f"wall-9_{x.id}" for x in (silent, talked, answer)}
            first = shelf.live[f"wall-9_{silent.id}"]
            assert (first.text, first.author.name, first.own, first.post_id) == (
                silent.text,
                "Анна К.",
                False,
                first.external_id,
            )
            silent.text = "На Мира, 5 нет воды четвёртый день"
            assert collect(c, ref, shelf).complete
            assert shelf.live[first.external_id].text == silent.text
        with self.page_of(world) as (c, ref, _):  # a fresh process knows nothing of the post's author
            post = replace(run.posts[0], counter=None)
            got = [x for b in c.comments(ref, post, Walk(full=True)) for x in b.comments]
            assert post.id in {x.external_id for x in got}

    def test_a_wall_that_shows_nothing_is_blocked(self) -> None:
        world = self.make_world(3, pages=1, comments=30)
        with self.page_of(world, faults="wall.get:hollow") as (c, ref, _):
            run = collect(c, ref, Shelf())
            assert [e.outcome for e in run.errors] == [Outcome.blocked]
            assert {p.kind for p in run.posts} == {"photo", "video", "topic"}  # the rest went on

    def test_a_counter_that_counts_more_than_is_shown_is_a_gap(self) -> None:
        world = self.make_world(9, pages=1, posts=3, comments=60, kinds=("post",))
        with self.page_of(world, faults="wall.get*:counter=7") as (c, ref, _):
            run = collect(c, ref, Shelf())
            for post, walk in run.walks.items():
                assert walk.complete and run.gaps[post] == 7, post
            assert not run.complete

    def test_a_post_that_only_its_counter_knows_is_blocked(self) -> None:
        """The list says 0 and shows 0, the post's own counter says otherwise, twice."""
        world = World("vk")
        page = world.add_page("-9", "Администрация", "adm")
        world.add_post(page, "Новость")
        with self.page_of(world, faults="wall.get:counter=4; wall.getById:counter=4") as (c, ref, emulator):
            run = collect(c, ref, Shelf())
            (walk,) = run.walks.values()
            assert not walk.complete and walk.outcome is Outcome.blocked and "4" in (walk.problem or "")
            assert emulator.calls["wall.getComments"] == 2  # it was looked at again before anything was said
        with self.page_of(world, faults="wall.get:counter=4") as (c, ref, _):
            run = collect(c, ref, Shelf())  # asked again, the counter agrees: nothing is wrong
            (walk,) = run.walks.values()
            assert walk.complete and walk.exhaustive

    # --- counters first ----------------------------------------------------------------------------------------------

    def test_counters_of_many_posts_cost_one_request(self) -> None:
        world = self.make_world(5, pages=1, posts=260, comments=300, kinds=("post",))
        with self.page_of(world) as (c, ref, emulator):
            posts = list(c.posts(ref, None))
            emulator.calls.clear()
            emulator.forget_calls()
            fresh = list(c.refresh(ref, posts))
            assert [p.id for p in fresh] == [p.id for p in posts]
            assert [p.counter for p in fresh] == [p.counter for p in posts]
            assert dict(emulator.calls) == {"execute": 1}
            assert emulator.inner_calls["wall.getById"] == 3

    @pytest.mark.parametrize(
        "plan",
        [
            "execute:error=13",
            "execute:error=12",
            "execute:error=28",
            "execute:error=3",
            "execute:error=10",
            "execute:error=100",
            "execute:null",
            "wall.getById:error=10@2",
            "wall.getById:error=6*2",
            "wall.getById:null@1",
            "wall.getById:hollow@2",
            "wall.getById:hollow@1-2",
        ],
    )
    def test_counters_when_execute_fails(self, plan: str) -> None:
        world = self.make_world(5, pages=1, posts=210, comments=200, kinds=("post",))
        with self.page_of(world, faults=plan) as (c, ref, _):
            posts = list(c.posts(ref, None))
            assert {p.id: p.counter for p in c.refresh(ref, posts)} == {p.id: p.counter for p in posts}

    def test_posts_are_not_gone_because_an_answer_is_empty(self) -> None:
        world = self.make_world(5, pages=1, posts=30, comments=60, kinds=("post",))
        with self.page_of(world, faults="wall.getById:hollow") as (c, ref, _):
            posts = list(c.posts(ref, None))
            fresh = list(c.refresh(ref, posts))
            assert len(fresh) == len(posts)
            assert not any(p.gone for p in fresh)
            assert all(p.counter is None for p in fresh)

    def test_a_wall_closed_since_does_not_look_deleted(self) -> None:
        world = self.make_world(5, pages=1, posts=30, comments=60, kinds=("post",))
        with self.page_of(world) as (c, ref, _):
            posts = list(c.posts(ref, None))
            next(iter(world.pages.values())).errors["post"] = 30
            fresh = list(c.refresh(ref, posts))
            assert fresh and not any(p.gone for p in fresh)
            assert all(p.denied and "30" in (p.problem or "") for p in fresh)

    @pytest.mark.parametrize("full", [True, False])
    def test_many_posts_are_read_in_few_requests(self, full: bool) -> None:
        world = self.make_world(5, pages=1, posts=48, comments=600)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            posts = collect(c, ref, shelf).posts
            assert_same(shelf, world, ref.id)
            shaker = Shaker(1)
            for _ in range(30):
                shaker.shake(world)
            before = c.manners.calls
            for start in range(0, len(posts), 25):
                chunk = posts[start : start + 25]
                c.prefetch(ref, [(p, full) for p in chunk])
                for p in chunk:
                    walk = Walk(full=full, known=shelf.known(p), cursor=shelf.cursors.get(p.id))
                    seen = set()
                    for b in c.comments(ref, p, walk):
                        for x in b.comments:
                            seen.add(x.external_id)
                            shelf.kept[x.external_id] = x
                            shelf.deleted.discard(x.external_id)
                    assert walk.complete
                    if walk.exhaustive:
                        shelf.deleted |= {i for i in walk.known if i not in seen}
            assert c.manners.calls - before < len(posts)
            if full:
                assert_same(shelf, world, ref.id)

    def test_reading_ahead_may_fail(self) -> None:
        world = self.make_world(5, pages=1, posts=12, comments=200)
        for plan in ("execute:error=10", "wall.getComments:error=15@1", "video.getComments:null@1", "execute:error=13"):
            with self.page_of(world, faults=plan) as (c, ref, _):
                posts = list(c.posts(ref, None))
                c.prefetch(ref, [(p, True) for p in posts])
                got = [x.external_id for p in posts for b in c.comments(ref, p, Walk(full=True)) for x in b.comments]
                assert len(got) == len(set(got))
                assert set(truth(world, ref.id)) <= set(got)

    # --- tokens ------------------------------------------------------------------------------------------------------

    def test_a_service_token_reads_what_it_may(self) -> None:
        world = self.make_world(6, pages=1, posts=12, comments=200)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator:
            settings = configure(emulator.url, page, SERVICE_TOKEN, requests_per_second=10000)
            c = collectors.make(settings, "vk")
            ref = c.resolve(settings.pages[0])
            shelf = Shelf()
            run = collect(c, ref, shelf)
            denied = {p.kind: p.problem for p in run.posts if p.denied}
            assert set(denied) == {"photo", "video"} and not run.errors
            assert "токен пользователя" in denied["photo"] and "include" in denied["video"]
            readable = {i: e for i, e in truth(world, page).items() if e["post"].startswith(("wall", "topic"))}
            assert set(shelf.live) == set(readable)
            posts = [p for p in run.posts if not p.denied]
            assert [p.counter for p in c.refresh(ref, posts)] == [p.counter for p in posts]
            assert set(emulator.calls).isdisjoint({"execute"}) or emulator.calls["execute"] == 1
            checks = list(c.check([ref]))
            assert checks[0].ok and "сервисный" in checks[0].detail
            c.close()

    def test_a_community_token_is_told_what_it_lacks(self) -> None:
        world = self.make_world(6, pages=1, comments=20)
        with self.emulate(world) as emulator:
            c = collectors.make(configure(emulator.url, "-100001", GROUP_TOKEN, requests_per_second=10000), "vk")
            with pytest.raises(Unauthorised) as e:
                list(c.posts(PageRef("vk", "-100001", include=("posts",)), None))
            assert "токен пользователя" in str(e.value) and e.value.code == "27"
            checks = list(c.check([]))
            assert checks[0].ok is False and "сообщества" in checks[0].detail
            c.close()

    def test_a_bad_token(self) -> None:
        world = self.make_world(6, pages=1, comments=20)
        with self.emulate(world, behaviour=Behaviour(echo_token=True)) as emulator:
            c = collectors.make(configure(emulator.url, "-100001", "canary-token-000", requests_per_second=9999), "vk")
            with pytest.raises(Unauthorised) as e:
                c.server_time()
            assert e.value.code == "5" and "canary" not in f"{e.value} {e.value!r}"
            assert [x.ok for x in c.check([])] == [False]
            c.close()

    def test_a_captcha_ends_the_page_with_advice(self) -> None:
        world = self.make_world(6, pages=1, posts=12, comments=90)
        with self.page_of(world, faults="wall.getComments:error=14") as (c, ref, emulator):
            run = collect(c, ref, Shelf())
            assert len(run.errors) == 1
            e = run.errors[0]
            assert e.outcome is Outcome.blocked and e.page_wide and e.code == "14" and "капч" in str(e)
            assert emulator.calls["wall.getComments"] == 1

    @pytest.mark.parametrize("code", [212, 15, 7, 210])
    def test_one_unreadable_post_leaves_the_others(self, code: int) -> None:
        world = self.make_world(7, pages=1, posts=12, comments=150)
        with self.page_of(world, faults=f"wall.getComments:error={code}@1") as (c, ref, _):
            shelf = Shelf()
            run = collect(c, ref, shelf)
            assert [(e.outcome, e.code) for e in run.errors] == [(Outcome.blocked, str(code))]
            assert len([w for w in run.walks.values() if w.complete]) == len(run.posts) - 1

    def test_comments_closed_to_us(self) -> None:
        world = self.make_world(7, pages=1, posts=12, comments=150)
        hidden = next(p for p in world.posts() if p.kind == "post" and p.comments)
        hidden.unreadable = True
        with self.page_of(world) as (c, ref, _):
            run = collect(c, ref, Shelf())
            assert [e.code for e in run.errors] == ["212"]

    # --- odd worlds --------------------------------------------------------------------------------------------------

    def test_very_deep_and_very_long_threads(self) -> None:
        world = World("vk")
        page = world.add_page("-9", "Администрация", "adm")
        for n in range(1, 6):
            world.add_author(n, f"Житель {n}")
        post = world.add_post(page, "Новость")
        above = None
        for n in range(30):
            above = world.add_comment(post, f"глубже {n}", 1 + n % 5, parent=above)
        broad = world.add_comment(post, "а тут широко", 1)
        for n in range(250):
            world.add_comment(post, f"ответ {n}", 2, parent=broad)
        for behaviour in (Behaviour(), Behaviour(thread_depth=4), Behaviour(thread_depth=40, wall_max=15)):
            with self.page_of(world, behaviour=behaviour) as (c, ref, _):
                shelf = Shelf()
                assert collect(c, ref, shelf).complete
                assert_same(shelf, world, "-9")

    def test_texts_that_break_things(self) -> None:
        world = World("vk")
        page = world.add_page("-9", "Администрация", "adm")
        world.add_author(1, "<b>Анна</b>\x00")
        post = world.add_post(page, "Новость")
        world.add_comment(post, "нуль\x00байт \x1b[31mкрасный\x1b[0m\r\nстрока\tтаб \U0001f525", 1)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            (got,) = shelf.live.values()
            assert got.text == "нульбайт [31mкрасный[0m\r\nстрока\tтаб \U0001f525"
            assert got.author.name == "<b>Анна</b>"

    # --- the official schema -----------------------------------------------------------------------------------------

    def test_every_request_obeys_the_official_schema(self, shared: Path) -> None:
        judge = SchemaJudge(shared)
        problems: list[str] = []

        def watch(method: str, params: dict[str, str], kind: str, answer: dict[str, Any]) -> None:
            problems.extend(judge.check(method, params, kind, answer))

        for name, behaviour in self.behaviours.items():
            if behaviour.stub_author == "absent":
                continue  # the schema wants `from_id` everywhere; that a stub may lack it is our own caution
            world = self.make_world(8, pages=1, posts=12, comments=500, depth=4)
            with self.page_of(world, behaviour=behaviour, observer=watch) as (c, ref, emulator):
                shelf = Shelf()
                posts = collect(c, ref, shelf).posts
                list(c.refresh(ref, posts))
                world.add_comment(next(p for p in world.posts() if not p.closed), "новое", 1)
                collect(c, ref, shelf, full=False)
                list(c.check([ref]))
                assert sum(emulator.calls.values()) > 10, name
        # A user's token is asked whether it is a community's; that it may not ask is the answer.
        assert {p for p in problems if "getTokenPermissions" not in p} == set()
