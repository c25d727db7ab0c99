"""One message, one turn, one transaction: what arrived, what was decided and what is to be said are on disk together or not at all."""

import contextlib
import datetime as dt
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from bot import contacts, conversations, links, outcomes, subscriptions
from bot.channels.base import CAPABILITIES
from bot.contacts import Contact
from bot.conversation import lines
from bot.conversation.commands import tidy
from bot.conversation.events import (
    AccessAsked,
    CaseExtended,
    CaseRequested,
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    ErasureRequested,
    Event,
    LinkCodeGiven,
    Linked,
    NewsChosen,
    OptedIn,
    OptedOut,
    Silenced,
)
from bot.conversation.outcome import is_for_editors, outcome_of
from bot.conversation.policy import Policy, remembered
from bot.conversation.state import Conversation, Facts, Mode, Turn
from bot.conversations import FinishedTalk
from bot.delivery import inbox, outbox
from bot.delivery.render import Rendered, parts, render
from bot.hotline import cases, exports, handing_on, relay
from bot.messages import Address, InboundMessage, Lane, OutboundMessage
from bot.outreach import progress
from bot.store.database import Database
from bot.unanswered.kept import Questions, giver_of
from bot.understanding.clues import clues_in
from bot.understanding.nlu_data import FLAGGED
from bot.understanding.reading import Understanding

if TYPE_CHECKING:
    from bot.counting import Counting
    from bot.unanswered.anonymous import Anonymiser
    from bot.understanding.interpreter import Interpreter


ECHO = 16  # figures of the digest by which the same words are known again


@dataclass(frozen=True)
class Done:
    """What a turn left behind. `over`: the talk that had ended when this message came, where it is one that is counted.
    `asked`: who has just asked what we cannot answer, and `not_kept`: who must not be among those; keyed digests."""

    replies: tuple[OutboundMessage, ...]
    draft: tuple[str, ...] = ()
    erased: bool = False
    over: FinishedTalk | None = None
    asked: str | None = None
    not_kept: str | None = None


