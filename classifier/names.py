"""What a person calls things: titles of topics and groups, names of places. For corrections and for display."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from classifier.places import Gazetteer, as_place
from classifier.topics import read_taxonomy
from settings import ConfigError
from store.values import Place


def titles() -> dict[str, str]:
    """Ids of topics and groups -> their Russian titles."""
    topics, groups, _ = read_taxonomy()
    return {**groups, **topics}


def topic_and_group(id_: str) -> tuple[str | None, str]:
    """(topic, group) of an id that may name either; ConfigError with the nearest ids when there is no such one."""
    topics, groups, group_of = read_taxonomy()
    wanted = id_.strip()
    if wanted in topics:
        return wanted, group_of[wanted]
    if wanted in groups:
        return None, wanted
    by_title = {title.casefold(): i for i, title in [*groups.items(), *topics.items()]}
    if wanted.casefold() in by_title:
        return topic_and_group(by_title[wanted.casefold()])
    near = difflib.get_close_matches(wanted, [*topics, *groups], n=3) or [
        by_title[t] for t in difflib.get_close_matches(wanted.casefold(), by_title, n=3, cutoff=0.5)
    ]
    tip = f"похожие: {', '.join(near)}" if near else "список: otklik topics"
    raise ConfigError(f"темы {wanted[:60]} нет; {tip}")


def emergency_kind(name: str) -> str:
    """The kind of emergency that a person named; ConfigError with the nearest kinds when there is no such one."""
    from classifier.judge import RULES
    from classifier.rules import RuleBook

    kinds = {s.name.casefold(): s.name for s in RuleBook.load(RULES).sections if s.sort == "emergency"}
    found = kinds.get(name.strip().casefold())
    if found is None:
        near = difflib.get_close_matches(name.strip().casefold(), kinds, n=3, cutoff=0.5) or sorted(kinds)
        raise ConfigError(f"такого вида чрезвычайного нет: {name.strip()[:60]}; есть: {', '.join(near)}")
    return found


def find_places(names: Iterable[str], gazetteer: Gazetteer) -> list[Place]:
    """The places a person named; a name that the gazetteer lacks is taken as it stands."""
    found = []
    for name in names:
        wanted = name.strip().casefold()
        entry = next((e for e in gazetteer.entries if e.name.casefold() == wanted), None)
        found.append(as_place(entry, None, 1.0) if entry else Place(name.strip(), "место"))
    return found
