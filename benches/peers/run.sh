#!/bin/sh
# Builds the peers and prints one table. Options: benches/peers/run.sh --help
set -eu
cd "$(dirname "$0")/../.."
env="${CARGO_TARGET_DIR:-target}/peers-python"
if [ -z "${PEERS_PYTHON:-}" ] && [ -x "$env/bin/python" ]; then
    PEERS_PYTHON="$env/bin/python"
    export PEERS_PYTHON
fi
cargo build --quiet --release -p steadygrad-peers --features candle,burn
processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
echo "$(date +%F), ${processor:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) cores, $(rustc --version)"
echo
echo "\`benches/peers/run.sh${*:+ $*}\`"
echo
exec "${CARGO_TARGET_DIR:-target}/release/peers" "$@"
