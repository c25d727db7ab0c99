"""banduong evaluate: how well messages are understood, on labelled rows or across the training data itself."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperCommand

from bot.app import App
from bot.cli.common import err, house_of, out
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.understanding.evaluation.folds import Fold
    from bot.understanding.evaluation.rows import Outcome, Row

UNSEEN = "unseen.jsonl"  # its errors are counted, never looked at
PAGE = "evaluation.html"
FOLDS = 5
PAIRS_SHOWN = 15
OF_FORMS = ("kind_acc", "label_acc", "topic_acc_questions", "flags_micro_f1")  # shown by form here; the page has all
FEWEST_FOLDS, MOST_FOLDS = 2, 20

Told = dict[str, Any]


class WithDefaults(TyperCommand):
    """`--report` and `--cross-validate` take the next word only if it is one of theirs; otherwise their default."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_filled(args)))


def _filled(args: Sequence[str]) -> list[str]:
    filled = []
    for word, after in zip(args, [*args[1:], ""], strict=True):
        filled.append(word)
        if word == "--report" and not after.endswith((".html", ".htm")):
            filled.append("")
        if word == "--cross-validate" and not after.isdecimal():
            filled.append(str(FOLDS))
    return filled


def evaluate(
    context: typer.Context,
    rows: Annotated[Path | None, typer.Argument(help="labelled rows; default nlu/eval/unseen.jsonl")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="everything as one JSON object on one line")] = False,
    errors: Annotated[int, typer.Option(min=0, help="how many of the worst errors are listed")] = 10,
    show_errors: Annotated[
        bool, typer.Option("--show-errors", help="list them also for nlu/eval/unseen.jsonl, which then measures strangers no more")
    ] = False,
    report: Annotated[
        str | None, typer.Option(metavar="[FILE.html]", help="write a page with pictures; default evaluation.html in BANDUONG_HOME")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(metavar="NAME NAME", help="the same rows through two backends, as: embedded rasa")
    ] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(
            metavar="[K]", min=FEWEST_FOLDS, max=MOST_FOLDS,
            help=f"instead: learn K times from parts of nlu/data and measure on the rest; default {FOLDS}; takes minutes",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Measure the understanding on labelled messages that it never learned from."""
    house = house_of(context)
    if cross_validate is not None:
        if rows or compare or report is not None:
            raise UsageError("--cross-validate measures nlu/data itself: leave out rows, --report and --compare.")
        _print_folds(_folds(house, cross_validate), errors, as_json=as_json)
        return
    path = rows or house.config.nlu_folder / "eval" / UNSEEN
    found = _measured(house, path, compare, None if _is_unseen(house, path) and not show_errors else errors)
    if report is not None:
        page = _write_page(found, Path(report) if report else house.config.home / PAGE)
        err.print(f"{page} is written.")
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        _print(found)


def _is_unseen(house: App, path: Path) -> bool:
    return path.resolve() == (house.config.nlu_folder / "eval" / UNSEEN).resolve()


def _measured(house: App, path: Path, compare: tuple[str, str] | None, errors: int | None) -> Told:
    """`errors`: how many are listed, None where they are only counted."""
    from bot.understanding.evaluation.comparison import compare as compared
    from bot.understanding.evaluation.report import comparison_told, told, worst
    from bot.understanding.evaluation.rows import read_rows

    names = compare or (house.config.bot.nlu.backend,)
    if len(set(names)) < len(names):
        raise UsageError(f"--compare needs two different backends, not {names[0]} twice.")
    labelled = read_rows(path)
    outcomes = {name: _read(house, name, labelled) for name in names}
    first = outcomes[names[0]]
    found = told(path.name, first, None if errors is None else worst(first, errors))
    return {**found, "reader": names[0], "comparison": comparison_told(compared(outcomes)) if compare else None}


def _read(house: App, name: str, labelled: "Sequence[Row]") -> "list[Outcome]":
    from bot.understanding.evaluation.rows import read_all

    reader = house.interpreter_for(name)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        seen = progress.track(labelled, description=f"reading ({name})")
        return list(read_all(seen, reader, house.risk_of, house.escalation_of))


def _write_page(found: Told, path: Path) -> Path:
    from bot.understanding.evaluation.report import page

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(found, found["comparison"]), encoding="utf-8")
    return path


# -- tables ------------------------------------------------------------------------------------------------------------


def _print(found: Told) -> None:
    _print_figures(found)
    if found["comparison"]:
        _print_comparison(found["comparison"])
    _print_confusion(found)
    _print_scores("intent", found["intents"])
    if found["flags"]:
        _print_scores("flag", found["flags"])
    _print_calibration(found)
    _print_scope(found["out_of_scope"])
    latency = found["latency_ms"]
    out.print(f"\nreading one message: p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms")
    _print_errors(found)


def _print_figures(found: Told) -> None:
    from bot.understanding.evaluation.measures import TITLES

    table = Table("measure", "value", "of", box=None)
    for key, one in found["figures"].items():
        table.add_row(TITLES[key], _number(one["value"]), str(one["of"]))
    out.print(table)
    if not found["by_form"]:
        return
    table = Table("way of writing", "rows", *(TITLES[key] for key in OF_FORMS), box=None)
    for form, shares in found["by_form"].items():
        apart = found["differences"].get(form, {})
        values = (_with_difference(shares[key]["value"], apart.get(key)) for key in OF_FORMS)
        table.add_row(form, str(shares["kind_acc"]["of"]), *values)
    _print_apart(table)


def _print_apart(table: Table) -> None:
    out.print()
    out.print(table)


def _with_difference(value: float | None, difference: float | None) -> str:
    return _number(value) + (f" {difference:+.3f}" if difference is not None else "")


def _number(value: float | None) -> str:
    from bot.understanding.evaluation.report import number

    return number(value)


def _print_comparison(comparison: Told) -> None:
    from bot.understanding.evaluation.measures import TITLES

    readers = list(comparison["readers"].values())
    table = Table("reader", *comparison["readers"], box=None)
    for key, title in TITLES.items():
        table.add_row(title, *_against_first([one["figures"][key]["value"] for one in readers]))
    for form in readers[0]["by_form"]:
        for key in ("kind_acc", "label_acc"):
            values = [one["by_form"][form][key]["value"] for one in readers]
            table.add_row(f"{TITLES[key]}, {form}", *_against_first(values))
    table.add_row("answered by", *(_answered(one["answered_by"]) for one in readers))
    for share in ("p50", "p95"):
        table.add_row(f"{share} ms", *(f"{one['latency_ms'][share]:.1f}" for one in readers))
    _print_apart(table)
    for duel in comparison["duels"]:
        out.print(
            f"rows right by both {duel['both']}, only {duel['first']} {duel['only_first']}, only {duel['second']} "
            f"{duel['only_second']}, neither {duel['neither']} (McNemar p {duel['p']:.4f})"
        )


def _answered(rows: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in rows.items())


def _against_first(values: list[float | None]) -> Iterator[str]:
    first = values[0]
    yield _number(first)
    for value in values[1:]:
        yield _with_difference(value, None if value is None or first is None else value - first)


def _print_confusion(found: Told) -> None:
    table = Table("labelled, read as", *found["kinds"], box=None)
    for kind, counts in zip(found["kinds"], found["confusion"], strict=True):
        table.add_row(kind, *map(str, counts))
    _print_apart(table)
    table = Table("most confused", "read as", "rows", box=None)
    for pair in found["confused"][:PAIRS_SHOWN]:
        table.add_row(pair["label"], pair["read"], str(pair["rows"]))
    _print_apart(table)


def _print_scores(what: str, scores: list[Told]) -> None:
    table = Table(what, "precision", "recall", "F1", "rows", box=None)
    for one in scores:
        table.add_row(one["name"], *(_number(one[name]) for name in ("precision", "recall", "f1")), str(one["support"]))
    _print_apart(table)


def _print_calibration(found: Told) -> None:
    whole = found["calibration"]
    out.print(
        f"\ncalibration: ECE {_number(whole['ece'])}, with bins of equal size {_number(whole['adaptive'])}, "
        f"Brier {_number(whole['brier'])}"
    )
    table = Table("confidence", "rows", "mean", "right", "gap", box=None)
    for one in whole["bins"]:
        table.add_row(f"{one['low']:.1f}-{one['high']:.1f}", *_bin(one))
    for kind, one in found["calibration_by_kind"].items():
        table.add_row(f"{kind} (ECE {_number(one['ece'])})", *_bin(one))
    out.print(table)


def _bin(one: Told) -> tuple[str, ...]:
    gap = one["confidence"] - one["right"]
    return str(one["rows"]), _number(one["confidence"]), _number(one["right"]), f"{gap:+.3f}"


def _print_scope(scope: Told | None) -> None:
    if scope is None:
        return
    at = scope["at_kept"]
    out.print(
        f"\nout of scope: AUROC {_number(scope['auroc'])}; with {at['kept']:.1%} of in-scope kept (threshold "
        f"{at['threshold']:.3f}) {at['refused']:.1%} of out-of-scope refused"
    )
    table = Table("threshold", "in scope kept", "out of scope refused", box=None)
    for point in scope["points"]:
        table.add_row(f"{point['threshold']:.2f}", _number(point["kept"]), _number(point["refused"]))
    out.print(table)


def _print_errors(found: Told) -> None:
    if found["errors"] is None:
        out.print(
            f"\n{found['wrong']} rows are wrong. Those of {UNSEEN} are only counted: once somebody has mended the bot by them "
            "they say no more how the next stranger is understood (docs/linguist.md). --show-errors lists them."
        )
        return
    out.print(f"\n{found['wrong']} rows are wrong; the surest of them:" if found["errors"] else "")
    for one in found["errors"]:
        out.print(_error_line(one))


def _error_line(one: Told) -> str:
    return f"{one['confidence']:.3f}  {one['label']} -> {one['read']}  {one['text']}  [{one['id']}]"


# -- cross-validation --------------------------------------------------------------------------------------------------


def _folds(house: App, folds: int) -> "list[Fold]":
    from bot.understanding.evaluation.folds import cross_validate
    from bot.understanding.nlu_data import read_examples, read_phrases
    from bot.understanding.normalise import Normaliser

    data = house.config.nlu_folder / "data"
    normaliser = Normaliser.from_file(house.config.nlu_folder / "teencode.yml")
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading nlu/data", total=None)
        return list(
            cross_validate(
                read_examples(data), read_phrases(data), normaliser, house.interpreter_with, folds,
                lambda what, done, of: progress.update(task, description=what, completed=done, total=of),
            )
        )  # fmt: skip


def _print_folds(folds: "Sequence[Fold]", most: int, *, as_json: bool) -> None:
    from bot.understanding.evaluation.folds import folds_told
    from bot.understanding.evaluation.measures import TITLES

    found = folds_told(folds)
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return
    table = Table("measure", "mean", "deviation", "least", "most", box=None)
    for one in found["spreads"]:
        table.add_row(TITLES[one["key"]], *(_number(one[name]) for name in ("mean", "deviation", "least", "most")))
    out.print(table)
    out.print(
        f"\n{len(found['elsewhere'])} of {found['n']} training sentences lie elsewhere for the model of the other folds, with "
        "confidence above 0.9; look whether they are mislabelled or ambiguous:"
    )
    for one in found["elsewhere"][:most]:
        out.print(_error_line(one))
