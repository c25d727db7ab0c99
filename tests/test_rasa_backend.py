"""The Rasa backend against a real HTTP server of ours: its word counts where it is sound, and nobody waits or is lost where it is not."""

import asyncio
import copy
import json
import logging
import multiprocessing
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Date, column, insert, select, table

from bot import outcomes
from bot.app import App
from bot.cli import main
from bot.config import load_config
from bot.conversation.events import CaseRequested
from bot.errors import ConfigError, RasaError
from bot.service import THREADS
from bot.store import database as store
from bot.store import tables
from bot.store.crypto import create_keyring
from bot.testing import START
from bot.understanding.breaker import ALLOWED, AT_ONCE, GROWS, IN_A_ROW, LONGEST, QUICK, SHORTEST, Allowance, Breaker
from bot.understanding.classifier import Classification
from bot.understanding.interpreter import Interpreter
from bot.understanding.rasa import FRESH, Rasa, base_of, opinion
from bot.understanding.rasa_server import RasaServer, read_ranking, read_status
from bot.understanding.readers import Readers
from bot.understanding.reading import Understanding
from tests.case_files import story
from tests.conftest import ROOT, _house, close, message
from tests.fakes.rasa import TOKEN, FakeRasa, rasa
from tests.hotline_line import REPORT

QUESTION = "lam sao tra giay phep cong ty?"
TORN = "hop dong cong ty co that khong"  # a question after its licence, or after the contract
OFFER = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
CRY = "cuu em voi, em bi nhot o campuchia"
LONG, SHORT = 10.0, 0.15  # seconds: for what should come, and for what should not
PATIENCE = 20.0
FAULTS: list[str | int] = [401, 409, 500, 503, "half", "hang", "drip", "drip_body", "close", "garbage", "huge"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="copies of a process are made on Linux only")
FIRST, SECOND = "rasa first@0123456789ab", "rasa second@fedcba987654"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def beside(house: App, rasa: Rasa) -> Interpreter:
    """The interpreter of the house with a Rasa beside it."""
    both = copy.copy(house.interpreter)
    both._second = rasa
    return both


class Bench:
    """An interpreter with a Rasa beside it, and the fake that this Rasa is."""

    def __init__(self, house: App) -> None:
        self.house, self.fake, self.clock = house, FakeRasa(), Clock()
        self.kill: Callable[[], None] = lambda: None
        self.rasa: Rasa

    def with_patience(self, seconds: float) -> Interpreter:
        self.rasa = Rasa(self.fake.url, TOKEN, seconds, self.clock)
        return beside(self.house, self.rasa)

    def until_trial(self) -> None:
        """Until a look in the background has found the server well."""
        until(lambda: self.rasa._line.breaker._state == "seen")


@pytest.fixture
def bench(reader: App) -> Iterator[Bench]:
    built = Bench(reader)
    with rasa(built.fake) as built.kill:
        yield built
        if "rasa" in built.__dict__:
            built.rasa.close()


@pytest.fixture(scope="module")
def served(reader: App) -> Iterator[Bench]:
    """One for many examples."""
    built = Bench(reader)
    with rasa(built.fake) as built.kill:
        yield built


def until(holds: Callable[[], bool]) -> None:
    last = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < last:
        time.sleep(0.005)
    assert holds()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "banduong"]


# -- its word ----------------------------------------------------------------------------------------------------------


def test_rasa_tells_the_topic_and_ours_the_answer(bench: Bench) -> None:
    """Where ours is torn, the topic is the one that Rasa finds likeliest; the answer is ours within it; the model is named."""
    bench.fake.ranking = [("contract", 1.0)]
    reading = bench.with_patience(LONG).read(TORN)
    assert (reading.kind, reading.topic) == ("question", "contract")
    assert reading.candidates[0][0].startswith("contract/")
    assert reading.read_by == FIRST
    assert bench.fake.texts == [TORN]


def test_rasas_word_counts_two_fifths(bench: Bench) -> None:
    """It does not outvote ours where ours is surer; and where it puts everything into one drawer, dangerous offers are warned of still."""
    reads = bench.with_patience(LONG).read
    bench.fake.ranking = [("contract", 0.8), ("verify_agency", 0.2)]
    assert (reads(QUESTION).topic, reads(QUESTION).backend) == ("verify_agency", "rasa")
    bench.fake.ranking = [("out_of_scope", 1.0)]
    assert (reads(OFFER).kind, reads(OFFER).backend) == ("offer", "rasa")


