"""Reading public registers of places: an OKTMO-like CSV and GeoNames' dump, into plain values.

The register has a header: `code, name, type, parent` in English or Russian; `lat, lon, aliases, centre` are used when
there; comma, semicolon or tab; UTF-8 or cp1251. A parent is a code or a name; without one it follows from the code as
OKTMO builds them (2 digits of the region, 3 of the district, 3 of the settlement council, 3 of the place). Every
complaint names the file and the line.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from settings import ConfigError, os_problem

MAX_BYTES = 2_000_000_000
MAX_ROWS = 2_000_000
_HEADS = {
    "code": ("code", "код", "oktmo", "октмо", "geonameid"),
    "name": ("name", "наименование", "название", "имя"),
    "type": ("type", "kind", "тип", "вид"),
    "parent": ("parent", "родитель", "parent_code", "входит", "parentid"),
    "lat": ("lat", "latitude", "широта"),
    "lon": ("lon", "lng", "longitude", "долгота"),
    "aliases": ("aliases", "alternatenames", "другие названия"),
    "centre": ("centre", "center", "центр"),
}
REGION, DISTRICT, COUNCIL = "регион", "район", "совет"
_TYPES = {
    "село": "с|село|сл|слобода|кишлак|местечко",
    "деревня": "д|дер|деревня",
    "посёлок": "п|пос|поселок|пгт|рп|кп|дп|поселок городского типа|рабочий поселок|курортный поселок|дачный поселок|"
    "поселок сельского типа|поселок при станции|ст|станция|ж/д ст|разъезд|рзд",
    "город": "г|гор|город",
    "хутор": "х|хутор",
    "станица": "ст-ца|станица",
    "аул": "аул",
    DISTRICT: "м.р-н|р-н|район|муниципальный район|мун. район|м.о|мун. округ|муниципальный округ|го|г.о|"
    "городской округ|округ",
    COUNCIL: "с/с|сельсовет|с.п|с/п|сп|сельское поселение|г.п|г/п|гп|городское поселение|с/о|сельский округ|"
    "сельская администрация|межселенная территория",
    REGION: "республика|респ|область|обл|край|автономный округ|ао|страна",
    "река": "река|р",
    "озеро": "озеро|оз",
    "ручей": "ручей",
    "гора": "гора",
    "хребет": "хребет",
    "дорога": "дорога|автодорога",
    "школа": "школа|сош",
    "больница": "больница|црб",
    "бывшее село": "бывшее село",
}
_KIND_OF = {name: kind for kind, names in _TYPES.items() for name in names.split("|")}
LIVED = frozenset({"село", "деревня", "посёлок", "город", "хутор", "станица", "аул"})
_CYRILLIC = re.compile(r"[А-Яа-яЁёӀ][А-Яа-яЁёӀ0-9 .()-]{1,58}")
_CLASS = re.compile(r"[A-Z]{2,5}\d?")


@dataclass(frozen=True, slots=True)
class Unit:
    """One row of the register; `up`: the units it lies in, nearest first."""

    line: int
    code: str
    name: str
    kind: str
    parent: str = ""
    lat: float | None = None
    lon: float | None = None
    aliases: tuple[str, ...] = ()
    centre: str = ""
    up: tuple[Unit, ...] = ()

    @property
    def district(self) -> str:
        return next((u.name for u in self.up if u.kind == DISTRICT), "")

    @property
    def council(self) -> str:
        return next((u.name for u in self.up if u.kind == COUNCIL), "")

    @property
    def region(self) -> str:
        return next((u.name for u in self.up if u.kind == REGION), self.code[:2])

    @property
    def at(self) -> tuple[float, float] | None:
        return None if self.lat is None or self.lon is None else (self.lat, self.lon)


@dataclass(frozen=True, slots=True)
class Point:
    """One feature of GeoNames with its Russian names, the main one first."""

    names: tuple[str, ...]
    feature: str
    at: tuple[float, float]


def key(name: str) -> str:
    """A name as names are compared: letter case, ё and hyphens make no difference."""
    return " ".join(re.sub(r"[-–—]", " ", name.casefold().replace("ё", "е")).split())


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: файл слишком велик; оставьте в нём один регион")
        data = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path}: файл не читается ({os_problem(e)}); проверьте путь и права") from None
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigError(f"{path}: это не текст в UTF-8 или cp1251; сохраните файл как CSV в UTF-8")


def read_register(path: Path) -> tuple[list[Unit], tuple[str, ...]]:
    """The register's rows with their parents found, and the types that are not known (their rows are left out)."""
    text = _text(path)
    if "\0" in text:
        raise ConfigError(f"{path}: это не текст, а двоичный файл; сохраните таблицу как CSV")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [h.strip().casefold() for h in next(reader)]
        columns = {what: next((i for i, h in enumerate(header) if h in heads), None) for what, heads in _HEADS.items()}
        if columns["name"] is None or (columns["code"] is None and columns["parent"] is None):
            raise ConfigError(f"{path}:1: в первой строке нужны столбцы code, name, type, parent (или по-русски)")
        units, unknown = [], {}
        for cells in reader:
            at = f"{path}:{reader.line_num}"
            if not any(c.strip() for c in cells):
                continue
            if len(units) >= MAX_ROWS:
                raise ConfigError(f"{at}: строк больше {MAX_ROWS}; оставьте один регион")
            cell = {what: _cell(cells, i) for what, i in columns.items()}
            if not cell["name"]:
                raise ConfigError(f"{at}: пустое название; впишите его или уберите строку")
            name, kind = kind_of(cell["name"], cell["type"])
            if kind is None:
                unknown.setdefault(cell["type"] or cell["name"].split()[0], None)
                continue
            units.append(
                Unit(
                    line=reader.line_num,
                    code=re.sub(r"\D", "", cell["code"]),
                    name=name,
                    kind=kind,
                    parent=cell["parent"],
                    lat=_degrees(cell["lat"], 90, at, "широта"),
                    lon=_degrees(cell["lon"], 180, at, "долгота"),
                    aliases=tuple(a.strip() for a in re.split(r"[;,]", cell["aliases"]) if a.strip()),
                    centre=cell["centre"],
                )
            )
    except (csv.Error, StopIteration) as e:
        what = "файл пуст" if isinstance(e, StopIteration) else "это не CSV"
        raise ConfigError(f"{path}:{max(1, reader.line_num)}: {what}; нужна таблица code, name, type, parent") from None
    return _raised(units, path), tuple(unknown)


