"""Ours: the release build of this tree."""

import re
import urllib.request

from .base import ROOT, System, said

COUNTED = re.compile(r'^(\w+)\{(.*)\} (\S+)$', re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Mainstay(System):
    name = "mainstay"
    binary = ROOT / "target" / "release" / "mainstay"

    @classmethod
    def version(cls):
        return said(str(cls.binary), "--version") + " (" + said("git", "-C", str(ROOT), "describe", "--always") + ")"

    def prepare(self):
        w = self.wanted
        env = {"KA1": "ka1", "KA2": "ka2"}
        upstreams = ""
        for name in w.upstreams:
            keys = '"${KA1}", "${KA2}"' if w.keys and name == "A" else '"${KA1}"'
            if name != "A":
                keys = f'"${{K{name}}}"'
                env[f"K{name}"] = f"k{name.lower()}"
            upstreams += (
                f"  {name}: {{provider: custom, dialect: openai, "
                f'base_url: "http://127.0.0.1:{self.ports[name]}/v1", credentials: [{keys}]}}\n'
            )
        channels = "".join(f"      - {{upstream: {name}}}\n" for name in w.upstreams)
        select = "    select: lowest_latency\n" if w.latency else ""
        routes = "".join(f"  - model: {model}\n{select}    channels:\n{channels}" for model in w.models)
        # `if_unsent` is not tuning but what the scenario is about.
        defaults = [] if w.replay else ["  retry: {replay: if_unsent}\n"]
        if self.tuned:
            defaults += [
                f"  timeouts: {{connect: {ms(w.connect)}, ttfb: {ms(w.headers)}, first_event: {ms(w.headers)}, "
                f"idle: {ms(w.idle)}}}\n",
                "  probe: {interval: 2s, fast_interval: 1s, down_interval: 2s, down_max: 5s, timeout: 2s, fall: 3}\n",
                "  slow_start: {window: 10s}\n",
            ]
        text = f"""\
version: 1
server:
  listen: 127.0.0.1:{self.port}
  admin: 127.0.0.1:{self.admin}
upstreams:
{upstreams}routes:
{routes}"""
        if defaults:
            text += "defaults:\n" + "".join(defaults)
        return text, [self.binary, "--config", self.write("routing.yaml", text)], env

    def counters(self, wanted):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        for name, labels, value in COUNTED.findall(text):
            if name == wanted:
                yield dict(LABEL.findall(labels)), float(value)

    def refused(self):
        counts = dict.fromkeys(self.wanted.upstreams, 0)
        for labels, value in self.counters("mainstay_faults_total"):
            if labels["fault"] == "connect":
                counts[labels["upstream"]] += int(value)
        return counts

    def transitions(self):
        counts = dict.fromkeys(self.wanted.upstreams, 0)
        for labels, value in self.counters("mainstay_breaker_transitions_total"):
            if labels["to"] == "open":
                counts[labels["upstream"]] += int(value)
        return counts


def ms(seconds):
    return f"{int(seconds * 1000)}ms"
