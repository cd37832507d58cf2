"""Publishing on the emulator, on both databases: once, whatever breaks between which steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import cli
from collectors.outlet import Outlet
from desk import publishing
from desk.publishing import Busy, Handed, Member, Published, Waiting
from desk.work import Refused
from store import NotFound, Store
from store.admin import verify
from tests.collectors.reply_suite import LOST, REFUSED
from tests.desk.publishing_rig import LATER, TEXT, publishing_rig


@pytest.fixture
def rig(store_url):
    with publishing_rig(store_url) as rig:
        yield rig


@pytest.fixture
def one(sqlite_url):
    """The same, where the database makes no difference."""
    with publishing_rig(sqlite_url) as rig:
        yield rig


def test_an_approved_answer_is_published_read_back_and_kept(rig):
    id = rig.asked()
    last = rig.store.last_seq()
    done = rig.publish(id)
    assert isinstance(done, Published) and done.message["status"] == "published" and done.message["deadlines"] == {}
    (entry,) = rig.written()
    assert entry["parent"] == rig.store.message(id)["external_id"] and entry["author"] == -1
    (p,) = rig.store.publications(id)
    assert (p.state, p.attempts, p.by) == ("done", 1, "adm")
    assert p.receipt.external_id == entry["external_id"] and p.receipt.url == done.url and p.receipt.published_at
    (event,) = rig.store.events(last, 10)
    assert event["type"] == "otklik.message.answered" and event["data"]["step"]["details"]["url"] == done.url
    desk = rig.store.desk(id)
    assert [(r["state"], r["url"]) for r in desk["replies"]] == [("published", done.url)]
    assert [e["verb"] for e in desk["log"]][-2:] == ["send", "publish"]
    with pytest.raises(Refused):
        rig.publish(id)
    before = {m["id"] for m in rig.store.messages()}
    rig.collect(full=True)
    assert {m["id"] for m in rig.store.messages()} == before  # our own answer is no resident's message
    rig.agrees()
    assert verify(rig.url) == [] and len(rig.written()) == 1


def test_a_post_of_a_resident_is_answered_under_itself(one):
    post = one.world.add_post(one.page(), "Нет воды третий день", author=1001)
    one.world.advance(1)
    one.collect()
    id = one.approve(one.stored()[one.world.external_id(post)]["id"])
    assert isinstance(one.publish(id), Published)
    (entry,) = one.written()
    assert entry["post"] == one.world.external_id(post)


def test_on_somebody_elses_page_the_administration_speaks_as_itself(store_url):
    with publishing_rig(store_url) as rig:
        pages = [
            {"network": "vk", "id": "-2", "include": ["posts"], "owner": "government"},
            {"network": "vk", "id": "-1", "include": ["posts"]},
        ]
        rig.options["pages"] = pages
        rig.collect(full=True)
        id = rig.asked(post=rig.post(2))
        assert isinstance(rig.publish(id), Published)
        (entry,) = [e for e in rig.world.ledger() if e["text"] == TEXT]
        assert (entry["page"], entry["author"]) == ("-2", -1)
        before = {m["id"] for m in rig.store.messages()}
        rig.collect(full=True)
        assert {m["id"] for m in rig.store.messages()} == before  # known as ours on that page too
        assert verify(rig.url) == []


def test_without_a_page_of_our_own_a_person_publishes(one):
    one.options["pages"] = [{"network": "vk", "id": "-1", "include": ["posts"], "owner": "government"}]
    id = one.asked()
    done = one.publish(id)
    assert isinstance(done, Handed) and "owner: administration" in done.reason and done.text == TEXT
    assert not one.written() and not one.store.publications(id)


# --- when it breaks ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As if the process had died here."""


STEPS = ("intend", "send", "received", "find", "seen", "act")


def break_at(monkeypatch, step, after):
    """The process dies before or after this step, once."""
    from collectors.outlet import Outlet

    home = Outlet if step in ("send", "find") else Store
    real = getattr(home, step)
    state = {"left": 1}

    def broken(self, *args, **how):
        if not state["left"]:
            return real(self, *args, **how)
        state["left"] = 0
        if after:
            real(self, *args, **how)
        raise Killed

    monkeypatch.setattr(home, step, broken)


