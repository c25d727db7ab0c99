"""Messages read in a process of their own: the same readings, and no message lost with the process."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.app import App
from bot.understanding.interpreter import Begun
from bot.understanding.readers import Readers
from bot.understanding.reading import Understanding
from tests.conftest import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="copies of a process are made on Linux only")
TEXTS = [
    json.loads(row)["text"]
    for row in (ROOT / "nlu" / "eval" / "seen.jsonl").read_text(encoding="utf-8").splitlines()[:100]
]
PATIENCE = 20.0


class Slow:
    """Tells which process it runs in."""

    def read(self, text: str) -> Understanding:
        return self.complete(self.begin(text))

    def begin(self, text: str) -> Begun:
        return Begun(Understanding("vi", str(os.getpid()), plain=text), None)

    def complete(self, begun: Begun) -> Understanding:
        return begun.reading

    def wake(self) -> None:
        pass


class Hangs(Slow):
    """Anywhere but in one process, once it is asked something."""

    def __init__(self, home: int) -> None:
        self.home = home

    def begin(self, text: str) -> Begun:
        if text and os.getpid() != self.home:
            time.sleep(3600)
        return super().begin(text)


@pytest.fixture
def readers() -> Iterator[Readers]:
    built = Readers(Slow(), 1)
    yield built
    built.close()


def test_the_readings_are_the_same(reader: App) -> None:
    """Whatever process reads a message, it is understood alike."""
    apart = Readers(reader.interpreter, 2)
    try:
        assert [apart.read(text) for text in TEXTS] == [reader.interpreter.read(text) for text in TEXTS]
    finally:
        apart.close()


@linux
def test_a_lost_reading_process_loses_no_message(readers: Readers) -> None:
    """Killed, it is done without: the message at hand and all later ones are read here."""
    there = int(readers.read("one").kind)
    assert there != os.getpid()
    os.kill(there, signal.SIGKILL)
    assert [int(readers.read(text).kind) for text in ("two", "three")] == [os.getpid()] * 2


@linux
def test_a_hung_reading_process_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, the message is read here, and nothing waits for it at the end."""
    monkeypatch.setattr("bot.understanding.readers.PATIENCE", 0.2)
    readers = Readers(Hangs(os.getpid()), 1)
    assert int(readers.read("one").kind) == os.getpid()
    until = time.monotonic() + PATIENCE
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.01)
    assert multiprocessing.active_children() == []


def test_no_process_is_made_where_none_is_wanted() -> None:
    """With 0 everything is read here."""
    assert int(Readers(Slow(), 0).read("one").kind) == os.getpid()


@linux
def test_the_reading_process_goes_with_its_parent(tmp_path: Path) -> None:
    """After kill -9 of the server nothing is left behind."""
    script = (
        "import time; from tests.test_readers import Slow; from bot.understanding.readers import Readers\n"
        "print(Readers(Slow(), 1).read('one').kind, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + PATIENCE
    while _lives(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
