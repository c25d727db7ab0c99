"""S-10: when a person said that they may be written to. Kept sealed with the keyring, because the clock must read it."""

import datetime as dt
import json
from dataclasses import dataclass

from sqlalchemy import Connection, select

from bot.errors import CaseError
from bot.hotline.cases import Case, add_event, call_off, changed
from bot.hotline.claims import owned
from bot.hotline.keys import Operator
from bot.messages import VIETNAM
from bot.store.crypto import Keyring
from bot.store.tables import cases

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Reach:
    """From one hour of the day to another (Viet Nam's clock; over midnight where the second is earlier). Equal: any time."""

    start: dt.time
    end: dt.time

    def allows(self, moment: dt.datetime) -> bool:
        now = moment.astimezone(VIETNAM).time()
        if self.start == self.end:
            return True
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end

    def next(self, now: dt.datetime) -> dt.datetime:
        """The first moment from now on at which the person may be written to."""
        if self.allows(now):
            return now
        return _next_at(self.start, now)

    def closes(self, moment: dt.datetime) -> dt.datetime:
        """Until when a word that may leave at this moment may leave; at any time: for a day."""
        return moment + DAY if self.start == self.end else _next_at(self.end, moment)


def _next_at(time: dt.time, now: dt.datetime) -> dt.datetime:
    """The next moment after `now` at which Viet Nam's clock shows this time."""
    local = now.astimezone(VIETNAM)
    then = local.replace(hour=time.hour, minute=time.minute, second=0, microsecond=0)
    return (then if then > local else then + DAY).astimezone(dt.UTC)


def set_reach(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, reach: Reach, now: dt.datetime
) -> Case:
    """What the person said about when it is safe to write."""
    case, _, _ = owned(connection, keyring, operator, reference)
    hours = {"start": f"{reach.start:%H:%M}", "end": f"{reach.end:%H:%M}"}
    add_event(connection, keyring, case, "reach", operator.id, hours, now)
    call_off(connection, case, now)  # its hour was one of the old ones
    connection.execute(
        cases.update()
        .where(cases.c.id == case.id)
        .values(sealed_reach=keyring.seal(json.dumps(hours), _place(case.id)))
    )
    return changed(connection, case, updated_at=now)


def reach_of(keyring: Keyring, connection: Connection, case_id: str) -> Reach | None:
    sealed = connection.execute(select(cases.c.sealed_reach).where(cases.c.id == case_id)).scalar()
    if sealed is None:
        return None
    hours = json.loads(keyring.open(sealed, _place(case_id)))
    return Reach(dt.time.fromisoformat(hours["start"]), dt.time.fromisoformat(hours["end"]))


def next_safe_hour(keyring: Keyring, connection: Connection, case_id: str, now: dt.datetime) -> dt.datetime | None:
    reach = reach_of(keyring, connection, case_id)
    return reach.next(now) if reach else None


def read_hours(start: str, end: str) -> Reach:
    """From a form, such as "20:00" and "21:30". CaseError: hours."""
    try:
        return Reach(dt.time.fromisoformat(start), dt.time.fromisoformat(end))
    except ValueError:
        raise CaseError("hours") from None


def _place(case_id: str) -> str:
    return f"cases|{case_id}|sealed_reach"
