"""banduong: chat | ask | serve | worker | cases | staff | keys | subscribers | alerts | broadcast | trends | rasa | deliveries | letters | train | evaluate | check | audit | incident | purge."""

import datetime as dt
import io
import json
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.exceptions
import yaml
from rich.table import Table

from bot import __version__, audit
from bot.app import App
from bot.channels.sms_text import DoubtfulWord, doubtful_words, sms_text
from bot.cli import outreach, rasa, trends
from bot.cli.common import BY, account_of, button_line, err, house_of, out, say
from bot.content import ROLES
from bot.delivery import dead_letters, outbox
from bot.errors import BanDuongError, CaseError, ContentError, UsageError
from bot.hotline import colleagues, keys
from bot.messages import VIETNAM, Address, InboundMessage
from bot.retention import kept_head
from bot.staff import accounts, invitations
from bot.web.console.links import invitation_link

if TYPE_CHECKING:
    from bot.conversation.state import Turn
    from bot.store.crypto import Keyring
    from bot.store.rotation import Outcome
    from bot.understanding.reading import Understanding

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Channel = Annotated[str, typer.Option(help="telegram, sms, web or terminal: how the replies are worded")]


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="the configuration file")] = Path("config.yml"),
    debug: Annotated[bool, typer.Option(help="show where an error comes from")] = False,
) -> None:
    """Bạn Đường, companion on the road: a safe-migration bot for Viet Nam."""
    context.obj = {"config": config, "debug": debug}


for name, commands in (
    ("alerts", outreach.alerts_app), ("subscribers", outreach.subscribers_app), ("broadcast", outreach.broadcast_app),
    ("trends", trends.trends_app), ("rasa", rasa.rasa_app),
):  # fmt: skip
    app.add_typer(commands, name=name)


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


@app.command()
def ask(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="one message")] = None,
    batch: Annotated[
        Path | None, typer.Option(help="a file of rows {id, text}; result rows go to standard output")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the whole understanding, as one JSON object")] = False,
    channel: Channel = "terminal",
) -> None:
    """Put one message (or a file of them) to a fresh conversation. Nothing is written to the store."""
    _known_channel(channel)
    if (text is None) == (batch is None):
        raise UsageError('Give one message, as in: banduong ask "TEXT", or a file with --batch.')
    house = house_of(context)
    if batch is not None:
        _ask_batch(house, batch, channel)
    elif text is not None:
        row, replies = _ask_one(house, "1", text, channel)
        out.print(json.dumps(row, ensure_ascii=False, indent=2) if as_json else "\n\n".join(replies))


def _ask_batch(house: App, path: Path, channel: str) -> None:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} cannot be read: give a UTF-8 file with one JSON object a line.") from None
    failed = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _batch_row(house, line, number, channel)
        failed = failed or "error" in row
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    if failed:
        raise typer.Exit(1)


def _batch_row(house: App, line: str, number: int, channel: str) -> dict[str, Any]:
    try:
        given = json.loads(line)
        row_id, text = given["id"], given["text"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"id": None, "line": number, "error": "not a JSON object with id and text"}
    if not isinstance(text, str):
        return {"id": row_id, "line": number, "error": "text is not a string"}
    return _ask_one(house, row_id, text, channel)[0]


def _ask_one(house: App, row_id: object, text: str, channel: str) -> tuple[dict[str, Any], list[str]]:
    rehearsal = house.rehearsal(channel)
    reading, turn = rehearsal.say(text)
    replies = rehearsal.rendered(turn)
    return {"id": row_id, **_labels(house, reading), "reply": replies}, replies


def _labels(house: App, reading: "Understanding") -> dict[str, Any]:
    from bot.conversation.risk import escalation

    risk = house.risk_of(reading)
    return {
        "language": reading.language,
        "kind": reading.kind,
        "topic": reading.topic,
        "risk": risk,
        "flags": sorted(reading.flags),
        "evidence": {flag: list(words) for flag, words in sorted(reading.flags.items())},
        "escalate": escalation(reading, risk),
        "confidence": round(reading.confidence, 4),
        "backend": reading.backend,
    }


