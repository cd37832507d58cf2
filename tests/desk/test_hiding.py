"""Hiding comments: from the desk to a network that can, back again, and what collecting makes of a hidden comment."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

import cli
import settings
from collectors.contract import Unavailable
from desk import blocks, hiding
from desk.work import Refused, act
from emulator import Emulator, World
from emulator.facebook import PAGE_TOKEN as FACEBOOK
from emulator.instagram import TOKEN as INSTAGRAM
from emulator.instagram import Behaviour
from store import Store
from store.admin import verify
from store.ledger import compare
from store.values import ByHand
from tests.desk.test_states import GOOD, SETTINGS
from tests.rig import PlainJudge, otklik
from tests.store.build import EMERGENCY, NOW, judged, landing, see

DAY = timedelta(days=1)


@pytest.fixture
def queue(store):
    see(store)
    store.land(landing(judged(1), judged(2, "нет света"), judged(3, "горит дом", EMERGENCY), judged(4, "?", None)), NOW)
    return store


def step(store, id, verb, by="adm", now=NOW, **args):
    return act(store, SETTINGS, id, verb, {**GOOD.get(verb, {}), **args}, by=by, now=now)


class Net:
    """A gate that keeps what it was told; `fails`: raised next, `refuses`: by hand."""

    def __init__(self):
        self.told, self.fails, self.refuses = [], None, None

    def _do(self, *what):
        if self.fails:
            raise self.fails
        if self.refuses:
            return ByHand(self.refuses)
        self.told.append(what)
        return None

    def hide(self, page, external_id, hidden):
        return self._do("hide" if hidden else "show", external_id)

    def block(self, page, author, until, ground, hidden=None):
        return self._do("block" if until else "lift", author.id, hidden)

    def block_ends(self, network):
        return False


def test_a_hiding_is_a_step_with_ground_log_and_event(queue, store_url):
    before = queue.message("1")
    found = step(queue, "1", "hide", reason="брань")
    assert (found["status"], found["deadlines"]) == (before["status"], before["deadlines"]), "it is worked on as before"
    assert queue.desk("1")["case"]["hidden"] == "insult" and [h["message_id"] for h in queue.hidden()] == ["1"]
    with pytest.raises(Refused, match="уже скрыт"):
        step(queue, "1", "hide")
    (entry,) = queue.desk("1")["log"]
    assert (entry["verb"], entry["actor"], entry["details"]) == ("hide", "adm", {"ground": "insult", "reason": "брань"})
    assert queue.events(0, 99)[-1]["data"]["step"]["verb"] == "hide"
    for who in ("cur", "head", "z"):
        with pytest.raises(Refused, match="это делает администратор"):
            step(queue, "2", "hide", who)
    with pytest.raises(Refused, match="основание"):
        step(queue, "2", "hide", ground="надоел")
    step(queue, "1", "unhide")
    assert queue.hidden() == [] and verify(store_url) == []
    with pytest.raises(Refused, match="не скрыт"):
        step(queue, "1", "unhide")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("id", ["3", "4"])
def test_an_emergency_is_hidden_by_two_people_only(queue, id):
    step(queue, id, "hide")
    assert queue.hidden() == [] and queue.desk(id)["case"]["hide_asked"] == "insult"
    with pytest.raises(Refused):
        step(queue, id, "confirm")  # the administrator's own
    step(queue, id, "block")
    step(queue, id, "confirm", "cur")  # the blocking first
    assert queue.hidden() == [] and queue.desk(id)["log"][-1]["details"]["what"] == "block"
    step(queue, id, "confirm", "cur")
    assert [h["message_id"] for h in queue.hidden()] == [id]
    assert queue.desk(id)["log"][-1]["details"]["what"] == "hide"
    step(queue, id, "unhide")
    step(queue, id, "hide")
    step(queue, id, "deny", "head")
    assert queue.hidden() == [] and queue.desk(id)["case"]["hide_asked"] is None
    with pytest.raises(Refused, match="ничего не ждёт"):
        step(queue, id, "confirm", "cur")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_showing_again_is_recorded_when_the_network_has_done_it(queue):
    net = Net()
    step(queue, "1", "hide")
    net.fails = Unavailable("нет связи")
    assert [(id, done) for id, _, done in hiding.carry_out(queue, net, ["1"])] == [("1", False)]
    with pytest.raises(Unavailable):
        hiding.show_again(queue, SETTINGS, net, "1", None, by="adm", now=NOW)
    assert queue.hidden(), "nothing was recorded"
    with pytest.raises(Refused):
        hiding.show_again(queue, SETTINGS, net, "1", None, by="cur", now=NOW)
    net.fails = None
    assert [done for _, _, done in hiding.carry_out(queue, net, ["1", "1", "2"])] == [True]
    hiding.show_again(queue, SETTINGS, net, "1", "ошибка", by="adm", now=NOW)
    key = queue.message("1")["external_id"]
    assert net.told == [("hide", key), ("show", key)] and not queue.hidden()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_term_that_ended_is_lifted_in_the_network_first(queue):
    net = Net()
    step(queue, "1", "block", until=NOW + DAY)
    step(queue, "2", "block", until=NOW + 2 * DAY)
    assert [b["message_id"] for b in blocks.lift_due(queue, SETTINGS, NOW + DAY, net)] == ["1"]
    assert net.told == [], "the other message blocks the author still"
    net.fails = Unavailable("нет связи")
    assert blocks.lift_due(queue, SETTINGS, NOW + 2 * DAY, net) == [] and len(queue.blocks()) == 1, "tried again later"
    net.fails = None
    (lifted,) = blocks.lift_due(queue, SETTINGS, NOW + 2 * DAY, net)
    assert net.told == [("lift", "5", None)] and lifted["by_hand"] is None and "она снята" in blocks.told([lifted])
    step(queue, "1", "block", until=NOW + 3 * DAY)
    net.refuses = "YouTube не даёт программам снимать блокировку"
    (lifted,) = blocks.lift_due(queue, SETTINGS, NOW + 3 * DAY, net)
    assert "YouTube не даёт" in blocks.told([lifted]) and queue.blocks() == []


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_network_that_blocks_by_a_hidden_comment_is_given_it(queue):
    net = Net()
    step(queue, "1", "block")
    assert [done for *_, done in blocks.carry_out(queue, net, ["1"])] == [True]
    step(queue, "1", "hide")
    assert [done for *_, done in blocks.carry_out(queue, net, ["1"])] == [True]
    assert net.told == [("block", "5", None), ("block", "5", queue.message("1")["external_id"])]


PEOPLE = "people: [{id: adm, roles: [administrator]}, {id: cur, roles: [curator]}]\n"


def _world(network):
    now = time.time() - 3000
    world = World(network, start=now)
    page = world.add_page("-9", "Администрация", "adm")
    for n in range(4):
        world.add_author(50 + n, f"Житель {n}")
    post = world.add_post(page, "Новость", at=now - 7200)
    rude = world.add_comment(post, "Все вы там бездельники", 50, at=now - 600)
    world.add_comment(post, "И правда", 51, parent=rude, at=now - 500)
    world.add_comment(post, "Нет воды на Ленина", 52, at=now - 400)
    world.add_comment(post, "Горит дом!", 53, at=now - 300)
    return world, rude


@pytest.mark.parametrize(
    ("network", "token", "behaviour"),
    [
        ("facebook", FACEBOOK, None),
        ("instagram", INSTAGRAM, Behaviour(hidden_shown=False)),
        ("instagram", INSTAGRAM, Behaviour(hidden_shown=False, hidden_counted=False)),
    ],
)
def test_from_the_desk_to_the_network_and_back(tmp_path, network, token, behaviour):
    world, rude = _world(network)
    url, path = f"sqlite:///{tmp_path}/otklik.db", tmp_path / "config.yaml"
    with Emulator(world, network=network, behaviour=behaviour) as emulator:
        name = world.naming.page(next(iter(world.pages.values())))
        path.write_text(
            f'organisation: {{name: Проба}}\nstore: {{url: "{url}"}}\n{PEOPLE}'
            f'networks: {{{network}: {{token: "{token}", api: "{emulator.url}", retries: 0, '
            f"requests_per_second: 1000}}}}\n"
            f'pages: [{{network: {network}, id: "{name}", owner: administration}}]\n'
        )

        def run(*argv):
            return otklik("--config", str(path), "queue", *argv)

        def collect():
            with Store.open(url) as store:
                conf = settings.load(path)
                judge = PlainJudge()
                report = cli.run_collect(store, conf, judges=(cli.judge_with(judge, conf), judge), full=True)
                assert report.exit_code == 0, report.results
            assert compare(url, world.ledger_ndjson().splitlines()).agrees

        collect()
        with Store.open(url) as store:
            ids = {m["text"]: m["id"] for m in store.messages()}
        id, fire = ids[rude.text], ids["Горит дом!"]
        refused = run("hide", id, "--ground", "insult", "--by", "cur")
        assert refused.code == 2 and not rude.hidden
        emulator.plan = type(emulator.plan).parse("post_node:http=500")
        down = run("hide", id, "--ground", "insult", "--by", "adm")
        assert down.code == 1 and "hidden --send" in down.err and not rude.hidden
        emulator.plan = type(emulator.plan).parse("")
        assert run("hidden", "--send", "--by", "adm").code == 0 and rude.hidden
        for _ in range(3):
            collect()  # neither it nor what hangs below is deleted, whatever the network shows
        world.add_comment(rude.post, "Спасибо, починили", 52)
        collect()
        asked = run("hide", fire, "--ground", "spam", "--by", "adm")
        assert asked.code == 0 and "ждёт второго решения" in asked.err
        told = run("confirm", fire, "--by", "cur")
        assert "скрытие подтверждено (спам)" in told.err and "скрыт на странице" in told.err
        assert sum(c.hidden for c in world.comments()) == 2
        assert "нами, оскорбление" in run("show", id).out and "Все вы там" not in run("hidden").out
        emulator.plan = type(emulator.plan).parse("post_node:http=500")
        assert run("unhide", id, "--by", "adm").code != 0 and rude.hidden
        emulator.plan = type(emulator.plan).parse("")
        assert run("unhide", id, "--by", "adm").code == 0 and not rude.hidden
        collect()


def test_a_network_that_only_deletes_hides_nothing(tmp_path, sqlite_url):
    from tests.rig import config, rig

    with rig(sqlite_url) as r:
        r.collect()
        said = r.say("Куплю окна")
        r.collect()
        path = tmp_path / "config.yaml"
        path.write_text(config(sqlite_url, r.emulator.url) + PEOPLE, encoding="utf-8")
        found = otklik("--config", str(path), "queue", "hide", r.story(said)["id"], "--ground", "spam", "--by", "adm")
        assert found.code == 1 and "сделайте сами" in found.err and "скрыть комментарий" in found.err
        r.collect()
        r.agrees()
