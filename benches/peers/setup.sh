#!/bin/sh
# Sets up the Python peers (PyTorch, jax, optax) in an environment below target/, which git ignores.
set -eu
cd "$(dirname "$0")/../.."
env="${CARGO_TARGET_DIR:-target}/peers-python"
python3 -m venv "$env"
"$env/bin/pip" install --quiet "$@" torch numpy jax optax
echo "run.sh will use $env/bin/python"
