"""The scenarios of the resilience scoreboard: what is injected when, and what ours must reach.

A script is a list of (second, upstream, fault); seconds count from the load's first. Faults are
`mock.py`'s. A target's times are absolute: a shorter run does not make them easier.
"""

from dataclasses import dataclass, field
from typing import Callable

SERVER_ERROR = {"kind": "status", "code": 500}
REFUSE = {"kind": "refuse"}
UPLOAD = 50_000_000
REPLICAS = 5
"""The specification says 20, and a machine of two cores bears a quarter of that beside its mocks."""
UNKNOWN_MODEL = {"error": {"message": "The model does not exist.", "type": "invalid_request_error", "code": "model_not_found"}}
KEY_LIMIT = {
    "kind": "status", "code": 429, "cred": "ka1", "headers": ["retry-after: 20"],
    "body": {"error": {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded"}},
}
KEY_QUOTA = {
    "kind": "status", "code": 429, "cred": "ka1",
    "body": {"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}},
}


@dataclass
class Plan:
    """A run's sizes, after scaling. Seconds count from the load's first."""

    rps: float
    inject: float
    clear: float
    end: float

    @property
    def fair(self):
        return self.rps / 3


@dataclass
class Target:
    """`metric` must be at most (`least`: at least) `limit`. `step` is what a missed target of 0 is doubled from."""

    metric: str
    limit: float
    step: float = 1.0
    least: bool = False


def within(plan, fault, up="A"):
    return [(plan.inject, up, fault), (plan.clear, up, None)]


def cycles(plan, fault, bad, period, up="A"):
    steps, at = [], plan.inject
    while at + bad <= plan.clear:
        steps += [(at, up, fault), (at + bad, up, None)]
        at += period
    return steps


def everywhere(plan, fault):
    return [step for up in "ABC" for step in within(plan, fault, up)]


def always(fault):
    return [(0.0, up, fault) for up in "ABC"]


@dataclass
class Scenario:
    id: str
    title: str
    profile: str
    script: Callable
    targets: list
    faulty: str = "A"
    fault: float = 0.0
    """Seconds that the fault lasts at least, whatever the scale."""
    after: float = 0.0
    wanted: dict = field(default_factory=dict)
    load: Callable = lambda plan: {}
    rps: float = 0.0
    """Instead of the profile's."""
    extra: str = ""
    """Of `metrics.EXTRAS`."""
    action: str = ""
    """Done to the system itself, of `actions.ALL`."""
    mocks: str = "ABC"
    """Upstreams that there are, wanted at first or not."""
    replicas: int = 1
    """Of the system, with the callers spread over them."""
    others: Callable | None = None
    """Callers beside the load's, of `others.py`."""
    asks: tuple = ()
    """Words of `System.cannot`, beside those that are plain from what is wanted."""
    weight: int = 0
    """What it takes of the machine, instead of its profile's."""

    @property
    def needs(self):
        return {self.profile, *self.asks, *(word for word in ("keys", "http2", "reloads", "secrets", "clock") if self.wanted.get(word))}

    def absent(self, system):
        """Why a system has no row; empty where it can have one."""
        return "; ".join(why for word, why in system.cannot.items() if word in self.needs)


def E(limit=0.0):
    return Target("E", limit, step=0.1)


def unshaken(limit):
    """The targets of a hard outage (S01), after so many seconds."""
    return [E(), Target("TTD", limit), Target("AMP", 1.05), Target("RESID", 15), Target("TTR", 45)]


SILENT = Target("E_silent", 0.0, step=0.1)
FLAT = Target("rss_growth", 16.0)
"""MB: what "memory flat" means of a process of some 20 MB."""
S = Scenario

ALL = [
    S("S01", "hard down", "H", lambda p: within(p, REFUSE),
      [E(), Target("TTD", 6), Target("AMP", 1.05), Target("RESID", 15), Target("TTR", 45)], fault=60, after=50),
    S("S01L", "hard down", "L", lambda p: within(p, REFUSE),
      [E(), Target("TTD", 6), Target("AMP", 1.05), Target("RESID", 15), Target("TTR", 45)], fault=60, after=50),
    S("S02", "SYN black hole", "L", lambda p: within(p, {"kind": "blackhole"}),
      [E(0.2), Target("TTD", 4), Target("slow_firsts", 5)], fault=20, extra="slow_firsts"),
    S("S03", "accept, then silence", "L", lambda p: within(p, {"kind": "silent"}),
      [E(), Target("TTD", 16)], fault=25, after=45),
    S("S04", "pooled connections go dead", "L", lambda p: [(p.inject, "A", {"kind": "freeze"}), (p.clear, "A", None)],
      [E(), Target("last_slow", 31), Target("opened", 0)], fault=20, extra="pooled"),
    S("S05", "fast 500", "H", lambda p: within(p, {**SERVER_ERROR, "health": 500}),
      [E(0.05), Target("failures_to_detect", 5), Target("A_over_fair", 1.0)], extra="fast", wanted={"latency": True}),
    S("S06", "every second answer a 500", "H", lambda p: within(p, {**SERVER_ERROR, "every": 2}),
      [E(0.1), Target("TTD", 15)], fault=25),
    S("S06L", "every second answer a 500", "L", lambda p: within(p, {**SERVER_ERROR, "every": 2}),
      [E(0.1), Target("TTD", 25)], fault=35),
    S("S07", "10 % noise everywhere", "H", lambda p: everywhere(p, {**SERVER_ERROR, "share": 0.1}),
      [E(0.2), Target("AMP_whole", 1.13), Target("opened", 0)], fault=30, extra="opened"),
    S("S08", "503 + Retry-After 5 for 5 s, healed for 10 s, again", "H",
      lambda p: cycles(p, {"kind": "status", "code": 503, "headers": ["retry-after: 5"]}, 5, 15),
      [E(), Target("back", 8)], fault=45, extra="back"),
    S("S09", "429 for one of two credentials", "L", lambda p: within(p, KEY_LIMIT),
      [E(), Target("opened", 0), Target("ka1_in_wait", 0)], fault=25, wanted={"keys": True}, extra="key"),
    S("S10", "quota of one credential is empty", "L", lambda p: [(p.inject, "A", KEY_QUOTA)],
      [E(), Target("ka1_all", 4)], fault=30, wanted={"keys": True}, extra="key"),
    S("S11", "529 for 3 s of every 10", "L", lambda p: cycles(p, {"kind": "status", "code": 529}, 3, 10),
      [E(), Target("share_outside", 0.4, least=True)], fault=40, extra="outside"),
    S("S12", "200, then an error as first event", "L", lambda p: within(p, {"kind": "first_error"}),
      [E(), SILENT, Target("TTD", 25)], fault=25),
    S("S13", "error event after 10 tokens", "L", lambda p: within(p, {"kind": "after", "n": 10, "how": "error"}),
      [Target("TTD", 10), Target("E_late", 0, step=1), SILENT], fault=25),
    S("S14", "stall after 10 tokens", "L", lambda p: within(p, {"kind": "after", "n": 10, "how": "stall"}),
      [Target("TTD_after_idle", 10), Target("stall", 35), SILENT, Target("left", 0)], fault=50, after=45, extra="stall"),
    S("S15", "cut after 10 tokens: FIN, RST, missing and clean last chunk in turn", "L",
      lambda p: within(p, {"kind": "after", "n": 10, "how": "cycle"}), [Target("TTD", 10), SILENT], fault=25),
    S("S16", "first token 5 s late", "L", lambda p: within(p, {"kind": "slow", "add": 5.0}),
      [Target("A_share_15", 0.10), E()], fault=30, wanted={"latency": True}, extra="share15"),
    S("S17", "5 % of answers take 20 times as long", "L", lambda p: everywhere(p, {"kind": "tail", "share": 0.05, "factor": 20}),
      [E(), Target("AMP_whole", 1.055)], fault=20),
    S("S18", "headers come a byte in 5 s", "L", lambda p: within(p, {"kind": "drip", "where": "head", "gap": 5.0}),
      [E(), Target("longest", 31), FLAT, Target("left", 0)], fault=40, after=45, extra="drips"),
    S("S18b", "a body comes a byte in 5 s", "L", lambda p: within(p, {"kind": "drip", "where": "body", "gap": 5.0}),
      [Target("longest", 185), SILENT, FLAT, Target("left", 0)], rps=3.0, fault=20, after=200, extra="drips",
      load=lambda p: {"seconds": p.clear, "timeout": 230.0}),
    S("S19", "all down for a while", "H", lambda p: everywhere(p, REFUSE),
      [Target("AMP", 1.25), Target("fail_p99", 50), Target("E_recovered", 1), Target("first_second", 1.5)], extra="outage"),
    S("S20", "5 s up, 5 s down", "H", lambda p: cycles(p, REFUSE, 5, 10),
      [E(0.1), Target("opened", 8), Target("A_share_last", 0.15)], fault=60, extra="flap"),
    S("S21", "back with 5 % of its capacity, growing for 30 s", "H",
      lambda p: [(p.inject, "A", REFUSE), (p.clear, "A", {"kind": "capacity", "rps": 0.05 * p.fair, "to": 1.3 * p.fair, "ramp": 30})],
      [Target("OVER2", 0.2), Target("E_after", 0.1, step=0.1)], after=50, extra="cold"),
    S("S22", "a spike of twice the load on servers with queues", "H", lambda p: always({"kind": "queue", "rps": 1.25 * p.fair}),
      [Target("E_settled", 5), Target("AMP", 1.25)], extra="settled",
      load=lambda p: {"bursts": [[p.inject, p.inject + 10, 2.0]], "timeout": 5.0}),
    S("S23a", "health is well, data is 500", "H", lambda p: within(p, SERVER_ERROR),
      [E(0.05), Target("failures_to_detect", 5)], extra="fast"),
    S("S23b", "health is 503, data is well, everywhere", "H", lambda p: everywhere(p, {"kind": "lie", "health": 503}), [E()], fault=20),
    S("S24", "a name moves; its old address is a black hole", "L", lambda p: [(p.inject, "A", {"kind": "move"})],
      [E(), Target("moved", 15)], fault=40, wanted={"names": True}, extra="moved"),
    S("S25", "upstreams close connections that are idle for 1 s", "L", lambda p: always({"kind": None, "idle": 1.0}),
      [E(), Target("DUP", 0)], fault=25, wanted={"replay": False}, rps=15.0),
    S("S26", "fifty reloads a minute while A is down", "H", lambda p: within(p, {"kind": "status", "code": 503, "health": 503}),
      [E(), Target("LOST", 0), Target("RESID", 15), Target("probes", 60), FLAT, Target("reloads", 0.6, least=True)],
      fault=40, wanted={"reloads": True}, action="storm", mocks="ABCD", extra="storm"),
    S("S26L", "fifty reloads a minute while A is down and 500 streams are open", "L",
      lambda p: [(0.0, up, {"kind": "long", "gap": 0.36}) for up in "ABCD"]
      + [(p.inject, "A", {"kind": "status", "code": 503, "health": 503}), (p.clear, "A", None)],
      [E(), Target("LOST", 0), Target("RESID", 15), Target("probes", 60), FLAT, Target("reloads", 0.6, least=True)],
      fault=40, wanted={"reloads": True}, action="storm", mocks="ABCD", extra="storm"),
    S("S27", "told to end while streams are open", "L", lambda p: [], [Target("E_all", 0, step=0.1)], action="drain",
      load=lambda p: {"seconds": p.inject}, extra="everything"),
    S("S28", "a configuration cut off, its directory exchanged, its file unreadable", "H", lambda p: [],
      [E(), Target("LOST", 0), Target("A_share_kept", 0.9, least=True), Target("flagged", 3, least=True), Target("flag_left", 0)],
      fault=60, wanted={"reloads": True, "obeys_modes": True}, action="half_written", extra="half_written"),
    S("S29", "half of the clients hang up within a second, others read slowly", "L", lambda p: [],
      [Target("abort_p99", 100), Target("left", 0)], extra="hangups", fault=20,
      load=lambda p: {"cancels": [[p.inject, p.clear, 0.5, 1.0]], "slow": [[p.inject, p.clear, 0.1]]}),
    S("S30", "clients hang up on the first requests to an upstream that is back", "L", lambda p: within(p, REFUSE),
      [Target("TTR", 40)], after=50, load=lambda p: {"cancels": [[p.clear, p.clear + 10, 1.0, 0.2]]}),
    S("S31", "reset after the body was read; may not be sent again", "H", lambda p: within(p, {"kind": "reset"}),
      [Target("DUP", 0), Target("TTD", 10), Target("E_late", 0, step=1)], wanted={"replay": False}, fault=20),
    S("S31r", "reset after the body was read; may be sent again", "H", lambda p: within(p, {"kind": "reset"}), [E()], fault=20),
    S("S32", "uploads of 50 MB that are reset at 80 %", "H",
      lambda p: everywhere(p, {"kind": "upload", "upto": 0.8, "size": UPLOAD}),
      [E(), Target("answered", 100, least=True), Target("repeated", 0), Target("rss_peak", 64), Target("p99_over", 2)],
      fault=20, wanted={"uploads": True}, extra="uploads", weight=3,
      others=lambda p: {"kind": "uploads", "begin": p.inject + 1, "end": p.clear - 3, "count": 8, "size": UPLOAD}),
    S("S33", "one upstream only: 60 % errors, then all", "H",
      lambda p: [(p.inject, "A", {**SERVER_ERROR, "share": 0.6}), ((p.inject + p.clear) / 2, "A", SERVER_ERROR), (p.clear, "A", None)],
      [Target("success_kept", 0.95, least=True), Target("forwarded", 25), Target("forwarded_late", 5), Target("admitted", 5)],
      fault=120, wanted={"upstreams": "A"}, extra="single"),
    S("S34", "two of three down, the third can do 60 %", "H",
      lambda p: [(p.inject, "A", {"kind": "capacity", "rps": 0.6 * p.rps}), (p.clear, "A", None),
                 *within(p, REFUSE, "B"), *within(p, REFUSE, "C")],
      [Target("goodput", 0.95, least=True), Target("fail_p99", 50)], fault=60, extra="survivor"),
    S("S35", "a certificate that is over", "H", lambda p: within(p, {"kind": "tls", "how": "expired"}),
      [*unshaken(6), Target("believed", 0)], fault=60, after=50, wanted={"tls": True}, extra="believed"),
    S("S35n", "a certificate of another name", "H", lambda p: within(p, {"kind": "tls", "how": "name"}),
      [*unshaken(6), Target("believed", 0)], fault=60, after=50, wanted={"tls": True}, extra="believed"),
    S("S35s", "handshakes that stall", "H", lambda p: within(p, {"kind": "tls", "how": "stall"}),
      unshaken(11), fault=60, after=50, wanted={"tls": True}),
    S("S36", "an upstream that means harm: heads, interim answers, chunks, lines, gzip and comments without end, in turn", "L",
      lambda p: within(p, {"kind": "hostile"}),
      [Target("alive", 1, least=True), Target("rss_peak", 67.1), Target("TTD", 25), Target("felt", 0), SILENT, Target("left", 0)],
      fault=40, after=45, extra="harm", weight=2),
    S("S37", "callers who mean harm: Slowloris, rapid resets, floods of CONTINUATION, PING, SETTINGS and empty DATA", "L", lambda p: [],
      [Target("alive", 1, least=True), E(), Target("p99_over", 2), Target("rss_peak", 67.1), Target("left", 0)],
      fault=20, wanted={"callers_http2": True}, asks=("hostile",), extra="harmed", weight=4,
      others=lambda p: {"kind": "hostile", "begin": p.inject, "end": p.clear, "slow": 5000, "rate": 20000}),
    S("S38", "the wall clock jumps an hour ahead while A is down", "H", lambda p: within(p, REFUSE),
      [*unshaken(6), Target("stepped", 3500, least=True)], fault=60, after=50, wanted={"clock": True}, action="forward", extra="stepped"),
    S("S38b", "the wall clock jumps an hour back while A is down", "H", lambda p: within(p, REFUSE),
      [*unshaken(6), Target("stepped", 3500, least=True)], fault=60, after=50, wanted={"clock": True}, action="back", extra="stepped"),
    S("S39", "the system gets a fifth of a core", "H", lambda p: [], [Target("opened", 0), Target("E_recovered", 1)],
      action="starve", extra="starved"),
    S("S40", "one model of an upstream is broken", "L", lambda p: within(p, {**SERVER_ERROR, "model": "bench"}),
      [E(), Target("other_share", 0.95, least=True)], wanted={"models": ("bench", "bench-y")}, fault=25,
      load=lambda p: {"models": ["bench", "bench-y"]}, extra="models"),
    S("S41", "upstreams of HTTP/2 say GOAWAY after 100 streams", "H", lambda p: always({"kind": "goaway", "every": 100}),
      [E(), Target("E_before", 0, step=0.1), Target("DUP", 0)], fault=30, wanted={"http2": True}),
    S("S42", "upstreams of HTTP/2 allow one stream at a time", "L", lambda p: everywhere(p, {"kind": "streams", "limit": 1}),
      [E(), Target("p99_over", 2), Target("LOST", 0)], fault=30, wanted={"http2": True}, extra="harmed"),
    S("S43", "10,000 names of models that nobody has", "L",
      lambda p: always({"kind": "status", "code": 404, "prefix": "any-", "body": UNKNOWN_MODEL}),
      [E(), Target("series_grown", 50), FLAT, Target("misled", 0)],
      fault=60, wanted={"pattern": "any-*"}, asks=("models",), extra="guesses", weight=2,
      others=lambda p: {"kind": "bogus", "begin": p.inject, "end": p.clear, "count": 10_000, "prefix": "any-"}),
    S("S44", "the credential of an upstream is changed every 10 s", "L", lambda p: [],
      [E(), Target("opened", 0), Target("revoked_used", 0), Target("A_share_kept", 0.9, least=True)],
      fault=60, wanted={"secrets": True, "reloads": True}, action="rotate", extra="rotated"),
    S("S45", "five replicas of the system meet an upstream that is back", "H", lambda p: within(p, REFUSE),
      [E(), Target("OVER_noise", 1.2), Target("TTR", 45)], fault=20, after=50, replicas=REPLICAS, extra="herd", weight=4),
]

NOT_RUN = {}
"""Scenarios of the specification that are not built, and why."""

BY_ID = {scenario.id: scenario for scenario in ALL}
FIRST = [
    "S01", "S01L", "S03", "S05", "S06", "S06L", "S07", "S08", "S09", "S11", "S12", "S13", "S14", "S15", "S16", "S19", "S20",
    "S29", "S31", "S31r", "S33",
]
"""What is run when nothing is asked for by name."""
