"""A gazetteer of another district, from public registers: no code, only files.

    otklik model gazetteer build oktmo.csv --geonames RU.txt --district "Горный район" -o places.csv

What the files may look like is told in `gazetteer_read`; what comes out, in `places`: the first row is the centre of
the home district. GeoNames gives coordinates, other names, rivers and mountains. Case forms are made when it is loaded.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from classifier.gazetteer_read import DISTRICT, LIVED, Point, Unit, key, kind_of
from classifier.places import km
from settings import ConfigError

COLUMNS = ("name", "kind", "district", "parent", "lat", "lon", "aliases", "adjectives", "near")
SAME_KM = 150.0  # a namesake farther from its district than this is another place
_OBJECTS = frozenset({"река", "озеро", "ручей", "гора", "хребет", "дорога", "школа", "больница", "бывшее село"})
_FEATURES = {"STM": "река", "LK": "озеро", "MT": "гора", "PK": "гора", "RDGE": "хребет", "MTS": "хребет"}


@dataclass(frozen=True, slots=True)
class Built:
    """Rows of the gazetteer, and what a person should know of them."""

    rows: tuple[dict[str, str], ...]
    district: str
    centre: str
    located: int
    lived: int
    skipped: tuple[str, ...] = field(default=())  # types that the register has and nobody knows


def build(
    units: Sequence[Unit],
    points: Sequence[Point] = (),
    *,
    district: str = "",
    centre: str = "",
    near: Sequence[str] = (),
    near_km: float = 60.0,
    radius_km: float = 100.0,
    skipped: tuple[str, ...] = (),
) -> Built:
    """The gazetteer of `district`: all of it, and what lies around within `radius_km` or, when that can't be told, in
    the same region. `near`: districts that count as near although nobody knows where they lie.
    """
    home = _home(units, district)
    places = _located([u for u in units if u.kind in LIVED or u.kind in _OBJECTS], points)
    lived = [u for u in places if u.kind in LIVED and u.district == home.name]
    if not lived:
        raise ConfigError(f"в районе «{home.name}» нет ни одного населённого пункта; проверьте код и parent его строк")
    first = _centre(lived, home, centre)
    at = first.at or _middle(lived)
    close = {_known_district(units, n).name for n in near}

    def distance(u: Unit) -> float | None:
        return None if at is None or u.at is None else km(at, u.at)

    kept = []
    for u in places:
        far = distance(u)
        mine, same = u.district == home.name, u.region == home.region
        if (
            mine
            or u.district in close
            or (far <= radius_km if far is not None else same)
            or (u.kind == "город" and same)
        ):
            kept.append(u)
    kept.sort(key=lambda u: (u is not first, u.district != home.name, u.kind not in LIVED, u.district, u.name))

    def is_near(u: Unit) -> bool:
        far = distance(u)
        return u.district == home.name or u.district in close or (far is not None and far <= near_km)

    rows = [_row(u, is_near(u)) for u in kept]
    names = {u.district for u in kept if u.district}
    for u in units:
        if u.kind == DISTRICT and u.name in names:
            rows.append(_row(replace(u, up=()), u.name == home.name or u.name in close))
    if at is not None:
        rows += _around(points, at, near_km, {key(r["name"]) for r in rows if r["kind"] in _OBJECTS})
    return Built(tuple(rows), home.name, first.name, sum(u.at is not None for u in lived), len(lived), skipped)


def _home(units: Sequence[Unit], wanted: str) -> Unit:
    found = [u for u in units if u.kind == DISTRICT]
    if not found:
        raise ConfigError("в файле нет ни одного района или округа; нужна строка с типом «район»")
    if wanted:
        return _known_district(units, wanted)
    if len(found) > 1:
        raise ConfigError(f"в файле районов: {len(found)}; назовите свой: --district «{found[0].name}»")
    return found[0]


def _known_district(units: Sequence[Unit], wanted: str) -> Unit:
    found = {key(u.name): u for u in units if u.kind == DISTRICT}
    bare = {key(re.sub(r"(?i)\b(?:район|округ)\b", "", u.name)): u for u in found.values()}
    hit = found.get(key(wanted)) or bare.get(key(wanted))
    if hit is None:
        like = difflib.get_close_matches(key(wanted), found, n=2, cutoff=0.5)
        tip = f"; похожие: {', '.join(found[n].name for n in like)}" if like else ""
        raise ConfigError(f"района «{wanted[:60]}» в файле нет{tip}")
    return hit


def _centre(lived: Sequence[Unit], home: Unit, wanted: str) -> Unit:
    """The district's centre: as told, as the register says, the place it is named after, its town, its first place."""
    for name in (wanted, home.centre):
        if name:
            bare = key(kind_of(name, "")[0])
            hit = next((u for u in lived if key(u.name) in (key(name), bare)), None)
            if hit is not None:
                return hit
            if name == wanted:
                raise ConfigError(f"центра «{wanted[:60]}» в районе «{home.name}» нет; проверьте --centre")
    stem = key(home.name)

    def alike(u: Unit) -> int:
        name = key(u.name)
        n = 0
        while n < min(len(name), len(stem)) and name[n] == stem[n]:
            n += 1
        return n if n >= max(3, len(name) - 2) else 0

    best = max(lived, key=lambda u: (alike(u), u.kind == "город", u.kind == "посёлок"))
    if alike(best) or best.kind in ("город", "посёлок"):
        return best
    return min(lived, key=lambda u: (u.code or "~", u.line))


