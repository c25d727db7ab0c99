"""Builds the house once from its configuration; the only place that knows every room."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import yaml

from bot.channels.base import CAPABILITIES
from bot.config import Config
from bot.content import Library, load_yaml
from bot.conversation.desk import Settings
from bot.conversation.policy import Policy
from bot.conversation.risk import Risk, assess
from bot.conversation.state import Conversation, Turn
from bot.delivery.render import render
from bot.errors import ConfigError
from bot.messages import Address, InboundMessage
from bot.processor import Processor
from bot.store.database import Database, open_database
from bot.understanding.classifier import EmbeddedClassifier
from bot.understanding.interpreter import Interpreter
from bot.understanding.normalise import Normaliser
from bot.understanding.reading import Understanding
from bot.understanding.training import load_or_train

MODEL_FOLDER = "model"
REPORTING_POLICY = "policy/reporting.yml"


def _quietly(_text: str) -> None:
    pass


class App:
    """Every part is built when it is first needed, once."""

    def __init__(self, config: Config, progress: Callable[[str], None] = _quietly) -> None:
        self.config = config
        self._progress = progress

    @cached_property
    def library(self) -> Library:
        return Library(self.config.content_folder)

    @cached_property
    def classifier(self) -> EmbeddedClassifier:
        return load_or_train(self.config.nlu_folder, self.config.home / MODEL_FOLDER, self._progress)

    @cached_property
    def interpreter(self) -> Interpreter:
        normaliser = Normaliser.from_file(self.config.nlu_folder / "teencode.yml", self.classifier.word_counts)
        longest = self.config.bot.conversation.longest_text
        return Interpreter(
            self.library, normaliser, self.classifier, self.classifier.tagger, self.classifier.word_counts, longest
        )

    @cached_property
    def policy(self) -> Policy:
        bot = self.config.bot
        return Policy(
            self.library,
            Settings(
                sure=bot.nlu.sure,
                maybe=bot.nlu.maybe,
                pause=dt.timedelta(minutes=bot.conversation.pause_minutes),
                idle=dt.timedelta(minutes=bot.conversation.idle_minutes),
                staffed=bot.hotline.staffed,
            ),
        )

    def risk_of(self, reading: Understanding) -> Risk | None:
        """How risky the offer in one message is, by its own words; None where it is no offer."""
        if reading.kind != "offer":
            return None
        return assess(reading.flags, reading.signs, self.library.red_flags).level

    @cached_property
    def database(self) -> Database:
        return open_database(self.config.database_url, self.config.home)

    @cached_property
    def processor(self) -> Processor:
        life = dt.timedelta(minutes=self.config.bot.conversation.idle_minutes)
        return Processor(self.interpreter, self.policy, self.database, life)

    def rehearsal(self, channel: str = "terminal") -> "Rehearsal":
        """A talk with the real engine that leaves no trace."""
        return Rehearsal(self.interpreter, self.policy, channel)

    def missing_reporting_policy(self) -> bool:
        """S-24: whether the operating organisation has not yet said what its staff must report."""
        path = self.config.content_folder / REPORTING_POLICY
        try:
            return not (load_yaml(path) or {}).get("decided_by")
        except FileNotFoundError:
            return True
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
            raise ConfigError(f"{path} cannot be read: mend its YAML.") from None

    def refuse_unready_production(self) -> None:
        """S-24: production does not start before a lawyer has filled the reporting policy."""
        if self.config.bot.deployment == "production" and self.missing_reporting_policy():
            raise ConfigError(
                f"{self.config.content_folder / REPORTING_POLICY} is missing: the organisation's lawyer must fill it "
                "(docs/deployer.md) before bot.deployment may be production."
            )


@dataclass
class Rehearsal:
    """One person's talk, in memory only: for `ask`, the simulator and the dialog tests."""

    interpreter: Interpreter
    policy: Policy
    channel: str = "terminal"
    conversation: Conversation = field(default_factory=Conversation)
    sent: int = 0

    def say(self, text: str, at: dt.datetime | None = None, *, has_media: bool = False) -> tuple[Understanding, Turn]:
        """What was understood, and the whole turn."""
        self.sent += 1
        message = InboundMessage(
            Address(self.channel, "rehearsal"), str(self.sent), text, at or dt.datetime.now(dt.UTC), has_media
        )
        reading = self.interpreter.read(text)
        turn = self.policy.respond(self.conversation, message, reading)
        self.conversation = turn.conversation
        return reading, turn

    def rendered(self, turn: Turn) -> list[str]:
        """The replies as the channel's text."""
        return [render(reply, CAPABILITIES[self.channel]).text for reply in turn.replies]
