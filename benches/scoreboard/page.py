"""The page and the data of a run."""

import json
import os
import platform
from pathlib import Path

import scenarios
import systems  # puts benches/e2e on the path
from report import cpu_model  # of benches/e2e

WHY = Path(__file__).with_name("why.md")
COLUMNS = {
    "E": "E %", "E_silent": "E silent %", "p50": "p50 ms", "p99": "p99 ms", "TTD": "TTD s", "TTR": "TTR s", "AMP": "AMP",
    "RESID": "RESID /min", "OVER": "OVER", "DUP": "DUP", "LOST": "LOST", "left": "left", "cpu": "CPU s", "rss": "RSS MB",
}


def text(about, rows):
    good = [row for row in rows if "failed" not in row]
    parts = [f"# Resilience scoreboard, {about['date']}\n", summary(good), foot(about, good), missed(good), why()]
    for scenario in scenarios.ALL:
        mine = [row for row in rows if row["scenario"] == scenario.id]
        if mine:
            parts.append(one(scenario, mine))
    parts.append(not_run(rows))
    return "\n".join(parts)


def summary(rows):
    """Scores: scenarios down, systems across."""
    names = list(dict.fromkeys((row["system"], row["config"]) for row in rows))
    names.sort(key=lambda name: (["mainstay", "nginx", "haproxy", "envoy", "litellm"].index(name[0]), name[1]))
    lines = [["scenario", *(f"{system} {config}" for system, config in names)]]
    for scenario in scenarios.ALL:
        scores = {(r["system"], r["config"]): str(r["score"]) for r in rows if r["scenario"] == scenario.id}
        if scores:
            cells = [scores.get(name, "n/a" if scenario.absent(systems.ALL[name[0]]) else "") for name in names]
            lines.append([f"{scenario.id} {scenario.title} ({scenario.profile})", *cells])
    return table(lines)


def missed(rows):
    lines = []
    for row in rows:
        if row["system"] != "mainstay":
            continue
        for target in row["targets"]:
            if target["met"] is False:
                sign = "≥" if target["least"] else "≤"
                value = "never" if target["value"] is None else f"{target['value']:.4g}"
                lines.append(f"- {row['scenario']} {row['config']}: {target['metric']} {value}, target {sign} {number(target['limit'])}")
    return "## What ours misses\n\n" + ("\n".join(lines) if lines else "Nothing.") + "\n"


def why():
    """Written by hand, of the misses of the run that it names; kept beside this file, so that no run loses it."""
    return WHY.read_text().rstrip() + "\n" if WHY.exists() else ""


def one(scenario, rows):
    targets = ", ".join(
        f"{t.metric} {'≥' if t.least else '≤'} {number(t.limit)}" for t in scenario.targets
    )
    extra = [t.metric for t in scenario.targets if t.metric not in COLUMNS]
    lines = [["system", "score", *COLUMNS.values(), *extra, "config"]]
    for row in rows:
        who = f"{row['system']} {row['config']}"
        if "failed" in row:
            lines.append([who, "failed: " + row["failed"].replace("|", "/")[:120], *[""] * (len(COLUMNS) + len(extra) + 1)])
            continue
        values = [number(row.get(column)) for column in [*COLUMNS, *extra]]
        lines.append([who, str(row["score"]), *values, row["config_hash"]])
    sizes = {}
    for row in rows:
        if "sizes" in row:
            sizes.setdefault(tuple(row["sizes"]), []).append(f"{row['system']} {row['config']}")
    # Where a page is of several runs, its reader has to know which cells compare.
    mixed = "".join(f"\n- rates × {rate:g}, timeline × {pace:g}: {', '.join(names)}" for (rate, pace), names in sizes.items())
    absent = "".join(
        f"\n- {name}: n/a, {why}" for name, system in systems.ALL.items() if (why := scenario.absent(system))
    )
    head = f"## {scenario.id}: {scenario.title} ({scenario.profile})\n\nTargets of ours: {targets}.\n\n{table(lines)}"
    notes = (mixed if len(sizes) > 1 else "") + absent
    return head + (notes + "\n" if notes else "")


def not_run(rows):
    ran = {row["scenario"] for row in rows}
    lines = [f"- {name}: {why}" for name, why in scenarios.NOT_RUN.items()]
    lines += [f"- {s.id}: not asked for in this run" for s in scenarios.ALL if s.id not in ran]
    return "## Not run\n\n" + "\n".join(sorted(lines)) + "\n"


def foot(about, rows):
    mocks, loads = (max((r[k] / r["seconds"] for r in rows), default=0.0) for k in ("mock_cpu", "load_cpu"))
    early = sum(bool(r["E_before"]) for r in rows)
    runs = "\n".join(
        f"- `{run['command']}`: {run['seconds']} s; rates × {run['scale']:g} (H {300 * run['scale']:g}, L {30 * run['scale']:g} requests a "
        f"second), timeline × {run['time']:g}; {run['cores_busy']:.0%} of the cores busy, load average {run['load_average']:.0f}"
        for run in about["runs"]
    )
    versions = ", ".join(about["versions"].values())
    return f"""\
A score is 5, less 1 for each target of ours that was missed and for each time that it was doubled; 0 where a caller
was given a wrong answer as a good one, or a request ran twice that must not. **D** is documented defaults with minimal
wiring, **T** the best documented tuning; "n/a": the system has nothing of the kind; empty: not run. The raw
numbers are below and in the .json; read them, not the scores.

{runs}
- 1 repetition, seed {about['seed']}; targets are the full timeline's, and the fault and what follows last as long as a target needs
- cells run at the same time (of `--jobs`, an H cell takes 2, an L cell 1, LiteLLM's five times that) on a machine that others
  used as well. Latencies are to be compared within a scenario only. The busiest mock took {mocks:.0%} of a core, the busiest
  load {loads:.0%}; in {early} of {len(rows)} cells a request that was due before the fault failed, as streams do that
  the fault cuts
- machine: {cpu_model()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}
- versions: {versions}

E: requests due in the fault's window without a correct and complete answer. E silent: those of them whose answer looked
complete. p50, p99: to the first content (L) or the end (H) of good answers in the window, from when they were due. TTD: first
whole second from which A's share of first attempts stays below a tenth of what it was for 3 s. TTR: from the end of the fault until
A's share of 5 s is nine tenths of what it was. AMP: arrivals at upstreams per request, worst 10 s. RESID: arrivals at A a minute after
TTD. OVER: worst second of A's first ten after the fault, of its fair share. DUP: requests that more than one upstream
worked through. LOST: no answer at all. left: requests still open at an upstream after the last client was served. "–" is never, or not
measurable; where a connection is refused, a system's own count stands for the arrival, and LiteLLM has none.
"""


def data(about, rows):
    machine = {"cpu": cpu_model(), "cores": os.cpu_count(), "kernel": platform.release()}
    # A cell is a line, so that two runs can be compared.
    cells = ",\n".join("  " + json.dumps(rounded(row)) for row in rows)
    head = json.dumps({"about": about | {"machine": machine}, "not_run": scenarios.NOT_RUN}, indent=1)
    return head.removesuffix("\n}") + f',\n "rows": [\n{cells}\n ]\n}}\n'


def rounded(value):
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value


def number(value):
    if value is None:
        return "–"
    if isinstance(value, int) or value == int(value):
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("---" for _ in rows[0]) + "|")
    return "\n".join(lines) + "\n"
