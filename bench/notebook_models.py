"""The two baselines of notebook N1 as a notebook writes them: packed sequences, PyTorch's layer."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers.modeling_outputs import QuestionAnsweringModelOutput


class NotebookLstm(nn.Module):
    """Embedding, one LSTM over sequences packed by their length, linear to 2."""

    def __init__(self, vocabulary: int = 30522, size: int = 768) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.output = nn.Linear(size, 2)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T)."""
        lengths = attention_mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(
            self.embedding(input_ids), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=input_ids.shape[1]
        )
        start, end = self.output(states).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)


class NotebookTransformer(nn.Module):
    """Embedding, PyTorch's encoder layer with a mask of keys, linear to 2."""

    def __init__(self, vocabulary: int = 30522, size: int = 768) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.layer = nn.TransformerEncoderLayer(size, 12, 2048, 0.1, batch_first=True)
        self.output = nn.Linear(size, 2)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T)."""
        states = self.layer(self.embedding(input_ids), src_key_padding_mask=attention_mask == 0)
        start, end = self.output(states).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)
