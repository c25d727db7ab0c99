"""What the bot says next. One function per behaviour, tried in order; the first that has something to say decides.

Pure: the time comes with the message, texts come from the library, and everything else that should happen is an event.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from bot.content import Library
from bot.conversation import assistance, forms, offers, small_talk
from bot.conversation.answers import give_answer
from bot.conversation.commands import Commands, number_in
from bot.conversation.desk import Desk, Settings
from bot.conversation.events import CaseExtended, ErasureRequested, OptedOut, Silenced
from bot.conversation.replies import Speaker
from bot.conversation.state import Conversation, Mode, Turn
from bot.messages import InboundMessage
from bot.understanding.reading import Understanding

VIETNAM = dt.timezone(dt.timedelta(hours=7))
MAIN_MENU = ("check_offer", "procedures", "human")
OWN_OPENING = ("welcome", "closed", "erased", "stopped", "stopped_case", "other_language", "safe_later", "stay_or_go")


class Policy:
    """Built once from the library; `respond` may be called from many threads."""

    def __init__(self, library: Library, settings: Settings) -> None:
        self._library = library
        self._settings = settings
        self._commands = Commands(library.commands)

    def respond(self, conversation: Conversation, message: InboundMessage, reading: Understanding) -> Turn:
        """The whole effect of `message`; the same for the same three inputs."""
        conversation = forget_if_idle(conversation, message.received_at, self._settings.idle)
        language = language_of(conversation, reading)
        desk = Desk(
            conversation=replace(conversation, language=language, turns=conversation.turns + 1),
            message=message,
            reading=reading,
            speaker=Speaker(self._library, language),
            today=message.received_at.astimezone(VIETNAM).date(),
            library=self._library,
            settings=self._settings,
            commands=self._commands,
        )
        turn = next(turn for step in STEPS if (turn := step(desk)) is not None)
        turn = introduced(turn, conversation, self._library)
        return replace(turn, conversation=replace(turn.conversation, updated_at=message.received_at))


def forget_if_idle(conversation: Conversation, now: dt.datetime, idle: dt.timedelta) -> Conversation:
    """A talk that has been idle so long begins anew, in the same language."""
    if conversation.idle_for(now) < idle:
        return conversation
    return Conversation(
        language=conversation.language, mode=conversation.mode, greeted=True, case_open=conversation.case_open
    )


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


def leave(desk: Desk) -> Turn | None:
    """S-05: closed in one message, whatever was going on."""
    if not desk.commands.is_("exit", desk.text):
        return None
    desk.events.append(Silenced())
    desk.conversation = Conversation(
        language=desk.conversation.language,
        mode=desk.conversation.mode,
        greeted=True,
        case_open=desk.conversation.case_open,
    )
    return desk.turn(desk.speaker.say("closed"))


def stop_or_delete(desk: Desk) -> Turn | None:
    """S-34 and the person's right to be forgotten, each confirmed once."""
    reading = desk.reading
    chat = reading.topic if reading.kind == "chat" and reading.confidence >= desk.settings.sure else None
    waiting = desk.conversation.step is not None
    if desk.commands.is_("delete", desk.text) or (chat == "delete_data" and not waiting):
        desk.events.append(ErasureRequested())
        desk.conversation = Conversation(language=desk.conversation.language, greeted=True)
        return desk.turn(desk.speaker.say("erased"))
    if desk.commands.is_("stop", desk.text) or (chat == "stop" and not waiting):
        desk.events.append(OptedOut("alerts", desk.text[:80]))
        desk.conversation = desk.conversation.without_form()
        return desk.turn(desk.speaker.say("stopped_case" if desk.conversation.case_open else "stopped"))
    return None


def hotline(desk: Desk) -> Turn | None:
    """While an operator talks, the bot is silent."""
    if desk.conversation.mode is not Mode.HOTLINE:
        return None
    desk.events.append(CaseExtended(words=(desk.text,)))
    return desk.turn()


