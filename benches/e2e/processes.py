"""Starts processes on chosen cores, reads what they cost from /proc, and ends them by their ids."""

import os
import socket
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """A child of this script on one core; its standard input's end tells it that we are gone."""

    def __init__(self, argv, core, log, env=None, children=False):
        self.argv = [str(part) for part in argv]
        self.children = children
        self.child = subprocess.Popen(
            ["taskset", "-c", str(core), *self.argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if log is None else open(log, "ab"),
            stderr=None if log is None else subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            text=True,
        )

    def pids(self):
        """The process, and its own children where those do the work (nginx's workers)."""
        own = self.child.pid
        if not self.children:
            return [own]
        listed = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, listed)]

    def cpu_seconds(self):
        """User and system time of all threads, ended ones included, to the nanosecond."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self.pids())

    def rss_mb(self):
        return sum(_rss_kib(pid) for pid in self.pids()) * 1024 / 1e6

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        self.child.stdin.close()


def _cpu_clock(pid):
    # As the kernel numbers them (CPUCLOCK_SCHED of a process, linux/posix-timers_types.h).
    return ~pid << 3 | 2


def _rss_kib(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise RuntimeError(f"no Rss of {pid}")


def core_seconds(core):
    """Seconds that a core was busy, and that it was taken away by the host, since boot."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, line.split()[1:9])
            return (user + nice + system + irq + softirq) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND
    raise RuntimeError(f"no core {core}")


def free_ports(count):
    """Ports nobody listens on. Held together while asking, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for_port(port, process, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.child.poll() is not None:
            raise RuntimeError(f"{process.argv[0]} ended with {process.child.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.argv[0]} does not listen on {port}")
