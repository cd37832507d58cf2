"""An explanation reads well, shows what the JSON holds, and obeys no text from outside."""

from __future__ import annotations

import json

from rich.console import Console

import classifier
from classifier.contract import Text
from desk.show import assessment
from tests.rig import otklik


def shown(judged: dict, text: str) -> str:
    out = Console(width=100, force_terminal=False)
    with out.capture() as got:
        out.print(assessment(judged, text))
    return got.get()


def test_a_person_reads_words_weights_rules_and_places() -> None:
    text = "В Хрюге горит дом возле школы, пжарных нет!"
    said = json.loads(otklik("classify", text, "--explain", "--json").out)
    page = otklik("classify", text, "--explain").out
    explain = said["explain"]
    for weight in explain["topics"]["weights"][:5]:
        assert weight["lemma"] in page
    for rule in explain["rules"]:
        assert rule["name"] in page or rule["sort"] not in ("emergency", "guard")
    for place in said["places"]:
        start, end = place["span"]
        assert f"«{text[start:end]}», знаки {start}–{end}" in page
    assert "Сработали правила" in page and "чрезвычайное: " in page and "Группы тем: " in page
    assert explain["assessment"]["reasons"] == said["reasons"]
    assert not any(word in page for word in ("lemma", "span", "probability", "form ", "True", "None"))


def test_hostile_text_is_only_shown() -> None:
    text = "Нет воды\x1b[31m \u202eв <b>Хкеме</b> " + "а" * 300
    judge = classifier.load()
    found = {"id": None, **judge.assess(Text(text)).as_dict(), "explain": judge.explain(Text(text))}
    page = shown(found, text)
    assert "\x1b" not in page and "\u202e" not in page and "Хкем" in page
    shown({**found, "explain": {"topics": {}, "rules": None, "tokens": None}}, text)
    assert "other: 1" in shown({**found, "explain": {"other": 1}}, text)  # another judge's explanation