def nothing_said(desk: Desk) -> Turn | None:
    if any(character.isalnum() for character in desk.text) or desk.reading.kind == "emergency":
        return None
    if desk.message.has_media:
        return desk.turn(desk.speaker.say("media"))
    if desk.reading.kind == "chat" and desk.text.strip():
        return None  # an emoji may say yes, no or thanks
    return desk.turn(desk.speaker.say("empty"))


def probing(desk: Desk) -> Turn | None:
    """S-33: who asks about others gets one constant reply."""
    if "probing" in desk.reading.signs and desk.reading.kind != "emergency":
        return desk.turn(desk.speaker.say("probe"))
    return None


def form_step(desk: Desk) -> Turn | None:
    step = desk.conversation.step
    if step is None:
        return None
    if step == "safety":
        return assistance.safety_step(desk, None)
    if step == "consent":
        return assistance.consent_step(desk, None)
    if step == "tell":
        return (
            assistance.tell_step(desk)
            if desk.reading.kind in ("report", "question", "offer", "out_of_scope", "chat")
            else None
        )
    if step == "offer":
        return offers.offer(desk) if desk.reading.kind not in ("chat", "question") else None
    if step == "subscribe":
        return small_talk.subscribe_step(desk, None)
    return question_step(desk, step, None)


def question_step(desk: Desk, step: str, target: str | None) -> Turn | None:
    """The answer to a question of a form: a number, a word, or anything that says more."""
    name = desk.conversation.form or ""
    question = forms.question_of(desk.library.forms[name], step) if name in desk.library.forms else None
    if question is None:
        return None
    value = answer_value(desk, target)
    if name == "offer":
        return offers.offer_answer(desk, question, value)
    if value is None and desk.reading.kind == "question" and desk.reading.confidence >= desk.settings.sure:
        return None
    return assistance.case_answer(desk, question, value)


def answer_value(desk: Desk, target: str | None) -> str | None:
    if target in ("yes", "no", "unsure"):
        return target
    if target == "skip" or desk.says("skip"):
        return "unsure"
    return next((value for value in forms.ANSWERS if desk.says(value)), None)


def number(desk: Desk) -> Turn | None:
    number = number_in(desk.text)
    if number is None:
        return None
    choices = desk.conversation.choices or MAIN_MENU
    if not 1 <= number <= len(choices):
        return None if number else desk.turn(desk.speaker.say("menu"))
    return choose(desk, choices[number - 1])


def choose(desk: Desk, target: str) -> Turn | None:
    step = desk.conversation.step
    if target in ("go_safe", "not_safe", "go_anyway") and step == "safety":
        return assistance.safety_step(desk, target)
    if target in ("agree", "refuse") and step == "consent":
        return assistance.consent_step(desk, target)
    if target in ("yes", "no") and step == "subscribe":
        return small_talk.subscribe_step(desk, target)
    if target in ("yes", "no", "unsure", "skip") and step:
        return question_step(desk, step, target)
    if target in desk.library.answers:
        return small_talk.give(desk, give_answer(target, desk.library, desk.speaker, desk.today))
    if target in ("check_offer", "another_offer"):
        desk.conversation = desk.conversation.without_form()
        desk.update(form="offer", step="offer", choices=())
        return desk.turn(desk.speaker.say("tell_offer"))
    if target == "human":
        return assistance.human(desk)
    if target in ("menu", "procedures"):
        return desk.turn(desk.speaker.say(target))
    return None


def by_kind(desk: Desk) -> Turn:
    reading = desk.reading
    if desk.says("menu"):
        return desk.turn(desk.speaker.say("menu" if desk.conversation.greeted else "welcome"))
    if desk.says("subscribe") or (reading.kind == "chat" and reading.topic == "subscribe"):
        desk.update(step="subscribe")
        return desk.turn(desk.speaker.say("subscribe_ask"))
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
    stop_or_delete,
    hotline,
    nothing_said,
    probing,
    assistance.emergency,
    assistance.after_a_pause,
    assistance.asks_for_a_person,
    number,
    form_step,
    small_talk.source,
    small_talk.language,
    small_talk.foreign_script,
    by_kind,
)
