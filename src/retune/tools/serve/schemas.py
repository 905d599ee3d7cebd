"""What clients send and get, as JSON: the question-answering task of the Hugging Face hub's API.

`huggingface_hub.InferenceClient(URL).question_answering(...)` therefore is a client.
"""

from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retune.core.errors import RetuneError
from retune.inference.reader import Options

_STRICT = ConfigDict(strict=True, extra="forbid")
_LONGEST = 8192  # tokens; models have fewer positions
_FAULTS = 5  # that an error lists


class Inputs(BaseModel):
    """A question and the text that has the answer."""

    model_config = _STRICT
    question: str = Field(pattern=r"\S", description="The question.")
    context: str = Field(pattern=r"\S", description="The text that has the answer.")


class Parameters(BaseModel):
    """Options, with the names of the question-answering pipeline of transformers 4."""

    model_config = _STRICT
    top_k: int = Field(default=1, ge=1, le=100, description="Most answers to return.")
    handle_impossible_answer: bool | None = Field(
        default=None, description="Whether there may be no answer; by default as trained."
    )
    max_answer_len: int | None = Field(
        default=None, ge=1, le=_LONGEST, description="Tokens of the longest answer."
    )
    max_seq_len: int | None = Field(
        default=None, ge=1, le=_LONGEST, description="Tokens of a window."
    )
    doc_stride: int | None = Field(
        default=None, ge=0, le=_LONGEST, description="Tokens that neighbouring windows share."
    )
    max_question_len: int | None = Field(
        default=None, ge=1, le=_LONGEST, description="Tokens that are read of a question."
    )
    align_to_words: bool | None = Field(
        default=None, description="Whether to widen answers to whole words."
    )

    def options(self) -> Options:
        """Return the options that were given."""
        return cast(Options, self.model_dump(exclude={"top_k"}, exclude_none=True))


class Asked(BaseModel):
    """The body of a request."""

    model_config = _STRICT
    inputs: Inputs
    parameters: Parameters = Parameters()


class AnswerBody(BaseModel):
    """An answer; several are in a list, the best first."""

    answer: str = Field(description='The text; "" if there is no answer, or if it is withheld.')
    score: float = Field(ge=0, le=1, description="Its share among the candidates.")
    start: int = Field(ge=0, description="Its first character in the context.")
    end: int = Field(ge=0, description="The character behind its last.")
    confidence: float | None = Field(
        description="How probable it is that the answer is right, if the model is calibrated."
    )
    abstained: bool = Field(description="Whether it is withheld for too little confidence.")


class ErrorBody(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="What is wrong, and what to do.")


class ModelBody(BaseModel):
    """The model that answers.

    Attributes:
        name: folder or id.
        variant: that retune trained; None for other models.
        squad_v2: whether it was trained on unanswerable questions, too.
        calibrated: whether answers have a confidence.
        min_confidence: answers of less confidence are withheld.
        n_best: answers beyond these are not found by the settings that were scored.
    """

    name: str
    variant: str | None
    squad_v2: bool
    calibrated: bool
    min_confidence: float | None
    n_best: int


class Health(BaseModel):
    """Whether questions are answered."""

    status: Literal["ok", "failed"]
    version: str
    model: ModelBody


def read_body(body: bytes) -> Asked:
    """Read the body of a request.

    Raises:
        RetuneError: it is not what `Asked` describes.
    """
    try:
        return Asked.model_validate_json(body)
    except ValidationError as error:
        faults = [_sentence(fault) for fault in error.errors(include_url=False)[:_FAULTS]]
        raise RetuneError("; ".join(faults)) from None


def _sentence(fault: Any) -> str:
    """Return where a fault is, and what it is."""
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] == "json_invalid":
        return f"the body is not JSON: {fault['ctx']['error']}"
    if fault["type"] == "string_pattern_mismatch":
        return f"{place}: is blank; give a text"
    return f"{place or 'the body'}: {fault['msg']}"
