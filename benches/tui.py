#!/usr/bin/env python3
"""Measures the terminal UI over a large capture: when the first rows are there, how soon keys are answered while the capture is
being read, how long reading takes compared to `calls`, and how much anonymous memory it needs.

usage: benches/tui.py CAPTURE [RPCSHARK]        (only the standard library is needed)
"""

import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import termios
import time

CAPTURE = sys.argv[1]
PROGRAM = sys.argv[2] if len(sys.argv) > 2 else "target/release/rpcshark"
COLUMNS, ROWS = 100, 30


def anonymous(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1)) / 1024


def read(master, seconds):
    """What the program writes within `seconds`, or until it pauses once it has written something."""
    written = b""
    until = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([master], [], [], max(0, until - time.monotonic()))
        if not ready:
            return written
        written += os.read(master, 1 << 16)
        until = min(until, time.monotonic() + 0.002)


def run():
    began = time.monotonic()
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execv(PROGRAM, [PROGRAM, CAPTURE])
    first = loaded = None
    keys = []
    most = 0.0
    screen = b""
    next_key = began + 0.3
    while loaded is None and time.monotonic() - began < 120:
        screen = (screen + read(master, 0.05))[-(1 << 16):]
        now = time.monotonic()
        text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b" ", screen)
        if first is None and re.search(rb"c\d+ ", text):
            first = now - began
        most = max(most, anonymous(pid))
        if first is not None and b" calls " in text and b"so far" not in text[-2000:] and finished(pid, now, keys):
            loaded = now - began
        if first is not None and now >= next_key and loaded is None:
            pressed = time.monotonic()
            os.write(master, b"j")
            answer = read(master, 2)
            if answer:
                keys.append(time.monotonic() - pressed - 0.002)
            screen += answer
            next_key = now + 0.05
    most = max(most, anonymous(pid))
    os.write(master, b"q")
    time.sleep(0.2)
    os.close(master)
    os.waitpid(pid, 0)
    return first, loaded, keys, most


def finished(pid, now, samples, state={}):
    """The loader has ended when the program has used next to no CPU for a moment."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    history = state.setdefault(pid, [])
    history.append((now, ticks))
    recent = [entry for entry in history if now - entry[0] <= 0.6]
    return now - history[0][0] > 1.0 and recent[-1][1] - recent[0][1] <= 3


def main():
    times = []
    for _ in range(3):
        began = time.monotonic()
        with open(os.devnull, "w") as nowhere:
            subprocess.run([PROGRAM, "calls", CAPTURE], stdout=nowhere, stderr=nowhere, check=False)
        times.append(time.monotonic() - began)
    calls = statistics.median(times)
    runs = [run() for _ in range(3)]
    keys = sorted(key for _, _, of_run, _ in runs for key in of_run)
    print(f"first rows after        {statistics.median(r[0] for r in runs) * 1000:.0f} ms")
    print(f"keys answered within    {keys[len(keys) // 2] * 1000:.1f} ms (median), {keys[-1] * 1000:.1f} ms (longest of {len(keys)})")
    loaded = statistics.median(r[1] for r in runs) - 0.6
    print(f"loaded after            {loaded:.2f} s; calls takes {calls:.2f} s, so {loaded / calls:.2f} times that")
    print(f"anonymous memory        {max(r[3] for r in runs):.0f} MiB")


main()
