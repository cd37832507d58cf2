"""Figures against an independent library and by hand; verdicts in words; reports that hostile texts can't break."""

from __future__ import annotations

import random
import re
from dataclasses import asdict
from html.parser import HTMLParser

import pytest
from rich.console import Console
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from classifier import measure, report, report_html
from classifier.contract import Text
from classifier.measure import NONE, Labelled
from store.values import Assessment, Place

HOSTILE = "<script>alert(1)</script> \x1b[31m\u202e\" onload='x' =cmd|' /c'!A1 &lt; ]]> <svg/onload=1>"


def labelled(group: str | None, topic: str | None = None, text: str = "t", **more) -> Labelled:
    return Labelled(Text(text, more.pop("id", "1")), group, topic, **more)


def said(group: str | None, topic: str | None = None, confidence: float = 0.9, **more) -> Assessment:
    return Assessment(topic=topic, topic_group=group, topic_confidence=confidence, model="otklik-1.abc", **more)


def test_f1_agrees_with_an_independent_library():
    draw = random.Random(1)
    true = [draw.choice("abcd") for _ in range(300)]
    guess = [t if draw.random() < 0.6 else draw.choice("abcde") for t in true]
    found = measure.classes(true, guess)
    labels = sorted(set(true))
    assert found.weighted == pytest.approx(f1_score(true, guess, labels=labels, average="weighted"))
    assert found.macro == pytest.approx(f1_score(true, guess, labels=labels, average="macro"))
    p, r, f, n = precision_recall_fscore_support(true, guess, labels=labels)
    for i, name in enumerate(labels):
        row = next(x for x in found.rows if x.id == name)
        assert (row.precision, row.recall, row.f1, row.n) == (
            pytest.approx(p[i]), pytest.approx(r[i]), pytest.approx(f[i]), n[i],
        )  # fmt: skip
    assert found.interval[0] < found.weighted < found.interval[1]
    assert sum(k for _, _, k in found.confusion) + found.right == found.n == 300
    assert measure.classes(true, guess) == found


@pytest.mark.parametrize("better, worse", [(0, 0), (1, 0), (5, 1), (10, 2), (30, 31), (9, 0)])
def test_mcnemar_agrees_with_the_binomial_test(better, worse):
    expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert measure.mcnemar(better, worse) == pytest.approx(expected)


def test_intervals_and_calibration_by_hand():
    assert measure.wilson(98, 100) == pytest.approx((0.930, 0.995), abs=0.001)
    assert measure.wilson(0, 0) == (0.0, 1.0)
    bins, ece = measure.reliability([(0.95, True), (0.95, False), (0.15, False), (1.0, True)])
    assert [(b.low, b.n) for b in bins] == [(0.1, 1), (0.9, 3)]
    assert ece == pytest.approx((0.15 + abs(2.9 - 2)) / 4)
    assert measure.reliability([]) == ((), None)


def test_what_nobody_said_is_not_measured():
    texts = [
        labelled("gas", "gas_restoration", emergency=False, reaction="required", urgency="prompt", places=("Кака",)),
        labelled(None, None, emergency=True, kind="пожар"),
        labelled(None, None, reaction="none"),
        labelled(NONE, NONE),
    ]
    answers = [
        said("gas", "gas_restoration", places=(Place("Кака", "село"), Place("улица Ленина", "улица"))),
        said("safety", emergency=True, emergency_kind="пожар"),
        None,
        said("roads", confidence=0.4),
    ]
    f = measure.measure("x", texts, answers)
    assert (f.groups.n, f.topics.n, f.found, f.false.n, f.kinds) == (
        2, 2, measure.Share(1, 1), 1, measure.Share(1, 1),
    )  # fmt: skip
    assert f.reactions == measure.Share(1, 2)  # the one that could not be judged says "required"
    assert f.places == (1, 0, 0) and f.places_f1 == 1.0
    assert [m.said for m in f.mistakes] == ["roads"] and not f.missed
    assert sum(b.n for b in f.bins) == 2  # emergencies and silence make no claim
    assert f.short()["emergencies"] == [1, 1] and f.model == "otklik-1.abc"
    blank = measure.measure("x", [], [])
    assert blank.short()["group_f1"] is None and blank.ece is None


def test_a_model_that_loses_an_emergency_or_adds_an_alarm_is_worse():
    texts = [labelled("gas", emergency=True), labelled("gas", emergency=False)]
    sees, blind, loud = (
        [said("gas", emergency=a), said("gas", emergency=b)] for a, b in ((True, False), (False, False), (True, True))
    )
    assert measure.compare(texts, sees, sees).against == ()
    assert "видит меньше чрезвычайных: 0 вместо 1 из 1" in measure.compare(texts, blind, sees).against[0]
    assert "больше ложных тревог: 1 вместо 0" in measure.compare(texts, loud, sees).against[0]
    assert measure.compare(texts, sees, loud).against == ()


def test_the_verdict_tells_chance_from_difference():
    texts = [labelled("gas" if i % 2 else "roads") for i in range(40)]
    right = [said(t.group) for t in texts]
    one_off = [said("waste"), *right[1:]]
    bad = [said("waste")] * 20 + right[20:]
    small = measure.compare(texts, one_off, right)
    assert small.differences[0].words == "разница в пределах случайного"
    assert "F1 групп тем ниже" in small.against[0]  # not worse means not worse
    real = measure.compare(texts, bad, right)
    assert real.differences[0].words.startswith("новая хуже, и это не случайность")
    assert measure.compare(texts, right, bad).differences[0].words.startswith("новая лучше")
    assert measure.compare(texts, right, right).differences[0].words == "ответы одинаково верны"
    low, high = real.differences[0].interval
    assert low < real.differences[0].ours - real.differences[0].theirs < high < 0


class Page(HTMLParser):
    """Collects what a browser would act upon."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


def test_the_html_report_stands_alone_and_nothing_of_it_is_live():
    names = {"gas": HOSTILE, "roads": "Дороги"}
    texts = [
        labelled("gas", "g1", HOSTILE, id=HOSTILE, emergency=True),
        labelled("roads", "r1"),
        labelled("evil<b>", HOSTILE),
    ]
    answers = [said("roads", "r1", 0.7), said("gas", "g1", 0.3), said("gas", HOSTILE)]
    f = measure.measure(HOSTILE, texts, answers)
    html = report_html.page(
        [f], [(HOSTILE, measure.compare(texts, answers, answers))], names, title=HOSTILE, made=HOSTILE
    )
    page = Page(html)
    assert not {"script", "img", "iframe", "link", "object", "embed", "form", "base"} & set(page.tags)
    assert page.tags.count("svg") == 2 and "details" in page.tags
    assert not [a for a, _ in page.attributes if a.startswith("on") or a in ("src", "href", "action")]
    assert "http:" not in html and "https:" not in html and "url(" not in html
    assert "default-src 'none'" in html
    assert any("alert(1)" in w for w in page.words)  # shown as text


def test_the_terminal_report_moves_no_cursor():
    texts = [labelled("gas", "g1", HOSTILE, emergency=True), labelled("roads", "r1", emergency=False)]
    answers = [said("roads", "r1", 0.7), said("roads", "r1", 0.8)]
    f = measure.measure("отложенные", texts, answers)
    out = Console(width=100, force_terminal=False)
    with out.capture() as got:
        for part in (*report.figures(f, {}), *report.comparison(measure.compare(texts, answers, answers))):
            out.print(part)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", got.get())
    assert "найдено 0 из 1" in got.get() and "ответы одинаково верны" in got.get()
    asdict(f)  # what --json gives
