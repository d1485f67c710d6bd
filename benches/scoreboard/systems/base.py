"""What the systems have in common: a folder, a port, a configuration written to a file, a process."""

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / "target" / "scoreboard"
DEB = HOME / "deb"
sys.path.insert(0, str(ROOT / "benches" / "e2e"))

from processes import Process, free_ports, wait_for_port  # noqa: E402

CORES = f"0-{os.cpu_count() - 1}"
LIBRARIES = {"LD_LIBRARY_PATH": f"{DEB}/usr/lib/x86_64-linux-gnu:{DEB}/lib/x86_64-linux-gnu"}


@dataclass
class Wanted:
    """What a scenario asks of a system beyond three equal upstreams."""

    replay: bool = True
    """Whether a request that may have been processed may be sent again."""
    upstreams: str = "ABC"
    keys: bool = False
    """Upstream A has two credentials, ka1 and ka2."""
    latency: bool = False
    """Choose by latency where the system can."""
    models: tuple = ("bench",)
    # The same upstream timeouts in every T, in seconds.
    connect: float = 3.0
    headers: float = 30.0
    idle: float = 90.0


class System:
    name = ""
    """What it cannot be asked: `keys` (more than one credential of an upstream), `H` (too slow for the profile)."""
    cannot = frozenset()
    children = False
    start_seconds = 15

    def __init__(self, config, ports, folder, wanted):
        assert config in "DT"
        self.tuned = config == "T"
        self.ports = ports
        self.folder = folder
        self.wanted = wanted
        self.port, self.admin = free_ports(2)
        self.process = None

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def hash(self, text):
        """Of the configuration without this run's ports and folder, so that equal ones compare equal."""
        for known in [self.folder, self.port, self.admin, *self.ports.values()]:
            text = text.replace(str(known), "_")
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def start(self):
        text, argv, env = self.prepare()
        self.config_hash = self.hash(text)
        self.process = Process(argv, core=CORES, log=self.folder / "log", env=env, children=self.children)
        wait_for_port(self.port, self.process, seconds=self.start_seconds)

    def kill(self):
        """At once, the workers of a master too: nobody drains for a measurement that is over."""
        if self.process and self.process.child.poll() is None:
            # The master first, or it starts new workers.
            for pid in self.process.pids():
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        if self.process:
            self.kill()
            self.process.stop()

    def refused(self):
        """Connections that each upstream has refused so far, by the system's own count; None where it does not count."""
        return None

    def transitions(self):
        """Times that a breaker of each upstream opened, by the system's own count; None where it has none."""
        return None

    @classmethod
    def version(cls):
        raise NotImplementedError


def said(*argv, env=None):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})})
    return done.stdout.strip().splitlines()[0]
