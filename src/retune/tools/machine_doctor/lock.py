"""What is installed, against the tested environment of requirements.lock.

The lock is a constraints file: it says which version of a package, not that it must be there.
In the environment that was tested, both are the same list. Elsewhere another build of torch
brings libraries of its own, which the lock cannot name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from retune.core.errors import RetuneError

LOCK = Path("requirements.lock")
#: Not packages of the environment: what installs it (Python brings one), and the project.
TOOLS = frozenset({"pip", "setuptools", "wheel", "retune"})


@dataclass(frozen=True)
class Agreement:
    """How an environment differs from the lock; all names are normalised.

    Attributes:
        same: how many packages have the version of the lock.
        differing: (locked, installed) version by package.
        absent: packages of the lock that are not installed.
        unknown: installed packages that neither the lock names nor torch's build needs.
    """

    same: int
    differing: Mapping[str, tuple[str, str]]
    absent: list[str]
    unknown: list[str]

    @property
    def whole(self) -> bool:
        """Whether it is the tested environment."""
        return not (self.differing or self.absent or self.unknown)


def read_lock(path: Path = LOCK) -> dict[str, Requirement]:
    """The lines of the lock that apply on this machine, by normalised name."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run this in the project's folder") from None
    requirements: dict[str, Requirement] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = _pin(text, f"{path}:{number}")
        if requirement.marker is None or requirement.marker.evaluate():
            requirements[canonicalize_name(requirement.name)] = requirement
    return requirements


def installed() -> dict[str, str]:
    """Version of each installed package, by normalised name; the first on the path counts."""
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a folder that a failed removal left behind has none
            versions.setdefault(canonicalize_name(name), distribution.version)
    return versions


def compare(locked: Mapping[str, Requirement], there: Mapping[str, str]) -> Agreement:
    """Compare the lines of the lock with the versions that are installed.

    A build's own label (`2.13.0+cpu`) is no other version than that of the lock.
    """
    differing, same = {}, 0
    for name, requirement in locked.items():
        if name not in there:
            continue
        if requirement.specifier.contains(there[name], prereleases=True):
            same += 1
        else:
            differing[name] = (str(requirement.specifier).removeprefix("=="), there[name])
    unlocked = there.keys() - locked.keys() - TOOLS
    return Agreement(
        same=same,
        differing=differing,
        absent=sorted(locked.keys() - there.keys()),
        unknown=sorted(unlocked - needed_by("torch") if unlocked else unlocked),
    )


def needed_by(package: str) -> set[str]:
    """All that an installed package needs here, directly or not, itself included."""
    found: set[tuple[str, str]] = set()  # a name and one of the extras that are asked of it
    waiting = [(package, "")]
    while waiting:
        name, extra = canonicalize_name(waiting[-1][0]), waiting.pop()[1]
        if (name, extra) in found:
            continue
        found.add((name, extra))
        waiting += [
            (needed.name, wanted)
            for needed in _requirements(name, extra)
            for wanted in ("", *needed.extras)
        ]
    return {name for name, _ in found}


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    try:
        requirements = map(Requirement, metadata.requires(name) or [])
    except metadata.PackageNotFoundError:
        return
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _pin(text: str, place: str) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise RetuneError(f"{place}: {text!r} is no requirement; expected NAME==VERSION") from None
    if not str(requirement.specifier).startswith("=="):
        raise RetuneError(f"{place}: {text!r} pins no version; expected NAME==VERSION")
    return requirement
