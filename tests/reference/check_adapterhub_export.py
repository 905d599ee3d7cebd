"""Load what `retune adapters export` writes with AdapterHub's `adapters`, and compare the logits.

The library and this project need different releases of transformers, so that the check has two
halves. The first writes bundles, exports them and keeps their logits; the second loads the exports:

    PYTHONPATH=src:tests python tests/reference/check_adapterhub_export.py write FOLDER
    adapter-env/bin/python tests/reference/check_adapterhub_export.py check FOLDER

make_adapter_goldens.py says how to make that environment. The second half exits with 1 if a logit
differs by more than `TOLERANCE`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

TOLERANCE = 1e-6
FAMILIES = ("bert", "roberta")


def write(top: Path) -> None:
    """Write encoders, exports, and the logits of the bundles."""
    from adapterhub_runs import exported
    from bundle_runs import HOULSBY, LANGUAGE, PARTS, PFEIFFER, logits, made, stored, write_encoders

    from retune.adapters.bundles import AdapterParts, LoraParts
    from retune.adapters.layers import AdapterParams

    none = AdapterParams("pfeiffer", 4, "gelu", "none", None)
    double = AdapterParams("houlsby", 4, "relu", "whole", None)
    parts = PARTS | {
        "houlsby, whole": AdapterParts({"qa": double}, ["qa"]),
        "houlsby, fused": AdapterParts({"a": double, "b": double}, [["a", "b"]]),
        "stack of houlsby": AdapterParts({"a": double, "b": HOULSBY}, ["a", "b"]),
        "none in the last layer": AdapterParts({"qa": none}, ["qa"]),
        "fused, none in the last layer": AdapterParts({"a": none, "b": none}, [["a", "b"]]),
        "language": AdapterParts({"pt": LANGUAGE}, ["pt"]),
        "stack with a fusion": AdapterParts(
            {"pt": LANGUAGE, "a": PFEIFFER, "b": PFEIFFER}, ["pt", ["a", "b"]]
        ),
        "lora in all places": LoraParts(3, 2.0, 0.0, ["key", "intermediate.dense",
                                                      "0.output.dense", "1.output.dense"]),
        "lora in a layer": LoraParts(2, 5.0, 0.0, ["0.attention.self.query"]),
    }  # fmt: skip
    encoders = write_encoders(top / "encoders")
    found = {}
    for family in FAMILIES:
        for name, each in parts.items():
            model = made(encoders / family, each)
            bundle = stored(model, encoders / family, top / "bundles" / family / name)
            assert exported(bundle, top / "exports" / family / name) == 0
            found[f"{family}/{name}"] = logits(model).tolist()
    (top / "logits.json").write_text(json.dumps(found))


def check(top: Path) -> int:
    """Load each export into both kinds of the library's models."""
    import adapters
    from transformers import AutoModelForQuestionAnswering

    # As in bundle_runs.
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])
    worst = 0.0
    for name, expected in json.loads((top / "logits.json").read_text()).items():
        encoder = top / "encoders" / name.partition("/")[0]
        for kind in (AutoModelForQuestionAnswering, adapters.AutoAdapterModel):
            torch.manual_seed(0)
            model: Any = kind.from_pretrained(encoder)
            if kind is AutoModelForQuestionAnswering:
                adapters.init(model)
            export = top / "exports" / name
            if (export / "adapter_setup.json").exists():
                model.load_adapter_setup(str(export), set_active=True)
            else:
                model.load_adapter(str(export), set_active=True)
            model.eval()
            with torch.inference_mode():
                output = model(input_ids=ids, attention_mask=mask)
            logits = torch.cat([output.start_logits, output.end_logits])
            difference = float((logits - torch.tensor(expected)).abs().max())
            print(f"{name}, {type(model).__name__}: {difference:.1e}")
            worst = max(worst, difference)
    print(f"the largest difference is {worst:.1e}, allowed are {TOLERANCE:.0e}")
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    half, folder = sys.argv[1:]
    sys.exit(check(Path(folder)) if half == "check" else write(Path(folder)))
