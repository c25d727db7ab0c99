"""The only place that imports OpenDP: noise from its exact discrete sampler, which cannot be seeded."""

import importlib.util
from collections.abc import Sequence
from typing import Any

from bot.errors import TrendsError


def refuse_without_noise() -> None:
    """TrendsError where OpenDP is missing: there is no other noise."""
    if importlib.util.find_spec("opendp") is None:
        raise TrendsError(
            "Trends are released with OpenDP, which is not installed: pip install 'banduong[trends]' (docs/deployer.md), "
            "or set bot.trends.profile: off in config.yml."
        )


def noisy(counts: Sequence[int], epsilon: float) -> list[int]:
    """`counts` after the discrete Laplace mechanism, for people who each change one count by one: pure differential privacy of `epsilon`."""
    mechanism = laplace(epsilon)
    if mechanism.map(1) > epsilon * (1 + 1e-9):
        raise TrendsError("OpenDP would lose more privacy than the promise allows: nothing is released.")
    return [int(value) for value in mechanism(list(counts))]


def laplace(epsilon: float) -> Any:
    """OpenDP's measurement, which knows by itself how much it tells of a person."""
    refuse_without_noise()
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_laplace
    from opendp.metrics import l1_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    return make_laplace(vector_domain(atom_domain(T="i32")), l1_distance(T="i32"), scale=1 / epsilon)
