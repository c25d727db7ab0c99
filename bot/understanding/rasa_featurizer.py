"""Rasa's counts of words and letters, weighted as our own classifier weights them.

With bare counts Rasa's LogisticRegressionClassifier does not come to an end on these data in any bearable time, and letters are
no use to it (docs/decisions/0016-rasa.md). Runs in Rasa's own Python, with the libraries that Rasa brings.
"""

from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.featurizers.sparse_featurizer.count_vectors_featurizer import CountVectorsFeaturizer
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

IDF = "idf.npy"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class TfidfFeaturizer(CountVectorsFeaturizer):  # type: ignore[misc]
    """Takes the settings of CountVectorsFeaturizer, and `weight`: the length of each message's features.

    Only whole messages get features, not single words: the intent classifier looks at nothing else.
    """

    _idf: "np.ndarray[Any, Any]"

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {**CountVectorsFeaturizer.get_default_config(), "weight": 1.0}

    @staticmethod
    def _attributes_for(analyzer: str) -> list[str]:
        return [TEXT]

    def _fit_vectorizer_from_scratch(self, attribute: str, attribute_texts: list[str]) -> None:
        super()._fit_vectorizer_from_scratch(attribute, attribute_texts)
        counts = self.vectorizers[attribute].transform(attribute_texts)
        self._idf = TfidfTransformer().fit(counts).idf_

    def process(self, messages: list[Message]) -> list[Message]:
        """All messages at once: one by one, as Rasa does it, costs minutes of a training."""
        spoken = [message for message in messages if message.get(TEXT) is not None]
        if spoken:
            texts = [" ".join(self._get_processed_message_tokens_by_attribute(message)) for message in spoken]
            for message, row in zip(spoken, self._weighted(self.vectorizers[TEXT].transform(texts)), strict=True):
                self.add_features_to_message(None, row.tocoo(), TEXT, message)
        return messages

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        rows = counts.astype(np.float64)
        rows.data = 1 + np.log(rows.data)
        rows = rows.multiply(self._idf).tocsr()
        lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        scale = self._config["weight"] / np.where(lengths > 0, lengths, 1)
        return sparse.diags(scale) @ rows

    def persist(self) -> None:
        super().persist()
        with self._model_storage.write_to(self._resource) as folder:
            np.save(folder / IDF, self._idf, allow_pickle=False)

    @classmethod
    def load(
        cls, config: dict[str, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "TfidfFeaturizer":  # fmt: skip
        featurizer: TfidfFeaturizer = super().load(config, model_storage, resource, execution_context, **kwargs)
        with model_storage.read_from(resource) as folder:
            featurizer._idf = np.load(folder / IDF, allow_pickle=False)
        return featurizer
