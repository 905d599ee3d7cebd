"""Write record_schemas.json: the form of Every Eval Ever's records, without its explanations.

The package needs Python 3.12 and many others, so that it is no dependency. Its schemas (version
0.3.0, MIT) are two files; this keeps what decides whether a record is valid:

    pip download --no-deps --python-version 3.12 --only-binary=:all: every-eval-ever==0.3.0
    unzip every_eval_ever-*.whl -d package
    python tests/reference/make_record_schemas.py package/every_eval_ever/schemas

Its own validator was run by hand on a published folder, with its checks of paths:

    cd FOLDER/every_eval_ever && PYTHONPATH=package python -m every_eval_ever validate data/*/*/*/*
"""

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("record_schemas.json")
FILES = {"record": "eval.schema.json", "line": "instance_level_eval.schema.json"}


def main() -> None:
    folder = Path(sys.argv[1])
    schemas = {name: json.loads((folder / file).read_text()) for name, file in FILES.items()}
    text = json.dumps({name: stripped(schema) for name, schema in schemas.items()}, indent=1)
    OUT.write_text(text + "\n", encoding="utf-8")


def stripped(value: Any) -> Any:
    """Leave out the explanations, which are texts; a property may also be named `description`."""
    if isinstance(value, list):
        return [stripped(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: stripped(item)
        for key, item in value.items()
        if not (key == "description" and isinstance(item, str))
    }


if __name__ == "__main__":
    main()
