"""What a person wants of the line itself: news or none, and one person behind two lines.

A clear wish is done at once; an unclear one gets one question.
"""

import re

from bot.content import plain_name
from bot.conversation import places
from bot.conversation.desk import Desk
from bot.conversation.events import LinkCodeGiven, Linked, NewsChosen, OptedIn, OptedOut
from bot.conversation.places import Whereabouts
from bot.conversation.replies import Speaker, joined
from bot.conversation.state import Turn
from bot.messages import ALL, Reply

CLEAR = 0.9  # how likely a wish to stop must be, to be done without a question
PLACE, PLACE_AGAIN, INTEREST = NEWS_STEPS = ("news_place", "news_place_again", "news_interest")
STEPS = ("stop", "subscribe", *NEWS_STEPS)
EVERYTHING = "everything"  # the choice below the interests
NOWHERE = Whereabouts()
SHORT_ANSWER = 6  # words: longer, what names no place is no answer to where somebody lives
CODE = re.compile(r"\s*(\d{4})[ .-]?(\d{4})\s*[.!]?\s*")


def code_in(text: str) -> str | None:
    """Eight figures, if that is all that the message says."""
    match = CODE.fullmatch(text)
    return match[1] + match[2] if match else None


def choices(desk: Desk, step: str) -> tuple[str, ...]:
    """What the numbers of this question stand for."""
    if step in ("stop", "subscribe"):
        return ("yes", "no")
    return (*desk.library.interests, EVERYTHING) if step == INTEREST else ("skip",)


def answer(desk: Desk, step: str, target: str | None = None) -> Turn | None:
    """The answer to the question that is open: a number, or in words."""
    steps = {"stop": stop_step, "subscribe": subscribe_step, INTEREST: interest_step}
    return steps.get(step, place_step)(desk, target)


def stop(desk: Desk) -> Turn | None:
    """S-34: no more news. What helps the person in a case goes on; nothing here tells whether there is one (S-12)."""
    if desk.commands.is_("stop", desk.text):
        return stopped(desk)
    reading = desk.reading
    if desk.conversation.step not in (None, *NEWS_STEPS) or (reading.kind, reading.topic) != ("chat", "stop"):
        return None
    if desk.conversation.step and desk.is_control():  # "tat ca" is an answer
        return None
    if reading.confidence >= CLEAR:
        return stopped(desk)
    if reading.confidence >= desk.settings.sure:
        desk.update(step="stop")
        return desk.turn(desk.speaker.say("stop_ask"))
    return None


def stopped(desk: Desk, *, everywhere: bool = False) -> Turn:
    desk.events.append(OptedOut("alerts", desk.evidence, everywhere))
    desk.conversation = desk.conversation.without_form()
    if desk.conversation.facts.linked and not everywhere:
        return desk.turn(desk.speaker.say("stopped_here"))
    return desk.turn(desk.speaker.say("stopped"))


def stop_step(desk: Desk, target: str | None) -> Turn | None:
    desk.update(step=None)
    chat = desk.reading.topic if desk.reading.kind == "chat" else None
    if target == "yes" or desk.says("yes") or chat in ("affirm", "stop"):
        return stopped(desk)
    if target == "no" or desk.says("no") or chat == "deny":
        return desk.turn(desk.speaker.say("stop_not"))
    return None


def news(desk: Desk) -> Turn | None:
    """The name of a place and nothing else, where it was asked for or stands behind a yes ("DANG KY NGHE AN"). Before a cry for help
    is looked for: "em o nghe an" alone would be read as one."""
    step = desk.conversation.step
    if step in (PLACE, PLACE_AGAIN):
        for written in (desk.text, desk.reading.plain):
            if where := places.named_in(written, desk.library):
                return placed(desk, where)
    where = _place_behind_a_yes(desk)
    return subscribed(desk, where) if where else None


def _place_behind_a_yes(desk: Desk) -> Whereabouts | None:
    """In Viet Nam only: "dang ky nhat ban" asks for work there."""
    if "?" in desk.text:
        return None
    phrases = sorted({plain_name(phrase) for phrase in desk.library.commands["subscribe"]}, key=len, reverse=True)
    for written in (plain_name(desk.text), plain_name(desk.reading.plain)):
        phrase = next((phrase for phrase in phrases if written.startswith(f"{phrase} ")), None)
        where = places.named_in(written.removeprefix(phrase), desk.library) if phrase else None
        if where and where.province and where.country in (None, "VN"):
            return where
    return None


def subscribe(desk: Desk) -> Turn | None:
    if desk.says("subscribe"):
        return subscribed(desk)
    if desk.reading.kind == "chat" and desk.reading.topic == "subscribe":
        if _is_out_of_reach(desk):
            return desk.turn(desk.speaker.say("subscribe_elsewhere"))
        where = _mentioned(desk)
        desk.update(step="subscribe", news_place=where.province or where.country)
        return desk.turn(desk.speaker.say("subscribe_ask"))
    return None


def _is_out_of_reach(desk: Desk) -> bool:
    """Whether nothing can be sent to where the person writes from."""
    return desk.message.address.channel == "web"


