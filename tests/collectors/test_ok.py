"""Odnoklassniki holds the contract, and what is its alone: the signature, error numbers, secrets, names of groups."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

import collectors
from collectors.contract import CollectError, Walk
from collectors.ok_client import session_secret, signature
from emulator import World, generate
from emulator.ok import APPLICATION_KEY, APPLICATION_SECRET, SESSION_SECRET, TOKEN, Behaviour
from settings import ConfigError, Settings, parse
from store.values import Outcome
from tests.collectors.contract_suite import CollectorContract, Shelf, collect


class TestOk(CollectorContract):
    network = "ok"
    token = TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "stubs, counted": Behaviour(stubs=True, counter_stubs=True, last_anchor=False),
        "stubs, no summary": Behaviour(stubs=True, summary=False, walk_order=False),
        "times as text": Behaviour(date="text"),
    }
    methods = (
        "group.getInfo", "mediatopic.getTopics", "photos.getPhotos", "discussions.getList", "mediatopic.getByIds",
        "discussions.get", "discussions.getComments",
    )  # fmt: skip
    harmless = ("counter",)  # its lists of comments bear no counter

    def make_world(self, seed: int, **shape: Any) -> World:
        usual = {"pages": 2, "posts": 8, "comments": 300, "people": 24, "network": "ok"}
        return generate(seed, **(usual | {"kinds": ("post", "photo", "video")} | shape))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        more = "".join(f", {k}: {v}" for k, v in network.items())
        return parse(
            f'networks: {{ok: {{token: "{TOKEN}", application_key: {APPLICATION_KEY}, session_secret_key: '
            f'"{SESSION_SECRET}", api: "{url}"{more}}}}}\npages: [{{network: ok, id: "{page}"}}]'
        )

    # --- the signature -----------------------------------------------------------------------------------------------

    def test_the_signature_by_the_rule(self) -> None:
        params = {"application_key": "KEY", "format": "json", "method": "group.getInfo"}
        assert signature(params, "abc") == "fed2e45f5b782cdf02670719e768c328"
        secret = session_secret("TOKEN", "SECRET")
        assert secret == "8afde8c21fa64b07aa9b55707b174a7b"
        signed = signature(params | {"uids": "123", "access_token": "TOKEN", "session_key": "x"}, secret)
        assert signed == "5865af6c7b52495b2de3e74ef53bcf40"

    def test_an_independent_client_signs_alike_and_is_answered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ok_api = pytest.importorskip("ok_api")
        import requests

        from emulator.client import Rewrite

        world = self.make_world(1, comments=10)
        with self.emulate(world) as emulator:
            session = requests.Session()
            session.trust_env = False
            session.mount("https://api.ok.ru/", Rewrite(emulator.url, "https://api.ok.ru/"))
            monkeypatch.setattr(ok_api.OkApi, "http", session)
            theirs = ok_api.OkApi(TOKEN, APPLICATION_KEY, APPLICATION_SECRET)
            found = theirs.mediatopic.getTopics(gid="100001", count=5, fields="media_topic.*", format="json").json()
            assert found["media_topics"]
            wrong = ok_api.OkApi(TOKEN, APPLICATION_KEY, "another-secret").users.getLoggedInUser().json()
            assert wrong["error_code"] == 104
            asked = {"method": "group.getInfo", "uids": "1", "application_key": APPLICATION_KEY, "текст": "Ёж №1"}
            assert theirs._OkApi__signature(asked) == signature(asked, SESSION_SECRET)
            session.close()

    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            (f"application_key: {APPLICATION_KEY}", "session_secret_key"),
            (f'session_secret_key: "{SESSION_SECRET}"', "application_key"),
        ],
    )
    def test_a_missing_key_is_said(self, keys: str, said: str) -> None:
        settings = parse(f'networks: {{ok: {{token: "{TOKEN}", {keys}}}}}\npages: [{{network: ok, id: "1"}}]')
        with pytest.raises(ConfigError, match=said) as e:
            collectors.make(settings, "ok")
        assert "docs/ru/ok-token.md" in str(e.value)

    def test_the_secret_of_the_application_will_do_and_none_is_ever_shown(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        world = self.make_world(1, comments=10)
        said = []
        with self.emulate(world) as emulator:
            settings = parse(
                f'networks: {{ok: {{token: "{TOKEN}", application_key: {APPLICATION_KEY}, application_secret_key: '
                f'"{APPLICATION_SECRET}", api: "{emulator.url}", retries: 0}}}}\npages: [{{network: ok, id: "100001"}}]'
            )
            collector = collectors.make(settings, "ok")
            assert collector.resolve(settings.pages[0]).id == "100001"
            for code in ("104", "102", "100", "5000", "403"):
                emulator.plan = type(emulator.plan).parse(f"*:error={code}")
                with pytest.raises(CollectError) as e:
                    collector.resolve(settings.pages[0])
                said.append(f"{e.value!r} {e.value}")
            collector.close()
        shown = " ".join([*said, caplog.text, repr(collector.config)])
        assert not [s for s in (TOKEN, APPLICATION_SECRET, SESSION_SECRET) if s in shown]

    # --- groups ------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "given",
        ["100001", "group:100001", "group100001", "https://ok.ru/group/100001", "ok.ru/group/100001/topic/5",
         "https://m.ok.ru/group100001", "https://ok.ru/otklik_page1", "otklik_page1"],
    )  # fmt: skip
    def test_ways_to_name_a_group(self, given: str) -> None:
        world = self.make_world(1, comments=10)
        with self.emulate(world) as emulator, self.open(emulator, given) as (_, ref):
            assert (ref.id, ref.title) == ("100001", "Администрация, страница 1")
            assert ref.url == "https://ok.ru/group/100001"

    @pytest.mark.parametrize("given", ["https://vk.com/club1", "два слова", "https://ok.ru/profile/5", "x"])
    def test_what_is_no_group(self, given: str) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator:
            with pytest.raises(ConfigError, match="Одноклассник"), self.open(emulator, given):
                pass
            assert not emulator.calls

    @pytest.mark.parametrize("given", ["999999", "nobody_has_it"])
    def test_a_group_that_is_not_there(self, given: str) -> None:
        with self.emulate(self.make_world(1, comments=10)) as emulator:
            with pytest.raises(CollectError, match=given), self.open(emulator, given):
                pass

    # --- what it says when it is refused ------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("code", "outcome"),
        [(102, "unauthorised"), (10, "unauthorised"), (8, "rate_limited"), (9, "blocked"), (402, "blocked"),
         (456, "blocked"), (100, "failed"), (2, "failed")],
    )  # fmt: skip
    def test_error_numbers(self, code: int, outcome: str) -> None:
        world = self.make_world(2, pages=1, comments=60)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page, retries=1) as (c, ref):
            emulator.plan = type(emulator.plan).parse(f"discussions.getComments:error={code}")
            run = collect(c, ref, Shelf())
            assert {str(e.outcome) for e in run.errors} == {outcome} and not run.complete
            assert all(str(e)[-1] != "." and "\n" not in str(e) for e in run.errors)

    @pytest.mark.parametrize("code", [456, 300])
    def test_a_closed_group_answers_for_itself_and_its_posts_are_not_gone(self, code: int) -> None:
        """Also when it answers for each of its posts as if that were deleted."""
        world = self.make_world(2, pages=1, comments=60)
        page = next(iter(world.pages.values()))
        with self.emulate(world) as emulator, self.open(emulator, page.id) as (c, ref):
            posts = list(c.posts(ref, None))
            page.errors["page"] = code
            fresh = c.refresh(ref, posts)
            with pytest.raises(CollectError) as e:
                assert not any(p.gone for p in fresh)
            assert e.value.code == str(code) and (code != 456 or e.value.outcome is Outcome.blocked)

    def test_a_topic_that_is_gone_hides_no_other(self) -> None:
        world = self.make_world(2, pages=1, posts=9, comments=60)
        page = next(iter(world.pages))
        with (
            self.emulate(world, behaviour=Behaviour(gone_is_error=True)) as emulator,
            self.open(emulator, page) as (c, ref),
        ):
            posts = list(c.posts(ref, None))
            topics = [p for p in world.posts(None, "post") if not p.deleted]
            world.delete_post(topics[1])
            gone = [p.id for p in c.refresh(ref, posts) if p.gone]
            assert gone == [world.external_id(topics[1])] and len(topics) > 2

    def test_a_section_that_is_refused_leaves_the_topics(self) -> None:
        world = self.make_world(2, pages=1, comments=60)
        page = next(iter(world.pages))
        with self.emulate(world, faults="photos.getPhotos:error=10") as emulator, self.open(emulator, page) as (c, ref):
            posts = list(c.posts(ref, None))
            (denied,) = [p for p in posts if p.denied]
            assert denied.kind == "photo" and "include" in (denied.problem or "")
            assert any(p.kind == "post" for p in posts) and any(p.kind == "video" for p in posts)

    def test_a_list_that_breaks_off_is_not_the_end(self) -> None:
        """More is promised, but no place to go on from is given."""
        world = self.make_world(2, pages=1, posts=1, comments=250)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (c, ref):
            show = emulator.face._discussions_getComments

            def forgetful(p: Any) -> Any:
                return {k: v for k, v in show(p).items() if k != "anchor"}

            emulator.face._discussions_getComments = forgetful  # type: ignore[method-assign]
            run = collect(c, ref, Shelf())
            assert not run.complete and "обрывают" in str(run.errors[0])

    # --- topics ------------------------------------------------------------------------------------------------------

    def test_a_residents_topic_is_a_message_and_own_ids_are_ours(self) -> None:
        world = World("ok")
        page = world.add_page("-9", "Администрация", "adm")
        world.add_author(5, "Анна К.")
        world.add_author(6, "Глава Иванов")
        asked = world.add_post(page, "На Мира, 5 нет воды", author=5)
        answer = world.add_comment(asked, "Передали", -9)
        named = world.add_comment(asked, "Вода будет к вечеру", 6)
        with self.emulate(world) as emulator, self.open(emulator, "-9", own_ids='["6"]') as (c, ref):
            shelf = Shelf()
            run = collect(c, ref, shelf)
            assert run.complete and [p.counter for p in run.posts] == [3]
            name = world.external_id(asked)
            assert set(shelf.live) == {name, world.external_id(answer), world.external_id(named)}
            first = shelf.live[name]
            assert (first.text, first.author.name, first.parent_id, first.own) == (asked.text, "Анна К.", None, False)
            assert shelf.live[world.external_id(answer)].own and shelf.live[world.external_id(named)].own
        with self.emulate(world) as emulator, self.open(emulator, "-9") as (c, ref):  # a process that listed nothing
            walk = Walk(full=True)
            got = [x.external_id for b in c.comments(ref, run.posts[0], walk) for x in b.comments]
            assert name in got and len(got) == 3

    def test_only_what_is_asked_for_comes(self) -> None:
        world = self.make_world(3, pages=1, comments=40)
        page = next(iter(world.pages))
        fields = "comment.ID,comment.TEXT,comment.DATE,comment.AUTHOR_ID,comment.AUTHOR_NAME,comment.AUTHOR_REF"
        fields += ",comment.REPLY_TO_COMMENT_ID,comment.ATTACHMENTS,comment.TYPE"
        with self.emulate(world) as emulator, self.open(emulator, page, comment_fields=f'"{fields}"') as (c, ref):
            shelf = Shelf()
            assert collect(c, ref, shelf).complete
            self.same(shelf, world, page)

    def test_doctor_names_the_page_to_read(self) -> None:
        world = self.make_world(1, pages=1, comments=5)
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages))) as (c, _):
            emulator.plan = type(emulator.plan).parse("*:error=102")
            (line,) = c.check([])
            assert line.ok is False and "docs/ru/ok-token.md" in line.advice
