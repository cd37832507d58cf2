"""Pages, runs, coverage, what configured pages were found to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from settings import remember_secret
from store.values import Coverage, Outcome, PageRef
from tests.store.build import NOW, PAGE, SOON, see


def coverage(outcome=Outcome.complete, at=NOW, **more):
    values = {"network": "vk", "page_id": "-1", "started_at": at, "finished_at": at + timedelta(seconds=9)}
    return Coverage(**{**values, "outcome": outcome, **more})


def test_a_page_never_run(store):
    assert store.page_states() == [] and store.last_coverage() == []
    see(store)
    (found,) = store.last_coverage()
    assert (found["page_id"], found["title"]) == ("-1", PAGE.title)
    assert found["outcome"] is found["last_success_at"] is None


def test_the_latest_record_of_each_page_is_shown(store):
    see(store)
    store.see_page(PageRef("ok", "7", "Другая"), NOW)
    run = store.start_run("collect", NOW)
    store.add_coverage(run, coverage(counter=9, stored=7, gap=2, delay_p50=1.5))
    store.add_coverage(run, coverage(Outcome.failed, NOW + timedelta(hours=1), page_id="7", network="ok"))
    store.finish_run(run, 1, SOON)
    other, mine = store.last_coverage()
    assert (other["outcome"], other["last_success_at"]) == ("failed", None)
    assert (mine["outcome"], mine["counter"], mine["gap"], mine["delay_p50"]) == ("complete", 9, 2, 1.5)
    assert mine["run_id"] == run


def test_only_complete_and_partial_count_as_success(store):
    see(store)
    run = store.start_run("collect", NOW)
    for hour, outcome in enumerate(Outcome):
        store.add_coverage(run, coverage(outcome, NOW + timedelta(hours=hour)), next_due_at=SOON)
    (state,) = store.page_states()
    assert state.last_success_at == NOW + timedelta(hours=1, seconds=9)
    assert (state.last_outcome, state.next_due_at) == (Outcome.failed, SOON)
    assert state.last_started_at == NOW + timedelta(hours=5)
    assert store.last_coverage()[0]["outcome"] == "failed"


def test_a_record_of_a_page_that_was_never_seen(store):
    store.add_coverage("r", coverage(Outcome.unauthorised, problem="нет токена", code="5"))
    assert store.last_coverage()[0]["problem"] == "нет токена"


def test_a_secret_in_a_problem_is_hidden(store):
    remember_secret("vk1.a.secret-token")
    store.add_coverage("r", coverage(problem="отказ для vk1.a.secret-token"))
    assert store.last_coverage()[0]["problem"] == "отказ для ***"


def test_what_a_configured_page_was_found_to_be(store):
    assert store.resolved("vk", "https://vk.com/x") is None
    store.remember_resolved("vk", "https://vk.com/x", PAGE, NOW)
    assert store.resolved("vk", "https://vk.com/x") == (PAGE, NOW)
    other = replace(PAGE, id="-2", include=("posts",))
    store.remember_resolved("vk", "https://vk.com/x", other, SOON)
    assert store.resolved("vk", "https://vk.com/x") == (other, SOON)
    assert store.resolved("ok", "https://vk.com/x") is None


def test_runs_have_ids_of_their_own(store):
    assert len({store.start_run("collect", NOW) for _ in range(50)}) == 50


def test_a_page_that_is_woken_while_it_is_collected_stays_woken(store):
    began = NOW + timedelta(hours=1)
    page = PageRef("vk", "-1")
    assert not store.wake("vk", "-1", None, whole=False, now=NOW), "a page that nobody saw needs no hint"
    store.see_page(page, NOW)
    for woken_at, stays in ((began - timedelta(minutes=1), False), (began + timedelta(seconds=1), True)):
        assert store.wake("vk", "-1", "wall-1_1", whole=True, now=woken_at)
        run = store.start_run("page", began)
        store.add_coverage(run, coverage(Outcome.complete, began))
        (state,) = store.page_states()
        assert (state.next_due_at is not None) is stays, woken_at
