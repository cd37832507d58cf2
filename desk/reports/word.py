"""A report as DOCX (python-docx); a table is written as XML at once: the library takes far too long for many cells."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from desk.reports.blocks import LINK, TEXT, Chart, Document, Heading, Map, Para, Table, shown

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


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
    yield "<w:tblGrid>" + "".join(f'<w:gridCol w:w="{c.width * 110}"/>' for c in t.columns) + "</w:tblGrid>"
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


def _cell(text: str, kind: str, *, head: bool = False) -> str:
    look = '<w:rPr><w:b/><w:sz w:val="15"/></w:rPr>' if head else '<w:rPr><w:sz w:val="16"/></w:rPr>'
    side = "" if kind in (TEXT, LINK) else '<w:jc w:val="right"/>'
    side = f"<w:pPr>{side}{look}</w:pPr>"  # with the size of an empty paragraph, or its row is taller
    shade = '<w:tcPr><w:shd w:val="clear" w:color="auto" w:fill="E9EEF2"/></w:tcPr>' if head else ""
    return f'<w:tc>{shade}<w:p>{side}<w:r>{look}<w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p></w:tc>'
