"""The privacy statement: how much all that is ever published can tell of one person, by the same rules by which it is released."""

from dataclasses import dataclass

from bot.content import TrendRules
from bot.trends.periods import Period, weeks_of


@dataclass(frozen=True)
class Statement:
    """Both epsilon, delta = 0. `once`: for who writes once, over all that is ever published; `always`: for who writes in each week of a quarter.

    Two talks in one week are one in its table, but may fall into two months: so the promise is made for a talk, not for a week.
    """

    once: float
    always: float


def statement(rules: TrendRules, profile: str, quarter: Period, *, quarterly: bool = True) -> Statement:
    """Basic composition over all releases that count for a quarter."""
    tables = [table for table in rules.profiles[profile].values() if quarterly or table.every != "quarter"]
    releases = {"week": len(weeks_of(quarter)), "month": 3, "quarter": 1}
    return Statement(
        once=sum(table.epsilon for table in tables),
        always=sum(table.epsilon * releases[table.every] for table in tables),
    )


def half_width(epsilon: float, confidence: float = 0.95) -> int:
    """By how much a published number may be off, in people: with this confidence it is off by no more."""
    from math import ceil, exp, log

    ratio = exp(-epsilon)  # of the discrete Laplace distribution: P(|noise| > n) = 2 ratio^(n+1) / (1 + ratio)
    return max(0, ceil(log((1 - confidence) * (1 + ratio) / 2) / log(ratio)) - 1)
