"""Examine the machine: processor, threads, memory, disk and variables of this shell."""

import math
import os
import shutil
import tempfile
from pathlib import Path

from retune.core.errors import RetuneError
from retune.tools.machine_doctor.machine_findings import Report
from retune.tools.project.commands import dvc

GB = 1e9
#: Free space in bytes below which a run that keeps weights and checkpoints may fail.
LITTLE_DISK = 2 * GB
FEATURES = ("avx2", "fma3", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
SHOWN = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "PYTHONHASHSEED")


def examine_processor(report: Report) -> None:
    """Add the processor, the GPUs and the precision that `auto` selects on them."""
    import torch

    from retune.models.precision import resolved_precision

    capabilities = torch.cpu.get_capabilities()
    report.facts["processor"] = {
        "name": capabilities.get("cpu_name") or "unknown",
        "torch uses": torch.backends.cpu.get_cpu_capability(),
        "has": [name for name in FEATURES if capabilities.get(name)],
        "precision auto": resolved_precision("auto"),
    }
    count = torch.cuda.device_count()
    report.facts["gpu"] = {"names": [torch.cuda.get_device_name(i) for i in range(count)]}


def examine_threads(report: Report) -> None:
    """Compare the number of threads with the CPUs that this process may use."""
    import torch

    threads = torch.get_num_threads()
    cpus, limit = _allowed_cpus(), cpu_limit()
    usable = cpus if limit is None else min(cpus, max(1, math.floor(limit)))
    report.facts["threads"] = {
        "of torch": threads,
        "CPUs": cpus,
        "CPU limit": limit,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }
    if threads > usable:
        report.find(
            "threads",
            f"torch uses {threads} threads on {usable} CPUs, so threads wait for each other",
            f"export OMP_NUM_THREADS={usable}, or give the container more CPUs",
        )


def examine_memory(report: Report, needed_mb: float | None) -> None:
    """Compare the memory with the peak of the committed run, `needed_mb`."""
    import psutil

    memory = psutil.virtual_memory()
    report.facts["memory"] = {
        "GB": round(memory.total / GB, 1),
        "GB available": round(memory.available / GB, 1),
        "GB of the committed run": needed_mb and round(needed_mb * 1e6 / GB, 1),
    }
    if needed_mb and memory.available < needed_mb * 1e6:
        report.find(
            "memory",
            f"{memory.available / GB:.1f} GB are available, but the committed run used "
            f"{needed_mb * 1e6 / GB:.1f} GB",
            "close other programs, or lower qa.train.batch_size",
        )


def examine_disk(report: Report, root: Path) -> None:
    """Check the free space for the project, DVC's cache and temporary files."""
    places = {"project": root, "DVC cache": _dvc_cache(root), "temporary": _temporary(report)}
    free = {
        name: shutil.disk_usage(_nearest(place)).free for name, place in places.items() if place
    }
    report.facts["disk"] = {
        f"GB free for {name}": round(space / GB, 1) for name, space in free.items()
    }
    for name, space in free.items():
        if space < LITTLE_DISK:
            report.find(
                "disk",
                f"{space / GB:.1f} GB are free for {name} ({places[name]})",
                "free some space; `dvc gc --workspace --dry` lists cached data that does not "
                "belong to this workspace",
            )


def examine_settings(report: Report) -> None:
    """List variables that change how stages run; those that change their bytes are findings."""
    from retune.training.arguments import KERNEL_VARIABLES

    names = sorted({*SHOWN, *KERNEL_VARIABLES, *(n for n in os.environ if n.startswith("RETUNE_"))})
    report.facts["variables"] = {name: os.environ[name] for name in names if name in os.environ}
    for name in KERNEL_VARIABLES:
        if name in os.environ:
            report.find(
                "variables",
                f"{name}={os.environ[name]} makes libraries choose other kernels, which round "
                "differently, so figures differ in their last digits",
                f"unset {name}",
            )


def examine_caches(report: Report) -> None:
    """Check that the folders for downloads can be written."""
    from huggingface_hub.constants import HF_HOME

    from retune.core.files import cache_folder

    places = {"RETUNE_CACHE": cache_folder(), "HF_HOME": Path(HF_HOME)}
    report.facts["caches"] = {name: str(place) for name, place in places.items()}
    for name, place in places.items():
        nearest = _nearest(place)
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            report.find(
                "caches",
                f"{name}: {place} cannot be written",
                f"set {name} to a folder that you can write",
            )


def cpu_limit(
    groups: Path = Path("/proc/self/cgroup"), top: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Return the number of CPUs that the control groups of this process allow, or None.

    Reads both versions: `cpu.max`, and `cpu.cfs_quota_us` with its period. The lowest limit counts.
    """
    limits = []
    for line in groups.read_text(encoding="utf-8").splitlines() if groups.is_file() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = top / controllers if controllers else top
        folder = base / path.lstrip("/")
        inside = [f for f in (folder, *folder.parents) if f == base or base in f.parents]
        limits += [limit for each in inside if (limit := _limit_of(each)) is not None]
    return min(limits, default=None)


def _limit_of(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((folder / name).read_text(encoding="ascii").strip() for name in names)
    except OSError:
        return None
    return None if quota in {"max", "-1"} else int(quota) / int(period)


def _allowed_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _temporary(report: Report) -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        report.find(
            "disk",
            "no folder for temporary files can be written",
            "set TMPDIR to a writable folder",
        )
        return None


def _dvc_cache(root: Path) -> Path | None:
    try:
        return Path(dvc(root, "cache", "dir"))
    except RetuneError:  # no DVC project
        return None


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest existing folder above it."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
