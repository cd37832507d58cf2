"""Delays of alerts: percentiles, and the drill's report over a real store and real receivers."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

import cli
from desk.delays import delays, percentile
from tests.desk.receivers import dead_port, receiver
from tests.store.build import EMERGENCY, NOW, judged, landing, see


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([], 0.5, None),
        ([3], 0.5, 3),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        (range(1, 101), 0.95, 95),
        ([1, 9], 0.95, 9),
    ],
)
def test_percentiles_by_nearest_rank(values, share, wanted):
    assert percentile(list(values), share) == wanted


def test_real_alerts_and_drills_apart(store):
    see(store)
    store.land(landing(judged(1, "горит дом", EMERGENCY)), NOW)  # published five minutes before
    drill = store.raise_drill("проба", NOW)
    for seconds, key in ((4, "a#1"), (8, "b#2")):
        for job in store.claim_alerts(NOW, 60, [(key, "head")], 600, 60, 3):
            store.alert_result(job, key == "a#1" or job.drill, "нет связи", NOW + timedelta(seconds=seconds))
    store.acknowledge(drill, "глава", NOW + timedelta(seconds=90))
    found = delays(store.alert_delays())
    real, drills = found["real"], found["drills"]
    assert (real["alerts"], real["unacknowledged"], real["collected"]["p50"]) == (1, 1, 300)
    assert (real["first_delivery"]["p50"], drills["acknowledged"]["p95"]) == (4, 90)
    assert [(c["channel"], c["queued"], c["delivered"], c["p50"]) for c in real["channels"]] == [
        ("a#1", 1, 1, 4), ("b#2", 1, 0, None)
    ]  # fmt: skip
    assert [(c["channel"], c["delivered"], c["max"]) for c in drills["channels"]] == [("a#1", 1, 4), ("b#2", 1, 8)]
    assert delays(store.alert_delays(NOW + timedelta(days=1)))["real"]["alerts"] == 0


def test_the_drill_tells_its_delays_and_keeps_them(sqlite_url, tmp_path, capfd):
    with receiver() as phone:
        config = tmp_path / "config.yaml"
        channels = f'["{phone.url}", "json://127.0.0.1:{dead_port()}"]'
        config.write_text(f'store: {{url: "{sqlite_url}"}}\nalerts: {{head: {channels}, timeout: 20s}}\n', "utf-8")
        assert cli.run(["-c", str(config), "alerts", "drill", "Проба"]) == 1
        told = capfd.readouterr().err
        assert told.count("доставлено за") == 1 and "не доставлено" in told and "доставлено 1 из 2" in told
        assert cli.run(["-c", str(config), "alerts", "ack", "1"]) == 0
        assert cli.run(["-c", str(config), "alerts", "drill", "--report", "--json"]) == 0
        found = orjson.loads(capfd.readouterr().out)["drills"]
        assert found["alerts"] == 1 and found["acknowledged"]["n"] == 1
        assert 0 <= found["first_delivery"]["p50"] < 20 and len(phone.heard) == 1
        assert cli.run(["-c", str(config), "alerts", "drill", "--report"]) == 0
        assert "Учебные тревоги: 1" in capfd.readouterr().out
        assert cli.run(["-c", str(config), "alerts", "spikes"]) == 0
        assert "Накоплено истории: 0 дней" in capfd.readouterr().out