def test_every_other_word_is_ours(bench: Bench) -> None:
    """Flags, figures and language are read as ever."""
    bench.fake.ranking = [("offer", 0.97), ("fees_deposit", 0.03)]
    ours, both = bench.house.interpreter.read(OFFER), bench.with_patience(LONG).read(OFFER)
    assert both.backend == "rasa"
    assert ours.backend == "embedded"
    assert (both.kind, both.flags, both.signs, both.entities) == ("offer", ours.flags, ours.signs, ours.entities)


def test_a_cry_for_help_does_not_wait(bench: Bench) -> None:
    """What our own rules call an emergency is not put to Rasa at all."""
    reading = bench.with_patience(LONG).read(CRY)
    assert (reading.kind, reading.backend, bench.fake.asked) == ("emergency", "embedded", [])


def test_an_emergency_that_rasa_finds_is_one(bench: Bench) -> None:
    """Where ours doubts, Rasa's certainty counts in the evidence; where it is sure of the contrary, it does not."""
    text = "no nhot em trong phong khong cho ve nha"
    quiet = "em trai em mat lien lac o campuchia"
    bench.fake.ranking = [("emergency", 0.999)]
    reading = bench.with_patience(LONG)
    ours = [bench.house.interpreter.read(one).kind for one in (text, quiet)]
    both = [reading.read(one).kind for one in (text, quiet)]
    assert all(now == "emergency" for was, now in zip(ours, both, strict=True) if was == "emergency")
    assert both[0] == "emergency"
    bench.fake.ranking = [("out_of_scope", 1.0)]
    assert reading.read(CRY).kind == "emergency"


@pytest.mark.parametrize("text", ["", "   ", "👍", "12345", "?!", "/", "qwrtz pfghl", "\ud800 \udfff"])
def test_what_has_no_words_is_not_asked(bench: Bench, text: str) -> None:
    """Nothing, marks, figures, gibberish."""
    assert bench.with_patience(LONG).read(text).backend == "embedded"
    assert bench.fake.texts == []


@pytest.mark.parametrize("text", ["/offer lam sao tra giay phep", "  / /offer lam sao tra giay phep"])
def test_nobody_writes_the_intent_themselves(bench: Bench, text: str) -> None:
    """Rasa would take "/offer" at its word, and write "/anything else" into its log."""
    bench.with_patience(LONG).read(text)
    assert bench.fake.texts == ["offer lam sao tra giay phep"]


def test_what_stands_around_a_text_does_not_matter(bench: Bench) -> None:
    """Rasa tells us the text without it."""
    assert bench.with_patience(LONG).read(f" \n{QUESTION}\r\n\t ").backend == "rasa"


def test_a_ranking_that_is_cut_is_filled_up_in_our_proportions() -> None:
    """Rasa names ten intents unless told otherwise: what it leaves over goes to the others as we would share it out."""
    labels = {"emergency": 0.1, "offer": 0.2, "chat/greet": 0.03, "chat/thanks": 0.01, "a": 0.5, "b": 0.16}
    ours = Classification(labels, (("a/x", 0.3), ("a/y", 0.2), ("b/z", 0.16)), {"low": 0.1}, "embedded", "m")
    made = opinion({"chat": 0.4, "b": 0.4}, ours, "model")
    rasas = {"emergency": 0.025, "offer": 0.05, "chat/greet": 0.3, "chat/thanks": 0.1, "a": 0.125, "b": 0.4}
    mixed = {label: 0.4 * p + 0.6 * labels[label] for label, p in rasas.items()}
    assert made.labels == pytest.approx(mixed)
    assert [name for name, _ in made.answers] == ["b/z", "a/x", "a/y"]
    assert dict(made.answers) == pytest.approx({"b/z": mixed["b"], "a/x": 0.6 * mixed["a"], "a/y": 0.4 * mixed["a"]})
    assert (made.risks, made.backend, made.model) == (ours.risks, "rasa", "model")


# -- where it fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_the_message_is_read(bench: Bench, fault: str | int) -> None:
    """As ours reads it; a server that answers too late, in drops or without end is not waited for."""
    bench.fake.fault = fault
    reading = bench.with_patience(SHORT).read(QUESTION)
    assert reading == bench.house.interpreter.read(QUESTION)
    assert reading.backend == "embedded"
    assert reading.model == bench.house.classifier.model != ""


def test_only_the_parse_fails(bench: Bench) -> None:
    """The same where the server's health is good."""
    bench.fake.ill_status = False
    for fault in FAULTS:
        bench.fake.fault = fault
        assert bench.with_patience(SHORT).read(QUESTION).backend == "embedded"
        bench.rasa.close()