def subscribed(desk: Desk, where: Whereabouts = NOWHERE) -> Turn:
    """The yes counts at once; what is asked afterwards may stay without an answer."""
    if _is_out_of_reach(desk):
        return desk.turn(desk.speaker.say("subscribe_elsewhere"))
    if plain_name(desk.text).startswith("subscribe"):  # in three words or more "subscribe Nghe An" would be Vietnamese
        desk.update(language="en")
        desk.speaker = Speaker(desk.library, "en")
    language, offset = desk.conversation.language, where.utc_offset(desk.library)
    desk.events.append(OptedIn("alerts", desk.evidence, language, where.province, utc_offset=offset))
    told = desk.speaker.say("subscribed")
    free = desk.conversation.step in (None, "subscribe", *NEWS_STEPS) and desk.conversation.form in (None, "offer")
    if desk.conversation.case_open or not free:
        return desk.turn(told)
    if where == NOWHERE:
        desk.update(step=PLACE)
        return desk.turn(joined(told, desk.speaker.say("news_place")))
    return desk.turn(joined(told, _asked_for_interest(desk, where)))


def subscribe_step(desk: Desk, target: str | None) -> Turn | None:
    code = desk.conversation.news_place
    desk.update(step=None, news_place=None)
    if target == "yes" or desk.says("yes") or desk.agrees:
        return subscribed(desk, places.whereabouts([code] if code else [], desk.library))
    if target == "no" or desk.says("no"):
        return desk.turn(desk.speaker.say("subscribe_no"))
    return None


def place_step(desk: Desk, target: str | None) -> Turn | None:
    """The answer to where the person lives, in more words; what is no answer goes its own way, and nothing is asked again."""
    again = desk.conversation.step == PLACE_AGAIN
    desk.update(step=None)
    if target == "skip" or desk.says("skip", "no", "unsure"):
        return desk.turn(_asked_for_interest(desk, NOWHERE))
    if desk.says("everywhere"):
        return placed(desk, Whereabouts(province=ALL))
    reading = desk.reading
    if reading.kind in ("offer", "report") or (reading.kind == "question" and reading.asks):
        return None
    if (where := _mentioned(desk)) != NOWHERE:
        return placed(desk, where)
    clear = reading.kind == "chat" and reading.confidence >= desk.settings.sure
    if clear or len(reading.plain.split()) > SHORT_ANSWER:
        return None
    if again:
        return desk.turn(_asked_for_interest(desk, NOWHERE))
    desk.update(step=PLACE_AGAIN)
    return desk.turn(desk.speaker.say("news_place_again"))


def _mentioned(desk: Desk) -> Whereabouts:
    """The places in a message that says other things too; of provinces the one with the longest name ("di an giang" is An Giang)."""
    entities = desk.reading.entities
    provinces = sorted(entities.provinces, key=lambda place: -len(place.words))
    return places.whereabouts([place.code for place in (*provinces, *entities.countries)], desk.library)


def placed(desk: Desk, where: Whereabouts) -> Turn:
    desk.events.append(
        NewsChosen(desk.conversation.language, where.province, utc_offset=where.utc_offset(desk.library))
    )
    return desk.turn(_asked_for_interest(desk, where))


def _asked_for_interest(desk: Desk, where: Whereabouts) -> Reply:
    desk.update(step=INTEREST)
    targets = choices(desk, INTEREST)
    names = {province.code: province.name for province in desk.library.provinces}
    if where.province in names:
        return desk.speaker.say("news_interest_in", {"place": names[where.province]}, choices=targets)
    return desk.speaker.say("news_interest", choices=targets)


def interest_step(desk: Desk, target: str | None) -> Turn | None:
    desk.update(step=None)
    if desk.says("everywhere"):
        target = EVERYTHING
    chosen = target or _interest_in(desk)
    if chosen is None and not desk.says("skip", "no", "unsure"):
        return None
    if chosen:
        interest = ALL if chosen == EVERYTHING else chosen
        desk.events.append(NewsChosen(desk.conversation.language, interest=interest))
    return desk.turn(desk.speaker.say("news_done"))


def _interest_in(desk: Desk) -> str | None:
    """The one interest in whose name these words stand: "du hoc"."""
    written = plain_name(desk.text)
    if " " not in written:
        return None
    labels = {
        name: f" {plain_name(interest.label.in_language(desk.conversation.language))} "
        for name, interest in desk.library.interests.items()
    }
    found = [name for name, label in labels.items() if f" {written} " in label]
    return found[0] if len(found) == 1 else None


def link(desk: Desk) -> Turn | None:
    """A code for the other line; or that code, typed here."""
    facts = desk.conversation.facts
    if desk.says("link") and facts.fresh_code:
        desk.events.append(LinkCodeGiven(facts.fresh_code))
        shown = f"{facts.fresh_code[:4]} {facts.fresh_code[4:]}"
        return desk.turn(desk.speaker.say("link_code", {"code": shown}))
    typed = code_in(desk.text)
    if typed and facts.typed_code == "good":
        desk.events.append(Linked(typed))
        return desk.turn(desk.speaker.say("linked"))
    if typed and facts.typed_code == "own":
        return desk.turn(desk.speaker.say("link_own"))
    if typed and desk.conversation.step is None:
        return desk.turn(desk.speaker.say("link_wrong"))
    return None
