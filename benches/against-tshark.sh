#!/usr/bin/env bash
# How long rpcshark takes for a large capture, beside tshark, tcpdump and another build of itself.
#
#   benches/against-tshark.sh CAPTURE
#
# Each row is measured in pairs: the two commands run in turn, and the row shows the medians. All output goes to /dev/null.
# Variables:
#   RPCSHARK  the program (target/release/rpcshark)
#   BASE      another build to compare with; its row is skipped without it
#   SCHEMA    options that name the schema, for `calls --json`: "--proto DIR --import-path DIR"; skipped without it
#   PAIRS     pairs a row (5); of tshark, which takes a hundred times as long, one
#   TSHARK_D  how tshark decodes the port (tcp.port==2379,http2)
#   GENERATE  the program that writes copies of CAPTURE and captures that reach limits
#             (target/release/examples/generate); their rows are skipped without it
#   COPIES    how many copies end to end (1 2 4); 8 of a capture of 1 GB need 8 GB for a file in TMPDIR
#   LIMITS    set: the rows of captures that reach limits, which take minutes
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
# The options are separate words.
# shellcheck disable=SC2086
json_schema() { seconds env RAYON_NUM_THREADS=2 "$rpcshark" calls --json $SCHEMA "$capture"; }
ek() { seconds tshark -r "$capture" -d "$tshark_d" -Y grpc -T ek; }
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
    skip "calls, against tshark's gRPC fields" 'tshark is not installed'
fi
compare 'calls, 2 threads against 1' "$pairs" calls calls_1
if [ -n "${SCHEMA:-}" ]; then
    compare 'calls --json with SCHEMA, against calls' "$pairs" json_schema calls
else
    skip 'calls --json with SCHEMA' 'SCHEMA is not set'
fi
compare 'calls --json without it, against calls' "$pairs" json calls
if command -v tshark > /dev/null; then
    compare 'calls --json, against tshark -T ek' 1 json ek
else
    skip 'calls --json, against tshark -T ek' 'tshark is not installed'
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

# copies COUNT: seconds for that many copies of the capture end to end, beside those for one.
copies() {
    local count=$1
    "$generate" copies "$count" "$capture" > "$work/copies.pcap"
    : > "$work/pairs"
    for ((pair = 0; pair < 3; pair++)); do
        seconds env RAYON_NUM_THREADS=2 "$rpcshark" calls "$work/copies.pcap" >> "$work/pairs"
    done
    wall=$(median 1 < "$work/pairs")
    one=${one:-$(awk -v wall="$wall" -v count="$count" 'BEGIN { print wall / count }')}
    printf '%-44s %8.2f %35s %9.3f of a straight line\n' "calls, $count copies end to end" "$wall" '' \
        "$(awk -v wall="$wall" -v one="$one" -v count="$count" 'BEGIN { print wall / one / count }')"
    rm "$work/copies.pcap"
}

# limit NAME ARGUMENTS…: seconds and the largest resident memory for a generated capture that comes through a pipe.
limit() {
    local name=$1
    shift
    "$generate" "$@" | /usr/bin/time -f '%e %M' -o "$work/time" "$rpcshark" calls - > "$work/lines" 2> "$work/stderr"
    awk -v name="$name" -v lines="$(wc -l < "$work/lines")" \
        '{ printf "%-44s %8.2f s, %d MiB resident at most, %d lines\n", name, $1, $2 / 1024, lines }' "$work/time"
}

generate=${GENERATE:-target/release/examples/generate}
if command -v "$generate" > /dev/null; then
    for count in ${COPIES:-1 2 4}; do
        copies "$count"
    done
else
    skip 'copies end to end' "there is no $generate (cargo build --release -p rpcshark-captures --example generate)"
fi
if [ -z "${LIMITS:-}" ]; then
    skip 'captures that reach limits' 'LIMITS is not set'
elif ! command -v "$generate" > /dev/null || [ ! -x /usr/bin/time ]; then
    skip 'captures that reach limits' "there is no $generate or no /usr/bin/time"
else
    limit 'one connection of 20 GB, through a pipe' connection 20000000000
    limit '100,000 connections' connections 100000
    limit 'a call of ten million messages' messages 10000000
    limit 'a message of 1 GiB' message 1073741824
fi