NO_RANKINGS: list[Any] = [
    [{"name": "nothing_of_ours", "confidence": 1.0}],
    [{"name": "offer", "confidence": 0.5}, {"name": "offer", "confidence": 0.5}],
    [{"name": "offer", "confidence": 0.9}, {"name": "report", "confidence": 0.9}],
    [{"name": None, "confidence": 1.0}],
    [{"confidence": 1.0}],
    ["offer"],
    [None],
    [[]],
]
BAD_REPLIES = [
    b"", b"null", b"[]", b"{}", b"{", b"\xff\xfe", b'"text"', b"[" * 100_000,
    json.dumps({"text": "another", "intent_ranking": [{"name": "offer", "confidence": 1.0}]}).encode(),
    json.dumps({"text": QUESTION, "intent_ranking": {}}).encode(),
    json.dumps({"text": QUESTION, "intent_ranking": []}).encode(),
    json.dumps({"text": QUESTION, "intent": {"name": "offer", "confidence": 1.0}}).encode(),
    *(
        (b'{"text": "%s", "intent_ranking": [{"name": "offer", "confidence": %s}]}' % (QUESTION.encode(), confidence))
        for confidence in (b"NaN", b"Infinity", b"-0.5", b"1.5", b"1e999", b'"1"', b"true", b"null", b"0", b"9" * 5000)
    ),
    *(json.dumps({"text": QUESTION, "intent_ranking": ranking}).encode() for ranking in NO_RANKINGS),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_REPLIES, ids=range(len(BAD_REPLIES)))
def test_a_reply_that_is_not_rasas_is_not_believed(bench: Bench, body: bytes) -> None:
    """Another text's, no numbers, none of our intents, twice the same."""
    bench.fake.body = body
    assert bench.with_patience(LONG).read(QUESTION).backend == "embedded"
    assert bench.fake.texts == [QUESTION]


def test_unknown_intents_are_left_out(bench: Bench) -> None:
    """A model with one more intent serves, as long as most of what it says is ours."""
    bench.fake.ranking = [("verify_agency", 0.6), ("nlu_fallback", 0.3), ("contract", 0.1)]
    reading = bench.with_patience(LONG).read(QUESTION)
    assert (reading.backend, reading.topic) == ("rasa", "verify_agency")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
entries = st.fixed_dictionaries(
    {"name": st.sampled_from(["offer", "report", "chat", "contract", "no_such"]) | anything, "confidence": anything | st.floats(0, 1)}
) | anything  # fmt: skip
replies = st.fixed_dictionaries({"text": st.just(QUESTION) | anything, "intent_ranking": st.lists(entries) | anything})


@given(reply=replies | anything)
def test_no_reply_makes_a_label_of_its_own(reader: App, reply: object) -> None:
    """Whatever a server says: it is refused, or it becomes probabilities of labels that we know, which add up to one."""
    ours = next(reader.classifier.classify(reader.normaliser.plain(QUESTION)))
    known = {base_of(label) for label in ours.labels}
    try:
        named = read_ranking(reply, QUESTION, known)
    except RasaError:
        return
    made = opinion(named, ours, "m")
    assert made.labels.keys() == ours.labels.keys()
    assert all(0 <= p <= 1 for p in made.labels.values())
    assert sum(made.labels.values()) == pytest.approx(1.0)
    assert {name for name, _ in made.answers} == {name for name, _ in ours.answers}


@settings(max_examples=40)
@given(
    content=st.binary(max_size=200) | replies.map(lambda reply: json.dumps(reply).encode()), text=st.text(max_size=60)
)
def test_no_reply_makes_reading_fail(served: Bench, content: bytes, text: str) -> None:
    """Any bytes as the answer to any text."""
    served.fake.body = content
    interpreter = served.with_patience(LONG)  # with a breaker that is closed
    try:
        assert isinstance(interpreter.read(text), Understanding)
        assert isinstance(interpreter.read(f"{QUESTION} {text}"), Understanding)
    finally:
        served.rasa.close()


@pytest.mark.parametrize("reply", [None, [], {}, {"model_file": None}, {"model_file": 5}, {"model_id": "x"}])
def test_a_status_without_a_model_is_none(reply: object) -> None:
    """Not every server that answers is a Rasa."""
    with pytest.raises(RasaError):
        read_status(reply)


def test_a_models_name_is_short_and_plain() -> None:
    """It goes into the store and onto a page: whatever the server calls it."""
    assert (
        read_status({"model_file": "a/b/<b>x y</b>.tar.gz", "model_id": "é" * 99}).model
        == "b_.tar.gz".removesuffix(".tar.gz") + "@" + "_" * 12
    )
    assert len(read_status({"model_file": "m" * 500, "model_id": "i" * 500}).model) < 60


