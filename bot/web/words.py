"""Templates and the words on them."""

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates

from bot.content import load_yaml

_FOLDER = Path(__file__).parent

templates = Jinja2Templates(_FOLDER / "templates")


def page_words(content: Path, page: str, language: str) -> dict[str, str]:
    """The words of one page in one language."""
    words: dict[str, Any] = load_yaml(content / "web.yml")[page]
    return {name: text[language] for name, text in words.items()}


def language_of(request: Request) -> str:
    return "en" if request.query_params.get("lang") == "en" else "vi"
