"""The black list of a VK community through the real collector and the emulator; the whole way from the desk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from collectors.contract import CollectError, Declined
from emulator import SERVICE_TOKEN, USER_TOKEN
from store.values import Author, PageRef
from tests.collectors import test_vk
from tests.emulator.schema_judge import SchemaJudge
from tests.rig import config, otklik, rig

UNTIL = datetime(2030, 1, 2, tzinfo=UTC)
THEM = Author("77", "Кто-то")


class Vk(test_vk.TestVk):
    __test__: ClassVar = False


@pytest.fixture
def vk():
    suite: Any = Vk()
    with suite.page_of(suite.make_world(seed=1, pages=1, posts=1, comments=3)) as opened:
        yield opened


def test_blocked_until_a_day_and_let_in_again(vk):
    collector, page, emulator = vk
    where = (-int(page.id), 77)
    collector.block(page, THEM, UNTIL, "spam")
    assert emulator.face.banned == {where: (int(UNTIL.timestamp()), 1)}
    collector.block(page, THEM, UNTIL + timedelta(days=1), "insult")  # the last word counts
    assert emulator.face.banned[where] == (int(UNTIL.timestamp()) + 86400, 2)
    collector.block(page, THEM, None, "")
    assert emulator.face.banned == {}


def test_what_can_not_be_done_here_is_left_to_a_person(vk):
    collector, page, emulator = vk
    for wrong, who in ((PageRef("vk", "5"), THEM), (page, Author()), (page, Author("x; drop"))):
        with pytest.raises(Declined):
            collector.block(wrong, who, UNTIL, "spam")
    next(iter(emulator.world.pages.values())).errors["write"] = 15  # no rights in this community
    with pytest.raises(Declined, match="сделайте это сами в управлении сообществом"):
        collector.block(page, THEM, UNTIL, "spam")


def test_a_passing_trouble_is_no_refusal():
    suite: Any = Vk()
    world = suite.make_world(seed=1, pages=1, posts=1, comments=3)
    with suite.emulate(world) as emulator:
        with suite.open(emulator, next(iter(world.pages)), retries=0) as (collector, page):
            emulator.plan = type(emulator.plan).parse("groups.ban:error=10")
            with pytest.raises(CollectError) as told:
                collector.block(page, THEM, UNTIL, "spam")
            assert not isinstance(told.value, Declined)


def test_the_calls_are_as_the_schema_says(shared):
    judge = SchemaJudge(shared)
    ban = {"group_id": "1", "owner_id": "77", "end_date": "1", "reason": "1", "v": "5.199"}
    assert judge.check("groups.ban", ban, "user", {"response": 1}) == []
    assert judge.check("groups.unban", {"group_id": "1", "owner_id": "77", "v": "5.199"}, "user", {"response": 1}) == []


PEOPLE = "people: [{id: adm, roles: [administrator]}, {id: cur, roles: [curator]}]\n"


def test_from_the_desk_to_the_network_and_back(tmp_path, sqlite_url):
    with rig(sqlite_url) as r:
        r.collect()
        first, second = r.say("Куплю окна"), r.say("Ещё окна")
        fire = r.say("Горит дом!")
        r.collect()
        ids = [r.story(c)["id"] for c in (first, second, fire)]
        path = tmp_path / "config.yaml"
        banned = r.emulator.face.banned

        def run(*argv, token=USER_TOKEN):
            path.write_text(config(sqlite_url, r.emulator.url, token=token) + PEOPLE, encoding="utf-8")
            return otklik("--config", str(path), "queue", *argv)

        def block(id, term, **more):
            return run("block", id, "--ground", "spam", "--for", term, "--by", "adm", **more)

        done = block(ids[0], "1d")
        assert done.code == 0 and "автор заблокирован на странице" in done.err and list(banned) == [(1, 1001)]
        day = banned[1, 1001][0]
        assert block(ids[1], "3d").code == 0 and banned[1, 1001][0] - day == pytest.approx(2 * 86400, abs=60)
        assert run("unblock", ids[1], "--by", "adm").code == 0
        assert banned[1, 1001][0] == day  # the other message's term goes on
        assert run("unblock", ids[0], "--by", "adm").code == 0 and banned == {}

        asked = block(ids[2], "1d")
        assert asked.code == 0 and "ждёт второго решения" in asked.err and banned == {}
        assert run("confirm", ids[2], "--by", "cur").code == 0 and list(banned) == [(1, 1001)]
        assert run("unblock", ids[2], "--by", "adm").code == 0

        service = block(ids[0], "1d", token=SERVICE_TOKEN)
        assert service.code == 1 and "в сети сделайте сами" in service.err and banned == {}
        assert "Житель" in run("blocks").out and "Заблокирован" in run("show", ids[1]).out
        banned.clear()
        assert run("blocks", "--send", "--by", "cur").code == 2 and banned == {}
        assert run("blocks", "--send", "--by", "adm").code == 0 and list(banned) == [(1, 1001)]