def test_dead_between_any_two_steps_it_is_published_once(sqlite_url, monkeypatch):
    """Even by a network that forgets every key of idempotency at once."""
    with publishing_rig(sqlite_url, guid_seconds=0) as rig:
        said = {}
        for step in STEPS:
            for after in (False, True):
                text = f"{TEXT} ({step}, {after})"
                id = said[text] = rig.approve(rig.asked(answer=None), text)
                with monkeypatch.context() as patch:
                    break_at(patch, step, after)
                    with pytest.raises(Killed):
                        rig.publish(id)
                begun = rig.store.unfinished()
                if (step, after) == ("intend", False):
                    assert not begun  # nothing was meant yet: a person asks again
                    assert isinstance(rig.publish(id), Published)
                elif (step, after) == ("act", True):
                    assert not begun
                else:
                    assert [p.message_id for p in begun] == [id]
                    rig.collect()
                assert rig.store.message(id)["status"] == "published", (step, after)
                assert len(rig.written(text)) == 1, (step, after)
        assert rig.resume() == [] and rig.store.unfinished() == []
        rig.collect(full=True)
        rig.agrees()
        assert verify(rig.url) == []


def test_a_network_that_does_not_answer_gets_it_once(one):
    for fault in LOST[::2] + REFUSED[::3]:  # each of them: the suite of the collectors
        text = f"{TEXT} ({fault})"
        id = one.approve(one.asked(answer=None), text)
        one.options["network"] = ", retries: 1, timeout: 0.2, max_wait: 1"
        one.strike(f"wall.createComment:{fault}")
        done = one.publish(id)
        assert isinstance(done, Waiting) and done.problem and one.store.message(id)["status"] == "approved", fault
        assert one.store.publications(id)[0].problem
        one.strike("")
        one.options["network"] = ""
        assert [type(o) for o in one.resume()] == [Published], fault
        assert len(one.written(text)) == 1, fault


def test_what_the_network_took_but_does_not_show_is_not_published_yet_nor_sent_again(one):
    id = one.asked()
    one.strike("wall.getComments:hollow")
    for _ in range(2):
        done = one.publish(id)
        assert isinstance(done, Waiting) and "не показывает" in done.problem
    assert one.store.publications(id)[0].state == "sent" and one.store.message(id)["status"] == "approved"
    assert one.emulator.calls["wall.createComment"] == 1
    one.strike("")
    assert isinstance(one.publish(id), Published) and len(one.written()) == 1


def test_when_one_cannot_look_nothing_is_sent_again(one, monkeypatch):
    id = one.asked()
    break_at(monkeypatch, "send", after=True)
    with pytest.raises(Killed):
        one.publish(id)
    one.options["network"] = ", retries: 0"
    one.strike("wall.getComment:http=500; wall.getComments:http=500")
    assert isinstance(one.publish(id), Waiting) and one.emulator.calls["wall.createComment"] == 1
    one.strike("")
    assert isinstance(one.publish(id), Published) and one.emulator.calls["wall.createComment"] == 1


def test_what_may_be_out_is_not_reworked(one, monkeypatch):
    id = one.asked()
    break_at(monkeypatch, "send", after=True)
    with pytest.raises(Killed):
        one.publish(id)
    with pytest.raises(Refused, match="уже отправлен в сеть"):
        one.step(id, "rework", reason="подробнее")
    one.resume()
    assert one.store.message(id)["status"] == "published"


def test_where_comments_are_closed_a_person_does_it_and_nothing_is_tried_by_itself(one):
    id = one.asked()
    one.post().closed = True
    done = one.publish(id)
    assert isinstance(done, Handed) and done.text == TEXT and done.link == one.store.message(id)["url"]
    assert one.store.publications(id)[0].state == "by_hand" and one.resume() == []
    one.step(id, "rework", reason="короче")
    one.step(id, "draft", "z", kind="final", text="Воду дали.")
    one.step(id, "approve")
    one.post().closed = False
    assert isinstance(one.publish(id), Published)
    assert [p.state for p in one.store.publications(id)] == ["by_hand", "done"]
    assert len(one.written("Воду дали.")) == 1 and not one.written()


