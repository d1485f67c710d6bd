"""What a scenario does to the system itself, beside what its script does to the upstreams.

An action gets the cell and its timeline's events and adds to them; what it finds out goes into `cell.notes`.
"""

import os
import signal
import threading
import time

from systems import base

RELOADS_PER_MINUTE = 50
"""Of the reload storm (S26)."""


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


def storm(cell, events):
    """Fifty reloads a minute: weights, a fourth upstream that comes and goes, and once a file that is no good."""
    plan, system = cell.plan, cell.system
    count = round(RELOADS_PER_MINUTE * (plan.clear - plan.inject) / 60)
    forms = [
        {"weights": {"B": 2}, "upstreams": "ABC"}, {"weights": {"A": 2, "B": 3}, "upstreams": "ABC"},
        {"weights": {}, "upstreams": "ABCD"}, {"weights": {"D": 2}, "upstreams": "ABCD"}, {"weights": {}, "upstreams": "ABC"},
    ]
    for n in range(count):
        at = plan.inject + (plan.clear - plan.inject) * n / count
        # The last is the first of all again, so that the end is like the beginning.
        form = forms[-1] if n == count - 1 else forms[n % len(forms)]
        events.append((at, (lambda: spoil(system)) if n == count // 2 else (lambda form=form: system.rewrite(**form))))
    cell.notes["storm"] = count


def spoil(system):
    """A file that is cut off in its middle, in place, the way a full disk leaves it."""
    text = system.live.read_text()
    system.live.write_text(text[: len(text) // 2])
    system.nudge()


def half_written(cell, events):
    """A file that is cut off; its directory exchanged for one without it; the file unreadable; all well again. Asked at each stage's
    end: does the system say that it failed?"""
    plan, system = cell.plan, cell.system
    length = (plan.clear - plan.inject) / 4
    kept, cell.notes["failed"] = {}, []

    def ask():
        cell.notes["failed"].append(system.figures().get("failed"))

    def cut():
        kept["text"] = system.live.read_text()
        spoil(system)

    def swapped():
        folder = system.live.parent
        folder.rename(folder.with_name("old"))
        folder.mkdir()
        system.nudge()

    def unreadable():
        system.live.write_text(kept["text"] + "\n")
        system.live.chmod(0)
        system.nudge()

    def mended():
        system.live.chmod(0o644)
        system.nudge()

    for n, stage in enumerate((cut, swapped, unreadable, mended)):
        events.append((plan.inject + n * length, stage))
        events.append((plan.inject + (n + 1) * length - 0.2, ask))


def set_clock(path, ahead):
    path.write_text(f"{ahead:+d}\n")


def step(seconds):
    """The wall clock jumps in the middle of the fault."""

    def act(cell, events):
        def jump():
            set_clock(cell.folder / "clock", seconds)

        def look():
            cell.notes["ahead"] = cell.system.ahead()

        middle = (cell.plan.inject + cell.plan.clear) / 2
        events += [(middle, jump), (middle + 3, look)]

    return act


def secret(folder, number):
    """The file of A's credential of that number."""
    path = folder / f"key{number}"
    path.write_text(f"ka{number}\n")
    return path


def rotate(cell, events):
    """Every ten seconds another credential, in turn with an overlap and in place; the upstream takes the old one a second longer."""
    plan, system = cell.plan, cell.system
    number, at = 1, plan.inject

    def accept(*numbers):
        fault = {"kind": "status", "code": 401, "valid": [f"ka{n}" for n in numbers]}
        fault["body"] = {"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}}
        cell.tell("A", fault)

    while at + 10 <= plan.clear:
        old, new = number, number + 1

        def overlap(old=old, new=new):
            accept(old, new)
            system.rewrite(secrets=(str(secret(cell.folder, new)), *system.wanted.secrets))

        def retire(new=new):
            system.rewrite(secrets=(str(cell.folder / f"key{new}"),))

        def in_place(old=old, new=new):
            accept(old, new)
            (path,) = system.wanted.secrets
            with open(path, "w") as file:
                file.write(f"ka{new}\n")
            # Nobody watches a secret that lies elsewhere; this is how one is told.
            system.process.child.send_signal(signal.SIGHUP)

        if number % 2:
            events += [(at, overlap), (at + 4, retire)]
        else:
            events.append((at, in_place))
        events.append((at + 6, lambda new=new: accept(new)))
        cell.notes.setdefault("revoked", []).append((at + 6, f"ka{old}"))
        number, at = new, at + 10


ALL = {
    "drain": drain, "starve": starve, "storm": storm, "half_written": half_written, "forward": step(3600), "back": step(-3600),
    "rotate": rotate,
}
