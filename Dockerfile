# Runs the commands of README.md where only Docker is installed. Build it in a clone of the project:
#
#   docker build --tag retune .
#   docker run --rm --init retune make repro
#   docker run --rm --init retune make test
#
# docs/sharing.md says how to keep results, and how to leave CUDA out of the image.

# The Python on which requirements.lock was tested. A tag moves; to build on the same bytes for good,
# pin what `docker buildx imagetools inspect python:3.11-slim-bookworm` prints as its digest:
# FROM python:3.11-slim-bookworm@sha256:...
FROM python:3.11-slim-bookworm

# No versions: Debian removes a package from its mirrors when a security fix replaces it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 --user-group retune \
    && install --directory --owner=retune --group=retune /home/retune/project
USER 1000:1000
WORKDIR /home/retune/project

# `--build-arg` can name a mirror, or an index with other builds of torch. uv gets the settings of pip.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
# Only what `make environment` reads, so that a change of code alone installs nothing again.
COPY --chown=1000:1000 Makefile pyproject.toml requirements.lock README.md LICENSE ./
COPY --chown=1000:1000 tools tools
COPY --chown=1000:1000 src/retune/__init__.py src/retune/__init__.py
# A cache of downloads would double the image.
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 make environment

COPY --chown=1000:1000 . .
# The copied files may be newer than the environment, but they are those that it was made from.
RUN make --touch environment
ENV PATH=/home/retune/project/.venv/bin:$PATH
CMD ["make"]
