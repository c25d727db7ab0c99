"""Templates and the words on them."""

from pathlib import Path

from fastapi import Request
from fastapi.templating import Jinja2Templates

from bot.content import Library
from bot.web.filters import FILTERS

_FOLDER = Path(__file__).parent

templates = Jinja2Templates(_FOLDER / "templates")
templates.env.filters |= FILTERS


def page_words(library: Library, page: str, language: str) -> dict[str, str]:
    """The words of one page in one language."""
    return {name: text[language] for name, text in library.web[page].items()}


def language_of(request: Request) -> str:
    return "en" if request.query_params.get("lang") == "en" else "vi"
