"""docs/licences.md from the metadata of what is installed: `make licences`.

Versions stand in requirements.lock; the page names none, so that a new version alone does not make it old.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

HEAD = """# Licences of what otklik needs

Made by `make licences` from the metadata of the installed distributions; a test compares. otklik itself: MIT
([LICENSE](../LICENSE)). Nothing of these is part of its wheel: pip installs each from its own distribution, with its
licence text. Versions that were tried together stand in [requirements.lock](../requirements.lock).

| distribution | licence | needed |
|---|---|---|
"""


def name_of(name: str) -> str:
    """The name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(found: Distribution) -> str:
    """As its metadata say: the SPDX expression, else the classifiers, else the free field's first line."""
    meta = found.metadata
    if expression := meta.get("License-Expression"):
        return expression
    told = [c.rpartition(" :: ")[2] for c in meta.get_all("Classifier") or () if c.startswith("License ::")]
    if told := [t for t in told if t != "OSI Approved"]:
        return ", ".join(told)
    first = ((meta.get("License") or "").strip().splitlines() or [""])[0].strip()
    return first[:80] or "not told in its metadata"


def _needs(found: Distribution, extras: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    for line in found.requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": e}) for e in extras | {""}):
            yield wanted


def needed(root: str = "otklik") -> dict[str, tuple[str, bool]]:
    """Distribution -> (licence, whether `root` names it itself) of everything that the program needs here."""
    direct = {name_of(r.name) for r in _needs(distribution(root))}
    found: dict[str, tuple[str, bool]] = {}
    waiting = list(_needs(distribution(root)))
    while waiting:
        wanted = waiting.pop()
        name = name_of(wanted.name)
        try:
            there = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        if name not in found:
            found[name] = (licence(there), name in direct)
            waiting += _needs(there, frozenset(wanted.extras))
        elif wanted.extras:
            waiting += [r for r in _needs(there, frozenset(wanted.extras)) if name_of(r.name) not in found]
    return found


def page() -> str:
    rows = sorted(needed().items())
    return HEAD + "".join(
        f"| {n} | {told} | {'itself' if direct else 'through others'} |\n" for n, (told, direct) in rows
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
