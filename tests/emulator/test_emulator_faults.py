"""Plans of faults, and every fault through real HTTP."""

from __future__ import annotations

import pytest
import requests

from emulator import ALL_FAULTS, USER_TOKEN, Emulator, generate
from emulator.faults import KINDS, Plan
from settings import ConfigError

FORM = {"v": "5.199", "access_token": USER_TOKEN}
WALL = FORM | {"owner_id": "-100001"}


def ask(emulator, method="wall.get", data=WALL, **more):
    return requests.post(emulator.url + method, data=data, timeout=10, allow_redirects=False, **more)


@pytest.fixture(scope="module")
def emulator():
    with Emulator(generate(2, 1, 5, 60)) as running:
        yield running


# --- plans ------------------------------------------------------------------------------------------------------------


def strikes(plan: str, calls: int = 10, method: str = "wall.get") -> list[int]:
    made = Plan.parse(plan)
    return [i + 1 for i in range(calls) if made.pick(method) is not None]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("wall.get:error=6*3", [1, 2, 3]),
        ("wall.get:error=6@4", [4]),
        ("wall.get:error=6@4-6", [4, 5, 6]),
        ("wall.get:error=6*2@4-8", [4, 5]),
        ("wall.*:html", list(range(1, 11))),
        ("*:empty@1; wall.get:reset@3", [1, 4]),
        ("users.get:error=6", []),
        ("*:http=502%0", []),
        ("*:http=502%100", list(range(1, 11))),
        ("", []),
        ("\n\nwall.get:json@2\n", [2]),
    ],
)
def test_when_a_fault_strikes(plan, expected):
    assert strikes(plan) == expected


def test_chance_is_repeatable_by_seed():
    plans = [Plan.parse("*:html%30", seed) for seed in (1, 1, 2)]
    rows = [[plan.pick("x") is not None for _ in range(200)] for plan in plans]
    assert rows[0] == rows[1] != rows[2]
    assert 30 <= sum(rows[0]) <= 90


def test_inside_execute_only_content_and_errors_of_named_methods():
    assert Plan.parse("*:error=6").pick("wall.get", inner=True) is None
    assert Plan.parse("wall.get:http=500").pick("wall.get", inner=True) is None
    assert Plan.parse("wall.get:error=6").pick("wall.get", inner=True).value == 6
    assert Plan.parse("wall.*:hollow").pick("wall.get", inner=True).kind == "hollow"


@pytest.mark.parametrize(
    "plan",
    [
        "wall.get", "wall.get:nothing", ":error=6", "wall.get:error=x", "*:http=99", "*:http=abc", "*:truncate=2",
        "*:slow=-1", "*:slow=inf", "*:html=5", "*:error=6*x", "*:redirect=http://a b", [5], [{"method": "*"}],
        [{"kind": "html", "what": 1}], [{"kind": "html", "times": "x"}], "no/such/file.yaml", "*:drip=nan",
    ],
)  # fmt: skip
def test_a_bad_plan_is_one_sentence(plan):
    with pytest.raises(ConfigError) as caught:
        Plan.parse(plan)
    text = str(caught.value)
    assert "\n" not in text
    assert "план сбоев" in text


def test_plans_from_files_and_lists(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text('- "wall.get:error=6*2"\n- {method: "*", kind: http, value: 502, nth: 3}\n', encoding="utf-8")
    plan = Plan.parse(str(path))
    assert str(plan) == "wall.get:error=6*2; *:http=502@3"
    assert str(Plan.parse(str(plan))) == str(plan)
    path.write_text("{a: [", encoding="utf-8")
    with pytest.raises(ConfigError):
        Plan.parse(path)


def test_every_kind_is_enumerated():
    assert {f.partition("=")[0] for f in ALL_FAULTS} == set(KINDS)
    for text in ALL_FAULTS:
        Plan.parse(f"wall.get:{text}")


# --- what arrives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ALL_FAULTS)
def test_every_fault_shows_and_the_next_call_is_well(emulator, fault):
    emulator.plan = Plan()
    good = ask(emulator).json()
    emulator.plan = Plan.parse(f"wall.get:{fault if not fault.startswith('huge') else 'huge=3000000'}@1")
    kind = fault.partition("=")[0]
    try:
        answer = ask(emulator)
        seen = answer.status_code, answer.content
    except requests.RequestException as e:
        answer, seen = None, type(e)
    assert emulator.plan.struck == 1
    if kind in ("reset", "close", "truncate"):
        assert answer is None, seen
    elif kind == "error":
        assert answer.json()["error"]["error_code"] == int(fault.partition("=")[2])
    elif kind == "http":
        assert str(answer.status_code) == fault[5:8]
        assert answer.headers.get("Retry-After") == (fault.partition(",")[2] or None)
    elif kind == "redirect":
        assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/")
    elif kind == "html":
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.content.startswith(b"<!DOCTYPE")
    elif kind == "type":
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.json() == good
    elif kind == "empty":
        assert seen == (200, b"")
    elif kind == "json":
        with pytest.raises(ValueError):
            answer.json()
    elif kind == "shape":
        assert not {"response", "error"} & set(answer.json())
    elif kind == "null":
        assert answer.json() == {"response": None}
    elif kind in ("slow", "drip"):
        assert answer.json() == good
        assert answer.elapsed.total_seconds() >= 0.15 if kind == "slow" else True
    elif kind == "huge":
        assert len(answer.content) > 3_000_000
        assert answer.json() == good
    elif kind == "counter":
        by = int(fault.partition("=")[2])
        counts = [max(0, p["comments"]["count"] + by) for p in good["response"]["items"]]
        assert [p["comments"]["count"] for p in answer.json()["response"]["items"]] == counts
        assert answer.json()["response"]["count"] == max(0, good["response"]["count"] + by)
    elif kind == "hollow":
        assert answer.json()["response"]["items"] == []
        assert answer.json()["response"]["count"] == good["response"]["count"]
    elif kind == "shift":
        assert answer.json()["response"]["count"] == 5
    assert "response" in ask(emulator).json()


def test_shift_changes_the_world():
    world = generate(2, 1, 1, 30)
    before = [(e["external_id"], e["text"], e["deleted"]) for e in world.ledger()]
    with Emulator(world, "wall.getComments:shift=20@1") as emulator:
        ask(emulator, "wall.getComments", WALL | {"post_id": "1"})
    assert [(e["external_id"], e["text"], e["deleted"]) for e in world.ledger()] != before


def test_a_counter_of_comments_lies_too(emulator):
    post = next(p for p in emulator.world.posts() if p.comments)
    data = WALL | {"post_id": str(post.id)}
    emulator.plan = Plan()
    honest = ask(emulator, "wall.getComments", data).json()["response"]
    emulator.plan = Plan.parse("wall.getComments:counter=4")
    lying = ask(emulator, "wall.getComments", data).json()["response"]
    assert lying["count"] == honest["count"] + 4
    assert lying["items"] == honest["items"]
    emulator.plan = Plan()


def test_faults_inside_execute_are_execute_errors(emulator):
    emulator.plan = Plan.parse("wall.get:error=212@2; wall.get:null@1")
    code = 'return [API.wall.get({"owner_id":-100001}),API.wall.get({"owner_id":-100001}),API.utils.getServerTime({})];'
    answer = ask(emulator, "execute", FORM | {"code": code}).json()
    assert answer["response"][0] is not False
    assert answer["response"][1] is False
    assert answer["execute_errors"] == [
        {"method": "wall.get", "error_code": 212, "error_msg": "Access to post comments denied"}
    ]
    assert isinstance(answer["response"][2], int)
    emulator.plan = Plan()
