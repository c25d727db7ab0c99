"""Shares and counts over outcomes, each under the name that other programs know."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.understanding.evaluation.rows import FORMS, Outcome, is_flagged
from bot.understanding.nlu_data import KINDS

BASE_FORM = "diacritics"  # with which the other ways of writing are compared

Test = Callable[[Outcome], bool]


@dataclass(frozen=True)
class Share:
    """A value between 0 and 1 and the rows that it rests on; None where there are none."""

    value: float | None
    of: int


@dataclass(frozen=True)
class Measure:
    """Of the rows that are `among`, how many are `right`."""

    key: str
    title: str
    among: Test
    right: Test


def _is(kind: str) -> Test:
    return lambda outcome: outcome.row.kind == kind


def _offers(risk: str) -> Test:
    return lambda outcome: outcome.row.kind == "offer" and outcome.row.risk == risk


def _is_unwarned(outcome: Outcome) -> bool:
    return outcome.risk in (None, "low") and outcome.escalate == "none"


MEASURES = (
    Measure("kind_acc", "kind", lambda _: True, lambda o: o.row.kind == o.reading.kind),
    Measure("label_acc", "kind and topic", lambda _: True, lambda o: o.right),
    Measure("topic_acc_questions", "topic of questions", _is("question"), lambda o: o.right),
    Measure(
        "answer_acc_questions", "answer of questions", lambda o: o.row.kind == "question" and o.row.slug is not None,
        lambda o: o.answer == o.row.slug,
    ),
    Measure("topic_acc_chat", "topic of small talk", _is("chat"), lambda o: o.right),
    Measure("emergency_recall", "emergencies found", _is("emergency"), lambda o: o.reading.kind == "emergency"),
    Measure(
        "emergency_precision", "emergencies that are", lambda o: o.reading.kind == "emergency", _is("emergency")
    ),
    Measure(
        "offer_risk_acc", "risk of offers", lambda o: o.row.kind == "offer" and o.row.risk is not None,
        lambda o: o.row.risk == o.risk,
    ),
    Measure("low_false_alarm", "honest offers called high", _offers("low"), lambda o: o.risk == "high"),
    Measure("high_miss", "dangerous offers called low", _offers("high"), lambda o: o.risk == "low"),
    Measure("high_unwarned", "dangerous offers unwarned", _offers("high"), _is_unwarned),
    Measure(
        "escalate_acc", "a person as labelled", lambda o: o.row.escalate is not None,
        lambda o: o.row.escalate == o.escalate,
    ),
    Measure(
        "help_reached", "help reached", lambda o: o.row.escalate not in (None, "none"), lambda o: o.escalate != "none"
    ),
    Measure(
        "language_acc", "language", lambda o: o.row.language is not None,
        lambda o: o.row.language == o.reading.language,
    ),
)  # fmt: skip
FLAGS, FLAGS_ANYWHERE = "flags_micro_f1", "flags_micro_f1_all_rows"
HARMS = frozenset({"low_false_alarm", "high_miss", "high_unwarned"})  # of which less is better
TITLES = {measure.key: measure.title for measure in MEASURES} | {
    FLAGS: "flags (micro F1)",
    FLAGS_ANYWHERE: "flags on all rows (micro F1)",
}


def figures(outcomes: Sequence[Outcome]) -> dict[str, Share]:
    """Every measure by its key, in the order in which they are shown."""
    found = {measure.key: share(outcomes, measure.among, measure.right) for measure in MEASURES}
    found[FLAGS] = _micro([outcome for outcome in outcomes if is_flagged(outcome)])
    found[FLAGS_ANYWHERE] = _micro([outcome for outcome in outcomes if outcome.row.flags is not None])
    return found


def share(outcomes: Iterable[Outcome], among: Test, right: Test) -> Share:
    told = [right(outcome) for outcome in outcomes if among(outcome)]
    return Share(sum(told) / len(told) if told else None, len(told))


def by_form(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Share]]:
    """The measures of each way of writing that occurs."""
    found = {form: [outcome for outcome in outcomes if outcome.row.form == form] for form in FORMS}
    return {form: figures(of_form) for form, of_form in found.items() if of_form}


def differences(forms: dict[str, dict[str, Share]]) -> dict[str, dict[str, float | None]]:
    """How far each way of writing lies above (+) or below (-) full diacritics."""
    base = forms.get(BASE_FORM, {})
    return {
        form: {key: _difference(one, base[key]) for key, one in shares.items()}
        for form, shares in forms.items()
        if base and form != BASE_FORM
    }


def _difference(one: Share, base: Share) -> float | None:
    return None if one.value is None or base.value is None else one.value - base.value


# -- classes: kinds, labels, flags -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """How well one class is told from all others. `support`: rows that are labelled with it."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


def score_of(name: str, both: int, read: int, support: int) -> Score:
    """`both`: labelled so and read so; `read`: read so; `support`: labelled so."""
    return Score(
        name,
        both / read if read else None,
        both / support if support else None,
        2 * both / (read + support) if read + support else None,
        support,
    )


def scores(pairs: Iterable[tuple[Iterable[str], Iterable[str]]]) -> list[Score]:
    """One for each class that occurs, by its name. `pairs`: the classes as labelled and as read, of each row."""
    both, read, support = Counter[str](), Counter[str](), Counter[str]()
    for labelled, found in pairs:
        support.update(set(labelled))
        read.update(set(found))
        both.update(set(labelled) & set(found))
    return [score_of(name, both[name], read[name], support[name]) for name in sorted(read | support)]


def intent_scores(outcomes: Iterable[Outcome]) -> list[Score]:
    """Of kinds without topics, topics and small talk."""
    return scores(([outcome.row.label], [outcome.label]) for outcome in outcomes)


def flag_scores(outcomes: Iterable[Outcome]) -> list[Score]:
    """Of each flag, in offers, reports and emergencies."""
    return scores((outcome.row.flags or (), outcome.reading.flags) for outcome in outcomes if is_flagged(outcome))


def _micro(outcomes: Sequence[Outcome]) -> Share:
    pairs = [(outcome.row.flags or frozenset(), set(outcome.reading.flags)) for outcome in outcomes]
    both = sum(len(labelled & found) for labelled, found in pairs)
    read, support = (sum(len(pair[side]) for pair in pairs) for side in (1, 0))
    return Share(score_of("", both, read, support).f1, len(pairs))


def confusion(outcomes: Iterable[Outcome]) -> list[list[int]]:
    """Rows: the kind as labelled; columns: as read; both in the order of KINDS."""
    counts = Counter((outcome.row.kind, outcome.reading.kind) for outcome in outcomes)
    return [[counts[labelled, found] for found in KINDS] for labelled in KINDS]


def confused(outcomes: Iterable[Outcome]) -> list[tuple[str, str, int]]:
    """(label, read as, rows), the commonest first: topics and small talk as well as kinds."""
    counts = Counter((outcome.row.label, outcome.label) for outcome in outcomes if not outcome.right)
    return [(*pair, count) for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
