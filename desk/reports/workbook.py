"""A report as XLSX (XlsxWriter, row by row in constant memory): a sheet a table, native charts, the map as a picture.

Nothing is ever written as a formula, and no text becomes a link of itself.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from textwrap import wrap
from typing import Any
from zoneinfo import ZoneInfo

from desk.reports.blocks import INT, LENGTH, LINK, PERCENT, TEXT, TIME, Chart, Document, Map, Table

MOST_ROWS = 1_000_000
"""A sheet of Excel holds 1,048,576; more go to a next sheet."""
_HEAD = 2  # rows above a table's header
_KINDS = {"bar": {"type": "bar", "subtype": "stacked"}, "column": {"type": "column"}, "line": {"type": "line"}}


def write(document: Document, pictures: Mapping[str, bytes]) -> bytes:
    """The whole file, its ZIP not yet made reproducible."""
    import xlsxwriter

    data = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "in_memory": False}
    book = xlsxwriter.Workbook(data, {**options, "remove_timezone": True})
    book.set_properties(
        {"title": document.title, "author": "otklik", "created": document.at.replace(tzinfo=None, microsecond=0)}
    )
    formats = _Formats(book)
    used: set[str] = set()
    for table in document.tables():
        for start in range(0, len(table.rows) or 1, MOST_ROWS):
            part = replace(table, rows=table.rows[start : start + MOST_ROWS])
            _sheet(book, formats, _sheet_name(table.sheet, used), part, document)
    for block in document.blocks:
        if isinstance(block, Chart):
            _chart(book, formats, _sheet_name(f"График {block.title}", used), block, document)
        elif isinstance(block, Map):
            sheet = book.add_worksheet(_sheet_name(block.title, used))
            _printed(sheet, document, pages=1)
            sheet.insert_image(
                0, 0, "map.png", {"image_data": io.BytesIO(pictures[block.name]), "description": block.title}
            )
    if not book.worksheets():
        sheet = book.add_worksheet("Отчёт")
        sheet.write_string(0, 0, document.title)
        sheet.write_string(1, 0, " ".join(b.text for b in document.blocks if hasattr(b, "text")))
    book.close()
    return data.getvalue()


class _Formats:
    def __init__(self, book: Any) -> None:
        self.title = book.add_format({"bold": True, "font_size": 13})
        self.head = book.add_format(
            {"bold": True, "bg_color": "#E9EEF2", "text_wrap": True, "valign": "top", "border": 1}
        )
        number = {
            PERCENT: "0.0%", LENGTH: "[h]:mm:ss", TIME: "dd.mm.yyyy hh:mm", INT: "0", TEXT: "@", LINK: "@",
        }  # fmt: skip
        left = {"indent": 1}  # so that a text does not touch the number beside it
        self.cells = {
            kind: book.add_format({"num_format": look, **(left if kind in (TEXT, LINK) else {})})
            for kind, look in number.items()
        }


def _sheet_name(wanted: str, used: set[str]) -> str:
    """Excel allows 31 characters, some signs not, and no name twice."""
    base = re.sub(r"[\[\]:*?/\\']", " ", wanted).strip()[:31] or "Лист"
    found, n = base, 1
    while found.casefold() in used:
        n += 1
        found = f"{base[: 30 - len(str(n))]} {n}"
    used.add(found.casefold())
    return found


def _printed(sheet: Any, document: Document, pages: int = 0) -> None:
    """On paper: A4 across, one page wide, `pages` long (0: as many as it needs), the page's number below."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, pages)
    title = document.title[:80].replace("&", "&&")
    sheet.set_footer(f"&L&8{title}&R&8&P / &N")


def _sheet(book: Any, formats: _Formats, name: str, table: Table, document: Document) -> None:
    sheet = book.add_worksheet(name)
    zone = ZoneInfo(document.zone)
    for i, c in enumerate(table.columns):
        sheet.set_column(i, i, c.width)
    sheet.freeze_panes(_HEAD + 1, 1)
    _printed(sheet, document)
    sheet.repeat_rows(_HEAD)
    sheet.set_row(_HEAD, 15 * max((len(wrap(c.name, max(4, int(c.width) - 2))) for c in table.columns), default=1))
    sheet.write_string(0, 0, f"{table.title}. {document.title}", formats.title)
    if table.note:
        sheet.write_string(1, 0, table.note)
    for i, c in enumerate(table.columns):
        sheet.write_string(_HEAD, i, c.name, formats.head)
    for r, row in enumerate(table.rows, _HEAD + 1):
        for i, (value, c) in enumerate(zip(row, table.columns, strict=True)):
            if value is None:
                continue
            look = formats.cells[c.kind]
            if c.kind in (TEXT, LINK):
                sheet.write_string(r, i, str(value), look)
            elif c.kind == TIME:
                sheet.write_datetime(r, i, value.astimezone(zone).replace(tzinfo=None, microsecond=0), look)
            elif c.kind == LENGTH:
                sheet.write_number(r, i, value / 86400, look)
            else:
                sheet.write_number(r, i, value, look)
    if table.rows:
        sheet.autofilter(_HEAD, 0, _HEAD + len(table.rows), len(table.columns) - 1)


def _chart(book: Any, formats: _Formats, name: str, chart: Chart, document: Document) -> None:
    sheet = book.add_worksheet(name)
    _printed(sheet, document, pages=1)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, len(chart.series), 16)
    for i, series in enumerate(chart.series, 1):
        sheet.write_string(0, i, series, formats.head)
    look = formats.cells[PERCENT if chart.percent else INT]
    for r, category in enumerate(chart.categories, 1):
        sheet.write_string(r, 0, category)
        for i, values in enumerate(chart.series.values(), 1):
            if (value := values[r - 1]) is not None:
                sheet.write_number(r, i, value, look)
    if not chart.categories:
        return
    drawn = book.add_chart(_KINDS[chart.kind])
    for i, series in enumerate(chart.series, 1):
        last = len(chart.categories)
        drawn.add_series({"name": series, "categories": [name, 1, 0, last, 0], "values": [name, 1, i, last, i]})
    drawn.set_title({"name": chart.title, "name_font": {"size": 12}})
    drawn.set_size({"width": 760, "height": max(300, 26 * len(chart.categories) + 120)})
    if chart.kind == "bar":
        drawn.set_y_axis({"reverse": True})
    sheet.insert_chart(0, len(chart.series) + 2, drawn)
