"""All measures of one reading of labelled rows as one plain object; the page and the command line show it, programs read it.

The page holds everything: no script, no file beside it, and its style is allowed by its digest alone.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.understanding.evaluation.calibration import by_kind_read, calibration_of, scope_of
from bot.understanding.evaluation.comparison import Comparison, Duel, Reader, latency
from bot.understanding.evaluation.measures import (
    HARMS,
    TITLES,
    Score,
    Share,
    by_form,
    confused,
    confusion,
    differences,
    figures,
    flag_scores,
    intent_scores,
)  # fmt: skip
from bot.understanding.evaluation.rows import Outcome
from bot.understanding.nlu_data import KINDS

DIGITS = 4
TEMPLATES = Path(__file__).parent / "templates"

Told = dict[str, Any]


def told(name: str, outcomes: Sequence[Outcome], errors: Sequence[Outcome] | None) -> Told:
    """`name`: of the rows; `errors`: those that are shown one by one, None where they may only be counted."""
    forms, scope = by_form(outcomes), scope_of(outcomes)
    return {
        "rows": name,
        "n": len(outcomes),
        "figures": _shares(figures(outcomes)),
        "by_form": {form: _shares(shares) for form, shares in forms.items()},
        "differences": {form: _rounded(one) for form, one in differences(forms).items()},
        "kinds": list(KINDS),
        "confusion": confusion(outcomes),
        "confused": [{"label": label, "read": read, "rows": rows} for label, read, rows in confused(outcomes)],
        "intents": _scores(intent_scores(outcomes)),
        "flags": _scores(flag_scores(outcomes)),
        "calibration": _plain(calibration_of(outcomes)),
        "calibration_by_kind": {kind: _plain(one) for kind, one in by_kind_read(outcomes).items()},
        "out_of_scope": _plain(scope) if scope else None,
        "latency_ms": _plain(latency(outcomes)),
        "wrong": sum(not outcome.right for outcome in outcomes),
        "errors": None if errors is None else [error_told(outcome) for outcome in errors],
    }


def worst(outcomes: Sequence[Outcome], most: int) -> list[Outcome]:
    """Wrong, the surest first."""
    wrong = [outcome for outcome in outcomes if not outcome.right]
    return sorted(wrong, key=lambda outcome: (-outcome.reading.confidence, outcome.row.id))[:most]


def error_told(outcome: Outcome) -> Told:
    return {
        "id": outcome.row.id,
        "label": outcome.row.label,
        "read": outcome.label,
        "confidence": round(outcome.reading.confidence, DIGITS),
        "text": outcome.row.text,
    }


def comparison_told(comparison: Comparison) -> Told:
    return {
        "readers": {reader.name: _reader(reader) for reader in comparison.readers},
        "duels": [_duel(duel) for duel in comparison.duels],
    }


def _reader(reader: Reader) -> Told:
    return {
        "answered_by": reader.answered_by,
        "figures": _shares(reader.figures),
        "by_form": {form: _shares(shares) for form, shares in reader.forms.items()},
        "latency_ms": _plain(reader.latency),
    }


def _duel(duel: Duel) -> Told:
    return {**asdict(duel), "p": round(duel.p, DIGITS)}


def page(found: Told, comparison: Told | None) -> str:
    """One HTML page of what `told` and `comparison_told` gave."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    return environment.get_template("report.html").render(
        found=found, comparison=comparison, titles=TITLES, harms=HARMS, style=style, style_digest=digest
    )


def number(value: float | None, *, signed: bool = False) -> str:
    """As it stands in tables; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _shares(shares: Mapping[str, Share]) -> Told:
    return {key: _plain(one) for key, one in shares.items()}


def _scores(scores: Sequence[Score]) -> list[Told]:
    return [_plain(score) for score in scores]


def _plain(value: Any) -> Told:
    """A data class as a plain object, its fractions rounded."""
    found: Told = _rounded(asdict(value))
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
