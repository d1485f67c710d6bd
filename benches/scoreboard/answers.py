"""What an upstream says to one request, whole or streamed, well or with a fault; the same over either version of HTTP.

How it is put on the wire is `mock.py`'s (HTTP/1.1) and `mock_h2.py`'s (HTTP/2): a subclass has `whole`,
`begin`, `send`, `finish`, `reset` and `raw`. Answers that are no HTTP any more are `hostile_answers.py`'s.
"""

import asyncio
import json
import math
import random
import time

import hostile_answers
import wire

now = time.monotonic
EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
MODELS = b'{"object":"list","data":[{"id":"bench","object":"model"}]}'


class Answers:
    """Has `up`, `ended` (a future that is done when the other side is gone), `writable` and `old` (HTTP/1.0)."""

    async def pause(self, seconds):
        """False when the other side hung up meanwhile."""
        await asyncio.wait([self.ended], timeout=seconds)
        return not self.ended.done()

    async def forever(self):
        await asyncio.wait([self.ended])

    async def room(self):
        """False when there is nobody any more to make room for."""
        if not self.writable.is_set():
            await self.writable.wait()
        return not self.ended.done()

    async def health(self, fault):
        if fault.get("kind") == "silent":
            await self.forever()
            return False
        bad = fault.get("health", 200)
        return self.whole(bad, b"{}") if bad != 200 else self.whole(200, MODELS)

    async def answer(self, fault, record, stream):
        up, kind = self.up, fault.get("kind")
        up.count += 1
        tag = f"{up.name}{up.count}"
        if kind and not self.hit(fault, record):
            fault, kind = {}, None
        record["fault"] = kind
        if kind == "silent":
            await self.forever()
            return False
        if kind == "reset":
            record["end"] = "reset"
            self.reset()
            return False
        if kind == "status" or (kind == "capacity" and not up.admits(fault)):
            code = fault.get("code", 503)
            record.update(end="status", status=code)
            await self.pause(fault.get("delay", 0.001))
            body = fault.get("body") or {"error": {"message": "The server had an error.", "type": "server_error"}}
            return self.whole(code, json.dumps(body).encode(), fault.get("headers", ()))
        if kind == "hostile":
            record["how"] = hostile_answers.KINDS[up.count % len(hostile_answers.KINDS)]
            await hostile_answers.say(self, record["how"])
            if not self.ended.done():
                record["end"] = "hostile"
            return False
        if kind == "queue":
            up.free_at = max(up.free_at, now()) + 1 / fault["rps"]
            # The work is done whether or not anybody still waits for it.
            if not await self.pause(up.free_at - now()):
                return False
        wait = fault.get("add", 0.0) if kind == "slow" else 0.0
        if not stream:
            wait += 0.005 * (fault["factor"] if kind == "tail" else 1)
            if not await self.pause(wait):
                return False
            record.update(first=now(), tokens=wire.UNARY_TOKENS, end="done", stage="done")
            return self.whole(200, wire.reply(tag))
        return await self.stream(fault, kind, record, tag, wait)

    async def stream(self, fault, kind, record, tag, wait):
        # The same upstream takes the same time for the same request in every run.
        draw = random.Random(record.get("id", "") + self.up.name)
        wait += draw.lognormvariate(math.log(0.4), 0.3) * (fault["factor"] if kind == "tail" else 1)
        how = fault.get("how", "") if kind == "after" else ""
        if how == "cycle":
            how = ("fin", "rst", "cut", "clean")[self.up.count % 4]
        record["how"] = how
        self.chunked = not self.old and how != "fin"
        if not await self.pause(wait):
            return False
        if kind == "drip" and fault["where"] == "head":
            if not await self.drip(self.raw, EVENT_STREAM + CHUNKED, fault["gap"]):
                return False
        else:
            self.begin()
        record.update(first=now(), stage="first")
        if kind == "first_error":
            self.send(b"event: error\ndata: " + json.dumps(wire.OVERLOADED).encode() + b"\n\n")
            record["end"] = "error"
            return self.finish()
        self.send(wire.event(tag, {"role": "assistant", "content": ""}))
        said = wire.tokens(tag)
        gap = fault["gap"] if kind == "long" else wire.GAP
        due = now()
        for n, token in enumerate(said):
            if kind == "after" and n == fault["n"]:
                return await self.broken(how, record)
            if kind == "drip" and fault["where"] == "body" and n == 2:
                await self.drip(self.send, b"".join(wire.event(tag, {"content": t}) for t in said[2:]), fault["gap"])
                return False
            if self.ended.done():
                return False
            self.send(wire.event(tag, {"content": token}))
            record["tokens"] = n + 1
            await self.room()
            due += gap
            await asyncio.sleep(max(0.0, due - now()))
        if self.ended.done():
            return False
        self.send(wire.event(tag, {"content": wire.digest("".join(said))}))
        self.send(wire.event(tag, {}, "stop"))
        self.send(wire.DONE)
        record.update(end="done", stage="done", last=now())
        return self.finish()

    def hit(self, fault, record):
        """Whether the fault meets this request."""
        if "cred" in fault and record["cred"] != fault["cred"]:
            return False
        if "valid" in fault and record["cred"] in fault["valid"]:
            return False
        if "model" in fault and record["model"] != fault["model"]:
            return False
        if "prefix" in fault and not record["model"].startswith(fault["prefix"]):
            return False
        if "every" in fault and self.up.count % fault["every"]:
            return False
        return "share" not in fault or random.random() < fault["share"]

    async def drip(self, write, data, gap):
        """A byte at a time. False when the other side had enough of it."""
        for n in range(len(data)):
            write(data[n : n + 1])
            if not await self.pause(gap):
                return False
        return True

    async def broken(self, how, record):
        record["end"] = how
        if how == "stall":
            await self.forever()
            record["gone"] = self.ended.result()
            return False
        if how == "error":
            self.send(b"event: error\ndata: " + json.dumps(wire.OVERLOADED).encode() + b"\n\n")
            return self.finish()
        if how == "clean":
            return self.finish()
        if how == "rst":
            self.reset()
        return False
