"""Made-up releases of four quarters, written straight into the released tables: seasons, two rises, small provinces, a lost week, a gap, a late beginning."""

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from sqlalchemy import insert

from bot.app import App
from bot.config import Config, TrendsConfig, load_config
from bot.store import trend_tables as t
from bot.trends.cells import Cells
from bot.trends.periods import Period, period_on
from tests.conftest import ROOT
from tests.houses import House

FIRST, LAST = dt.date(2025, 10, 1), dt.date(2026, 9, 30)
BEGUN = dt.date(2025, 10, 9)  # counting was switched on within the first week, month and quarter
LOST = "2026-W12"
GAP = "2026-W25"
# People a month by topic, in the order of content/trends.yml; by month the share of a year's mean, with Tet in February.
TOPICS = (4, 22, 74, 58, 66, 30, 96, 28, 9, 14, 120, 48)
SEASON = (1.25, 0.7, 1.2, 1.1, 1.0, 0.9, 0.95, 1.0, 1.05, 1.05, 1.0, 0.9)
RISEN = {"2026-09": {"online_neighbours": 2.1, "marriage": 1.9}}
RISEN |= {"2026-W39": {"online_neighbours": 1.7}, "2026-Q3": {"online_neighbours": 1.6, "marriage": 1.5}}
FLAGS = (16, 60, 24, 18, 40, 72, 90, 110, 140, 40)
RISKS = (30, 48, 44, 9)  # a week
SCALE = {"pilot": 1.0, "standard": 7.0}  # a hundred and thirty people a week, and nine hundred
PLACES = {
    "N40": 3.4,
    "N38": 3.0,
    "N42": 2.2,
    "N15": 1.9,
    "N08": 1.8,
    "N01": 2.4,
    "N79": 2.8,
    "N51": 1.1,
    "N91": 2.0,
    "N80": 1.5,
}
SMALL = {"N46", "N96", "N33", "N48"}
ELSEWHERE = {"abroad": 1.7, "unknown": 6.0}

Small = Callable[[str, str, str], int]


def counting_config(config: Config, profile: str = "standard", *, public: bool = False) -> Config:
    trends = TrendsConfig.model_validate({"profile": profile, "public": public})
    return config.model_copy(update={"bot": config.bot.model_copy(update={"trends": trends})})


def counting_house(home: Path, profile: str = "standard", *, public: bool = False) -> App:
    """A house that counts; it reads no message."""
    home.mkdir(mode=0o700, exist_ok=True)
    return House(
        counting_config(load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(home)}), profile, public=public)
    )


def release_year(house: App, profile: str = "standard", small: Small | None = None, last: dt.date = LAST) -> None:
    """`small`: what is released where there are few people, by period, table and cell; it may be below nought."""
    cells, rules = Cells(house.library), house.library.trend_rules
    with house.trends.database.begin() as connection:
        for period in _periods(last):
            tables = {
                name: table.epsilon for name, table in rules.profiles[profile].items() if table.every == period.grain
            }
            row = {"period": period.name, "profile": profile, "tables": json.dumps(tables, sort_keys=True)}
            begun, lost = max(period.start, BEGUN), period.name == LOST
            connection.execute(insert(t.closings).values(**row, begun_on=begun, lost=lost))
            for name, epsilon in {} if lost else tables.items():
                values = {
                    cell: _value(period, name, cell, SCALE[profile], cells, small or few) for cell in cells.of[name]
                }
                rows = [
                    {"period": period.name, "table_name": name, "cell": cell, "value": value, "epsilon": epsilon}
                    for cell, value in values.items()
                ]
                connection.execute(insert(t.releases), rows)


def few(period: str, table: str, cell: str) -> int:
    """Noise around nought to ten people."""
    return _chance(period, table, cell) % 14 - 4 if _chance(table, period, cell) % 3 else _chance(cell, period) % 11


def _periods(last: dt.date) -> Iterator[Period]:
    for grain in ("quarter", "month", "week"):
        period = period_on(grain, BEGUN)
        while period.end <= last + dt.timedelta(days=1):
            if period.name != GAP:
                yield period
            period = period.following


def _value(period: Period, table: str, cell: str, scale: float, cells: Cells, small: Small) -> int:
    mean = scale * _mean(period, table, cell, cells)
    if mean < 13:
        return min(10, small(period.name, table, cell))
    return round(mean + (_chance(period.name, table, cell) % 9 - 4) * min(1.0, mean / 60))


def _mean(period: Period, table: str, cell: str, cells: Cells) -> float:
    """How many people there would be without noise."""
    length = {"week": 7 / 30.4, "month": 1.0, "quarter": 2.7}[period.grain]
    season = SEASON[(period.start + (period.end - period.start) / 2).month - 1]
    grown = 1.0 + 0.25 * math.tanh((period.start - FIRST).days / 300)
    left, _, right = cell.partition("/")
    topics = dict(zip(cells.of["topic"], TOPICS, strict=True))
    whole = sum(TOPICS)
    rose = RISEN.get(period.name, {})
    if table == "risk":
        return RISKS[cells.of[table].index(cell)] * season * grown
    if table == "flag":
        return FLAGS[cells.of[table].index(cell)] * length * season * grown
    if table == "topic":
        return topics[cell] * length * season * grown * rose.get(cell, 1.0)
    if table == "province":
        return whole * _share(cell, cells) * length * season * grown * (1.5 if cell == "N40" and rose else 1.0)
    if table == "province_topic":
        more = rose.get(right, 1.0) if left in ("N40", "N42") else 1.0
        return topics[right] * _share(left, cells) * length * season * grown * more
    here = sum(_share(code, cells) for code, region in cells.region_of.items() if region == left)
    more = rose.get(right, 1.0) if left == "north_central" else 1.0
    return topics[right] * here * length * season * grown * more


def _share(place: str, cells: Cells) -> float:
    weights = {
        one: ELSEWHERE.get(one) or PLACES.get(one) or (0.15 if one in SMALL else 0.8) for one in cells.of["province"]
    }
    return weights[place] / sum(weights.values())


def _chance(*words: str) -> int:
    """Always the same for the same words."""
    return int.from_bytes(sha256("|".join(words).encode()).digest()[:4])
