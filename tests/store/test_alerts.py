"""Alerts: claims, retries, escalation, acknowledgement."""

from __future__ import annotations

from datetime import timedelta

import pytest

from settings import remember_secret
from store import NotFound, Store
from tests.store.build import EMERGENCY, NOW, judged, landing, see, together, types

HEAD = ("tgram:ab12", "head")
MAIL = ("mailto:cd34", "head")
DEPUTY = ("tgram:ef56", "escalation")


def after(seconds: float):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def raised(store):
    """A store with one alert, raised at NOW."""
    see(store)
    store.land(landing(judged(1, "горит дом", EMERGENCY)), NOW)
    return store


def claim(store, now=NOW, channels=(HEAD,), attempts=3):
    return store.claim_alerts(now, 30, channels, 600, 60, attempts)


def test_a_claimed_sending_is_nobody_elses_until_it_runs_out(raised):
    (job,) = claim(raised)
    assert (job.alert_id, job.level, job.channel_key, job.attempt, job.drill) == ("1", "head", HEAD[0], 1, False)
    assert job.message["text"] == "горит дом" and job.created_at == NOW
    assert claim(raised) == claim(raised, after(29)) == []
    assert [j.attempt for j in claim(raised, after(60))] == [2]  # its holder never came back


def test_delivered_is_delivered(raised):
    (job,) = claim(raised)
    raised.alert_result(job, True, None, after(1))
    assert claim(raised, after(9999)) == []
    (sent,) = raised.alerts()[0]["deliveries"]
    assert sent["delivered_at"] == "2026-11-24T09:00:01Z" and sent["attempts"] == 1


def test_a_failure_is_tried_again_after_a_while_then_every_hour_and_never_given_up(raised):
    remember_secret("bot-secret-token")
    tries = []
    for second in range(0, 7400, 10):
        for job in claim(raised, after(second)):
            tries.append(second)
            raised.alert_result(job, False, "timeout at https://api/bot-secret-token", after(second + 1))
    assert tries == [0, 60, 120, 3720, 7320]
    (sent,) = raised.alerts()[0]["deliveries"]
    assert sent["error"] == "timeout at https://api/***" and sent["delivered_at"] is None


def test_what_was_claimed_and_not_tried_costs_no_attempt(raised):
    (job,) = claim(raised)
    raised.release_alert(job, after(1))
    assert raised.alerts()[0]["deliveries"][0]["attempts"] == 0
    assert claim(raised, after(2)) == []
    (again,) = claim(raised, after(60))
    assert again.attempt == 1


def test_a_clock_that_was_wrong_holds_up_no_alert(raised):
    (job,) = claim(raised, after(86_400))  # it ran a day ahead, then was put right
    assert [j.alert_id for j in claim(raised, after(10))] == [job.alert_id]


def test_a_late_word_about_an_old_attempt_changes_nothing(raised):
    (first,) = claim(raised)
    (second,) = claim(raised, after(61))
    raised.alert_result(first, False, "late", after(62))
    assert claim(raised, after(63)) == []
    raised.alert_result(second, True, None, after(64))
    raised.alert_result(first, False, "later", after(65))
    assert raised.alerts()[0]["deliveries"][0]["delivered_at"]


def test_each_channel_has_its_own_fate(raised):
    jobs = claim(raised, channels=(HEAD, MAIL, DEPUTY))
    assert {j.channel_key for j in jobs} == {HEAD[0], MAIL[0]}
    raised.alert_result(jobs[0], True, None, NOW)
    raised.alert_result(jobs[1], False, "no", NOW)
    assert [j.channel_key for j in claim(raised, after(60), (HEAD, MAIL))] == [jobs[1].channel_key]


def test_nobody_acknowledged_so_it_is_escalated_once(raised):
    claim(raised, channels=(HEAD, DEPUTY))
    assert claim(raised, after(599), (DEPUTY,)) == []
    (job,) = claim(raised, after(600), (DEPUTY,))
    assert (job.level, job.attempt) == ("escalation", 1)
    assert claim(raised, after(700), (DEPUTY,))[0].attempt == 2
    assert types(raised) == ["message.landed", "alert.raised", "alert.escalated"]
    assert raised.alerts()[0]["state"] == "escalated"
    assert raised.alerts()[0]["escalated_at"] == "2026-11-24T09:10:00Z"


def test_the_same_channel_may_serve_both_levels(raised):
    both = ((HEAD[0], "head"), (HEAD[0], "escalation"))
    assert [j.level for j in claim(raised, after(600), both)] == ["head", "escalation"]


def test_acknowledged_is_over_and_the_first_person_counts(raised):
    found = raised.acknowledge("1", "глава", after(5))
    assert (found["state"], found["acknowledged_by"]) == ("acknowledged", "глава")
    assert raised.acknowledge("1", "другой", after(9))["acknowledged_by"] == "глава"
    assert claim(raised, after(9999), (HEAD, DEPUTY)) == []
    assert types(raised) == ["message.landed", "alert.raised", "alert.acknowledged"]
    assert raised.alerts(["raised", "escalated"]) == [] and len(raised.alerts(["acknowledged"])) == 1


@pytest.mark.parametrize("id_", ["2", "x", "", "-1"])
def test_no_such_alert(raised, id_):
    with pytest.raises(NotFound):
        raised.acknowledge(id_, "x", NOW)


def test_a_drill_goes_the_same_way(store):
    id_ = store.raise_drill("Учебная тревога", NOW)
    (job,) = claim(store)
    assert (job.alert_id, job.drill, job.message, job.text) == (id_, True, None, "Учебная тревога")
    assert store.acknowledge(id_, "глава", NOW)["drill"] and types(store) == ["alert.raised", "alert.acknowledged"]


def test_alerts_are_raised_without_any_channel_and_wait(raised):
    assert claim(raised, channels=()) == [] and raised.alerts()[0]["state"] == "raised"


def test_a_deleted_emergency_keeps_its_alert(raised):
    raised.land(landing(deleted=["c1"]), NOW)
    assert raised.alerts()[0]["message"]["deleted_at"] and len(claim(raised)) == 1


def _deliver(url: str, who: int) -> list[str]:
    sent = []
    with Store.open(url) as store:
        for _ in range(20):
            for job in store.claim_alerts(NOW, 3600, (HEAD, MAIL), 600, 60, 3):
                sent.append(f"{job.alert_id} {job.channel_key}")
                store.alert_result(job, True, None, NOW)
    return sent


def test_overlapping_deliverers_send_each_once(store_url):
    with Store.open(store_url) as store:
        see(store)
        store.land(landing(*(judged(i, "горит дом", EMERGENCY) for i in range(150))), NOW)
    sent = [s for part in together(_deliver, [(store_url, w) for w in range(3)]) for s in part]
    assert len(sent) == len(set(sent)) == 300
