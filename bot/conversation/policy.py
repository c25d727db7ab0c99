"""What the bot says next. One function per behaviour, tried in order; the first that has something to say decides.

Pure: the time comes with the message, texts come from the library, and everything else that should happen is an event.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from bot.content import Library
from bot.conversation import assistance, forms, limits, lines, offers, pages, small_talk
from bot.conversation.answers import give_answer
from bot.conversation.commands import Commands, tidy
from bot.conversation.desk import Desk, Settings
from bot.conversation.events import (
    AccessAsked,
    CaseExtended,
    CaseRequested,
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    ErasureRequested,
    OptedOut,
    Silenced,
)
from bot.conversation.observing import seen_in
from bot.conversation.replies import Speaker, joined
from bot.conversation.state import Conversation, Mode, Slots, Turn
from bot.messages import VIETNAM, InboundMessage, Reply
from bot.understanding.emergencies import CONTROL
from bot.understanding.reading import Understanding

SHORT_ANSWER = 6  # words: longer, a cry is no mere answer to "which place?"
LONGEST_ANSWER = 9  # words of an answer that begins with yes or no
NATIONAL_LINES = {"111": "hotline_contacts/111", "113": "hotline_contacts/113_emergency"}
OWN_OPENING = (
    "welcome",
    "closed",
    "erased",
    "erased_but_handed_on",
    "withdrawn",
    "stopped",
    "other_language",
    "safe_later",
    "stay_or_go",
)


class Policy:
    """Built once from the library; `respond` may be called from many threads."""

    def __init__(self, library: Library, settings: Settings) -> None:
        self.library = library
        self.settings = settings
        self._commands = Commands(library.commands)

    def respond(self, conversation: Conversation, message: InboundMessage, reading: Understanding) -> Turn:
        """The whole effect of `message`; the same for the same three inputs."""
        conversation = limits.counted(remembered(conversation, message.received_at, self.settings))
        language = language_of(conversation, reading)
        desk = Desk(
            conversation=replace(conversation, language=language, turns=conversation.turns + 1),
            message=message,
            reading=reading,
            speaker=Speaker(self.library, language),
            today=message.received_at.astimezone(VIETNAM).date(),
            library=self.library,
            settings=self.settings,
            commands=self._commands,
        )
        turn = next(turn for step in STEPS if (turn := step(desk)) is not None)
        turn = introduced(reminded(turn, conversation, desk), conversation, self.library)
        turn = limits.without_end(turn, desk)
        turn = signed(turn, conversation, reading)
        seen = seen_in(turn, conversation, desk)
        return replace(turn, conversation=replace(turn.conversation, updated_at=message.received_at, seen=seen))

    def may_ask_for_code(self, text: str) -> bool:
        """Whether `respond` will want a code that may be given out."""
        return self._commands.is_("link", text)

    def repeat_note(self, conversation: Conversation) -> Reply:
        """What stands in front of a message that may arrive twice."""
        return Speaker(self.library, conversation.language).say("may_repeat")


def remembered(conversation: Conversation, now: dt.datetime, settings: Settings) -> Conversation:
    """What a talk still knows after a silence: a long one begins it anew in the same language, a short one ends an offer (S-12)."""
    idle = conversation.idle_for(now)
    if idle >= settings.idle:
        return Conversation(
            language=conversation.language, mode=conversation.mode, greeted=True, case_open=conversation.case_open,
            facts=conversation.facts,
        )  # fmt: skip
    if idle >= settings.pause and conversation.form == "offer":
        return replace(conversation, form=None, step="paused", slots=Slots())
    return conversation


def language_of(conversation: Conversation, reading: Understanding) -> str:
    """Vietnamese or English: what the person writes, once it is more than a word or two."""
    if reading.language in ("vi", "en") and len(reading.plain.split()) >= 3:
        return reading.language
    return conversation.language


def introduced(turn: Turn, before: Conversation, library: Library) -> Turn:
    """S-01: the first reply of all says who we are; a cry for help is answered without it (S-26)."""
    if before.greeted or not turn.replies:
        return turn
    conversation = replace(turn.conversation, greeted=True)
    if turn.replies[0].name in OWN_OPENING or turn.replies[0].name.startswith("emergency"):
        return replace(turn, conversation=conversation)
    intro = Speaker(library, turn.conversation.language).say("intro")
    return replace(turn, conversation=conversation, replies=(intro, *turn.replies))


def reminded(turn: Turn, before: Conversation, desk: Desk) -> Turn:
    """After a word on something else, the question that is still open stands below it again, with its own numbers."""
    after = turn.conversation
    if after.step is None or (after.form, after.step) != (before.form, before.step) or not turn.replies:
        return turn
    if after.form == "offer":  # nothing hangs on it: a later "yes" is no answer to a question long past
        return replace(turn, conversation=replace(after, step=None))
    reminder = open_question(desk, after)
    if reminder is None or turn.replies[-1].choices == reminder.choices:
        return turn
    last = replace(joined(turn.replies[-1], reminder), choices=reminder.choices)
    choices = tuple(choice.target for choice in reminder.choices)
    return replace(turn, conversation=replace(after, choices=choices), replies=(*turn.replies[:-1], last))


def signed(turn: Turn, before: Conversation, reading: Understanding) -> Turn:
    """With the model that has decided: of danger the one that read this message, of a case that somebody agreed to the one that read
    what it is about."""
    after = turn.conversation
    own = reading.read_by if after.form != before.form and after.form else before.read_by
    events = tuple(
        replace(event, read_by=reading.read_by if event.basis == "emergency" else own)
        if isinstance(event, CaseRequested)
        else event
        for event in turn.events
    )
    return replace(turn, conversation=replace(after, read_by=own if after.form else ""), events=events)


def open_question(desk: Desk, state: Conversation) -> Reply | None:
    """What the bot waits for, asked once more."""
    if state.step == "safety":
        return desk.speaker.say("safe_to_talk")
    if state.step == "consent":
        return desk.speaker.say("consent_unclear")
    form = desk.library.forms.get(state.form or "")
    question = forms.question_of(form, state.step) if form else None
    return desk.asking(question) if question else None


def leave(desk: Desk) -> Turn | None:
    """S-05: closed in one message, whatever was going on. To an operator, "stop" means the talk as well as the news."""
    stops = desk.conversation.mode is Mode.HOTLINE and desk.commands.is_("stop", desk.text)
    if not stops and not desk.commands.is_("exit", desk.text):
        return None
    if stops:
        desk.events.append(OptedOut("alerts", desk.evidence))
    desk.events.append(Silenced())
    desk.conversation = Conversation(
        language=desk.conversation.language,
        mode=desk.conversation.mode,
        greeted=True,
        case_open=desk.conversation.case_open,
    )
    return desk.turn(desk.clearing("closed"))


def stop_or_delete(desk: Desk) -> Turn | None:
    """S-34 and the person's right to be forgotten, each confirmed once. While an operator talks, only the plain words count."""
    reading = desk.reading
    relayed = desk.conversation.mode is Mode.HOTLINE
    chat = reading.topic if reading.kind == "chat" and reading.confidence >= desk.settings.sure else None
    waiting = desk.conversation.step is not None
    asked = chat == "delete_data" and not relayed and (not waiting or desk.reading.plain.startswith("xoa"))
    if desk.commands.is_("delete", desk.text) or asked:
        desk.events.append(ErasureRequested())
        handed_on = desk.conversation.facts.handed_on
        desk.conversation = Conversation(language=desk.conversation.language, greeted=True)
        return desk.turn(desk.clearing("erased_but_handed_on" if handed_on else "erased"))
    return None if relayed else lines.stop(desk)


