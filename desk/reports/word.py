"""A report as DOCX (python-docx); a table is written as XML at once: the library takes far too long for many cells."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from desk.reports.blocks import LENGTH, LINK, TEXT, TIME, Chart, Column, Document, Heading, Map, Para, Table, shown

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
ROOM = 15_000
"""Twips between the margins of the page."""


def write(document: Document, pictures: Mapping[str, bytes]) -> bytes:
    """The whole file, its ZIP not yet made reproducible."""
    import docx
    from docx.enum.section import WD_ORIENT
    from docx.oxml import parse_xml
    from docx.shared import Inches, Pt

    out = docx.Document()
    section = out.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Inches(11.69), Inches(8.27)
    section.left_margin = section.right_margin = Inches(0.6)
    section.top_margin = section.bottom_margin = Inches(0.6)
    out.styles["Normal"].font.size = Pt(10)
    about = out.core_properties
    about.title, about.author, about.last_modified_by, about.comments = document.title, "otklik", "otklik", ""
    about.created = about.modified = document.at.replace(tzinfo=None, microsecond=0)
    about.language = "ru-RU"
    out.add_heading(document.title, 0)
    out.add_paragraph(document.subtitle)
    body = out.element.body
    for block in document.blocks:
        if isinstance(block, Heading):
            out.add_heading(block.text, block.level)
        elif isinstance(block, Para):
            out.add_paragraph(block.text)
        elif isinstance(block, Table):
            shortened = block.readable()
            heading = out.add_paragraph()
            heading.add_run(block.title).bold = True
            heading.paragraph_format.keep_with_next = True
            table = parse_xml("".join(_table(shortened, document.zone)))
            body.insert(len(body) - 1, table)  # before the section's properties
            out.add_paragraph(shortened.note)
        elif isinstance(block, Chart | Map):
            picture = out.add_picture(io.BytesIO(pictures[block.name]), width=Inches(6.4))
            picture._inline.docPr.set("descr", block.title)
    data = io.BytesIO()
    out.save(data)
    return data.getvalue()


def _table(t: Table, zone: str) -> Iterator[str]:
    yield f'<w:tbl xmlns:w="{_W}"><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="5000" w:type="pct"/></w:tblPr>'
    yield "<w:tblGrid>" + "".join(f'<w:gridCol w:w="{w}"/>' for w in _widths(t.columns)) + "</w:tblGrid>"
    yield "<w:tr><w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>"
    for c in t.columns:
        yield _cell(c.name, c.kind, head=True)
    yield "</w:tr>"
    for row in t.rows:
        yield "<w:tr><w:trPr><w:cantSplit/></w:trPr>"
        for value, c in zip(row, t.columns, strict=True):
            yield _cell(shown(value, c.kind, zone), c.kind)
        yield "</w:tr>"
    if not t.rows:
        span = f'<w:tcPr><w:gridSpan w:val="{len(t.columns)}"/></w:tcPr>'
        yield f"<w:tr><w:tc>{span}<w:p><w:r><w:t>нет</w:t></w:r></w:p></w:tc></w:tr>"
    yield "</w:tbl>"


_LETTER, _SIDES = 105, 230
"""Twips that a bold letter of the header takes in a wide typeface, and the two margins of a cell."""


def _widths(columns: Sequence[Column]) -> list[int]:
    """Widths in twips: no header's word and no date is broken, the room that is left goes by the columns' own widths.

    What needs more than the page has is narrowed in proportion, as LibreOffice and Word would do.
    """
    longest = [max(map(len, c.name.split()), default=1) for c in columns]
    least = [
        max(n, 10 if c.kind == TIME else 8 if c.kind == LENGTH else 11 if c.kind == TEXT and len(c.name) > 2 else 4)
        for n, c in zip(longest, columns, strict=True)
    ]
    least = [n * _LETTER + _SIDES for n in least]
    wanted = [max(c.width * 110, n) for c, n in zip(columns, least, strict=True)]
    room, spare = ROOM - sum(least), sum(wanted) - sum(least)
    share = min(1.0, room / spare) if spare > 0 and room > 0 else 0.0
    found = [n + round((w - n) * share) for n, w in zip(least, wanted, strict=True)]
    return found if sum(found) <= ROOM else [round(w * ROOM / sum(found)) for w in found]


def _cell(text: str, kind: str, *, head: bool = False) -> str:
    look = '<w:rPr><w:b/><w:sz w:val="15"/></w:rPr>' if head else '<w:rPr><w:sz w:val="16"/></w:rPr>'
    side = "" if kind in (TEXT, LINK) else '<w:jc w:val="right"/>'
    side = f"<w:pPr>{side}{look}</w:pPr>"  # with the size of an empty paragraph, or its row is taller
    shade = '<w:tcPr><w:shd w:val="clear" w:color="auto" w:fill="E9EEF2"/></w:tcPr>' if head else ""
    return f'<w:tc>{shade}<w:p>{side}<w:r>{look}<w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p></w:tc>'