@app.command()
def chat(
    context: typer.Context,
    channel: Channel = "terminal",
    record: Annotated[Path | None, typer.Option(help="write the talk as a dialog test")] = None,
) -> None:
    """Talk to the bot in the terminal, with the real engine and the real store. Ctrl-D ends."""
    _known_channel(channel)
    house = house_of(context)
    processor = house.processor
    shadow = house.rehearsal(channel)  # the same talk, to write down what each turn was
    address = Address(channel, f"terminal-{uuid.uuid4()}")
    talk: list[dict[str, Any]] = []
    err.print(house.library.say("chat_hint", "vi", "text"))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    while (text := _read_line()) is not None:
        now = dt.datetime.now(dt.UTC)
        message = InboundMessage(address, str(uuid.uuid4()), text, now)
        for reply in processor.handle(message, pulled=True):
            out.print(reply.text if not reply.buttons else f"{reply.text}\n{button_line(reply.buttons)}")
            if channel == "sms":
                err.print(f"[{sms_text(reply.text).segments} SMS]")
            out.print()
        if record:
            talk.append(_heard(text, shadow.say(text, now)[1]))
    if record and talk:
        dialog = [{"about": "", "channel": channel, "talk": talk}]
        record.write_text(yaml.safe_dump(dialog, allow_unicode=True, sort_keys=False), encoding="utf-8")
        err.print(str(record))


def _read_line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return None


def _heard(text: str, turn: "Turn") -> dict[str, Any]:
    heard: dict[str, Any] = {"say": text, "hear": [reply.name for reply in turn.replies]}
    if turn.events:
        heard["events"] = [type(event).__name__ for event in turn.events]
    return heard


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on", min=1, max=65535)] = None,
    only: Annotated[str | None, typer.Option(help="web: leave sending to `banduong worker`")] = None,
) -> None:
    """Serve the web chat and the channels that are configured."""
    from bot.web.server import run

    if only not in (None, "web"):
        raise UsageError("--only knows one part: web.")
    run(house_of(context), host=host, port=port, send=only is None, say=say)


@app.command()
def worker(context: typer.Context) -> None:
    """Send what waits in the outbox. Any number of workers may run, beside `banduong serve --only web`."""
    from bot.service import work

    work(house_of(context))


cases_app = typer.Typer(
    no_args_is_help=True, help="The hotline queue, without the contents of cases.", rich_markup_mode=None
)
app.add_typer(cases_app, name="cases")


@cases_app.command("list")
def cases_list(
    context: typer.Context, ended: Annotated[bool, typer.Option("--all", help="closed and erased ones too")] = False
) -> None:
    """The queue: the gravest first, then who has waited longest. What was told is read in the console only."""
    from bot.hotline import queue

    house = house_of(context)
    within = house.config.bot.hotline.claim_within
    with house.database.begin() as connection:
        found = queue.rows(connection, house.database.keyring, "open", claim_within=within)
        if ended:
            found += queue.rows(connection, house.database.keyring, "ended", claim_within=within)
    table = Table("case", "priority", "kind", "status", "about", "minor", "watched", "country", "opened", box=None)
    for row in found:
        case = row.case
        table.add_row(
            case.reference, case.priority, case.kind, "claimed" if case.owner_id and case.status == "open" else case.status, case.facts.about,
            _mark(case.minor), _mark(case.facts.watched), case.facts.country or "-",
            case.opened_at.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M"),
        )  # fmt: skip
    out.print(table if found else "No case is open.")