def my_data(desk: Desk) -> Turn | None:
    """What is kept, and for how long: the same words for everybody, whether there is a case or not (S-12, S-33). Only the plain words
    ask for it, and before a deletion is looked for: who wants to see what is kept must not lose it."""
    if not desk.says("my_data"):
        return None
    desk.events.append(AccessAsked())
    if desk.conversation.mode is Mode.HOTLINE:  # the bot is silent; the operator answers
        return None
    kept = {"days": str(desk.settings.keep_cases_days), "hours": str(desk.settings.keep_words_hours)}
    return desk.turn(desk.speaker.say("my_data", kept))


def withdraw(desk: Desk) -> Turn | None:
    """The yes to help is taken back, in a word. Whether there was a case, the answer does not tell (S-12, S-33)."""
    if not desk.commands.is_("withdraw", desk.text):
        return None
    desk.events.append(ConsentWithdrawn(desk.text[:80]))
    desk.conversation = desk.conversation.without_form()
    desk.update(case_open=False, safety="unasked", mode=Mode.BOT)
    return desk.turn(desk.speaker.say("withdrawn"))


def hotline(desk: Desk) -> Turn | None:
    """While an operator talks, the bot is silent. A yes or no to what they asked is written down, in its enumerated words only (D-05)."""
    if desk.conversation.mode is not Mode.HOTLINE:
        return None
    asking = desk.conversation.facts.asking
    if asking and desk.agrees:
        desk.events.append(ConsentGiven(asking, desk.text[:80], desk.library.version_of(f"ask_{asking}")))
    elif asking and desk.says("refuse"):
        desk.events.append(ConsentRefused(asking))
    desk.events.append(relayed(desk))
    desk.conversation = desk.conversation.without_form()
    desk.update(safety="unasked", choices=())  # whoever comes back after the talk is asked anew (S-02)
    return desk.turn()


