"""Every official SDK against an upstream of every dialect: the matrix of the README.

Each cell is a caller's SDK, an upstream's dialect and a feature; what the SDK understood has to be what the
upstream said. Cells that cannot be are listed in `EXCEPTIONS` with their reason, and nowhere else.

    MAINSTAY_URL=... UPSTREAMS_PORT=... python test_pairs.py [--matrix FILE]
"""

import argparse
import concurrent.futures
import json
import os
import sys
import traceback
import urllib.request

from callers import CALLERS, RESULTS
from tasks import COUNTED, PICTURE, VECTORS
from upstreams import CACHED, CALLS, IN, OUT, PERSON, TEXT

URL = os.environ["MAINSTAY_URL"]
UPSTREAMS = ["openai", "responses", "anthropic", "gemini", "cohere", "bedrock", "ollama"]
FEATURES = (
    "text turns tools parallel results image structured reasoning stop usage error stream stream-tools stream-reasoning cut "
    "embed images count"
).split()
#: What is no generation: what an SDK calls it, and the upstreams whose dialect has it.
TASKS = {
    "embed": ("embed", ("openai", "gemini", "cohere", "ollama")),
    "images": ("draw", ("openai", "gemini")),
    # Where the upstream does not count, the gateway does.
    "count": ("count", UPSTREAMS),
}

#: (caller, upstream, feature or feature:part), "*" for any -> why it cannot be, or differs.
EXCEPTIONS = {
    ("*", "ollama", "stop:filter"): "Ollama has no filter that ends an answer",
    ("*", "ollama", "usage:cached"): "Ollama does not say how many tokens came from a cache",
    ("responses", "*", "turns:stop"): "Responses has no stop sequences",
    ("anthropic", "*", "turns:temperature"): "Anthropic's newest version has no temperature",
}


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


class Pair:
    """One SDK and one upstream."""

    def __init__(self, caller, upstream):
        self.caller, self.upstream, self.tag = caller, upstream, f"python-{caller.name}"
        self.excuses = []

    def lacks(self, part):
        """Is there a reason why this part of a feature cannot be?"""
        why = exception(self.caller.name, self.upstream, part)
        if why:
            self.excuses.append(why)
        return bool(why)

    def ask(self, scenario, kind="text", **options):
        return self.caller.ask(f"{self.upstream}/{self.tag}.{scenario}", kind, **options)

    def sent(self):
        """What the upstream was asked last, by this caller."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{os.environ['UPSTREAMS_PORT']}/seen?{self.tag}", timeout=10) as response:
            return json.loads(response.read())[-1]["body"]

    def text(self):
        said = self.ask("text")
        same((said.text, said.calls, said.stop), (TEXT, [], "end"), "answer")

    def turns(self):
        same(self.ask("text", "turns").text, TEXT, "text")
        sent = json.dumps(self.sent(), ensure_ascii=False)
        for words in ("Be brief.", "hello", "Yes?", "Go on."):
            check(sent.count(words) == 1, f"{words!r} is not there once in {sent}")
        check(self.lacks("turns:temperature") or "0.5" in sent, f"no temperature in {sent}")
        # Responses has none: the gateway heeds them itself.
        heeded = self.lacks("turns:stop") or self.upstream == "responses" or "END" in sent
        check(heeded, f"no stop sequence in {sent}")

    def tools(self):
        said = self.ask("one-tool", "tools")
        same((said.calls, said.stop), (CALLS[:1], "calls"), "call")
        sent = json.dumps(self.sent())
        for words in ("get_weather", "The weather", '"city"', "get_time"):
            check(words in sent, f"{words!r} is not in {sent}")

    def parallel(self):
        said = self.ask("tools", "tools")
        same((said.text, said.calls, said.stop), ("Let me look.", CALLS, "calls"), "calls")

    def results(self):
        before = self.ask("tools", "tools").raw
        said = self.ask("text", "results", before=before)
        same(said.text, TEXT, "text")
        sent = json.dumps(self.sent())
        for words in ("Rome", "clear", RESULTS[1]):
            check(words in sent, f"{words!r} is not in {sent}")

    def image(self):
        same(self.ask("text", "image").text, TEXT, "text")
        check("iVBORw0KGgoAAAANSUhEUg" in json.dumps(self.sent()), "the image did not arrive")

    def structured(self):
        said = self.ask("structured", "structured")
        same(json.loads(said.text), PERSON, "object")
        sent = json.dumps(self.sent())
        check("additionalProperties" in sent and "age" in sent, f"the schema did not arrive in {sent}")

    def reasoning(self):
        said = self.ask("reasoning", "reasoning")
        same((said.thought, said.text), ("Let me think.", TEXT), "thought and text")

    def stop(self):
        for scenario in ("length", "filter"):
            if not self.lacks(f"stop:{scenario}"):
                same(self.ask(scenario).stop, scenario, "stop")

    def usage(self):
        cached = 0 if self.lacks("usage:cached") else CACHED
        same(self.ask("text").usage, (IN, OUT, cached), "usage")
        same(self.ask("text", stream=True).usage, (IN, OUT, cached), "streamed usage")

    def error(self):
        for scenario, words in (("refused", "That is wrong."), ("limited", None), ("overloaded", None)):
            try:
                self.ask(scenario)
            except self.caller.errors[scenario] as error:
                check(words is None or words in str(error), f"{scenario}: {error}")
            else:
                raise AssertionError(f"{scenario} was no error")

    def stream(self):
        said = self.ask("text", stream=True)
        same((said.text, said.calls, said.stop), (TEXT, [], "end"), "stream")

    def stream_tools(self):
        said = self.ask("tools", "tools", stream=True)
        same((said.text, said.calls, said.stop), ("Let me look.", CALLS, "calls"), "stream")

    def stream_reasoning(self):
        said = self.ask("reasoning", "reasoning", stream=True)
        same((said.thought, said.text, said.stop), ("Let me think.", TEXT, "end"), "stream")

    def cut(self):
        self.stream()
        try:
            said = self.ask("cut", stream=True)
        except AssertionError as error:
            # The SDK itself found that something is missing.
            check("no response.completed" in str(error), error)
        except self.caller.errors["cut"]:
            pass
        else:
            raise AssertionError(f"a cut stream went for a whole one: {said}")

    def embed(self):
        same(self.caller.embed(f"{self.upstream}/{self.tag}.vectors", ["one", "two"]), VECTORS, "vectors")
        sent = json.dumps(self.sent())
        check('"one"' in sent and '"two"' in sent, f"the texts are not in {sent}")

    def images(self):
        same(self.caller.draw(f"{self.upstream}/{self.tag}.picture"), PICTURE, "picture")
        check("a dot" in json.dumps(self.sent()), "the prompt did not arrive")

    def count(self):
        found = self.caller.count(f"{self.upstream}/{self.tag}.count")
        if self.upstream in ("anthropic", "gemini", "bedrock", self.caller.name):
            same(found, COUNTED, "tokens")
            check("hello" in json.dumps(self.sent()), "the text did not arrive")
        else:
            check(0 < found < 20, f"{found} tokens are no count of a word")


def exists(caller, upstream, feature):
    """Has the SDK this, and the upstream's dialect as well?"""
    call, upstreams = TASKS.get(feature, ("ask", UPSTREAMS))
    return hasattr(caller, call) and upstream in upstreams


