"""Refusing, blocking and repeats on stored messages: two people, terms that end, what the log and the feed tell."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from desk import blocks
from desk.deadlines import after_correction
from desk.work import Refused, act
from feed.schema import schema
from settings import ConfigError
from store import NotFound, StoreError
from store.admin import verify
from tests.desk.test_states import GOOD, SETTINGS
from tests.store.build import EMERGENCY, NOW, judged, landing, see

one_database = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what is the same on both; a few tests of this file run on both."""
DAY = timedelta(days=1)


@pytest.fixture
def queue(store):
    """Two plain messages of one author on one page, an emergency, one that nobody has judged."""
    see(store)
    store.land(landing(judged(1), judged(2, "нет света"), judged(3, "горит дом", EMERGENCY), judged(4, "?", None)), NOW)
    return store


class Idle:
    """A network that keeps terms itself."""

    def block_ends(self, network):
        return True


def step(store, id, verb, by="adm", now=NOW, **args):
    return act(store, SETTINGS, id, verb, {**GOOD.get(verb, {}), **args}, by=by, now=now)


def correct(store, id, by="adm", **changes):
    return store.correct(id, changes, by=by, now=NOW, clocks=lambda m, d: after_correction(m, d, SETTINGS))


@pytest.mark.parametrize("id", ["3", "4"])
def test_one_person_cannot_call_off_an_emergency_and_refuse_it(queue, id, store_url):
    correct(queue, id, emergency=False, reaction="required", urgency="prompt")
    correct(queue, id, topic="gas", topic_group="housing")  # another word does not hide the first one
    assert step(queue, id, "refuse")["status"] == "refusal"
    with pytest.raises(Refused, match="это делает глава или куратор"):
        step(queue, id, "confirm")
    assert step(queue, id, "confirm", "cur")["status"] == "closed"
    assert verify(store_url) == []


@one_database
def test_one_person_cannot_call_off_an_emergency_and_close_it(queue):
    correct(queue, "3", emergency=False, reaction="none")
    with pytest.raises(Refused, match="закрыть без ответа может другой человек"):
        step(queue, "3", "close")


@one_database
def test_two_people_may(queue):
    correct(queue, "3", by="cur", emergency=False, reaction="none")
    assert step(queue, "3", "close")["status"] == "closed"


@one_database
def test_an_emergency_anew_needs_the_second_look_anew(queue):
    correct(queue, "3", by="cur", emergency=False)
    correct(queue, "3", by="cur", emergency=True)
    assert step(queue, "3", "refuse")["status"] == "refusal"


@one_database
def test_a_correction_is_in_the_log_and_the_feed(queue, store_url):
    before = queue.last_seq()
    correct(queue, "1", topic="gas", topic_group="housing", places=["Ялак"])
    queue.relate("2", "1", by="adm", now=NOW)
    assert [(e["verb"], e["actor"]) for id in ("1", "2") for e in queue.desk(id)["log"]] == [
        ("correct", "adm"), ("relate", "adm")
    ]  # fmt: skip
    for event in queue.events(before, 10):
        Draft202012Validator(schema(event["type"], strict=True)).validate(event)
        assert event["data"]["step"]["by"] == "adm"
    assert verify(store_url) == []


def test_a_blocking_lasts_for_its_term_on_all_messages_of_the_author(queue, store_url):
    step(queue, "1", "block", until=NOW + DAY, reason="реклама окон")
    step(queue, "2", "block", until=NOW + 2 * DAY, ground="insult")
    listed = queue.blocks()
    assert [(b["message_id"], b["ground"], b["author"]["id"]) for b in listed] == [
        ("1", "spam", "5"), ("2", "insult", "5")
    ]  # fmt: skip
    assert queue.blocks(author_of="3") == listed and queue.blocks(due=NOW) == []
    assert blocks.lift_due(queue, SETTINGS, NOW + DAY, Idle()) == [listed[0] | {"by_hand": None}]
    assert blocks.lift_due(queue, SETTINGS, NOW + DAY, Idle()) == []
    assert [b["message_id"] for b in queue.blocks()] == ["2"]  # another message blocks the author still
    log = queue.desk("1")["log"]
    assert [(e["verb"], e["actor"]) for e in log] == [("block", "adm"), ("unblock", "otklik")]
    assert log[0]["details"]["reason"] == "реклама окон" and log[1]["details"]["reason"] == "срок вышел"
    assert [e["data"]["step"]["verb"] for e in queue.events(0, 99)[-1:]] == ["unblock"]
    step(queue, "2", "unblock", reason="извинился")
    assert queue.blocks() == [] and verify(store_url) == []


@one_database
def test_a_blocking_for_an_emergency_waits_and_is_not_in_the_list(queue):
    step(queue, "3", "block")
    assert queue.blocks() == []
    step(queue, "3", "confirm", "cur")
    assert [b["message_id"] for b in queue.blocks()] == ["3"]


@one_database
def test_nobody_is_called_the_program(queue):
    step(queue, "1", "block")
    with pytest.raises(Refused, match="человека «otklik» нет"):
        step(queue, "1", "unblock", by="otklik")


@one_database
def test_the_list_shows_who_where_and_until_when(queue):
    step(queue, "1", "block", until=NOW + DAY)
    told = {("vk", "-1"): "Администрация \x1b[31mрайона"}

    def shown(now, found=None, **more):
        console = Console(file=io.StringIO(), width=80)
        console.print(blocks.table(queue.blocks() if found is None else found, told, zone="UTC", now=now, **more))
        return console.file.getvalue()

    assert "Имя Отчество" in shown(NOW) and "25.11.2026 09:00" in shown(NOW) and "спам" in shown(NOW)
    assert "срок вышел" not in shown(NOW) and "срок вышел" in shown(NOW + DAY) and "\x1b" not in shown(NOW)
    assert "Никто не заблокирован" in shown(NOW, []) and "Никого" in shown(NOW, [], lifted=True)


@pytest.mark.parametrize("term", ["", "always", "-5d", "1e9d", "99999d", "9999999h", "nan", "0.5wd", "5 d", "٣d"])
def test_a_term_that_is_none(term):
    with pytest.raises(ConfigError, match="--for"):
        blocks.end_of(term, NOW, SETTINGS)


def test_a_term_may_be_working_days():
    assert blocks.end_of("30d", NOW, SETTINGS) == NOW + 30 * DAY
    assert blocks.end_of("1wd", NOW, SETTINGS) == NOW + DAY + timedelta(hours=6)


def test_a_repeat_is_one_step_with_its_link(queue, store_url):
    found = step(queue, "2", "repeat", of="1")
    assert (found["repeat_of"], found["status"]) == ("1", "new")
    assert queue.message("2")["repeat_of"] == "1" and [m["id"] for m in queue.repeats("1")] == ["1", "2"]
    event = queue.events(0, 99)[-1]
    Draft202012Validator(schema(event["type"], strict=True)).validate(event)
    assert event["type"] == "otklik.message.moved" and event["data"]["repeat_of"] == "1"
    with pytest.raises(NotFound):
        step(queue, "2", "repeat", of="77")
    with pytest.raises(StoreError, match="не может повторять само себя"):
        step(queue, "2", "repeat", of="2")
    with pytest.raises(StoreError, match="само повторяют другие"):
        step(queue, "1", "repeat", of="3")
    assert [e["verb"] for e in queue.desk("2")["log"]] == ["repeat"] and queue.desk("1")["log"] == []
    assert verify(store_url) == []
