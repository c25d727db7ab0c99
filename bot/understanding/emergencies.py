"""Danger to life or freedom: certain rules that stand by themselves, and a sum of evidence for everything less plain."""

import math
import re
from collections.abc import Collection, Mapping

from bot.content import EmergencyEvidence
from bot.understanding.cues import Cue
from bot.understanding.normalise import PlainText
from bot.understanding.reading import ASKS

CONTROL = ("restricted_movement", "violence_threat", "ransom_demand", "forced_scam_work", "isolation_no_contact")
SUPPORT = frozenset({*CONTROL, "called_home", "destination_changed", "suicide", "minor"})


class EmergencyRules:
    """`speaks` is true where somebody is in danger now (content/emergencies.yml)."""

    def __init__(self, evidence: EmergencyEvidence) -> None:
        self._threshold = evidence.threshold
        self._weights = dict(evidence.weights)
        self._certain = [Cue.compile(rule.id, rule.cues, rule.unless) for rule in evidence.rules if rule.certain]
        self._others = [Cue.compile(rule.id, rule.cues, rule.unless) for rule in evidence.rules if not rule.certain]
        self._calm = [re.compile(pattern) for pattern in evidence.calm]

    def speaks(
        self, plain: PlainText, labels: Mapping[str, float], flags: Collection[str], signs: Collection[str]
    ) -> bool:
        if self.certain_rule(plain):
            return True
        if labels.get("offer", 0.0) > labels.get("emergency", 0.0) and not set(CONTROL) & set(flags):
            return False
        return self._sum(plain, labels, {*flags, *signs}) > self._threshold

    def certain_rule(self, plain: PlainText) -> str | None:
        """The id of a rule that needs no model, where nothing calms it."""
        if self._is_calm(plain):
            return None
        return next((rule.name for rule in self._certain if rule.find(plain)), None)

    def _sum(self, plain: PlainText, labels: Mapping[str, float], found: Collection[str]) -> float:
        weight = self._weights
        total = weight["model"] * _log_odds(labels.get("emergency", 0.0))
        total += weight["report"] * _log_odds(labels.get("report", 0.0))
        total += sum(weight[name] for name in found if name in weight)
        if any(rule.find(plain) for rule in (*self._certain, *self._others)):
            total += weight["rule"]
        elif not SUPPORT & {*found}:
            total += weight["unsupported"]
        if self._is_calm(plain):
            total += weight["calm"]
        if ASKS.search(plain.text):
            total += weight["asks"]
        return total

    def _is_calm(self, plain: PlainText) -> bool:
        return any(pattern.search(plain.text) for pattern in self._calm)


def _log_odds(p: float) -> float:
    bounded = min(max(p, 1e-3), 1 - 1e-3)
    return math.log(bounded / (1 - bounded))
