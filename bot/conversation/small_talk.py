"""Answers, sources, languages, and the small words of a talk."""

from dataclasses import replace

from bot.content import Source
from bot.conversation import pages
from bot.conversation.answers import Answered, answer_question
from bot.conversation.assistance import to_open_case
from bot.conversation.desk import Desk
from bot.conversation.replies import Speaker, joined
from bot.conversation.state import Turn
from bot.messages import Choice, Reply
from bot.understanding.language import OTHER_SCRIPTS
from bot.understanding.nlu_data import FLAGGED

FEW_WORDS = 8
PLAIN_REPLIES = ("thanks", "goodbye", "affirm", "deny", "bot_identity", "abuse")


def source(desk: Desk) -> Turn | None:
    if not desk.says("source"):
        return None
    answer = desk.library.answers.get(desk.conversation.last_answer or "")
    if answer is None:
        return desk.turn(desk.speaker.say("no_sources"))
    values = {
        "checked": answer.checked.strftime("%d/%m/%Y"),
        "sources": " ; ".join(
            f"{source.url} ({source.date})" if source.date else source.url for source in best_known(answer.sources)
        ),
    }
    return desk.turn(desk.speaker.say("sources", values))


def language(desk: Desk) -> Turn | None:
    for command, language in (("english", "en"), ("vietnamese", "vi")):
        if desk.says(command):
            return speak(desk, language)
    if desk.reading.kind != "chat" or desk.reading.topic != "language" or desk.reading.language in OTHER_SCRIPTS:
        return None
    words = set(desk.reading.plain.split())
    if words & {"english", "anh"}:
        return speak(desk, "en")
    if {"tieng", "viet"} <= words or "vietnamese" in words:
        return speak(desk, "vi")
    return desk.turn(desk.speaker.say("language_none"))


def speak(desk: Desk, language: str) -> Turn:
    desk.update(language=language)
    desk.speaker = Speaker(desk.library, language)
    return desk.turn(desk.speaker.say(f"language_{language}"))


def foreign_script(desk: Desk) -> Turn | None:
    """A reviewed line in the writer's own language, with the right number and the way to a person."""
    if desk.reading.language not in OTHER_SCRIPTS:
        return None
    foreign = Speaker(desk.library, desk.reading.language)
    reply = replace(foreign.say("other_language", choices=()), choices=desk.speaker.choices(("human", "menu")))
    desk.update(draft=desk.draft())
    return desk.turn(reply)


def question(desk: Desk) -> Turn:
    answered = answer_question(
        desk.reading.candidates,
        desk.reading.topic,
        desk.library,
        desk.speaker,
        desk.today,
        desk.reading.country,
    )
    if "own_harm" in desk.reading.signs and not desk.conversation.case_open:
        harm = desk.speaker.say("own_harm", choices=())
        last = answered.replies[-1]
        replies = (*answered.replies[:-1], replace(joined(last, harm), choices=with_human(last, desk.speaker)))
        answered = Answered(replies, answered.choices, answered.answer_id)
    desk.update(draft=desk.draft())
    if desk.conversation.form == "emergency":  # in few words, and then on with what is urgent
        answered = replace(answered, replies=tuple(replace(reply, text=reply.sms) for reply in answered.replies))
    return give(desk, answered)


def chat(desk: Desk) -> Turn:
    topic = desk.reading.topic
    if topic == "greet" and desk.conversation.case_open:
        return to_open_case(desk, "case_tell")
    if topic == "greet":
        return desk.turn(desk.speaker.say("menu" if desk.conversation.greeted else "welcome"))
    if topic == "deny" and desk.conversation.case_open:
        return desk.turn(desk.speaker.say("deny_open"))
    name = topic if topic in PLAIN_REPLIES else "menu"
    return desk.turn(desk.speaker.say(name or "menu"))


def downhearted(desk: Desk) -> Turn | None:
    """A few words of sorrow and nothing else: an open ear, rather than a guess at a question."""
    reading = desk.reading
    plain_matter = (reading.kind == "question" and reading.asks) or reading.topic == "abuse"
    own_matter = reading.kind in FLAGGED or (plain_matter and reading.confidence >= desk.settings.sure)
    if "downhearted" not in reading.signs or own_matter or len(reading.plain.split()) > FEW_WORDS:
        return None
    return desk.turn(desk.speaker.say("downhearted"))


def missed(desk: Desk) -> Turn:
    """S-18: no guess; after two misses a person comes first."""
    again = desk.conversation.missed >= 1
    desk.update(missed=desk.conversation.missed + 1, draft=desk.draft())
    if desk.conversation.case_open:
        return to_open_case(desk, "case_added")
    return desk.turn(desk.speaker.say("not_understood_again" if again else "not_understood"))


def give(desk: Desk, answered: Answered) -> Turn:
    desk.update(last_answer=answered.answer_id or desk.conversation.last_answer, missed=0, page=0)
    return desk.turn(*pages.offered(desk, answered).replies)


def with_human(reply: Reply, speaker: Speaker) -> tuple[Choice, ...]:
    targets = tuple(choice.target for choice in reply.choices)
    return speaker.choices(targets if "human" in targets else (*targets[:2], "human"))


def best_known(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """At most two, and a page that people know before a copy of a law in a code repository."""
    return tuple(sorted(sources, key=lambda source: "github.com" in source.url)[:2])
