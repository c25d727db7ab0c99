"""Cases as the console's templates want them: plain values, names in place of codes. Each template says what it wants at its top."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.content import Library
from bot.hotline.cases import BOT, CLOCK, PERSON, Case
from bot.hotline.queue import QueueRow, Waiting
from bot.hotline.reading import CaseEvent, Words
from bot.web.filters import day

_DELIVERIES = {
    "queued": "queued", "claimed": "queued", "sending": "queued", "sent": "sent", "delivered": "delivered",
    "uncertain": "uncertain", "undelivered": "failed", "failed": "failed", "expired": "failed",
}  # fmt: skip
_NOT_PEOPLE = {PERSON, BOT, CLOCK, "command line"}


class Shown:
    """Values for one reader: in their language, at this moment, with the names of colleagues."""

    def __init__(self, library: Library, language: str, now: dt.datetime, names: Mapping[str, str], me: str) -> None:
        self._library = library
        self.language = language
        self._now = now
        self._names = names
        self._me = me

    # -- lists ---------------------------------------------------------------------------------------------------------

    def queue_row(self, row: QueueRow) -> dict[str, Any]:
        case = row.case
        since = case.heard_at if case.owner_id and case.heard_at else case.opened_at
        waits = case.status == "open" and case.owner_id is None
        return {
            "reference": case.reference,
            "priority": case.priority,
            "kind": case.kind,
            "status": case.status,
            "minor": case.minor,
            "about": case.facts.about,
            "country": self.country(case.facts.country),
            "flags": self.flags(case.facts.flags),
            "waiting": self.minutes(since),
            "due": row.due_at if waits else None,
            "overdue": waits and row.due_at < self._now,
            "owner": self.name(case.owner_id),
            "mine": case.owner_id == self._me,
            "claimable": waits,
            "pages": row.pages,
            "linked": row.linked,
            "news": int(row.waits_for_answer and case.owner_id is not None),
            "held": row.held,
        }

    def waiting(self, levels: Sequence[Waiting]) -> list[dict[str, Any]]:
        return [
            {
                "priority": one.priority,
                "count": one.count,
                "longest": self.minutes(one.longest_since) if one.longest_since else None,
            }
            for one in levels
        ]

    # -- one case ------------------------------------------------------------------------------------------------------

    def case(self, case: Case, channel: str, due: dt.datetime) -> dict[str, Any]:
        waits = case.status == "open" and case.owner_id is None
        return {
            "reference": case.reference,
            "kind": case.kind,
            "priority": case.priority,
            "status": case.status,
            "outcome": case.outcome,
            "minor": case.minor,
            "about": case.facts.about,
            "watched": case.facts.watched,
            "owner": self.name(case.owner_id),
            "mine": case.owner_id == self._me,
            "channel": channel,
            "opened_at": case.opened_at,
            "claimed_at": case.claimed_at,
            "ended_at": case.ended_at,
            "heard_at": case.heard_at,
            "waiting": self.minutes(case.heard_at or case.opened_at),
            "due": due if waits else None,
            "overdue": waits and due < self._now,
        }

    def facts(self, case: Case, events: Sequence[CaseEvent], summary: Mapping[str, object]) -> dict[str, Any]:
        written = {name: str(summary.get(name, "")) for name in ("reporter", "subject", "place", "plan")}
        return {
            "country": self.country(case.facts.country),
            "flags": self.flags(case.facts.flags),
            "answers": [
                {"asked": self.asked(name), "answered": self.answered(str(value))}
                for event in events
                if event.kind == "answer" and event.body
                for name, value in event.body.items()
            ],
            **written,
        }

    def talk(self, words: Sequence[Words]) -> list[dict[str, Any]]:
        return [
            {
                "author": one.author if one.author in _NOT_PEOPLE else "operator",
                "name": None if one.author in _NOT_PEOPLE else self.name(one.author),
                "text": self._words()["case"]["sealed_before"] if one.text is None else one.text,
                "at": one.at,
                "delivery": self._delivery(one),
            }
            for one in words
        ]

    def timeline(self, events: Sequence[CaseEvent]) -> list[dict[str, Any]]:
        """The newest first."""
        return [
            {
                "at": event.at,
                "who": self.actor(event.actor),
                "kind": event.kind,
                "detail": self._detail(event),
            }
            for event in reversed(events)
        ]

    # -- words ---------------------------------------------------------------------------------------------------------

    def name(self, staff_id: str | None) -> str | None:
        return self._names.get(staff_id, "?") if staff_id else None

    def actor(self, actor: str) -> str | None:
        """A colleague's name, or who else it was as the words `actors` call it."""
        return actor if actor in _NOT_PEOPLE else self.name(actor)

    def receiver(self, name: str) -> str:
        """To whom something was handed on; whoever is no longer in content/receivers.yml by the id."""
        known = self._library.receivers.get(name)
        return known.name.in_language(self.language) if known else self._words()["receivers"].get(name, name)

    def country(self, code: str | None) -> str | None:
        known = self._library.countries.get(code or "")
        return known.name.in_language(self.language) if known else None

    def flags(self, flags: Sequence[str]) -> list[str]:
        titles = self._library.red_flags
        return [titles[flag].title.in_language(self.language) for flag in flags if flag in titles]

    def minutes(self, since: dt.datetime) -> int:
        return max(0, int((self._now - since).total_seconds() // 60))

    def _words(self) -> Mapping[str, Mapping[str, str]]:
        return self._library.console(self.language)

    def _delivery(self, words: Words) -> str | None:
        if words.delivery == "cancelled":
            return {"silent": "held", "called_off": "called_off"}.get(words.error or "", "failed")
        return _DELIVERIES.get(words.delivery) if words.delivery else None

    def asked(self, question: str) -> str:
        """The question of a form as it was put, or what was noticed."""
        for form in self._library.forms.values():
            for one in form.questions:
                if one.id == question:
                    return one.ask.in_language(self.language)
        return self._words()["noticed"].get(question, question)

    def answered(self, value: str) -> str:
        action = self._library.actions.get(value)
        return action.in_language(self.language) if action else self._words()["noticed"].get(value, value)

    def _detail(self, event: CaseEvent) -> str | None:
        """What an event says beside its kind, in words."""
        if event.body is None:
            return self._words()["case"]["sealed_before"]
        body = {name: str(value) for name, value in event.body.items() if value}
        tell = _DETAILS.get(event.kind)
        return tell(self, body, self._words()) if tell else None


Body = Mapping[str, str]
Vocabulary = Mapping[str, Mapping[str, str]]


def _priority(_shown: Shown, body: Body, _words: Vocabulary) -> str:
    return " → ".join([body["from"], body["to"]]) + (f": {body['reason']}" if "reason" in body else "")


def _written(_shown: Shown, body: Body, words: Vocabulary) -> str | None:
    ended = words["outcomes"].get(body.get("outcome", ""))
    return _joined(" · ", ended, body.get("text"))


def _to_colleague(shown: Shown, body: Body, _words: Vocabulary) -> str | None:
    return shown.name(body.get("to"))


def _purpose(_shown: Shown, body: Body, words: Vocabulary) -> str | None:
    return words["purposes"].get(body.get("purpose", ""))


def _second(_shown: Shown, body: Body, words: Vocabulary) -> str | None:
    return _joined(": ", words["requests"].get(body.get("kind", "")), body.get("reason"))


def _answer(shown: Shown, body: Body, _words: Vocabulary) -> str:
    return "; ".join(f"{shown.asked(name)} {shown.answered(value)}" for name, value in body.items())


def _told(_shown: Shown, body: Body, _words: Vocabulary) -> str | None:
    return _joined("; ", *body.values())


def _handed_on(shown: Shown, body: Body, words: Vocabulary) -> str | None:
    receiver = shown.receiver(body["receiver"]) if "receiver" in body else None
    return _joined(" · ", receiver, words["forms"].get(body.get("form", "")), words["bases"].get(body.get("basis", "")))


def _answer_by(_shown: Shown, body: Body, words: Vocabulary) -> str:
    return words["case"]["answer_by"].format(day=day(dt.date.fromisoformat(body["answer_by"])))


def _hours(_shown: Shown, body: Body, _words: Vocabulary) -> str:
    return f"{body['start']}-{body['end']}"


def _ground(_shown: Shown, body: Body, words: Vocabulary) -> str | None:
    read_by = words["case"]["read_by"].format(model=body["read_by"]) if body.get("read_by") else None
    return _joined(" · ", words["bases"].get(body.get("basis", "")), read_by)


def _joined(between: str, *texts: str | None) -> str | None:
    return between.join(text for text in texts if text) or None


_DETAILS: Mapping[str, Callable[[Shown, Body, Vocabulary], str | None]] = {
    "opened": _ground,
    "joined": _ground,
    "answer": _answer,
    "note": _written,
    "closed": _written,
    "reopened": _written,
    "summary": _told,
    "clue": _told,
    "code_set": _told,
    "priority": _priority,
    "handed_over": _to_colleague,
    "assigned": _to_colleague,
    "paged": _to_colleague,
    "asked": _purpose,
    "consent": _purpose,
    "refused": _purpose,
    "second_asked": _second,
    "second_granted": _second,
    "second_refused": _second,
    "referred": _handed_on,
    "exported": _handed_on,
    "delivered": _handed_on,
    "not_delivered": _handed_on,
    "access_asked": _answer_by,
    "reach": _hours,
}
