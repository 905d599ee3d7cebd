"""Compare the installed packages with the tested environment in requirements.lock.

The lock is a constraints file: it gives versions, and does not require every package. In the tested
environment, both lists are equal. Another build of torch may bring libraries that the lock does not
list.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from retune.core.errors import RetuneError

LOCK = Path("requirements.lock")
#: Packages that do not count: installers (Python brings one) and the project itself.
TOOLS = frozenset({"pip", "setuptools", "wheel", "retune"})
#: Folder in a package with copies of others.
_VENDORED = "_vendor"


@dataclass(frozen=True)
class Agreement:
    """Differences between an environment and the lock; all names are normalised.

    Attributes:
        same: number of packages with the version in the lock.
        differing: (locked, installed) version by package.
        absent: packages of the lock that are not installed.
        unknown: installed packages that are not in the lock and not needed by torch.
    """

    same: int
    differing: Mapping[str, tuple[str, str]]
    absent: list[str]
    unknown: list[str]

    @property
    def whole(self) -> bool:
        """Whether the environment is the tested one."""
        return not (self.differing or self.absent or self.unknown)


def read_lock(path: Path = LOCK) -> dict[str, Requirement]:
    """Return the lines of the lock that apply to this machine, by normalised name."""
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
    """Return the version of each installed package, by normalised name; the first on the path.

    An import of setuptools puts its own copies of packages on the path; these are not installed.
    """
    versions: dict[str, str] = {}
    places = [place for place in sys.path if Path(place).name != _VENDORED]
    for distribution in metadata.distributions(path=places):
        name = distribution.metadata["Name"]
        if name:  # a folder left behind by a failed removal has none
            versions.setdefault(canonicalize_name(name), distribution.version)
    return versions


def compare(locked: Mapping[str, Requirement], there: Mapping[str, str]) -> Agreement:
    """Compare the lines of the lock with the installed versions.

    A build label (`2.13.0+cpu`) does not make a version differ.
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
    """Return an installed package and all packages that it needs, directly or indirectly."""
    found: set[tuple[str, str]] = set()  # a name and one of its required extras
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
        raise RetuneError(
            f"{place}: {text!r} is not a requirement; expected NAME==VERSION"
        ) from None
    if not str(requirement.specifier).startswith("=="):
        raise RetuneError(f"{place}: {text!r} pins no version; expected NAME==VERSION")
    return requirement
