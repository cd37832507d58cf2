"""What a report is made of, whatever the format it is written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desk.text import span, when

TEXT, INT, PERCENT, LENGTH, TIME, LINK = "text", "int", "percent", "length", "time", "link"
"""Kinds of columns: `percent` 0..1, `length` in seconds, `time` an aware datetime, `link` a web address."""


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Para:
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: str = INT
    width: int = 12


@dataclass(frozen=True, slots=True)
class Table:
    """`sheet`: its name in a workbook. The workbook has every row; a text has the first `READABLE` and says so."""

    sheet: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def readable(self) -> Table:
        """The table as a text shows it."""
        left = len(self.rows) - READABLE
        if left <= 0:
            return self
        more = f"Здесь первые {READABLE} строк, ещё {left} — в файле XLSX (лист «{self.sheet}»)."
        return Table(self.sheet, self.title, self.columns, self.rows[:READABLE], f"{more} {self.note}".strip())


READABLE = 1000
"""Nobody reads more rows in a text; they are for a workbook's filters."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars or lines over the categories; `kind`: "bar" (lying), "column", "line". `percent`: values are 0..1."""

    name: str
    title: str
    kind: str
    categories: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the picture: degrees, how much."""

    name: str
    lat: float
    lon: float
    n: int


@dataclass(frozen=True, slots=True)
class Map:
    name: str
    title: str
    spots: Sequence[Spot]


Block = Heading | Para | Table | Chart | Map


@dataclass(frozen=True, slots=True)
class Document:
    """`at`: as of when its figures are; the files bear this time, never the present one. `zone` of the times shown."""

    name: str
    title: str
    subtitle: str
    at: datetime
    zone: str
    blocks: Sequence[Block]

    def tables(self) -> Iterable[Table]:
        return (b for b in self.blocks if isinstance(b, Table))


def shown(value: Any, kind: str, zone: str) -> str:
    """A cell in words."""
    if value is None:
        return "—"
    if kind == PERCENT:
        return f"{value * 100:.1f} %".replace(".", ",")
    if kind == LENGTH:
        return span(value)
    if kind == TIME:
        return when(value, zone)
    return str(value)