def _located(units: Sequence[Unit], points: Sequence[Point]) -> list[Unit]:
    """Units with coordinates and other names from GeoNames; of namesakes the one nearest to its district."""
    by_name: dict[str, list[Point]] = {}
    for p in points:
        if p.feature.startswith("PPL") or not p.feature:
            for name in p.names:
                by_name.setdefault(key(name), []).append(p)
    taken = {key(u.name) for u in units if u.kind in LIVED}
    sure: dict[str, list[tuple[float, float]]] = {}
    for u in units:
        found = by_name.get(key(u.name), [])
        at = u.at or (found[0].at if u.kind in LIVED and len(found) == 1 else None)
        if at is not None:
            sure.setdefault(u.district, []).append(at)
    out = []
    for u in units:
        options = by_name.get(key(u.name), []) if u.kind in LIVED else []
        middle = _median(sure.get(u.district, []))
        hit = None
        if options and middle is not None:
            hit = min(options, key=lambda p: km(middle, p.at))
            hit = hit if km(middle, hit.at) <= SAME_KM else None
        elif len(options) == 1:
            hit = options[0]
        if hit is None:
            out.append(u)
            continue
        others = [n for n in hit.names if key(n) != key(u.name) and key(n) not in taken][:5]
        lat, lon = u.at or hit.at
        out.append(replace(u, lat=lat, lon=lon, aliases=tuple(dict.fromkeys([*u.aliases, *others]))))
    return out


def _around(
    points: Sequence[Point], at: tuple[float, float], near_km: float, known: set[str]
) -> Iterator[dict[str, str]]:
    """Rivers, lakes and mountains near the centre that the register lacks."""
    for p in points:
        kind = next((k for f, k in _FEATURES.items() if p.feature.rstrip("IX") == f or p.feature == f), None)
        if kind is None or km(at, p.at) > near_km or key(p.names[0]) in known:
            continue
        known.add(key(p.names[0]))
        name = re.sub(r"(?i)^(?:река|озеро|гора|хребет)\s+|\s+(?:река|озеро|гора|хребет)$", "", p.names[0])
        unit = Unit(0, "", name, kind, lat=p.at[0], lon=p.at[1])
        yield _row(unit, True)


def _row(u: Unit, near: bool) -> dict[str, str]:
    return {
        "name": u.name,
        "kind": u.kind,
        "district": u.district if u.kind != DISTRICT else u.name,
        "parent": u.council,
        "lat": "" if u.lat is None else f"{u.lat:.5g}" if abs(u.lat) < 1 else f"{u.lat:.4f}",
        "lon": "" if u.lon is None else f"{u.lon:.4f}",
        "aliases": ";".join(a for a in u.aliases if ";" not in a),
        "adjectives": "",
        "near": "1" if near else "0",
    }


def _median(found: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    return (statistics.median(a for a, _ in found), statistics.median(b for _, b in found)) if found else None


def _middle(units: Iterable[Unit]) -> tuple[float, float] | None:
    return _median([u.at for u in units if u.at is not None])


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The file that `places.Gazetteer.load` reads."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
