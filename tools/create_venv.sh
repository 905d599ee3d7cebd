#!/bin/sh
# Create a virtual environment with any Python that the project supports.
#
#   tools/create_venv.sh FOLDER   create it; PYTHON=/path/to/python names the interpreter
#   tools/create_venv.sh --find   print the interpreter, or exit with 1
set -eu

# The first one is the version that requirements.lock was tested on.
candidates="python3.11 python3.12 python3.13 python3 python"

# A shim of pyenv may be there without its Python, and Debian's python3 without ensurepip.
is_supported() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
        >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-$candidates}; do
        if is_supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

explain() {
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is no Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip."
    else
        echo "No Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip was found, and no uv."
    fi
    echo "Install one and run the command again:"
    echo "  Debian, Ubuntu:  sudo apt-get install python3 python3-venv"
    echo "  macOS:           brew install python@3.13"
    echo "  anywhere:        uv, from https://docs.astral.sh/uv/"
    echo "Or name one that is there: make PYTHON=/path/to/python3 repro"
}

if [ "$1" = --find ]; then
    find_python
    exit
fi
if python=$(find_python); then
    echo "Creating $1 with $("$python" --version) ($(command -v "$python"))."
    "$python" -m venv "$1"
elif [ -z "${PYTHON:-}" ] && command -v uv >/dev/null; then
    echo "Creating $1 with a Python that uv provides."
    uv venv --seed --python '>=3.11,<3.14' "$1"
else
    explain >&2
    exit 1
fi
