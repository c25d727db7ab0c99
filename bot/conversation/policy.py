"""What the bot says next. One function per behaviour, tried in order; the first that has something to say decides.

Pure: the time comes with the message, texts come from the library, and everything else that should happen is an event.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bot.content import Library, Question
from bot.conversation import forms
from bot.conversation.answers import Answered, answer_question, give_answer
from bot.conversation.commands import Commands, number_in
from bot.conversation.events import (
    CaseExtended,
    CaseRequested,
    ConsentGiven,
    ConsentRefused,
    ErasureRequested,
    Event,
    OptedIn,
    OptedOut,
    Priority,
    Silenced,
)
from bot.conversation.replies import Speaker, joined
from bot.conversation.risk import assess, vouched_for
from bot.conversation.state import Conversation, Mode, Slots, Turn
from bot.messages import Choice, InboundMessage, Reply
from bot.understanding.language import OTHER_SCRIPTS
from bot.understanding.reading import Understanding

VIETNAM = dt.timezone(dt.timedelta(hours=7))
CONSENT_VERSION = "2026-11-21"  # of the responses consent and consent_human: a new wording is a new version
MAIN_MENU = ("check_offer", "procedures", "human")
SHOWN_FLAGS = 6
SMS_FLAGS = 3
MOST_WORDS = 40  # characters of the sender's own words shown behind a flag
DRAFT_MESSAGES = 10
PLAIN_REPLIES = ("thanks", "goodbye", "affirm", "deny", "bot_identity", "abuse")


@dataclass(frozen=True)
class Settings:
    """What the deployer decides about the conversation (config.yml)."""

    sure: float = 0.45
    maybe: float = 0.15
    pause: dt.timedelta = dt.timedelta(minutes=10)
    idle: dt.timedelta = dt.timedelta(minutes=30)
    staffed: bool = False


@dataclass
class _Desk:
    """One turn while it is being worked out: what came in, and what has been decided so far."""

    conversation: Conversation
    message: InboundMessage
    reading: Understanding
    speaker: Speaker
    today: dt.date
    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.message.text

    def update(self, **changes: object) -> None:
        self.conversation = replace(self.conversation, **changes)  # type: ignore[arg-type]

    def turn(self, *replies: Reply) -> Turn:
        if replies and replies[-1].choices:
            self.update(choices=tuple(choice.target for choice in replies[-1].choices))
        return Turn(self.conversation, replies, tuple(self.events))


class Policy:
    """Built once from the library; `respond` may be called from many threads."""

    def __init__(self, library: Library, settings: Settings) -> None:
        self._library = library
        self._settings = settings
        self._commands = Commands(library.commands)
        self._steps: tuple[Callable[[_Desk], Turn | None], ...] = (
            self._exit,
            self._stop_or_delete,
            self._hotline,
            self._nothing_said,
            self._probing,
            self._emergency,
            self._after_a_pause,
            self._asks_for_a_person,
            self._number,
            self._form_step,
            self._source,
            self._language,
            self._foreign_script,
            self._by_kind,
        )

    def respond(self, conversation: Conversation, message: InboundMessage, reading: Understanding) -> Turn:
        """The whole effect of `message`; the same for the same three inputs."""
        conversation = self._forget_if_idle(conversation, message.received_at)
        language = self._language_of(conversation, reading)
        desk = _Desk(
            conversation=replace(conversation, language=language, turns=conversation.turns + 1),
            message=message,
            reading=reading,
            speaker=Speaker(self._library, language),
            today=message.received_at.astimezone(VIETNAM).date(),
        )
        turn = next(turn for step in self._steps if (turn := step(desk)) is not None)
        turn = self._introduced(turn, conversation)
        return replace(turn, conversation=replace(turn.conversation, updated_at=message.received_at))

    # -- before anything else ----------------------------------------------------------------------------------------

    def _forget_if_idle(self, conversation: Conversation, now: dt.datetime) -> Conversation:
        if conversation.idle_for(now) < self._settings.idle:
            return conversation
        return Conversation(
            language=conversation.language, mode=conversation.mode, greeted=True, case_open=conversation.case_open
        )

    def _language_of(self, conversation: Conversation, reading: Understanding) -> str:
        """Vietnamese or English: what the person writes, once it is more than a word or two."""
        if reading.language in ("vi", "en") and len(reading.plain.split()) >= 3:
            return reading.language
        return conversation.language

    def _introduced(self, turn: Turn, before: Conversation) -> Turn:
        """S-01: the first reply of all says who we are; a cry for help is answered without it (S-26)."""
        if before.greeted or not turn.replies:
            return turn
        conversation = replace(turn.conversation, greeted=True)
        if turn.replies[0].name in _OWN_OPENING or turn.replies[0].name.startswith("emergency"):
            return replace(turn, conversation=conversation)
        intro = Speaker(self._library, turn.conversation.language).say("intro")
        return replace(turn, conversation=conversation, replies=(intro, *turn.replies))

    # -- words that beat every state ---------------------------------------------------------------------------------

    def _exit(self, desk: _Desk) -> Turn | None:
        """S-05: closed in one message, whatever was going on."""
        if not self._commands.is_("exit", desk.text):
            return None
        desk.events.append(Silenced())
        desk.conversation = Conversation(
            language=desk.conversation.language,
            mode=desk.conversation.mode,
            greeted=True,
            case_open=desk.conversation.case_open,
        )
        return desk.turn(desk.speaker.say("closed"))

    def _stop_or_delete(self, desk: _Desk) -> Turn | None:
        """S-34 and the person's right to be forgotten, each confirmed once."""
        reading = desk.reading
        chat = reading.topic if reading.kind == "chat" and reading.confidence >= self._settings.sure else None
        waiting = desk.conversation.step is not None
        if self._commands.is_("delete", desk.text) or (chat == "delete_data" and not waiting):
            desk.events.append(ErasureRequested())
            desk.conversation = Conversation(language=desk.conversation.language, greeted=True)
            return desk.turn(desk.speaker.say("erased"))
        if self._commands.is_("stop", desk.text) or (chat == "stop" and not waiting):
            desk.events.append(OptedOut("alerts", desk.text[:80]))
            desk.conversation = desk.conversation.without_form()
            return desk.turn(desk.speaker.say("stopped_case" if desk.conversation.case_open else "stopped"))
        return None

    def _hotline(self, desk: _Desk) -> Turn | None:
        """While an operator talks, the bot is silent."""
        if desk.conversation.mode is not Mode.HOTLINE:
            return None
        desk.events.append(CaseExtended(words=(desk.text,)))
        return desk.turn()

    def _nothing_said(self, desk: _Desk) -> Turn | None:
        if any(character.isalnum() for character in desk.text) or desk.reading.kind == "emergency":
            return None
        if desk.message.has_media:
            return desk.turn(desk.speaker.say("media"))
        if desk.reading.kind == "chat" and desk.text.strip():
            return None  # an emoji may say yes, no or thanks
        return desk.turn(desk.speaker.say("empty"))

    def _probing(self, desk: _Desk) -> Turn | None:
        """S-33: who asks about others gets one constant reply."""
        if "probing" in desk.reading.signs and desk.reading.kind != "emergency":
            return desk.turn(desk.speaker.say("probe"))
        return None

    # -- danger ------------------------------------------------------------------------------------------------------

    def _emergency(self, desk: _Desk) -> Turn | None:
        """S-26: one message with the number to call, and a case at once."""
        escape = "asks_escape" in desk.reading.signs
        if self._is_control(desk):
            return None
        if desk.reading.kind != "emergency":
            return self._stay_or_go(desk) if escape and desk.reading.kind not in ("report", "offer") else None
        slots = forms.with_reading(desk.conversation.slots, desk.reading, self._library)
        known = desk.conversation.form == "emergency" and desk.conversation.case_open
        if known and not escape:
            return self._more_danger(desk, slots)
        if not known:
            desk.events.append(self._case_of_danger(desk, slots))
        if desk.reading.language in OTHER_SCRIPTS:
            desk.update(form="human", step="tell", slots=slots, case_open=True, draft=())
            return desk.turn(Speaker(self._library, desk.reading.language).say("emergency", choices=()))
        desk.update(form="emergency", step="safety", slots=slots, safety="asked", case_open=True, draft=())
        if escape:
            return desk.turn(joined(desk.speaker.say("stay_or_go"), desk.speaker.say("safe_to_talk")))
        return desk.turn(self._danger_reply(desk, slots))

    def _is(self, desk: _Desk, *names: str) -> bool:
        """Whether the message is a word of one of these lists, in any spelling ("ko" is "không")."""
        return any(self._commands.is_(name, text) for name in names for text in (desk.text, desk.reading.plain))

    def _is_control(self, desk: _Desk) -> bool:
        """Numbers and words that answer the question at hand are never read as a cry."""
        return number_in(desk.text) is not None or self._is(desk, *self._library.commands)

    def _stay_or_go(self, desk: _Desk) -> Turn | None:
        """S-17: nobody is told to run or to stay."""
        return desk.turn(desk.speaker.say("stay_or_go"))

    def _more_danger(self, desk: _Desk, slots: Slots) -> Turn:
        desk.events.append(CaseExtended(words=(desk.text,)))
        desk.update(slots=slots)
        if desk.conversation.safety == "asked":
            return desk.turn(joined(desk.speaker.say("case_added"), desk.speaker.say("safe_to_talk")))
        return self._next_question(desk, desk.speaker.say("case_added"))

    def _case_of_danger(self, desk: _Desk, slots: Slots) -> CaseRequested:
        return CaseRequested(
            kind="emergency",
            priority="P0",
            basis="emergency",
            reason="the message tells of danger to life or freedom",
            flags=slots.flags,
            country=slots.country,
            about=slots.about,
            minor="minor" in slots.flags,
            words=(*desk.conversation.draft, desk.text),
        )

    def _danger_reply(self, desk: _Desk, slots: Slots) -> Reply:
        case = desk.speaker.say("emergency_case_staffed" if self._settings.staffed else "emergency_case_unstaffed")
        numbers = self._numbers(desk, slots.country)
        values = {"case": case.text, "numbers": numbers.text}
        sms_values = {"case": case.sms, "numbers": numbers.sms}
        return desk.speaker.say(self._danger_wording(desk, slots), values, sms_values)

    def _danger_wording(self, desk: _Desk, slots: Slots) -> str:
        if "suicide" in desk.reading.signs:
            return "emergency_life"
        if "minor" in slots.flags:
            return "emergency_child"
        if slots.about == "other":
            return "emergency_relative"
        if slots.country == "VN":
            return "emergency_home"
        return "emergency_abroad" if slots.country else "emergency"

    def _numbers(self, desk: _Desk, country: str | None) -> Reply:
        """The numbers to call from a country, or both where it is not known."""
        if country == "VN":
            return desk.speaker.say("emergency_home_number")
        if country is None:
            return desk.speaker.say("emergency_any_number")
        hotlines = [self._library.hotlines[name] for name in self._library.countries[country].hotlines]
        fresh = [hotline for hotline in hotlines if hotline.is_fresh(desk.today)]
        lines = [f"{hotline.name.in_language(desk.speaker.language)}: {hotline.number}" for hotline in fresh]
        return Reply(text="\n".join(lines), sms=", ".join(hotline.number for hotline in fresh))

    # -- after a pause (S-12), and safe to talk (S-02, S-03, S-04) ----------------------------------------------------

    def _after_a_pause(self, desk: _Desk) -> Turn | None:
        """Somebody else may hold the phone by now: ask again, and repeat nothing that was told."""
        sensitive = desk.conversation.form in ("report", "emergency", "human")
        if not sensitive or desk.conversation.idle_for(desk.message.received_at) < self._settings.pause:
            return None
        if desk.conversation.step == "safety":
            return None
        desk.update(step="safety", safety="asked", draft=())
        return desk.turn(desk.speaker.say("still_here"))

    def _safety_step(self, desk: _Desk, target: str | None) -> Turn | None:
        yes = target == "go_safe" or self._is(desk, "yes")
        anyway = target == "go_anyway" or self._is(desk, "go_on")
        if target == "not_safe" or self._is(desk, "no"):
            desk.events.append(Silenced())
            desk.conversation = desk.conversation.without_form()
            desk.update(safety="unasked", choices=())
            return desk.turn(desk.speaker.say("safe_later"))
        if not (yes or anyway):
            return None
        desk.update(safety="watched" if anyway else "safe")
        if desk.conversation.form == "emergency":
            if anyway:
                desk.events.append(CaseExtended(watched=True))
            return self._next_question(desk)
        return self._ask_consent(desk)

    # -- reports and people ------------------------------------------------------------------------------------------

    def _report(self, desk: _Desk) -> Turn:
        slots = forms.with_reading(desk.conversation.slots, desk.reading, self._library)
        if desk.conversation.case_open:
            desk.events.append(CaseExtended(words=(desk.text,)))
            desk.update(slots=slots)
            return desk.turn(desk.speaker.say("case_added"))
        heard = desk.speaker.say("report_relative" if _is_family(slots) else "report_heard")
        desk.update(form="report", slots=slots, draft=self._draft(desk))
        if desk.conversation.safety in ("safe", "watched"):
            asked = self._ask_consent(desk)
            return replace(asked, replies=(heard, *asked.replies))
        desk.update(step="safety", safety="asked")
        return desk.turn(joined(heard, desk.speaker.say("safe_to_talk")))

    def _asks_for_a_person(self, desk: _Desk) -> Turn | None:
        """S-30: from any state."""
        asked = self._is(desk, "human")
        understood = desk.reading.kind == "chat" and desk.reading.topic == "human"
        return self._human(desk) if asked or understood else None

    def _human(self, desk: _Desk) -> Turn:
        if desk.conversation.case_open:
            desk.update(form="human", step="tell")
            return desk.turn(desk.speaker.say("case_tell"))
        if desk.conversation.form != "report":
            desk.update(form="human", draft=desk.conversation.draft)
        return self._ask_consent(desk)

    def _ask_consent(self, desk: _Desk) -> Turn:
        name = "consent_human" if desk.conversation.form == "human" else "consent"
        desk.update(step="consent")
        asking = desk.speaker.say(name)
        if "minor" in desk.conversation.slots.flags:  # S-23: before any detail
            asking = joined(desk.speaker.say("minor_notice"), asking)
        return desk.turn(asking)

    def _consent_step(self, desk: _Desk, target: str | None) -> Turn | None:
        if target == "agree" or self._is(desk, "consent"):
            return self._agreed(desk)
        if target == "refuse" or self._is(desk, "refuse") or desk.reading.topic == "deny":
            desk.events.append(ConsentRefused("help"))
            desk.conversation = desk.conversation.without_form()
            desk.update(consent_refused=True)
            return desk.turn(desk.speaker.say("consent_no"))
        if desk.reading.topic == "affirm":
            return desk.turn(desk.speaker.say("consent_unclear"))
        return None

    def _agreed(self, desk: _Desk) -> Turn:
        """D-05: a clear word for this purpose; what was told so far goes to the queue with it."""
        state = desk.conversation
        desk.events.append(ConsentGiven("help", desk.text[:80], CONSENT_VERSION))
        desk.events.append(
            CaseRequested(
                kind=state.form or "human",
                priority=_priority(state),
                basis="consent",
                reason="the person agreed",
                flags=state.slots.flags,
                country=state.slots.country,
                about=state.slots.about,
                minor="minor" in state.slots.flags,
                watched=state.safety == "watched",
                words=state.draft,
            )
        )
        desk.update(case_open=True, draft=())
        told = desk.speaker.say("case_staffed" if self._settings.staffed else "case_unstaffed")
        if state.form == "report":
            return self._next_question(desk, told)
        desk.update(form="human", step="tell")
        return desk.turn(joined(told, desk.speaker.say("case_tell")))

    def _tell_step(self, desk: _Desk) -> Turn | None:
        """What is said to the person on duty goes into the case."""
        desk.events.append(CaseExtended(words=(desk.text,)))
        return desk.turn(desk.speaker.say("case_added"))

    # -- forms -------------------------------------------------------------------------------------------------------

    def _next_question(self, desk: _Desk, before: Reply | None = None) -> Turn:
        """The next question of the form under way, or its end."""
        form = self._library.forms[desk.conversation.form or ""]
        question = forms.next_question(form, desk.conversation.slots)
        if question is None:
            desk.update(step=None, form=None)
            done = desk.speaker.say("case_done")
            return desk.turn(joined(before, done) if before else done)
        desk.update(step=question.id)
        asking = self._asking(desk, question)
        return desk.turn(joined(before, asking) if before else asking)

    def _asking(self, desk: _Desk, question: Question) -> Reply:
        other = desk.conversation.slots.about == "other" and question.other_subject
        wording = (other or question.ask).in_language(desk.speaker.language)
        choices = ("skip",) if question.free_text else ("yes", "no", "unsure")
        return Reply(wording, wording, desk.speaker.choices(choices), f"ask_{question.id}")

    def _form_step(self, desk: _Desk) -> Turn | None:
        step = desk.conversation.step
        if step is None:
            return None
        if step == "safety":
            return self._safety_step(desk, None)
        if step == "consent":
            return self._consent_step(desk, None)
        if step == "tell":
            return (
                self._tell_step(desk)
                if desk.reading.kind in ("report", "question", "offer", "out_of_scope", "chat")
                else None
            )
        if step == "offer":
            return self._offer(desk) if desk.reading.kind not in ("chat", "question") else None
        if step == "subscribe":
            return self._subscribe_step(desk, None)
        return self._question_step(desk, step, None)

    def _question_step(self, desk: _Desk, step: str, target: str | None) -> Turn | None:
        """The answer to a question of a form: a number, a word, or anything that says more."""
        name = desk.conversation.form or ""
        question = forms.question_of(self._library.forms[name], step) if name in self._library.forms else None
        if question is None:
            return None
        value = self._answer_value(desk, target)
        if name == "offer":
            return self._offer_answer(desk, question, value)
        if value is None and desk.reading.kind == "question" and desk.reading.confidence >= self._settings.sure:
            return None
        return self._case_answer(desk, question, value)

    def _answer_value(self, desk: _Desk, target: str | None) -> str | None:
        if target in ("yes", "no", "unsure"):
            return target
        if target == "skip" or self._is(desk, "skip"):
            return "unsure"
        return next((value for value in forms.ANSWERS if self._is(desk, value)), None)

    def _case_answer(self, desk: _Desk, question: Question, value: str | None) -> Turn:
        slots = forms.with_answer(desk.conversation.slots, question, value or "told")
        if value is None or (question.free_text and value != "unsure"):
            slots = forms.with_reading(slots, desk.reading, self._library)
        if value != "unsure":
            told = desk.text[:500] if value is None or question.free_text else value
            danger = value == "yes" and question.yes.danger
            facts = {question.id: told, **({"priority": "P0"} if danger else {})}
            desk.events.append(CaseExtended(facts=facts, country=slots.country))
        newly_known = slots.country if slots.country != desk.conversation.slots.country else None
        desk.update(slots=slots)
        if value == "yes" and question.yes.danger:
            numbers = self._numbers(desk, slots.country)
            return self._next_question(desk, numbers)
        if newly_known and desk.conversation.form == "emergency":
            numbers = self._numbers(desk, newly_known)
            noted = desk.speaker.say("emergency_numbers_place", {"numbers": numbers.text}, {"numbers": numbers.sms})
            return self._next_question(desk, noted)
        return self._next_question(desk)

    # -- offers ------------------------------------------------------------------------------------------------------

    def _offer(self, desk: _Desk) -> Turn:
        """Names the signs with the words that showed them, and asks for what would change the verdict."""
        in_form = desk.conversation.form == "offer"
        before = desk.conversation.slots if in_form else Slots()
        slots = forms.with_reading(before, desk.reading, self._library)
        desk.update(form="offer", slots=slots, draft=self._draft(desk))
        question = forms.next_question(self._library.forms["offer"], slots)
        verdict = self._verdict(desk, slots)
        if question is None:
            return self._offer_end(desk)
        desk.update(step=question.id)
        asking = self._asking(desk, question)
        asked = desk.speaker.say("offer_ask", {"question": asking.text}, choices=())
        return desk.turn(replace(joined(verdict, asked), choices=asking.choices))

    def _verdict(self, desk: _Desk, slots: Slots) -> Reply:
        risk = assess(slots.flags, slots.signs, self._library.red_flags)
        if risk.level == "low":
            return desk.speaker.say("offer_low", {"signs": self._sign_titles(desk, slots)})
        if not risk.flags:
            return desk.speaker.say("offer_unclear")
        verdict = desk.speaker.say(f"offer_{risk.level}", *self._flag_values(desk, risk.flags))
        if "minor" in risk.flags:
            verdict = joined(verdict, desk.speaker.say("offer_minor"))
        return verdict

    def _flag_values(self, desk: _Desk, flags: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
        language = desk.speaker.language
        shown = [self._library.red_flags[name] for name in flags[:SHOWN_FLAGS]]
        lines = [
            f"{n}. {flag.title.in_language(language)}{_quoted(desk.reading.flags.get(flag.id, ()))}"
            for n, flag in enumerate(shown, 1)
        ]
        gravest = shown[0]
        at_home = desk.conversation.slots.country in (None, "VN") and desk.reading.country in (None, "VN")
        values = {
            "count": str(len(flags)),
            "flags": "\n".join(lines),
            "why": gravest.why.in_language(language),
            "do": gravest.do.in_language(language),
            "where": desk.speaker.say("offer_where_home" if at_home else "offer_where_abroad").text,
        }
        titles = "; ".join(flag.title.in_language(language) for flag in shown[:SMS_FLAGS])
        return values, {**values, "flags": titles}

    def _sign_titles(self, desk: _Desk, slots: Slots) -> str:
        titles = [
            sign.title.in_language(desk.speaker.language)
            for sign in self._library.signs.values()
            if sign.vouches and sign.title and sign.id in slots.signs
        ]
        return f": {', '.join(titles[:3])}" if titles else ""

    def _offer_answer(self, desk: _Desk, question: Question, value: str | None) -> Turn | None:
        """An answer; or more about the offer, which counts as one; or something else altogether (None)."""
        slots = desk.conversation.slots
        if value is None:
            if desk.reading.kind in ("chat", "report") or self._is_a_question(desk):
                return None
            merged = forms.with_reading(slots, desk.reading, self._library)
            told_more = merged != slots or desk.reading.kind == "offer"
            if not told_more and desk.reading.confidence < self._settings.sure:
                value = "unsure"
            elif set(merged.flags) != set(slots.flags):
                return self._offer(desk)
            slots = merged
        desk.update(slots=forms.with_answer(slots, question, value or "told"))
        following = forms.next_question(self._library.forms["offer"], desk.conversation.slots)
        if following is None:
            return self._offer_end(desk)
        desk.update(step=following.id)
        return desk.turn(self._asking(desk, following))

    def _is_a_question(self, desk: _Desk) -> bool:
        return desk.reading.kind == "question" and desk.reading.confidence >= self._settings.sure

    def _offer_end(self, desk: _Desk) -> Turn:
        """The verdict after the questions, with what to check and where."""
        slots = desk.conversation.slots
        risk = assess(slots.flags, slots.signs, self._library.red_flags)
        titles = [self._library.red_flags[name].title for name in risk.flags] or [
            self._library.responses["unclear_title"].text
        ]
        shown = [title.in_language(desk.speaker.language) for title in titles]
        values = {
            "flags": "\n".join(f"{n}. {title}" for n, title in enumerate(shown[:SHOWN_FLAGS], 1)),
            "signs": self._sign_titles(desk, slots),
        }
        sms_values = {**values, "flags": "; ".join(shown[:SMS_FLAGS])}
        desk.update(form=None, step=None)
        return desk.turn(desk.speaker.say(f"offer_final_{risk.level}", values, sms_values))

    # -- choices, sources, languages ---------------------------------------------------------------------------------

    def _number(self, desk: _Desk) -> Turn | None:
        number = number_in(desk.text)
        if number is None:
            return None
        choices = desk.conversation.choices or MAIN_MENU
        if not 1 <= number <= len(choices):
            return None if number else desk.turn(desk.speaker.say("menu"))
        return self._choose(desk, choices[number - 1])

    def _choose(self, desk: _Desk, target: str) -> Turn | None:
        step = desk.conversation.step
        if target in ("go_safe", "not_safe", "go_anyway") and step == "safety":
            return self._safety_step(desk, target)
        if target in ("agree", "refuse") and step == "consent":
            return self._consent_step(desk, target)
        if target in ("yes", "no") and step == "subscribe":
            return self._subscribe_step(desk, target)
        if target in ("yes", "no", "unsure", "skip") and step:
            return self._question_step(desk, step, target)
        if target in self._library.answers:
            return self._answered(desk, give_answer(target, self._library, desk.speaker, desk.today))
        if target in ("check_offer", "another_offer"):
            desk.conversation = desk.conversation.without_form()
            desk.update(form="offer", step="offer", choices=())
            return desk.turn(desk.speaker.say("tell_offer"))
        if target == "human":
            return self._human(desk)
        if target in ("menu", "procedures"):
            return desk.turn(desk.speaker.say(target))
        return None

    def _answered(self, desk: _Desk, answered: Answered) -> Turn:
        desk.update(last_answer=answered.answer_id or desk.conversation.last_answer, missed=0)
        return desk.turn(*answered.replies)

    def _source(self, desk: _Desk) -> Turn | None:
        if not self._is(desk, "source"):
            return None
        answer = self._library.answers.get(desk.conversation.last_answer or "")
        if answer is None:
            return desk.turn(desk.speaker.say("no_sources"))
        values = {
            "checked": answer.checked.strftime("%d/%m/%Y"),
            "sources": " ; ".join(
                f"{source.url} ({source.date})" if source.date else source.url for source in answer.sources
            ),
        }
        return desk.turn(desk.speaker.say("sources", values))

    def _language(self, desk: _Desk) -> Turn | None:
        for command, language in (("english", "en"), ("vietnamese", "vi")):
            if self._is(desk, command):
                return self._speak(desk, language)
        if desk.reading.kind != "chat" or desk.reading.topic != "language" or desk.reading.language in OTHER_SCRIPTS:
            return None
        words = set(desk.reading.plain.split())
        if words & {"english", "anh"}:
            return self._speak(desk, "en")
        if {"tieng", "viet"} <= words or "vietnamese" in words:
            return self._speak(desk, "vi")
        return desk.turn(desk.speaker.say("language_none"))

    def _speak(self, desk: _Desk, language: str) -> Turn:
        desk.update(language=language)
        desk.speaker = Speaker(self._library, language)
        return desk.turn(desk.speaker.say(f"language_{language}"))

    def _foreign_script(self, desk: _Desk) -> Turn | None:
        """A reviewed line in the writer's own language, with the right number and the way to a person."""
        if desk.reading.language not in OTHER_SCRIPTS:
            return None
        foreign = Speaker(self._library, desk.reading.language)
        reply = replace(foreign.say("other_language", choices=()), choices=desk.speaker.choices(("human", "menu")))
        desk.update(draft=self._draft(desk))
        return desk.turn(reply)

    # -- by what the message is --------------------------------------------------------------------------------------

    def _by_kind(self, desk: _Desk) -> Turn:
        reading = desk.reading
        if self._is(desk, "menu"):
            return desk.turn(desk.speaker.say("menu" if desk.conversation.greeted else "welcome"))
        if self._is(desk, "subscribe") or (reading.kind == "chat" and reading.topic == "subscribe"):
            desk.update(step="subscribe")
            return desk.turn(desk.speaker.say("subscribe_ask"))
        if reading.kind == "report":
            return self._report(desk)
        if reading.kind == "offer":
            return self._offer(desk)
        if reading.confidence < self._settings.maybe:
            return self._missed(desk)
        if reading.kind == "question":
            return self._question(desk)
        desk.update(missed=0)
        if reading.kind == "out_of_scope":
            return desk.turn(desk.speaker.say("out_of_scope"))
        return self._chat(desk)

    def _question(self, desk: _Desk) -> Turn:
        answered = answer_question(
            desk.reading.candidates, desk.reading.topic, self._library, desk.speaker, desk.today, self._settings.sure
        )
        if "own_harm" in desk.reading.signs and not desk.conversation.case_open:
            harm = desk.speaker.say("own_harm", choices=())
            last = answered.replies[-1]
            replies = (*answered.replies[:-1], replace(joined(last, harm), choices=_with_human(last, desk.speaker)))
            answered = Answered(replies, answered.choices, answered.answer_id)
        desk.update(draft=self._draft(desk))
        return self._answered(desk, answered)

    def _chat(self, desk: _Desk) -> Turn:
        topic = desk.reading.topic
        if topic == "greet":
            return desk.turn(desk.speaker.say("menu" if desk.conversation.greeted else "welcome"))
        name = topic if topic in PLAIN_REPLIES else "menu"
        return desk.turn(desk.speaker.say(name or "menu"))

    def _missed(self, desk: _Desk) -> Turn:
        """S-18: no guess; after two misses a person comes first."""
        again = desk.conversation.missed >= 1
        desk.update(missed=desk.conversation.missed + 1, draft=self._draft(desk))
        if desk.conversation.case_open:
            desk.events.append(CaseExtended(words=(desk.text,)))
            return desk.turn(desk.speaker.say("case_added"))
        return desk.turn(desk.speaker.say("not_understood_again" if again else "not_understood"))

    def _subscribe_step(self, desk: _Desk, target: str | None) -> Turn | None:
        if target == "yes" or self._is(desk, "yes") or self._is(desk, "consent"):
            desk.events.append(OptedIn("alerts", desk.text[:80]))
            desk.update(step=None)
            return desk.turn(desk.speaker.say("subscribed"))
        if target == "no" or self._is(desk, "no"):
            desk.update(step=None)
            return desk.turn(desk.speaker.say("subscribe_no"))
        desk.update(step=None)
        return None

    def _draft(self, desk: _Desk) -> tuple[str, ...]:
        """Words that may become part of a case if the person agrees; kept in memory only."""
        return (*desk.conversation.draft, desk.text)[-DRAFT_MESSAGES:]


_OWN_OPENING = ("welcome", "closed", "erased", "stopped", "stopped_case", "other_language", "safe_later", "stay_or_go")


def _priority(state: Conversation) -> Priority:
    """Minors first (S-23); then reports, then who asks for a person."""
    if "minor" in state.slots.flags:
        return "P1"
    return "P2" if state.form == "report" else "P3"


def _is_family(slots: Slots) -> bool:
    return slots.about == "other"


def _quoted(words: tuple[str, ...]) -> str:
    shown = [word if len(word) <= MOST_WORDS else word[: MOST_WORDS - 1] + "…" for word in words[:2]]
    quoted = [f'"{word}"' for word in shown]
    return f" ({', '.join(quoted)})" if quoted else ""


def _with_human(reply: Reply, speaker: Speaker) -> tuple[Choice, ...]:
    targets = tuple(choice.target for choice in reply.choices)
    return speaker.choices(targets if "human" in targets else (*targets[:2], "human"))


__all__ = ["CONSENT_VERSION", "Policy", "Settings", "vouched_for"]
