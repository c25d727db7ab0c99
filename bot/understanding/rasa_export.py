"""nlu/ -> a folder from which Rasa learns what our own classifier learns: each sentence as written and without diacritics.

The folder is a whole Rasa project. The tokenizer that its pipeline names lies in it as well, so it can be carried elsewhere.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import yaml

from bot.errors import UsageError
from bot.letters import fold
from bot.understanding.nlu_data import Example, Span, read_examples, read_phrases
from bot.yaml_files import load_yaml

BOT = Path(__file__).parents[1]
COMPONENT = (
    "__init__.py", "errors.py", "letters.py", "yaml_files.py", "understanding/__init__.py", "understanding/language.py",
    "understanding/normalise.py", "understanding/rasa_words.py", "understanding/rasa_tokenizer.py",
)  # fmt: skip
FINGERPRINT = "fingerprint"  # of everything in the folder; a folder that has none is not ours to write over
OURS = "bot"  # the section of config.yml that Rasa does not read


class Exported(NamedTuple):
    """How many sentences and folded copies the folder holds, and whether any of it had changed."""

    sentences: int
    copies: int
    changed: bool


def export(config: Path, nlu_folder: Path, folder: Path) -> Exported:
    """Makes `folder` anew if anything in it would change, and leaves it alone otherwise."""
    examples = read_examples(nlu_folder / "data")
    copies = folded_copies(examples)
    files = {
        "config.yml": _pipeline(config),
        "domain.yml": (nlu_folder / "domain.yml").read_bytes(),
        "endpoints.yml": (nlu_folder / "endpoints.yml").read_bytes(),
        "nlu/teencode.yml": (nlu_folder / "teencode.yml").read_bytes(),
        "data/sentences.yml": _sentences(examples),
        "data/folded.yml": _sentences(copies),
        "data/lookups.yml": _lookups(read_phrases(nlu_folder / "data")),
        **{f"bot/{name}": (BOT / name).read_bytes() for name in COMPONENT},
    }
    return Exported(len(examples), len(copies), _write(files, folder))


def folded_copies(examples: Iterable[Example]) -> list[Example]:
    """Each sentence without diacritics, with its annotations, unless that is a sentence already."""
    known = {example.text for example in examples}
    copies = []
    for example in examples:
        text = fold(example.text)
        if text not in known:
            known.add(text)
            copies.append(Example(example.intent, text, tuple(_folded(span, example.text) for span in example.spans)))
    return copies


def _folded(span: Span, text: str) -> Span:
    return Span(len(fold(text[: span.start])), len(fold(text[: span.end])), span.entity)


def _training_data(
    name: str, of: Callable[[Example], str], examples: Iterable[Example], marked: Callable[[Example], str]
) -> bytes:
    """`name`: intent or lookup; `of`: which one an example belongs to."""
    lines = ['version: "3.1"', "nlu:"]
    for entry, group in groupby(sorted(examples, key=of), key=of):
        lines += [f"- {name}: {entry}", "  examples: |", *(f"    - {marked(example)}" for example in group)]
    return "\n".join([*lines, ""]).encode()


def _sentences(examples: Iterable[Example]) -> bytes:
    return _training_data("intent", lambda example: example.intent, examples, _marked)


def _lookups(phrases: Iterable[Example]) -> bytes:
    return _training_data("lookup", lambda phrase: phrase.spans[0].entity, phrases, lambda phrase: phrase.text)


def _marked(example: Example) -> str:
    """With its annotations, as in nlu/data."""
    parts, position = [], 0
    for span in example.spans:
        parts += [example.text[position : span.start], f"[{example.text[span.start : span.end]}]({span.entity})"]
        position = span.end
    return "".join(parts) + example.text[position:]


def _pipeline(config: Path) -> bytes:
    """Rasa's own part of config.yml: when ours changes, there is nothing to learn."""
    theirs = {key: value for key, value in load_yaml(config).items() if key != OURS}
    return yaml.safe_dump(theirs, allow_unicode=True, sort_keys=False).encode()


def _write(files: Mapping[str, bytes], folder: Path) -> bool:
    digest = hashlib.sha256(b"".join(b"%b\0%b\0" % (name.encode(), content) for name, content in files.items()))
    mark = folder / FINGERPRINT
    if mark.exists() and mark.read_text(encoding="utf-8") == digest.hexdigest() and _is_whole(files, folder):
        return False
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise UsageError(f"{folder} holds something else: name a folder that is empty or not there yet.")
    mark.unlink(missing_ok=True)
    for part in {name.split("/")[0] for name in files if "/" in name}:
        shutil.rmtree(folder / part, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    mark.write_text(digest.hexdigest(), encoding="utf-8")
    return True


def _is_whole(files: Mapping[str, bytes], folder: Path) -> bool:
    """Whether nothing was deleted or edited there since."""
    return all((path := folder / name).is_file() and path.read_bytes() == content for name, content in files.items())
