"""The tokenizer that config.yml names: Rasa sees the words that our own classifier sees.

Runs in Rasa's own Python (3.10), so whatever it imports of ours is content with the standard library and PyYAML.
"""

import hashlib
from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.training_data.message import Message

from bot.understanding.normalise import Normaliser
from bot.understanding.rasa_words import rasa_words

ROOT = Path(__file__).parents[2]
SPELLING = ("bot/letters.py", "bot/understanding/language.py", "bot/understanding/normalise.py")


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class VietnameseTokenizer(Tokenizer):  # type: ignore[misc]
    """`text` of a token is the word as written, in lower case; `lemma` its plain form (`use_lemma` of the featurizers chooses)."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._normaliser = Normaliser.from_file(ROOT / config["teencode"])

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "VietnameseTokenizer":
        return cls(config)

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {
            "teencode": "nlu/teencode.yml",  # from the project's root
            "intent_tokenization_flag": False,
            "intent_split_symbol": "_",
        }

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """Rasa keeps what it has computed; other short forms, or another way to spell, make it compute anew."""
        files = [ROOT / name for name in ((cls.get_default_config() | config)["teencode"], *SPELLING)]
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        words = rasa_words(message.get(attribute), self._normaliser)
        return [Token(word.written, word.start, word.end, lemma=word.plain) for word in words]
