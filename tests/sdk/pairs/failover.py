"""One route, three channels in three dialects: Anthropic's dies, then Gemini's, then both come back, in the middle
of traffic by the SDKs of all six dialects. Nobody may see one error.

Two routes get whole and streamed traffic all the while: in `tiers` the next dialect takes over, in `even` all
three share. A stream whose content has begun when its upstream dies can be saved by nobody, so streams end before
each kill; those that wait for their first content then, and whole answers half-way, are there on purpose.

In a third route tools are called: each conversation that began at one vendor, with thoughts that it sealed, has
to go on at the others, which refuse a foreign seal.
"""

import collections
import json
import os
import pathlib
import sys
import threading
import time
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from callers import CALLERS  # noqa: E402
from gateway import URL, fault, lingers, metric  # noqa: E402
from oracle import speaker  # noqa: E402
from upstreams import TEXT  # noqa: E402

#: What dies, in this order, and what is left.
SIMULATED = ["sim-anthropic", "sim-gemini", "sim-openai"]
VENDORS = ["anthropic", "gemini", "responses"]
PHASE = 4.0  # seconds of traffic before, between and after
PAUSE = 0.1  # between two requests of one asker
RETURN_BY = 60.0  # how long it may take until one that came back is trusted again


class Asker(threading.Thread):
    """One SDK that asks one route, whole or streamed, again and again."""

    def __init__(self, run, kind, route, stream):
        super().__init__(daemon=True)
        self.run_, self.caller, self.route, self.stream = run, kind(URL), route, stream
        self.at_work = False

    def run(self):
        while not self.run_.over.is_set():
            if self.stream:
                self.run_.go.wait()
            self.at_work = True
            # Between the question whether it may and the note that it does, streams may have been stopped.
            if not self.stream or self.run_.go.is_set():
                self.ask()
            self.at_work = False
            time.sleep(PAUSE)

    def ask(self):
        began = time.monotonic()
        name = f"{self.caller.name} {self.route} {'streamed' if self.stream else 'whole'}"
        try:
            said = self.caller.ask(self.route, stream=self.stream)
            self.run_.answers.append((began, time.monotonic(), self.route, self.caller.name, speaker(said.text)))
        except Exception as error:  # whatever it is, a caller saw it
            self.run_.errors.append(f"{name}: {type(error).__name__}: {error}")


class Traffic:
    def __init__(self):
        self.answers, self.errors = [], []
        self.over, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.askers = [
            Asker(self, kind, route, stream) for kind in CALLERS for route in ("tiers", "even") for stream in (False, True)
        ]

    def start(self):
        for asker in self.askers:
            asker.start()

    def quiet(self, dying):
        """Lets streams end, while whole answers go on; then all begin at once, and get nothing from who is dying."""
        self.go.clear()
        while any(asker.stream and asker.at_work for asker in self.askers):
            time.sleep(0.01)
        lingers(dying)
        self.go.set()
        # For many of them to get there.
        time.sleep(0.2)

    def end(self):
        self.over.set()
        for asker in self.askers:
            asker.join(60)

    def served(self, route, since, until):
        """Who answered what was asked in this time."""
        return collections.Counter(name for began, _, its, _, name in list(self.answers) if its == route and since <= began < until)