class Processor:
    """Safe to call from many threads; the messages of one person are handled in the order in which they queued."""

    def __init__(
        self,
        interpreter: "Interpreter",
        policy: Policy,
        database: Database,
        draft_life: dt.timedelta = dt.timedelta(minutes=30),
        counting: "Counting | None" = None,
        anonymiser: "Anonymiser | None" = None,
    ) -> None:
        self._interpreter = interpreter
        self._policy = policy
        self._database = database
        self._drafts = conversations.Drafts(draft_life)
        self._counting = counting
        self._anonymiser = anonymiser
        self.questions = Questions()
        self.arrivals = Arrivals()

    def handle(
        self, message: InboundMessage, place: "Place | None" = None, *, pulled: bool = False
    ) -> tuple[OutboundMessage, ...]:
        """The replies, already committed. The same external id again gives the same replies and changes nothing.

        `pulled`: the caller shows them itself, so nothing waits to be sent, whatever the channel.
        """
        with self.arrivals.turn_of(place or self.arrivals.queue(message.address)):
            reading = self._interpreter.read(message.text)
            with self._database.begin() as connection:
                done = self._turn(connection, message, reading, pulled=pulled)
            self._drafts.put(message.address, done.draft, message.received_at)
            if done.erased:
                self._database.checkpoint()
            if self._counting and done.over:
                self._counting.later(done.over)
            if self._counting and done.erased:
                self._counting.forget(conversations.who_is(self._database.keyring, message.address))
            self._remember_question(done, message)
            return done.replies

    def _remember_question(self, done: Done, message: InboundMessage) -> None:
        """For editors, without whoever asked."""
        if done.not_kept:
            self.questions.forget(done.not_kept)
        if done.asked and self._anonymiser:
            self.questions.add(done.asked, self._anonymiser.words_of(message.text), message.received_at)

    def news(self, address: Address, now: dt.datetime) -> tuple[tuple[OutboundMessage, ...], bool]:
        """What waits for a person whose own program fetches it, and whether more may come: somebody on duty has their case."""
        with self._database.begin() as connection:
            contact = contacts.find(connection, self._database.keyring, address)
            if contact is None:
                return (), False
            waiting = outbox.collect(connection, self._database.keyring, contact, now)
            return waiting, cases.open_case_of(connection, self._database.keyring, contact) is not None

    def _turn(self, connection: Connection, message: InboundMessage, reading: Understanding, *, pulled: bool) -> Done:
        keyring, now = self._database.keyring, message.received_at
        if before := inbox.earlier(connection, message):
            return self._repeated(connection, message, reading, before)
        contact = contacts.find_or_create(connection, keyring, message.address, now)
        draft = self._drafts.get(message.address, now)
        inbox_id = inbox.receive(connection, message, contact)
        case = None if contact.new else self._case_of(connection, contact, message)
        known = None if contact.new else conversations.load(connection, keyring, contact)
        over = known is not None and known.idle_for(now) >= self._policy.settings.idle
        conversation = replace(
            known or Conversation(),
            draft=draft,
            case_open=case is not None,
            mode=Mode.HOTLINE if case and case.relay_since else Mode.BOT,
            facts=self._facts(connection, contact, message, case),
        )
        if contact.silent or contact.unreachable or contact.leaving:
            contacts.heard_from(connection, contact)
        if not contact.new:
            outbox.try_again_now(connection, contact)
        turn = self._policy.respond(conversation, message, reading)
        rendered = _rendered(turn, message.address)
        pulled = pulled or CAPABILITIES[message.address.channel].pulled
        clear = self._to_be_cleared(connection, contact, rendered, now)
        rendered = [_honest(part, contact, now) for part in rendered]
        erasing = any(isinstance(event, ErasureRequested) for event in turn.events)
        giver = giver_of(keyring, contact.person or contact.id)
        if erasing:
            cases.erase_cases(connection, keyring, contact, now)
            if pulled:
                contacts.forget(connection, keyring, contact, now)
                return Done(_unstored(contact, inbox_id, rendered), erased=True, not_kept=giver)
            contacts.forget_but_for_a_word(connection, keyring, contact, now)
        else:
            conversations.save(connection, keyring, contact, turn.conversation, now, begun=known is None)
            self._apply(connection, contact, turn, now)
            self._note(connection, contact, reading, turn, now)
        lane = Lane.EMERGENCY if turn.conversation.form == "emergency" else Lane.REPLY
        messages = outbox.enqueue(
            connection,
            keyring,
            contact,
            inbox_id,
            rendered,
            lane=lane,
            pulled=pulled,
            now=now,
            clear=clear,
            repeat_note=self._repeat_note(turn, message.address),
        )
        finished = (
            conversations.finished_of(keyring, message.address, known) if known and over and not erasing else None
        )
        outcome = outcome_of(turn, remembered(conversation, now, self._policy.settings), self._policy.library)
        calm = contact.helped_at is None  # on no line of theirs has danger ever been told
        for_editors = calm and is_for_editors(outcome, turn, conversation, reading)
        if outcome:
            outcomes.note(connection, outcome, reading.read_by, now)
        return Done(
            messages, turn.conversation.draft, erasing, finished,
            asked=giver if for_editors else None,
            not_kept=giver if erasing or turn.conversation.form in FLAGGED else None,
        )  # fmt: skip

    def _note(
        self, connection: Connection, contact: Contact, reading: Understanding, turn: Turn, now: dt.datetime
    ) -> None:
        """What came back after an alert; and who told of danger gets no news without a new yes, case or none (S-09)."""
        opted_in, opted_out = (any(isinstance(event, one) for event in turn.events) for one in (OptedIn, OptedOut))
        if not contact.new:
            progress.note_answer(connection, contact.id, "opted_out" if opted_out else reading.kind, now)
        own = links.addresses_of(connection, contact)
        danger = turn.conversation.form in ("report", "emergency")
        if danger and not opted_in and contacts.get_news(connection, own):
            contacts.set_helped(connection, own, now)

    def _repeat_note(self, turn: Turn, address: Address) -> str:
        note = self._policy.repeat_note(turn.conversation)
        return render(note, CAPABILITIES[address.channel]).text

    def _case_of(self, connection: Connection, contact: Contact, message: InboundMessage) -> cases.Case | None:
        """The person's open case, as it stands now that they write."""
        keyring, now = self._database.keyring, message.received_at
        case = cases.open_case_of(connection, keyring, contact)
        if case is None:
            return None
        case = relay.end_if_idle(connection, keyring, case, self._policy.settings.idle, now)
        return cases.heard(connection, keyring, case, message.text, self._policy.settings.pause, now)

    def _facts(
        self, connection: Connection, contact: Contact, message: InboundMessage, case: cases.Case | None
    ) -> Facts:
        keyring = self._database.keyring
        code = lines.code_in(message.text)
        typed = links.typed(connection, keyring, contact, code, message.received_at) if code else "none"
        wanted = self._policy.may_ask_for_code(message.text)
        last_minute, last_hour = inbox.recent(connection, contact, message.received_at)
        return Facts(
            linked=contact.person is not None,
            fresh_code=links.fresh_code(connection, keyring) if wanted else "",
            typed_code=typed,
            last_minute=last_minute,
            last_hour=last_hour,
            echo=keyring.lookup("echo", tidy(message.text))[:ECHO],
            asking=(case.asking or "") if case else "",
            gave_code=case is not None and cases.says_code(keyring, case, message.text),
            handed_on=not contact.new and handing_on.has_left(connection, contact),
        )

    def _repeated(
        self, connection: Connection, message: InboundMessage, reading: Understanding, before: inbox.Earlier
    ) -> Done:
        """The same replies to the same person, and nothing to anybody else. An erasure is confirmed again, and not kept again."""
        draft = self._drafts.get(message.address, message.received_at)
        contact = contacts.find(connection, self._database.keyring, message.address)
        if before.address_id is None:
            turn = self._policy.respond(Conversation(greeted=True), message, reading)
            erasing = any(isinstance(event, ErasureRequested) for event in turn.events)
            rendered = _rendered(turn, message.address)
            nobody = Contact("", message.address)
            return Done(_unstored(nobody, before.id, rendered) if erasing else (), erased=erasing)
        if contact is None or contact.id != before.address_id:
            return Done((), draft)
        return Done(outbox.replies_to(connection, self._database.keyring, contact, before.id), draft)

    def forget_drafts(self, now: dt.datetime) -> None:
        """Drops the words that have waited too long for a consent."""
        self._drafts.purge(now)

    def _apply(self, connection: Connection, contact: Contact, turn: Turn, now: dt.datetime) -> None:
        consent_id: str | None = None
        for event in turn.events:
            consent_id = self._apply_one(connection, contact, event, consent_id, now) or consent_id

    def _apply_one(
        self, connection: Connection, contact: Contact, event: Event, consent_id: str | None, now: dt.datetime
    ) -> str | None:
        keyring = self._database.keyring
        match event:
            case ConsentGiven(purpose, words, version):
                consent_id = contacts.record_consent(
                    connection, keyring, contact, purpose=purpose, basis="consent", reason="asked in the conversation",
                    now=now, words=words, version=version,
                )  # fmt: skip
                case = cases.open_case_of(connection, keyring, contact)
                if case and case.asking == purpose:
                    cases.answered(connection, keyring, case, purpose, given=True, now=now)
                return consent_id
            case CaseRequested(words=words):
                opened = cases.open_case(connection, keyring, contact, event, consent_id, now)
                cases.add_clues(connection, keyring, opened, clues_in(words))
                contacts.set_helped(connection, links.addresses_of(connection, contact), now)
            case ConsentWithdrawn(words=words):
                contacts.withdraw_help(connection, keyring, contact.id, words, now)
                cases.withdraw_all(connection, keyring, contact, now)
            case CaseExtended() | ConsentRefused() | AccessAsked():
                self._apply_to_case(connection, contact, event, now)
            case ErasureRequested():
                pass
            case _:
                self._apply_to_line(connection, contact, event, now)
        return None

    def _apply_to_case(
        self,
        connection: Connection,
        contact: Contact,
        event: CaseExtended | ConsentRefused | AccessAsked,
        now: dt.datetime,
    ) -> None:
        """What concerns the open case; without one there is nothing to change."""
        keyring = self._database.keyring
        case = cases.open_case_of(connection, keyring, contact)
        if case is None:
            return
        match event:
            case CaseExtended(words=words, facts=facts):
                cases.extend_case(connection, keyring, case, contact, event, now)
                cases.add_clues(connection, keyring, case, clues_in([*words, *facts.values()]))
            case ConsentRefused(purpose) if purpose == case.asking:
                cases.answered(connection, keyring, case, purpose, given=False, now=now)
            case AccessAsked():
                exports.asked(connection, keyring, case, self._policy.settings.hours.holidays, now)

    def _apply_to_line(self, connection: Connection, contact: Contact, event: Event, now: dt.datetime) -> None:
        """What the person wants of the line itself."""
        keyring = self._database.keyring
        match event:
            case Silenced():
                own = links.addresses_of(connection, contact)  # both lines may end in one phone
                contacts.set_silent(connection, own, now)
                for address_id in own:
                    outbox.cancel_waiting(connection, address_id, "silent", now, of=outbox.TO_PEOPLE)
                if case := cases.open_case_of(connection, keyring, contact):
                    relay.left(connection, keyring, case, now)
            case OptedIn(purpose, words):
                if not contacts.has_consented(connection, contact, purpose):
                    contacts.record_consent(
                        connection, keyring, contact, purpose=purpose, basis="consent", reason="asked for by the person",
                        now=now, words=words,
                    )  # fmt: skip
                self._subscribe(connection, contact, event, now)
            case NewsChosen() if contacts.has_consented(connection, contact, "alerts"):
                self._subscribe(connection, contact, event, now)
            case OptedOut(purpose, words, everywhere):
                for address_id in links.addresses_of(connection, contact) if everywhere else [contact.id]:
                    contacts.withdraw_consent(connection, keyring, address_id, purpose, words, now)
            case LinkCodeGiven(code):
                links.give(connection, keyring, contact, code, now)
            case Linked(code):
                links.link(connection, keyring, contact, code, now)

    def _subscribe(
        self, connection: Connection, contact: Contact, said: OptedIn | NewsChosen, now: dt.datetime
    ) -> None:
        subscriptions.subscribe(
            connection, self._database.keyring, contact,
            province=said.province, interest=said.interest, language=said.language, source="conversation", now=now,
            utc_offset=said.utc_offset,
        )  # fmt: skip

    @staticmethod
    def _to_be_cleared(
        connection: Connection, contact: Contact, rendered: list[Rendered], now: dt.datetime
    ) -> tuple[str, ...]:
        return outbox.clearable(connection, contact, now) if any(part.clearing for part in rendered) else ()


