"""Thirty seconds of traffic with the official OpenAI SDK, during which one of three upstreams is
killed and brought back. The SDK may not retry, and must not see one error.

A stream whose content has begun when its upstream dies can be saved by nobody, so the run lets such
streams end before the kill. Streams that wait for their first content at that moment, and whole answers
that are half-way, are there on purpose.
"""

import asyncio
import collections
import sys
import time

import openai

from gateway import URL, admin, fault, lingers, metric
from oracle import speaker

LENGTH = 30.0
KILLED, BACK = 8.0, 18.0
GAP = 1 / 20  # between two requests
RETURN_BY = 60.0  # how long after that it may take until it is trusted again
LAST_STREAM_BEFORE = 3.0  # streams take 0.4 s; the kill waits for those that take longer
BURST = 12  # streams begun just before the kill; from whoever is killed their first content is far away
LONGEST = 25.0

HELLO = [{"role": "user", "content": "hello"}]


class Run:
    def __init__(self):
        self.client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="callers-key", max_retries=0, timeout=LONGEST)
        self.asked = 0
        self.streaming = 0
        self.lingers = False
        self.errors = []
        self.spoken = []
        self.begun = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self.begun

    async def until(self, moment: float):
        await asyncio.sleep(max(0.0, moment - self.now()))

    async def ask(self, stream: bool):
        began = self.now()
        self.asked += 1
        self.streaming += stream
        try:
            if stream:
                text = ""
                async for chunk in await self.client.chat.completions.create(model="demo", messages=HELLO, stream=True):
                    text += "".join(choice.delta.content or "" for choice in chunk.choices)
            else:
                answer = await self.client.chat.completions.create(model="demo", messages=HELLO)
                text = answer.choices[0].message.content
            self.spoken.append((began, speaker(text), stream))
        except Exception as error:  # whatever it is, a caller saw it
            self.errors.append(f"{began:6.2f} s, stream={stream}: {type(error).__name__}: {error}")
        finally:
            self.streaming -= stream

    async def traffic(self, asks: asyncio.TaskGroup):
        for number in range(int(LENGTH / GAP)):
            at = number * GAP
            await self.until(at)
            quiet = self.now() >= KILLED - LAST_STREAM_BEFORE and not self.lingers
            asks.create_task(self.ask(stream=number % 2 == 1 and not quiet))

    async def outage(self, asks: asyncio.TaskGroup):
        await self.until(KILLED)
        while self.streaming:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(lingers, "sim-a")
        self.lingers = True
        for _ in range(BURST):
            asks.create_task(self.ask(stream=True))
        # For many of them to get there.
        await asyncio.sleep(0.2)
        await asyncio.to_thread(fault, "sim-a", {"fault": {"kind": "refuse"}})
        self.killed = self.now()
        await self.until(BACK)
        await asyncio.to_thread(fault, "sim-a")
        self.back = self.now()

    def returned(self) -> float | None:
        """When the upstream that came back got a request that it answered."""
        return min((at for at, name, _ in self.spoken if name == "sim-a" and at >= self.back), default=None)

    async def run(self):
        async with asyncio.TaskGroup() as asks:
            asks.create_task(self.traffic(asks))
            asks.create_task(self.outage(asks))
        while self.returned() is None and self.now() < self.back + RETURN_BY:
            await self.ask(stream=False)


def settled(name: str) -> bool:
    for _ in range(50):
        if metric(name) == 0:
            return True
        time.sleep(0.1)
    return False


def main() -> int:
    for upstream in ("sim-a", "sim-b", "sim-c"):
        fault(upstream)
    saved_before = metric("mainstay_failovers_total", route="demo")
    run = Run()
    asyncio.run(run.run())
    saved = metric("mainstay_failovers_total", route="demo") - saved_before

    returned = run.returned()
    who = lambda test: dict(collections.Counter(name for at, name, _ in run.spoken if test(at)))
    print(f"{len(run.spoken)} of {run.asked} answered, {sum(stream for *_, stream in run.spoken)} of them streams;"
          f" {saved:.0f} failures hidden; {len(run.errors)} errors seen")
    print(f"before: {who(lambda at: at < KILLED)}; during: {who(lambda at: run.killed <= at < BACK)};"
          f" after: {who(lambda at: at >= run.back)}")
    if returned is not None:
        print(f"the upstream that came back answered again after {returned - run.back:.1f} s")
    problems = list(run.errors)
    if len(run.spoken) != run.asked or run.asked < LENGTH / GAP:
        problems.append(f"{run.asked - len(run.spoken)} of {run.asked} requests without a whole answer")
    if saved < 1:
        problems.append("no failover was counted: the kill hit nobody")
    if "sim-a" in who(lambda at: run.killed <= at < BACK - 1):
        problems.append("the dead upstream answered")
    if returned is None:
        problems.append(f"the upstream that came back got no request again within {RETURN_BY:.0f} s")
    for gauge in ("mainstay_requests_in_flight", "mainstay_attempts_in_flight"):
        if not settled(gauge):
            problems.append(f"{gauge} is not back at 0:\n{admin('GET', '/metrics')}")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
