"""What only one scenario asks of a run: functions of `metrics.Run`, each the figures that it adds to a row."""

import math

BAD = {"refused", "reset", "timeout", "status", "error", "wrong", "aborted", "flood"}


def quantile(values, q):
    values = sorted(values)
    return values[max(0, math.ceil(len(values) * q) - 1)] if values else None


def slow_firsts(run):
    """Requests whose first content took longer than any healthy one's, connecting aside."""
    limit = 1000 * 3.5
    slow = [r for r in run.due(run.inject, run.clear) if r.get("first") and 1000 * (r["first"] - r["due"]) > limit]
    return {"slow_firsts": len(slow)}


def pooled(run):
    """Seconds until the last request that suffered was over."""
    hurt = [r["end"] - run.inject for r in run.due(run.inject, run.clear) if r["outcome"] in BAD or (r.get("first") or 0) - r["due"] > 3.5]
    return {"last_slow": max(hurt, default=0.0), "opened": run.opened()}


def fast(run):
    """Failures until A was left, and A's share of all attempts over its fair one."""
    ttd = run.detected()
    window = [r for r in run.arrived if run.inject <= r["t"] < run.clear]
    mine = [r for r in window if r["up"] == "A"]
    until = run.clear if ttd is None else run.inject + ttd + 1
    return {
        "failures_to_detect": sum(r["t"] < until for r in mine),
        "A_over_fair": 3 * len(mine) / len(window) if window else None,
    }


def opened(run):
    return {"opened": run.opened()}


def back(run):
    """After the worst heal: seconds until A is asked again and answers."""
    worst, at = 0.0, run.inject + 5
    while at <= run.clear:
        again = [r["t"] for r in run.arrived if r["up"] == "A" and at <= r["t"] and r.get("end") == "done"]
        limit = min(at + 10, run.end)
        worst = max(worst, (again[0] if again and again[0] < limit else limit) - at)
        at += 15
    return {"back": worst}


def key(run):
    """Requests that carried ka1: all from the injection, and those inside the 20 s that the upstream asked for (less a tenth)."""
    times = [r["t"] for r in run.arrived if r["cred"] == "ka1" and r["t"] >= run.inject]
    # The first half second is for what was on its way.
    waited = [t for t in times[1:] if times[0] + 0.5 < t < times[0] + 18]
    return {"ka1_all": len(times), "ka1_in_wait": len(waited), "opened": run.opened()}


def outside(run):
    """A's share of first attempts outside the bursts, of its fair one."""
    mine = total = 0
    for record in run.firsts:
        at = record["t"] - run.inject
        if 0 <= at < run.clear - run.inject and at % 10 >= 3:
            total += 1
            mine += record["up"] == "A"
    return {"share_outside": 3 * mine / total if total else None}


def stall(run):
    """How long the longest stalled stream was kept, and TTD less the time after which a stall can be known."""
    lengths = [r["gone"] - r["first"] for r in run.arrived if r.get("end") == "stall" and "gone" in r]
    ttd = run.detected()
    longest = max(lengths, default=None)
    return {"stall": longest, "TTD_after_idle": None if ttd is None or longest is None else max(0.0, ttd - min(lengths))}


def share15(run):
    return {"A_share_15": run.share(run.inject + 15, run.clear, "A")}


def outage(run):
    failures = [1000 * (r["end"] - r["due"]) for r in run.due(run.inject, run.clear) if r["outcome"] in BAD]
    first = sum(run.clear <= r["t"] < run.clear + 1 for r in run.arrived)
    return {"fail_p99": quantile(failures, 0.99), "first_second": first / run.plan.rps}


def flap(run):
    half = (run.inject + run.clear) / 2
    return {"opened": run.opened("A"), "A_share_last": run.share(half, run.clear, "A")}


def cold(run):
    return {"OVER2": run.peak("A", 2) / run.plan.fair}


def settled(run):
    return {"E_settled": run.failed(run.inject + 25, run.end)}


def everything(run):
    return {"E_all": run.failed(run.start, run.last + 1)}


def hangups(run):
    """How long after the client the upstream was let go."""
    lags = []
    for asked in run.asked:
        if asked["outcome"] == "cancelled":
            for record in run.by_id.get(asked["id"], []):
                if "gone" in record:
                    lags.append(1000 * max(0.0, record["gone"] - asked["end"]))
                elif record.get("end") == "done" and record["t"] < asked["end"]:
                    # Worked to its end for nobody.
                    lags.append(1000 * max(0.0, record.get("last", asked["end"]) - asked["end"]))
    return {"abort_p99": quantile(lags, 0.99), "cancelled": sum(r["outcome"] == "cancelled" for r in run.asked)}


def single(run):
    half = (run.inject + run.clear) / 2
    good = [r["outcome"] == "ok" for r in run.due(run.inject, half)]
    tries = [r for r in run.arrived if run.inject <= r["t"] < half]
    # What a caller would have got without any breaker or retry, as the dice fell here.
    luck = sum(r.get("end") == "done" for r in tries) / len(tries) if tries else None

    def forwarded(begin, end):
        asked = len(run.due(begin, end))
        return 100 * run.arrivals(begin, end) / asked if asked else None

    admitted = None
    for k in range(int(run.end - run.clear) - 1):
        part = run.due(run.clear + k, run.clear + k + 2)
        if part and sum(r["outcome"] == "ok" for r in part) >= 0.9 * len(part):
            admitted = float(k)
            break
    return {
        "success_kept": sum(good) / len(good) / luck if good and luck else None,
        "forwarded": forwarded(half, run.clear), "forwarded_late": forwarded((half + run.clear) / 2, run.clear), "admitted": admitted,
    }


