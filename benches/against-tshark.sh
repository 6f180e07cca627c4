#!/usr/bin/env bash
# How long rpcshark takes for a large capture, beside tshark, tcpdump and another build of itself.
#
#   benches/against-tshark.sh CAPTURE
#
# Each row is measured in pairs: the two commands run in turn, and the row shows the medians. All output goes to /dev/null.
# Variables:
#   RPCSHARK  the program (target/release/rpcshark)
#   BASE      another build to compare with; its row is skipped without it
#   PROTO     .proto files or a directory of them, for `calls --json`; skipped without it
#   PAIRS     pairs a row (5); of tshark, which takes a hundred times as long, one
#   TSHARK_D  how tshark decodes the port (tcp.port==2379,http2)
set -euo pipefail

capture=${1:?usage: benches/against-tshark.sh CAPTURE}
rpcshark=${RPCSHARK:-target/release/rpcshark}
pairs=${PAIRS:-5}
tshark_d=${TSHARK_D:-tcp.port==2379,http2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for program in "$rpcshark" "${BASE:-$rpcshark}"; do
    command -v "$program" > /dev/null || { echo "$program: not found (cargo build --release)" >&2; exit 2; }
done

# Standard error, where it is not redirected.
exec 3>&2

# Runs "$@" and prints its seconds on the wall and of processor time. Ends the script if it fails.
seconds() {
    local TIMEFORMAT='%R %U %S'
    { time "$@" > /dev/null 2> "$work/stderr" || fail "$@"; } 2>&1 | awk '{ print $1, $2 + $3 }'
}

fail() {
    local status=$?
    { echo "failed with status $status: $*"; cat "$work/stderr"; } >&3
    return 1
}

# The median of column $1 of standard input.
median() {
    awk -v column="$1" '{ print $column }' | sort -g |
        awk '{ value[NR] = $1 } END { middle = int((NR + 1) / 2); print NR % 2 ? value[middle] : (value[middle] + value[middle + 1]) / 2 }'
}

# compare NAME PAIRS FUNCTION_A FUNCTION_B: a row with the medians of both and of their ratios.
compare() {
    local name=$1 count=$2 a=$3 b=$4
    : > "$work/pairs"
    "$a" > /dev/null
    for ((pair = 0; pair < count; pair++)); do
        echo "$("$a") $("$b")" >> "$work/pairs"
    done
    awk '{ print $0, $1 / $3, $2 / ($4 > 0 ? $4 : 0.001) }' "$work/pairs" > "$work/ratios"
    printf '%-44s %8.2f %8.2f %8.2f %8.2f %9.3f %9.3f\n' "$name" \
        "$(median 1 < "$work/ratios")" "$(median 2 < "$work/ratios")" "$(median 3 < "$work/ratios")" \
        "$(median 4 < "$work/ratios")" "$(median 5 < "$work/ratios")" "$(median 6 < "$work/ratios")"
}

skip() {
    printf '%-44s skipped: %s\n' "$1" "$2"
}

calls() { seconds env RAYON_NUM_THREADS=2 "$rpcshark" calls "$capture"; }
calls_1() { seconds env RAYON_NUM_THREADS=1 "$rpcshark" calls "$capture"; }
base() { seconds env RAYON_NUM_THREADS=2 "$BASE" calls "$capture"; }
base_1() { seconds env RAYON_NUM_THREADS=1 "$BASE" calls "$capture"; }
json() { seconds env RAYON_NUM_THREADS=2 "$rpcshark" calls --json "$capture"; }
base_json() { seconds env RAYON_NUM_THREADS=2 "$BASE" calls --json "$capture"; }
json_proto() { seconds env RAYON_NUM_THREADS=2 "$rpcshark" calls --json --proto "$PROTO" "$capture"; }
pipe() { seconds sh -c 'cat "$2" | RAYON_NUM_THREADS=2 "$1" calls -' sh "$rpcshark" "$capture"; }
copy() { seconds tcpdump -r "$capture" -w /dev/null; }
fields() {
    seconds tshark -r "$capture" -d "$tshark_d" -Y grpc \
        -T fields -e frame.number -e http2.headers.path -e grpc.message_length
}

printf '%-44s %8s %8s %8s %8s %9s %9s\n' "A against B: wall and processor seconds" \
    'A wall' 'A cpu' 'B wall' 'B cpu' 'A/B wall' 'A/B cpu'
if [ -n "${BASE:-}" ]; then
    compare 'calls, 2 threads, against BASE' "$pairs" calls base
    compare 'calls, 1 thread, against BASE' "$pairs" calls_1 base_1
    compare 'calls --json, against BASE' "$pairs" json base_json
else
    skip 'calls, against BASE' 'BASE is not set'
fi
if command -v tcpdump > /dev/null; then
    compare 'calls, against tcpdump -w /dev/null' "$pairs" calls copy
else
    skip 'calls, against tcpdump' 'tcpdump is not installed'
fi
if command -v tshark > /dev/null; then
    compare "calls, against tshark's gRPC fields" 1 calls fields
else
    skip 'calls, against tshark' 'tshark is not installed'
fi
compare 'calls, 2 threads against 1' "$pairs" calls calls_1
compare 'calls --json, against calls' "$pairs" json calls
if [ -n "${PROTO:-}" ]; then
    compare 'calls --json with PROTO, against without' "$pairs" json_proto json
else
    skip 'calls --json with a schema' 'PROTO is not set'
fi
compare 'cat CAPTURE | calls -, against calls CAPTURE' "$pairs" pipe calls

# Anonymous memory at its highest, with all calls in the store; looked at every 5 ms, where there is /proc.
if [ -r /proc/self/status ]; then
    "$rpcshark" calls "$capture" > "$work/lines" &
    highest=0
    while anonymous=$(awk '/^RssAnon/ { print $2 }' "/proc/$!/status" 2> /dev/null) && [ -n "$anonymous" ]; do
        if [ "$anonymous" -gt "$highest" ]; then highest=$anonymous; fi
        sleep 0.005
    done
    wait
    count=$(($(wc -l < "$work/lines") - 1))
    awk -v kib="$highest" -v calls="$count" 'BEGIN {
        printf "%-44s %d MiB, %d bytes for each of %d calls\n", "anonymous memory of calls", kib / 1024,
            kib * 1024 / (calls > 0 ? calls : 1), calls
    }'
else
    skip 'anonymous memory of calls' 'there is no /proc'
fi
