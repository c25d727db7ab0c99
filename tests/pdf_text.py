"""The text of a PDF with embedded fonts, read back by the maps that tell readers and search which letter a glyph is."""

import base64
import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)endobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*)endstream", re.DOTALL)
_SHOWN = re.compile(rb"/(F\d+\+\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\)\s*Tj|(T\*|ET)", re.DOTALL)
_ESCAPE = re.compile(rb"\\(\d{3}|.)", re.DOTALL)
_MAPPED = re.compile(rb"^<(\w\w)> <(\w{4})>$", re.MULTILINE)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def text_of(pdf: bytes) -> str:
    """All pages; a line of the paper is a line here."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    names = {name: int(number) for name, number in re.findall(rb"/(F\d+\+\d+) (\d+) 0 R", pdf)}
    maps = {name: _letters(objects, number) for name, number in names.items()}
    return "".join(
        _page(_stream(body), maps) for body in objects.values() if b"/FlateDecode" in body and b" Tj" in _stream(body)
    )


def _page(drawn: bytes, maps: dict[bytes, dict[int, str]]) -> str:
    font, found = b"", []
    for name, shown, line_end in _SHOWN.findall(drawn):
        if name:
            font = name
        elif line_end:
            found.append("\n")
        else:
            found += [maps[font][code] for code in _ESCAPE.sub(_unescaped, shown)] if font in maps else []
    return "".join(found)


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8)]) if code.isdigit() and len(code) == 3 else _PLAIN.get(code, code)


def _letters(objects: dict[int, bytes], font: int) -> dict[int, str]:
    reference = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    assert reference, "the font tells no reader which letter a glyph is"
    table = _stream(objects[int(reference[1])])
    return {int(code, 16): _letter(letter) for code, letter in _MAPPED.findall(table)}


def _letter(written: bytes) -> str:
    return bytes.fromhex(written.decode()).decode("utf-16-be")


def _stream(body: bytes) -> bytes:
    found = _STREAM.search(body)
    if not found:
        return b""
    content = found[1]
    if b"/ASCII85Decode" in body:
        content = base64.a85decode(content.strip().removesuffix(b"~>"))
    return zlib.decompressobj().decompress(content) if b"/FlateDecode" in body else content
