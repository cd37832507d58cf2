"""RuTube holds the contract whichever way its unofficial addresses answer, and what is its alone."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

import collectors
from emulator import World, generate
from emulator.rutube import Behaviour
from settings import ConfigError, Settings, parse
from tests.collectors.contract_suite import CollectorContract, Shelf, collect, truth


class TestRutube(CollectorContract):
    network = "rutube"
    token = "no-token-at-all"
    behaviours: ClassVar = {
        "default": Behaviour(),
        "counter at the video, tops only": Behaviour(counter="video", counter_replies=False),
        "oldest first, counter in the list": Behaviour(newest_first=False, size=7, counter="list"),
    }
    kinds = ("person", "hidden", "deleted")
    methods = ("profile.user", "video.person", "video", "comments.video")

    def make_world(self, seed: int, **shape: Any) -> World:
        usual = {"pages": 2, "posts": 8, "comments": 300, "people": 24, "network": "rutube"}
        return generate(seed, **(usual | shape | {"kinds": ("video",)}))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        more = "".join(f", {k}: {v}" for k, v in network.items())
        return parse(
            f'networks: {{rutube: {{agreed: true, api: "{url}"{more}}}}}\npages: [{{network: rutube, id: "{page}"}}]'
        )

    def threaded(self, world: World) -> tuple[str, int]:
        return next(iter(next(iter(world.pages.values())).posts))

    # --- channels ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "given",
        ["100001", "https://rutube.ru/channel/100001/", "rutube.ru/channel/100001/videos/",
         "https://rutube.ru/video/person/100001/"],
    )  # fmt: skip
    def test_ways_to_name_a_channel(self, given: str) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator, self.open(emulator, given) as (_, ref):
            assert (ref.id, ref.title) == ("100001", "Администрация, страница 1")

    @pytest.mark.parametrize("given", ["https://vk.com/club1", "https://rutube.ru/u/akhty/", "имя"])
    def test_what_is_no_channel(self, given: str) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator:
            with pytest.raises(ConfigError, match="RuTube"), self.open(emulator, given):
                pass
            assert not emulator.calls

    def test_it_is_off_until_the_operator_agrees(self) -> None:
        settings = parse('networks: {rutube: {}}\npages: [{network: rutube, id: "1"}]')
        with pytest.raises(ConfigError, match="agreed: true") as e:
            collectors.make(settings, "rutube")
        assert "docs/ru/rutube.md" in str(e.value)
        settings = parse(
            'networks: {rutube: {agreed: true, fields: {tme: ["at"]}}}\npages: [{network: rutube, id: "1"}]'
        )
        with pytest.raises(ConfigError, match="tme"):
            collectors.make(settings, "rutube")

    # --- what nobody promised ----------------------------------------------------------------------------------------

    def test_comments_without_a_time_an_author_and_a_counter_are_kept(self) -> None:
        world = self.make_world(2, pages=1, posts=3, comments=120)
        page = next(iter(world.pages))
        behaviour = Behaviour(time=False, author=False, counter="none")
        with self.emulate(world, behaviour=behaviour) as emulator, self.open(emulator, page) as (c, ref):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            expected = truth(world, page)
            assert set(shelf.live) == set(expected)
            for i, one in shelf.live.items():
                assert (one.published_at, one.author.kind) == (None, "unknown") and one.text == expected[i]["text"]
            world.delete(next(x for x in world.comments() if not x.deleted and not x.children))
            collect(c, ref, shelf)
            assert collect(c, ref, shelf).complete
            assert set(shelf.live) == set(truth(world, page))

    def test_names_of_fields_are_a_matter_of_configuration(self) -> None:
        world = self.make_world(2, pages=1, posts=2, comments=30)
        page = next(iter(world.pages))
        fields = "{time: [written_at], author: [who], replies: [answers]}"
        with self.emulate(world) as emulator, self.open(emulator, page, fields=fields) as (c, ref):
            show = emulator.face._comment

            def renamed(one: Any, seen: Any) -> Any:
                names = {"created_ts": "written_at", "user": "who", "replies_number": "answers"}
                return {names.get(k, k): v for k, v in show(one, seen).items()}

            emulator.face._comment = renamed  # type: ignore[method-assign]
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            self.same(shelf, world, page)

    @pytest.mark.parametrize("plan", ["html", "error=403", "error=401"])
    def test_a_page_for_robots_is_blocked_and_never_empty(self, plan: str) -> None:
        world = self.make_world(2, pages=1, posts=2, comments=30)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, retries=1) as (c, ref):
            shelf = Shelf()
            collect(c, ref, shelf)
            for where in ("comments.video", "video.person"):
                emulator.plan = type(emulator.plan).parse(f"{where}:{plan}")
                run = collect(c, ref, shelf)
                assert {str(e.outcome) for e in run.errors} == {"blocked"} and not run.complete
            emulator.plan = type(emulator.plan)()
            assert collect(c, ref, shelf).complete
            self.same(shelf, world, page)

    def test_it_asks_once_a_second(self) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator:
            collector = collectors.make(self.configure(emulator.url, "100001"), "rutube")
            assert collector.manners.interval == 1.0
            collector.close()
