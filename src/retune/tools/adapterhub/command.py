"""`retune adapters`: import and export, and what they print."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retune.adapters.bundles import AdapterParts
from retune.core.errors import RetuneError, listed
from retune.core.files import sha256
from retune.core.params import Params
from retune.core.terminal_text import escaped, escaped_json
from retune.models.pretrained_files import WEIGHTS, PretrainedParams, locate, resolve
from retune.tools.adapterhub.contents import read_contents
from retune.tools.adapterhub.encoder import Encoder
from retune.tools.adapterhub.exporting import export_bundle
from retune.tools.adapterhub.importing import Import, collect
from retune.tools.adapterhub.writing import bundle_sum, write_bundle

_UNKNOWN = "0" * 64  # the sum of a folder that is not pinned yet


def run(arguments: Namespace) -> int:
    """Import or export, print what was written, and return 0.

    Raises:
        RetuneError: the folder cannot be read, or it has what the other side has not.
    """
    out: Path = arguments.out
    if out.exists():
        raise RetuneError(f"{out}: is there already; give another folder, or delete it")
    found = _import(arguments) if arguments.action == "import" else _export(arguments)
    if arguments.json:
        print(escaped_json(json.dumps(found, indent=2)))
    else:
        print(escaped("\n".join(_sentences(found))))
    return 0


def _import(arguments: Namespace) -> dict[str, Any]:
    encoder = _encoder(arguments)
    contents = read_contents(arguments.source)
    order = contents.order(arguments.stack)
    head = arguments.head or contents.head(order)
    found = collect(contents, order, head, encoder, renamed=arguments.same_encoder)
    if arguments.head is not None and not found.has_head:
        raise RetuneError(f"--head: {found.notes[-1]}; give the head of a reader")
    write_bundle(found, arguments.out, encoder, squad_v2=arguments.squad_v2)
    return {
        "out": str(arguments.out), **_parts(found), "head": found.has_head,
        "encoder": encoder.pin.name, "sha256": bundle_sum(arguments.out), "notes": found.notes,
        "next": _import_use(found, arguments.out),
    }  # fmt: skip


def _export(arguments: Namespace) -> dict[str, Any]:
    unused = [name for name in ("encoder", "revision", "params", "head") if vars(arguments)[name]]
    if unused or arguments.stack:
        raise RetuneError(
            f"--{(unused or ['stack'])[0]} is for import; a bundle says all that an export needs"
        )
    done = export_bundle(arguments.source, arguments.out)
    single = len(done.composition) == 1 and isinstance(done.composition[0], str)
    call = "load_adapter" if single else "load_adapter_setup"
    return {
        "out": str(arguments.out), "composition": done.composition, "head": done.has_head,
        "notes": done.notes,
        "next": f'load it with model.{call}("{arguments.out}", set_active=True)',
    }  # fmt: skip


def _encoder(arguments: Namespace) -> Encoder:
    """Return the encoder that --encoder or the params name.

    Raises:
        RetuneError: nothing names one, or it is missing or not the pinned one.
    """
    if arguments.encoder is None:
        path = arguments.params or Path("params.yaml")
        if not path.is_file():
            raise RetuneError(
                f"{path}: no such file, so no encoder is known; name the one that the adapter was "
                "trained on with --encoder (and --revision for a model of the hub)"
            )
        with (params := Params(path)):
            pin = params.section("qa.checkpoint", PretrainedParams)
        return Encoder.read(resolve(pin, "qa.checkpoint"), pin)
    if arguments.revision is None:  # a folder or a package: pin what is there
        folder = locate(PretrainedParams(arguments.encoder, _UNKNOWN), "--encoder")
        return Encoder.read(folder, PretrainedParams(arguments.encoder, sha256(folder / WEIGHTS)))
    pin = _pin(arguments.encoder, arguments.revision)
    return Encoder.read(resolve(pin, "--encoder"), pin)


def _pin(name: str, revision: str) -> PretrainedParams:
    from pydantic import ValidationError

    try:
        return PretrainedParams(name, revision)
    except ValidationError as error:
        raise RetuneError(f"--revision {revision}: {error.errors()[0]['msg']}") from None


def _parts(found: Import) -> dict[str, Any]:
    if isinstance(found.parts, AdapterParts):
        return {"kind": "adapters", **asdict(found.parts)}
    return {"kind": "lora", "lora": asdict(found.parts)}


def _import_use(found: Import, out: Path) -> str:
    """Return what the bundle is good for."""
    if found.has_head:
        return f'ask it with `retune ask --model {out}`, or in Python with retune.Reader("{out}")'
    if not isinstance(found.parts, AdapterParts):
        return "it has no head for question answering; give one with --head"
    if isinstance(found.parts.composition[-1], list):
        return "a fusion without a head for question answering; give one with --head"
    setting = "language, or an item of qa.models.bert_adapter_fusion.adapters"
    return f"set qa.models.bert_adapter.{setting}: {{path: {out}, sha256: {bundle_sum(out)}}}"


def _sentences(found: Mapping[str, Any]) -> list[str]:
    names = found.get("composition") or ["LoRA"]
    shown = [name if isinstance(name, str) else f"a fusion of {listed(name)}" for name in names]
    head = "with a head for question answering" if found["head"] else "without a head"
    lines = [f"{found['out']}: {', then '.join(shown)}, {head}"]
    return [*lines, *(f"note: {note}" for note in found["notes"]), f"next: {found['next']}"]