@cases_app.command("show")
def cases_show(
    context: typer.Context, reference: Annotated[str, typer.Argument(help="the case, as in the list")]
) -> None:
    """One case with its words, for as long as nobody has an account. Afterwards cases open in the console only."""
    from bot.hotline import claims, keys, reading

    house = house_of(context)
    keyring, now = house.database.keyring, dt.datetime.now(dt.UTC)
    with house.database.begin() as connection:
        try:
            case, _ = claims.locked(connection, keyring, reference)
        except CaseError:
            raise UsageError(f"There is no case {reference}: see `banduong cases list --all`.") from None
        held = keys.keys_of_keyring(connection, keyring, case.id)
        if not held:
            raise UsageError(f"Case {case.reference} is sealed to those on duty: open it in the console.")
        reading.visit(connection, keyring, case, "command line", now)
        events, words = reading.timeline(connection, case, held), reading.words(connection, case, held)
    out.print(f"{case.reference}  {case.priority}  {case.kind}  {case.status}  {', '.join(case.facts.flags) or '-'}")
    told = [(word.at, "message", f"{word.author}: {word.text}") for word in words]
    for event in events:
        body = "; ".join(f"{name}: {value}" for name, value in (event.body or {}).items())
        told.append((event.at, event.kind, body))
    for at, kind, text in sorted(told, key=lambda line: line[0]):
        out.print(f"{at.astimezone(VIETNAM):%Y-%m-%d %H:%M:%S}  {kind:8}  {text}")


def _mark(value: bool) -> str:
    return "yes" if value else "-"


staff_app = typer.Typer(no_args_is_help=True, help="Who may use the console.", rich_markup_mode=None)
app.add_typer(staff_app, name="staff")
Login = Annotated[str, typer.Argument(help="3 to 30 lower-case letters, digits, dots or dashes")]


@staff_app.command("add")
def staff_add(
    context: typer.Context,
    login: Login,
    name: Annotated[str, typer.Option(help="what colleagues call this person")],
    role: Annotated[list[str], typer.Option(help=f"one of {', '.join(ROLES)}; may be given again")],
) -> None:
    """Invite somebody. The link that is printed serves once, within 72 hours."""
    house = house_of(context)
    roles = _roles(role)
    with house.database.begin() as connection:
        _, code = invitations.invite(connection, house.database.keyring, login, name, roles, house.clock(), by=BY)
        shares = keys.ensure_recovery(connection, house.database.keyring)
    _print_link(house, code)
    if shares:
        _print_shares(*shares)


@staff_app.command("invite")
def staff_invite(context: typer.Context, login: Login) -> None:
    """Invite somebody again: who accepts has a new password, second factor and key."""
    house = house_of(context)
    with house.database.begin() as connection:
        account = account_of(house, connection, login)
        code = invitations.invite_again(connection, house.database.keyring, account, house.clock(), by=BY)
    _print_link(house, code)


@staff_app.command("list")
def staff_list(
    context: typer.Context, removed: Annotated[bool, typer.Option("--all", help="those too who have left")] = False
) -> None:
    """Everybody with their roles."""
    house = house_of(context)
    with house.database.begin() as connection:
        everybody = accounts.all_accounts(connection, house.database.keyring, removed=removed)
    table = Table("login", "name", "roles", "on duty", "state", box=None)
    for one in everybody:
        state = "removed" if not one.active else "active" if one.public_key else "invited"
        table.add_row(one.login, one.name, ", ".join(sorted(one.roles)), _mark(one.on_duty), state)
    out.print(table if everybody else "Nobody has an account yet: banduong staff add LOGIN --name NAME --role ROLE")


@staff_app.command("roles")
def staff_roles(
    context: typer.Context,
    login: Login,
    roles: Annotated[list[str], typer.Argument(help=f"all roles from now on: {', '.join(ROLES)}")],
) -> None:
    """Give somebody these roles and no others. It counts at once."""
    house = house_of(context)
    known = _roles(roles)
    with house.database.begin() as connection:
        account = account_of(house, connection, login)
        colleagues.set_roles(connection, house.database.keyring, account, known, house.clock(), by=BY)


@staff_app.command("remove")
def staff_remove(context: typer.Context, login: Login) -> None:
    """Let somebody in no more, from this moment on. Hand their cases over."""
    house = house_of(context)
    with house.database.begin() as connection:
        account = account_of(house, connection, login)
        colleagues.remove(connection, house.database.keyring, account, house.clock(), by=BY)
    house.database.checkpoint()


