"""content/ -> Library. Everything a person reads, checked for shape as it is read.

The rules of wording (promises, neutral openings, lengths, sources) are in `bot.content_rules`; here is only what the
running service needs: texts with their numbers filled in, and the date on which each falls silent.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, ValidationError

from bot.errors import ContentError
from bot.letters import fold
from bot.yaml_files import load_yaml

SmsOrText = Literal["text", "sms"]
FORMS: tuple[SmsOrText, ...] = get_args(SmsOrText)
_NAME_WORD = re.compile(r"[^\W_]+")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
Role = Literal["operator", "supervisor", "outreach", "analyst", "editor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
SharePurpose = Literal["share_111", "share_police", "share_embassy", "share_ngo"]
ConsoleWords = Mapping[str, Mapping[str, str]]  # page -> name -> text
FALLBACK_ANSWER = "hotline_pointer"
OFFERED_UNASKED = frozenset({"check_offer", "procedures", "human", "menu"})  # actions that need no talk before them


class Entry(BaseModel):
    """Base of everything read from content/: frozen, and refuses a key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=False)


def _date(value: object) -> object:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


def _loose_date(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else (str(value) if value is not None else None)


Day = Annotated[dt.date, BeforeValidator(_date)]


class Source(Entry):
    """Where a fact comes from. `date` is as the page gives it: a day, a month, a year or nothing."""

    url: str
    date: Annotated[str | None, BeforeValidator(_loose_date)] = None


class Text(Entry):
    """The same words in Vietnamese and English."""

    vi: str
    en: str

    def in_language(self, language: str) -> str:
        return self.en if language == "en" else self.vi


class Hotline(Entry):
    """A number that may reach a villager. `never_silent` numbers are shown even when their check is overdue."""

    id: str
    name: Text
    number: str
    country: str
    sources: tuple[Source, ...] = Field(min_length=1)
    checked: Day
    expires: Day
    never_silent: bool = False

    def is_fresh(self, today: dt.date) -> bool:
        return self.never_silent or today <= self.expires


class Answer(Entry):
    """The reviewed answer to one kind of question. `next` are up to three choices: answer ids or actions."""

    id: str
    title: Text
    sms: Text
    text: Text
    next: tuple[str, ...] = Field(min_length=1, max_length=3)
    sources: tuple[Source, ...] = Field(min_length=1)
    checked: Day
    expires: Day
    status: Literal["sure", "verify_first"] = "sure"

    @property
    def topic(self) -> str:
        return self.id.split("/", 1)[0]


class Topic(Entry):
    id: str
    title: Text


class AnswerFile(Entry):
    topic: Topic
    answers: tuple[Answer, ...]


class Response(Entry):
    """A thing the bot says in the conversation itself. `sms` is a shorter wording for SMS, `others` other languages."""

    text: Text
    sms: Text | None = None
    choices: tuple[str, ...] = ()
    fragment: bool = False  # only ever part of another text
    others: Mapping[str, str] = Field(default_factory=dict)

    def wording(self, form: SmsOrText) -> Text:
        return self.sms if form == "sms" and self.sms else self.text


class PreparedReply(Entry):
    """What an operator may choose, change and send. `title` is for the operator, `sms` a shorter wording for SMS."""

    id: str
    title: Text
    text: Text
    sms: Text | None = None

    def wording(self, form: SmsOrText) -> Text:
        return self.sms if form == "sms" and self.sms else self.text


class Interest(Entry):
    """What a subscriber may want to hear of."""

    id: str = Field(pattern="^[a-z0-9_]{1,40}$")
    label: Text


class Blank(Entry):
    """What staff write in place of a {name} of an alert, and an example by which its length is judged."""

    what: Text
    example: Text


class Alert(Entry):
    """A template for a broadcast. `choices` are buttons where the channel has them."""

    id: str = Field(pattern="^[a-z0-9_]{1,40}$")
    topic: str
    interest: str
    title: Text
    text: Text
    sms: Text
    blanks: Mapping[str, Blank] = Field(default_factory=dict)
    choices: tuple[str, ...] = Field((), max_length=3)
    sources: tuple[Source, ...] = Field(min_length=1)
    checked: Day
    expires: Day

    def wording(self, form: SmsOrText) -> Text:
        return self.sms if form == "sms" else self.text


class OptOut(Entry):
    text: Text
    sms: Text

    def wording(self, form: SmsOrText) -> Text:
        return self.sms if form == "sms" else self.text


class OutreachWords(Entry):
    """What stands around an alert, and the sites that it may point to."""

    label: str
    stop: str
    opt_out: OptOut
    sites: tuple[str, ...]

    def around(self, body: str, language: str, form: SmsOrText) -> str:
        """The label first, then the body, then how to end the alerts."""
        line = self.opt_out.wording(form).in_language(language).replace("{stop}", self.stop)
        between = " " if form == "sms" else "\n\n"
        return f"{self.label} {body}{between}{line}"


class RedFlag(Entry):
    """A warning sign. `cues` and `unless` are regular expressions over folded, normalised text."""

    id: str
    strength: Literal["strong", "weak"]
    needs_context: bool = False  # its cues are too loose to stand without the tagger's assent
    contradicted_by: str | None = None  # the sign that says the opposite
    rank: int
    title: Text
    why: Text
    do: Text
    ask: Text | None = None
    cues: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)


