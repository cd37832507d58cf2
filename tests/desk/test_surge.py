"""Raised activity: the statistic against exact sums, a quiet month, a real rise, one alert for it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from scipy.stats import nbinom

from desk.alerts import Deliverer, compose
from desk.spikes import overview, ready, skipped, watch
from desk.surge import Norms, Rules, fit, hour_number, keys, kind_of, limit, stretch, tail, usual
from settings import ConfigError, Settings, parse
from store import Store
from store.activity import once
from store.values import SPIKE, Assessment, Author, Hour, Judged, Place, Voice
from tests.desk import traffic
from tests.desk.receivers import receiver
from tests.store.build import PAGE, comment, landing, types

START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
KHKEM = Place("Хкем", "село", ("Ахтынский район",), 41.4, 47.7)
WATER = Assessment("cold_water", "housing", 0.9, (KHKEM,), "prompt", reaction="required", model="m1")


# --- the statistic ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [1e-6, 0.02, 0.3, 2.0])
@pytest.mark.parametrize(("n", "mu"), [(0, 1.0), (1, 0.001), (5, 0.01), (3, 10.0), (20, 5.0), (60, 10.0), (400, 100.0)])
def test_the_tail_is_that_of_the_negative_binomial_law(n, mu, phi):
    r = 1 / phi
    assert tail(n, mu, phi) == pytest.approx(float(nbinom.sf(n - 1, r, r / (r + mu))), rel=1e-6, abs=1e-14)


def test_an_hour_of_the_week_is_expected_as_the_same_hours_were():
    """Ten an hour at ten on Mondays, two an hour otherwise, for eight weeks."""
    hours = [Hour(START + i * HOUR, "g", "t", "", "vk", "1", 10 if i % 168 == 10 else 2) for i in range(8 * 168)]
    end = START + timedelta(weeks=8)
    norms = fit(hours, START, end, {("vk", "1"): START}, timedelta(days=14))
    own = {hour_number(h.hour): h.n for h in hours}
    key = ("g", "t", "", "", "")
    monday = end + 10 * HOUR
    assert usual(norms, key, monday, monday + HOUR, own)[0] == pytest.approx(10, rel=0.1)
    assert usual(norms, key, monday + 5 * HOUR, monday + 6 * HOUR, own)[0] == pytest.approx(2, rel=0.1)
    assert usual(norms, key, monday, monday + HOUR / 2, own)[0] == pytest.approx(5, rel=0.1)
    assert usual(norms, ("x", "new", "nowhere", "", ""), monday, monday + HOUR, {})[0] < 0.5
    assert Norms.from_plain(norms.as_plain()) == norms


def test_small_subjects_are_drawn_towards_their_kind():
    hours = [Hour(START + 7 * i * HOUR, "g", f"t{i % 20}", "", "vk", "1", 1) for i in range(100)]
    norms = fit(hours, START, START + timedelta(weeks=8), {}, timedelta(days=14))
    at = START + timedelta(weeks=8)
    of_five = usual(norms, ("g", "t3", "", "", ""), at, at + HOUR, {hour_number(START) + i: 1 for i in range(5)})[0]
    of_none = usual(norms, ("g", "new", "", "", ""), at, at + HOUR, {})[0]
    assert of_none > 0.5 * of_five  # all had five: one without any is not taken for one without anybody


def test_the_kinds_of_subjects_and_their_shares():
    found = list(keys("g", "t", ("", "Хкем"), "vk", "1"))
    assert len(found) == len(set(found)) == 12 and sorted(map(kind_of, found)) == list(range(12))
    rules, looks = Rules(), 0.0
    for window in rules.windows:
        looks += 12 * 50 * limit(rules, window, 50) * 4 * (timedelta(days=7) / window)
    assert looks == pytest.approx(rules.false_per_week)
    assert sum(share for _, share in stretch(START + 50 * MINUTE, START + 130 * MINUTE)) == pytest.approx(80 / 60)


def test_a_new_page_is_learnt_first():
    hours = [Hour(START + i * HOUR, "g", "t", "", "vk", "1", 1) for i in range(28 * 24)]
    pages = {("vk", "1"): START, ("vk", "2"): START + timedelta(days=20), ("vk", "3"): START + timedelta(days=7)}
    norms = fit(hours, START, START + timedelta(days=28), pages, timedelta(days=14))
    assert norms.young == {("vk", "2")} and norms.since == {("vk", "3"): hour_number(START + timedelta(days=7))}


# --- who counts -------------------------------------------------------------------------------------------------------


def voice(n, who, at=START, topic="t", places=("Хкем",), page="1"):
    return Voice(str(n), at, who, "g", topic, places, "vk", page)


def test_copies_of_one_author_count_once_a_day():
    copies = [voice(i, "a", START + i * MINUTE, page=str(i % 3)) for i in range(30)]
    assert [v.id for v in once(copies)] == ["0"]
    other = [voice(31, "b"), voice(32, "a", topic="u"), voice(33, "a", START + DAY)]
    assert [v.id for v in once([*copies, *other])] == ["0", "31", "32", "33"]
    (_, moved) = once([voice(1, "a"), voice(2, "a", places=("Хкем", "Луткун"))])
    assert moved.places == ("Луткун",) and not moved.whole  # the author is one, the second place is new


# --- simulated traffic; the full year is `python -m tests.soak spikes` ------------------------------------------------


@pytest.fixture(scope="module")
def month():
    return traffic.watch(25, 11, traffic.District(a_day=120, pages=3, topics=15, places=8), Rules(), refit=7)


def test_ordinary_weeks_raise_hardly_anything(month):
    watched, *_ = month
    assert watched.voices > 2000 and watched.subjects > 250
    assert len(watched.false) <= 2, watched.false  # ten days; one a week is borne


def test_a_real_rise_is_noticed_within_half_an_hour(month):
    _, memory, heard, norms = month
    assert traffic.power(memory, heard, norms, Rules(), 10.0, 4.0, 50.0, 10, 1)[0] >= 9
    found, made = traffic.power(memory, heard, norms, Rules(), 1.0, 4.0, 50.0, 10, 1)  # nothing added
    assert (found, made) == (0, 10)


# --- the whole way ----------------------------------------------------------------------------------------------------


def settings(*head: str, **spikes) -> Settings:
    return Settings.model_validate(
        {
            "organisation": {"district": "Ахтынский район"},
            "alerts": {"head": list(head), "timeout": 30, "spikes": spikes},
        }
    )


def said(at, *who, text="Нет воды", assessment=WATER):
    return [
        Judged(comment(f"{at.timestamp()}-{w}", text, author=Author(w, w, None, "person"), published_at=at), assessment)
        for w in who
    ]


def land(store, at, *who, first=None, **more):
    copies = [f"{w}#{i}" for i, w in enumerate(who)] if len(set(who)) < len(who) else who
    items = said(at, *copies, **more)
    if copies is not who:  # the same author, many comments
        items = [replace(j, comment=replace(j.comment, author=Author(who[0], who[0], None, "person"))) for j in items]
    store.land(landing(*items, server_time=first or at), first or at)


NOW = START + timedelta(days=21, hours=12)


def quiet_weeks(store):
    """Three weeks in which somebody writes of water in Хкем every other day, and others of other things."""
    store.see_page(PAGE, START - DAY)
    rng = random.Random(1)
    for day in range(21):
        at = START + day * DAY + timedelta(hours=10)
        items = said(at, f"w{day}") if day % 2 else []
        for n in range(4):
            roads = Assessment(f"roads{n}", "roads", 0.9, (), "prompt", reaction="required", model="m1")
            items += said(at + timedelta(minutes=rng.randrange(400)), f"r{day}{n}", text="Яма", assessment=roads)
        evening = at + timedelta(hours=8)
        store.land(landing(*items, server_time=evening), evening)
    for _ in range(3):  # at most so many days are folded at a time
        assert watch(store, settings(), NOW) == []
    return store


@pytest.fixture
def quiet(sqlite_url):
    with Store.open(sqlite_url) as store:
        yield quiet_weeks(store)


def test_a_rise_is_told_once_with_what_where_how_many_and_examples(store):
    quiet_weeks(store)
    names = {"cold_water": "Холодная вода"}
    land(store, NOW - 10 * MINUTE, *(f"n{i}" for i in range(9)), text="Воды нет! https://evil.example @all")
    with receiver() as phone:
        (alert,) = watch(store, settings(), NOW, names)
        Deliverer(store, settings(phone.url)).deliver_due(NOW)
        (text,) = phone.texts
    for part in ("Повышенная социальная активность", "Холодная вода", "Хкем", "9 человек", "30 минут",
                 "https://vk.com/wall-1_10?reply=", "Воды нет! [ссылка] ＠all", f"alerts ack {alert}"):  # fmt: skip
        assert part in text, text
    (raised,) = store.alerts()
    assert raised["kind"] == SPIKE and not raised["drill"] and raised["message"] is None
    assert types(store)[-1] == "alert.raised"
    # it goes on, and grows: nothing new
    for step in range(1, 12):
        at = NOW + 10 * step * MINUTE
        land(store, at, *(f"m{step}-{i}" for i in range(6)), text=f"Воды нет {step}")
        assert watch(store, settings(), at, names) == []
    # over: after the calm another one is told
    later = NOW + timedelta(hours=20)
    assert watch(store, settings(), later - 8 * HOUR) == watch(store, settings(), later) == []
    assert store.spikes(NOW)[0].ended_at is not None
    land(store, later, *(f"k{i}" for i in range(9)), text="Снова нет воды")
    assert len(watch(store, settings(), later, names)) == 1


def test_copies_chat_archive_and_the_deleted_are_no_rise(quiet):
    store = quiet
    land(store, NOW - 9 * MINUTE, *["one"] * 60)
    thanks = Assessment(None, None, 0.0, (KHKEM,), None, reaction="none", model="m1")
    land(store, NOW - 8 * MINUTE, *(f"t{i}" for i in range(300)), text="С праздником!", assessment=thanks)
    land(
        store, START - 10 * DAY, *(f"h{i}" for i in range(50)), first=NOW - MINUTE
    )  # older than the page's first sight
    assert watch(store, settings(), NOW) == []
    land(store, NOW - 7 * MINUTE, *(f"d{i}" for i in range(12)))
    gone = [f"c{(NOW - 7 * MINUTE).timestamp()}-d{i}" for i in range(12)]
    store.land(landing(deleted=gone, server_time=NOW), NOW)
    assert watch(store, settings(), NOW) == []


def test_nothing_is_told_before_there_is_history_or_when_switched_off(sqlite_url):
    store = Store.open(sqlite_url)
    store.see_page(PAGE, START - DAY)
    land(store, START, *(f"a{i}" for i in range(50)))
    assert watch(store, settings(), START + MINUTE) == []
    assert ready(store, settings(), START + MINUTE) is None
    land(store, START + 3 * DAY, *(f"b{i}" for i in range(50)))
    assert watch(store, settings(), START + 3 * DAY) == []  # there is history, but no two weeks of it
    assert watch(store, settings(enabled=False), START + 30 * DAY) == []
    store.close()


def test_two_runs_at_once_tell_it_once(quiet):
    land(quiet, NOW, *(f"n{i}" for i in range(9)))
    lock = quiet.try_lock("spikes")
    with lock:
        assert watch(quiet, settings(), NOW) == []
    assert len(watch(quiet, settings(), NOW)) == 1


def test_what_is_watched_can_be_looked_at(quiet):
    land(quiet, NOW, *(f"n{i}" for i in range(3)))
    found = overview(quiet, settings(), NOW, {})
    assert found["subjects"] > 5 and found["told"] == [] and found["history_days"] >= 19
    top = found["highest"][0]
    assert "Хкем" in top["about"] and top["n"] == 3 and not top["rise"]


def test_a_days_history_is_folded_once(quiet):
    mark = quiet.activity_mark()
    before = sorted((h.hour, h.topic, h.place, h.n) for h in quiet.activity(START - 99 * DAY))
    assert NOW - 2 * DAY < mark <= NOW - DAY
    stored = [datetime.fromisoformat(m["collected_at"]) for m in quiet.messages()]
    assert len(stored) == 21 * 4 + 10
    assert sum(n for *_, place, n in before if not place) == sum(at < mark for at in stored)
    assert quiet.fold_activity(NOW, timedelta(days=56)) is False
    assert sorted((h.hour, h.topic, h.place, h.n) for h in quiet.activity(START - 99 * DAY)) == before
    for days in (6, 0, 0, 0):  # a clock that was wrong has folded what is not settled: all is counted again, once
        quiet.fold_activity(NOW + days * DAY, timedelta(days=56), skipped(settings()))
    assert sorted((h.hour, h.topic, h.place, h.n) for h in quiet.activity(START - 99 * DAY)) == before


@pytest.mark.parametrize(
    "text", ["windows: [1m]", "windows: [1h, 1h]", "history: 1d", "false_per_week: 0", "times: 0.5", "no: 1"]
)
def test_bad_settings_get_one_sentence(text):
    with pytest.raises(ConfigError, match=r"config\.yaml:3: alerts\.spikes"):
        parse(f"alerts:\n  spikes:\n    {text}\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:2: alerts\.spikes: learn больше history"):
        parse("alerts:\n  spikes: {learn: 90d}\n")


def test_how_many_write_of_an_emergency_is_told():
    from tests.desk.test_alerts import job

    several = {"messages": 4, "authors": 3, "first": "2026-11-24T09:00:00Z"}
    _, body = compose(replace(job("Горит"), asking=several), "Europe/Moscow")
    assert "Об этом пишут: 4 сообщения, разных авторов: 3; первое 24.11.2026 12:00" in body
    alone = {"messages": 1, "authors": 1, "first": None}
    assert "Об этом пишут" not in compose(replace(job("Горит"), asking=alone), "UTC")[1]