def test_a_handed_over_answer_may_be_tried_again_or_recorded(one):
    first, second = one.asked(), one.asked("Когда дадут газ?")
    one.post().closed = True
    assert isinstance(one.publish(first), Handed) and isinstance(one.publish(second), Handed)
    one.post().closed = False
    assert isinstance(one.publish(first), Published)
    one.step(second, "publish", url="https://vk.com/wall-1_1?reply=99")
    (p,) = one.store.publications(second)
    assert (p.state, one.store.desk(second)["replies"][0]["url"]) == ("done", "https://vk.com/wall-1_1?reply=99")
    assert len(one.written()) == 1 and one.store.unfinished() == []


def test_a_bad_token_changes_nothing_but_says_so(one):
    id = one.asked()
    one.options["token"] = "nobody-knows-it"
    done = one.publish(id)
    assert isinstance(done, Waiting) and done.exit_code == 1 and "nobody-knows-it" not in done.problem
    del one.options["token"]
    assert isinstance(one.publish(id), Published) and len(one.written()) == 1


def test_two_interim_answers_of_the_same_words_are_two(one):
    """The second is not taken for the first, although both stand under the same comment."""
    one.world.advance(1)
    asked = one.say("Когда включат воду?")
    one.collect()
    id = one.id(asked)
    one.approve(id, kind="interim", until=datetime.now(UTC) + LATER)
    first = one.publish(id)
    one.step(id, "draft", "z", kind="interim", text=TEXT, until=datetime.now(UTC) + LATER)
    one.step(id, "approve")
    second = one.publish(id)
    assert first.url != second.url and len(one.written()) == 2
    assert second.message["status"] == "in_work"


def test_however_its_number_is_written_a_message_has_one_lock(one):
    id = one.asked()
    with publishing.alone(one.store, id):
        for written in (f"0{id}", f" {id}"):
            with pytest.raises(Busy):
                one.publish(written)
    for wrong in ("x", "99999", "\udcff"):
        with pytest.raises(NotFound):
            one.publish(wrong)
    assert one.written() == []


def test_a_collector_that_breaks_while_publishing_spoils_no_collecting(one, monkeypatch):
    id = one.asked()
    break_at(monkeypatch, "send", after=True)
    with pytest.raises(Killed):
        one.publish(id)
    new = one.say("Нет света")
    with monkeypatch.context() as broken:
        broken.setattr(Outlet, "find", lambda *_: {}["no such key"])
        cli.run_collect(one.store, one.settings, judges=one.judges)
    assert one.id(new) and one.store.message(id)["status"] == "approved"
    cli.run_collect(one.store, one.settings, judges=one.judges)
    assert one.store.message(id)["status"] == "published" and len(one.written()) == 1


def test_two_people_at_once_publish_it_once(rig):
    id = rig.asked()

    def go(_):
        with Store.open(rig.url) as store:
            from cli import open_outlet

            with open_outlet(rig.settings, store) as outlet:
                try:
                    return type(publishing.publish(store, rig.settings, outlet, id, by="adm"))
                except (Busy, Refused) as e:
                    return type(e)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(go, range(4)))
    assert found.count(Published) == 1 and set(found) <= {Published, Busy, Refused}
    assert len(rig.written()) == 1


def test_only_who_may_publishes_and_what_was_decided_stays_decided(one, monkeypatch):
    id = one.asked()
    for who, why in (("z", "это делает администратор"), ("cur", "это делает администратор"), ("x", "нет в настройках")):
        with pytest.raises(Refused, match=why):
            one.publish(id, by=who)
    assert not one.store.publications(id) and not one.emulator.calls["wall.createComment"]
    with pytest.raises(Exception, match="уже изменил"):
        one.publish(id, version=1)
    today = datetime.now(UTC).date()
    away = f"{{from: {today - timedelta(days=1)}, to: {today + timedelta(days=1)}, substitute: cur}}"
    one.people = one.people.replace("role: administrator", f"role: administrator, absence: {away}")
    break_at(monkeypatch, "send", after=True)
    with pytest.raises(Killed):
        one.publish(id, by="cur")
    later = datetime.now(UTC) + timedelta(days=5)  # the absence is over, the answer is out: it is recorded
    with one.outlet() as outlet:
        (done,) = publishing.resume(one.store, one.settings, outlet, clock=lambda: later)
    assert isinstance(done, Published)
    assert one.store.desk(id)["log"][-1]["details"]["for"] == "adm"


