"""Papers as PDF, in a font that has every letter of Vietnamese. The same paper gives the same bytes."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bot.letters import compose

_FONTS = Path(__file__).parent / "fonts"
_PLAIN, _BOLD = "DejaVuSans", "DejaVuSans-Bold"
_MARGIN, _LABEL = 56.0, 110.0  # points
_SIZE = 10.0


@dataclass(frozen=True)
class Paper:
    """`rows`: label and text, which may hold line breaks. `small`: what stands below in small letters."""

    title: str
    under_title: str
    rows: tuple[tuple[str, str], ...]
    small: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Paper(…)"


def pdf(paper: Paper) -> bytes:
    """A4, as many pages as it needs."""
    from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle  # type: ignore[import-untyped]

    fonts = _fonts()
    plain, bold = fonts.style(_PLAIN, _SIZE), fonts.style(_BOLD, _SIZE)
    rows = [[Paragraph(fonts.markup(label), bold), Paragraph(fonts.markup(text), plain)] for label, text in paper.rows]
    width = A4[0] - 2 * _MARGIN
    table = Table(rows, colWidths=[_LABEL, width - _LABEL], splitInRow=1)
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.25, "#999999")]))
    small = [Paragraph(fonts.markup(text), fonts.style(_PLAIN, _SIZE - 2)) for text in paper.small]
    file = BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN)
    SimpleDocTemplate(file, pagesize=A4, title=paper.title, invariant=1, **margins).build(
        [
            Paragraph(fonts.markup(paper.title), fonts.style(_BOLD, _SIZE + 6)),
            Paragraph(fonts.markup(paper.under_title), plain),
            Spacer(1, _SIZE), table, Spacer(1, _SIZE), *small,
        ]
    )  # fmt: skip
    return file.getvalue()


@cache
def _fonts() -> "_Fonts":
    return _Fonts()


class _Fonts:
    """The two faces, as reportlab knows them."""

    def __init__(self) -> None:
        from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
        from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]

        self._faces = [TTFont(name, _FONTS / f"{name}.ttf") for name in (_PLAIN, _BOLD)]
        for face in self._faces:
            pdfmetrics.registerFont(face)
        self._known = set.intersection(*(set(face.face.charToGlyph) for face in self._faces))

    def style(self, face: str, size: float) -> Any:
        from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]

        return ParagraphStyle(f"{face} {size}", fontName=face, fontSize=size, leading=size * 1.4, spaceAfter=size / 3)

    def markup(self, text: str) -> str:
        """The text as itself, never as markup. A letter that the font lacks is written as its number, [U+0E01]."""
        shown = "".join(self._letter(letter) for letter in compose(text).replace("\r\n", "\n"))
        return escape(shown).replace("\n", "<br/>")

    def _letter(self, letter: str) -> str:
        return letter if letter == "\n" or ord(letter) in self._known else f"[U+{ord(letter):04X}]"