# -- the breaker -------------------------------------------------------------------------------------------------------


def test_after_three_failures_nobody_asks_until_a_look_and_a_trial_went_well() -> None:
    """Closed, open, a look, one trial, closed again."""
    clock = Clock()
    breaker = Breaker(clock)
    assert [breaker.failed(certainly=False) for _ in range(IN_A_ROW)] == [False, False, True]
    assert breaker.advice() == "leave"
    clock.now += SHORTEST
    assert [breaker.advice() for _ in range(3)] == ["look", "leave", "leave"]
    breaker.looked(well=True)
    assert [breaker.advice() for _ in range(2)] == ["ask", "leave"]
    assert (breaker.succeeded(), breaker.advice(), breaker.succeeded()) == (True, "ask", False)


def test_failures_with_a_success_between_them_are_no_row() -> None:
    """Two of three messages may fail for ever."""
    breaker = Breaker(Clock())
    for _ in range(10):
        assert not breaker.failed(certainly=False)
        assert not breaker.failed(certainly=False)
        breaker.succeeded()
    assert breaker.closed


def test_it_is_left_alone_for_longer_each_time() -> None:
    """1, 2, 4 ... 30 seconds; also where looks go well and trials do not; from the beginning after a success."""
    clock = Clock()
    breaker = Breaker(clock)

    def pause() -> float:
        begun = clock.now
        while breaker.advice() != "look":
            clock.now += 0.5
        return clock.now - begun

    assert breaker.failed(certainly=True)
    found = []
    for turn in range(7):
        found.append(pause())
        breaker.looked(well=turn % 2 == 0)
        if turn % 2 == 0:
            assert breaker.advice() == "ask"
            assert not breaker.failed(certainly=False)
    assert found == [1, 2, 4, 8, 16, 30, 30]
    pause()
    breaker.looked(well=True)
    assert breaker.advice() == "ask"
    assert breaker.succeeded()
    assert breaker.failed(certainly=True)
    assert pause() == SHORTEST


