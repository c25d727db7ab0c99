"""What the pages about alerts share: who an alert would reach, its words for one reader, and changes that may be refused."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from bot.errors import OutreachError
from bot.outreach import audience, broadcasts
from bot.outreach.audience import Audience, Count
from bot.outreach.broadcasts import Broadcast
from bot.staff import accounts
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console.alerts_shown import ShownAlerts, found_problems
from bot.web.console.desk import Desk
from bot.web.console.security import Door

ALERTS = "/console/alerts"
COUNT_LASTS = dt.timedelta(seconds=30)  # while somebody types
MOST_COUNTS = 32  # that are kept

Change = Callable[[Connection, Keyring, str, dt.datetime], object]


def alert_path(reference: str) -> str:
    return f"{ALERTS}/{reference}"


class AlertDesk(Desk):
    """One console's way to alerts."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._counts: dict[Audience, tuple[dt.datetime, Count]] = {}

    @contextmanager
    def look(self) -> Iterator[tuple[Connection, Keyring, dt.datetime]]:
        """For pages: nobody who writes waits for their figures."""
        with self.database.read() as connection:
            yield connection, self.database.keyring, self.house.clock()

    def words_of(self, connection: Connection, session: Session) -> ShownAlerts:
        people = accounts.all_accounts(connection, self.database.keyring, removed=True)
        names = {one.id: one.name for one in people}
        return ShownAlerts(self.house, session.account.language, names, session.account.id)

    def count(self, wanted: Audience) -> Count:
        """As of now."""
        now = self.house.clock()
        with self.database.read() as connection:
            counted = audience.count(connection, self.database.keyring, wanted, now)
        if len(self._counts) >= MOST_COUNTS:
            self._counts.clear()
        self._counts[wanted] = now, counted
        return counted

    def lately_counted(self, wanted: Audience) -> Count:
        """As of a moment ago: a million people are not counted at every letter."""
        known = self._counts.get(wanted)
        return known[1] if known and self.house.clock() - known[0] < COUNT_LASTS else self.count(wanted)

    def find(self, connection: Connection, reference: str) -> Broadcast:
        """OutreachError where there is none, or where it is not the one that was written."""
        found = broadcasts.find(connection, self.database.keyring, reference)
        if found is None:
            raise OutreachError("unknown")
        return found

    def mended(self, broadcast: Broadcast, digest: str, now: dt.datetime) -> Broadcast:
        """The very one that somebody saw, if nothing stands against it."""
        if digest != broadcast.digest:
            raise OutreachError("changed")
        if found_problems(self.house, broadcast.plan.words, broadcast.plan.valid_until, now):
            raise OutreachError("problems")
        return broadcast

    def change(self, request: Request, session: Session, back: str, work: Change) -> Response:
        """Does `work` in one transaction, wakes the senders, and goes `back`, or where `work` says; or says why not."""
        try:
            with self.begin() as (connection, keyring, now):
                to = work(connection, keyring, session.account.id, now)
        except OutreachError as error:
            return self.refuse_alert(request, session, error.why, back)
        self.house.wake()
        return RedirectResponse(to if isinstance(to, str) else back, status_code=303)

    def refuse_alert(self, request: Request, session: Session, why: str, back: str) -> Response:
        """What could not be done, and the way back. Nothing has changed."""
        status, kind = (404, "missing") if why == "unknown" else (409, "conflict")
        values: dict[str, Any] = {"error": kind, "detail": why, "about": "alert", "back": back, "nav": "alerts"}
        if status == 404:
            values["back"] = ALERTS
        return self.door.page(request, "error", session, status=status, **values)
