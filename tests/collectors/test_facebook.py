"""The Facebook collector holds the contract, and what is Facebook's alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

import collectors
from collectors.contract import RateLimited, Unauthorised
from collectors.facebook import COMMENT, POST, FacebookCollector, page_name
from collectors.graph import used
from collectors.manners import MemoryBudget
from emulator import Emulator, World
from emulator.facebook import PAGE_TOKEN, Behaviour, FacebookFace
from emulator.graph import parse_fields
from settings import ConfigError, parse, scrub
from store.values import PageRef
from tests.collectors.block_suite import BlockContract, HideContract
from tests.collectors.contract_suite import CollectorContract, Shelf, collect, truth
from tests.collectors.program import stores_the_truth
from tests.collectors.reply_suite import ReplyContract
from tests.emulator.graph_specs import meta_spec


class TestFacebook(HideContract, BlockContract, ReplyContract, CollectorContract):
    network = "facebook"
    hiding = "post_node"
    blocking = "post_blocked"
    deed_errors: ClassVar = {"token": 190, "right": 200}
    token = PAGE_TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "replies not counted": Behaviour(counter_replies=False, page_max=30),
        "empty pages, dying cursors": Behaviour(empty_pages=True, dead_cursors=2),
    }
    methods = ("node", "published_posts", "visitor_posts", "batch", "comments")
    writing = ("post_comments",)
    refusing = ("http=500", "http=502", "http=429,1", "error=2", "error=4", "redirect=http://127.0.0.1:9/")
    writing_errors = (190, 10, 200, 100, 368, 4, 2)
    kinds = ("person", "hidden", "deleted")  # whether a page wrote is not told

    def banned(self, emulator: Emulator) -> set[str]:
        return set(emulator.face.banned.get("100001", ()))

    # --- pages -------------------------------------------------------------------------------------------------------

    @contextmanager
    def page_of(self, world: World, **options: Any) -> Iterator[tuple[FacebookCollector, PageRef, Emulator]]:
        with self.emulate(world, **options) as emulator, self.open(emulator, next(iter(world.pages))) as (c, ref):
            yield c, ref, emulator

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("100001", "100001"),
            ("имя", ""),
            ("otklik.page", "otklik.page"),
            ("https://www.facebook.com/otklik.page/", "otklik.page"),
            ("m.facebook.com/otklik.page?ref=x", "otklik.page"),
            ("https://www.facebook.com/profile.php?id=100001", "100001"),
            ("https://www.facebook.com/people/Adm/100001/", "100001"),
            ("https://www.facebook.com/Adm-Akhty-100001", "100001"),
            ("https://example.org/adm", ""),
            ("два слова", ""),
        ],
    )
    def test_ways_to_name_a_page(self, given: str, name: str) -> None:
        if name:
            assert page_name(given) == name
        else:
            with pytest.raises(ConfigError) as e:
                page_name(given)
            assert "Facebook" in str(e.value)

    def test_a_visitors_post_is_a_message(self) -> None:
        world = World("facebook")
        page = world.add_page("9", "Администрация", "adm")
        world.add_author(5, "Анна К.")
        talked = world.add_post(page, "Яма у школы", author=5)
        own = world.add_post(page, "Новость")
        answer = world.add_comment(talked, "Передали", 9)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            run = collect(c, ref, shelf)
            assert run.complete
            assert {p.id: p.counter for p in run.posts} == {world.external_id(talked): 2, world.external_id(own): 0}
            first = shelf.live[world.external_id(talked)]
            assert (first.text, first.author.name, first.own) == ("Яма у школы", "Анна К.", False)
            assert shelf.live[world.external_id(answer)].own

    def test_a_visitor_who_is_not_named_is_heard(self) -> None:
        world = World("facebook")
        page = world.add_page("9", "Администрация", "adm")
        world.add_author(5, "Анна К.", kind="hidden")
        talked = world.add_post(page, "Яма у школы", author=5)
        world.add_comment(talked, "Передали", 9)
        world.add_post(page, "Новость")
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            posts = collect(c, ref, shelf).posts
            first = shelf.live[world.external_id(talked)]
            assert (first.text, first.author.id, first.own) == ("Яма у школы", None, False)
        with self.page_of(world) as (c, ref, _):  # another run, that has not seen the list
            again = {p.id: p.counter for p in c.refresh(ref, posts)}
            assert again == {p.id: p.counter for p in posts} and sorted(again.values()) == [0, 2]
            run = collect(c, ref, shelf, full=False)
            assert run.complete and not shelf.deleted

    def test_the_program_stores_the_truth(self, tmp_path: Path) -> None:
        stores_the_truth(self, self.make_world(2, pages=1, posts=4, comments=60), tmp_path)

    def test_a_list_that_the_token_may_not_read_leaves_the_others(self) -> None:
        world = self.make_world(1, pages=1, posts=3, comments=20)
        with self.page_of(world, faults="visitor_posts:error=10") as (c, ref, _):
            run = collect(c, ref, Shelf())
            denied = [p for p in run.posts if p.denied]
            assert len(run.posts) == 4 and "visitor_posts" in (denied[0].problem or "")
            assert not run.errors and not run.complete
        with self.page_of(world, faults="published_posts:error=10") as (c, ref, _):
            assert [type(e) for e in collect(c, ref, Shelf()).errors] == [Unauthorised]

    # --- errors and limits -------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("token", "words"),
        [("otklik-facebook-old", "срок токена истёк"), ("otklik-facebook-poor", "нет нужного права")],
    )
    def test_a_bad_token_says_what_is_wrong(self, token: str, words: str) -> None:
        world = self.make_world(1, pages=1, posts=1, comments=5)
        with self.emulate(world) as emulator:
            settings = parse(f'networks: {{facebook: {{token: "{token}", api: "{emulator.url}"}}}}')
            c = collectors.make(settings, "facebook")
            with pytest.raises(Unauthorised) as e:
                list(c.posts(PageRef("facebook", "100001"), None))
            assert words in str(e.value) and "docs/ru/facebook-token.md" in str(e.value)
            c.close()

    def test_a_used_up_limit_waits_as_long_as_meta_says(self) -> None:
        world = self.make_world(1, pages=1, posts=2, comments=10)
        held: list[float] = []

        class Book(MemoryBudget):
            def hold(self, key: str, until: float) -> None:
                held.append(until - time.time())
                super().hold(key, until)

        with self.emulate(world, behaviour=Behaviour(usage=97, regain=20)) as emulator:
            with pytest.raises(RateLimited), self.open(emulator, "-100001", budget=Book()) as (c, ref):
                list(c.posts(ref, None))
        assert 1190 < max(held) < 1210
        assert sum(emulator.calls.values()) == 1, "nobody asks again before"

    def test_usage_headers_are_read_whatever_they_hold(self) -> None:
        assert used({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}) == (28.0, None)
        box = '{"1":[{"type":"pages","call_count":5,"total_time":96,"estimated_time_to_regain_access":3}]}'
        assert used({"x-business-use-case-usage": box, "x-app-usage": "{"}) == (96.0, 180.0)
        for odd in ("", "[]", "null", '{"a":[1,{"call_count":"x"}]}', "[" * 5000):
            assert used({"x-page-usage": odd}) == (0.0, None)

    def test_the_apps_signature(self) -> None:
        world = self.make_world(1, pages=1, posts=2, comments=10)
        with self.emulate(world, behaviour=Behaviour(app_secret="shh-app-secret")) as emulator:
            with pytest.raises(Unauthorised) as e, self.open(emulator, "-100001"):
                pass
            assert "app_secret" in str(e.value)
            with self.open(emulator, "-100001", app_secret="shh-app-secret") as (c, ref):
                assert collect(c, ref, Shelf()).complete
                assert len(list(c.refresh(ref, list(c.posts(ref, None))))) == 2
            assert scrub("x " + emulator.requests[-1]["params"]["appsecret_proof"]) == "x ***"

    def test_counters_of_many_posts_cost_a_call_for_fifty(self) -> None:
        world = self.make_world(5, pages=1, posts=120, comments=50)
        with self.page_of(world) as (c, ref, emulator):
            posts = list(c.posts(ref, None))
            emulator.forget_calls()
            assert [p.counter for p in c.refresh(ref, posts)] == [p.counter for p in posts]
            assert dict(emulator.calls) == {"batch": 3} and emulator.inner_calls["node"] == 120

    def test_the_token_never_stands_in_an_address(self) -> None:
        seen: list[str] = []
        world = self.make_world(1, pages=1, posts=3, comments=300)
        with self.emulate(world) as emulator:
            emulator.face.read, read = lambda r: seen.append(r.query) or read(r), emulator.face.read  # type: ignore
            with self.open(emulator, "-100001") as (c, ref):
                collect(c, ref, Shelf())
                list(c.check([ref]))
        assert len(seen) > 5 and not [q for q in seen if PAGE_TOKEN in q]

    def test_hidden_comments_are_messages(self) -> None:
        world = self.make_world(3, pages=1, posts=2, comments=40)
        with self.page_of(world, behaviour=Behaviour(hide_every=3)) as (c, ref, _):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            self.same(shelf, world, "-100001")

    def test_what_meta_counts_and_nobody_shows_is_a_gap(self) -> None:
        world = self.make_world(3, pages=1, posts=2, comments=40)
        with self.page_of(world, behaviour=Behaviour(counter_extra=4)) as (c, ref, _):
            run = collect(c, ref, Shelf())
            assert set(run.gaps.values()) <= {0, 4} and not run.complete and not run.errors

    # --- the official specs and client -------------------------------------------------------------------------------

    def test_fields_and_edges_are_those_of_metas_specs(self) -> None:
        for kind, file in (("Page", "Page-trimmed"), ("PagePost", "PagePost"), ("Comment", "Comment")):
            spec = meta_spec(file)
            face = FacebookFace(self.make_world(1, pages=1, posts=1, comments=1)).kinds[kind]
            assert set(face.fields) <= spec.fields, kind
            for edge, params in face.params.items():
                assert params <= spec.edges[edge], (kind, edge)
        asked = {f.name for f in parse_fields(COMMENT)}
        assert asked <= meta_spec("Comment").fields
        asked = {f.name for f in parse_fields(POST)} - {"comments"}
        assert asked <= meta_spec("PagePost").fields
        assert {"filter", "order"} <= meta_spec("PagePost").edges["comments"]

    def test_metas_own_client_reads_the_emulator(self) -> None:
        api = pytest.importorskip("facebook_business.api")
        from facebook_business.adobjects.comment import Comment as Sdk
        from facebook_business.adobjects.page import Page
        from facebook_business.adobjects.pagepost import PagePost

        world = self.make_world(2, pages=1, posts=3, comments=60)
        with self.emulate(world) as emulator:
            session = api.FacebookSession(access_token=PAGE_TOKEN)
            session.GRAPH = emulator.root
            client = api.FacebookAdsApi(session, api_version="v26.0")
            posts = list(Page("100001", api=client).get_published_posts(fields=["id", "message"]))
            found = set()
            for post in posts:
                edge = PagePost(post["id"], api=client)
                rows = edge.get_comments(fields=[Sdk.Field.id], params={"filter": "stream", "limit": 7})
                found |= {c["id"] for c in rows}
            session.requests.close()
        assert found == set(truth(world, "-100001"))
