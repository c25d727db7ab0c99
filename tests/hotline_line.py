"""A hotline for tests: people who write, colleagues with keys, and a sender that does as it is told."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, Table, select, update

from bot.app import App
from bot.channels.base import SendError, SendResult
from bot.delivery import outbox
from bot.delivery.outbox import Due, Outcome
from bot.delivery.pace import Pace
from bot.hotline import claims, composing, keys, reading, relay
from bot.hotline.cases import Case
from bot.hotline.keys import Operator
from bot.messages import Address, InboundMessage, OutboundMessage
from bot.store import tables
from bot.store.boxes import new_pair
from bot.testing import START
from tests.hotline import a_colleague

HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
REPORT = "chị tôi làm ở quán karaoke, chủ giữ giấy tờ và không trả lương 3 tháng nay"
SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
QUICK = Pace(10_000)


class Hotline:
    """`now` moves a second with everything that somebody does."""

    def __init__(self, house: App, now: dt.datetime = START) -> None:
        self.house = house
        self.database = house.database
        self.keyring = house.database.keyring
        self.now = now
        self._written = 0

    def wait(self, by: dt.timedelta) -> None:
        self.now += by

    # -- people --------------------------------------------------------------------------------------------------------

    def write(self, *texts: str, who: str = "+84901111111", channel: str = "sms") -> tuple[OutboundMessage, ...]:
        """What somebody writes, one after the other; the replies to the last."""
        replies: tuple[OutboundMessage, ...] = ()
        for text in texts:
            self.wait(SECOND)
            self._written += 1
            message = InboundMessage(Address(channel, who), f"m{self._written}", text, self.now)
            replies = self.house.processor.handle(message)
        return replies

    def consenting(self, who: str = "+84901111111", channel: str = "sms") -> Case:
        """Somebody who has reported something and agreed to help."""
        self.write(REPORT, "1", "đồng ý", who=who, channel=channel)
        return self.cases()[-1]

    def crying(self, who: str = "+84901111111", channel: str = "sms") -> Case:
        self.write(HELD, who=who, channel=channel)
        return self.cases()[-1]

    # -- colleagues ----------------------------------------------------------------------------------------------------

    def colleague(self, name: str, *, supervisor: bool = False, most_cases: int = 8) -> Operator:
        """Somebody with a key pair of their own."""
        pair = new_pair()
        roles = "supervisor" if supervisor else "operator"
        with self.database.begin() as connection:
            staff_id = a_colleague(connection, self.keyring, name, roles=roles, most_cases=most_cases)
            theirs = tables.staff.c.id == staff_id
            connection.execute(update(tables.staff).where(theirs).values(public_key=pair.public))
        return Operator(staff_id, pair.private, supervisor=supervisor)

    def do(self, work: Callable[..., Any], who: Operator, case: Case | str, *given: object, **named: object) -> Any:
        """One work of somebody on one case, in a transaction of its own."""
        self.wait(SECOND)
        reference = case if isinstance(case, str) else case.reference
        with self.database.begin() as connection:
            return work(connection, self.keyring, who, reference, *given, self.now, **named)

    def claimed(self, case: Case, who: Operator) -> Case:
        claimed: Case = self.do(claims.claim, who, case)
        return claimed

    def speak(self, who: Operator, case: Case | str, text: str = "Chào bạn") -> Case:
        spoken: Case = self.do(relay.speak, who, case, text, composing.rendered(text, "sms"))
        return spoken

    def ask(self, who: Operator, case: Case | str, purpose: str = "share_111") -> Case:
        text = self.house.library.say(f"ask_{purpose}", "vi", "text")
        asked: Case = self.do(relay.ask, who, case, purpose, (text, composing.rendered(text, "sms")))
        return asked

    def knock(self, who: Operator, case: Case | str) -> dt.datetime:
        at: dt.datetime = self.do(
            relay.knock, who, case, "Ban ranh khong?", composing.rendered("Ban ranh khong?", "sms")
        )
        return at

    # -- what there is -------------------------------------------------------------------------------------------------

    def rows(self, table: Table) -> list[Row[Any]]:
        with self.database.begin() as connection:
            return list(connection.execute(select(table)).all())

    def cases(self) -> list[Case]:
        from tests.case_files import all_cases

        return all_cases(self.house)

    def case(self, reference: str) -> Case:
        return next(case for case in self.cases() if case.reference == reference)

    def words(self, case: Case, who: Operator) -> list[reading.Words]:
        with self.database.begin() as connection:
            return reading.words(connection, case, keys.keys_of(connection, case.id, who))

    def timeline(self, case: Case, who: Operator) -> list[reading.CaseEvent]:
        with self.database.begin() as connection:
            return reading.timeline(connection, case, keys.keys_of(connection, case.id, who))

    def holds(self, case: Case, who: Operator) -> bool:
        with self.database.begin() as connection:
            return bool(keys.keys_of(connection, case.id, who))

    # -- the sender ----------------------------------------------------------------------------------------------------

    def claim(self, channel: str = "sms") -> list[Due]:
        with self.database.begin() as connection:
            return outbox.claim(connection, self.keyring, channel, owner="w", limit=50, speed=QUICK, now=self.now)

    def mark(self, due: list[Due], channel: str = "sms") -> list[Due]:
        """Those that may really leave."""
        with self.database.begin() as connection:
            marked = outbox.mark_sending(connection, channel, [one.id for one in due], owner="w", now=self.now)
        return [one for one in due if one.id in marked]

    def finish(self, due: list[Due], error: SendError | None = None) -> None:
        with self.database.begin() as connection:
            for one in due:
                result = SendResult() if error else SendResult((f"p-{one.id}-{one.attempts}",))
                outbox.finish(connection, self.keyring, [Outcome(one, result, error)], self.now)

    def send(self, channel: str = "sms") -> list[str]:
        """Everything that may leave now leaves; the texts."""
        left = []
        while due := self.claim(channel):
            marked = self.mark(due, channel)
            self.finish(marked)
            left += [one.message.text for one in marked]
        return left
