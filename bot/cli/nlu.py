"""banduong nlu: what the training data lack, and how the kinds are told apart."""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bot.app import App
from bot.cli.common import err, house_of, out
from bot.unanswered import AT_LEAST, kept
from bot.unanswered.anonymous import GONE
from bot.understanding.nlu_data import kind_of

if TYPE_CHECKING:
    from bot.unanswered.groups import Band, Group
    from bot.understanding.classifier import Classification

HINTS = 3  # nearest intents that are named

nlu_app = typer.Typer(
    no_args_is_help=True, help="What the training data lack, and how kinds are told apart.", rich_markup_mode=None
)


@nlu_app.command("suggest")
def suggest(
    context: typer.Context,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="as a block for nlu/data; the intents are yours to choose")
    ] = False,
) -> None:
    """Show what eleven people or more asked and nobody answered, in everyday words only, with the intents that lie nearest."""
    house = house_of(context)
    found = [(group, _hints(house, group)) for group in unanswered_groups(house, house.clock())]
    if not found:
        err.print(f"In the last thirty days no question without an answer came from {AT_LEAST} people or more.")
    elif as_yaml:
        out.print("\n".join(_block(found)))
    else:
        for group, hints in found:
            out.print(f"{_people(group.people):>16}  {' '.join(group.wording)}\n{'':16}  nearest: {_named(hints)}")


@nlu_app.command("fit")
def fit_decision(context: typer.Context) -> None:
    """Fit anew how much each piece of evidence says (nlu/decision.yml): learns three times, and takes some minutes.

    Worth while when nlu/data, the flags or the signs have changed much. Measure before and after with `banduong evaluate`.
    """
    from bot.understanding.decision import FILE
    from bot.understanding.fitting import fit

    house = house_of(context)
    folder = house.config.nlu_folder
    decision = fit(folder, house.library, err.print)
    decision.save(folder)
    out.print(f"{len(decision.weights)} pieces of evidence weighed; {folder / FILE}")


def unanswered_groups(house: App, now: dt.datetime) -> "list[Group]":
    """The largest first. What fewer than eleven people ask is in none."""
    from bot.unanswered.groups import groups  # numpy, which a worker does without

    with house.database.read() as connection:
        questions = kept.all_words(connection, house.database.keyring, now)
    return groups(questions, house.classifier.word_counts)


def _hints(house: App, group: "Group") -> list[tuple[str, float]]:
    words = " ".join(word for word in group.wording if word != GONE)
    return nearest(next(house.classifier.classify(house.normaliser.plain(words))))


def nearest(guess: "Classification") -> list[tuple[str, float]]:
    """(intent, probability), the likeliest first: answers where a topic has them, else kinds and small talk."""
    others = [(label, p) for label, p in guess.labels.items() if kind_of(label) != "question"]
    intents = [*guess.answers, *others]
    return sorted(intents, key=lambda intent: -intent[1])[:HINTS]


def _named(hints: list[tuple[str, float]]) -> str:
    return ", ".join(f"{intent} {p:.2f}" for intent, p in hints)


def _people(band: "Band") -> str:
    return f"{band.least} people or more" if band.most is None else f"{band.least}-{band.most} people"


def _block(found: "list[tuple[Group, list[tuple[str, float]]]]") -> Iterator[str]:
    """Rasa's format with the intent left open: as it stands, `banduong check` refuses it."""
    yield from ('version: "3.1"', "nlu:")
    for group, hints in found:
        yield f"# {_people(group.people)}; nearest: {_named(hints)}. {GONE} is a gap: write whole sentences of your own."
        yield from ("- intent:", "  examples: |", f"    - {' '.join(group.wording)}")
