"""From talks that are over to trends: the only place that sees both, and lets nothing through but closed words."""

import contextlib
import datetime as dt
import logging
from collections import deque
from collections.abc import Iterator

from bot import conversations
from bot.conversations import FinishedTalk
from bot.errors import BanDuongError
from bot.store.database import Database
from bot.trends.counters import TrendStore
from bot.trends.release import close_due

MOST_WAITING = 10_000  # talks between two looks

log = logging.getLogger("banduong")


class Counting:
    """What goes wrong here is logged and keeps nobody from their answer."""

    def __init__(self, database: Database, trends: TrendStore) -> None:
        self._database = database
        self._trends = trends
        self._over: deque[FinishedTalk] = deque(maxlen=MOST_WAITING)  # of people who came back

    def later(self, talk: FinishedTalk) -> None:
        """Counted with the next look, so that nobody waits for it: they have just come back and want an answer."""
        self._over.append(talk)

    def forget(self, who: str) -> None:
        """They want everything gone before it was counted."""
        for talk in [talk for talk in self._over if talk.who == who]:
            with contextlib.suppress(ValueError):  # a look has just counted it
                self._over.remove(talk)

    def look(self, before: dt.datetime, now: dt.datetime) -> None:
        """Counts the talks that have been idle since `before`, opens the periods of today, and closes those whose hour has come."""
        with _logged("periods of trends could not be opened"):
            self._trends.open_periods(now)
        with _logged("talks could not be counted"):
            with self._database.read() as connection:
                over = list(conversations.finished(connection, self._database.keyring, before))
            for talk in (*self._came_back(), *over):
                self._count(talk)
        with _logged("periods of trends could not be closed"):
            close_due(self._trends, now)

    def _came_back(self) -> Iterator[FinishedTalk]:
        while self._over:
            yield self._over.popleft()

    def _count(self, talk: FinishedTalk) -> None:
        """A talk is counted at the moment of its last message."""
        with _logged("a talk could not be counted"):
            self._trends.count(talk.who, talk.seen, talk.at)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """One thing that goes wrong keeps none of the others."""
    try:
        yield
    except BanDuongError as error:
        log.error("%s: %s", what, error)