def _roles(given: list[str]) -> list[str]:
    if unknown := [role for role in given if role not in ROLES]:
        raise UsageError(f"'{unknown[0]}' is no role: use {', '.join(ROLES)}.")
    return given


def _print_link(house: App, code: str) -> None:
    out.print(invitation_link(house.config, code))
    err.print(
        "Give this link to that person alone, not by the channel that carries the cases. It serves once, within 72 hours."
    )


def _print_shares(first: str, second: str) -> None:
    err.print("The recovery key: two shares for two people, on paper, in two places. They are shown this once.")
    out.print(f"share 1: {first}\nshare 2: {second}")


# -- keys --------------------------------------------------------------------------------------------------------------

keys_app = typer.Typer(
    no_args_is_help=True,
    help="The keys of the house: the keyring, and the recovery key of cases. No key is ever shown.",
    rich_markup_mode=None,
)
app.add_typer(keys_app, name="keys")
recovery_app = typer.Typer(no_args_is_help=True, help="The key that two people hold in shares.", rich_markup_mode=None)
keys_app.add_typer(recovery_app, name="recovery")


@keys_app.command("status")
def keys_status(context: typer.Context) -> None:
    """Which keys there are, what each still seals, and whether every case can be read by somebody."""
    from bot.hotline.custody import custody
    from bot.store import rotation

    database = house_of(context).database
    with database.begin() as connection:
        counted, held = rotation.counts(connection), custody(connection, database.keyring)
    _print_seals(counted, database.keyring)
    lines = {
        "recovery key": "made" if held.recovery_key else "not made",
        "open cases that only the keyring can open": held.keyring_only,
        "cases with parts that only the recovery key can open": held.recovery_only,
        "open cases with parts that nobody can open": held.nobodys,
        "cases that the recovery key cannot open yet": held.lack_recovery,
        "colleagues whose public key was not made here": held.strange_colleagues,
        "open cases whose public key was not made here": held.strange_cases,
    }
    for name, value in lines.items():
        out.print(f"{name}: {value}")


def _print_seals(counted: Mapping[str, Mapping[str, int]], keyring: "Keyring") -> None:
    """One line a table, one column a key. A key that seals something and is not in the keyring is named too."""
    used = {name for by_key in counted.values() for name in by_key}
    names = sorted({*keyring.keys, *used}, key=lambda name: (name != keyring.current, name))
    table = Table("sealed values", *(_key_name(name, keyring) for name in names), box=None)
    for place, by_key in counted.items():
        table.add_row(place, *(str(by_key.get(name, 0)) for name in names))
    out.print(table)


def _key_name(name: str, keyring: "Keyring") -> str:
    if name not in keyring.keys:
        return f"{name} (missing)"
    return f"{name} (current)" if name == keyring.current else name


@keys_app.command("rotate")
def keys_rotate(
    context: typer.Context,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="then remove the old keys; stop everything else before")
    ] = False,
) -> None:
    """Add a key and seal everything with it, while the service runs. Called again, it finishes what was not finished.

    Look-ups (by which a number, a login or a recruiter is known again) and the audit chain are not rotated: they are made with the pepper,
    and of what they were made from nothing is kept, so nothing could make them anew.
    """
    from rich.progress import Progress

    from bot.store import rotation

    house = house_of(context)
    before = house.database.keyring.current
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("sealing")
        try:
            outcome = rotation.rotate(
                house.database,
                house.config.home,
                lambda done, total: progress.update(task, completed=done, total=total),
                drop_old=drop_old,
            )
        finally:  # also where the old keys had to stay
            if house.database.keyring.current != before:
                _record_keys(house, "keys_rotated")
    if outcome.dropped:
        _record_keys(house, "keys_dropped")
    _print_outcome(outcome)


def _record_keys(house: App, action: str) -> None:
    with house.database.begin() as connection:
        audit.record(connection, house.database.keyring, actor=BY, action=action, now=house.clock())


