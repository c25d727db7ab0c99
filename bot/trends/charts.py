"""Charts, drawn on the server: the only place that imports vl-convert. What was released never changes, so that a chart is drawn once.

Without vl-convert nothing is drawn; every number and sentence is there all the same.
"""

import importlib.util
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bot.errors import TrendsError
from bot.trends.specs import Spec

MOST_KEPT = 16 * 1024 * 1024  # bytes of drawn charts
MOST_WAITING = 12  # charts that are asked for at once; who comes then is told to come again
SHARPNESS = 2.0  # pixels of a PNG for each of the SVG
_FONTS = Path(__file__).parents[1] / "hotline" / "fonts"  # DejaVu, which has all Vietnamese letters
_LONG = re.compile(r"(\d\.\d\d)\d{3,}")  # figures of places; no number that people read has as many decimals
_FIRST: Spec = {"data": {"values": [{}]}, "mark": "point"}

Form = Literal["svg", "png"]


def can_draw() -> bool:
    return importlib.util.find_spec("vl_convert") is not None


def refuse_without_charts() -> None:
    """TrendsError where vl-convert is missing."""
    if not can_draw():
        raise TrendsError(
            "Charts are drawn with vl-convert, which is not installed: pip install 'banduong[trends]' (docs/deployer.md). "
            "The tables have the same numbers."
        )


class TooMany(Exception):  # noqa: N818 - no error: it works again in a moment
    """So many charts wait to be drawn that another one would keep people from everything else."""


class Charts:
    """Draws one at a time, and keeps what was drawn last."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_WAITING)
        self._shelf = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._begun = False

    def draw(self, name: str, make: Callable[[], Spec], form: Form) -> bytes:
        """`name`: stands for what `make` makes, so that the same name always means the same picture. TrendsError where nothing can be
        drawn; TooMany."""
        refuse_without_charts()
        full = f"{name}.{form}"
        if kept := self._find(full):
            return kept
        if not self._places.acquire(blocking=False):
            raise TooMany
        try:
            with self._turn:
                return self._find(full) or self._keep(full, _drawn(make(), form))
        finally:
            self._places.release()

    def warm(self) -> None:
        """Starts the renderer in a thread, once: that takes a second, which nobody shall wait for."""
        if can_draw() and not self._begun:
            self._begun = True
            threading.Thread(target=self.draw, args=("", lambda: _FIRST, "png"), daemon=True, name="charts").start()

    def _find(self, name: str) -> bytes | None:
        with self._shelf:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def _keep(self, name: str, drawn: bytes) -> bytes:
        with self._shelf:
            self._kept[name] = drawn
            self._size += len(drawn)
            while self._size > MOST_KEPT and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
        return drawn


def _drawn(spec: Spec, form: Form) -> bytes:
    import vl_convert

    vl_convert.register_font_directory(str(_FONTS))
    if form == "png":
        return bytes(vl_convert.vegalite_to_png(dict(spec), scale=SHARPNESS, allowed_base_urls=[]))
    drawn = str(vl_convert.vegalite_to_svg(dict(spec), allowed_base_urls=[]))
    return _LONG.sub(r"\1", drawn).encode()
