"""Where the gateway under test is, and its admin side. Standard library only."""

import json
import os
import re
import urllib.request

URL = os.environ.get("MAINSTAY_URL", "http://127.0.0.1:8080")
ADMIN_URL = os.environ.get("MAINSTAY_ADMIN_URL", "http://127.0.0.1:9090")


def admin(method: str, path: str, body: object = None) -> str:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADMIN_URL + path, data=data, method=method)
    request.add_header("content-type", "application/json")
    # Never through a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return response.read().decode()


def fault(upstream: str, *rules: object) -> None:
    """Puts these rules in force; none means: be well again."""
    admin("PUT", f"/admin/simulated/{upstream}", list(rules))


def lingers(upstream: str) -> None:
    """What it is asked from now on has no content for so long that it can be killed before."""
    fault(upstream, {"fault": {"kind": "slow", "ttft_ms": 10_000}})


def arrived(upstream: str) -> int:
    """How many requests the simulated upstream has been sent so far."""
    return json.loads(admin("GET", f"/admin/simulated/{upstream}"))["counts"]["arrived"]


def metric(name: str, **labels: str) -> float:
    """The sum of all series of this name that have these labels."""
    total = 0.0
    for line in admin("GET", "/metrics").splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            has = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if all(has.get(key) == value for key, value in labels.items()):
                total += float(found[3])
    return total
