"""config.yml and the environment -> Config. An error names the file, the key and what is allowed."""

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from bot.errors import ConfigError
from bot.hours import ALWAYS, Hours, read_week
from bot.yaml_files import load_yaml

HOME_VARIABLE = "BANDUONG_HOME"
DATABASE_VARIABLE = "BANDUONG_DATABASE_URL"
TRENDS_VARIABLE = "BANDUONG_TRENDS_DATABASE_URL"


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


HERE = ("localhost", "127.0.0.1", "::1")


class RasaConfig(Section):
    """Used with `backend: rasa`. Its token: BANDUONG_RASA_TOKEN, else the file rasa/token in the home."""

    url: str = Field(
        "http://127.0.0.1:5005", pattern=r"^https?://[^\s/?#@]+/?$", description="where the server listens"
    )
    trusted_network: bool = Field(
        default=False, description="whether http may leave this machine, for a network that is ours alone"
    )
    timeout_seconds: float = Field(0.8, ge=0.05, le=1.5, description="then the embedded model alone decides")

    @model_validator(mode="after")
    def _nothing_leaves_in_the_clear(self) -> Self:
        address = urlsplit(self.url)
        if address.scheme == "http" and address.hostname not in HERE and not self.trusted_network:
            raise ValueError(
                "the url must begin with https://; http:// is for this machine, or with trusted_network: true for a network that is ours alone"
            )
        return self


class NluConfig(Section):
    backend: Literal["embedded", "rasa"] = "embedded"
    rasa: RasaConfig = RasaConfig()
    folder: Path = Path("nlu")
    sure: float = Field(0.65, gt=0, lt=1, description="answer at once from this confidence on")
    processes: int = Field(1, ge=0, le=16, description="of their own in which `serve` reads messages; 0: none")
    maybe: float = Field(0.3, gt=0, lt=1, description="below this the bot says that it did not understand")


class ConversationConfig(Section):
    idle_minutes: int = Field(30, ge=1, le=30, description="state is forgotten after so many idle minutes")
    pause_minutes: int = Field(10, ge=1, le=30, description="after such a pause nothing the person told is repeated")
    messages_per_minute: int = Field(30, ge=5, description="of one person: beyond this only a cry for help is answered")
    messages_per_hour: int = Field(120, ge=20, description="the same, for an hour")
    longest_text: int = Field(4000, ge=500, le=10000, description="characters of one message that are read")


class ClaimMinutes(Section):
    """By which time a case of each priority should have been claimed."""

    P0: int = Field(5, ge=1)
    P1: int = Field(60, ge=1)
    P2: int = Field(1440, ge=1)
    P3: int = Field(4320, ge=1)


class EmailConfig(Section):
    """By which staff can be paged. Used with BANDUONG_EMAIL_PASSWORD where the server wants a log-in."""

    host: str
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = Field("starttls", description="none: on this machine only")
    user: str | None = None
    sender: str = Field(pattern=r"^[^\s<>@,]+@[^\s<>@,]+$", description="our address")

    @model_validator(mode="after")
    def _nothing_leaves_in_the_clear(self) -> Self:
        if self.tls == "none" and self.host not in HERE:
            raise ValueError("tls: none is for a mail server on this machine; use starttls or tls")
        return self


class WebhookConfig(Section):
    """One receiver's own system, which takes the cases that are handed on to it. Used with BANDUONG_CASE_WEBHOOK_KEY."""

    url: str = Field(pattern=r"^https?://[^\s/]+(/\S*)?$", description="https; http on this machine only")
    receiver: str = Field(min_length=1, description="its id in content/receivers.yml")

    @model_validator(mode="after")
    def _nothing_leaves_in_the_clear(self) -> Self:
        address = urlsplit(self.url)
        if address.scheme == "http" and address.hostname not in HERE:
            raise ValueError("the url must begin with https://; http:// is for this machine only")
        return self


def _day(written: object) -> object:
    return dt.date.fromisoformat(written) if isinstance(written, str) else written


class HotlineConfig(Section):
    staffed: bool = Field(default=False, description="whether people really read the queue; the bot says so truthfully")
    hours: str | dict[str, str] | None = Field(None, description="when they do; none: day and night")
    holidays: tuple[Annotated[dt.date, BeforeValidator(_day)], ...] = Field((), description="when they do not")
    claim_minutes: ClaimMinutes = ClaimMinutes()
    page_again_minutes: tuple[int, ...] = Field(
        (5, 10), description="for P0: the next person; with the last, everybody"
    )
    honest_after_minutes: int = Field(15, ge=1, description="nobody has claimed a P0: the person is told")
    keep_cases_days: int = Field(90, ge=1, description="after closing")
    keep_words_hours: int = Field(24, ge=0, description="of both sides, after closing")
    email: EmailConfig | None = None
    webhook: WebhookConfig | None = None
    anchor: Path | None = Field(
        None, description="a file on another disk; once a day the head of the audit chain goes there"
    )

    @model_validator(mode="after")
    def _hours_can_be_read(self) -> Self:
        if list(self.page_again_minutes) != sorted({minutes for minutes in self.page_again_minutes if minutes > 0}):
            raise ValueError("page_again_minutes must rise, for example [5, 10]")
        _ = self.open_hours
        return self

    @property
    def claim_within(self) -> dict[str, dt.timedelta]:
        """Priority -> how soon somebody should have claimed it."""
        return {name: dt.timedelta(minutes=minutes) for name, minutes in self.claim_minutes.model_dump().items()}

    @property
    def open_hours(self) -> Hours:
        """When somebody reads the queue, where anybody does at all."""
        return Hours(ALWAYS.week if self.hours is None else read_week(self.hours), frozenset(self.holidays))


class WebConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    public: str | None = Field(
        None, pattern="^https://[^/]+$", description="https://HOST by which browsers reach the pages"
    )
    leave_to: str = Field("https://www.google.com/search?q=thoi+tiet", pattern="^https://")
    messages_per_minute: int = Field(30, ge=1)
    training_phone: Literal["trial", "always", "never"] = Field("trial", description="when /simulator is served")


class TelegramConfig(Section):
    """Used where BANDUONG_TELEGRAM_TOKEN is set."""

    webhook: str | None = Field(
        None,
        pattern="^https?://[^/]+$",
        description="https://HOST where Telegram reaches us; without it we ask (polling)",
    )
    api: str = Field("https://api.telegram.org", pattern="^https?://[^/]+$")
    proxy: str | None = None
    per_second: float = Field(25, gt=0, le=1000)
    chat_interval: float = Field(1.25, ge=0, le=60, description="seconds between two messages to one person ...")
    burst: int = Field(3, ge=1, le=20, description="... after so many at once")


class TwilioConfig(Section):
    """Used with BANDUONG_TWILIO_TOKEN, the account's auth token."""

    account: str = Field(pattern="^AC[0-9a-fA-F]{32}$", description="the account's SID")
    sender: str = Field(min_length=2, description="our number, our name, or the SID of a messaging service (MG...)")
    api: str = Field("https://api.twilio.com", pattern="^https?://[^/]+$")
    two_way: bool = Field(default=True, description="false in Viet Nam, where Twilio only sends")
    needs_template: bool = Field(default=False, description="whether only registered texts pass there")


class AndroidConfig(Section):
    """Used with BANDUONG_ANDROID_PASSWORD and BANDUONG_ANDROID_SIGNING_KEY."""

    user: str = Field(min_length=1)
    api: str = Field("https://api.sms-gate.app/3rdparty/v1", pattern="^https?://.+[^/]$")
    sim: int | None = Field(None, ge=1, le=3, description="which SIM sends, where the phone has more than one")


class SmppConfig(Section):
    """Used with BANDUONG_SMPP_PASSWORD."""

    host: str
    port: int = Field(2775, ge=1, le=65535)
    tls: bool = False
    user: str = Field(min_length=1, max_length=15, description="the system_id")
    system_type: str = Field("", max_length=12)
    sender: str = Field(min_length=2, max_length=20, description="our number or registered name")
    window: int = Field(10, ge=1, le=1000, description="messages under way at the same time")


class SmsConfig(Section):
    """`..._segments`: how many characters one, two, three segments hold at the provider."""

    provider: Literal["twilio", "android", "smpp"] | None = Field(None, description="none: no SMS")
    webhook: str | None = Field(
        None, pattern="^https?://[^/]+$", description="https://HOST where the provider reaches us"
    )
    country: str = Field("VN", pattern="^[A-Z]{2}$", description="of numbers without a country code")
    per_second: float | None = Field(None, gt=0, le=1000, description="none: what the provider allows")
    chat_interval: float = Field(2.0, ge=0, le=60, description="seconds between two messages to one person ...")
    burst: int = Field(3, ge=1, le=20, description="... after so many at once")
    twilio: TwilioConfig | None = None
    android: AndroidConfig | None = None
    smpp: SmppConfig | None = None
    vnd_per_segment: int = Field(500, ge=0)
    gsm_7_segments: tuple[int, ...] = Field((160, 306, 459), min_length=1)
    ucs_2_segments: tuple[int, ...] = Field((70, 134, 201), min_length=1)

    @model_validator(mode="after")
    def _provider_is_described(self) -> Self:
        if self.provider and getattr(self, self.provider) is None:
            raise ValueError(f"{self.provider} needs its own keys under bot.sms.{self.provider}")
        return self


class TransferConfig(Section):
    """D-12: the dossier of a transfer abroad, as it was filed with the authority."""

    reference: str = Field(min_length=1)
    date: Annotated[dt.date, BeforeValidator(_day)]


class TransfersConfig(Section):
    """By channel; `android` for the gateway's makers' own server."""

    telegram: TransferConfig | None = None
    twilio: TransferConfig | None = None
    android: TransferConfig | None = None


