"""The scoreboard's numbers, by the definitions of the page's foot; percentages are 0 to 100, latencies ms, times s.

A connection that an upstream refused never arrives there, so where a system counts refusals itself,
its count stands for those arrivals. None means: could not be measured, or never happened.
"""

import math
from collections import Counter, defaultdict

from extras import BAD, EXTRAS, quantile

UNENDED = {"refused", "reset", "timeout"}


class Run:
    def __init__(self, scenario, plan, start, client, upstream, samples, notes=None):
        self.scenario, self.plan, self.start, self.notes = scenario, plan, start, notes or {}
        *self.asked, self.load = client
        *arrived, self.mock = upstream
        self.inject, self.clear, self.end = (start + at for at in (plan.inject, plan.clear, plan.end))
        self.last = max((r["end"] for r in self.asked), default=self.end)
        # What callers beside the load's sent is not the load's.
        known = {r["id"] for r in self.asked}
        came = sorted((r for r in arrived if not r.get("probe") and r["t"] >= start), key=lambda r: r["t"])
        self.arrived = [r for r in came if r.get("id") in known]
        self.strangers = [r for r in came if r.get("id") not in known]
        self.probes = [r for r in arrived if r.get("probe")]
        self.samples = [s for s in samples if s[1] is not None]
        self.openings = [(t, o) for t, _, o in samples if o is not None]
        self.by_id = defaultdict(list)
        for record in self.arrived:
            self.by_id[record.get("id")].append(record)
        first = {}
        for record in self.arrived:
            first.setdefault(record.get("id"), record)
        self.firsts = sorted(first.values(), key=lambda r: r["t"])

    # --- parts ------------------------------------------------------------------------------------

    def due(self, begin, end):
        return [r for r in self.asked if begin <= r["due"] < end and r["outcome"] != "cancelled"]

    def refused(self, up, begin, end):
        """Refusals between the samples nearest to the two moments."""
        if len(self.samples) < 2:
            return 0
        def at(moment):
            before = [s for s in self.samples if s[0] <= moment + 0.3] or self.samples[:1]
            return before[-1][1].get(up, 0)
        return max(0, at(end) - at(begin))

    def arrivals(self, begin, end, up=None):
        count = sum(begin <= r["t"] < end and up in (None, r["up"]) for r in self.arrived)
        return count + sum(self.refused(name, begin, end) for name in ([up] if up else "ABC"))

    def share(self, begin, end, up):
        """Of first attempts."""
        mine = self.refused(up, begin, end)
        total = mine
        for record in self.firsts:
            if begin <= record["t"] < end:
                total += 1
                mine += record["up"] == up
        return mine / total if total else 0.0

    def failed(self, begin, end):
        """Percent of the requests that were due then."""
        due = self.due(begin, end)
        return 100 * sum(r["outcome"] in BAD for r in due) / len(due) if due else None

    def opened(self, up=None):
        """Breakers that opened from the injection on."""
        before = [o for t, o in self.openings if t <= self.inject + 0.3]
        if not before or not self.openings:
            return None
        after = self.openings[-1][1]
        return sum(after[name] - before[-1][name] for name in after if up in (None, name))

    # --- the definitions --------------------------------------------------------------------------

    def detected(self):
        """TTD: the first whole second after the injection from which A's share stays below a tenth for 3 s."""
        up, base = self.scenario.faulty, self.baseline
        for k in range(int(self.clear - self.inject) - 2):
            bins = [self.share(self.inject + k + n, self.inject + k + n + 1, up) for n in range(3)]
            if all(share < 0.1 * base for share in bins):
                return float(k)
        return None

    def recovered(self, since=None):
        """TTR: until A's share of 5 s reaches nine tenths of what it was."""
        since = self.clear if since is None else since
        for k in range(int(self.end - since) - 4):
            if self.share(since + k, since + k + 5, self.scenario.faulty) >= 0.9 * self.baseline:
                return float(k)
        return None

    def amplified(self):
        """An arrival counts for the moment at which its request was due: a slow system is not an amplifying one."""
        worst = None
        begin = self.inject
        while begin + 10 <= self.end:
            asked = [r["id"] for r in self.asked if begin <= r["due"] < begin + 10]
            if asked:
                arrived = sum(len(self.by_id.get(test_id, ())) for test_id in asked)
                refused = sum(self.refused(up, begin, begin + 10) for up in "ABC")
                worst = max(worst or 0, (arrived + refused) / len(asked))
            begin += 1
        return worst

    def row(self):
        up, plan = self.scenario.faulty, self.plan
        self.baseline = self.share(self.start + 2, self.inject, up)
        window = self.due(self.inject, self.clear)
        before = self.due(self.start + 2, self.inject)
        ttd = self.detected()
        asked = len(self.asked)
        whole = sum(self.refused(n, self.start, self.last + 1) for n in "ABC") + len(self.arrived)
        twice = [rs for rs in self.by_id.values() if sum(processed(r) for r in rs) > 1]
        row = {
            "asked": asked, "in_window": len(window), "outcomes": dict(Counter(r["outcome"] for r in window)),
            "share_before": 100 * self.baseline,
            "E": self.failed(self.inject, self.clear),
            "E_before": self.failed(self.start + 2, self.inject),
            "E_silent": 100 * sum(r["outcome"] == "wrong" for r in window) / len(window) if window else None,
            "E_late": self.failed(self.inject + 10, self.clear),
            "E_after": self.failed(self.clear, self.end),
            "E_recovered": self.failed(self.clear + 5, min(self.clear + 25, self.end)),
            "p50": latency(window, 0.5), "p99": latency(window, 0.99),
            "p50_before": latency(before, 0.5), "p99_before": latency(before, 0.99),
            "TTD": ttd, "TTR": self.recovered(), "AMP": self.amplified(),
            "AMP_whole": whole / asked if asked else None,
            "RESID": None,
            "OVER": self.peak(up, 10) / plan.fair,
            "DUP": len(twice),
            "DUP_tok": sum(sum(r["tokens"] for r in rs) - max(r["tokens"] for r in rs) for rs in self.by_id.values()),
            "LOST": sum(r["outcome"] in UNENDED for r in self.asked),
            "left": self.mock["left"], "mock_cpu": self.mock["cpu"], "load_cpu": self.load["cpu"],
            "opened": self.opened(),
        }
        if ttd is not None and self.clear - self.inject - ttd >= 1:
            row["RESID"] = self.arrivals(self.inject + ttd, self.clear, up) * 60 / (self.clear - self.inject - ttd)
        if self.scenario.extra:
            row |= EXTRAS[self.scenario.extra](self)
        return row

    def peak(self, up, seconds, since=None):
        since = self.clear if since is None else since
        starts = [since + n / 4 for n in range(int(4 * (seconds - 1)) + 1)]
        return max((sum(s <= r["t"] < s + 1 and r["up"] == up for r in self.arrived) for s in starts), default=0)


