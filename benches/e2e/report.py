"""The table, and the page that goes to benches/runs."""

import os
import platform
import subprocess
import time
from pathlib import Path
from statistics import median

# Of the issue "Speed and memory", for the whole engine on one core.
TARGETS = {
    "request_s": 0.25,
    "chunk_s": 0.14,
    "held_mb": 20.0,
    "idle_mb": 15.0,
    "added_p50_ms": 0.12,
    "added_p99_ms": 0.35,
}
HEADS = {
    "request_s": "CPU s / 10,000 requests, busy",
    "paced_request_s": "CPU s / 10,000 requests, at 2,000/s",
    "chunk_s": "CPU s / 10,000 SSE chunks",
    "held_mb": "MB / 1,000 idle streams",
    "idle_mb": "MB idle",
    "added_p50_ms": "added p50 ms at 500/s",
    "added_p99_ms": "added p99 ms at 500/s",
}


def text(results, asked, binary, took, root):
    direct = results.pop("direct")
    for figures in results.values():
        for quantile in ("p50", "p99"):
            pairs = zip(figures[f"{quantile}_ms"], direct[f"{quantile}_ms"])
            figures[f"added_{quantile}_ms"] = [through - straight for through, straight in pairs]
    ours, theirs = results["mainstay"], results["nginx"]

    rows = [["", "nginx", "mainstay", "ratio", "target", ""]]
    for what, head in HEADS.items():
        value, beside, target = middle(ours[what]), middle(theirs[what]), TARGETS.get(what)
        ratio = f"{value / beside:.2f}"
        rows.append([head, spread(theirs[what]), spread(ours[what]), ratio, *judged(value, target)])
    straight = f"p50 {middle(direct['p50_ms']):.3f} ms, p99 {middle(direct['p99_ms']):.3f} ms"
    foreign = " and ".join(f"{max(results[name]['foreign']):.0%} ({name})" for name in results)
    command = " ".join(["benches/e2e/run", *flags(asked)])
    return f"""\
# End to end, {time.strftime('%Y-%m-%d')}: {asked.name}

{table(rows)}

Medians of {asked.rounds} rounds (lowest to highest in brackets); {asked.upstreams} upstream(s); nginx runs as
master and one worker, both counted. Direct: {straight}. Every answer was compared byte for byte, and the
upstream saw each request once. Others took up to {foreign} of the gateway's core while
CPU was measured; where that is much, compare ratios only.

- command: `{command}`, {took:.0f} s
- machine: {cpu_model()}, {os.cpu_count()} cores, Linux {platform.release()}
- versions: mainstay {mainstay(root)}, {said(['nginx', '-v'])}, {said(['rustc', '--version'])}
- gateway on core 0 (`taskset -c 0`), mock and load on core 1; 1 KB chat completions each way over
  keep-alive HTTP/1.1; "busy" is 64 connections with a request under way at any moment; streams of 50
  events, 20 ms apart, 100 of them opened a second
"""


def judged(value, target):
    if target is None:
        return "", ""
    return f"≤ {target}", "met" if value <= target else "**missed**"


def middle(values):
    return median(values) if isinstance(values, list) else values


def spread(values):
    digits = 3 if middle(values) < 2 else 1
    if not isinstance(values, list):
        return f"{values:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def flags(asked):
    given = [f"--rounds {asked.rounds}", f"--upstreams {asked.upstreams}", f"--name {asked.name}"]
    return given + (["--dry"] if asked.dry else [])


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def mainstay(root):
    commit = said(["git", "-C", str(root), "describe", "--always", "--dirty"])
    version = next(line for line in (root / "Cargo.toml").read_text().splitlines() if line.startswith("version"))
    number = version.partition("=")[2].strip().strip('"')
    return f"{number} ({commit})"


def said(argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip().removeprefix("nginx version: ").replace("nginx/", "nginx ")