def survivor(run):
    done = sum(run.inject <= r["t"] < run.clear and r["outcome"] == "ok" for r in ({**a, "t": a["end"]} for a in run.asked))
    return {"goodput": done / (0.6 * run.plan.rps * (run.clear - run.inject))} | outage(run)


def starved(run):
    return {"opened": run.opened()}


def models(run):
    """The healthy model's share at A while the other is broken there, of what it was."""
    def share(begin, end):
        mine = [r for r in run.firsts if begin <= r["t"] < end and r.get("model") == "bench-y"]
        return sum(r["up"] == "A" for r in mine) / len(mine) if mine else 0.0

    before = share(run.start + 2, run.inject)
    return {"other_share": share(run.inject, run.clear) / before if before else None}


def drips(run):
    """How long the longest answer that came in drops was borne."""
    over = [r.get("gone", run.last) - r["t"] for r in run.arrived if r.get("fault") == "drip"]
    return {"longest": max(over, default=None)}


def moved(run):
    """Seconds until the new address answered well and no request that was due later was hurt."""
    there = [r["t"] for r in run.arrived if r["up"] == "A" and r["t"] >= run.inject and r.get("end") == "done"]
    hurt = [r["due"] for r in run.due(run.inject, run.clear) if r["outcome"] in BAD or (r.get("first") or 0) - r["due"] > 3.5]
    return {"moved": max([there[0], *hurt]) - run.inject if there else None}


def kept(run, up="A"):
    """A share of first attempts in the window, of what it was before."""
    return run.share(run.inject, run.clear, up) / run.baseline if run.baseline else None


def grown(run, figure):
    """What the system itself counts, from before the fault until the end; None where it does not."""
    before, after = (run.notes.get(when, {}).get(figure) for when in ("before", "after"))
    return None if before is None or after is None else after - before


def storm(run):
    """Probes of A a minute, and the share of the reloads that took place. Those that come while one is under way are one."""
    minutes = (run.clear - run.inject) / 60
    reloads = grown(run, "reloads")
    probes = sum(r["up"] == "A" and run.inject <= r["t"] < run.clear for r in run.probes)
    return {"probes": probes / minutes, "reloads": None if reloads is None else reloads / run.notes["storm"]}


def half_written(run):
    """Of three stages with a bad file, those in which the system said so; and whether it still did when the file was good."""
    *bad, last = run.notes["failed"]
    return {
        "A_share_kept": kept(run), "flagged": None if last is None else sum(flag == 1 for flag in bad),
        "flag_left": last, "flags": run.notes["failed"],
    }


def uploads(run):
    """Percent of uploads that were told of their failure by a 5xx, and those that reached more than one upstream."""
    *asked, _ = run.notes["others"]
    came = [r for r in run.strangers if r.get("id", "").startswith("u")]
    ids = [r["id"] for r in came]
    told = sum((r["status"] or 0) >= 500 for r in asked)
    return {
        "answered": 100 * told / len(asked), "repeated": len(ids) - len(set(ids)), "statuses": [r["status"] for r in asked],
        "upload_bytes": max((r["bytes"] for r in came), default=0),
    } | harmed(run)


def harmed(run):
    """p99 over what it was before; what the harmful did is kept with the row."""
    before, window = run.due(run.start + 2, run.inject), run.due(run.inject, run.clear)
    high, low = (quantile([(r.get("first") or r["end"]) - r["due"] for r in part if r["outcome"] == "ok"], 0.99) for part in (window, before))
    others = run.notes.get("others")
    return {"p99_over": high / low if high and low else None} | ({"did": others[-1]["did"]} if others else {})


def harm(run):
    """Kinds of harm that a caller felt: what is known for a failure in time is tried elsewhere."""
    ends = {r["id"]: r["outcome"] for r in run.asked}
    felt = {r["how"] for r in run.arrived if r.get("fault") == "hostile" and ends[r["id"]] in BAD}
    met = {r["how"] for r in run.arrived if r.get("fault") == "hostile"}
    return {"felt": len(felt), "felt_kinds": sorted(felt), "kinds": len(met)}


def believed(run):
    """Answers of an upstream whose certificate nobody should have believed. The first second is for requests that had arrived."""
    return {"believed": sum(r["up"] == "A" and run.inject + 1 <= r["t"] < run.clear for r in run.arrived)}


def stepped(run):
    """Seconds by which the system's wall clock was off after the jump: without one, the row would say nothing."""
    ahead = run.notes.get("ahead")
    return {"stepped": None if ahead is None else abs(ahead)}


def guesses(run):
    """Series that the names made, and those who were not told that there is no such model."""
    *asked, _ = run.notes["others"]
    return {"series_grown": grown(run, "series"), "misled": sum(r["status"] != 404 for r in asked), "guessed": len(asked)}


def rotated(run):
    """Requests with a credential a second or more after it was revoked."""
    used = sum(r["cred"] == cred and r["t"] > run.start + at + 1 for at, cred in run.notes["revoked"] for r in run.arrived)
    return {"revoked_used": used, "A_share_kept": kept(run), "opened": run.opened(), "rotations": len(run.notes["revoked"])}


def herd(run):
    """The worst second of A's first ten after the fault, of the worst of as many before it: chance has its share in both."""
    before = run.peak("A", 10, run.inject - 10)
    return {"OVER_noise": run.peak("A", 10) / before if before else None}


EXTRAS = {
    f.__name__: f for f in (
        slow_firsts, pooled, fast, opened, back, key, outside, stall, share15, outage, flap, cold, settled, everything, hangups, single,
        survivor, starved, models, drips, moved, storm, half_written, uploads, harm, harmed, believed, stepped, guesses, rotated, herd,
    )
}
