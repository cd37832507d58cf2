"""Clause 8: to the substance of the question that was asked. An answer that shares no word with it answers another."""

from __future__ import annotations

from collections.abc import Iterator

from desk.checks import WARNING, Draft, Finding
from desk.checks.empty import FORMULA
from desk.lemmas import content

_SAME = (
    "вода водоснабжение водопровод водоканал кран насос скважина",
    "свет электричество электроснабжение электроэнергия освещение фонарь лампа подстанция электросеть энергетик",
    "дорога асфальт яма дорожный проезжий улица тротуар грейдер щебень покрытие отсыпка",
    "мусор контейнер отход свалка тко вывоз бак площадка",
    "газ газоснабжение газопровод газовый котел",
    "тепло отопление батарея котельная теплоснабжение теплосеть холодно холодный котел кочегар радиатор",
    "автобус маршрутка маршрут транспорт перевозчик рейс остановка",
    "школа учитель класс учебный ученик образование",
    "садик сад детсад детский воспитатель группа",
    "больница врач поликлиника медицинский фельдшер фап прием талон скорый",
    "собака бродячий отлов животное",
    "снег гололед очистка уборка техника реагент",
    "крыша подъезд дом управляющий укрыть капремонт",
    "канализация стоки сточный ассенизаторский труба колодец люк",
    "пособие выплата соцзащита субсидия материальный",
)
_GROUP = {word: n for n, row in enumerate(_SAME) for word in row.split()}
STEM = 5
"""Letters by which words of one root are told: дорога, дорожный."""


def check(draft: Draft) -> Iterator[Finding]:
    """Speaks only where both are about something known, and about different things: a good answer often shares no word
    with its question («Люк поставили»)."""
    if draft.kind not in ("final", "interim"):
        return
    asked = _about(draft.message) | _about(draft.topic)
    said = _about(draft.text)
    if themes(asked) and themes(said) and not shared(asked | _about(" ".join(draft.places)), said):
        yield Finding(WARNING, "relevance", "ответ о другом, чем спросили; не на другой ли он вопрос (п. 8)")


def _about(text: str) -> set[str]:
    return set(content(text)) - FORMULA


def shared(asked: set[str], said: set[str]) -> bool:
    """Whether two sets of lemmas have a word, a root or a theme in common."""
    return bool(keys(asked) & keys(said))


def keys(lemmas: set[str]) -> set[str]:
    """What lemmas are compared by: their roots, roughly, and the themes they belong to."""
    return {w[:STEM] for w in lemmas} | {f"#{n}" for n in themes(lemmas)}


def themes(lemmas: set[str]) -> set[int]:
    """The everyday themes that these words belong to."""
    return {_GROUP[w] for w in lemmas if w in _GROUP}