class Talks:
    """Conversations with tools, at vendors that check what they are told."""

    def __init__(self):
        self.callers = [kind(URL) for kind in CALLERS]
        self.port = os.environ["UPSTREAMS_PORT"]
        self.went, self.errors = set(), []

    def kill(self, *vendors):
        self.call("PUT", "/dead", json.dumps(vendors).encode())

    def call(self, method, path, data=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            return json.loads(response.read())

    def who(self, caller):
        """The vendor that was asked last."""
        return self.call("GET", f"/seen?failover-{caller.name}")[-1]["dialect"]

    def begin(self, vendor):
        """A conversation of each caller up to the call of a tool, at this vendor: caller -> what it was told."""
        told = {}
        for caller in self.callers:
            said = self.ask(caller, vendor, "reasoning-tools", "tools")
            if said:
                told[caller] = said.raw
        return vendor, told

    def go_on(self, begun, vendor):
        """The tool's results, to this vendor."""
        first, told = begun
        for caller, before in told.items():
            goes_to = home(caller, first, vendor)
            said = self.ask(caller, goes_to, "text", "results", before=before)
            if said and said.text == TEXT:
                self.went.add((caller.name, first, goes_to))
            elif said:
                self.errors.append(f"{caller.name} from {first} to {goes_to}: {said}")

    def ask(self, caller, vendor, scenario, kind, **options):
        try:
            said = caller.ask(f"talk/failover-{caller.name}.{scenario}", kind, **options)
        except Exception as error:  # whatever it is, a caller saw it
            self.errors.append(f"{caller.name}, {scenario} at {vendor}: {type(error).__name__}: {error}")
            return None
        who = self.who(caller)
        if who != vendor:
            self.errors.append(f"{caller.name}, {scenario}: {who} answered, not {vendor}")
        return said

    def wait_for(self, vendor):
        """Until this one is trusted again."""
        caller = self.callers[0]
        until = time.monotonic() + RETURN_BY
        while time.monotonic() < until:
            caller.ask(f"talk/failover-{caller.name}.text")
            if self.who(caller) == vendor:
                return
            time.sleep(0.2)
        self.errors.append(f"{vendor} came back and got no request within {RETURN_BY:.0f} s")


def home(caller, first, vendor):
    """Thoughts that OpenAI encrypted for a caller of its own dialect nobody else reads: while it can be asked, they go there."""
    return first if (caller.name, first) == ("responses", "responses") else vendor


def kill(traffic, talks, count):
    """The first so many are dead; says since when."""
    traffic.quiet(SIMULATED[count - 1])
    for name in SIMULATED[:count]:
        fault(name, {"fault": {"kind": "refuse"}})
    talks.kill(*VENDORS[:count])
    return time.monotonic()


def returned(traffic, since):
    """When the first channel of `tiers` got a request again."""
    until = time.monotonic() + RETURN_BY
    while time.monotonic() < until:
        if traffic.served("tiers", since, until)[SIMULATED[0]]:
            return time.monotonic()
        time.sleep(0.1)
    return None


def main():
    for name in SIMULATED:
        fault(name)
    saved_before = metric("mainstay_failovers_total")
    traffic, talks, problems = Traffic(), Talks(), []
    begun = time.monotonic()
    traffic.start()
    first = talks.begin(VENDORS[0])
    time.sleep(PHASE)

    one = kill(traffic, talks, 1)
    talks.go_on(first, VENDORS[1])
    second = talks.begin(VENDORS[1])
    time.sleep(PHASE)

    two = kill(traffic, talks, 2)
    talks.go_on(first, VENDORS[2])
    talks.go_on(second, VENDORS[2])
    third = talks.begin(VENDORS[2])
    time.sleep(PHASE)

    back = time.monotonic()
    for name in SIMULATED:
        fault(name)
    talks.kill()
    again = returned(traffic, back)
    talks.wait_for(VENDORS[0])
    for conversation in (first, second, third):
        talks.go_on(conversation, VENDORS[0])
    time.sleep(PHASE)
    end = time.monotonic()
    traffic.end()

    phases = [("before", begun, one), ("one dead", one, two), ("two dead", two, back), ("after", again or back, end)]
    for route in ("tiers", "even"):
        told = [f"{name}: {dict(traffic.served(route, since, until))}" for name, since, until in phases]
        print(f"{route}: {'; '.join(told)}")
    saved = metric("mainstay_failovers_total") - saved_before
    print(f"{len(traffic.answers)} answered, {saved:.0f} failures hidden, {len(traffic.errors)} errors seen;"
          f" {len(talks.went)} conversations went on elsewhere")

    problems += traffic.errors + talks.errors
    if again is None:
        problems.append(f"the upstream that came back got no request again within {RETURN_BY:.0f} s")
    if saved < 2:
        problems.append("hardly a failover was counted: the kills hit nobody")
    for route in ("tiers", "even"):
        for dead, (name, since, until) in enumerate(phases[:3]):
            served = set(traffic.served(route, since, until))
            alive = SIMULATED[dead:] if route == "even" else SIMULATED[dead : dead + 1]
            if not served >= set(alive) or served & set(SIMULATED[:dead]):
                problems.append(f"{route}, {name}: {sorted(served)} answered, expected {alive}")
    callers = {caller.name for caller in talks.callers}
    for missing in sorted({caller for caller in callers if sum(went[0] == caller for went in talks.went) != 6}):
        problems.append(f"{missing}: not all six conversations went on")
    for missing in sorted(callers - {name for _, _, _, name, _ in traffic.answers}):
        problems.append(f"{missing} got no answer at all")
    print("\n".join(problems[:40]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
