"""Write what was read of AdapterHub's library as a bundle."""

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForQuestionAnswering, PreTrainedModel

from retune.adapters.bundles import FILE, insert, inserted, publish
from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.manifests import seal
from retune.models.encoders import encoder_config, load_encoder
from retune.models.pretrained_files import load_tokenizer
from retune.tools.adapterhub.encoder import Encoder
from retune.tools.adapterhub.heads import OUTPUT
from retune.tools.adapterhub.importing import Import


def write_bundle(found: Import, out: Path, encoder: Encoder, *, squad_v2: bool) -> None:
    """Write the bundle `out`, sealed; `squad_v2`: the reader may find no answer.

    Raises:
        RetuneError: weights are missing, too many, or of other shapes than the encoder needs.
    """
    config = encoder_config(encoder.folder, None, num_labels=2)
    model = load_encoder(AutoModelForQuestionAnswering, encoder.folder, config)
    model.config.name_or_path = ""
    insert(model, found.parts)
    head = {name for name in model.state_dict() if name.startswith(OUTPUT)}
    _fill(model, found, optional=set() if found.has_head else head)
    state = {n: w for n, w in model.state_dict().items() if found.has_head or n not in head}
    with tempfile.TemporaryDirectory() as work:
        model.save_pretrained(work, state_dict=state)
        publish(Path(work), out, load_tokenizer(encoder.folder), encoder.pin)
    params = {"qa.model": found.model, "qa.squad_v2": squad_v2} if found.has_head else {}
    seal(out, {"inputs": {}, "params": params, "imported_from": found.sources})


def bundle_sum(out: Path) -> str:
    """Return the SHA-256 by which params pin the bundle."""
    return sha256(out / FILE)


def _fill(model: PreTrainedModel, found: Import, optional: set[str]) -> None:
    """Copy the weights that were read to their places; `optional` ones may be absent."""
    prefix = f"{model.base_model_prefix}."
    weights = {
        name if name.startswith(OUTPUT) else prefix + name: weight
        for name, weight in found.weights.items()
    }
    places = {name: place for names, place in inserted(model) for name in names}
    missing = sorted(places.keys() - weights.keys() - optional)
    unexpected = sorted(weights.keys() - places.keys())
    if missing or unexpected:
        what = f"no weight {missing[0]}" if missing else f"a weight {unexpected[0]} too many"
        counts = f"{len(missing)} missing, {len(unexpected)} too many"
        raise RetuneError(
            f"{found.folder}: its adapters have {what} ({counts}): they "
            "are for an encoder with other layers, or a file is incomplete"
        )
    with torch.no_grad():
        for name, weight in weights.items():
            if weight.shape != places[name].shape:
                raise RetuneError(
                    f"{found.folder}: {name} has shape {tuple(weight.shape)}, expected "
                    f"{tuple(places[name].shape)}; the adapters are for an encoder of other sizes"
                )
            places[name].copy_(weight)
