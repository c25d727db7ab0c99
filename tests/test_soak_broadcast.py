"""The short form of `make soak-broadcast`: everything real but the provider, kill -9 at random points."""

from pathlib import Path

import pytest

from bot.understanding.classifier import EmbeddedClassifier
from tests.soak_broadcast import BroadcastSoak, Plan, broken

PLAN = Plan(
    people=1500, kills=6, between=(0.5, 2.5), in_expansion=False, asking_every=0.5, quiet=0.0, paused_for=1.5,
    patience=240,
)  # fmt: skip


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_an_alert_reaches_everybody_once_when_processes_die(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, classifier: EmbeddedClassifier
) -> None:
    """Each person at most once, nobody missing but those told as uncertain; who said STOP hears nothing; a pause holds; it ends by itself."""
    url = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    result = BroadcastSoak(PLAN, tmp_path, url).run()
    assert broken(result) == [], result
    assert result["kills"] == PLAN.kills
