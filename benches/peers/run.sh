#!/bin/sh
# Builds the peers and prints one table. Options: benches/peers/run.sh --help
set -eu
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
env="$target/peers-python"
if [ -z "${PEERS_PYTHON:-}" ] && [ -x "$env/bin/python" ]; then
    PEERS_PYTHON="$env/bin/python"
    export PEERS_PYTHON
fi

# Of the frameworks that take minutes to compile, only what `--peers` names.
features=candle,burn
case " $* " in *" recurrent "*) features="$features,rust-lstm" ;; esac
previous=
for word in "$@"; do
    if [ "$previous" = --peers ]; then
        features=
        case "$word" in *candle*) features=candle ;; esac
        case "$word" in *burn*) features="$features,burn" ;; esac
        case "$word" in *rust-lstm*) features="$features,rust-lstm" ;; esac
    fi
    previous=$word
done
# The checks take what the tests compiled; what is timed is optimised.
profile="${PEERS_PROFILE:-release}"
cargo build --quiet --profile "$profile" -p steadygrad-peers --features "$features"
if [ "$profile" = test ]; then
    profile=debug
fi
peers="$target/$profile/peers"

case " $* " in
*" --help "* | *" -h "*) exec "$peers" --help ;;
esac
processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
echo "$(date +%F), ${processor:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) cores, $(rustc --version)"
echo
echo "\`benches/peers/run.sh${*:+ $*}\`"
echo
exec "$peers" "$@"