def relayed(desk: Desk) -> CaseExtended:
    """What the operator gets to read. A picture is not taken (S-15), but they hear that one came."""
    facts = {"media": "not_taken"} if desk.message.has_media else {}
    if desk.reading.kind == "emergency":
        facts["priority"] = "P0"
    return CaseExtended(
        words=(desk.text,) if desk.text.strip() else (),
        facts=facts,
        country=desk.reading.country,
        minor=desk.reading.age_minor,
    )


def known_again(desk: Desk) -> Turn | None:
    """S-11: the code word is for the operator; the bot only asks whether it is safe to write."""
    if not desk.conversation.facts.gave_code or not desk.conversation.case_open:
        return None
    return assistance.to_open_case(desk, "case_tell")


def nothing_said(desk: Desk) -> Turn | None:
    """No words, or a picture whose words we cannot see."""
    if desk.reading.kind == "emergency":
        return None
    if desk.message.has_media:
        return desk.turn(desk.speaker.say("media"))
    if any(character.isalnum() for character in desk.text):
        return None
    if desk.reading.kind == "chat" and desk.text.strip():
        return None  # an emoji may say yes, no or thanks
    return desk.turn(desk.speaker.say("empty"))


def probing(desk: Desk) -> Turn | None:
    """S-33: who asks about others gets one constant reply; who asks how to lure people gets none of our knowledge."""
    if "asks_to_harm" in desk.reading.signs:
        return desk.turn(desk.speaker.say("no_help"))
    held = desk.reading.kind == "emergency" and set(CONTROL) & set(desk.reading.flags)
    if "probing" in desk.reading.signs and not held:
        return desk.turn(desk.speaker.say("probe"))
    return None


def free_answer(desk: Desk) -> Turn | None:
    """To a question that anything can answer ("which place?"), the message is the answer, however it reads."""
    form = desk.library.forms.get(desk.conversation.form or "")
    question = forms.question_of(form, desk.conversation.step) if form else None
    if question is None or not question.free_text or desk.number is not None:
        return None
    long_cry = (
        desk.conversation.form == "report"
        and desk.reading.kind == "emergency"
        and len(desk.reading.plain.split()) > SHORT_ANSWER
    )
    if long_cry or desk.says("human", "menu", "source", "english", "vietnamese") or desk.message.has_media:
        return None
    if assistance.is_a_question(desk):
        return None
    return assistance.case_answer(desk, question, "unsure" if desk.says("skip", "unsure") else None)


def form_step(desk: Desk) -> Turn | None:
    step = desk.conversation.step
    if step == "safety":
        return assistance.safety_step(desk, None)
    if step == "consent":
        return assistance.consent_step(desk, None)
    if step == "tell":
        return assistance.tell_step(desk)
    if step == "offer":
        return offers.offer(desk) if desk.reading.kind != "chat" and not offers.is_a_question(desk) else None
    if step == "paused":
        return offers.after_a_pause(desk)
    if step in lines.STEPS:
        return lines.answer(desk, step)
    return question_step(desk, step, None) if step else None


