"""Reading beside the writers."""

from bot import audit
from bot.app import App
from bot.testing import START


def test_who_reads_for_long_keeps_nobody_from_writing(house: App) -> None:
    """A row is written and committed meanwhile; the reader sees the store as it was, and the next one sees the row."""
    database = house.database
    with database.read() as looking:
        before = audit.count(looking, audit.Wish())
        with database.begin() as writing:
            audit.record(writing, database.keyring, actor="bot", action="note", now=START)
        assert audit.verify(looking, database.keyring).broken_at is None
        assert audit.count(looking, audit.Wish()) == before
    with database.read() as looking:
        assert audit.count(looking, audit.Wish()) == before + 1