class Sign(Entry):
    """Something a message shows that is no red flag. `vouches`: it speaks for an offer."""

    id: str
    vouches: bool = False
    title: Text | None = None
    cues: tuple[str, ...]
    unless: tuple[str, ...] = ()


class AmbiguousWord(Entry):
    """A word that may be misread without its marks (`id`): how it is written when it is meant, which of these spellings everybody
    reads right, and what a reader may see."""

    id: str
    written: tuple[str, ...]
    everyday: tuple[str, ...] = ()
    note: Text


class EmergencyRule(Entry):
    id: str
    certain: bool = False
    cues: tuple[str, ...]
    unless: tuple[str, ...] = ()


class Thresholds(Entry):
    """The chance from which a message is a cry for help: where something calms, where nothing but the model says so, where a rule, a flag or
    a sign supports it, where words show that somebody cannot leave, and where that person has just called or written."""

    calmed: float = Field(gt=0, lt=1)
    alone: float = Field(gt=0, lt=1)
    supported: float = Field(gt=0, lt=1)
    held: float = Field(gt=0, lt=1)
    held_and_called: float = Field(gt=0, lt=1)


class EmergencyEvidence(Entry):
    """The rules, what calms, and when it is enough."""

    thresholds: Thresholds
    rules: tuple[EmergencyRule, ...]
    calm: tuple[str, ...]


class Outcome(Entry):
    """What a yes or a no to a question shows."""

    flag: str | None = None
    sign: str | None = None
    vouches: bool = False  # whether the sign alone can make an offer low
    danger: bool = False


class Question(Entry):
    """One question of a form. `other_subject`: its wording where the matter is somebody else's; `country_known`: where the country was named."""

    id: str
    ask: Text
    other_subject: Text | None = None
    country_known: Text | None = None
    where: Literal["abroad", "home", "anywhere"] = "anywhere"
    free_text: bool = False
    yes: Outcome = Outcome()
    no: Outcome = Outcome()

    @property
    def settled_by(self) -> set[str]:
        """Flags and signs after which there is no need to ask."""
        return {name for outcome in (self.yes, self.no) for name in (outcome.flag, outcome.sign) if name}


class Form(Entry):
    most: int = Field(ge=1, le=5)
    questions: tuple[Question, ...]


class Province(Entry):
    code: str
    name: str
    aliases: tuple[str, ...] = ()


class Country(Entry):
    """A place of work. `unrealistic_pay` is the monthly VND from which a promise to an unskilled worker is a red flag.

    `utc_offset`: minutes, of its clocks; of several, or of winter and summer, the one that is furthest from Viet Nam's.
    """

    code: str
    name: Text
    aliases: tuple[str, ...]
    short: tuple[str, ...] = ()
    towns: tuple[str, ...] = ()
    unrealistic_pay: int | None = None
    unrealistic_online: int | None = None  # the same for "tasks" done on a phone
    compounds: bool = False
    hotlines: tuple[str, ...] = ()
    utc_offset: int | None = Field(default=None, ge=-720, le=840)


