"""The canonical form of a data set, as the download stages of all tasks write it.

A download stage reads the source files of all splits and checks every row. It then keeps as many
rows as the limits ask for. Checks come first, so that a run on 1 % of the data finds the same
errors as a run on all of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, write_json, write_json_lines
from retune.fetch.fetching import Source
from retune.ingest.findings import Finding, count_kinds, raise_errors
from retune.ingest.subsample import LimitParams, Named, limited

Row = TypeVar("Row", bound=Named)
Item = TypeVar("Item")


class Checked(NamedTuple, Generic[Row]):
    """One split after its checks.

    Attributes:
        rows: the sound rows, in file order.
        findings: errors and notes.
        read: how many rows the files have, sound or not.
        more: what to report besides.
    """

    rows: list[Row]
    findings: list[Finding]
    read: int
    more: Mapping[str, Any] = MappingProxyType({})


#: Reads all files of a split; faults of their structure are findings among the rows.
ReadSplit = Callable[[str], list[Item | Finding]]


@dataclass(frozen=True)
class Form(Generic[Item, Row]):
    """What is particular to the download stage of one task.

    Attributes:
        task: its name, the key of its metrics and of its settings.
        metric: the name of the counts in its metrics.
        unit: what the counts call the rows.
        noun: what messages call a row.
        read: reads a file at a path, by the name for messages and with the expected `sha256`.
        check: reads and checks the splits; returns those that there are.
        write: writes rows to a file.
        counts: what to report of the kept rows besides their number.
        finding_fields: attributes of `Finding` that findings.jsonl has.
    """

    task: str
    metric: str
    unit: str
    noun: str
    read: Callable[..., Sequence[Item | Finding]]
    check: Callable[[ReadSplit[Item]], Mapping[str, Checked[Row]]]
    write: Callable[[Path, list[Row]], object]
    counts: Callable[[list[Row]], dict[str, int]]
    finding_fields: tuple[str, ...] = ("file", "where", "kind")

    def read_split(self, sources: Sequence[Source]) -> list[Item | Finding]:
        """Read the files of a split.

        Raises:
            RetuneError: a file cannot be read, or does not have the expected number of rows.
        """
        items: list[Item | Finding] = []
        for source in sources:
            found = self.read(source.path, source.name, sha256=source.sha256)
            count = sum(not isinstance(item, Finding) for item in found)
            if source.questions not in (None, count):
                raise RetuneError(
                    f"{source.name}: {count:,} {self.unit}, but this data set has "
                    f"{source.questions:,}; this is not the expected file"
                )
            items += found
        return items

    def keep(self, split: str, checked: Checked[Row], params: LimitParams) -> list[Row]:
        """The rows of a split that its limit keeps.

        Raises:
            RetuneError: there are none.
        """
        number = params.sample_number(split)
        kept = limited(checked.rows, params.limits[split], params.sample_seed, number)
        if not kept:
            raise RetuneError(
                f"{split}: no {self.noun} is left; see {self.task}.download in the params"
            )
        return kept

    def finding_row(self, split: str, finding: Finding) -> dict[str, str]:
        """A finding as a line of findings.jsonl."""
        fields = {name: getattr(finding, name) for name in self.finding_fields}
        return {"split": split, "detail": finding.message, **fields}


def write_canonical(
    folders: Mapping[str, Path],
    metrics: Path,
    *,
    form: Form[Item, Row],
    sources: Mapping[str, Sequence[Source]],
    params: LimitParams,
) -> str:
    """Read, check and limit the source files of all splits.

    Args:
        folders: where each split goes, as `<split>.jsonl`, in the order of the report. Each folder
            also gets findings.jsonl, and appears whole or not at all.
        metrics: gets the counts.
        form: of the task.
        sources: the files of each split.
        params: limits.

    Returns:
        The closing line.

    Raises:
        RetuneError: for a file that cannot be read, once for all errors in the data, and for a
            split without rows.
    """
    report = []
    with ExitStack() as stack:
        # Made before the work, so that a read-only disk is known at once.
        made = {
            path: stack.enter_context(_new_folder(path)) for path in dict.fromkeys(folders.values())
        }
        found = form.check(lambda split: form.read_split(sources[split]))
        splits = {name: found[name] for name in folders if name in found}
        raise_errors(finding for checked in splits.values() for finding in checked.findings)
        for name, checked in splits.items():
            kept = form.keep(name, checked, params)
            form.write(made[folders[name]] / f"{name}.jsonl", kept)
            report.append(
                {
                    "split": name,
                    "files": file_sums(sources.get(name, [])),
                    "limit": params.limits[name],
                    f"{form.unit}_read": checked.read,
                    form.unit: len(kept),
                    "findings": count_kinds(checked.findings),
                    **form.counts(kept),
                    **checked.more,
                }
            )
        for path, folder in made.items():
            inside = [name for name in splits if folders[name] == path]
            rows = (form.finding_row(name, f) for name in inside for f in splits[name].findings)
            write_json_lines(folder / "findings.jsonl", rows)
    write_json(metrics, {form.task: {form.metric: report}})
    return _closing_line(report, form)


def file_sums(sources: Iterable[Source]) -> list[dict[str, str]]:
    """Return the names and sums of source files, for the report of a split."""
    return [{"name": source.name, "sha256": source.sha256} for source in sources]


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    with atomic_path(path) as folder:
        folder.mkdir()
        yield folder


def _closing_line(report: Sequence[Mapping[str, Any]], form: Form[Item, Row]) -> str:
    parts = [f"{entry['split']} {entry[form.unit]:,} {form.noun}s" for entry in report]
    for entry in report:
        parts += [f"{n:,} {kind} in {entry['split']}" for kind, n in entry["findings"].items()]
    return ", ".join(parts)
