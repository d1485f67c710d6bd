"""What the systems have in common: a folder, a port, a configuration written to a file, a process."""

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / "target" / "scoreboard"
DEB = HOME / "deb"
sys.path.insert(0, str(ROOT / "benches" / "e2e"))

from processes import Process, free_ports, wait_for_port  # noqa: E402

FAKETIME = DEB / "usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
DOMAIN = "bench.test"
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
    weights: dict = field(default_factory=dict)
    """Where upstreams are not equal."""
    names: str = ""
    """Upstreams are called by name, which the name server at this address knows."""
    tls: str = ""
    """Upstreams are reached by TLS; in this folder is ca.crt, whose certificates are to be trusted."""
    http2: bool = False
    """Upstreams speak HTTP/2, without TLS."""
    secrets: tuple = ()
    """Files with the credentials of A, instead of those in the environment."""
    pattern: str = ""
    """A route for the models of this pattern as well."""
    uploads: bool = False
    """What is sent to /upload/ goes to the upstreams, whatever it is."""
    reloads: bool = False
    """The configuration will change while it runs."""
    callers_http2: bool = False
    """Some callers begin with HTTP/2."""
    obeys_modes: bool = False
    """A file's mode binds it, though it may be root's process."""
    clock: str = ""
    """This file says how wrong the wall clock is."""
    # The same upstream timeouts in every T, in seconds.
    connect: float = 3.0
    headers: float = 30.0
    idle: float = 90.0


class System:
    name = ""
    cannot = {}
    """What it cannot be asked, and why: a profile or a word of `Scenario.needs`."""
    children = False
    start_seconds = 15

    def __init__(self, config, ports, folder, wanted):
        assert config in "DT"
        self.tuned = config == "T"
        self.ports = ports
        self.folder = folder
        self.wanted = wanted
        self.port, self.admin = free_ports(2)
        self.h2_port = self.port
        """Where callers may begin with HTTP/2 at once."""
        self.live = None
        """The file that it reads again."""
        self.process = None

    def write(self, name, text):
        """In one step, as deployers do it: a file that is watched is never half there."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text)
        new.replace(path)
        return path

    def host(self, name):
        return f"{name.lower()}.{DOMAIN}" if self.wanted.names else "127.0.0.1"

    def rewrite(self, **changes):
        """The same configuration but for these of what is wanted, in force at once."""
        self.wanted = replace(self.wanted, **changes)
        self.prepare()
        self.nudge()

    def nudge(self):
        """Tells it that its configuration changed, where it does not look by itself."""

    def hash(self, text):
        """Of the configuration without this run's ports and folder, so that equal ones compare equal."""
        for known in [self.folder, self.port, self.admin, *self.ports.values(), self.wanted.names or self.folder]:
            text = text.replace(str(known), "_")
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def start(self):
        text, argv, env = self.prepare()
        self.config_hash = self.hash(text)
        self.process = Process([*self.around(), *argv], CORES, self.folder / "log", {**env, **self.false_clock()}, self.children)
        wait_for_port(self.port, self.process, seconds=self.start_seconds)

    def around(self):
        """What makes the process' world. Each execs the next, so that the process is the system's."""
        made = []
        if self.wanted.names:
            # Its own view of one file, in its own mount namespace; nobody else's is touched.
            resolver = self.write("resolv.conf", f"nameserver {self.wanted.names}\noptions timeout:1 attempts:2\n")
            made += ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolver]
        if self.wanted.obeys_modes:
            made += ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        return made

    def false_clock(self):
        if not self.wanted.clock:
            return {}
        if not FAKETIME.exists():
            raise RuntimeError("libfaketime is not there: benches/scoreboard/install")
        return {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": self.wanted.clock, "FAKETIME_CACHE_DURATION": "1",
            # A step is of the wall clock only; that is the point of the other one.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def kill(self):
        """At once, the workers of a master too: nobody drains for a measurement that is over."""
        if self.process and self.process.child.poll() is None:
            # The master first, or it starts new workers.
            for pid in self.process.pids():
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        if self.process:
            pids = self.process.pids() if self.process.child.poll() is None else [self.process.child.pid]
            self.kill()
            self.process.stop()
            if self.wanted.clock:
                # The library's own, which it leaves where a process is killed.
                for left in (f"{kind}_{pid}" for pid in pids for kind in ("faketime_shm", "sem.faketime_sem")):
                    Path("/dev/shm", left).unlink(missing_ok=True)

    def refused(self):
        """Connections that each upstream has refused so far, by the system's own count; None where it does not count."""
        return None

    def transitions(self):
        """Times that a breaker of each upstream opened, by the system's own count; None where it has none."""
        return None

    def figures(self):
        """Further counts of its own: `series` it exports, `reloads` it made, whether it says that one `failed`."""
        return {}

    def ahead(self):
        """Seconds by which its wall clock is ahead of ours; None where it does not tell the time."""
        return None

    @classmethod
    def version(cls):
        raise NotImplementedError


def said(*argv, env=None):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})})
    return done.stdout.strip().splitlines()[0]
