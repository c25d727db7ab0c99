"""Figures of a broadcast that no row holds, or no longer."""

import secrets
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, func, select

from bot.store.database import insert_of
from bot.store.tables import broadcast_tallies as tallies

SHARDS = 8


def add(connection: Connection, broadcast_id: str, counted: Mapping[str, int]) -> None:
    """More of each name."""
    add_all(connection, ((broadcast_id, name, number) for name, number in counted.items()))


def add_all(connection: Connection, counted: Iterable[tuple[str, str, int]]) -> None:
    """(broadcast, name, number)."""
    shard = secrets.randbelow(SHARDS)
    rows = [
        {"broadcast_id": broadcast_id, "name": name, "shard": shard, "count": number}
        for broadcast_id, name, number in counted
        if number
    ]
    if not rows:
        return
    statement = insert_of(connection.dialect.name, tallies)
    more = {"count": tallies.c.count + statement.excluded.count}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["broadcast_id", "name", "shard"], set_=more), rows
    )


def of(connection: Connection, broadcast_id: str) -> dict[str, int]:
    rows = connection.execute(
        select(tallies.c.name, func.sum(tallies.c.count))
        .where(tallies.c.broadcast_id == broadcast_id)
        .group_by(tallies.c.name)
    )
    return {name: int(number) for name, number in rows}