def _unstored(contact: Contact, inbox_id: str, rendered: list[Rendered]) -> tuple[OutboundMessage, ...]:
    """The confirmation of an erasure is said and not kept."""
    return tuple(
        OutboundMessage(contact.address, part.text, f"r:{inbox_id}:{position}", buttons=part.buttons)
        for position, part in enumerate(rendered)
    )


def _rendered(turn: Turn, address: Address) -> list[Rendered]:
    return [part for reply in turn.replies for part in parts(reply, CAPABILITIES[address.channel])]


def _honest(part: Rendered, contact: Contact, now: dt.datetime) -> Rendered:
    """What is too old to be deleted is not said to be gone."""
    old = contact.created_at is not None and contact.created_at < now - outbox.CLEARABLE
    if part.clearing is None or not old:
        return part
    return replace(part, clearing=replace(part.clearing, cleared=part.clearing.remaining))


class Place:
    """A place in the queue of one address."""

    def __init__(self, address: Address) -> None:
        self.address = address


class Arrivals:
    """First come, first handled, for each address apart. A place is taken where messages arrive, before any thread runs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: dict[Address, deque[Place]] = {}

    def queue(self, address: Address) -> Place:
        place = Place(address)
        with self._changed:
            self._queues.setdefault(address, deque()).append(place)
        return place

    @contextlib.contextmanager
    def turn_of(self, place: Place) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._queues[place.address][0] is place)
        try:
            yield
        finally:
            self.leave(place)

    def leave(self, place: Place) -> None:
        """Gives the place up; once more does no harm."""
        with self._changed:
            waiting = self._queues.get(place.address)
            if waiting is None or place not in waiting:
                return
            waiting.remove(place)
            if not waiting:
                del self._queues[place.address]
            self._changed.notify_all()
