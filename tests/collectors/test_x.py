"""The X collector holds the contract, and what is X's alone."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

import cli
from collectors.manners import Retry
from collectors.pages import plan
from collectors.x import XCollector, page_name
from collectors.x_client import as_error
from desk import show
from emulator import Emulator, World
from emulator.client import Rewrite
from emulator.face import Answer, Call
from emulator.world import Clock, Comment, Post
from emulator.x import BEARER, OWNER, Behaviour
from settings import ConfigError, Settings
from store import Store
from store.values import Outcome, PageRef
from tests.collectors.block_suite import HideContract
from tests.collectors.contract_suite import CollectorContract, Shelf, collect, truth
from tests.emulator.x_spec import XJudge
from tests.rig import PlainJudge

DAY = 86400.0


class TestX(HideContract, CollectorContract):
    network = "x"
    hiding = "hide"
    hidings: ClassVar = {"search leaves hidden ones out": Behaviour(hidden_found=False)}
    deed_errors: ClassVar = {"token": "unauthorized", "right": "not-authorized-for-resource"}
    token = BEARER
    behaviours: ClassVar = {
        "default": Behaviour(),
        "new words": Behaviour(vocabulary="post", parent_version="last", page_max=30),
        "all counted": Behaviour(counter_all=True, root_found=False),
        "new words, old ones ignored": Behaviour(vocabulary="post", strict=False),
    }
    methods = ("user", "timeline", "lookup", "search")
    kinds = ("person", "hidden", "deleted")

    def make_world(self, seed: int, **shape: Any) -> World:
        return super().make_world(seed, **({"days": 6} | shape))  # as far as search looks back

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        usual = {"budget": network.pop("daily", 10**9), "user": json.dumps(OWNER)}
        return super().configure(url, page, **(usual | network))

    @contextmanager
    def page_of(self, world: World, **options: Any) -> Iterator[tuple[XCollector, PageRef, Emulator]]:
        network = options.pop("config", {})
        with self.emulate(world, **options) as emulator:
            with self.open(emulator, next(iter(world.pages)), **network) as (c, ref):
                yield c, ref, emulator

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("100001", "100001"),
            ("@otklik_page1", "otklik_page1"),
            ("https://x.com/otklik_page1/status/5", "otklik_page1"),
            ("twitter.com/otklik_page1", "otklik_page1"),
            ("https://x.com/home", ""),
            ("https://example.org/adm", ""),
            ("два слова", ""),
        ],
    )
    def test_ways_to_name_a_page(self, given: str, name: str) -> None:
        if name:
            assert page_name(given) == name
        else:
            with pytest.raises(ConfigError):
                page_name(given)

    # --- seven days --------------------------------------------------------------------------------------------------

    def old_world(self, age: float = 10.0) -> tuple[World, Post, list[Comment]]:
        """A post `age` days old with three old replies (one to another) and two of yesterday."""
        now = time.time()
        world = World("x", clock=Clock(now, frozen=True), start=now)
        page = world.add_page("9", "Администрация", "adm")
        world.add_author(5, "Анна К.")
        post = world.add_post(page, "Новость", at=now - age * DAY)
        first = world.add_comment(post, "первый", 5, at=now - (age - 0.1) * DAY)
        world.add_comment(post, "ответ первому", 5, parent=first, at=now - (age - 0.2) * DAY)
        world.add_comment(post, "второй", 5, at=now - (age - 0.3) * DAY)
        world.add_comment(post, "вчера", 5, at=now - DAY)
        world.add_comment(post, "вчера ещё", 5, parent=first, at=now - DAY + 60)
        return world, post, list(post.comments.values())

    def test_what_search_does_not_reach_is_told_once_and_stays_a_gap(self) -> None:
        world, _, _ = self.old_world()
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            run = collect(c, ref, shelf)
            (walk,) = run.walks.values()
            assert {x.text for x in shelf.live.values()} == {"вчера", "вчера ещё"}
            assert walk.complete and "7 дней" in (walk.note or "") and set(run.gaps.values()) == {2}
            (walk,) = collect(c, ref, shelf).walks.values()
            assert walk.note is None and walk.complete
            assert not shelf.deleted
        with self.page_of(world, config={"search": "all"}) as (c, ref, _):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            assert len(shelf.live) == 5

    def test_a_lookup_that_is_cut_short_deletes_nothing(self) -> None:
        world, _post, _comments = self.old_world(age=6)
        with self.page_of(world) as (c, ref, emulator):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete and len(shelf.live) == 5
            world.advance(20 * DAY)
            cut = lambda call, body: body | {"data": body["data"][:3]} if len(body.get("data", "")) > 3 else body  # noqa: E731
            face = emulator.face
            face._lookup = lambda p, whole=face._lookup: cut(p, whole(p))
            for _ in range(2):
                run = collect(c, ref, shelf)
                assert not run.complete and not shelf.deleted
            assert "о сохранённых ответах: 2" in (next(iter(run.walks.values())).problem or "")

    @pytest.mark.parametrize("words", ["tweet", "post"])
    def test_long_posts_and_signs_of_html(self, words: str) -> None:
        world, post, _comments = self.old_world(age=1.5)
        texts = ["Яма <3 & лужа &amp;", "Очень долго. " * 100]
        for text in texts:
            world.add_comment(post, text, 5)
        with self.page_of(world, behaviour=Behaviour(vocabulary=words)) as (c, ref, _):
            shelf = Shelf()
            collect(c, ref, shelf)
            assert set(texts) <= {x.text for x in shelf.live.values()}

    def test_stored_replies_are_checked_however_old_they_are(self) -> None:
        world, post, comments = self.old_world(age=6)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete and len(shelf.live) == 5
            world.advance(20 * DAY)
            world.edit(comments[1], "исправлено")
            world.delete(comments[2])
            new = world.add_comment(post, "через месяц", 5)
            run = collect(c, ref, shelf)
            assert run.complete, (run.errors, run.gaps)
            self.same(shelf, world, "9")
            assert shelf.live[world.external_id(comments[1])].text == "исправлено"
            assert world.external_id(new) in shelf.live

    def test_a_short_walk_pays_for_what_is_new(self) -> None:
        world = self.make_world(3, pages=1, posts=1, comments=120)
        post = next(world.posts())
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            collect(c, ref, shelf)
            before = c.client.spent()
            new = [world.add_comment(post, f"новое {n}", 1) for n in range(3)]
            run = collect(c, ref, shelf, full=False)
            assert run.complete and {world.external_id(n) for n in new} <= set(shelf.live)
            assert c.client.spent() - before == 1 + 1 + 3, "the post, the newest reply again, the new ones"

    def test_an_old_short_walk_asks_without_since(self) -> None:
        world, post, _ = self.old_world(age=6)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            collect(c, ref, shelf)
            world.advance(20 * DAY)
            new = world.add_comment(post, "через месяц", 5)
            run = collect(c, ref, shelf, full=False)
            assert run.complete and world.external_id(new) in shelf.live and len(shelf.live) == 6

    def test_what_search_hides_for_ever_stays_known(self) -> None:
        world = self.make_world(3, pages=1, posts=2, comments=60)
        with self.page_of(world) as (c, ref, _):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
        with self.page_of(world, behaviour=Behaviour(lost_every=5)) as (c, ref, _):
            assert collect(c, ref, shelf).complete
            self.same(shelf, world, next(iter(world.pages)))

    # --- money and limits --------------------------------------------------------------------------------------------

    def test_a_days_and_a_months_money_are_hard_stops(self) -> None:
        world = self.make_world(3, pages=1, posts=2, comments=300)
        with self.page_of(world, config={"daily": 150}) as (c, ref, emulator):
            run = collect(c, ref, Shelf())
            assert [e.outcome for e in run.errors] == [Outcome.rate_limited] and "дневной" in str(run.errors[0])
            assert c.client.spent() <= 150
        with self.page_of(world, config={"month_budget": 120}) as (c, ref, emulator):
            run = collect(c, ref, Shelf())
            assert "месячный" in str(run.errors[0]) and "120" in str(run.errors[0])
            assert c.client.spent() <= 120
            sent = sum(emulator.calls.values())
            assert collect(c, ref, Shelf()).errors and sum(emulator.calls.values()) <= sent + 1

    def test_failed_calls_cost_nothing(self) -> None:
        world = self.make_world(3, pages=1, posts=1, comments=50)
        with self.page_of(world, faults="search:http=502*3; lookup:reset*1") as (c, ref, _):
            run = collect(c, ref, Shelf())
            assert run.complete
            assert c.client.spent() == len(run.yielded) + 3, "the page, its post, the post again as the root"
            assert c.manners.quota is not None and c.manners.quota.used() <= c.client.spent() + 1

    @pytest.mark.parametrize(
        ("code", "outcome", "words"),
        [
            ("usage-capped", Outcome.rate_limited, "запас чтения израсходован"),
            ("credits-depleted", Outcome.rate_limited, "запас чтения израсходован"),
            ("rate-limit-exceeded", Outcome.rate_limited, "ограничила"),
            ("client-forbidden", Outcome.unauthorised, "нет права"),
            ("unauthorized", Outcome.unauthorised, "x-token.md"),
            ("not-authorized-for-resource", Outcome.blocked, "доступ закрыт"),
        ],
    )
    def test_what_refusals_mean(self, code: str, outcome: Outcome, words: str) -> None:
        world = self.make_world(3, pages=1, posts=1, comments=20)
        with self.page_of(world, faults=f"search:error={code}", config={"retries": 1}) as (c, ref, _):
            (e,) = collect(c, ref, Shelf()).errors
            assert e.outcome is outcome and words in str(e)

    def test_a_limit_is_waited_for_as_long_as_x_says(self) -> None:
        soon = str(int(time.time()) + 700)
        e = as_error(429, {"type": "about:blank"}, {"x-rate-limit-reset": soon})
        assert isinstance(e, Retry) and e.limited and 690 < (e.after or 0) < 701
        for odd in ("", "soon", "-5", "9" * 40):
            e = as_error(429, {}, {"x-rate-limit-reset": odd})
            assert isinstance(e, Retry) and (e.after is None or e.after <= 3600)

    def test_the_whole_program_tells_the_price_and_looks_for_deep_replies(self, tmp_path: Path) -> None:
        world, post, comments = self.old_world(age=1.5)
        judge = PlainJudge()
        with self.emulate(world) as emulator, Store.open(f"sqlite:///{tmp_path}/o.db") as store:
            settings = self.configure(emulator.url, "9", requests_per_second=10000, daily=2000)
            judges = cli.judge_with(judge, settings), judge
            assert cli.run_collect(store, settings, judges=judges).exit_code == 0
            world.advance(60)
            deep = world.add_comment(post, "Горит дом!", 5, parent=comments[1])
            assert cli.run_collect(store, settings, judges=judges).exit_code == 0, "reply_count did not change"
            assert world.external_id(deep) in {m["external_id"] for m in store.messages()}
            line = plan(store, settings, [], datetime.now(UTC))[0]
            assert line["unit"] == "постов" and line["dollars"] == 0.005 and line["budget_used"] > 0
            out = io.StringIO()
            Console(file=out, width=200).print(show.plan([line], zone="Europe/Moscow"))
            assert f"за этот месяц: постов {line['month_used']}, это " in out.getvalue() and line["month_used"] > 5

    # --- the official spec and an independent client -----------------------------------------------------------------

    def test_requests_and_answers_obey_the_official_openapi(self) -> None:
        judge = XJudge()
        problems: list[str] = []
        world = self.make_world(8, pages=1, posts=3, comments=150)

        def watch(call: Call, answer: Answer) -> None:
            params = {k: v for k, v in call.params.items() if k != "_"}
            problems.extend(judge.check(call.path, params, answer.status, answer.body))

        with self.page_of(world, behaviour=Behaviour(vocabulary="post"), config={"vocabulary": "post"}) as (c, ref, em):
            em.face.watch = watch
            shelf = Shelf()
            posts = collect(c, ref, shelf).posts
            world.delete(next(iter(next(p for p in world.posts() if p.comments).comments.values())))
            world.delete_post(list(world.posts())[-1])
            list(c.refresh(ref, posts))
            collect(c, ref, shelf, full=False)
            collect(c, ref, shelf)
            list(c.check([ref]))
            assert sum(em.calls.values()) > 12
        assert set(problems) == set()

    def test_tweepy_reads_the_emulator(self) -> None:
        tweepy = pytest.importorskip("tweepy")
        world = self.make_world(2, pages=1, posts=2, comments=150)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator:
            client = tweepy.Client(BEARER)
            client.session.trust_env = False
            client.session.mount("https://", Rewrite(emulator.url, "https://api.twitter.com/2/"))
            user = client.get_user(username="otklik_page1").data
            found = set()
            for post in client.get_users_tweets(user.id, max_results=5, tweet_fields=["public_metrics"]).data:
                pages = tweepy.Paginator(
                    client.search_recent_tweets, f"conversation_id:{post.id}", max_results=20, expansions=["author_id"]
                )
                found |= {str(t.edit_history_tweet_ids[0]) for t in pages.flatten() if t.id != post.id}
            client.session.close()
        assert found == set(truth(world, page))