def test_what_somebody_began_who_is_gone_another_finishes(one, monkeypatch):
    id = one.asked()
    break_at(monkeypatch, "send", after=True)
    with pytest.raises(Killed):
        one.publish(id)
    one.people = one.people.replace("id: adm", "id: new")
    (left,) = one.resume()
    assert isinstance(left, Waiting) and "начал adm, которого больше нет в настройках" in left.problem
    assert f"otklik queue publish {id} --by" in left.problem
    assert isinstance(one.publish(id, by="new"), Published) and len(one.written()) == 1
    assert one.store.desk(id)["log"][-1]["actor"] == "new" and one.store.unfinished() == []


# --- one answer for a whole question ----------------------------------------------------------------------------------


def cluster(rig):
    """Four messages of one question, under three posts; the first one's answer is approved."""
    posts = [rig.post(1, 1), rig.post(1, 2), rig.post(2, 1), rig.post(2, 1)]
    asked = [rig.say(f"Нет воды уже день {n}", post) for n, post in enumerate(posts)]
    rig.collect()
    ids = [rig.id(c) for c in asked]
    assert {m["id"] for m in rig.store.repeats(ids[0])} == set(ids)
    rig.approve(ids[0])
    return ids


def test_one_answer_goes_to_every_thread_of_its_question(rig):
    ids = cluster(rig)
    rig.step(ids[2], "route", to=["roads"])
    found = rig.to_all(ids[0])
    assert {id: type(o) for id, o in found.items()} == dict.fromkeys(ids, Published)
    written = rig.written()
    assert {e["parent"] for e in written} == {rig.store.message(i)["external_id"] for i in ids} and len(written) == 4
    guids = {rig.store.publications(i)[0].guid for i in ids}
    assert len(guids) == 4
    assert [rig.store.message(i)["division"] for i in ids] == ["zhkh", "zhkh", "roads", "zhkh"]
    assert rig.store.desk(ids[1])["case"]["reply"]["of"] == ids[0]
    again = rig.to_all(ids[0])
    assert all(isinstance(o, Member) and "уже отвечено" in o.why for o in again.values()) and len(rig.written()) == 4
    rig.collect(full=True)
    rig.agrees()
    assert verify(rig.url) == []


def test_what_fails_with_one_thread_holds_up_no_other_and_is_made_good(one, monkeypatch):
    ids = cluster(one)
    one.post(1, 2).closed = True
    found = one.to_all(ids[0])
    assert [type(found[i]) for i in ids] == [Published, Handed, Published, Published]
    one.post(1, 2).closed = False
    found = one.to_all(ids[0])
    assert isinstance(found[ids[1]], Published) and len(one.written()) == 4


@pytest.mark.parametrize("step", ["send", "act", "join"])
def test_dead_in_the_middle_of_a_cluster_everybody_is_answered_once(one, monkeypatch, step):
    ids = cluster(one)
    real, count = Store.act, {"n": 0}

    def dies(self, *args, **how):
        count["n"] += 1
        if count["n"] == 2:  # the second message is about to join
            monkeypatch.setattr(Store, "act", real)
            real(self, *args, **how)
            raise Killed
        return real(self, *args, **how)

    if step == "join":
        monkeypatch.setattr(Store, "act", dies)
    else:
        break_at(monkeypatch, step, after=True)
    with pytest.raises(Killed):
        one.to_all(ids[0])
    one.resume()
    one.to_all(ids[0])
    assert [one.store.message(i)["status"] for i in ids] == ["published"] * 4
    assert sorted(e["parent"] for e in one.written()) == sorted(one.store.message(i)["external_id"] for i in ids)


