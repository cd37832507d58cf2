"""Emergencies are found, what only sounds like one is not: two sets of comments written for this test."""

import csv
import os
from pathlib import Path

import pytest

from classifier.contract import Text

HERE = Path(__file__).parent / "data"
SHARED = Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parents[2] / "../shared"))
EMERGENCIES = [line.split("\t") for line in (HERE / "emergencies.tsv").read_text(encoding="utf-8").splitlines()]
ORDINARY = (HERE / "ordinary.tsv").read_text(encoding="utf-8").splitlines()


def test_recall(judge):
    missed = [t for _, _, t in EMERGENCIES if not judge.assess(Text(t)).emergency]
    assert len(missed) <= 0.02 * len(EMERGENCIES), missed


def test_kinds(judge):
    wrong = [(t, k) for k, _, t in EMERGENCIES if judge.assess(Text(t)).emergency_kind != k]
    assert len(wrong) <= 0.05 * len(EMERGENCIES), wrong


def test_figures_of_speech_past_and_defects_are_no_emergencies(judge):
    raised = [t for t in ORDINARY if judge.assess(Text(t)).emergency]
    assert len(raised) <= 0.02 * len(ORDINARY), raised


@pytest.mark.parametrize("kind, place, comment", [e for e in EMERGENCIES if e[1]])
def test_place_of_the_emergency(judge, kind, place, comment):
    places = judge.assess(Text(comment)).places
    assert any(place == p.name or place in p.parents or place in p.name for p in places), places


def test_an_emergency_is_urgent_and_says_why(judge):
    said = judge.assess(Text("Баня загорелась в Луткуне, помогите"))
    assert (said.emergency, said.emergency_kind, said.urgency, said.reaction) == (True, "пожар", "urgent", "required")
    assert said.topic_group == "safety" and said.topic is None
    assert said.reasons[0].startswith("пожар: «") and "загорелась" in said.reasons[0]


@pytest.mark.parametrize(
    "comment, reason",
    [
        ("Пожар в Луткуне потушили, все живы, спасибо", "отбой"),
        ("В Турции землетрясение, стены рушатся", "не здесь"),
        ("пожар в селе был в прошлом году, крыша сгорела", "прошлое"),
        ("если дом загорится, пожарные не проедут", "если"),
        ("учения мчс: пожар в школе, люди в дыму, не пугайтесь", "учения"),
    ],
)
def test_guards_say_why_not(judge, comment, reason):
    said = judge.assess(Text(comment))
    assert not said.emergency
    assert any(r == f"не авария: {reason}" for r in said.reasons), said.reasons


@pytest.mark.parametrize(
    "comment",
    [
        "вы все козлы там, дом горит а пожарных нет",
        "с*ка где скорая человек без сознания лежит на улице",
        "чтоб вы провалились, мост рухнул с камазом а вы спите",
    ],
)
def test_a_refusal_never_hides_an_emergency(judge, comment):
    said = judge.assess(Text(comment))
    assert said.emergency and said.reaction == "required" and said.conduct


def test_false_alarms_on_ordinary_texts(judge):
    path = SHARED / "data/ordinary/rusentitweet.csv"
    if not path.exists():
        pytest.skip("no shared data: ordinary texts are not there")
    texts = [Text(r["text"]) for r in csv.DictReader(path.open(encoding="utf-8"))][:3000]
    alarms = [t.text for t, a in zip(texts, judge.assess_many(texts), strict=True) if a.emergency]
    assert len(alarms) <= 3, alarms
