"""Scriptable upstreams A, B, C: one process, a port each, told by lines of JSON on standard input.

    {"up": "A", "fault": {"kind": "status", "code": 500}}     from now on, for new requests
    {"up": "A", "fault": null}                                healthy again
    {"end": true}                                             write the log and end

Every request that arrives is a line of the log: when, which attempt of which test id, how far it got,
who hung up. Time is CLOCK_MONOTONIC, the same in all of the harness's processes.
"""

import asyncio
import json
import math
import os
import random
import socket
import struct
import sys
import time

import wire
from upstream import Upstream

now = time.monotonic


class Connection(asyncio.Protocol):
    def __init__(self, upstream):
        self.up = upstream
        self.buffer = bytearray()
        self.more = asyncio.Event()
        self.ended = asyncio.get_running_loop().create_future()
        self.frozen = False
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport):
        self.transport = transport
        self.up.open.add(self)
        self.task = asyncio.create_task(self.serve())

    def data_received(self, data):
        if not self.frozen:
            self.buffer += data
            self.more.set()

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def eof_received(self):
        self.gone()

    def connection_lost(self, _error):
        self.gone()
        self.up.open.discard(self)

    def gone(self):
        if not self.ended.done():
            self.ended.set_result(now())
        self.more.set()
        self.writable.set()

    def reset(self):
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def pause(self, seconds):
        """False when the other side hung up meanwhile."""
        await asyncio.wait([self.ended], timeout=seconds)
        return not self.ended.done()

    async def forever(self):
        await asyncio.wait([self.ended])

    async def until(self, enough):
        while not (found := enough()):
            if self.ended.done():
                return None
            self.more.clear()
            await self.more.wait()
        return found

    async def serve(self):
        try:
            while await self.one():
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass
        except ValueError as error:
            print(f"mock {self.up.name}: {error!r}", file=sys.stderr, flush=True)
        finally:
            if not self.transport.is_closing():
                self.transport.close()

    async def head(self):
        idle = (self.up.fault or {}).get("idle")
        if idle and not self.buffer:
            waiting = asyncio.create_task(self.until(lambda: self.buffer))
            await asyncio.wait([waiting], timeout=idle)
            if not waiting.done():
                waiting.cancel()
                return None
        end = await self.until(lambda: self.buffer.find(b"\r\n\r\n") + 1)
        if not end:
            return None
        lines = bytes(self.buffer[: end - 1]).split(b"\r\n")
        del self.buffer[: end + 3]
        return lines

    async def body(self, headers, record, limit=None):
        if b"chunked" in headers.get(b"transfer-encoding", b""):
            await self.until(lambda: b"0\r\n\r\n" in self.buffer)
            end = self.buffer.find(b"\r\n0\r\n\r\n") + 7
        else:
            end = int(headers.get(b"content-length", b"0"))
            wanted = int(end * limit) if limit else end
            await self.until(lambda: len(self.buffer) >= wanted)
        record["bytes"] = min(len(self.buffer), end)
        if limit or len(self.buffer) < end:
            return None
        body = bytes(self.buffer[:end])
        del self.buffer[:end]
        return body

    async def one(self):
        lines = await self.head()
        if lines is None:
            return False
        method, path, version = lines[0].split(b" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines[1:])}
        self.old = version == b"HTTP/1.0"
        self.keep = b"close" not in headers.get(b"connection", b"").lower() and not self.old
        fault = self.up.fault or {}
        if headers.get(b"expect"):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        credential = headers.get(b"authorization", b"").removeprefix(b"Bearer ").decode()
        record = {"up": self.up.name, "t": now(), "cred": credential, "stage": "head", "bytes": 0, "tokens": 0}
        if method != b"POST":
            record["probe"] = True
            self.up.log.append(record)
            return await self.health(fault)
        self.up.log.append(record)
        if test_id := headers.get(b"x-test-id"):
            record["id"] = test_id.decode()
        body = await self.body(headers, record, fault.get("upto"))
        if body is None:
            if fault.get("upto") and not self.ended.done():
                record["end"] = "reset"
                self.reset()
            return False
        record["stage"] = "body"
        if found := wire.ID_IN_BODY.search(body):
            record["id"] = found[1].decode()
        model = wire.MODEL_IN_BODY.search(body)
        record["model"] = model[1].decode() if model else ""
        stream = b'"stream": true' in body or b'"stream":true' in body
        again = await self.answer(fault, record, stream)
        if self.ended.done() and "end" not in record:
            record["end"], record["gone"] = "abort", self.ended.result()
        return again and self.keep and not self.ended.done()

    async def health(self, fault):
        kind = fault.get("kind")
        if kind == "silent":
            await self.forever()
            return False
        bad = fault.get("health", 200)
        if bad != 200:
            return self.whole(bad, b"{}")
        return self.whole(200, b'{"object":"list","data":[{"id":"bench","object":"model"}]}')

    # --- what is said -----------------------------------------------------------------------------

    def whole(self, code, body, headers=()):
        lines = [f"HTTP/1.1 {code} X", "content-type: application/json", f"content-length: {len(body)}", *headers]
        if not self.keep:
            lines.append("connection: close")
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return True

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
        # The same upstream takes the same time for the same request in every run.
        draw = random.Random(record.get("id", "") + up.name)
        ttft = draw.lognormvariate(math.log(0.4), 0.3)
        wait += ttft * (fault["factor"] if kind == "tail" else 1)
        how = fault.get("how", "") if kind == "after" else ""
        if how == "cycle":
            how = ("fin", "rst", "cut", "clean")[up.count % 4]
        record["how"] = how
        self.chunked = not self.old and how != "fin"
        if not await self.pause(wait):
            return False
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
        head += b"transfer-encoding: chunked\r\n\r\n" if self.chunked else b"connection: close\r\n\r\n"
        self.transport.write(head)
        record.update(first=now(), stage="first")
        if kind == "first_error":
            self.send(b"event: error\ndata: " + json.dumps(wire.OVERLOADED).encode() + b"\n\n")
            record["end"] = "error"
            return self.finish()
        self.send(wire.event(tag, {"role": "assistant", "content": ""}))
        said = wire.tokens(tag)
        due = now()
        for n, token in enumerate(said):
            if kind == "after" and n == fault["n"]:
                return await self.broken(how, record)
            if self.ended.done():
                return False
            self.send(wire.event(tag, {"content": token}))
            record["tokens"] = n + 1
            if not self.writable.is_set():
                await self.writable.wait()
            due += fault.get("gap", wire.GAP) if kind == "drip" else wire.GAP
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
        if "model" in fault and record["model"] != fault["model"]:
            return False
        if "every" in fault and self.up.count % fault["every"]:
            return False
        return "share" not in fault or random.random() < fault["share"]

    def send(self, data):
        if self.chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.transport.write(data)

    def finish(self):
        if self.chunked:
            self.transport.write(b"0\r\n\r\n")
            return True
        return False

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


async def main():
    out = sys.argv[1]
    log = []
    ups = {}
    for pair in sys.argv[2:]:
        name, _, port = pair.partition("=")
        ups[name] = Upstream(name, int(port), log, Connection)
        ups[name].bind()
        ups[name].listen()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        order = json.loads(line)
        if order.get("end"):
            break
        ups[order["up"]].set(order["fault"])
    busy = sum(os.times()[:2])
    with open(out, "w") as file:
        for record in log:
            file.write(json.dumps(record) + "\n")
        left = sum("end" not in record and "probe" not in record for record in log)
        file.write(json.dumps({"cpu": busy, "left": left}) + "\n")
    print("written", flush=True)
    os._exit(0)


asyncio.run(main())
