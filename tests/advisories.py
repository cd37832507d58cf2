"""Are the locked versions named in a known advisory? Without a network: against a dump that was fetched before.

`make audit ADVISORIES=all.zip`, or `python -m tests.advisories all.zip`: the dump is that of the ecosystem PyPI from
https://osv.dev, whose records follow https://ossf.github.io/osv-schema/. Exit code: 0 none, 1 some, 2 no such dump.
(Where there is a network, `pip-audit -r requirements.lock` asks the same database.)
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from tests.licences import name_of

LOCK = Path(__file__).parents[1] / "requirements.lock"


@dataclass(frozen=True, slots=True)
class Advisory:
    """`spans`: from (included), until (excluded), until (included); None where a bound is open."""

    id: str
    summary: str
    package: str
    versions: frozenset[str]
    spans: tuple[tuple[Version, Version | None, Version | None], ...]

    def names(self, version: Version) -> bool:
        if str(version) in self.versions:
            return True
        return any(
            a <= version and (b is None or version < b) and (c is None or version <= c) for a, b, c in self.spans
        )


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _spans(ranges: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Version, Version | None, Version | None]]:
    """Of the events of OSV's ranges, which stand in their order."""
    for one in ranges:
        if one.get("type") != "ECOSYSTEM":
            continue
        begun: Version | None = None
        for event in one.get("events", ()):
            if "introduced" in event:
                begun = _version(event["introduced"])
            elif begun is not None and (end := event.get("fixed") or event.get("last_affected")):
                at = _version(end)
                yield (begun, at, None) if "fixed" in event else (begun, None, at)
                begun = None
        if begun is not None:
            yield begun, None, None


def advisories(dump: Path) -> Iterator[Advisory]:
    """Those of the dump that stand. Raises OSError, zipfile.BadZipFile, ValueError."""
    with zipfile.ZipFile(dump) as file:
        for name in file.namelist():
            record = json.loads(file.read(name))
            if record.get("withdrawn"):
                continue
            for affected in record.get("affected", ()):
                package = affected.get("package", {})
                if package.get("ecosystem") != "PyPI":
                    continue
                versions = (_version(v) for v in affected.get("versions", ()))
                yield Advisory(
                    record["id"],
                    "".join(c for c in record.get("summary", "") if c.isprintable())[:200],
                    name_of(package["name"]),
                    frozenset(str(v) for v in versions if v is not None),
                    tuple(_spans(affected.get("ranges", ()))),
                )


def locked() -> dict[str, Version]:
    """The locked versions by distribution."""
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {name_of(name): Version(version) for name, version in lines}


def findings(versions: Mapping[str, Version], known: Iterable[Advisory]) -> list[tuple[str, Version, Advisory]]:
    return [
        (a.package, versions[a.package], a) for a in known if a.package in versions and a.names(versions[a.package])
    ]


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1:
        print("python -m tests.advisories all.zip: the dump of the ecosystem PyPI from osv.dev", file=sys.stderr)
        return 2
    versions = locked()
    try:
        found = findings(versions, advisories(Path(argv[0])))
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, AttributeError, TypeError) as e:
        print(f"{argv[0]}: not a dump of osv.dev's all.zip ({type(e).__name__})", file=sys.stderr)
        return 2
    for package, version, advisory in found:
        print(f"{package} {version}: {advisory.id} {advisory.summary}")
    print(f"{len(versions)} locked distributions, {len(found)} advisories")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