def _print_outcome(outcome: "Outcome") -> None:
    begun = "finished an earlier rotation" if outcome.resumed else "added a key"
    out.print(
        f"{begun}: {outcome.key} seals now; {outcome.resealed} values sealed anew, {outcome.dropped} keys removed"
    )
    if outcome.dropped:
        err.print(
            "Backups of the database from before this rotation do not open with this keyring: keep its old copy as long "
            "as you keep them."
        )
    else:
        err.print(
            "Put a copy of keyring.json where you keep it, and on every machine that uses this database. Running processes take "
            "the new key over by themselves; restart them to be sure. Then: banduong keys rotate --drop-old"
        )
    if outcome.unreadable:
        err.print(f"{outcome.unreadable} values open with no key and were left as they are: the old keys must stay.")
    if outcome.left:
        err.print(f"{outcome.left} values were in use or sealed with an old key meanwhile: call this command again.")
    if outcome.unreadable or outcome.left:
        raise typer.Exit(1)


@keys_app.command("recover")
def keys_recover(context: typer.Context, login: Login) -> None:
    """Give every case to this person, with the two shares of the recovery key. Both holders type theirs; nothing is shown."""
    house = house_of(context)
    with house.database.begin() as connection:
        account = account_of(house, connection, login)
    first, second = (
        typer.prompt(f"Share {number}, of the {who} person", hide_input=True, err=True)
        for number, who in ((1, "first"), (2, "second"))
    )
    with house.database.begin() as connection:
        keyring = house.database.keyring
        found = keys.recover(connection, keyring, (first, second), account.id, house.clock(), by=BY)
    out.print(f"{found} cases can be read by {login} now")
    err.print("Somebody has typed both shares here: make others with `banduong keys recovery new`.")


@recovery_app.command("new")
def keys_recovery_new(
    context: typer.Context,
    lose: Annotated[
        bool, typer.Option("--lose", help="although there are cases that only the recovery key of before can open")
    ] = False,
) -> None:
    """Make another recovery key, when a share is lost or somebody who holds one leaves. The shares of before open nothing any more.

    New cases are sealed to it at once; others when a colleague who reads them opens the queue next. `banduong keys status` counts those
    that still lack it.
    """
    from bot.hotline.custody import custody

    house = house_of(context)
    with house.database.begin() as connection:
        keyring = house.database.keyring
        only = custody(connection, keyring).recovery_only
        if only and not lose:
            raise UsageError(
                f"{only} cases have parts that only the recovery key of now can open: use `banduong keys recover LOGIN` first, or "
                "lose them for good with --lose."
            )
        shares = keys.renew_recovery(connection, keyring, house.clock(), by=BY)
    house.database.checkpoint()
    _print_shares(*shares)


@app.command()
def sms(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="the text of one SMS")],
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """What a text becomes and costs as SMS, without its marks and with them."""
    house = house_of(context)
    row = _sms_row(house, text)
    if as_json:
        out.print(json.dumps(row, ensure_ascii=False, indent=2))
        return
    out.print(row["folded"])
    for name, side in (("without marks", row), ("as written", row["as_written"])):
        out.print(
            f"{name}: {side['encoding']}, {side['units']} units, {side['segments']} SMS, {side['cost_vnd']:,} VND"
        )
    for word in row["ambiguous"]:
        out.print(f"{word['written']} -> {word['folded']}: {word['note']}")


def _sms_row(house: App, text: str) -> dict[str, Any]:
    settings = house.config.bot.sms
    folded, written = (sms_text(text, folded=marks, sizes=house.sms_sizes) for marks in (True, False))
    sides = [
        {"encoding": side.encoding, "units": side.units, "segments": side.segments,
         "cost_vnd": side.segments * settings.vnd_per_segment}
        for side in (folded, written)
    ]  # fmt: skip
    known = [DoubtfulWord(word.id, word.written, word.note.vi) for word in house.library.ambiguous]
    doubtful = [
        {"written": seen, "folded": word.folded, "note": word.note} for seen, word in doubtful_words(text, known)
    ]
    return {"folded": folded.text, **sides[0], "as_written": {"text": written.text, **sides[1]}, "ambiguous": doubtful}