def test_a_slow_server_keeps_people_waiting_for_a_while_only(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers well, so nothing is wrong with it; but fifty who write at once, one behind the other, have their answers in 2.5 s."""
    answer = bench.fake.parsed

    def slowly(text: str) -> dict[str, Any]:
        bench.clock.now += 0.6
        return answer(text)

    monkeypatch.setattr(bench.fake, "parsed", slowly)
    interpreter, begun = bench.with_patience(LONG), bench.clock.now
    found = [interpreter.read(QUESTION).backend for _ in range(50)]
    assert found == ["rasa"] * 2 + ["embedded"] * 48
    assert bench.clock.now - begun < 2.5
    bench.clock.now += LONGEST
    assert [interpreter.read(QUESTION).backend for _ in range(3)] == ["rasa", "rasa", "embedded"]
    (warning,) = told(caplog)
    assert "is slow" in warning


def test_a_quick_server_may_always_be_asked() -> None:
    """Nothing adds up where nobody waits; and where somebody did, it is forgotten after a while."""
    clock = Clock()
    allowance = Allowance(clock)
    for _ in range(1000):
        assert allowance.take()
        assert not allowance.give_back(QUICK)
    assert allowance.take()
    assert allowance.give_back(100.0)
    assert not allowance.take()
    clock.now += 2 * ALLOWED / GROWS
    assert allowance.take()
    assert not allowance.give_back(100.0)


def test_it_warns_once_and_tells_once_that_it_is_over(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """However many messages come in between; and those messages do not reach the server."""
    interpreter = bench.with_patience(LONG)
    assert interpreter.read(QUESTION).backend == "rasa"
    bench.fake.fault = 500
    assert {interpreter.read(QUESTION).backend for _ in range(20)} == {"embedded"}
    assert len(bench.fake.texts) == 1 + IN_A_ROW - 2  # after the first failure its health is asked for, and is as bad
    (warning,) = told(caplog)
    assert "cannot be used: it answers with 500" in warning
    bench.fake.fault = ""
    bench.clock.now += SHORTEST
    assert interpreter.read(QUESTION).backend == "embedded"
    bench.until_trial()
    assert {interpreter.read(QUESTION).backend for _ in range(5)} == {"rasa"}
    _, over = told(caplog)
    assert "answers again, with the model first@0123456789ab" in over


def test_a_look_that_finds_nothing_keeps_it_open(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """And says nothing more."""
    interpreter = bench.with_patience(LONG)
    bench.fake.fault = 401
    for _ in range(5):
        interpreter.read(QUESTION)
        looked = len(bench.fake.asked)
        bench.clock.now += LONGEST
        interpreter.read(QUESTION)
        until(lambda looked=looked: len(bench.fake.asked) > looked and bench.rasa._line.breaker._state == "open")  # type: ignore[misc]
    assert len(told(caplog)) == 1
    assert bench.fake.texts == []


def test_nothing_listens(reader: App, caplog: pytest.LogCaptureFixture) -> None:
    """One warning with the first message, and none with the next ones."""
    bench = Bench(reader)
    bench.fake.url = f"http://127.0.0.1:{free_port()}"
    interpreter = bench.with_patience(LONG)
    assert [interpreter.read(QUESTION).backend for _ in range(5)] == ["embedded"] * 5
    assert [line.split("cannot be used: ")[1].split(".")[0] for line in told(caplog)] == ["nothing answers there"]
    bench.rasa.close()


def test_a_server_that_dies_and_comes_back(reader: App) -> None:
    """Between two messages: the next one is read by ours, and after a look and a trial it is Rasa's again, with its new model."""
    bench = Bench(reader)
    with rasa(bench.fake) as kill:
        interpreter = bench.with_patience(LONG)
        assert interpreter.read(QUESTION).read_by == FIRST
        kill()
        assert interpreter.read(QUESTION).backend == "embedded"
    bench.fake.model_file, bench.fake.model_id = "second.tar.gz", "fedcba9876543210" * 2
    bench.fake.stopping.clear()
    with rasa(bench.fake, int(bench.fake.url.rsplit(":", 1)[1])):

        def came_back() -> bool:
            bench.clock.now += LONGEST
            return interpreter.read(QUESTION).read_by == SECOND

        until(came_back)
        bench.rasa.close()


def test_a_model_that_was_swapped_is_named_after_ten_seconds(bench: Bench) -> None:
    """Until then the name is believed."""
    interpreter = bench.with_patience(LONG)
    assert interpreter.read(QUESTION).read_by == FIRST
    bench.fake.model_file, bench.fake.model_id = "second.tar.gz", "fedcba9876543210" * 2
    bench.clock.now += FRESH
    assert interpreter.read(QUESTION).read_by == FIRST
    bench.clock.now += 0.1
    assert interpreter.read(QUESTION).read_by == SECOND
    assert bench.fake.asked.count("GET /status") == 2


def test_a_decision_names_its_model_though_another_message_fails_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure makes the name of the next one doubtful, not of this one."""
    answer = bench.fake.parsed
    found: list[str] = []

    def while_another_fails(text: str) -> dict[str, Any]:
        monkeypatch.setattr(bench.fake, "parsed", lambda _: {})
        assert interpreter.read(f"{QUESTION} 2").backend == "embedded"
        found.append(bench.rasa._line.model)
        return answer(text)

    monkeypatch.setattr(bench.fake, "parsed", while_another_fails)
    interpreter = bench.with_patience(LONG)
    assert interpreter.read(QUESTION).read_by == FIRST
    assert found == [""]


@pytest.mark.parametrize(
    ("means", "error"), [("asyncio.new_event_loop", OSError(24, "")), ("threading.Thread.start", RuntimeError())]
)
def test_a_process_that_has_no_means_to_ask_reads_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, means: str, error: Exception
) -> None:
    """No open file, or no thread, is to be had: nobody's message is lost by it, and it is asked when there is."""

    def refuse(*_: object) -> None:
        raise error

    interpreter = bench.with_patience(LONG)
    with monkeypatch.context() as poor:
        poor.setattr(means, refuse)
        interpreter.wake()
        for _ in range(IN_A_ROW + 1):
            assert interpreter.read(QUESTION).backend == "embedded"
            bench.clock.now += LONGEST
    bench.clock.now += LONGEST
    assert interpreter.read(QUESTION).backend == "embedded"
    bench.until_trial()
    assert interpreter.read(QUESTION).backend == "rasa"


# -- threads and processes ---------------------------------------------------------------------------------------------


def test_many_threads_get_each_their_own_answer(bench: Bench) -> None:
    """Replies are not mixed up: each is believed only with its own text."""
    interpreter = bench.with_patience(LONG)
    found: list[str] = []

    def reads(name: str) -> None:
        found.extend(interpreter.read(f"{QUESTION} {name} {number}").backend for number in range(25))

    threads = [threading.Thread(target=reads, args=(f"nguoi {number}",)) for number in range(AT_ONCE)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == ["rasa"] * 25 * AT_ONCE
    assert len(set(bench.fake.texts)) == 25 * AT_ONCE


def test_s_26_however_many_come_a_few_wait_for_a_server_that_hangs(bench: Bench) -> None:
    """The turns of the channels are four at the same time: one of them is always there for a cry for help."""
    assert AT_ONCE < THREADS
    interpreter = bench.with_patience(LONG)
    bench.fake.fault, bench.fake.ill_status = "hang", False
    waiting = [threading.Thread(target=interpreter.read, args=(f"{QUESTION} {number}",)) for number in range(AT_ONCE)]
    for one in waiting:
        one.start()
    until(lambda: len(bench.fake.texts) == AT_ONCE)
    assert {interpreter.read(QUESTION).backend for _ in range(5)} == {"embedded"}
    assert all(one.is_alive() for one in waiting)
    bench.fake.fault = ""
    bench.fake.stopping.set()
    for one in waiting:
        one.join()
    assert interpreter.read(QUESTION).backend == "rasa"


copied: list[Interpreter] = []  # what a copy of this process finds here


def read_in_copy(text: str) -> str:
    return copied[-1].read(text).read_by


@linux
def test_a_copy_of_a_process_has_its_own_connections(bench: Bench) -> None:
    """Copied from one that has used its own already."""
    copied.append(bench.with_patience(LONG))
    assert read_in_copy(QUESTION) == FIRST
    before = bench.fake.connections
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert [pool.submit(read_in_copy, QUESTION).result() for _ in range(3)] == [FIRST] * 3
        assert read_in_copy(QUESTION) == FIRST
    assert bench.fake.connections > before


@pytest.fixture
def readers(bench: Bench) -> Iterator[Readers]:
    """One process that reads, and a Rasa that this one waits for."""
    built = Readers(bench.with_patience(LONG), 1)
    yield built
    built.close()


@linux
def test_a_reading_process_leaves_the_asking_to_its_parent(bench: Bench, readers: Readers) -> None:
    """One breaker, one warning and one set of connections, however many processes read."""
    assert readers.read(QUESTION).read_by == FIRST
    assert bench.rasa._line.model == FIRST.removeprefix("rasa ")
    assert bench.fake.texts == [QUESTION]


@linux
def test_s_26_a_cry_for_help_does_not_queue_behind_a_message_that_waits(bench: Bench, readers: Readers) -> None:
    """Nor does the reading process: while others wait for a Rasa that hangs, it reads on."""
    bench.fake.fault = "hang"
    waiting = threading.Thread(target=readers.read, args=(QUESTION,))
    waiting.start()
    until(lambda: bool(bench.fake.asked))
    assert readers.read(CRY).kind == "emergency"
    assert waiting.is_alive()
    bench.fake.stopping.set()
    waiting.join()


def test_it_is_looked_for_before_anybody_writes(reader: App, caplog: pytest.LogCaptureFixture) -> None:
    """Its absence is told at the start."""
    bench = Bench(reader)
    bench.fake.url = f"http://127.0.0.1:{free_port()}"
    bench.with_patience(LONG).wake()
    until(lambda: len(told(caplog)) == 1)
    bench.rasa.close()


# -- nothing is told ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_no_log_holds_the_token_or_a_word(bench: Bench, caplog: pytest.LogCaptureFixture, fault: str | int) -> None:
    """At every level, of every library, in every fault; nor does an error or what is printed of the client."""
    caplog.set_level(logging.DEBUG)
    bench.fake.fault, bench.fake.ill_status = fault, False
    interpreter = bench.with_patience(SHORT if fault else LONG)
    bench.rasa._line._running().set_debug(True)
    for _ in range(IN_A_ROW + 1):
        interpreter.read(QUESTION)
    shown = caplog.text + repr(bench.rasa) + "".join(str(vars(record)) for record in caplog.records)
    assert TOKEN not in shown
    assert QUESTION not in shown
    assert bench.fake.texts


def test_no_error_holds_them(bench: Bench) -> None:
    """Not in its words, and not in what it came from."""

    async def call() -> None:
        server = RasaServer(bench.fake.url, TOKEN)
        try:
            await server.parse(QUESTION, {"offer"}, SHORT)
        finally:
            await server.close()

    for fault in FAULTS:
        bench.fake.fault = fault
        with pytest.raises(RasaError) as caught:
            asyncio.run(call())
        assert TOKEN not in str(caught.value)
        assert QUESTION not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rasa_house(tmp_path: Path, reader: App) -> Iterator[tuple[App, FakeRasa]]:
    """A whole house that asks a Rasa."""
    fake = FakeRasa()
    house = _house(tmp_path / "home", reader.classifier)
    with rasa(fake):
        client = Rasa(fake.url, TOKEN, LONG)
        house.__dict__["interpreter"] = beside(reader, client)
        yield house, fake
        client.close()
        close(house)


def test_a_day_tells_which_model_read_its_messages(rasa_house: tuple[App, FakeRasa]) -> None:
    """Counted with the outcomes: Rasa's, and ours for the cry for help."""
    house, _ = rasa_house
    ours = f"embedded {house.classifier.model}"
    for number, text in enumerate((QUESTION, QUESTION, "menu", CRY)):
        house.processor.handle(message(text, number=number))
    with house.database.read() as connection:
        assert outcomes.read_by(connection, START, 7) == {FIRST: 3, ours: 1}
        assert sum(outcomes.lately(connection, START, 7).values()) == 4


def test_a_case_tells_which_model_read_what_it_is_about(rasa_house: tuple[App, FakeRasa]) -> None:
    """Of a report that somebody agreed to: the model that read the report, though another one has read the yes."""
    house, fake = rasa_house
    fake.ranking = [("report", 0.95), ("offer", 0.05)]
    house.processor.handle(message(REPORT))
    fake.fault = 500
    for number, text in enumerate(("1", "đồng ý"), 2):
        house.processor.handle(message(text, number=number))
    assert [line.body["read_by"] for line in story(house.database) if line.kind == "opened"] == [FIRST]


def test_a_case_of_danger_tells_who_saw_it(rasa_house: tuple[App, FakeRasa]) -> None:
    """Our own rules, with the fingerprint of what they learned."""
    house, _ = rasa_house
    house.processor.handle(message(CRY))
    (opened,) = [line.body for line in story(house.database) if line.kind == "opened"]
    assert opened["read_by"] == f"embedded {house.classifier.model}"


def test_a_talk_names_the_model_of_its_own_matter_only(reader: App) -> None:
    """Whoever asks for a person after a report has ended is not told to have been read by the model of the report."""
    rehearsal = reader.rehearsal()
    _, turn = rehearsal.say("gap nguoi", START)
    assert turn.conversation.read_by == f"embedded {reader.classifier.model}"
    rehearsal.say("an toàn", START)
    _, turn = rehearsal.say("đồng ý", START)
    requested = [event.read_by for event in turn.events if isinstance(event, CaseRequested)]
    assert requested in ([], [f"embedded {reader.classifier.model}"])


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_what_was_counted_before_stays_counted(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The tallies of a database of the version before."""
    url = request.getfixturevalue("postgres_database") if kind == "postgres" else f"sqlite:///{tmp_path / 'old.db'}"
    engine, keyring = store.engine_of(url), create_keyring(tmp_path / "keyring.json")
    config = AlembicConfig()
    config.set_main_option("script_location", str(store._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        old = table("turn_tallies", column("day", Date()), column("outcome"), column("shard"), column("count"))
        for shard, count in ((0, 3), (1, 4)):
            connection.execute(insert(old).values(day=START.date(), outcome="answered", shard=shard, count=count))
    store.upgrade(engine, keyring)
    with engine.begin() as connection:
        assert outcomes.read_by(connection, START, 1) == {"embedded": 7}
        outcomes.note(connection, "answered", FIRST, START)
        assert outcomes.lately(connection, START, 1) == {"answered": 8}
        assert connection.execute(select(tables.turn_tallies.c.day).distinct()).scalars().all() == [START.date()]
    engine.dispose()


# -- configuration and commands ----------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, reader: App) -> Path:
    """A folder with a config.yml of its own, and a home in which the model lies."""
    assert reader.classifier
    for name in ("content", "nlu"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "model").symlink_to(ROOT / "var" / "model")
    shutil.copy(ROOT / "config.yml", tmp_path)
    return tmp_path


def with_rasa(project: Path, url: str, **more: object) -> Path:
    path = project / "config.yml"
    section = json.dumps({"nlu": {"backend": "rasa", "rasa": {"url": url, **more}}})
    path.write_text(f"bot: {section}\n", encoding="utf-8")
    return path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("url", ["http://rasa:5005", "http://10.0.0.5:5005", "ftp://127.0.0.1", "http://u:p@127.0.0.1", "http://127.0.0.1/?token=x"])  # fmt: skip
def test_nothing_leaves_in_the_clear(project: Path, url: str) -> None:
    """Plain http to another machine, and addresses that hold a secret, are refused with a sentence that says what to do."""
    with pytest.raises(ConfigError, match=r"bot\.nlu\.rasa"):
        load_config(with_rasa(project, url), {})


@pytest.mark.parametrize("url", ["https://rasa.example.org", "http://127.0.0.1:5005/", "http://localhost:5005", "http://[::1]:5005"])  # fmt: skip
def test_these_addresses_serve(project: Path, url: str) -> None:
    """https, and this machine."""
    assert load_config(with_rasa(project, url), {}).bot.nlu.rasa.url == url


def test_a_network_that_is_ours_alone_is_said_to_be_so(project: Path) -> None:
    """As between two containers."""
    assert load_config(with_rasa(project, "http://rasa:5005", trusted_network=True), {}).bot.nlu.rasa.trusted_network


def test_the_token_is_the_environments_or_the_files(project: Path) -> None:
    """In this order; without either there is none."""
    path = with_rasa(project, "http://127.0.0.1:5005")
    assert App(load_config(path, {})).rasa_token is None
    (project / "var" / "rasa").mkdir()
    (project / "var" / "rasa" / "token").write_text("of-the-file\n", encoding="utf-8")
    assert App(load_config(path, {})).rasa_token == "of-the-file"
    given = App(load_config(path, {"BANDUONG_RASA_TOKEN": "of-the-environment"}))
    assert given.rasa_token == "of-the-environment"
    assert "of-the-environment" not in repr(given.config)


QUIET = """
import sys
from pathlib import Path
from bot.app import App
from bot.config import load_config
from bot.service import Service
from bot.web.pages import create_site
house = App(load_config(Path(sys.argv[1])), print)
readers = house.read_apart()
house.processor
create_site(house, Service(house, send=True, receive=True))
print(readers.read("xin chào").backend)
readers.close()
print([name for name in sys.modules if "rasa" in name or name.partition(".")[0] == "httpx"])
"""


def test_without_rasa_nothing_of_it_is_there(project: Path) -> None:
    """A whole server with our own backend imports none of it and says nothing of it."""
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(project / "config.yml")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout.splitlines(), done.stderr) == (["embedded", "[]"], "")


def test_without_a_server_it_starts_warns_once_and_answers(project: Path) -> None:
    """`banduong ask --batch` with a Rasa that is not there."""
    path = with_rasa(project, f"http://127.0.0.1:{free_port()}")
    rows = project / "rows.jsonl"
    rows.write_text("".join(json.dumps({"id": n, "text": QUESTION}) + "\n" for n in range(5)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "--config", str(path), "ask", "--batch", str(rows)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["backend"], row["topic"]) for row in read] == [("embedded", "verify_agency")] * 5
    assert all(row["reply"] and len(row["model"]) == 12 for row in read)
    assert done.stderr.count("\n") == done.stderr.count("cannot be used: nothing answers there.") == 1


@pytest.fixture
def told_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDUONG_RASA_TOKEN", TOKEN)


@pytest.mark.usefixtures("told_token")
def test_status_tells_version_and_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And why, where there is none."""
    fake = FakeRasa()
    with rasa(fake):
        path = with_rasa(project, fake.url)
        assert main(["--config", str(path), "rasa", "status"]) == 0
        assert capsys.readouterr().out == f"Rasa 3.6.21 at {fake.url}\nmodel: first@0123456789ab\n"
        fake.fault = 409
        assert main(["--config", str(path), "rasa", "status"]) == 1
        assert "it has no model" in capsys.readouterr().err
    assert main(["--config", str(path), "rasa", "status"]) == 1
    assert "nothing answers there" in capsys.readouterr().err


@pytest.mark.usefixtures("told_token")
def test_swap_gives_it_another_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are named; what is no model never gets there."""
    fake = FakeRasa()
    model, other = project / "second.tar.gz", project / "other.tar.gz"
    (project / "metadata.json").write_text("{}", encoding="utf-8")
    subprocess.run(["tar", "czf", str(model), "metadata.json"], cwd=project, check=True)
    subprocess.run(["tar", "czf", str(other), "config.yml"], cwd=project, check=True)
    with rasa(fake):
        path = with_rasa(project, fake.url)
        assert main(["--config", str(path), "rasa", "swap", str(other)]) == 2
        assert main(["--config", str(path), "rasa", "swap", str(project / "nothing.tar.gz")]) == 2
        assert main(["--config", str(path), "rasa", "swap", str(path)]) == 2
        assert fake.asked == []
        assert main(["--config", str(path), "rasa", "swap", str(model)]) == 0
        assert capsys.readouterr().out == "first@0123456789ab -> second@fedcba987654\n"