def _cell(cells: Sequence[str], i: int | None) -> str:
    return "".join(c if c.isprintable() else " " for c in cells[i]).strip() if i is not None and i < len(cells) else ""


def _degrees(text: str, limit: int, at: str, what: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not abs(value) <= limit:
        raise ConfigError(f"{at}: {what} «{text[:30]}» — не градусы; нужно число от -{limit} до {limit}")
    return value


def kind_of(name: str, type_: str) -> tuple[str, str | None]:
    """(bare name, kind) of a row; the type stands in its column or at the beginning or end of the name."""
    known = _KIND_OF.get(_bare(type_)) if type_ else None
    words = name.split()
    if not type_:
        for n in (3, 2, 1):
            if len(words) > n and (found := _KIND_OF.get(_bare(" ".join(words[:n])))):
                known, words = found, words[n:]
                break
            if len(words) > n and (found := _KIND_OF.get(_bare(" ".join(words[-n:])))):
                known, words = found, words[:-n]
                break
    if known is None:
        return name, None
    bare = " ".join(words)
    if known in (DISTRICT, COUNCIL):
        bare = _admin_name(bare, known, type_ or name)
    return bare, known


def _bare(text: str) -> str:
    return text.casefold().replace("ё", "е").strip(" .").replace("..", ".")


def _admin_name(bare: str, kind: str, said: str) -> str:
    """ "Ахтынский" -> "Ахтынский район", "сельсовет Ахтынский" -> "Ахтынский сельсовет"."""
    said = said.casefold()
    word = "район"
    if kind == COUNCIL:
        word = "сельсовет" if re.search(r"с/с|сельсовет|с/о", said) else "поселение"
    elif "округ" in said or re.fullmatch(r"\s*[мг]\.?\s?о\.?\s*", said):
        word = "округ"
    bare = re.sub(r"(?i)\b(?:муниципальный|городской|сельское|городское|район|округ|сельсовет|поселение)\b", "", bare)
    bare = " ".join(bare.strip(' «»"').split())
    return f"{bare} {word}" if re.search(r"(?:ий|ый|ой|ое|ая)$", bare) else f"{word} {bare}".strip()


def _raised(units: list[Unit], path: Path) -> list[Unit]:
    """Units with the chain of what they lie in."""
    by_code = {u.code: u for u in units if u.code}
    by_name: dict[str, Unit] = {}
    for u in units:
        if u.kind in (DISTRICT, COUNCIL, REGION):
            by_name.setdefault(key(u.name), u)
            by_name.setdefault(key(re.sub(r"(?i)\b(?:район|округ|сельсовет|поселение)\b", "", u.name)), u)

    def parent(u: Unit) -> Unit | None:
        if u.parent:
            found = by_code.get(re.sub(r"\D", "", u.parent)) if re.search(r"\d", u.parent) else None
            found = found or by_name.get(key(u.parent))
            if found is None:
                raise ConfigError(f"{path}:{u.line}: нет строки «{u.parent[:60]}», в которую входит {u.name[:60]}")
            return found
        for code in _codes_above(u.code):
            if code in by_code and by_code[code] is not u:
                return by_code[code]
        return None

    out = []
    for u in units:
        chain: list[Unit] = []
        here = parent(u)
        while here is not None:
            if here is u or here in chain:
                raise ConfigError(f"{path}:{u.line}: {u.name[:60]} входит само в себя; исправьте parent")
            chain.append(here)
            here = parent(here)
        out.append(replace(u, up=tuple(chain)))
    return out


def _codes_above(code: str) -> Iterator[str]:
    if len(code) == 11:
        yield code[:8]
    if len(code) in (8, 11):
        yield code[:5] + "000"
        yield code[:2] + "000000"
        yield code[:2]


def read_geonames(path: Path) -> list[Point]:
    """Features that have a Russian name."""
    rows = _text(path).splitlines()
    columns: dict[str, int] = {}
    points = []
    for n, line in enumerate(rows, 1):
        cells = line.split("\t")
        if n == 1 and not cells[0].strip().isdigit():
            heads = [c.strip().casefold().replace(" ", "_") for c in cells]
            wanted = {"name": ("name",), "other": ("alternatenames",), "lat": _HEADS["lat"], "lon": _HEADS["lon"]}
            wanted["feature"] = ("feature_code",)
            columns = {w: next((heads.index(h) for h in hs if h in heads), -1) for w, hs in wanted.items()}
            if min(columns["name"], columns["lat"], columns["lon"]) < 0:
                raise ConfigError(
                    f"{path}:1: это не выгрузка GeoNames; нужны name, alternatenames, latitude, longitude"
                )
            continue
        if line.strip():
            points.append(_point(cells, columns, f"{path}:{n}"))
    return [p for p in points if p is not None]


def _point(cells: list[str], columns: dict[str, int], at: str) -> Point | None:
    if columns:
        here = {w: cells[i] if 0 <= i < len(cells) else "" for w, i in columns.items()}
        lat, lon, names, feature = here["lat"], here["lon"], [here["name"], here["other"]], here["feature"]
    else:
        i = next((i for i in range(2, len(cells) - 1) if _is_number(cells[i]) and _is_number(cells[i + 1])), None)
        if i is None:
            raise ConfigError(f"{at}: нет широты и долготы; нужна выгрузка GeoNames со столбцами через табуляцию")
        lat, lon, names = cells[i], cells[i + 1], cells[1:i]
        feature = next((c for c in cells[i + 2 : i + 4] if _CLASS.fullmatch(c)), "")
    place = (_degrees(lat, 90, at, "широта"), _degrees(lon, 180, at, "долгота"))
    if place[0] is None or place[1] is None:
        raise ConfigError(f"{at}: пустая широта или долгота; впишите их или уберите строку")
    split = [part.strip() for name in names for part in name.split(",")]
    russian = tuple(dict.fromkeys(p for p in split if _CYRILLIC.fullmatch(p)))
    return Point(russian, feature, (place[0], place[1])) if russian else None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,3}(?:\.\d+)?", text.strip()) is not None
