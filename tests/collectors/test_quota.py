"""A day's units: never overspent, spread over pages and hours, the main page sure of its part."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import quota_of
from collectors.contract import Prices, RateLimited
from collectors.manners import Manners, MemoryBudget
from collectors.pages import page_shares, plan
from collectors.quota import BURST, MAIN_SHARE, RELEASE, Quota, Share, need, shares
from settings import Network, Secret
from store.values import Outcome, Post, PostState
from tests.rig import Rig, rig

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
DAY = 86400.0


class At:
    def __init__(self, now: float = MIDNIGHT) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def quota(total: int, at: At, zone: str = "UTC", budget: MemoryBudget | None = None) -> Quota:
    return Quota(lambda: "net:key", total, zone, budget or MemoryBudget(), at, "net")


def spend(q: Quota, page: str | None, parts: dict[str, Share], units: int = 1) -> bool:
    q.enter(page, parts)
    try:
        q.spend(units)
    except RateLimited:
        return False
    return True


def test_nothing_beyond_the_total_and_a_new_day_begins_at_midnight() -> None:
    at = At(MIDNIGHT + 3600)
    q = quota(100, at)
    assert sum(spend(q, None, {}) for _ in range(150)) == 100 == q.used()
    with pytest.raises(RateLimited) as e:
        q.spend(1)
    assert "дневной запас" in str(e.value) and "23 ч" in str(e.value) and e.value.outcome is Outcome.rate_limited
    at.now = MIDNIGHT + DAY
    assert q.used() == 0 and spend(q, None, {}, 100) and not spend(q, None, {})
    assert q.used() == 100, "what was refused is not counted"


def test_a_call_that_costs_more_than_is_left_is_refused_and_a_cheaper_one_is_not() -> None:
    q = quota(60, At())
    assert spend(q, None, {}, 50) and not spend(q, None, {}, 50) and spend(q, None, {}, 10)


@pytest.mark.parametrize(("date", "hours"), [((2026, 3, 8), 23), ((2026, 11, 1), 25), ((2026, 11, 24), 24)])
def test_the_day_of_the_pacific_with_its_summer_time(date: tuple[int, int, int], hours: int) -> None:
    offset = 8 if date[1] != 11 or date[2] != 1 else 7
    begin = datetime(*date, tzinfo=UTC) + timedelta(hours=offset)
    at = At(begin.timestamp() + 1)
    q = quota(10, at, "America/Los_Angeles")
    assert q.resets_at == begin + timedelta(hours=hours)
    assert spend(q, None, {}, 10)
    at.now = q.resets_at.timestamp() - 1
    assert not spend(q, None, {})
    at.now += 1
    assert spend(q, None, {}, 10)


def test_when_the_network_says_it_is_over_it_is_over() -> None:
    at = At()
    q = quota(1000, at)
    spend(q, None, {}, 300)
    q.use_up()
    assert q.used() == 1000 and not spend(q, None, {})
    at.now += DAY
    assert spend(q, None, {})


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(1, 1e6), min_size=1), st.data())
def test_shares_make_one_and_the_main_pages_have_their_part(active: dict[str, float], data: st.DataObject) -> None:
    main = data.draw(st.sets(st.sampled_from(sorted(active))))
    parts = shares(active, main)
    assert parts.keys() == active.keys()
    assert sum(s.part for s in parts.values()) == pytest.approx(1)
    assert {k for k, s in parts.items() if s.main} == main
    if main:
        assert sum(s.part for s in parts.values() if s.main) >= MAIN_SHARE - 1e-9
    rest = sorted((active[k], s.part) for k, s in parts.items() if not s.main)
    assert [p for _, p in rest] == sorted(p for _, p in rest), "the livelier page has the larger part"


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 400), st.integers(0, 2**32), st.integers(2, 5))
def test_whatever_the_others_do_the_main_page_gets_its_part(total: int, seed: int, pages: int) -> None:
    rng = random.Random(seed)
    parts = shares({f"p{n}": rng.uniform(1, 50) for n in range(pages)}, ["p0"])
    at = At()
    q = quota(total, at)
    spent = dict.fromkeys(parts, 0)
    stops = sorted(rng.random() * (1 - RELEASE) for _ in range(rng.randrange(1, 20)))
    for passed in stops:
        at.now = MIDNIGHT + passed * DAY
        for name in rng.sample(sorted(parts), pages):
            for _ in range(rng.randrange(total) if name != "p0" else rng.randrange(5)):
                if not spend(q, name, parts):
                    break
                spent[name] += 1
            assert sum(spent.values()) == q.used() <= total
            assert total - q.used() >= int(MAIN_SHARE * total - spent["p0"])
    at.now = MIDNIGHT + DAY - 0.001
    while spend(q, "p0", parts):
        spent["p0"] += 1
    assert spent["p0"] >= int(MAIN_SHARE * total)


def test_a_morning_does_not_eat_the_day_and_an_idle_day_is_not_lost() -> None:
    at = At()
    parts = shares({"main": 1.0, "loud": 1.0}, ["main"])
    q = quota(1000, at)
    first = sum(spend(q, "loud", parts) for _ in range(1000))
    assert first == pytest.approx(0.5 * 1000 * BURST, abs=1)
    with pytest.raises(RateLimited, match="на эту часть суток"):
        q.spend(1)
    at.now = MIDNIGHT + DAY * 0.5  # nobody asked anything since: what was let pass is for whoever needs it
    assert sum(spend(q, "loud", parts) for _ in range(1000)) + first == pytest.approx(500, abs=1)
    at.now = MIDNIGHT + DAY - 1
    assert sum(spend(q, "loud", parts) for _ in range(1000)) == pytest.approx(500, abs=2)


def test_two_workers_share_the_day() -> None:
    budget, at = MemoryBudget(), At()
    one, two = quota(50, at, budget=budget), quota(50, at, budget=budget)
    assert sum(spend(q, None, {}) for _ in range(40) for q in (one, two)) == 50


def state(**more: object) -> PostState:
    given = {
        "stored": 0, "first_seen_at": NOW, "checked_at": None, "walked_at": None, "full_walked_at": None,
        "walked_counter": None, "cursor": None, "next_check_at": None, "next_full_at": None, "last_new_at": None,
    } | more  # fmt: skip
    return PostState(Post("net", "1", "p"), **given)  # type: ignore[arg-type]


def test_what_a_turn_costs() -> None:
    later, past = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    prices = Prices(counters=50, comments=100)
    assert need([], NOW, prices) == need([state(next_check_at=later, next_full_at=later)], NOW, prices)
    assert need([], NOW, prices).least == 1
    due = [state(next_check_at=past)] * 51
    assert (need(due, NOW, prices).least, need(due, NOW, prices).most) == (3, 54)
    whole = [state(next_full_at=past, stored=250), state(next_full_at=past)]
    assert need(whole, NOW, prices).least == 1 + 3 + 1


def test_every_try_costs_and_manners_count_units() -> None:
    budget, at = MemoryBudget(), At()
    network = Network(token=Secret("token-of-quota"), requests_per_second=1000, budget=120)
    m = Manners("net", network, budget, a_day=10_000, clock=at, sleep=lambda s: None)
    assert m.call(lambda: "x", units=50) == m.call(lambda: "x", units=50) == "x"
    with pytest.raises(RateLimited):
        m.call(lambda: "x", units=50)
    assert m.quota is not None and m.quota.used() == 100 and m.quota.total == 120
    assert Manners("net", Network(token=Secret("token-of-quota")), budget).quota is None


# --- with the poll loop and a real store ------------------------------------------------------------------------------


@pytest.fixture
def r(store_url: str) -> Iterator[Rig]:
    with rig(store_url, network=", budget: 1000") as opened:
        yield opened


def test_a_run_keeps_the_budget_and_says_so(sqlite_url: str) -> None:
    with rig(sqlite_url, network=", budget: 5") as r:
        report = r.collect()
        assert "rate_limited" in [str(c.outcome) for c in report.coverages] and report.exit_code in (1, 4)
        quota = quota_of(r.settings, "vk", r.store)
        assert quota is not None and quota.used() == sum(r.emulator.calls.values()) <= 5
        spent = quota.used()
        quota.use_up()
        r.collect()
        assert sum(r.emulator.calls.values()) == spent


def test_the_dry_run_tells_the_cost_without_a_call(r: Rig) -> None:
    fresh = plan(r.store, r.settings, (), datetime.now(UTC))
    assert all(p["calls_least"] is None and p["budget"] == 1000 and p["budget_used"] == 0 for p in fresh)
    r.collect()
    made = sum(r.emulator.calls.values())
    r.emulator.forget_calls()
    later = plan(r.store, r.settings, (), datetime.now(UTC))
    assert [p["budget_used"] for p in later] == [made, made] and not r.emulator.calls
    assert all(1 <= p["calls_least"] <= p["calls_most"] for p in later)
    one = next(s.page for s in r.store.page_states())
    parts = page_shares(r.store, r.settings, one, datetime.now(UTC))
    assert [s.main for s in parts.values()] == [True, False] and sum(s.part for s in parts.values()) == 1
    r.options["pages"] = [
        {"network": "vk", "id": "-1", "include": ["posts"]},
        {"network": "vk", "id": "-2", "include": ["posts"], "main": True},
    ]
    parts = page_shares(r.store, r.settings, one, datetime.now(UTC))
    assert {i: s.main for i, s in parts.items()} == {"-1": False, "-2": True} and parts["-2"].part >= 0.5