@app.command()
def deliveries(context: typer.Context) -> None:
    """What became of outgoing messages: how many stand where, and which nobody can be sure of."""
    with house_of(context).database.begin() as connection:
        counted, doubtful = outbox.counts(connection), outbox.doubtful(connection)
    table = Table("channel", "status", "messages", box=None)
    for (channel, status), count in sorted(counted.items()):
        table.add_row(channel, status, str(count))
    out.print(table if counted else "Nothing was sent in the last two days.")
    for row in doubtful:
        when = row.created_at.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M")
        out.print(f"{when}  {row.channel}  {row.lane}  {row.status}  {row.error or '-'}  {row.id[:8]}")


letters_app = typer.Typer(no_args_is_help=True, help="What arrived and could not be read.", rich_markup_mode=None)
app.add_typer(letters_app, name="letters")
LetterId = Annotated[str, typer.Argument(help="the letter, as in the list")]


@letters_app.command("list")
def letters_list(context: typer.Context) -> None:
    """Dead letters that nobody has played again. They are kept for three days."""
    with house_of(context).database.begin() as connection:
        found = dead_letters.waiting(connection)
    for letter in found:
        out.print(
            f"{letter.id[:8]}  {letter.received_at.astimezone(VIETNAM):%Y-%m-%d %H:%M}  {letter.channel}  {letter.reason}"
        )
    if not found:
        out.print("There are no dead letters.")


@letters_app.command("show")
def letters_show(context: typer.Context, letter: LetterId) -> None:
    """One dead letter as it came. It may hold what a person wrote."""
    out.print(_letter(house_of(context), letter).body)


@letters_app.command("replay")
def letters_replay(context: typer.Context, letter: LetterId) -> None:
    """Read it again, after an upgrade that can. It is answered once, like any message."""
    from bot.service import replay

    house = house_of(context)
    out.print("answered" if replay(house, _letter(house, letter)) else "there was nothing to answer")


def _letter(house: App, start_of_id: str) -> dead_letters.DeadLetter:
    with house.database.begin() as connection:
        found = dead_letters.opened(connection, house.database.keyring, start_of_id)
    if found is None:
        raise UsageError(f"There is no one letter {start_of_id}: see `banduong letters list`.")
    return found


@app.command()
def train(context: typer.Context) -> None:
    """Learn from nlu/data and keep the model."""
    house = house_of(context)
    classifier = house.classifier
    out.print(f"{len(classifier.word_counts)} words known; model in {house.config.home / 'model'}")


@app.command()
def evaluate(
    context: typer.Context,
    rows: Annotated[Path | None, typer.Argument(help="labelled rows; default nlu/eval/unseen.jsonl")] = None,
) -> None:
    """Measure the understanding on labelled messages that it never learned from."""
    from bot.understanding.evaluate import evaluate as evaluate_rows

    house = house_of(context)
    path = rows or house.config.nlu_folder / "eval" / "unseen.jsonl"
    table = Table("measure", "value", "of", box=None)
    for name, value, count in evaluate_rows(path, house.interpreter, house.risk_of):
        table.add_row(name, f"{value:.3f}" if value is not None else "-", str(count))
    out.print(table)


@app.command()
def check(
    context: typer.Context,
    today: Annotated[str | None, typer.Option(help="as if it were this day, YYYY-MM-DD")] = None,
) -> None:
    """Look over content, nlu data, configuration and database; every error names file, entry and mend."""
    from bot.content_rules import check_content
    from bot.nlu_rules import check_nlu

    house = house_of(context)
    day = _day(today) if today else dt.datetime.now(VIETNAM).date()
    problems = [*check_content(house.library, day), *check_nlu(house.config.nlu_folder, house.library)]
    for problem in problems:
        (err if problem.level == "error" else out).print(f"{problem.level}: {problem}")
    _ = house.database
    if house.missing_reporting_policy():
        out.print(
            "warning: content/policy/reporting.yml is not filled in; production will refuse to start (docs/deployer.md)"
        )
    for channel in house.transfers_without_dossier:
        out.print(
            f"warning: {channel}: data go abroad and transfers: in config.yml names no dossier (docs/deployer.md)"
        )
    errors = sum(problem.level == "error" for problem in problems)
    out.print(f"{len(house.library.answers)} answers, {errors} errors, {len(problems) - errors} warnings")
    if errors:
        raise typer.Exit(1)