def test_who_has_an_answer_of_his_own_or_needs_none_is_left_out(one):
    ids = cluster(one)
    one.approve(ids[1], "Вам ответим отдельно.")
    gone = next(c for c in one.world.comments() if one.key(c) == one.store.message(ids[2])["external_id"])
    one.world.delete(gone)
    one.collect(full=True)
    found = one.to_all(ids[0])
    assert isinstance(found[ids[1]], Member) and "свой ответ" in found[ids[1]].why
    assert isinstance(found[ids[2]], Member) and "удалено" in found[ids[2]].why
    assert isinstance(found[ids[3]], Published) and len(one.written()) == 2


def test_the_answer_to_all_needs_an_approved_one_and_the_right(one):
    ids = cluster(one)
    with pytest.raises(Refused, match="согласованного ответа ещё нет"):
        one.to_all(ids[1])
    with pytest.raises(Refused, match="это делает администратор"):
        one.to_all(ids[0], by="z")
    assert not one.written()
    one.publish(ids[0])
    found = one.to_all(ids[0], by="z")  # his own right is asked for each of the others
    assert all(isinstance(o, Waiting) and "это делает администратор" in o.problem for o in found.values())
    assert len(one.written()) == 1


def test_an_interim_answer_to_all_keeps_everybody_waiting_for_the_final_one(one):
    ids = cluster(one)
    one.step(ids[0], "rework", reason="ещё не готово")
    until = datetime.now(UTC) + LATER
    one.step(ids[0], "draft", "z", kind="interim", text="Ремонт до пятницы.", until=until)
    one.step(ids[0], "approve")
    assert all(isinstance(o, Published) for o in one.to_all(ids[0]).values())
    for id in ids:
        message = one.store.message(id)
        assert (message["status"], message["division"]) == ("in_work", "zhkh")
        assert datetime.fromisoformat(message["deadlines"]["answer"]) == until


# --- notices ----------------------------------------------------------------------------------------------------------


def notify(rig, id, text="Ваше сообщение принято.", by="adm"):
    with rig.outlet() as outlet:
        return publishing.notify(rig.store, rig.settings, outlet, id, "acknowledgement", text, by=by)


def test_an_acknowledgement_is_published_and_recorded(rig):
    id = rig.asked(answer=None)
    with pytest.raises(Refused, match="не нужно"):
        notify(rig, id)
    rig.step(id, "accept")
    done = notify(rig, id)
    assert isinstance(done, Published) and done.message["status"] == "accepted"
    assert rig.store.desk(id)["case"]["owed"] == [] and len(rig.written("Ваше сообщение принято.")) == 1
    (reply,) = rig.store.desk(id)["replies"]
    assert (reply["kind"], reply["state"], reply["url"]) == ("acknowledgement", "published", done.url)
    with pytest.raises(Refused, match="не нужно"):
        notify(rig, id)
    rig.approve(id)  # the answer comes after it, under the same comment
    assert isinstance(rig.publish(id), Published)
    assert [p.n for p in rig.store.publications(id)] == [1, 2] and verify(rig.url) == []


@pytest.mark.parametrize("step", ["send", "received", "act"])
def test_a_notice_of_a_dead_run_is_published_once(one, monkeypatch, step):
    id = one.asked(answer=None)
    one.step(id, "accept")
    break_at(monkeypatch, step, after=True)
    with pytest.raises(Killed):
        notify(one, id)
    one.step(id, "route", to=["zhkh"])  # work goes on meanwhile
    one.resume()
    if "acknowledgement" in one.store.desk(id)["case"]["owed"]:
        assert step == "act"  # it had only been written down
        notify(one, id)
    assert len(one.written("Ваше сообщение принято.")) == 1
    assert one.store.desk(id)["case"]["owed"] == [] and one.store.unfinished() == []


def test_a_notice_under_way_holds_up_no_answer(one, monkeypatch):
    id = one.asked(answer=None)
    one.step(id, "accept")
    one.strike("wall.getComments:hollow")
    assert isinstance(notify(one, id), Waiting)
    one.approve(id)
    one.step(id, "rework", reason="короче")
    one.step(id, "draft", "z", kind="final", text=TEXT)
    one.step(id, "approve")
    one.strike("")
    assert isinstance(one.publish(id), Published) and len(one.written()) == 1
    assert one.resume() == [] and one.store.unfinished() == []  # the answer has overtaken it
    assert len(one.written("Ваше сообщение принято.")) == 1
