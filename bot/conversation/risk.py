"""How risky an offer is, by the rules of the labelling guide. The rules are public; nobody is shown a score."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from bot.content import RedFlag
from bot.understanding.reading import Understanding

Risk = Literal["low", "medium", "high"]
Escalation = Literal["none", "offer", "urgent"]


@dataclass(frozen=True)
class RiskAssessment:
    """`flags` from the gravest on."""

    level: Risk
    flags: tuple[str, ...]


def assess(flags: Collection[str], signs: Collection[str], red_flags: Mapping[str, RedFlag]) -> RiskAssessment:
    """One strong flag or two weak ones: high. One weak flag, or nothing known for the offer: medium. Else low."""
    ordered = tuple(sorted((flag for flag in flags if flag in red_flags), key=lambda flag: red_flags[flag].rank))
    strong = any(red_flags[flag].strength == "strong" for flag in ordered)
    if strong or len(ordered) >= 2:
        return RiskAssessment("high", ordered)
    if ordered or not vouched_for(signs):
        return RiskAssessment("medium", ordered)
    return RiskAssessment("low", ordered)


def vouched_for(signs: Collection[str]) -> bool:
    """Whether anything speaks for the offer: a state programme, a checked licence, a named employer with a contract ..."""
    return "vouched" in signs


def escalation(reading: Understanding, level: Risk | None) -> Escalation:
    """urgent for every emergency; a person is offered for reports, high-risk offers, unresolved harm and who asks for one."""
    if reading.kind == "emergency":
        return "urgent"
    asked = reading.kind == "chat" and reading.topic == "human"
    harmed = reading.kind == "question" and "own_harm" in reading.signs
    if reading.kind == "report" or (reading.kind == "offer" and level == "high") or asked or harmed:
        return "offer"
    return "none"
