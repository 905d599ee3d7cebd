"""Find answers that no window holds whole, with the pretrained encoder's tokenizer."""

from typing import Any

from retune.core.params import Params
from retune.ingest.findings import Finding
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve
from retune.tasks.qa.download.checking import Checker
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.tokenize.audit import WARNING_SHARE, Audit
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower, batches

_FIELDS = {
    "question_cut": "question",
    "question_trimmed": "question",
    "context_without_tokens": "context",
}


def window_findings(checker: Checker, squad_v2: bool) -> list[Finding]:
    """Note what windows with the settings in params.yaml lose of the sound questions of a split.

    Raises:
        RetuneError: the tokenizer or the lengths allow no windows.
    """
    with Params() as params:
        settings = params.section("qa.tokenize", TokenizeParams)
        pretrained = params.section("qa.checkpoint", PretrainedParams)
    windower = Windower(load_tokenizer(resolve(pretrained, "qa.checkpoint")), settings)
    notes: list[dict[str, Any]] = []
    audit = Audit("data", notes.append, None, squad_v2=squad_v2)
    row = 0
    for batch in batches(checker.examples):
        cut = windower.cut(batch, first_row=row)
        audit.add(batch, *cut)
        row += len(batch)
    # The checker already reports answers without a place.
    findings = [_finding(checker, **note) for note in notes if note["kind"] != "unplaced_answer"]
    if audit.unknown_share > WARNING_SHARE:
        file = checker.records[checker.examples[0].id].file
        message = f"{audit.unknown_sentence()}; set qa.checkpoint to an encoder for this language"
        kind = "unknown_tokens"
        findings.append(Finding(kind, KINDS[kind].severity, file, "", "", message))
    return findings


def _finding(checker: Checker, id: str, kind: str, detail: str) -> Finding:
    record = checker.records[id]
    place = record.place(_FIELDS.get(kind, "answers"))
    message = f"{KINDS[kind].meaning}: {detail}"
    return Finding(kind, KINDS[kind].severity, record.file, place, id, message)
