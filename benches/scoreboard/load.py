"""The load: an open loop with Poisson arrivals of a fixed seed, latency counted from when a request was due.

Takes its orders as one JSON argument, prints nothing, writes a line per request. Whatever the system
under test does, every request ends: with an answer, an error, or the client's own time limit.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import deque

import wire

now = time.monotonic
IDLE = 2.0
"""Seconds after which a client lets go of an idle connection, well before any system does."""


FLOOD = 1 << 19
"""Bytes of an answer after which any client has had enough; a good one has a fiftieth of it."""


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self):
        self.done = None
        self.closed = False
        self.slow = False

    def connection_made(self, transport):
        self.transport = transport

    def ask(self, data, stream):
        self.buffer = bytearray()
        self.stream = stream
        self.first = self.head = self.head_end = self.length = None
        self.chunked = self.ended_well = self.flooded = False
        self.seen = 0
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(data)

    def data_received(self, data):
        if self.done is None or self.done.done():
            return
        self.buffer += data
        if self.head_end is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > FLOOD:
                    self.flooded = True
                    self.done.set_result(None)
                return
            self.head = bytes(self.buffer[:end]).lower()
            self.head_end = end + 4
            self.chunked = b"transfer-encoding: chunked" in self.head
            at = self.head.find(b"\r\ncontent-length:")
            if at >= 0:
                self.length = int(self.head[at + 17 :].split(b"\r\n")[0])
        if self.first is None:
            if wire.CONTENT_IN_REPLY.search(self.buffer, max(self.head_end, self.seen)):
                self.first = now()
            self.seen = max(0, len(self.buffer) - wire.LONGEST_MATCH)
        if len(self.buffer) > FLOOD:
            self.flooded = True
            self.done.set_result(None)
            return
        if self.chunked:
            # No token has a line break in it, so this is the last chunk and nothing else.
            self.ended_well = self.buffer.endswith(b"\r\n0\r\n\r\n")
        elif self.length is not None:
            self.ended_well = len(self.buffer) - self.head_end >= self.length
        if self.ended_well:
            self.done.set_result(None)
        elif self.slow:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(1.0, self.read_on)

    def read_on(self):
        if not self.closed:
            self.transport.resume_reading()

    def connection_lost(self, error):
        self.closed = True
        if self.done and not self.done.done():
            if self.head_end and not self.chunked and self.length is None and error is None:
                self.ended_well = True
            self.done.set_result(error)

    def body(self):
        data = bytes(self.buffer[self.head_end :])
        if not self.chunked:
            return data
        parts, at = [], 0
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            try:
                size = int(data[at:end].split(b";")[0], 16)
            except ValueError:
                break
            if size == 0:
                break
            parts.append(data[end + 2 : end + 2 + size])
            at = end + 2 + size + 2
        return b"".join(parts)


class Load:
    def __init__(self, orders):
        self.o = orders
        self.idle = deque()
        self.turn = 0
        self.draw = random.Random(orders["seed"])
        self.results = []

    def due_times(self):
        """Offsets in seconds; `bursts` are (from, to, factor)."""
        at, times = 0.0, []
        while True:
            rate = self.o["rps"]
            for begin, end, factor in self.o.get("bursts", []):
                if begin <= at < end:
                    rate *= factor
            at += self.draw.expovariate(rate)
            if at >= self.o["seconds"]:
                return times
            times.append(at)

    async def run(self):
        # All chance is drawn before anything is sent, so that every system gets the same requests.
        plan = []
        for n, at in enumerate(self.due_times()):
            size = 2048
            if self.o["stream"]:
                size = 65536 if self.draw.random() < 0.05 else 8192
            size = self.o.get("size", size)
            fate = self.draw.random()
            cancel = None
            for begin, end, share, longest in self.o.get("cancels", []):
                if begin <= at < end and fate < share:
                    cancel = self.draw.random() * longest
            slow = cancel is None and any(b <= at < e and fate > 1 - s for b, e, s in self.o.get("slow", []))
            models = self.o.get("models") or [self.o.get("model", "bench")]
            plan.append((f"r{n:06d}", at, size, cancel, slow, models[n % len(models)]))
        start = self.o["start"]
        running = []
        for test_id, at, size, cancel, slow, model in plan:
            delay = start + at - now()
            if delay > 0:
                await asyncio.sleep(delay)
            running.append(asyncio.create_task(self.one(test_id, start + at, size, cancel, slow, model)))
        await asyncio.gather(*running)

    async def connection(self, slow):
        while self.idle and not slow:
            since, client = self.idle.popleft()
            if not client.closed and now() - since < IDLE:
                return client
            if not client.closed:
                client.transport.close()
        loop = asyncio.get_running_loop()
        self.turn += 1
        port = self.o["ports"][self.turn % len(self.o["ports"])]
        _, client = await loop.create_connection(Client, "127.0.0.1", port)
        return client

    async def one(self, test_id, due, size, cancel, slow, model):
        record = {"id": test_id, "due": due, "model": model}
        self.results.append(record)
        client = None
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + (due - now()) + self.o["timeout"]):
                client = await self.connection(slow)
                client.slow = slow
                body = wire.ask(test_id, self.o["stream"], size, model)
                head = (
                    f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench.localhost\r\nx-test-id: {test_id}\r\n"
                    f"content-type: application/json\r\nauthorization: Bearer caller\r\ncontent-length: {len(body)}\r\n\r\n"
                )
                record["sent"] = now()
                client.ask(head.encode() + body, self.o["stream"])
                if cancel is not None:
                    await asyncio.wait([client.done], timeout=cancel)
                    if not client.done.done():
                        record.update(outcome="cancelled", end=now())
                        client.transport.abort()
                        return
                error = await client.done
        except TimeoutError:
            record.update(outcome="timeout", end=now())
            if client:
                client.transport.abort()
            return
        except OSError as problem:
            record.update(outcome="refused", end=now(), why=str(problem))
            return
        record["end"] = now()
        record["slow"] = slow
        self.judge(record, client, error)
        if client.ended_well and not client.closed and not slow and b"connection: close" not in client.head:
            self.idle.append((now(), client))
        else:
            client.transport.abort()

    def judge(self, record, client, error):
        if client.flooded:
            record["outcome"] = "flood"
            return
        if client.head is None:
            record["outcome"] = "reset"
            return
        status = int(client.head[9:12])
        record["status"] = status
        if status != 200:
            at = client.head.find(b"\r\nretry-after:")
            record["retry_after"] = client.head[at + 14 :].split(b"\r\n")[0].decode().strip() if at >= 0 else None
            record["outcome"] = "status"
            return
        record["first"] = client.first
        if b"\r\ncontent-encoding:" in client.head:
            # Not asked for, and nothing that a client would unpack unawares.
            record["outcome"] = "error"
            return
        said = (wire.read_stream if self.o["stream"] else wire.read_reply)(client.body())
        if said == "wrong" and not client.ended_well:
            # A length that does not come, a chunk that is missing, a reset: any client's library says so.
            said = "aborted"
        if said == "ok" and not client.ended_well and client.chunked:
            said = "aborted"
        record["outcome"] = said
        if error is not None:
            record["why"] = repr(error)


def main():
    load = Load(json.loads(sys.argv[1]))
    asyncio.run(load.run())
    with open(load.o["out"], "w") as file:
        for record in load.results:
            file.write(json.dumps(record) + "\n")
        file.write(json.dumps({"cpu": sum(os.times()[:2])}) + "\n")


main()