audit_app = typer.Typer(no_args_is_help=True, help="Who did what: whether the chain is whole.", rich_markup_mode=None)
app.add_typer(audit_app, name="audit")


@audit_app.command("head")
def audit_head(context: typer.Context) -> None:
    """The end of the chain, to be kept in another place: only with it can a cut-off end be seen."""
    with house_of(context).database.begin() as connection:
        out.print(str(audit.head(connection)))


@audit_app.command("verify")
def audit_verify(
    context: typer.Context,
    anchor: Annotated[
        str | None, typer.Option(help="POSITION:MAC that was kept; default: the newest in bot.hotline.anchor")
    ] = None,
) -> None:
    """Read the whole chain again; exit status 1 where a row was changed, taken out or cut off."""
    house = house_of(context)
    file = house.config.bot.hotline.anchor
    kept = anchor or (kept_head(house.config.root / file) if file else None)
    try:
        head = audit.Head.read(kept) if kept else None
    except ValueError as error:
        raise UsageError(f"'{kept}' cannot be read: {error}.") from None
    with house.database.begin() as connection:
        verdict = audit.verify(connection, house.database.keyring, head)
    if verdict.broken_at is not None:
        err.print(
            f"The chain is broken at row {verdict.broken_at}: keep this machine as it is, and see `banduong incident`."
        )
        raise typer.Exit(1)
    out.print(f"whole: {verdict.rows} rows, head {verdict.head}")
    if head is None:
        err.print("Without --anchor a chain that was cut off at its end looks whole.")


@app.command()
def incident(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(help="from this day on, YYYY-MM-DD; default: the last 14 days")] = None,
    language: Annotated[str, typer.Option(help="vi or en")] = "vi",
) -> None:
    """Print the form for a breach of personal data: what must go to A05 within 72 hours, and by when. It names nobody."""
    from bot.incident import gather, markdown

    house = house_of(context)
    now = house.clock()
    begins = dt.datetime.combine(_day(since), dt.time(), VIETNAM) if since else now - dt.timedelta(days=14)
    with house.database.begin() as connection:
        found = gather(connection, house.database.keyring, house.config.root, begins, now)
    out.print(markdown(found, house.library.console(language)))


@app.command()
def purge(context: typer.Context) -> None:
    """Forget what has outlived its purpose: idle conversations, sent texts, old cases."""
    removed = house_of(context).forget()
    out.print(", ".join(f"{count} {name}" for name, count in removed.items()))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is no day: write it as 2026-11-21.") from None


def _known_channel(channel: str) -> None:
    if channel not in ("telegram", "sms", "web", "terminal"):
        raise UsageError(f"'{channel}' is no channel: use telegram, sms, web or terminal.")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; the exit status is 0 good, 1 the work failed, 2 wrong usage or configuration."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--debug" in given:
        return _run(given)
    try:
        return _run(given)
    except ContentError as error:
        say(str(error))
        say(f"{len(error.problems)} problems in content: mend them and try again.")
        return error.exit_status
    except BanDuongError as error:
        say(str(error))
        return error.exit_status
    except BrokenPipeError:
        return 1
    except OSError as error:
        say(
            f"{error.strerror or error.__class__.__name__}: {error.filename or 'a file'} could not be used; free it and try again."
        )
        return 1


def _run(arguments: list[str]) -> int:
    command: Callable[..., Any] = typer.main.get_command(app)
    try:
        result = command(args=arguments, prog_name="banduong", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        return 1
    except typer.exceptions.TyperException as error:  # wrong usage, told by typer itself
        if "--debug" in arguments:
            raise
        told = error.format_message() if hasattr(error, "format_message") else str(error)
        say(told or "See banduong --help.")
        return 2


def run_and_exit() -> None:
    sys.exit(main())