def exception(caller, upstream, feature):
    keys = [(c, u, feature) for c in (caller, "*") for u in (upstream, "*")]
    return next((EXCEPTIONS[key] for key in keys if key in EXCEPTIONS), None)


def run(kind, wanted):
    """All cells of one SDK: `True`, or whether it holds and the reasons why not all of it does; and what went wrong."""
    cells, failures = {}, []
    caller = kind(URL)
    for upstream in UPSTREAMS:
        for feature in FEATURES:
            names = (caller.name, upstream, feature)
            cell = "/".join(names)
            if not exists(caller, upstream, feature) or any(want not in ("*", name) for want, name in zip(wanted, names)):
                continue
            pair = Pair(caller, upstream)
            if pair.lacks(feature):
                cells[cell] = {"holds": False, "why": pair.excuses}
                continue
            try:
                getattr(pair, feature.replace("-", "_"))()
                cells[cell] = {"holds": True, "why": pair.excuses} if pair.excuses else True
            except Exception as error:  # whatever an SDK raises
                cells[cell] = False
                last = traceback.extract_tb(error.__traceback__)[-1]
                failures.append(f"{cell}: {type(error).__name__}: {str(error)[:1000]} ({last.name}:{last.lineno})")
    return cells, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--matrix", help="write what holds to this file, as JSON")
    parser.add_argument("--only", help="caller/upstream/feature, each may be *")
    options = parser.parse_args()
    wanted = (options.only or "*/*/*").split("/")
    cells, failures = {}, []
    with concurrent.futures.ThreadPoolExecutor(len(CALLERS)) as pool:
        for some, wrong in pool.map(lambda kind: run(kind, wanted), CALLERS):
            cells |= some
            failures += wrong
    good = sum(1 for cell in cells.values() if cell is True or cell and cell["holds"])
    print(f"Python: {good} of {len(cells)} cells hold, {len(failures)} fail")
    print("\n".join(failures))
    if options.matrix:
        with open(options.matrix, "w", encoding="utf-8") as file:
            json.dump(cells, file, indent=0)
    sys.exit(1 if failures or not cells else 0)


if __name__ == "__main__":
    main()