class TrendName(Entry):
    """One cell of a trend, as people read it."""

    id: str = Field(pattern="^[a-z0-9_]{1,40}$")
    title: Text


class TrendTopic(TrendName):
    """What kind of offer or report, and to where. All conditions that are given must hold; none given: it always fits.

    `phrase`: as it stands in a sentence; `alert`: the template that fits when it rises.
    """

    phrase: Text
    flags: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    alert: str | None = None


class TrendSigns(TrendName):
    """A group of red flags; none for talks without any."""

    of: tuple[str, ...] = ()


class TrendRegion(TrendName):
    """Provinces that are counted together, each with the column and row of its square on the map."""

    tiles: Mapping[str, tuple[int, int]]


class TrendWords(Entry):
    """The closed words of which trends are counted. The order is that of the cells."""

    topics: tuple[TrendTopic, ...] = Field(min_length=1, max_length=12)
    flags: tuple[TrendSigns, ...] = Field(min_length=1, max_length=10)
    risks: tuple[TrendName, ...] = Field(min_length=4, max_length=4)
    elsewhere: tuple[TrendName, ...] = Field(min_length=2, max_length=2)
    regions: tuple[TrendRegion, ...] = Field(min_length=1, max_length=6)


Grain = Literal["week", "month", "quarter"]


class TrendTable(Entry):
    """How often a table is released, and the privacy loss of one release."""

    every: Grain
    epsilon: float = Field(gt=0, le=1)


class TrendRules(Entry):
    """How much may ever be told of what is counted: profile -> table -> how."""

    threshold: int = Field(ge=11)
    closes_after_hours: int = Field(ge=1, le=48)
    profiles: Mapping[str, Mapping[str, TrendTable]]


class SignupSheet(Entry):
    """How a paper sign-up list is written down: column -> what its head may be, language -> what it may be called."""

    columns: Mapping[str, tuple[str, ...]]
    languages: Mapping[str, tuple[str, ...]]


class Receiver(Entry):
    """Whom a case may be handed on to. `purpose`: the yes that it needs; `hotlines`: its numbers, by their ids; `webhook`: takes cases
    into a system of its own."""

    id: str = Field(pattern="^[a-z0-9_]{1,40}$")
    name: Text
    purpose: SharePurpose
    hotlines: tuple[str, ...] = ()
    country: str | None = None
    webhook: bool = False


class Permissions(Entry):
    """Permission -> the roles that have it."""

    permissions: Mapping[str, tuple[Role, ...]] = Field(min_length=1)

    def allows(self, roles: Collection[str], permission: str) -> bool:
        """What stands nowhere, nobody may do."""
        return not set(roles).isdisjoint(self.permissions.get(permission, ()))

    def of(self, roles: Collection[str]) -> frozenset[str]:
        """All that these roles may do."""
        return frozenset(permission for permission in self.permissions if self.allows(roles, permission))


class NameWords(Entry):
    """What tells a name or a place in folded words, and is taken out of what editors see."""

    never: frozenset[str]
    doubtful: frozenset[str]
    introduces: frozenset[str]
    middles: frozenset[str]
    names: frozenset[str]
    places: frozenset[str]
    figures: frozenset[str]


class ConsoleFile(RootModel[dict[str, dict[str, str]]]):
    """The words of the console in one language."""

    model_config = ConfigDict(frozen=True)


class PartOfDay(Text):
    """What the day is called from the hour `from` on."""

    start: int = Field(ge=0, le=23, alias="from")


class SpokenTimes(Entry):
    sharp: Text
    half: Text
    other: Text


class SpokenDays(Entry):
    today: Text
    tomorrow: Text
    this_week: Text
    later: Text


class SpokenHours(Entry):
    """How an hour and its day are said."""

    parts: tuple[PartOfDay, ...]
    time: SpokenTimes
    when: SpokenDays
    days: tuple[Text, ...] = Field(min_length=7, max_length=7)


EntryT = TypeVar("EntryT", bound=BaseModel)


