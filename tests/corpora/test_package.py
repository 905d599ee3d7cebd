"""The bundled corpora are installed with the package."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_file_of_the_corpora_is_part_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["retune.corpora"]
    folder = ROOT / "src/retune/corpora"
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    kept = {path for path in folder.rglob("*") if path.is_file() and path.suffix[:3] != ".py"}
    assert kept == packed
