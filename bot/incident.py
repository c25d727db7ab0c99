"""The form for a breach of personal data (D-10): what is known from the audit chain and the inventory, and what people must fill in.

It holds counts and ids of nothing: no name, number, word or reference of anybody.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from bot import audit
from bot.audit import Entry, Verdict
from bot.messages import VIETNAM
from bot.store.crypto import Keyring
from bot.store.tables import addresses, metadata
from bot.yaml_files import load_yaml

NOTIFY_WITHIN = dt.timedelta(hours=72)
INVENTORY = Path("docs") / "data-inventory.yml"
CATEGORIES = ("identifier", "content", "sensitive")  # beside "none"
TOUCHING = {  # count of the form -> the actions that it counts
    "reads": ("read", "sheet_read"),
    "reveals": ("revealed",),
    "leavings": ("referred", "exported", "access_answered"),
    "tries": ("login_tried",),
}
FILLED_IN_BY_HAND = ("what", "how", "secrets", "harm", "done", "tell_people", "contact", "lawyer", "sent")
_NOBODY = {"bot", "person", "clock", "command line", "stranger"}


@dataclass(frozen=True)
class Kept:
    """One category of data: how many columns, how many of them sealed, and how many rows their tables have now."""

    category: str
    columns: int
    sealed: int
    rows: int


@dataclass(frozen=True)
class Incident:
    """What the house itself knows. `days`: day -> action -> how often."""

    since: dt.datetime
    known_at: dt.datetime
    counts: Mapping[str, int]
    chain: Verdict
    kept: tuple[Kept, ...]
    days: Mapping[dt.date, Counter[str]]


def gather(connection: Connection, keyring: Keyring, root: Path, since: dt.datetime, known_at: dt.datetime) -> Incident:
    """`root`: the project's folder, with the inventory of its data."""
    entries = list(audit.period(connection, since, known_at))
    days: dict[dt.date, Counter[str]] = {}
    for entry in entries:
        days.setdefault(entry.at.astimezone(VIETNAM).date(), Counter())[entry.action] += 1
    chain = audit.verify(connection, keyring)
    return Incident(since, known_at, _counts(connection, entries), chain, tuple(_kept(connection, root)), days)


def _counts(connection: Connection, entries: Iterable[Entry]) -> dict[str, int]:
    entries = list(entries)
    done = Counter(entry.action for entry in entries)
    return {
        "cases": len({entry.case_id for entry in entries if entry.case_id}),
        "people": connection.execute(select(func.count()).select_from(addresses)).scalar_one(),
        "staff": len({entry.actor for entry in entries} - _NOBODY),
        **{name: sum(done[action] for action in actions) for name, actions in TOUCHING.items()},
    }


def _kept(connection: Connection, root: Path) -> Iterator[Kept]:
    tables = load_yaml(root / INVENTORY)["tables"]
    for category in CATEGORIES:
        columns = [
            (table, column)
            for table, about in tables.items()
            for column in about["columns"].values()
            if column["category"] == category
        ]
        sealed = sum("sealed" in column for _, column in columns)
        holding = {table for table, _ in columns}
        rows = sum(
            connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one() for name in holding
        )
        yield Kept(category, len(columns), sealed, rows)


# -- as a form ---------------------------------------------------------------------------------------------------------


def markdown(incident: Incident, words: Mapping[str, Mapping[str, str]]) -> str:
    """The form in the language of `words`."""
    w = words["incident"]
    chain = (
        w["whole"].format(rows=incident.chain.rows)
        if incident.chain.broken_at is None
        else w["broken"].format(position=incident.chain.broken_at)
    )
    lines = [
        f"# {w['title']}", "", w["law"], "",
        f"- {w['known_at']}: {_at(incident.known_at)}",
        f"- **{w['tell_by']}: {_at(incident.known_at + NOTIFY_WITHIN)}**",
        f"- {w['period'].format(since=_at(incident.since), until=_at(incident.known_at))}",
        f"- {w['chain']}: {chain}",
        "", f"## {w['touched']}", "",
        *(f"- {w[name]}: {count}" for name, count in incident.counts.items()),
        "", f"## {w['categories']}", "",
        *_table([w["category"], w["columns"], w["sealed"], w["rows"]], ([w[one.category], one.columns, one.sealed, one.rows] for one in incident.kept)),
        "", f"## {w['timeline']}", "",
        *_table([w["day"], w["actions"]], ([f"{day:%d/%m/%Y}", _done(counter, words)] for day, counter in sorted(incident.days.items()))),
        "", f"## {w['fill_in']}", "",
        *(line for name in FILLED_IN_BY_HAND for line in (f"### {w[name]}", "", "______", "")),
    ]  # fmt: skip
    return "\n".join(lines)


def _done(counter: Counter[str], words: Mapping[str, Mapping[str, str]]) -> str:
    known = {**words["events"], **words["audit_actions"]}
    return ", ".join(f"{known.get(action, action)} {count}" for action, count in sorted(counter.items()))


def _table(head: list[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(str, row))} |" for row in rows)


def _at(moment: dt.datetime) -> str:
    return f"{moment.astimezone(VIETNAM):%H:%M %d/%m/%Y}"
