"""The table of all kinds of findings: what each means, and how to correct it."""

from dataclasses import dataclass

from retune.ingest.findings import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    The download stage refuses data with an `error` and accepts a `note`. `mend` is what
    `retune doctor --fix` does if the correction is certain, "" if it never is. `remedy` is what a
    person can do.
    """

    severity: Severity
    meaning: str
    remedy: str
    mend: str = ""


_BY_HAND = "correct text or offset by hand"
_SAVE = "save the file again as UTF-8"
_EXPORT = "export the file again"

KINDS = {
    # The file as bytes and text; what is not corrected here makes a file unreadable.
    "wrong_encoding": Kind("error", "not UTF-8", _SAVE, "converts UTF-16/32 with a mark"),
    "bom": Kind("note", "a byte order mark before UTF-8 text", _SAVE, "removes it"),
    "crlf": Kind("note", "Windows line ends in JSON; harmless", "nothing"),
    "archive": Kind("error", "a compressed file", "unpack it"),
    "empty_file": Kind("error", "a file without records", "check where it came from"),
    "unreadable": Kind("error", "a file that cannot be opened", "check path and rights"),
    "truncated": Kind("error", "JSON that is cut off", "fetch or export the file again"),
    "trailing_comma": Kind("error", "a comma before a closing bracket", "remove it", "removes it"),
    "duplicate_key": Kind("error", "one key twice in a JSON object", "keep one of the two"),
    "invalid_json": Kind("error", "text that is not JSON", "correct the place named"),
    "invalid_csv": Kind("error", "a CSV file with broken quotes", _EXPORT),
    "invalid_parquet": Kind("error", "a damaged Parquet file", _EXPORT),
    "missing_column": Kind("error", "a table without a column that is needed", "rename or add it"),
    "unknown_form": Kind(
        "error", "a file of another form than questions", "see README, Your own data"
    ),
    # Its structure.
    "malformed": Kind(
        "error",
        "an item that is not an article, paragraph or question",
        "correct it",
        "with --drop: leaves it out",
    ),
    "bare_list": Kind(
        "note", "a list of articles without an object around it", 'write {"data": [...]}', "adds it"
    ),
    "mixed_layout": Kind(
        "note", "articles, paragraphs and questions mixed", "write one layout", "nests them all"
    ),
    "missing_title": Kind("note", "an article without a title", "give it one", 'writes ""'),
    "list_answers": Kind(
        "note", "answers as two lists in nested JSON", "write a list of objects", "rewrites them"
    ),
    "wrong_version": Kind(
        "note", "version 1.1 but unanswerable questions", 'write "v2.0"', 'writes "v2.0"'
    ),
    "mixed_versions": Kind(
        "note", "some questions say is_impossible, some do not", "add it", "adds it"
    ),
    "impossible_unsaid": Kind(
        "note", "no answers, but no is_impossible: true", "add it, or an answer", "adds it"
    ),
    # Fields of a question.
    "missing_field": Kind(
        "error", "a field is missing", "add it", "adds what follows from the others"
    ),
    "wrong_type": Kind(
        "error",
        "a value of a wrong type",
        "write it as the type named",
        "writes what the value plainly means",
    ),
    "converted": Kind(
        "note", "a value in another form, read as what it means", "nothing", "writes it plainly"
    ),
    "empty_field": Kind("error", "an empty id, context or question", "fill it, or delete"),
    "bad_id": Kind("error", "an id too long or with control characters", "choose another"),
    "duplicate_id": Kind("error", "one id on two different questions", "change one"),
    "duplicate_id_same": Kind(
        "error", "the same question twice, id and all", "delete one", "drops the second"
    ),
    "repeated_id": Kind("note", "download kept another question of this id", "nothing"),
    "repeated_question": Kind(
        "note", "one question twice on one context", "nothing, or delete one"
    ),
    "differing_copies": Kind(
        "note", "copies of a question, one with an answer", "correct one, or delete it"
    ),
    "long_context": Kind("error", "a context over 10,000,000 characters", "split it"),
    # Characters; a context is never changed, since offsets count its characters.
    "lone_surrogate": Kind("error", "half of a surrogate pair", _EXPORT),
    "control_characters": Kind("note", "control characters", "nothing, or clean the source"),
    "invisible_characters": Kind(
        "note", "zero-width or direction characters", "nothing, or clean the source"
    ),
    "replacement_character": Kind("note", "U+FFFD: a letter lost in conversion", _EXPORT),
    "mojibake": Kind("note", "UTF-8 once read as Windows-1252", _EXPORT),
    "unicode_mix": Kind(
        "note", "accents apart (not NFC) beside composed ones", "normalise, then find offsets"
    ),
    # Answers.
    "empty_answer": Kind(
        "error",
        "an answer without text",
        "write `answers: []`, or fill it",
        "if is_impossible: writes []",
    ),
    "answers_length": Kind("error", "not as many texts as offsets", "correct the lists"),
    "misaligned": Kind(
        "error",
        "an answer that is not at its offset",
        _BY_HAND,
        "moves it: within 2 characters, or to its only place",
    ),
    "not_verbatim": Kind(
        "error",
        "an answer that is there in another spelling",
        "take the context's own characters",
        "takes the context's own characters",
    ),
    "offset_units": Kind(
        "error",
        "offsets that count another unit than code points",
        "`qa.download.realign: true`",
        "converts them all",
    ),
    "realigned": Kind("note", "download moved an answer (`realign`)", "nothing"),
    "trimmed": Kind("note", "white space at an answer's edge", "trim it", "trims it"),
    "dropped_answer": Kind(
        "note",
        "a misaligned answer that download left out (`realign`)",
        _BY_HAND,
        "with --drop: deletes it",
    ),
    "dropped_empty_answer": Kind(
        "note", "an empty answer that download left out, others remain (`realign`)", "nothing"
    ),
    "unplaced_answer": Kind(
        "note", "a validation answer without a place; it counts for EM and F1 only", "nothing"
    ),
    "impossible_with_answers": Kind(
        "error", "is_impossible is true but there are answers", "remove one"
    ),
    "no_answer": Kind("error", "no answer, but is_impossible: false", "add it, or write true"),
    "unanswerable": Kind(
        "error", "no answer in a SQuAD 1.1 set", "doctor --squad-v2, `qa.squad_v2: true`"
    ),
    "squad_v2": Kind(
        "note",
        "SQuAD 2.0 data: questions may have no answer",
        "`qa.squad_v2: true`, or `qa.download.unanswerable: drop`",
    ),
    "dropped_unanswerable": Kind("note", "download left an unanswerable one out", "nothing"),
    "dropped_question": Kind(
        "note", "a question with errors left", "correct it by hand", "with --drop: deletes it"
    ),
    # Train and validation.
    "shared_id": Kind("error", "an id in two splits", "change one"),
    "shared_context": Kind("error", "a context in two splits", "take it out of one of them"),
    "near_context": Kind(
        "note", "almost the same context in two splits", "take it out of one of them"
    ),
    "similar_context": Kind(
        "note", "almost the same context twice in one split", "nothing, or keep one"
    ),
    # A model that has not seen the question (--model).
    "implausible_label": Kind(
        "note", "a label that is probably wrong", "read the passage; correct the label if so"
    ),
    # Windows of a tokenizer (--windows).
    "answer_in_no_window": Kind(
        "note", "an answer that no window holds whole", "raise max_length or doc_stride"
    ),
    "answer_too_long": Kind(
        "note", "an answer over `max_answer_length` (tokenize counts it)", "raise max_answer_length"
    ),
    "unknown_tokens": Kind("note", "tokens that the tokenizer does not know", "another encoder"),
    "label_widened": Kind("note", "an answer that begins or ends in mid-token", "nothing"),
    "question_cut": Kind("note", "a question cut to its limit", "raise max_question_length"),
    "question_trimmed": Kind("note", "white space at a question's edges", "nothing"),
    "context_without_tokens": Kind("note", "no token of the context is known", "another encoder"),
    "several_answers": Kind("note", "several answers in train; the first is learned", "nothing"),
}
