"""One cell of the scoreboard: a scenario, a system, a configuration. Starts mocks, system and load, and keeps the timeline."""

import http.client
import json
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import actions
import certificates
import metrics
import wire
from scenarios import Plan
from systems import base

HERE = Path(__file__).resolve().parent
RATES = {"H": 300.0, "L": 30.0, "Q": 1.0}
CLIENT_TIMEOUT = 40.0
SEED = 8
SECOND = "127.0.0.2"
"""Where A moves to."""
MOCKS = base.HOME / "mocks/bin/python"
"""With the library for HTTP/2."""


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
        self.scale, self.pace = scale, pace
        self.folder = folder / f"{scenario.id}-{system.name}-{config}"
        self.folder.mkdir()
        # 30 s to the headers and 90 s of silence, shorter as the run is shorter.
        shorter = {"headers": max(5.0, 30 * pace), "idle": max(8.0, 90 * pace)}
        wanted = {**shorter, **scenario.wanted}
        if wanted.get("names"):
            # Any of the loopback network's addresses; all of port 53 there is this run's.
            wanted["names"] = f"127.53.{random.SystemRandom().randrange(1, 255)}.{random.SystemRandom().randrange(1, 255)}"
        if wanted.get("tls"):
            wanted["tls"] = str(certificates.make(self.folder / "certs"))
        if wanted.get("clock"):
            wanted["clock"] = str(self.folder / "clock")
            actions.set_clock(self.folder / "clock", 0)
        if wanted.get("secrets"):
            wanted["secrets"] = (str(actions.secret(self.folder, 1)),)
        wanted = base.Wanted(**wanted)
        # Below the range that connections out take theirs from, so that a port is still ours when it is bound again.
        self.ports = quiet_ports(scenario.mocks)
        self.replicas = [system(config, self.ports, self.made(f"replica{n}"), wanted) for n in range(1, scenario.replicas)]
        self.system = system(config, self.ports, self.folder, wanted)
        self.samples = []
        self.children = []
        self.notes = {}
        """What an action or the system itself found out, for `metrics.Run`."""

    def made(self, name):
        folder = self.folder / name
        folder.mkdir()
        return folder

    @property
    def systems(self):
        return [self.system, *self.replicas]

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
            for system in self.systems:
                system.stop()
        return {"scenario": self.scenario.id, "system": self.system.name, "config": self.config, **row}

    def kill(self):
        """From a signal's handler: no waiting."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for system in self.systems:
            system.kill()

    def child(self, *argv, python=sys.executable):
        errors = open(self.folder / f"{Path(argv[0]).stem}.err", "wb")
        child = subprocess.Popen(
            [python, "-B", str(HERE / argv[0]), *map(str, argv[1:])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )
        self.children.append(child)
        return child

    def mocks(self):
        wanted = self.system.wanted
        orders = {
            "out": str(self.folder / "upstream.jsonl"), "ports": self.ports, "names": wanted.names, "certs": wanted.tls,
            "http2": wanted.http2, "second": SECOND if wanted.names else None,
        }
        mock = self.child("mock.py", json.dumps(orders), python=str(MOCKS) if wanted.http2 else sys.executable)
        if mock.stdout.readline() != "ready\n":
            raise RuntimeError(f"the mocks do not start: {last_line(self.folder / 'mock.err')}")
        return mock

    def measured(self):
        scenario, plan, system = self.scenario, self.plan, self.system
        self.mock = mock = self.mocks()
        for each in self.systems:
            each.start()
        for each in self.systems:
            wait_until_it_answers(each)
        start = time.monotonic() + 1.0
        orders = {
            "ports": [each.port for each in self.systems], "start": start, "seconds": plan.end, "rps": plan.rps, "seed": SEED,
            "stream": scenario.profile != "H", "timeout": CLIENT_TIMEOUT, "out": str(self.folder / "client.jsonl"),
            "models": list(system.wanted.models), **scenario.load(plan),
        }
        load = self.child("load.py", json.dumps(orders))
        others = None
        if scenario.others:
            others = {"port": system.port, "h2_port": system.h2_port, "start": start, "seed": SEED, "scale": self.scale}
            others |= {"out": str(self.folder / "others.jsonl"), **scenario.others(plan)}
            others = self.child("others.py", json.dumps(others))
        events = [(at, lambda up=up, fault=fault: self.tell(up, fault)) for at, up, fault in scenario.script(plan)]
        if scenario.action:
            actions.ALL[scenario.action](self, events)
        self.keep(start, events)
        load.wait(CLIENT_TIMEOUT + 20)
        if others:
            others.wait(CLIENT_TIMEOUT + 20)
            self.notes["others"] = read(self.folder / "others.jsonl")
        # What is still open at an upstream after this is a leak.
        time.sleep(1.0)
        alive = all(each.process.child.poll() is None for each in self.systems)
        cpu, rss = (sum(e.process.cpu_seconds() for e in self.systems), sum(map(resident, self.systems))) if alive else (None, None)
        self.note("after")
        print('{"end": true}', file=mock.stdin, flush=True)
        mock.stdout.readline()
        run = metrics.Run(
            scenario, plan, start, read(self.folder / "client.jsonl"), read(self.folder / "upstream.jsonl"), self.samples, self.notes
        )
        took = time.monotonic() - start
        row = run.row()
        grown = rss - self.rss if rss is not None and self.rss is not None else None
        peak = self.peak - self.rss if self.peak is not None and self.rss is not None else None
        row |= {"cpu": cpu, "rss": rss, "rss_growth": grown, "rss_peak": peak, "alive": int(alive)}
        row |= {"config_hash": system.config_hash, "seconds": round(took, 1), "sizes": [self.scale, self.pace]}
        return metrics.scored(scenario, row)

    def tell(self, up, fault):
        print(json.dumps({"up": up, "fault": fault}), file=self.mock.stdin, flush=True)

    def keep(self, start, events):
        """The timeline, and once a second what the system itself counts."""
        events = sorted([*events, *((float(n), self.sample) for n in range(int(self.plan.end) + 1))], key=lambda event: event[0])
        self.rss = self.peak = None
        for at, act in events:
            time.sleep(max(0.0, start + at - time.monotonic()))
            act()
            if self.rss is None and at >= self.plan.inject - 1:
                self.rss = sum(map(resident, self.systems))
                self.note("before")

    def sample(self):
        try:
            counts = [(each.refused(), each.transitions()) for each in self.systems]
            self.samples.append((time.monotonic(), *(summed(column) for column in zip(*counts))))
            if self.rss is not None:
                self.peak = max(self.peak or 0.0, sum(map(resident, self.systems)))
        except (OSError, ValueError, KeyError, RuntimeError):
            # Asked again in a second.
            pass

    def note(self, when):
        """The system's own further counts."""
        try:
            self.notes[when] = self.system.figures()
        except (OSError, ValueError):
            self.notes[when] = {}


def resident(system):
    return system.process.rss_mb()


def summed(counts):
    """Of several replicas, by upstream; None where one cannot count."""
    if None in counts:
        return None
    return {name: sum(each[name] for each in counts) for name in counts[0]}


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


def quiet_ports(names):
    found = {}
    while len(found) < len(names):
        port = random.SystemRandom().randrange(11000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in TAKEN:
            TAKEN.add(port)
            found[names[len(found)]] = port
    return found


def last_line(path):
    return (path.read_text().strip().splitlines() or ["nothing said"])[-1]


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]
