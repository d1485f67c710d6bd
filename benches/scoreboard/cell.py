"""One cell of the scoreboard: a scenario, a system, a configuration. Starts mocks, system and load, and keeps the timeline."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import metrics
import wire
from scenarios import Plan
from systems import base

HERE = Path(__file__).resolve().parent
RATES = {"H": 300.0, "L": 30.0, "Q": 1.0}
CLIENT_TIMEOUT = 40.0
SEED = 8


def planned(scenario, scale, pace):
    inject = 60 * pace
    clear = inject + max(60 * pace, scenario.fault)
    end = clear + max(120 * pace, scenario.after)
    if scenario.action == "drain":
        clear = end = inject + 5
    return Plan((scenario.rps or RATES[scenario.profile]) * scale, inject, clear, end)


class Cell:
    def __init__(self, scenario, system, config, folder, scale, pace):
        self.scenario, self.config = scenario, config
        self.plan = planned(scenario, scale, pace)
        self.folder = folder / f"{scenario.id}-{system.name}-{config}"
        self.folder.mkdir()
        # 30 s to the headers and 90 s of silence, shorter as the run is shorter.
        shorter = {"headers": max(5.0, 30 * pace), "idle": max(8.0, 90 * pace)}
        wanted = base.Wanted(**{**shorter, **scenario.wanted})
        # Below the range that connections out take theirs from, so that a port is still ours when it is bound again.
        self.ports = quiet_ports(3)
        self.system = system(config, self.ports, self.folder, wanted)
        self.samples = []
        self.children = []

    @property
    def name(self):
        return f"{self.scenario.id} {self.system.name} {self.config}"

    def run(self):
        """The cell's row, or the reason why there is none."""
        try:
            row = self.measured()
        except Exception as error:  # whatever fails is a row that says so
            row = {"failed": f"{type(error).__name__}: {error}"}
        finally:
            for child in self.children:
                if child.poll() is None:
                    child.kill()
                child.wait()
            self.system.stop()
        return {"scenario": self.scenario.id, "system": self.system.name, "config": self.config, **row}

    def kill(self):
        """From a signal's handler: no waiting."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
        self.system.kill()

    def child(self, *argv):
        errors = open(self.folder / f"{Path(argv[0]).stem}.err", "wb")
        child = subprocess.Popen(
            [sys.executable, "-B", str(HERE / argv[0]), *map(str, argv[1:])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )
        self.children.append(child)
        return child

    def measured(self):
        scenario, plan, system = self.scenario, self.plan, self.system
        mock = self.child("mock.py", self.folder / "upstream.jsonl", *(f"{n}={p}" for n, p in self.ports.items()))
        if mock.stdout.readline() != "ready\n":
            raise RuntimeError("the mocks do not start")
        system.start()
        wait_until_it_answers(system)
        start = time.monotonic() + 1.0
        orders = {
            "port": system.port, "start": start, "seconds": plan.end, "rps": plan.rps, "seed": SEED,
            "stream": scenario.profile != "H", "timeout": CLIENT_TIMEOUT, "out": str(self.folder / "client.jsonl"),
            "models": list(system.wanted.models), **scenario.load(plan),
        }
        load = self.child("load.py", json.dumps(orders))
        events = [(at, lambda up=up, fault=fault: tell(mock, up, fault)) for at, up, fault in scenario.script(plan)]
        if scenario.action:
            ACTIONS[scenario.action](self, events)
        self.keep(start, events)
        load.wait(CLIENT_TIMEOUT + 20)
        # What is still open at an upstream after this is a leak.
        time.sleep(1.0)
        cpu, rss = (system.process.cpu_seconds(), system.process.rss_mb()) if system.process.child.poll() is None else (None, None)
        print('{"end": true}', file=mock.stdin, flush=True)
        mock.stdout.readline()
        run = metrics.Run(
            scenario, plan, start, read(self.folder / "client.jsonl"), read(self.folder / "upstream.jsonl"), self.samples, self.ports
        )
        took = time.monotonic() - start
        row = run.row()
        grown = rss - self.rss if rss is not None and self.rss is not None else None
        row |= {"cpu": cpu, "rss": rss, "rss_growth": grown, "config_hash": system.config_hash, "seconds": round(took, 1)}
        return metrics.scored(scenario, row)

    def keep(self, start, events):
        """The timeline, and once a second what the system itself counts."""
        events = sorted([*events, *((float(n), self.sample) for n in range(int(self.plan.end) + 1))], key=lambda event: event[0])
        self.rss = None
        for at, act in events:
            time.sleep(max(0.0, start + at - time.monotonic()))
            act()
            if self.rss is None and at >= self.plan.inject - 1:
                self.rss = self.system.process.rss_mb()

    def sample(self):
        try:
            self.samples.append((time.monotonic(), self.system.refused(), self.system.transitions()))
        except (OSError, ValueError, KeyError):
            # Asked again in a second.
            pass


def tell(mock, up, fault):
    print(json.dumps({"up": up, "fault": fault}), file=mock.stdin, flush=True)


def drain(cell, events):
    """How each system is told to finish what it has begun."""
    ends = {"nginx": signal.SIGQUIT, "haproxy": signal.SIGUSR1}

    def end():
        if cell.system.name == "envoy":
            # It has no signal for it; this is what its documentation names.
            base.said("curl", "-s", "-X", "POST", f"http://127.0.0.1:{cell.system.admin}/drain_listeners?graceful")
            return
        cell.system.process.child.send_signal(ends.get(cell.system.name, signal.SIGTERM))

    events.append((cell.plan.inject, end))


def starve(cell, events):
    """A fifth of a core: stopped for 80 of every 100 ms."""

    def begin():
        threading.Thread(target=throttle, args=(cell, time.monotonic() + cell.plan.clear - cell.plan.inject), daemon=True).start()

    events.append((cell.plan.inject, begin))


def throttle(cell, until):
    pids = cell.system.process.pids()
    try:
        while time.monotonic() < until:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(0.08)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
    except ProcessLookupError:
        pass
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


ACTIONS = {"drain": drain, "starve": starve}


def wait_until_it_answers(system):
    """One good answer, so that nothing of the start is measured."""
    deadline = time.monotonic() + 30
    body = wire.ask("warm", "H" in system.cannot, 2048, system.wanted.models[0])
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=20)
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", "authorization": "Bearer caller"})
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            if answer.status == 200:
                return
            problem = f"{answer.status} {said[:200]!r}"
        except OSError as error:
            problem = repr(error)
        if time.monotonic() > deadline:
            raise RuntimeError(f"never answered: {problem}")
        time.sleep(0.5)


TAKEN = set()


def quiet_ports(count):
    found = {}
    while len(found) < count:
        port = random.SystemRandom().randrange(11000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in TAKEN:
            TAKEN.add(port)
            found["ABC"[len(found)]] = port
    return found


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]
