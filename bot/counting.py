"""From talks that are over to trends: the only place that sees both, and lets nothing through but closed words."""

import datetime as dt
import logging

from bot import conversations
from bot.conversations import FinishedTalk
from bot.errors import BanDuongError
from bot.store.database import Database
from bot.trends.counters import TrendStore
from bot.trends.release import close_due

log = logging.getLogger("banduong")


class Counting:
    """What goes wrong here is logged and keeps nobody from their answer."""

    def __init__(self, database: Database, trends: TrendStore) -> None:
        self._database = database
        self._trends = trends

    def count(self, talk: FinishedTalk) -> None:
        """A talk is counted at the moment of its last message."""
        try:
            self._trends.count(talk.who, talk.seen, talk.at)
        except BanDuongError as error:
            log.error("a talk could not be counted: %s", error)

    def look(self, before: dt.datetime, now: dt.datetime) -> None:
        """Counts the talks that have been idle since `before`, opens the periods of today, and closes those whose hour has come."""
        try:
            self._trends.open_periods(now)
            with self._database.read() as connection:
                over = list(conversations.finished(connection, self._database.keyring, before))
            for talk in over:
                self.count(talk)
            for period in close_due(self._trends, now):
                log.info("trends of %s are released", period.name)
        except BanDuongError as error:
            log.error("trends could not be looked after: %s", error)
