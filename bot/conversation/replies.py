"""Content -> Reply, in the language of the conversation and in both wordings (chat and SMS)."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.content import Answer, Library
from bot.messages import Choice, Reply


@dataclass(frozen=True)
class Speaker:
    """Says things of the library in one language."""

    library: Library
    language: str

    def say(
        self,
        name: str,
        values: Mapping[str, str] | None = None,
        sms_values: Mapping[str, str] | None = None,
        choices: tuple[str, ...] | None = None,
    ) -> Reply:
        """The response `name`; `choices` instead of its own."""
        response = self.library.responses[name]
        return Reply(
            text=self.library.say(name, self.language, "text", values),
            sms=self.library.say(name, self.language, "sms", sms_values or values),
            choices=self.choices(response.choices if choices is None else choices),
            name=name,
        )

    def answer(self, answer: Answer, targets: tuple[str, ...], preface: Reply | None = None) -> Reply:
        text = self.library.fill(answer.text.in_language(self.language), self.language, "text")
        sms = self.library.fill(answer.sms.in_language(self.language), self.language, "sms")
        if preface:
            text, sms = f"{preface.text}\n\n{text}", f"{preface.sms} {sms}"
        return Reply(text, sms, self.choices(targets), answer.id)

    def choices(self, targets: tuple[str, ...]) -> tuple[Choice, ...]:
        return tuple(Choice(target, self.library.title(target, self.language)) for target in targets)


def joined(first: Reply, second: Reply) -> Reply:
    """Two replies as one message; the choices are those of the second."""
    return Reply(f"{first.text}\n\n{second.text}", f"{first.sms} {second.sms}", second.choices, first.name)
