"""Builds the house once from its configuration; the only place that knows every room."""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

import yaml

from bot.channels.base import Channel
from bot.config import Config
from bot.content import Library
from bot.delivery.pace import Pace
from bot.errors import ConfigError, UsageError
from bot.store.database import Database, open_database, prepare_home
from bot.yaml_files import load_yaml

if TYPE_CHECKING:  # each part comes with its libraries when it is first needed: a process that only sends stays small
    from bot.channels.email import EmailChannel
    from bot.channels.sms import SmsLine, SmsProvider, SmsWebhook
    from bot.channels.sms_text import SegmentSizes
    from bot.channels.telegram import TelegramChannel
    from bot.conversation.policy import Policy
    from bot.conversation.risk import Escalation, Risk
    from bot.counting import Counting
    from bot.hotline.clocks import Clock
    from bot.hotline.webhook import CaseWebhook
    from bot.outreach.terms import Terms
    from bot.processor import Processor
    from bot.rehearsal import Rehearsal
    from bot.staff.entrance import Entrance
    from bot.staff.passwords import Cost, Passwords
    from bot.trends.counters import TrendStore
    from bot.understanding.classifier import EmbeddedClassifier
    from bot.understanding.interpreter import Interpreter
    from bot.understanding.normalise import Normaliser
    from bot.understanding.rasa import Rasa
    from bot.understanding.readers import Readers, Reads
    from bot.understanding.reading import Understanding

MODEL_FOLDER = "model"
TREND_KEYS = "trend-keys"
RASA_FILE = "rasa/token"
SMS_GATE = "://api.sms-gate.app/"  # the makers' own server; one of our own may stand in Viet Nam
REPORTING_POLICY = "policy/reporting.yml"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _quietly(_text: str) -> None:
    pass


def _nothing() -> None:
    pass


