"""The machine of the Regulation: all orders of steps, nothing forbidden succeeds, nothing is stuck or lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from desk.rights import THE_PROGRAM, Actor, actor
from desk.running import corrected, first_case
from desk.states import AT_WORK, EVENTS, STATES, TRANSITIONS, VERBS, Case, Facts, Refusal, Step, dump, load, verbs_from
from desk.verbs import _DO, apply
from settings import parse
from store.views import plain
from tests.store.build import NOW

SETTINGS = parse(
    """
people:
  - {id: adm, roles: [administrator]}
  - {id: cur, roles: [curator]}
  - {id: head, roles: [head]}
divisions:
  - {id: zhkh, people: [z]}
  - {id: roads, people: [r]}
  - {id: gas, people: [g]}
"""
)
PEOPLE = ("adm", "cur", "head", "z", "r", "g")
ACTORS = {id: actor(SETTINGS, id, NOW) for id in PEOPLE}
OF = {"zhkh": "z", "roads": "r", "gas": "g"}
LATER = NOW + timedelta(days=20)
GOOD = {
    "route": {"to": ["zhkh"]}, "return": {"reason": "не наше"}, "part": {"text": "сведения"},
    "draft": {"kind": "final", "text": "Воду включили."}, "rework": {"reason": "подробнее"},
    "extend": {"until": LATER, "reason": "ждём детали"}, "redirect": {"body": "Росреестр", "text": "Это к ним."},
    "join": {"kind": "final", "of": "7", "text": "Воду включили."},
    "repeat": {"of": "7"}, "notify": {"kind": "acknowledgement"}, "refuse": {"ground": "obscene"},
    "recall": {"reason": "ошибся"}, "deny": {"reason": "это беда"}, "block": {"ground": "spam", "until": LATER},
    "hide": {"ground": "insult"},
    "reopen": {"reason": "не решено"},
}  # fmt: skip


def facts(**more):
    return Facts(**{"collected_at": NOW, "author_id": "5", **more})


def fresh(about=None):
    about = about or facts()
    return first_case(about, {} if about.historical else {"route": NOW, "answer": NOW + timedelta(days=2)}, SETTINGS)


def do(case, verb, who, about=None, now=NOW, **args):
    return apply(case, about or facts(), verb, ACTORS[who], {**GOOD.get(verb, {}), **args}, now, SETTINGS)


def walk(*steps, about=None, start=None):
    """The case after these (verb, who[, args]) steps; each must succeed."""
    case = start or fresh(about)
    for verb, who, *args in steps:
        step = do(case, verb, who, about, **(args[0] if args else {}))
        assert isinstance(step, Step), f"{verb}: {step.sentence}"
        case = step.case
    return case


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_is_whole():
    assert set(_DO) == set(VERBS)
    for t in TRANSITIONS:
        assert set(t.sources) <= set(STATES) and (t.target is None or t.target in STATES)
    assert all(verbs_from(s) for s in STATES)
    keys = [(t.verb, s, t.target) for t in TRANSITIONS for s in t.sources]
    assert len(keys) == len(set(keys)) and set(EVENTS) == {"moved", "routed", "returned", "answered", "closed"}


def test_the_straight_way():
    case = walk(
        ("accept", "adm"), ("route", "adm"), ("begin", "z"), ("draft", "z"), ("approve", "adm"), ("publish", "adm")
    )
    assert (case.state, case.outcome, case.running, case.owed) == ("published", "answered", {}, ())
    assert walk(("close", "adm"), start=case).state == "closed"
    assert [(c.name, c.started_by, c.stopped_by) for c in case.clocks] == [
        ("route", "collect", "route"), ("answer", "collect", "publish"), ("return", "route", "begin"),
        ("draft", "route", "draft"), ("approve", "draft", "approve"), ("publish", "approve", "publish"),
    ]  # fmt: skip


def test_clocks_of_each_state():
    names = {}
    case = fresh()
    for verb, who in [("accept", "adm"), ("route", "adm"), ("begin", "z"), ("draft", "z"), ("rework", "adm")]:
        case = walk((verb, who), start=case)
        names[case.state] = set(case.running)
    assert names == {
        "accepted": {"route", "answer"}, "routed": {"answer", "return", "draft"}, "in_work": {"answer", "draft"},
        "draft": {"answer", "approve"}, "rework": {"answer", "rework"},
    }  # fmt: skip
    half_an_hour = NOW + timedelta(minutes=30)
    assert walk(("route", "adm")).deadlines["return"] == half_an_hour
    assert case.deadlines["rework"] == NOW + timedelta(hours=1)
    answer = walk(("route", "adm")).deadlines["answer"]
    assert walk(("route", "adm")).deadlines["draft"] == answer - timedelta(hours=1)


def test_a_return_goes_back_to_the_administrator_with_a_new_clock_and_no_new_answer_term():
    case = walk(("route", "adm"), ("return", "z"))
    assert case.state == "accepted" and case.division is None and set(case.running) == {"route", "answer"}
    assert case.deadlines["answer"] == fresh().deadlines["answer"]
    late = do(walk(("route", "adm")), "return", "z", now=NOW + timedelta(minutes=31))
    assert late.late == ("return",) and late.details["late"] == ["return"]


def test_several_executors_in_order_and_one_compiler():
    case = walk(("route", "adm", {"to": ["zhkh", "roads", "gas"], "compiler": "roads"}))
    assert [p.division for p in case.parts] == ["zhkh", "gas"] and case.division == "roads"
    assert case.running["part"].division == "zhkh" and case.deadlines["part"] == NOW + timedelta(hours=2)
    assert "ещё нет сведений от подразделения zhkh" in do(case, "draft", "r").sentence
    assert "не вашего подразделения" in do(case, "part", "g").sentence  # not in turn yet
    case = walk(("part", "z"), start=case)
    assert case.running["part"].division == "gas"
    case = walk(("part", "g"), ("begin", "r"), ("draft", "r"), start=case)
    assert case.state == "draft" and "part" not in case.running
    assert "больше никто не ждёт" in do(walk(("route", "adm")), "part", "z").sentence


def test_an_interim_answer_needs_a_term_or_a_condition_and_work_goes_on():
    work = walk(("route", "adm"), ("begin", "z"))
    assert "п. 7.8" in do(work, "draft", "z", kind="interim").sentence
    assert "уже прошёл" in do(work, "draft", "z", kind="interim", until=NOW).sentence
    for said, end in (({"until": LATER}, LATER), ({"condition": "после ремонта"}, NOW + timedelta(days=30))):
        case = walk(("draft", "z", {"kind": "interim", **said}), ("approve", "adm"), ("publish", "adm"), start=work)
        assert (case.state, case.outcome, case.deadlines["answer"]) == ("in_work", None, end)
        assert walk(("draft", "z"), ("approve", "adm"), ("publish", "adm"), start=case).outcome == "answered"


def test_an_extension_has_its_limit_and_the_author_is_told():
    case = walk(("route", "adm"))
    answer = case.deadlines["answer"]
    assert (
        "не более чем на 30 дней, то есть до" in do(case, "extend", "adm", until=answer + timedelta(days=31)).sentence
    )
    assert "не позже прежнего" in do(case, "extend", "adm", until=answer).sentence
    longer = walk(("extend", "adm", {"until": answer + timedelta(days=20)}), start=case)
    assert longer.deadlines["answer"] == answer + timedelta(days=20) and "extension" in longer.owed
    assert longer.deadlines["draft"] == longer.deadlines["answer"] - timedelta(hours=1)
    assert "не более" in do(longer, "extend", "adm", until=answer + timedelta(days=31)).sentence  # of the first term
    assert "extension" not in walk(("notify", "adm", {"kind": "extension"}), start=longer).owed


def test_an_emergency_is_refused_by_two_people_only():
    burning = facts(emergency=True)
    case = walk(("refuse", "adm"), about=burning)
    assert case.state == "refusal" and set(case.running) == {"route", "answer"}  # its clocks run on
    assert "это делает глава или куратор" in do(case, "confirm", "adm", burning).sentence
    assert walk(("confirm", "cur"), start=case, about=burning).outcome == "refused"
    assert walk(("deny", "head"), start=case, about=burning).state == "accepted"
    both = Actor("adm", duties=(("administrator", None, "adm"), ("curator", None, "adm")))
    assert "другой человек" in apply(case, burning, "confirm", both, {}, NOW, SETTINGS).sentence
    assert walk(("refuse", "adm")).outcome == "refused"
    unjudged = replace(burning, emergency=False, reaction=None)  # the classifier failed on it: it may be one
    assert walk(("refuse", "adm"), about=unjudged).state == "refusal"


def test_who_called_off_an_emergency_does_not_refuse_close_or_block_alone():
    calmed = facts(calmed_by="adm")
    case = walk(("refuse", "adm"), about=calmed)
    assert case.state == "refusal" and case.asked_by == "adm"
    assert walk(("confirm", "cur"), start=case, about=calmed).outcome == "refused"
    assert "может другой человек" in do(fresh(), "close", "adm", facts(calmed_by="adm", reaction="none")).sentence
    assert walk(("block", "adm"), about=calmed).blocked is None
    others = facts(calmed_by="cur")  # two people have looked already
    assert walk(("refuse", "adm"), about=others).outcome == "refused"
    assert walk(("close", "adm"), about=facts(calmed_by="cur", reaction="none")).outcome == "none"


def test_blocking_for_an_emergency_needs_two_people():
    burning = facts(emergency=True)
    asked = walk(("block", "adm"), about=burning)
    assert (asked.blocked, asked.block_asked, asked.block_asked_by, asked.state) == (None, "spam", "adm", "new")
    both = Actor("adm", duties=(("administrator", None, "adm"), ("curator", None, "adm")))
    assert "другой человек" in apply(asked, burning, "confirm", both, {}, NOW, SETTINGS).sentence
    assert "срок блокировки уже прошёл" in do(asked, "confirm", "cur", burning, LATER).sentence
    done = walk(("confirm", "cur"), start=asked, about=burning)
    assert (done.blocked, done.blocked_until, done.block_asked) == ("spam", LATER, None)
    assert walk(("deny", "head"), start=asked, about=burning).block_asked is None
    assert walk(("unblock", "adm"), start=asked, about=burning).block_asked is None  # taken back by whoever asked
    for verb in ("confirm", "deny"):
        assert "ничего не ждёт" in do(fresh(), verb, "cur").sentence
    refusal = walk(("refuse", "adm"), start=asked, about=burning)  # of two that wait the refusal comes first
    closed = walk(("confirm", "cur"), start=refusal, about=burning)
    assert (closed.state, closed.block_asked) == ("closed", "spam")
    assert walk(("confirm", "cur"), start=closed, about=burning).blocked == "spam"


def test_the_program_unblocks_only_when_the_term_has_ended():
    case = walk(("block", "adm"))
    assert "ещё не прошёл" in apply(case, facts(), "unblock", THE_PROGRAM, {}, NOW, SETTINGS).sentence
    step = apply(case, facts(), "unblock", THE_PROGRAM, {}, LATER, SETTINGS)
    assert step.case.blocked is None and step.details["ground"] == "spam"
    assert (
        "это делает администратор" in apply(case, facts(), "block", THE_PROGRAM, GOOD["block"], NOW, SETTINGS).sentence
    )


def test_a_recall_takes_a_message_back_and_gives_no_time():
    later = NOW + timedelta(minutes=20)
    start = first_case(facts(), {"route": NOW + timedelta(minutes=30)}, SETTINGS)
    routed = do(start, "route", "adm").case
    case = do(routed, "recall", "adm", now=later).case
    assert (case.state, case.division, set(case.running)) == ("accepted", None, {"route", "answer"})
    assert case.deadlines["route"] == NOW + timedelta(minutes=30)
    assert "нельзя: сообщение «в работе»" in do(walk(("begin", "z"), start=routed), "recall", "adm").sentence
    shared = walk(("route", "adm", {"to": ["zhkh", "roads"]}), ("part", "z"))
    assert "уже переданы" in do(shared, "recall", "adm").sentence
    burning = facts(emergency=True)
    asked = walk(("refuse", "adm"), about=burning)
    back = walk(("recall", "adm"), start=asked, about=burning)
    assert (back.state, back.ground, set(back.running)) == ("accepted", None, {"route", "answer"})
    assert "предложил другой человек" in do(replace(asked, asked_by="x"), "recall", "adm", burning).sentence


def test_redirection_tells_the_author_and_ends():
    case = walk(("redirect", "adm"), ("publish", "adm"), ("close", "adm"))
    assert (case.state, case.outcome) == ("closed", "redirected")
    assert "не указано: ответственный орган" in do(fresh(), "redirect", "adm", body=" ").sentence


def test_a_term_of_thousands_of_years_is_a_slip():
    case = walk(("route", "adm"), ("begin", "z"))
    far = NOW.replace(year=9999)
    assert "дальше десяти лет" in do(case, "draft", "z", kind="interim", text="ждём", until=far).sentence
    assert "дальше десяти лет" in do(case, "block", "adm", until=far).sentence


def test_a_redirection_that_is_not_out_yet_can_be_taken_back():
    case = walk(("redirect", "adm"), ("rework", "adm"))
    assert (case.state, "publish" in case.running, "route" in case.running) == ("accepted", False, True)
    case = walk(("redirect", "adm"), ("rework", "adm"), ("redirect", "adm"), ("publish", "adm"))
    assert (case.outcome, case.reply.n) == ("redirected", 2)


def test_the_answer_to_another_message_of_the_question_is_the_answer_to_this_one():
    for steps in ((), (("accept", "adm"),), (("route", "adm"),), (("route", "adm"), ("begin", "z"), ("draft", "z"))):
        case = walk(*steps, ("join", "adm"))
        assert (case.state, case.reply.of, "publish" in case.running) == ("approved", "7", True)
        assert {"route", "draft", "approve", "part", "return"}.isdisjoint(case.running)
        assert walk(("publish", "adm"), start=case).outcome == "answered"
        assert walk(("rework", "adm"), start=case).state == ("rework" if case.division else "accepted")
    interim = {"kind": "interim", "until": LATER}
    assert "направьте его" in do(fresh(), "join", "adm", **interim).sentence
    assert "п. 7.8" in do(fresh(), "join", "adm", kind="interim").sentence
    case = walk(("join", "adm", {**interim, "division": "gas"}), ("publish", "adm"))
    assert (case.state, case.division, case.deadlines["answer"]) == ("in_work", "gas", LATER)
    redirect = {"kind": "redirect", "body": "Росреестр"}
    assert walk(("join", "adm", redirect), ("publish", "adm")).outcome == "redirected"
    assert "это делает администратор" in do(fresh(), "join", "z").sentence


def test_what_the_network_may_have_is_neither_reworked_nor_closed():
    case = walk(("route", "adm"), ("begin", "z"), ("draft", "z"), ("approve", "adm"))
    away = facts(publishing=(1,), deleted=True)
    for verb in ("rework", "close"):
        assert "уже отправлен в сеть" in do(case, verb, "adm", away).sentence
        assert isinstance(do(case, verb, "adm", facts(deleted=True)), Step)
    assert do(case, "publish", "adm", away).case.state == "published"


def test_an_emergency_is_not_closed_unanswered_by_one_person():
    burning = facts(emergency=True, reaction="none")
    assert "чрезвычайное закрывают после ответа" in do(fresh(), "close", "adm", burning).sentence
    assert do(fresh(), "close", "adm", facts(reaction="none")).case.outcome == "none"


def test_without_an_answer_only_thanks_and_the_deleted_are_closed():
    assert "ответ ещё не размещён" in do(fresh(), "close", "adm").sentence
    assert walk(("close", "adm"), about=facts(reaction="none")).outcome == "none"
    gone = facts(deleted=True)
    for state in AT_WORK:
        assert do(replace(fresh(), state=state), "close", "adm", gone).case.outcome == "deleted"


def test_a_historical_message_has_no_clocks_at_all():
    old = facts(historical=True)
    case = walk(("route", "adm"), ("begin", "z"), ("draft", "z"), about=old)
    assert case.clocks == ()


def test_a_corrected_term_counts():
    case = walk(("route", "adm"))
    sooner = NOW + timedelta(hours=3)
    assert corrected(case, facts(), {"answer": sooner}, SETTINGS).deadlines["answer"] == sooner
    assert corrected(fresh(), facts(), {}, SETTINGS).clocks == ()


@pytest.mark.parametrize(
    ("verb", "args", "said"),
    [
        ("fly", {}, "нет такого действия: fly"),
        ("approve", {}, "сообщение «поступило»; можно: принять (accept), направить (route)"),
        ("route", {"to": []}, "не указано подразделение"),
        ("route", {"to": ["x"]}, "нет подразделения «x»; есть gas, roads, zhkh"),
        ("route", {"to": ["gas", "gas"]}, "названо дважды"),
        ("route", {"to": ["gas"], "compiler": "roads"}, "ответственного за свод нет"),
        ("refuse", {"ground": "boring"}, "нет такого «boring»; есть incorrect"),
        ("refuse", {"ground": ""}, "не указано: основание"),
        ("notify", {"kind": "extension"}, "извещать об этом автора не нужно"),
        ("block", {"until": None}, "не указан срок блокировки"),
        ("block", {"until": NOW}, "срок блокировки уже прошёл"),
        ("unblock", {}, "не заблокирован"),
        ("repeat", {"of": ""}, "не указано: номер прежнего сообщения"),
        ("redirect", {"text": "x" * 16_001}, "длиннее 16000 знаков"),
    ],
)
def test_what_is_refused_says_why(verb, args, said):
    found = do(fresh(), verb, "adm", **args)
    assert isinstance(found, Refusal) and said in found.sentence


def test_an_unknown_author_is_not_blocked():
    assert "автор неизвестен" in do(fresh(), "block", "adm", facts(author_id=None)).sentence


def test_a_case_survives_json():
    case = walk(("route", "adm", {"to": ["zhkh", "roads"]}), ("part", "z"), ("extend", "adm"), ("block", "adm"))
    case = walk(("draft", "r", {"kind": "interim", "until": LATER}), start=case)
    assert load(plain(dump(case))) == case and load(json.loads(json.dumps(plain(dump(Case()))))) == Case()


# --- all orders -------------------------------------------------------------------------------------------------------

HOME = {
    "new": ("route", "adm"), "accepted": ("route", "adm"), "in_work": ("draft", None), "rework": ("draft", None),
    "draft": ("approve", "adm"), "approved": ("publish", "adm"), "published": ("close", "adm"),
    "refusal": ("confirm", None),
}  # fmt: skip


def way_home(case, about, now):
    """From any case to a closed one, by steps that are allowed."""
    for _ in range(12):
        if case.state == "closed":
            return case
        verb, who = HOME.get(case.state, ("draft", None))
        waited_for = case.part_due()
        if waited_for is not None and case.state in ("routed", "in_work"):
            verb, who = "part", OF[waited_for.division]
        elif verb == "draft":
            who = OF[case.division]
        elif verb == "confirm":
            who = "head" if case.asked_by == "cur" else "cur"
        step = do(case, verb, who, about, now)
        assert isinstance(step, Step), f"stuck in {case.state}: {step.sentence}"
        case = step.case
    raise AssertionError(f"no way from {case.state} to the end")


TAKEN: set[tuple[str, str, str]] = set()


class Messages(RuleBasedStateMachine):
    """Any verb, by anybody, with any arguments, at any time."""

    @initialize(
        emergency=st.booleans(), historical=st.booleans(), reaction=st.sampled_from(["required", "none"]),
        calmed_by=st.sampled_from([None, "adm", "cur"]),
    )  # fmt: skip
    def begin(self, emergency, historical, reaction, calmed_by):
        calmed_by = None if emergency else calmed_by
        self.facts = facts(emergency=emergency, historical=historical, reaction=reaction, calmed_by=calmed_by)
        self.case, self.now = fresh(self.facts), NOW

    @rule(
        verb=st.sampled_from(VERBS), who=st.sampled_from(PEOPLE), wait=st.sampled_from([0, 1, 31, 200, 3000]),
        to=st.lists(st.sampled_from(["zhkh", "roads", "gas", "nobody"]), max_size=3),
        kind=st.sampled_from(["final", "interim", "acknowledgement", "extension"]),
        until=st.sampled_from([None, timedelta(hours=-1), timedelta(days=3), timedelta(days=29), timedelta(days=99)]),
        good=st.booleans(), deleted=st.booleans(),
    )  # fmt: skip
    def anything(self, verb, who, wait, to, kind, until, good, deleted):
        args = dict(GOOD.get(verb, {})) if good else {"to": to}
        args |= {"kind": kind, "until": until and self.now + until}
        self._take(verb, who, wait, args, deleted)

    @rule(
        pick=st.randoms(use_true_random=False), wait=st.sampled_from([0, 1, 31, 200]), interim=st.booleans(),
        to=st.lists(st.sampled_from(list(OF)), min_size=1, max_size=3, unique=True),
    )  # fmt: skip
    def onwards(self, pick, wait, interim, to):
        """A step that is likely to be right, so that the walk gets far."""
        case = self.case
        verb = pick.choice([v for v in verbs_from(case.state) if v not in ("close", "refuse") or pick.random() < 0.2])
        waited_for = case.part_due()
        who = "adm"
        if verb == "part" or (verb == "draft" and waited_for):
            verb, who = "part", OF[waited_for.division] if waited_for else "z"
        elif verb in ("begin", "draft", "return"):
            who = OF[case.division]
        elif verb in ("confirm", "deny"):
            who = "cur"
        until = self.now + timedelta(days=9)
        args = {**GOOD.get(verb, {}), "until": until}
        if verb == "route":
            args["to"] = to
        if verb in ("draft", "join"):
            args["kind"] = "interim" if interim else "final"
        if verb == "notify" and case.owed:
            args["kind"] = case.owed[0]
        self._take(verb, who, wait, args, False)

    def _take(self, verb, who, wait, args, deleted):
        self.now += timedelta(minutes=wait)
        about = replace(self.facts, deleted=deleted)
        before = self.case
        found = apply(before, about, verb, ACTORS[who], args, self.now, SETTINGS)
        assert found == apply(before, about, verb, ACTORS[who], args, self.now, SETTINGS)
        if isinstance(found, Refusal):
            assert found.sentence and "\n" not in found.sentence
            return
        allowed = [t for t in TRANSITIONS if t.verb == verb and before.state in t.sources]
        assert (found.case.state, found.event) in {(t.target or before.state, t.event) for t in allowed}
        if verb in ("accept", "route", "approve", "publish", "refuse", "extend", "close", "block", "recall"):
            assert who == "adm"
        if verb in ("begin", "draft"):
            assert OF[before.division] == who
        if verb == "refuse" and (about.emergency or about.calmed_by == who):
            assert found.case.state == "refusal"
        if verb == "block" and (about.emergency or about.calmed_by == who):
            assert found.case.blocked == before.blocked and found.case.block_asked_by == who
        if verb == "confirm":
            assert who not in (before.asked_by, before.block_asked_by) or before.state == "refusal"
        if about.emergency and found.case.outcome == "refused" and before.outcome != "refused":
            assert verb == "confirm" and before.asked_by and who != before.asked_by
        if about.emergency and found.case.blocked and not before.blocked:
            assert verb == "confirm" and who != before.block_asked_by
        assert load(plain(dump(found.case))) == found.case
        self.case = found.case
        TAKEN.add((verb, before.state, found.case.state))

    @invariant()
    def sound(self):
        case = self.case
        assert case.state in STATES
        running = [c.name for c in case.clocks if c.stopped_at is None]
        assert len(running) == len(set(running))
        if self.facts.historical:
            assert not case.clocks
            return
        if case.state in ("closed", "published"):
            assert not running and case.outcome
        else:
            assert "answer" in running  # whoever waits for an answer has a clock
        if case.state in ("new", "accepted"):
            assert "route" in running
        if case.state in ("routed", "in_work", "draft", "rework"):
            assert case.division in OF
        if case.state in ("draft", "approved"):
            assert case.reply is not None and {"draft": "approve", "approved": "publish"}[case.state] in running
        limit = case.limit
        assert (
            limit is None
            or "answer" not in running
            or case.running["answer"].due_at <= max(limit, case.deadlines["answer"])
        )

    @invariant()
    def never_stuck(self):
        assert way_home(self.case, self.facts, self.now).outcome


Messages.TestCase.settings = hypothesis_settings(
    max_examples=40, stateful_step_count=40, deadline=None, derandomize=True
)
TestMessages = Messages.TestCase


def test_the_orders_that_were_tried_went_far():
    """What the machine above has really done; a random walk that is refused everywhere would prove nothing."""
    if not TAKEN:
        pytest.skip("the state machine ran elsewhere")
    every = {(t.verb, s, t.target or s) for t in TRANSITIONS for s in t.sources}
    assert every >= TAKEN and len(TAKEN) > len(every) / 3 and len({verb for verb, _, _ in TAKEN}) > 12
