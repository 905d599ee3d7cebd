"""What a folder of AdapterHub's library offers: adapters, fusions, heads and their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt, listed
from retune.tools.adapterhub.layout import ADAPTER, FUSION, HEAD, SETUP, Files, read_object

#: The order of adapters by their names in the library; several names are a fusion.
Order = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Contents:
    """The parts in a folder and its subfolders.

    Attributes:
        folder: that was searched.
        adapters: folders by the adapter's name.
        fusions: folders by the names of the fused adapters.
        setup: the content of adapter_setup.json; None if there is none.
    """

    folder: Path
    adapters: Mapping[str, Path]
    fusions: Mapping[tuple[str, ...], Path]
    setup: Mapping[str, Any] | None

    def order(self, stack: Sequence[str]) -> Order:
        """Return which adapters to use, from the lowest to the last.

        Args:
            stack: names as the user gives them; a fusion's are joined by commas.

        Raises:
            RetuneError: a name is unknown, or there are several adapters and nothing orders them.
        """
        if stack:
            order = [tuple(item.split(",")) for item in stack]
        elif self.setup is not None:
            order = _setup_order(self.setup.get("adapter_setup"), self.folder / SETUP)
        elif self.fusions:
            order = [*self.fusions]
            if len(order) > 1 or set(order[0]) != set(self.adapters):
                raise self._unordered()
        else:
            order = [(name,) for name in self.adapters]
            if len(order) > 1:
                raise self._unordered()
        for part in order:
            missing = [name for name in part if name not in self.adapters]
            if missing or (len(part) > 1 and part not in self.fusions):
                raise RetuneError(
                    f"{self.folder}: has no {listed(missing) or 'fusion of ' + ','.join(part)}; "
                    f"it has {self._offer()}"
                )
        return order

    def head(self, order: Order) -> Path | None:
        """Return the folder of the head of the last adapter or fusion, if there is one."""
        last = order[-1]
        setup = None if self.setup is None else self.setup.get("head_setup")
        places = [self.fusions[last] if len(last) > 1 else self.adapters[last[0]]]
        if setup is True:
            places.insert(0, self.folder)
        elif isinstance(setup, str) and Path(setup).name == setup:  # no path to elsewhere
            places.insert(0, self.folder / setup)
        return next((place for place in places if (place / HEAD.config).is_file()), None)

    def _unordered(self) -> RetuneError:
        return RetuneError(
            f"{self.folder}: has {self._offer()}; say which to use with --stack, the lowest "
            "first, such as `--stack language qa` or `--stack language qa,entities`"
        )

    def _offer(self) -> str:
        fusions = "".join(f", the fusion {','.join(names)}" for names in self.fusions)
        return f"the adapters {listed([*self.adapters])}{fusions}"


def read_contents(folder: Path) -> Contents:
    """Find what is in `folder`, in its subfolders and, for a folder of a fusion, beside it.

    Raises:
        RetuneError: there is no adapter, or a configuration is damaged.
    """
    if not folder.is_dir():
        raise RetuneError(f"{folder}: no such folder; give one that `save_adapter` wrote")
    places = [folder, *_folders(folder)]
    if (folder / FUSION.config).is_file():
        places += [place for place in _folders(folder.resolve().parent) if place not in places]
    adapters: dict[str, Path] = {}
    for name, place in _named(places, ADAPTER):
        adapters.setdefault(name, place)
    fusions = {tuple(name.split(",")): place for name, place in _named(places, FUSION)}
    if not adapters:
        raise RetuneError(
            f"{folder}: no adapter there ({ADAPTER.config}, as `save_adapter` and "
            "`save_all_adapters` of AdapterHub's library write it); for a fusion, also save its "
            "adapters, in folders beside it"
        )
    setup = read_object(folder / SETUP) if (folder / SETUP).is_file() else None
    return Contents(folder, adapters, fusions, setup)


def _folders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir())


def _named(places: Sequence[Path], files: Files) -> list[tuple[str, Path]]:
    """Return the name of each adapter or fusion with its folder."""
    found = []
    for place in places:
        path = place / files.config
        if not path.is_file():
            continue
        about = read_object(path)
        name = about.get("name")
        if files is FUSION and isinstance(about.get("adapter_names"), list):
            name = ",".join(map(str, about["adapter_names"]))
        if not isinstance(name, str) or not name:
            raise RetuneError(f"{path}: name is {excerpt(name)}, expected the adapter's name")
        found.append((name, place))
    return found


def _setup_order(setup: Any, where: Path) -> list[tuple[str, ...]]:
    """Return the order in adapter_setup.json.

    Raises:
        RetuneError: it has another composition than a stack or a fusion.
    """
    kind = setup.get("type") if isinstance(setup, dict) else None
    children = setup.get("children") if isinstance(setup, dict) else None
    if kind not in ("single", "Stack", "Fuse") or not isinstance(children, list) or not children:
        raise RetuneError(
            f"{where}: the composition {excerpt(kind)}; retune has single adapters, Stack and "
            "Fuse. To import some of the adapters, use --stack"
        )
    if kind == "single":
        return [(str(children[0]),)]
    parts = [part for child in children for part in _setup_order(child, where)]
    if kind == "Stack":
        return parts
    if len(parts) > len(children) or any(len(part) > 1 for part in parts):
        raise RetuneError(
            f"{where}: a fusion of stacks; retune fuses single adapters. To import some of the "
            "adapters, use --stack"
        )
    return [tuple(name for part in parts for name in part)]
