"""Red flags that lie in figures: pay above the country's cut-off, hours a day, an age under 18."""

from collections.abc import Collection, Mapping

from bot.content import Country
from bot.understanding.entities import Entities

TOO_MANY_HOURS = 12  # more than this a day
ADULT = 18
HOME = "VN"

Words = tuple[str, ...]


def flags_of_figures(
    entities: Entities, found: Mapping[str, Words], signs: Collection[str], countries: Mapping[str, Country]
) -> dict[str, Words]:
    """`found` with what the figures say. A stated pay decides by itself; prices of organs or of a bride are no pay."""
    flags = dict(found)
    pay = entities.pay
    priced = "surrogacy_organ" in found or "marriage_broker" in found
    if pay and pay.per_month and not priced:
        if "double_pay" not in signs:
            flags.pop("unrealistic_pay", None)
        named = {place.code for place in entities.countries}
        if pay.per_month >= _cut_off(named, countries, online="online_task" in signs):
            flags["unrealistic_pay"] = (pay.words,)
    if entities.hours_a_day and max(hours for hours, _ in entities.hours_a_day) <= TOO_MANY_HOURS:
        flags.pop("excessive_hours", None)
    if hours := [words for hours, words in entities.hours_a_day if hours > TOO_MANY_HOURS]:
        flags["excessive_hours"] = _joined(flags, "excessive_hours", hours)
    if entities.ages and min(age for age, _ in entities.ages) >= ADULT:
        flags.pop("minor", None)
    if ages := [words for age, words in entities.ages if age < ADULT]:
        flags["minor"] = _joined(flags, "minor", ages)
    return flags


def flag_of_pay(per_month: int | None, country: str | None, countries: Mapping[str, Country]) -> str | None:
    """The same judgement for pay and place that were told in different messages."""
    named = {country} if country else set()
    return "unrealistic_pay" if per_month and per_month >= _cut_off(named, countries, online=False) else None


def _cut_off(named: Collection[str], countries: Mapping[str, Country], *, online: bool) -> float:
    """VND a month: of the foreign country named (with several, of the one that pays most), else of Viet Nam."""
    abroad = [countries[code].unrealistic_pay for code in named if code != HOME]
    home = countries[HOME]
    limits = [limit for limit in abroad if limit]
    if limits:
        return max(limits)
    return (home.unrealistic_online if online else home.unrealistic_pay) or float("inf")


def _joined(flags: Mapping[str, Words], flag: str, words: list[str]) -> Words:
    return tuple(dict.fromkeys((*flags.get(flag, ()), *words)))
