"""Danger to life or freedom: certain rules that stand by themselves, other rules as evidence, and what calms."""

import re
from collections.abc import Collection

from bot.content import EmergencyEvidence
from bot.understanding.cues import Cue
from bot.understanding.normalise import PlainText

HELD = "restricted_movement"
CALLED = "called_home"
CONTROL = (HELD, "violence_threat", "ransom_demand", "forced_scam_work", "isolation_no_contact")
SUPPORT = frozenset({*CONTROL, CALLED, "destination_changed", "suicide", "minor"})


class EmergencyRules:
    """The rules of content/emergencies.yml."""

    def __init__(self, evidence: EmergencyEvidence) -> None:
        self._thresholds = evidence.thresholds
        self._certain = [Cue.compile(rule.id, rule.cues, rule.unless) for rule in evidence.rules if rule.certain]
        self._others = [Cue.compile(rule.id, rule.cues, rule.unless) for rule in evidence.rules if not rule.certain]
        self._calm = [re.compile(pattern) for pattern in evidence.calm]

    def threshold(self, plain: PlainText, found: Collection[str]) -> float:
        """The chance from which a message is read as a cry for help, by the flags, signs and rules that were found in it."""
        if self._is_calm(plain):
            return self._thresholds.calmed
        if HELD in found:
            return self._thresholds.held_and_called if CALLED in found else self._thresholds.held
        supported = SUPPORT & {*found} or any(rule.find(plain) for rule in (*self._certain, *self._others))
        return self._thresholds.supported if supported else self._thresholds.alone

    def certain_rule(self, plain: PlainText) -> str | None:
        """The id of a rule that needs no model, where nothing calms it."""
        if self._is_calm(plain):
            return None
        return next((rule.name for rule in self._certain if rule.find(plain)), None)

    def evidence(self, plain: PlainText) -> dict[str, float]:
        """The rules that speak, and whether something calms: then the certain ones say nothing."""
        calm = self._is_calm(plain)
        rules = self._others if calm else (*self._certain, *self._others)
        return {**{f"rule: {rule.name}": 1.0 for rule in rules if rule.find(plain)}, "calm": float(calm)}

    def _is_calm(self, plain: PlainText) -> bool:
        return any(pattern.search(plain.text) for pattern in self._calm)
