"""The Instagram collector holds the contract, and what is Instagram's alone."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

import collectors
from collectors.contract import Blocked, Collector, Gone, RateLimited, Unauthorised, Unavailable
from collectors.instagram import COMMENT, MEDIA, REPLY, page_name
from collectors.instagram_loader import _session_cookies
from emulator import Emulator, Shaker, World, generate
from emulator.graph import parse_fields
from emulator.instagram import TOKEN, Behaviour, InstagramFace
from emulator.instaloader import COOKIES, install
from emulator.instaloader import Behaviour as LoaderBehaviour
from settings import ConfigError, SecretError, parse, scrub
from store.values import Outcome, PageRef
from tests.collectors.block_suite import HideContract
from tests.collectors.contract_suite import CollectorContract, Shelf, collect, truth
from tests.collectors.program import stores_the_truth
from tests.collectors.reply_suite import ReplyContract
from tests.emulator.graph_specs import meta_spec


class TestInstagram(HideContract, ReplyContract, CollectorContract):
    network = "instagram"
    hiding = "post_node"
    hidings: ClassVar = {
        "hidden ones are counted and not shown": Behaviour(hidden_shown=False),
        "hidden ones are gone": Behaviour(hidden_shown=False, hidden_counted=False),
    }
    deed_errors: ClassVar = {"token": 190, "right": 10}
    token = TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "replies not counted": Behaviour(counter_replies=False, page_max=30),
        "empty pages, dying cursors": Behaviour(empty_pages=True, dead_cursors=2),
    }
    methods = ("node", "media", "replies", "comments")
    harmless = ("counter",)  # a list of comments bears no counter
    writing = ("post_replies",)
    refusing = ("http=500", "http=502", "http=429,1", "error=2", "error=4", "redirect=http://127.0.0.1:9/")
    writing_errors = (190, 10, 200, 100, 368, 4, 2)
    kinds = ("person", "hidden", "deleted")

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("100001", "100001"),
            ("@otklik_page1", "otklik_page1"),
            ("https://www.instagram.com/otklik_page1/?hl=ru", "otklik_page1"),
            ("instagram.com/otklik_page1", "otklik_page1"),
            ("https://www.instagram.com/p/ABC/", ""),
            ("https://example.org/adm", ""),
            ("два слова", ""),
        ],
    )
    def test_ways_to_name_an_account(self, given: str, name: str) -> None:
        if name:
            assert page_name(given) == name
        else:
            with pytest.raises(ConfigError) as e:
                page_name(given)
            assert "Instagram" in str(e.value)

    @pytest.mark.parametrize("login", ["instagram", "facebook"])
    def test_the_tokens_own_account_is_found_by_name(self, login: str) -> None:
        world = self.make_world(1, pages=2, posts=2, comments=10)
        with self.emulate(world, behaviour=Behaviour(page_login=login == "facebook")) as emulator:
            with self.open(emulator, "otklik_page1", login=login) as (c, ref):
                assert (ref.id, ref.url) == ("100001", "https://www.instagram.com/otklik_page1/")
                assert collect(c, ref, Shelf()).complete
            with pytest.raises(Gone) as e, self.open(emulator, "otklik_page2", login=login):
                pass
            assert "otklik_page1" in str(e.value) and "instaloader" in str(e.value)

    def test_the_program_stores_the_truth(self, tmp_path: Path) -> None:
        stores_the_truth(self, self.make_world(2, pages=1, posts=4, comments=60), tmp_path)

    def test_without_a_token_nothing_is_asked(self) -> None:
        with pytest.raises(SecretError) as e:
            collectors.make(parse("networks: {instagram: {api: 'http://127.0.0.1:9/'}}"), "instagram")
        assert "instagram-token.md" in str(e.value)

    def test_counters_cost_a_call_for_a_hundred(self) -> None:
        world = self.make_world(5, pages=1, posts=150, comments=50)
        with self.emulate(world) as emulator, self.open(emulator, "-100001") as (c, ref):
            posts = list(c.posts(ref, None))
            emulator.forget_calls()
            assert [p.counter for p in c.refresh(ref, posts)] == [p.counter for p in posts]
            assert dict(emulator.calls) == {"media": 2}

    def test_doctor_tells_the_days_of_the_token(self) -> None:
        world = self.make_world(5, pages=1, posts=2, comments=5)
        with self.emulate(world, behaviour=Behaviour(days=5.5, scopes=("instagram_business_basic",))) as emulator:
            with self.open(emulator, "-100001") as (c, ref):
                lines = {x.name: x for x in c.check([ref])}
        assert "дней: 5" in lines["токен Instagram"].detail and lines["токен Instagram"].advice
        assert lines["права токена"].ok is False
        assert "instagram_business_manage_comments" in lines["права токена"].detail

    def test_fields_and_edges_are_those_of_metas_specs(self) -> None:
        face = InstagramFace(self.make_world(1, pages=1, posts=1, comments=1))
        for kind in ("IGUser", "IGMedia", "IGComment"):
            spec = meta_spec(kind)
            assert set(face.kinds[kind].fields) <= spec.fields, kind
            assert set(face.kinds[kind].edges) <= set(spec.edges), kind
        assert {f.name for f in parse_fields(MEDIA)} <= meta_spec("IGMedia").fields
        assert {f.name for f in parse_fields(COMMENT)} - {"replies"} <= meta_spec("IGComment").fields
        assert {f.name for f in parse_fields(REPLY)} <= meta_spec("IGComment").fields


class TestInstaloader:
    """instaloader itself, through our session, against the emulator."""

    @pytest.fixture(autouse=True)
    def library(self) -> None:
        pytest.importorskip("instaloader")
        install()

    @contextmanager
    def open(
        self, world: World, folder: Path, cookies: dict[str, str] | None = None, **options: Any
    ) -> Iterator[tuple[Collector, PageRef, Emulator]]:
        session = folder / "session.json"
        session.write_text(json.dumps(COOKIES if cookies is None else cookies))
        with Emulator(world, network="instaloader", **options) as emulator:
            settings = parse(
                f'networks: {{instagram: {{mode: instaloader, user: redaktor, session: "{session}", retries: 2, '
                f'api: "{emulator.url}", requests_per_second: 10000}}}}\n'
                "pages: [{network: instagram, id: otklik_page1}]"
            )
            c = collectors.make(settings, "instagram")
            c.manners._sleep = lambda seconds: c.manners.check_stop()  # type: ignore[method-assign]
            try:
                yield c, c.resolve(settings.pages[0]), emulator
            finally:
                c.close()

    def world(self, **shape: Any) -> World:
        how = {"pages": 1, "posts": 6, "comments": 90, "depth": 3, "network": "instagram"} | shape
        return generate(3, **how)  # type: ignore[arg-type]

    @pytest.mark.parametrize("way", [LoaderBehaviour(), LoaderBehaviour(page=5, shown=0)])
    def test_every_comment_once_edits_and_deletions_too(self, tmp_path: Path, way: LoaderBehaviour) -> None:
        world = self.world()
        with self.open(world, tmp_path, behaviour=way) as (c, ref, emulator):
            assert (ref.id, ref.title, ref.url) == (
                "100001",
                "Администрация, страница 1",
                "https://www.instagram.com/otklik_page1/",
            )
            shelf = Shelf()
            shaker = Shaker(3)
            for _ in range(2):
                run = collect(c, ref, shelf)
                assert run.complete, (run.errors, run.gaps)
                expected = truth(world, "-100001")
                assert {i: (e["text"], e["parent"], e["own"]) for i, e in expected.items()} == {
                    i: (x.text, x.parent_id, x.own) for i, x in shelf.live.items()
                }
                for _ in range(15):
                    shaker.shake(world)
            assert c.manners.calls == sum(emulator.calls.values()), "every request has its turn"
            assert not list(Path(tmp_path).glob("*.txt"))

    @pytest.mark.parametrize(
        ("plan", "kind", "words"),
        [
            ("comments:error=checkpoint", Blocked, "подозревает робота"),
            ("comments:error=login", Unauthorised, "завершила сеанс"),
            ("comments:error=429", RateLimited, "ограничила"),
            ("comments:json", Unavailable, "не отвечает"),
            ("comments:reset", Unavailable, "не отвечает"),
            ("comments:shape", Unavailable, "обновите instaloader"),
        ],
    )
    def test_what_breaks_has_one_sentence(self, tmp_path: Path, plan: str, kind: Any, words: str, capfd: Any) -> None:
        with self.open(self.world(), tmp_path, faults=plan) as (c, ref, _):
            run = collect(c, ref, Shelf())
        assert {type(e) for e in run.errors} == {kind}
        assert all(words in str(e) and "\n" not in str(e) and "http" not in str(e).lower()[:4] for e in run.errors)
        assert capfd.readouterr() == ("", ""), "the library prints nothing"

    def test_a_thread_that_is_cut_loses_nothing_that_was_seen(self, tmp_path: Path) -> None:
        world = World("instagram")
        post = world.add_post(world.add_page("-100001", "Администрация", "otklik_page1"), "Новость")
        tops = [
            world.add_comment(post, f"Вопрос {n}", 5001) for n in range(12)
        ]  # so many that the mobile address is asked
        for n in range(8):
            world.add_comment(post, f"Ответ {n}", 5002, parent=tops[0])
        with self.open(world, tmp_path) as (c, ref, emulator):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete and len(shelf.live) == 20
            emulator.face.behaviour = LoaderBehaviour(cut=5)
            (walk,) = collect(c, ref, shelf).walks.values()
            assert walk.complete and not walk.exhaustive and not shelf.deleted  # else a second walk would be believed
            emulator.face.behaviour = LoaderBehaviour()
            world.delete(tops[5])
            collect(c, ref, shelf)
            assert shelf.deleted == {world.external_id(tops[5])}

    def test_an_empty_answer_is_blocked(self, tmp_path: Path) -> None:
        with self.open(self.world(), tmp_path, faults="comments:hollow") as (c, ref, _):
            run = collect(c, ref, Shelf())
        assert {w.outcome for p, w in run.walks.items() if not w.complete} == {Outcome.blocked} and not run.complete

    def test_a_private_page_and_a_dead_session(self, tmp_path: Path) -> None:
        with self.open(self.world(), tmp_path, behaviour=LoaderBehaviour(private=True)) as (c, ref, _):
            assert [e.outcome for e in collect(c, ref, Shelf()).errors] == [Outcome.blocked]
        with self.open(self.world(), tmp_path, {**COOKIES, "sessionid": "another-one"}) as (c, ref, _):
            assert [e.outcome for e in collect(c, ref, Shelf()).errors] == [Outcome.unauthorised]
            assert [x.ok for x in c.check([ref])] == [False]

    def test_a_session_file_is_only_read(self, tmp_path: Path) -> None:
        written = tmp_path / "session-redaktor"
        written.write_bytes(pickle.dumps(COOKIES))
        assert _session_cookies(str(written)) == COOKIES

        class Evil:
            def __reduce__(self) -> Any:
                return (Path.touch, (tmp_path / "ran",))

        for bad in (pickle.dumps(Evil()), b"", b"{}", b'{"sessionid": 5}', b"junk", pickle.dumps([1])):
            written.write_bytes(bad)
            with pytest.raises(ConfigError) as e:
                _session_cookies(str(written))
            assert "instagram-token.md" in str(e.value)
        with pytest.raises(ConfigError):
            _session_cookies(str(tmp_path / "absent"))
        assert not (tmp_path / "ran").exists()

    def test_secrets_of_the_session_are_never_shown(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with self.open(self.world(), tmp_path, faults="media:error=404; comments:json@1") as (c, ref, _):
            run = collect(c, ref, Shelf())
        shown = scrub(caplog.text) + "".join(f"{e} {e!r} {e.__cause__!r}" for e in run.errors)
        for name in ("sessionid", "csrftoken"):
            assert COOKIES[name] not in shown and COOKIES[name].replace("%3A", ":") not in shown