def processed(record):
    """The whole request was worked on: it was answered, or all of it had been read before the reset."""
    return record.get("end") == "done" or (record.get("end") == "reset" and record["stage"] == "body")


def latency(records, q):
    """To the first content of streams and to the end of others, of those that ended well."""
    good = [r for r in records if r["outcome"] == "ok" and not r.get("slow")]
    return quantile([1000 * ((r.get("first") or r["end"]) - r["due"]) for r in good], q)


def scored(scenario, row):
    """5, less 1 for each target missed and each time that it is doubled; 0 where a caller was misled or a request ran twice that must not."""
    score, verdicts = 5, []
    for target in scenario.targets:
        value = row.get(target.metric)
        lost = 0
        if value is None:
            # Never detected, never recovered: as bad as can be. What cannot be counted is not held against anybody.
            lost = 5 if target.metric in ("TTD", "TTR", "TTD_after_idle", "admitted", "moved") else 0
            met = None if lost == 0 else False
        elif target.least:
            met = value >= target.limit
            lost = 0 if met else 1 + int(math.log2(max(1.0, target.limit / max(value, 1e-3))))
        else:
            met = value <= target.limit
            lost = 0 if met else 1 + int(math.log2(max(1.0, value / (target.limit or target.step))))
        score -= lost
        verdicts.append({"metric": target.metric, "limit": target.limit, "least": target.least, "value": value, "met": met})
    if row["E_silent"] or (row["DUP"] and not scenario.wanted.get("replay", True)):
        score = 0
    return row | {"score": max(0, score), "targets": verdicts}
