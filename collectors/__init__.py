"""Collectors: one module a network, the contract, the poll loop, the HTTP manners.

`make` builds the collector of a network; networks are found among the built-in ones and by the entry point group
`otklik.collectors` (name = the network's name in config.yaml, value = a subclass of `Collector`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collectors.contract import Collector
    from collectors.inbox import Inbox
    from collectors.manners import Budget, Manners, Stop
    from collectors.quota import Quota
    from settings import Settings

GROUP = "otklik.collectors"
BUILTIN = {
    "vk": "collectors.vk:VkCollector",
    "ok": "collectors.ok:OkCollector",
    "instagram": "collectors.instagram:InstagramCollector",
    "facebook": "collectors.facebook:FacebookCollector",
    "x": "collectors.x:XCollector",
    "telegram": "collectors.telegram:TelegramCollector",
    "max": "collectors.max:MaxCollector",
    "youtube": "collectors.youtube:YoutubeCollector",
    "rutube": "collectors.rutube:RutubeCollector",
}
"""The networks of the vocabulary; one whose module is not there (yet) counts as having no collector."""


def builtin() -> dict[str, str]:
    """The built-in networks that have a collector -> where its class is ("module:Class")."""
    from importlib.util import find_spec

    return {name: place for name, place in BUILTIN.items() if find_spec(place.partition(":")[0]) is not None}


def available() -> dict[str, str]:
    """Name of each network that has a collector -> where its class is ("module:Class"); a built-in one wins."""
    from importlib.metadata import entry_points

    return {e.name: e.value for e in entry_points(group=GROUP)} | builtin()


def load(name: str) -> type[Collector]:
    """The collector class of network `name`; ConfigError when there is none or it can't be loaded."""
    from importlib import import_module
    from importlib.metadata import EntryPoint, entry_points

    from collectors.contract import Collector
    from settings import ConfigError

    if name in (own := builtin()):
        module, _, attribute = own[name].partition(":")
        return getattr(import_module(module), attribute)
    entry: EntryPoint | None = next(iter(entry_points(group=GROUP, name=name)), None)
    if entry is None:
        raise ConfigError(f"для сети {name} нет сборщика; есть для: {', '.join(sorted(available()))}")
    try:
        found: Any = entry.load()
    except Exception as e:  # a foreign package may fail in any way
        raise ConfigError(f"сборщик сети {name} ({entry.value}) не загружается: {type(e).__name__}") from e
    if not (isinstance(found, type) and issubclass(found, Collector)):
        raise ConfigError(f"сборщик сети {name} ({entry.value}) не подходит: это не класс Collector")
    return found


def manners_of(settings: Settings, name: str, store: Budget) -> Manners | None:
    """The counters of network `name`'s token, to be looked at; None without a token that can be read. Asks nobody."""
    import time

    from collectors.manners import Manners
    from settings import OtklikError

    cls, config = load(name), settings.networks.get(name)
    if config is None:
        return None
    by_month = cls.prices.dollars > 0
    manners = Manners(
        name, config, store, a_day=cls.daily_budget, zone=cls.day_zone, by_month=by_month, clock=time.time
    )
    try:
        manners.key  # noqa: B018  (needs the token)
    except OtklikError:
        return None
    return manners


def quota_of(settings: Settings, name: str, store: Budget) -> Quota | None:
    """What network `name` allows a day and how much of it is spent; None when nothing limits it. Asks nobody.

    Without a token that can be read there is no counter to look at: None as well.
    """
    manners = manners_of(settings, name, store)
    return None if manners is None else manners.quota


def make(
    settings: Settings,
    name: str,
    store: Budget | None = None,
    *,
    stop: Stop | None = None,
    inbox: Inbox | None = None,
) -> Collector:
    """The collector of network `name`, ready to work.

    `store` keeps the budgets and the inbox; None: only this process counts and keeps. `inbox`: kept elsewhere.
    """
    from collectors.inbox import MemoryInbox
    from collectors.manners import Manners, MemoryBudget
    from collectors.transport import Gate
    from settings import ConfigError, SecretError

    cls = load(name)
    if name not in settings.networks:
        raise ConfigError(f"{settings.where('networks')}: сеть {name} не описана; добавьте networks.{name}")
    config = settings.networks[name]
    if config.token is None and cls.needs_token:
        how = f" (как получить: docs/ru/{name}-token.md)" if name in BUILTIN else ""
        raise SecretError(
            f'{settings.where("networks", name)}: не задан token; впишите token: "${{{name.upper()}_TOKEN}}"{how}'
        )
    gate = Gate.open(config, cls, where=lambda key: settings.where("networks", name, key))
    manners = Manners(
        name,
        config,
        MemoryBudget() if store is None else store,
        rate=cls.requests_per_second,
        a_day=cls.daily_budget,
        zone=cls.day_zone,
        by_month=cls.prices.dollars > 0,
        gate=gate,
        stop=stop,
    )
    collector = cls(config, manners)
    collector.inbox = inbox or (store if hasattr(store, "inbox_put") else MemoryInbox())  # type: ignore[assignment]
    collector.configured = tuple(p for p in settings.pages if p.network == name and p.enabled)
    return collector
