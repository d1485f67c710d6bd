"""Ours: the release build of this tree."""

import re
import time
import urllib.request

from certificates import NAME as SERVER

from .base import ROOT, System, said

COUNTED = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$', re.M)
DAY = 86400.0
UNREACHED = ("connect", "tls")
"""Faults of an upstream that no request arrives at."""
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
            elif w.secrets:
                keys = ", ".join(f'"file:{path}"' for path in w.secrets)
            more = f", tls: {{ca_file: {w.tls}/ca.crt, server_name: {SERVER}}}" if w.tls else ""
            address = f"{'https' if w.tls else 'http'}://{self.host(name)}:{self.ports[name]}"
            upstreams += (
                f'  {name}: {{provider: custom, dialect: openai, base_url: "{address}/v1", credentials: [{keys}]{more}}}\n'
            )
            if w.uploads:
                upstreams += f'  files-{name}: {{provider: http, base_url: "{address}"}}\n'
        channels = "".join(
            f"      - {{upstream: {name}{f', weight: {w.weights[name]}' if name in w.weights else ''}}}\n" for name in w.upstreams
        )
        select = "    select: lowest_latency\n" if w.latency else ""
        models = [*w.models, *([f'"{w.pattern}"'] if w.pattern else [])]
        routes = "".join(f"  - model: {model}\n{select}    channels:\n{channels}" for model in models)
        if w.uploads:
            routes += "  - path: /upload/\n    channels:\n" + channels.replace("upstream: ", "upstream: files-")
        # Neither is tuning; both are what the scenario is about.
        defaults = [] if w.replay else ["  retry: {replay: if_unsent}\n"]
        if w.http2:
            defaults.append("  pool: {http2: prior_knowledge}\n")
        if self.tuned:
            defaults += [
                f"  timeouts: {{connect: {ms(w.connect)}, ttfb: {ms(w.headers)}, first_event: {ms(w.headers)}, "
                f"idle: {ms(w.idle)}, content_idle: {ms(2 * w.idle)}}}\n",
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
        # In a folder of its own, because a folder is what is watched.
        self.live = self.write("conf/routing.yaml", text)
        return text, [self.binary, "--config", self.live], env

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def counters(self, *wanted):
        for name, labels, value in COUNTED.findall(self.metrics()):
            if name in wanted:
                yield dict(LABEL.findall(labels)), float(value)

    def refused(self):
        counts = dict.fromkeys(self.wanted.upstreams, 0)
        for labels, value in self.counters("mainstay_faults_total"):
            if labels["fault"] in UNREACHED:
                counts[labels["upstream"]] += int(value)
        return counts

    def transitions(self):
        counts = dict.fromkeys(self.wanted.upstreams, 0)
        for labels, value in self.counters("mainstay_breaker_transitions_total"):
            if labels["to"] == "open":
                counts[labels["upstream"]] += int(value)
        return counts

    def figures(self):
        lines = [line for line in self.metrics().splitlines() if not line.startswith("#")]
        reloads = sum(float(line.split()[-1]) for line in lines if line.startswith("mainstay_reloads_total"))
        [failed] = (float(line.split()[-1]) for line in lines if line.startswith("mainstay_config_last_reload_failed"))
        return {"series": len(lines), "reloads": reloads, "failed": failed}

    def ahead(self):
        """By the catalog's age, which counts from a midnight: within half a day that says how far off the clock is."""
        [age] = (age for _, age in self.counters("mainstay_catalog_age_seconds"))
        return (age - time.time() + DAY / 2) % DAY - DAY / 2


def ms(seconds):
    return f"{int(seconds * 1000)}ms"
