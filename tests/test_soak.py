"""The short form of `make soak`: everything real but the provider, kill -9 at random points."""

from pathlib import Path

import pytest

from bot.understanding.classifier import EmbeddedClassifier
from tests.soak import Plan, Soak, too_doubtful

PLAN = Plan(deliveries=300, asking=40, kills=8, patience=240)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_nothing_is_lost_and_nothing_doubled_when_processes_die(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, classifier: EmbeddedClassifier
) -> None:
    """Every message is sent once or told as uncertain, and everybody who wrote is heard once and answered."""
    url = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    result = Soak(PLAN, tmp_path, url).run()
    assert (result["lost"], result["double"], result["other"]) == (0, 0, 0)
    assert result["heard"] == result["answered"] == PLAN.asking
    assert result["sent"] + result["uncertain"] == result["accepted"] >= PLAN.deliveries  # type: ignore[operator]
    assert not too_doubtful(result), result
