"""How a judgement came about, for a person: words and their weights, rules that fired, places, what is close. Pure.

The values are those of `classify --explain --json` under `explain`; here they are only put into words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from desk.text import plain

_SORTS = {"emergency": "чрезвычайное", "guard": "оговорка", "conduct": "поведение", "reaction": "реагирование"}
_NAMES = {
    "need": "просьба или жалоба", "thanks": "благодарность", "praise": "похвала", "greeting": "поздравление",
    "condolence": "соболезнование", "idle": "разговор", "obscene": "нецензурная лексика", "insult": "оскорбление",
    "threat": "угроза", "spam": "реклама или спам", "illegal_call": "призыв к незаконному", "off_topic": "не по теме",
}  # fmt: skip
_BAR = 12


def explained(explain: Mapping[str, Any]) -> Iterator[Text | Table]:
    """Lines and small tables, each part only when there is something to say."""
    text = str(explain.get("text", ""))
    topics = explain.get("topics") or {}
    top = topics.get("top") or []
    if top:
        near = ", ".join(f"{plain(t.get('title'))} {_percent(t.get('probability'))}" for t in top)
        yield Text(f"  Группы тем: {near}")
    chances = [f"нужен ответ {_percent(topics['required'])}"] if "required" in topics else []
    if alarm := topics.get("emergency"):
        chances.append(f"чрезвычайное {_percent(alarm.get('probability'))}")
    if chances:
        yield Text(f"  По словам в целом: {', '.join(chances)}")
    if weights := topics.get("weights"):
        yield Text(f"  Слова: за (+) и против (−) группы «{plain(top[0].get('title')) if top else ''}»")
        yield _weights(weights)
    yield from _rules(explain.get("rules") or [])
    yield from _places((explain.get("assessment") or {}).get("places") or [], text)
    mended = [t for t in explain.get("tokens") or [] if t.get("corrected")]
    if mended:
        pairs = ", ".join(f"{plain(t['form'], 40)} → {plain(t['corrected'], 40)}" for t in mended[:12])
        yield Text(f"  Прочитано как: {pairs}")


def _percent(value: Any) -> str:
    return f"{float(value):.0%}".replace("%", " %") if isinstance(value, int | float) else "–"


def _weights(weights: list[Mapping[str, Any]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    most = max((abs(float(w["weight"])) for w in weights), default=0.0) or 1.0
    for w in weights:
        value = float(w["weight"])
        bar = "█" * max(1, round(abs(value) / most * _BAR))
        grid.add_row(
            "   ", Text(plain(w["lemma"], 40)), Text(f"{value:+.2f}".replace("-", "−")), Text(bar, style="dim")
        )
    return grid


def _rules(rules: list[Mapping[str, Any]]) -> Iterator[Text]:
    if rules:
        yield Text("  Сработали правила")
    for rule in rules[:20]:
        sort = _SORTS.get(str(rule.get("sort")), plain(rule.get("sort")))
        name = plain(rule.get("name"), 60)
        words = " … ".join(plain(w, 40) for w in rule.get("words") or ())
        yield Text(f"    {sort}: {_NAMES.get(name, name)}" + (f" — «{words}»" if words else ""))
    if len(rules) > 20:
        yield Text(f"    и ещё {len(rules) - 20}")


def _places(places: list[Mapping[str, Any]], text: str) -> Iterator[Text]:
    if places:
        yield Text("  Места")
    for place in places[:20]:
        start, end = place.get("span") or (0, 0)
        said = f" — «{plain(text[start:end], 60)}», знаки {start}–{end}" if end > start else ""
        yield Text(f"    {plain(place.get('name'), 60)}{said}, уверенность {_percent(place.get('confidence'))}")
