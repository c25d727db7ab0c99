from dataclasses import dataclass
from bot.delivery.render import Rendered, render
from bot.channels.base import CAPABILITIES
from bot.messages import Reply


@dataclass(frozen=True)
class AlertText:
    text: str
    sms: str


@dataclass(frozen=True)
class Words:
    title: str
    texts: dict
    source: object = None
    choices: tuple = ()
    template: str | None = None

    def to_json(self):
        return {"title": self.title, "texts": {k: [v.text, v.sms] for k, v in self.texts.items()}}

    @classmethod
    def from_json(cls, data):
        return cls(data["title"], {k: AlertText(*v) for k, v in data["texts"].items()})


def carried(words, language, channel, library, *, advertising):
    one = words.texts.get(language) or words.texts["vi"]
    return render(Reply(one.text, one.sms), CAPABILITIES[channel])
