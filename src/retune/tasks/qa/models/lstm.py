"""The course notebook's LSTM: embedding, one unidirectional LSTM, linear to 2 logits."""

from pathlib import Path

from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from retune.core.params import STRICT, Positive
from retune.models.recurrent import LSTM, require_right_padding
from retune.models.registration import registered


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.lstm`; the notebook's sizes are 768 and 768."""

    embedding_size: Positive
    hidden_size: Positive


class LstmConfig(PretrainedConfig):
    """Sizes of `LstmForQuestionAnswering`."""

    model_type = "retune_lstm"

    vocab_size: int = 1
    pad_token_id: int | None = None
    embedding_size: int = 1
    hidden_size: int = 1


@registered(AutoModelForQuestionAnswering)
class LstmForQuestionAnswering(PreTrainedModel):
    """Reads left to right, so that a token's logits depend on nothing behind it."""

    config_class = LstmConfig

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.lstm = LSTM(config.embedding_size, config.hidden_size, batch_first=True)
        self.output = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Keep PyTorch's own initialisation, as the notebook did."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T) of right-padded windows; segments are not used.

        Raises:
            RetuneError: a window is padded on the left.
        """
        require_right_padding(attention_mask, "lstm: a window")
        states = self.lstm.states(self.embedding(input_ids))
        start, end = self.output(states).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Build a fresh model for the tokenizer's vocabulary; `pretrained` is not used."""
    config = LstmConfig(
        vocab_size=vocabulary_size,
        pad_token_id=pad_token_id,
        embedding_size=params.embedding_size,
        hidden_size=params.hidden_size,
    )
    return LstmForQuestionAnswering(config)