def question_step(desk: Desk, step: str, target: str | None) -> Turn | None:
    """The answer to a question of a form: a number, a word, or anything that says more."""
    name = desk.conversation.form or ""
    question = forms.question_of(desk.library.forms[name], step) if name in desk.library.forms else None
    if question is None:
        return None
    value = answer_value(desk, target)
    if name == "offer":
        return offers.offer_answer(desk, question, value)
    if value is None and desk.reading.kind in ("question", "chat") and desk.reading.confidence >= desk.settings.sure:
        return None
    return assistance.case_answer(desk, question, value)


def answer_value(desk: Desk, target: str | None) -> str | None:
    if target in ("yes", "no", "unsure"):
        return target
    if target == "skip" or desk.says("skip"):
        return "unsure"
    said = next((value for value in forms.ANSWERS if desk.says(value)), None)
    return said or leading_answer(desk.reading.plain.split())


def leading_answer(words: list[str]) -> str | None:
    """ "khong, ho khong giu gi het" is a no, "u dung a" a yes."""
    words = [word for word in words if word.isalpha() and word not in ("da", "thua")]
    if not words or len(words) > LONGEST_ANSWER:
        return None
    if words[0] in ("khong", "chua", "no"):
        return "unsure" if words[1:2] in (["biet"], ["ro"], ["chac"]) else "no"
    return "yes" if words[0] in ("co", "u", "dung", "roi", "vang", "phai", "yes") else None


def number(desk: Desk) -> Turn | None:
    if line := NATIONAL_LINES.get(desk.text.strip()):
        return small_talk.give(desk, give_answer(line, desk.library, desk.speaker, desk.today))
    number = desk.number
    if number is None:
        target = desk.library.targets.get(tidy(desk.text))  # a button under an old message, or its words typed
        return choose(desk, target) if target else None
    choices = desk.conversation.choices
    if 1 <= number <= len(choices):
        return choose(desk, choices[number - 1])
    return desk.turn(desk.speaker.say("menu")) if desk.conversation.step is None else None


def choose(desk: Desk, target: str) -> Turn | None:
    step = desk.conversation.step
    if target in ("go_safe", "not_safe", "go_anyway") and step == "safety":
        return assistance.safety_step(desk, target)
    if target in ("agree", "refuse") and step == "consent":
        return assistance.consent_step(desk, target)
    if step in lines.STEPS and target in lines.choices(desk, step):
        return lines.answer(desk, step, target)
    if target == "stop_everywhere":
        return lines.stopped(desk, everywhere=True)
    if target in ("yes", "no", "unsure", "skip") and step:
        return question_step(desk, step, target)
    if target in desk.library.answers:
        return small_talk.give(desk, give_answer(target, desk.library, desk.speaker, desk.today))
    if target in ("check_offer", "another_offer"):
        desk.conversation = desk.conversation.without_form()
        desk.update(form="offer", step="offer", slots=Slots(told=True), choices=())
        return desk.turn(desk.speaker.say("tell_offer"))
    if target == "more":
        return pages.next_page(desk)
    if target == "human":
        return assistance.human(desk)
    if target in ("menu", "procedures"):
        return desk.turn(desk.speaker.say(target))
    return None


def by_kind(desk: Desk) -> Turn:
    reading = desk.reading
    if desk.says("menu"):
        return desk.turn(desk.speaker.say("menu" if desk.conversation.greeted else "welcome"))
    if turn := lines.subscribe(desk):
        return turn
    if reading.kind == "report":
        return assistance.report(desk)
    if reading.kind == "offer":
        return offers.offer(desk)
    if reading.confidence < desk.settings.maybe:
        return small_talk.missed(desk)
    if reading.kind == "question":
        return small_talk.question(desk)
    desk.update(missed=0)
    if reading.kind == "out_of_scope":
        return desk.turn(desk.speaker.say("out_of_scope"))
    return small_talk.chat(desk)


STEPS: tuple[Callable[[Desk], Turn | None], ...] = (
    leave,
    my_data,
    stop_or_delete,
    withdraw,
    hotline,
    known_again,
    limits.too_much,
    nothing_said,
    probing,
    assistance.after_a_pause,
    assistance.watched,
    assistance.asks_about_money,
    free_answer,
    lines.news,
    assistance.emergency,
    assistance.asks_for_a_person,
    lines.link,
    number,
    form_step,
    pages.asked_for,
    small_talk.source,
    small_talk.language,
    small_talk.foreign_script,
    small_talk.downhearted,
    by_kind,
)