class App:
    """Every part is built when it is first needed, once."""

    def __init__(self, config: Config, progress: Callable[[str], None] = _quietly) -> None:
        self.config = config
        self._progress = progress
        self.clock: Callable[[], dt.datetime] = _now
        self.wake: Callable[[], None] = _nothing  # said after a commit that left something to send; from any thread
        self.live_line_looks = 15.0  # seconds after which an open console's session is looked at again
        self.password_costs: tuple[Cost, ...] = ()  # none: those of `bot.staff.passwords`

    @cached_property
    def library(self) -> Library:
        return Library(self.config.content_folder)

    @cached_property
    def classifier(self) -> "EmbeddedClassifier":
        from bot.understanding.training import load_or_train

        return load_or_train(self.config.nlu_folder, self.config.home / MODEL_FOLDER, self._progress)

    @cached_property
    def normaliser(self) -> "Normaliser":
        return self._normaliser_of(self.classifier)

    @cached_property
    def interpreter(self) -> "Interpreter":
        """Reads with the backend of config.yml."""
        return self._interpreter(self.classifier, self.normaliser, self.rasa)

    def interpreter_with(self, classifier: "EmbeddedClassifier") -> "Interpreter":
        """Reads as this house does, with a model of one's own."""
        return self._interpreter(classifier, self._normaliser_of(classifier))

    def interpreter_for(self, backend: str) -> "Reads":
        """Reads as this house does, with the backend of this name."""
        seconds: dict[str, Callable[[], Rasa | None]] = {"embedded": lambda: None, "rasa": self._rasa}
        if backend not in seconds:
            raise UsageError(f"'{backend}' is no backend: use {' or '.join(seconds)}.")
        if backend == self.config.bot.nlu.backend:
            return self.interpreter
        return self._interpreter(self.classifier, self.normaliser, seconds[backend]())

    def _normaliser_of(self, classifier: "EmbeddedClassifier") -> "Normaliser":
        from bot.understanding.normalise import Normaliser
        from bot.understanding.vocabulary import Vocabulary

        vocabulary = Vocabulary.of(classifier, self.library)
        return Normaliser.from_file(self.config.nlu_folder / "teencode.yml", vocabulary)

    def _interpreter(
        self, classifier: "EmbeddedClassifier", normaliser: "Normaliser", second: "Rasa | None" = None
    ) -> "Interpreter":
        from bot.understanding.decision import Decision
        from bot.understanding.interpreter import Interpreter

        longest = self.config.bot.conversation.longest_text
        decision = Decision.load(self.config.nlu_folder)
        return Interpreter(self.library, normaliser, classifier, decision, longest, second)

    @cached_property
    def rasa(self) -> "Rasa | None":
        """None where config.yml names no other backend than our own."""
        return self._rasa() if self.config.bot.nlu.backend == "rasa" else None

    def _rasa(self) -> "Rasa":
        from bot.understanding.rasa import Rasa

        settings = self.config.bot.nlu.rasa
        return Rasa(settings.url, self.rasa_token, settings.timeout_seconds)

    @property
    def rasa_token(self) -> str | None:
        """As the environment has it, else as `make rasa` has written it."""
        if given := self.config.secrets.rasa_token:
            return given.get_secret_value()
        path = self.config.home / RASA_FILE
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"{path} cannot be read: it holds the token of the Rasa server.") from None

    def read_apart(self) -> "Readers":
        """From now on messages are read in processes of their own. Before anything else is built; whoever calls this closes them."""
        from bot.understanding.readers import Readers

        readers = Readers(self.interpreter, self.config.bot.nlu.processes)
        self.__dict__["interpreter"] = readers
        return readers

    @cached_property
    def policy(self) -> "Policy":
        from bot.conversation.desk import Settings
        from bot.conversation.policy import Policy

        bot = self.config.bot
        return Policy(
            self.library,
            Settings(
                sure=bot.nlu.sure,
                maybe=bot.nlu.maybe,
                pause=dt.timedelta(minutes=bot.conversation.pause_minutes),
                idle=dt.timedelta(minutes=bot.conversation.idle_minutes),
                staffed=bot.hotline.staffed,
                hours=bot.hotline.open_hours,
                keep_cases_days=bot.hotline.keep_cases_days,
                keep_words_hours=bot.hotline.keep_words_hours,
                per_minute=bot.conversation.messages_per_minute,
                per_hour=bot.conversation.messages_per_hour,
            ),
        )

    def risk_of(self, reading: "Understanding") -> "Risk | None":
        """How risky the offer in one message is, by its own words; None where it is no offer."""
        from bot.conversation.risk import assess

        if reading.kind != "offer":
            return None
        return assess(reading.flags, reading.signs, self.library.red_flags).level

    def escalation_of(self, reading: "Understanding") -> "Escalation":
        """Whether one message calls for a person, by its own words."""
        from bot.conversation.risk import escalation

        return escalation(reading, self.risk_of(reading))

    @cached_property
    def database(self) -> Database:
        return open_database(self.config.database_url, self.config.home)

    def forget(self) -> dict[str, int]:
        """What has outlived its purpose, by the periods of config.yml; how much of each."""
        from bot.retention import purge

        bot, now = self.config.bot, self.clock()
        idle = dt.timedelta(minutes=bot.conversation.idle_minutes)
        if self.counting:
            self.counting.look(now - idle, now)
        if "processor" in self.__dict__:
            self.processor.questions.keep(self.database, now)
        return purge(
            self.database,
            now,
            idle,
            dt.timedelta(days=bot.hotline.keep_cases_days),
            dt.timedelta(hours=bot.hotline.keep_words_hours),
        )

    @cached_property
    def processor(self) -> "Processor":
        from bot.processor import Processor
        from bot.unanswered.anonymous import Anonymiser
        from bot.understanding.normalise import Normaliser

        life = dt.timedelta(minutes=self.config.bot.conversation.idle_minutes)
        spelling = Normaliser.from_file(
            self.config.nlu_folder / "teencode.yml"
        )  # mends nothing: a name is no slip for a word
        anonymiser = Anonymiser(self.library, spelling, self.classifier.word_counts)
        return Processor(self.interpreter, self.policy, self.database, life, self.counting, anonymiser)

    # -- trends --------------------------------------------------------------------------------------------------------

    @cached_property
    def trends(self) -> "TrendStore":
        """What is counted, and what was released; also where counting is off."""
        from bot.store.trend_database import TrendDatabase, trend_url
        from bot.trends.counters import TrendStore
        from bot.trends.keys import PeriodKeys

        config, trends = self.config, self.config.bot.trends
        prepare_home(config.home)
        database = TrendDatabase(trend_url(config.database_url, config.home, config.trends_database_url))
        folder = config.root / trends.keys if trends.keys else config.home / TREND_KEYS
        return TrendStore(database, PeriodKeys(folder), self.library, trends.profile, quarterly=trends.quarter_tables)

    @cached_property
    def counting(self) -> "Counting | None":
        """None where no trends are counted. Whoever counts must be able to release, or the counts would lie there for ever."""
        if self.config.bot.trends.profile == "off":
            return None
        from bot.counting import Counting
        from bot.trends.noise import refuse_without_noise

        refuse_without_noise()
        return Counting(self.database, self.trends)

    # -- staff ---------------------------------------------------------------------------------------------------------

    @cached_property
    def passwords(self) -> "Passwords":
        from bot.staff.passwords import Passwords

        return Passwords(self.library.common_passwords, *self.password_costs)

    @cached_property
    def entrance(self) -> "Entrance":
        from bot.staff.entrance import Entrance

        return Entrance(self.database, self.passwords)

    # -- channels ------------------------------------------------------------------------------------------------------

    @cached_property
    def telegram(self) -> "TelegramChannel | None":
        """None where no token is set."""
        token = self.config.secrets.telegram_token
        settings = self.config.bot.telegram
        if token is None:
            return None
        from bot.channels.telegram import TelegramChannel

        return TelegramChannel(token.get_secret_value(), api=settings.api, proxy=settings.proxy)

    @cached_property
    def sms(self) -> "SmsProvider | None":
        """None where config.yml names no provider."""
        from bot.sms_providers import sms_provider

        return sms_provider(self.config)

    @cached_property
    def email(self) -> "EmailChannel | None":
        """For calls to staff; None where config.yml names no mail server."""
        settings, password = self.config.bot.hotline.email, self.config.secrets.email_password
        if settings is None:
            return None
        if settings.user and password is None:
            raise ConfigError("BANDUONG_EMAIL_PASSWORD is not set: bot.hotline.email.user needs it (docs/deployer.md).")
        from bot.channels.email import EmailChannel

        return EmailChannel(
            settings.host, settings.port, tls=settings.tls, sender=settings.sender, user=settings.user,
            password=password.get_secret_value() if password else "", subject=self.library.console("vi")["page"]["subject"],
        )  # fmt: skip

    @cached_property
    def case_webhook(self) -> "CaseWebhook | None":
        """The system of a receiver that takes cases; None where config.yml names none."""
        settings, secret = self.config.bot.hotline.webhook, self.config.secrets.case_webhook_key
        if settings is None:
            return None
        receiver = self.library.receivers.get(settings.receiver)
        if receiver is None or not receiver.webhook:
            raise ConfigError(
                f"bot.hotline.webhook.receiver: '{settings.receiver}' is no receiver with webhook: true in content/receivers.yml."
            )
        if secret is None:
            raise ConfigError(
                "bot.hotline.webhook needs BANDUONG_CASE_WEBHOOK_KEY, the secret that its receiver checks with."
            )
        from bot.hotline.webhook import CaseWebhook, read_key

        return CaseWebhook(settings.url, read_key(secret.get_secret_value()))

    @property
    def sms_webhook(self) -> "SmsWebhook | None":
        """The SMS provider, if it posts to us."""
        return cast("SmsWebhook", self.sms) if hasattr(self.sms, "paths") else None

    @property
    def sms_line(self) -> "SmsLine | None":
        """The SMS provider, if it keeps a connection open."""
        return cast("SmsLine", self.sms) if hasattr(self.sms, "listen") else None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The ways out that are configured."""
        return tuple(channel for channel in (self.telegram, self.sms, self.email) if channel)

    def pace_of(self, channel: Channel) -> Pace:
        """How fast messages may leave by one of `channels`."""
        if channel is self.telegram:
            telegram = self.config.bot.telegram
            return Pace(telegram.per_second, telegram.chat_interval, telegram.burst)
        if channel is self.email:
            return Pace(self.email.per_second)
        assert self.sms
        sms = self.config.bot.sms
        return Pace(sms.per_second or self.sms.limits.max_per_second, sms.chat_interval, sms.burst)

    @cached_property
    def queue_clock(self) -> "Clock | None":
        """What time does in the queue; None where nobody reads it."""
        from bot.hotline.clocks import Clock
        from bot.hotline.paging import Exchange

        hotline, public = self.config.bot.hotline, self.config.bot.web.public
        if not hotline.staffed:
            return None
        channels = frozenset(channel.name for channel in self.channels)
        return Clock(
            Exchange(self.library, channels, f"{public}/console" if public else None),
            hotline.open_hours,
            claim={name: dt.timedelta(minutes=most) for name, most in hotline.claim_minutes.model_dump().items()},
            page_again=tuple(dt.timedelta(minutes=later) for later in hotline.page_again_minutes),
            honest_after=dt.timedelta(minutes=hotline.honest_after_minutes),
        )

    @cached_property
    def alert_terms(self) -> "Terms":
        """On what terms alerts are sent here."""
        from bot.outreach.terms import Limits, Terms

        outreach, sms = self.config.bot.outreach, self.config.bot.sms
        limits = Limits(
            outreach.approve_above,
            dt.timedelta(minutes=outreach.cancel_minutes),
            outreach.most_a_day,
            outreach.people_a_day,
        )
        ways = tuple(channel.name for channel in self.channels if self._carries_alerts(channel))
        return Terms(self.library, ways, outreach.advertising, self.sms_sizes, sms.vnd_per_segment, limits)

    @property
    def sms_sizes(self) -> "SegmentSizes":
        """What one, two, three segments hold at the provider."""
        from bot.channels.sms_text import SegmentSizes

        sms = self.config.bot.sms
        return SegmentSizes(sms.gsm_7_segments, sms.ucs_2_segments)

    def _carries_alerts(self, channel: Channel) -> bool:
        """By SMS only from a number that hears STOP, and not from an ordinary SIM, which may not carry advertising."""
        outreach, sms = self.config.bot.outreach, self.config.bot.sms
        if channel is not self.sms:
            return channel is self.telegram
        deaf = sms.provider == "twilio" and sms.twilio is not None and not sms.twilio.two_way
        return not deaf and not (sms.provider == "android" and outreach.advertising)

    @property
    def telegram_secret(self) -> str:
        """What Telegram must show at our webhook; nobody has to choose or keep it."""
        return self.database.keyring.derived("telegram webhook")

    @property
    def telegram_menu(self) -> dict[str | None, dict[str, str]]:
        """Commands for those whose Telegram is in English, and for everybody else."""
        menu = self.library.telegram_menu
        return {
            shown: {name: texts[key] for name, texts in menu.items()} for shown, key in ((None, "vi"), ("en", "en"))
        }

    def rehearsal(self, channel: str = "terminal") -> "Rehearsal":
        """A talk with the real engine that leaves no trace."""
        from bot.rehearsal import Rehearsal

        return Rehearsal(self.interpreter, self.policy, channel)

    def reporting_policy(self) -> Mapping[str, str]:
        """S-24: what the lawyer of the operating organisation has said its staff must report; empty while nobody has."""
        path = self.config.content_folder / REPORTING_POLICY
        try:
            written = load_yaml(path) or {}
            return written if written.get("decided_by") else {}
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
            raise ConfigError(f"{path} cannot be read: mend its YAML.") from None

    def missing_reporting_policy(self) -> bool:
        return not self.reporting_policy()

    @property
    def transfers_without_dossier(self) -> tuple[str, ...]:
        """D-12: channels by which what people write goes abroad, and no dossier of that is named in config.yml."""
        bot = self.config.bot
        abroad = {
            "telegram": self.config.secrets.telegram_token is not None,
            "twilio": bot.sms.provider == "twilio",
            "android": bot.sms.provider == "android"
            and bot.sms.android is not None
            and SMS_GATE in bot.sms.android.api,
        }
        return tuple(name for name, goes in abroad.items() if goes and getattr(bot.transfers, name) is None)

    def refuse_unready_production(self) -> None:
        """S-24: production does not start before a lawyer has filled the reporting policy."""
        if self.config.bot.deployment == "production" and self.missing_reporting_policy():
            raise ConfigError(
                f"{self.config.content_folder / REPORTING_POLICY} is missing: the organisation's lawyer must fill it "
                "(docs/deployer.md) before bot.deployment may be production."
            )