class OutreachConfig(Section):
    """How alerts to subscribers leave."""

    advertising: bool = Field(
        default=True, description="whether alerts carry the label and the opt-out line of Decree 91/2020"
    )
    advertising_reason: str = Field("", description="why they do not count as advertising: required with false")
    approve_above: int = Field(100, ge=0, description="people; an alert to more needs a second person's yes")
    cancel_minutes: float = Field(5, ge=0, le=120, description="between the last yes and the first message")
    most_a_day: int = Field(5, ge=1, description="alerts that one of the staff may send in 24 hours ...")
    people_a_day: int = Field(200_000, ge=1, description="... and to how many people together")

    @model_validator(mode="after")
    def _a_reason_is_written(self) -> Self:
        if not self.advertising and not self.advertising_reason.strip():
            raise ValueError(
                "advertising: false needs advertising_reason: write who decided that alerts are not advertising, and why"
            )
        return self


class TrendsConfig(Section):
    """What is counted, and who sees what is released. docs/trends.md says what each profile promises."""

    profile: Literal["off", "pilot", "standard"] = Field(
        "off", description="a change takes effect with the next quarter"
    )
    quarter_tables: bool = Field(default=True, description="whether there are tables of a whole quarter")
    public: bool = Field(default=False, description="whether everybody may see /trends; else analysts only")
    keys: Path | None = Field(
        None, description="the folder of the periods' keys, the same on every machine that takes messages; in no backup"
    )


class DeliveryConfig(Section):
    lease_seconds: float = Field(30, ge=3, le=300, description="after so long without a word a sender counts as lost")


class BotConfig(Section):
    deployment: Literal["trial", "production"] = "trial"
    content: Path = Path("content")
    nlu: NluConfig = NluConfig()
    conversation: ConversationConfig = ConversationConfig()
    hotline: HotlineConfig = HotlineConfig()
    web: WebConfig = WebConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    telegram: TelegramConfig = TelegramConfig()
    sms: SmsConfig = SmsConfig()
    outreach: OutreachConfig = OutreachConfig()
    trends: TrendsConfig = TrendsConfig()
    transfers: TransfersConfig = TransfersConfig()

    @property
    def serves_training_phone(self) -> bool:
        """It shows which signs a text sets off, which helps those who lure people as well."""
        return self.web.training_phone in ("always", self.deployment)


class Secrets(BaseModel):
    """From the environment alone; never shown."""

    model_config = ConfigDict(frozen=True)

    telegram_token: SecretStr | None = None
    twilio_token: SecretStr | None = None
    android_password: SecretStr | None = None
    android_signing_key: SecretStr | None = None
    smpp_password: SecretStr | None = None
    email_password: SecretStr | None = None
    case_webhook_key: SecretStr | None = None
    rasa_token: SecretStr | None = None


class Config(BaseModel):
    """Everything the deployer decides. `home` holds database, keys and cached model; `root` is config.yml's folder."""

    model_config = ConfigDict(frozen=True)

    root: Path
    home: Path
    database_url: str
    bot: BotConfig
    trends_database_url: str | None = None
    secrets: Secrets = Secrets()
    nlu_pipeline: tuple[Any, ...] = ()

    @property
    def content_folder(self) -> Path:
        return self.root / self.bot.content

    @property
    def nlu_folder(self) -> Path:
        return self.root / self.bot.nlu.folder


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Reads config.yml; keys beside `bot:` belong to Rasa and are left alone."""
    environment = os.environ if environment is None else environment
    data = _read(path)
    root = path.resolve().parent
    home = Path(environment.get(HOME_VARIABLE) or root / "var").resolve()
    try:
        section = BotConfig.model_validate(data.get("bot") or {})
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(path, problem) for problem in error.errors())) from None
    url = environment.get(DATABASE_VARIABLE) or f"sqlite:///{home / 'banduong.db'}"
    given = {name: environment.get(f"BANDUONG_{name.upper()}") or None for name in Secrets.model_fields}
    return Config(
        root=root, home=home, database_url=url, trends_database_url=environment.get(TRENDS_VARIABLE) or None,
        bot=section, secrets=Secrets.model_validate(given),
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        data = load_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: run from the project's folder, or name it with --config FILE.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: mend the indentation or the quotes.") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path} cannot be read: make it a readable UTF-8 text file.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold keys such as 'bot:'; restore it from the repository.")
    return data


def _sentence(path: Path, problem: Any) -> str:
    key = ".".join(["bot", *(str(part) for part in problem["loc"])])
    if problem["type"] == "extra_forbidden":
        parent = _section_at(problem["loc"][:-1])
        return f"{path}: {key} is not a known key; known here: {', '.join(sorted(parent.model_fields))}."
    return f"{path}: {key}: {problem['msg'].lower().removeprefix('value error, ')}."


def _section_at(loc: tuple[Any, ...]) -> type[BaseModel]:
    section: type[BaseModel] = BotConfig
    for part in loc:
        annotation = section.model_fields[str(part)].annotation
        choices = [annotation, *get_args(annotation)]  # a section that may be left out is "Section or None"
        section = next(one for one in choices if isinstance(one, type) and issubclass(one, BaseModel))
    return section