class Library:
    """All content of one folder, with every `{number}` filled in."""

    def __init__(self, folder: Path) -> None:
        reader = _Reader(folder)
        self.folder = folder
        self.hotlines = _by_id(reader.entries("hotlines.yml", "hotlines", Hotline))
        files = [reader.model(path, AnswerFile) for path in reader.glob("answers/*.yml")]
        self.topics = {file.topic.id: file.topic for file in files if file}
        self.answers = _by_id(answer for file in files if file for answer in file.answers)
        self.responses = reader.mapping("responses.yml", "responses", Response)
        self.actions = reader.mapping("responses.yml", "actions", Text)
        self.red_flags = _by_id(reader.entries("red_flags.yml", "flags", RedFlag))
        self.provinces = reader.entries("provinces.yml", "provinces", Province)
        self.countries = {c.code: c for c in reader.entries("countries.yml", "countries", Country)}
        self.currencies: dict[str, int] = reader.raw("countries.yml").get("currencies", {})
        self.answer_countries: dict[str, list[str]] = reader.raw("countries.yml").get("answer_countries", {})
        self.own_answers: dict[str, dict[str, str]] = reader.raw("countries.yml").get("own_answers", {})
        self.currency_of: dict[str, str] = reader.raw("countries.yml").get("currency_of", {})
        self.signs = _by_id(reader.entries("signs.yml", "signs", Sign))
        self.emergencies = reader.whole("emergencies.yml", EmergencyEvidence)
        forms = {name: reader.entry("forms.yml", form, Form, name) for name, form in reader.raw("forms.yml").items()}
        self.forms = {name: form for name, form in forms.items() if form}
        self.commands: dict[str, list[str]] = reader.raw("commands.yml")
        self.ambiguous = reader.entries("sms.yml", "ambiguous", AmbiguousWord)
        self.hours = reader.whole("hours.yml", SpokenHours)
        self.interests: dict[str, Interest] = _by_id(reader.entries("interests.yml", "interests", Interest))
        self.signup_sheet = reader.whole("signups.yml", SignupSheet)
        self.telegram_menu: dict[str, dict[str, str]] = reader.raw("telegram.yml").get("menu", {})
        self.receivers: dict[str, Receiver] = _by_id(reader.entries("receivers.yml", "receivers", Receiver))
        self.replies = _by_id(reader.entries("console/replies.yml", "replies", PreparedReply))
        self.alerts: dict[str, Alert] = _by_id(reader.gathered("alerts/*.yml", "alerts", Alert))
        self.outreach = reader.whole("outreach.yml", OutreachWords)
        self.trends = reader.whole("trends.yml", TrendWords)
        self.trend_rules = reader.whole("policy/trends.yml", TrendRules)
        self.web: dict[str, dict[str, dict[str, str]]] = reader.raw("web.yml")
        self.policy_words: dict[str, dict[str, list[str]]] = reader.raw("policy/wording.yml")
        self.name_words = reader.whole("policy/names.yml", NameWords)
        self.permissions = reader.whole("policy/permissions.yml", Permissions)
        self._console = {language: reader.console(language) for language in ("vi", "en")}
        reader.compare("console", self._console)
        self.common_passwords = reader.lines("policy/common_passwords.txt")
        if reader.problems:
            raise ContentError(reader.problems)

    def console(self, language: str) -> ConsoleWords:
        """The words of the console: page -> name -> text."""
        return self._console["en" if language == "en" else "vi"]

    # -- texts ------------------------------------------------------------------------------------------------------

    def answer(self, answer_id: str, today: dt.date) -> Answer | None:
        """The answer, or None when it or a number in it must not be sent any more."""
        answer = self.answers.get(answer_id)
        if answer is None or today > answer.expires:
            return None
        numbers = (self.hotlines[name] for name in placeholders(answer) if name in self.hotlines)
        return answer if all(number.is_fresh(today) for number in numbers) else None

    @cached_property
    def targets(self) -> dict[str, str]:
        """Label of a choice, in lower case -> what it stands for."""
        titles = {name: answer.title for name, answer in self.answers.items()} | self.actions | self._interest_labels
        return {
            title.in_language(language).lower(): name for name, title in titles.items() for language in ("vi", "en")
        }

    def may_be_offered(self, target: str) -> bool:
        """Whether a message that nobody has asked for may have this choice: an answer, or an action that needs no talk before it."""
        return target in self.answers or target in OFFERED_UNASKED & self.actions.keys()

    def title(self, target: str, language: str) -> str:
        """The label of a choice: an action's name, what somebody may want to hear of, or an answer's title."""
        text = self.actions.get(target) or self._interest_labels.get(target) or self.answers[target].title
        return text.in_language(language)

    @cached_property
    def _interest_labels(self) -> dict[str, Text]:
        return {name: interest.label for name, interest in self.interests.items()}

    @cached_property
    def place_names(self) -> dict[str, str]:
        """Every name of a province, old and new, and of a country, folded -> its code. Towns of compounds are left out: who names
        one says more than where they are."""
        found: dict[str, str] = {}
        for country in self.countries.values():
            towns = () if country.compounds else country.towns
            for name in (country.name.vi, country.name.en, *country.aliases, *country.short, *towns):
                found[plain_name(name)] = country.code
        for province in self.provinces:
            for name in (province.name, *province.aliases):
                found[plain_name(name)] = province.code
        return found

    def fill(self, text: str, language: str, form: SmsOrText, values: Mapping[str, str] | None = None) -> str:
        """`text` with hotline numbers, shared notices and `values` in place of its {placeholders}."""
        known = {**self._numbers, **self._notices[language, form], **(values or {})}
        return PLACEHOLDER.sub(lambda match: known[match[1]], text)

    def say(self, name: str, language: str, form: SmsOrText, values: Mapping[str, str] | None = None) -> str:
        response = self.responses[name]
        if language in response.others:
            wording = response.others[language]
        else:
            wording = response.wording(form).in_language(language)
        return self.fill(wording, language, form, values)

    def version_of(self, name: str) -> str:
        """Which wording of a question somebody said yes to: the same for the same words, another for any other (D-06)."""
        response = self.responses[name]
        return sha256(response.model_dump_json().encode()).hexdigest()[:12]

    @cached_property
    def _numbers(self) -> dict[str, str]:
        return {hotline.id: hotline.number for hotline in self.hotlines.values()}

    @cached_property
    def _notices(self) -> dict[tuple[str, str], dict[str, str]]:
        """The shared sentences (`call_111` ...) that other texts pull in by name."""
        return {
            (language, form): {
                name: PLACEHOLDER.sub(
                    lambda match: self._numbers[match[1]], response.wording(form).in_language(language)
                )
                for name, response in self.responses.items()
                if name.startswith("call_") and not (placeholders(response) - set(self.hotlines))
            }
            for language in ("vi", "en", "lo", "th", "km", "zh")
            for form in FORMS
        }

    # -- freshness --------------------------------------------------------------------------------------------------

    def expiring(self, today: dt.date, within_days: int = 30) -> Iterator[tuple[str, dt.date]]:
        """(id, day) of every answer, number and alert whose check runs out within `within_days`, soonest first."""
        limit = today + dt.timedelta(days=within_days)
        entries = (*self.answers.values(), *self.hotlines.values(), *self.alerts.values())
        dated = [(entry.id, entry.expires) for entry in entries]
        yield from sorted((pair for pair in dated if pair[1] <= limit), key=lambda pair: (pair[1], pair[0]))


