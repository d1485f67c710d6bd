"""Two gateways of one build side by side, which take short bursts in turns: a machine that is slower for a while is so for
both, and what one took is held against what the other took for the burst beside it."""

import importlib.machinery
import importlib.util
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import report
from processes import Process, free_ports

LATENCY = {"per_second": 500, "count": 1000}
BURSTS = {
    "request_s": ("flood", {"connections": 64, "count": 16000}),
    "paced_request_s": ("unary", {"per_second": 2000, "count": 3000}),
    "chunk_s": ("stream", {"per_second": 100, "count": 100}),
}
# Seconds after which everything is written that a burst has left.
BEHIND = 0.3
# Rounds of one process. Where its memory happens to lie decides some percent of what it takes, as long as it lives.
LIFE = 3


class Stage:
    """The mock and the load, in a folder of their own."""

    def __init__(self, asked):
        os.sched_setaffinity(0, {1})
        self.run = sibling("run")
        harness, self.binary = self.run.build(asked.binary)
        self.temporary = tempfile.TemporaryDirectory(prefix="mainstay-pair-")
        self.folder = Path(self.temporary.name)
        self.ports = free_ports(3)
        self.mock = Process([harness, "mock", *(f"127.0.0.1:{port}" for port in self.ports)], core=1, log=None)
        self.ends = self.run.Ends(harness, self.ports[0])

    def __enter__(self):
        assert self.mock.child.stdout.readline() == "ready\n", "the mock does not start"
        return self

    def __exit__(self, *_):
        self.mock.stop()
        self.temporary.cleanup()

    def compare(self, off, on, rounds):
        """What each took, by gateway and by burst."""
        figures = {"off": {}, "on": {}}
        pair = [("off", off), ("on", on)]
        try:
            for number in range(rounds):
                if number % LIFE == 0:
                    self.begin_anew(pair)
                for name, gateway in pair if number % 2 == 0 else reversed(pair):
                    for what, value in self.burst(gateway).items():
                        figures[name].setdefault(what, []).append(value)
        finally:
            for _, gateway in pair:
                if gateway.process:
                    gateway.stop()
        return figures

    def begin_anew(self, pair):
        for _, gateway in pair:
            if gateway.process:
                gateway.stop()
            gateway.start()
            # What is kept of the last requests is full.
            self.ends.load("flood", gateway, connections=64, count=12000)
        time.sleep(1)

    def burst(self, gateway):
        """CPU seconds for 10,000 requests or chunks, what is written behind their backs included, and how long callers waited."""
        latency = self.ends.load("unary", gateway, **LATENCY)
        figures = {"p50_ms": latency["p50_ms"], "p99_ms": latency["p99_ms"]}
        for what, (kind, size) in BURSTS.items():
            def work():
                answer = self.ends.load(kind, gateway, **size)
                time.sleep(BEHIND)
                return answer
            answer, cpu, _ = self.run.charged(gateway, work)
            figures[what] = cpu * 10_000 / (answer["chunks"] or answer["good"])
        return figures


def table(figures):
    """Both, and the median of what each burst was to the one beside it."""
    off, on = figures["off"], figures["on"]
    rows = [["", "off", "on", "ratio"]]
    for what in BURSTS:
        ratio = median(full / bare for full, bare in zip(on[what], off[what]))
        rows.append([report.HEADS[what], report.spread(off[what]), report.spread(on[what]), f"{ratio:.3f}"])
    for what in ("p50_ms", "p99_ms"):
        added = [full - bare for full, bare in zip(on[what], off[what])]
        rows.append([f"{what[:3]} ms at 500/s", report.spread(off[what]), report.spread(on[what]), f"{median(added):+.3f} ms"])
    return report.table(rows)


def sibling(name):
    """A script beside this one, whatever its name ends with."""
    path = str(Path(__file__).with_name(name))
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