def plain_name(text: str) -> str:
    """A name as it is looked up: folded, in lower case, with one space between its words."""
    return " ".join(_NAME_WORD.findall(fold(text).lower()))


def placeholders(entry: Answer | Response | PreparedReply | Alert) -> set[str]:
    """Names in {braces} anywhere in the entry's wordings."""
    texts = [entry.text, *([entry.sms] if entry.sms else [])]
    return {match for text in texts for wording in (text.vi, text.en) for match in PLACEHOLDER.findall(wording)}


def _by_id(entries: Any) -> dict[str, Any]:
    return {entry.id: entry for entry in entries}


class _Reader:
    """Reads YAML into models and gathers every problem, so that an editor sees all of them at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self._cache: dict[Path, Any] = {}
        if not folder.is_dir():
            raise ContentError(
                [f"{folder} is missing: run from the project's folder, or set bot.content in config.yml"]
            )

    def glob(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(pattern))

    def raw(self, name: str) -> Any:
        return self._table(self.folder / name)

    def _table(self, path: Path) -> dict[str, Any]:
        data = self._load(path)
        if data is None:
            return {}
        if not isinstance(data, dict):
            self.problems.append(f"{path.relative_to(self.folder)}: must hold names with values, not a list or a text")
            return {}
        return data

    def entries(self, name: str, key: str, model: type[EntryT]) -> tuple[EntryT, ...]:
        path = self.folder / name
        rows = self._table(path).get(key)
        if not isinstance(rows, list):
            self.problems.append(f"{name}: needs a list under '{key}:'")
            return ()
        found = [self._validate(path, row, model) for row in rows]
        ids = [getattr(entry, "id", None) or getattr(entry, "code", None) for entry in found if entry]
        self.problems += [f"{name}: {i} stands there twice: remove one" for i in {i for i in ids if ids.count(i) > 1}]
        return tuple(entry for entry in found if entry)

    def gathered(self, pattern: str, key: str, model: type[EntryT]) -> tuple[EntryT, ...]:
        """The entries of several files; an id is used in one of them only."""
        found: dict[str, EntryT] = {}
        for path in self.glob(pattern):
            name = str(path.relative_to(self.folder))
            for entry in self.entries(name, key, model):
                entry_id = str(getattr(entry, "id", ""))
                if entry_id in found:
                    self.problems.append(f"{name}: {entry_id} stands in another file too: remove one")
                found[entry_id] = entry
        return tuple(found.values())

    def mapping(self, name: str, key: str, model: type[EntryT]) -> dict[str, EntryT]:
        path = self.folder / name
        rows = self._table(path).get(key)
        if not isinstance(rows, dict):
            self.problems.append(f"{name}: needs names under '{key}:'")
            return {}
        found = {entry_name: self._validate(path, row, model, entry_name) for entry_name, row in rows.items()}
        return {entry_name: entry for entry_name, entry in found.items() if entry}

    def entry(self, name: str, row: Any, model: type[EntryT], entry_name: str) -> EntryT | None:
        return self._validate(self.folder / name, row, model, entry_name)

    def whole(self, name: str, model: type[EntryT]) -> EntryT:
        """A file that is one entry; a broken one stops the reading at once."""
        found = self.model(self.folder / name, model)
        if found is None:
            raise ContentError(self.problems)
        return found

    def console(self, language: str) -> ConsoleWords:
        found = self.model(self.folder / "console" / f"{language}.yml", ConsoleFile)
        return found.root if found else {}

    def compare(self, folder: str, languages: Mapping[str, ConsoleWords]) -> None:
        """The same names in each language, or it is a problem of the one that lacks them."""
        names = {
            language: {f"{page}.{name}" for page, words in pages.items() for name in words}
            for language, pages in languages.items()
        }
        for language, own in names.items():
            missing = sorted(set().union(*names.values()) - own)
            self.problems += [
                f"{folder}/{language}.yml: {name} is missing: the other language has it" for name in missing
            ]

    def lines(self, name: str) -> AbstractSet[str]:
        """The lines of a text file but for its remarks."""
        try:
            lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            self.problems.append(f"{name} cannot be read: restore it from the repository")
            return frozenset()
        return frozenset(line for line in lines if line and not line.startswith("# "))

    def model(self, path: Path, model: type[EntryT]) -> EntryT | None:
        return self._validate(path, self._load(path), model)

    def _load(self, path: Path) -> Any:
        if path not in self._cache:
            self._cache[path] = self._parse(path)
        return self._cache[path]

    def _parse(self, path: Path) -> Any:
        name = path.relative_to(self.folder)
        try:
            return load_yaml(path)
        except FileNotFoundError:
            self.problems.append(f"{name} is missing: restore it from the repository")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{name} cannot be read ({error.__class__.__name__}): save it as UTF-8 text")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            self.problems.append(f"{name}{where}: not valid YAML: mend the indentation or quote the text")
        return None

    def _validate(self, path: Path, row: Any, model: type[EntryT], name: str | None = None) -> EntryT | None:
        try:
            return model.model_validate(row)
        except ValidationError as error:
            label = name or (row.get("id") or row.get("code") if isinstance(row, dict) else None) or "entry"
            self.problems += [
                f"{path.relative_to(self.folder)}: {label}: "
                f"{'.'.join(str(part) for part in problem['loc']) or 'it'}: {problem['msg'].lower()}"
                for problem in error.errors()
            ]
            return None
