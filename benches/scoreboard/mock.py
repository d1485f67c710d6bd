"""Scriptable upstreams: one process, a port each, told by lines of JSON on standard input.

    {"up": "A", "fault": {"kind": "status", "code": 500}}     from now on, for new requests
    {"up": "A", "fault": null}                                healthy again
    {"end": true}                                             write the log and end

Every request that arrives is a line of the log: when, which attempt of which test id, how far it got,
who hung up. Time is CLOCK_MONOTONIC, the same in all of the harness's processes. What is said is
`answers.py`'s; this file speaks HTTP/1.1, `mock_h2.py` HTTP/2.
"""

import asyncio
import json
import os
import socket
import struct
import sys
import time

import wire
from answers import CHUNKED, EVENT_STREAM, Answers
from names import Names
from upstream import Upstream

now = time.monotonic
KEPT = 4 << 20
"""Bodies larger than this are counted and not kept."""


class Connection(Answers, asyncio.Protocol):
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
        self.came = now()
        self.asked = False
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
            if not self.asked and self.ended.done():
                # Somebody only looked whether anybody is there.
                self.up.log.append({"up": self.up.name, "t": self.came, "probe": True})
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

    async def body(self, headers, record, fault):
        """None where it does not come whole, or must not: `upto` is the share after which bodies of `min` bytes or more are cut off."""
        end = int(headers.get(b"content-length", b"0"))
        chunked = b"chunked" in headers.get(b"transfer-encoding", b"")
        if end > KEPT or (chunked and fault.get("upto")):
            return await self.large(end or fault["size"], record, fault)
        if chunked:
            await self.until(lambda: b"0\r\n\r\n" in self.buffer)
            end = self.buffer.find(b"\r\n0\r\n\r\n") + 7
        else:
            await self.until(lambda: len(self.buffer) >= end)
        record["bytes"] = min(len(self.buffer), end)
        if len(self.buffer) < end:
            return None
        body = bytes(self.buffer[:end])
        del self.buffer[:end]
        return body

    async def large(self, length, record, fault):
        wanted = int(length * fault.get("upto", 1.0))
        while record["bytes"] < wanted and await self.until(lambda: len(self.buffer)):
            record["bytes"] += len(self.buffer)
            self.buffer.clear()
        if record["bytes"] < wanted:
            return None
        if wanted < length:
            record["end"] = "reset"
            self.reset()
            return None
        return b""

    async def one(self):
        lines = await self.head()
        if lines is None:
            return False
        self.asked = True
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
        body = await self.body(headers, record, fault)
        if body is None:
            if self.ended.done():
                record.setdefault("end", "abort")
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

    def whole(self, code, body, headers=()):
        lines = [f"HTTP/1.1 {code} X", "content-type: application/json", f"content-length: {len(body)}", *headers]
        if not self.keep:
            lines.append("connection: close")
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return True

    def begin(self):
        self.raw(EVENT_STREAM + (CHUNKED if self.chunked else b"connection: close\r\n\r\n"))

    def raw(self, data):
        self.transport.write(data)

    def send(self, data):
        if self.chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.transport.write(data)

    def finish(self):
        if self.chunked:
            self.transport.write(b"0\r\n\r\n")
            return True
        return False


async def main():
    orders = json.loads(sys.argv[1])
    log, ups = [], {}
    speak = Connection
    if orders.get("http2"):
        # Only then is the library needed.
        from mock_h2 import Connection as speak
    for name, port in orders["ports"].items():
        ups[name] = Upstream(name, port, log, speak, orders.get("certs"), orders.get("second") if name == "A" else None)
        ups[name].bind()
        ups[name].listen()
    names = await Names.serve(orders["names"], ups) if orders.get("names") else None
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        order = json.loads(line)
        if order.get("end"):
            break
        ups[order["up"]].set(order["fault"])
        if names and (order["fault"] or {}).get("kind") == "move":
            names.point(order["up"], orders["second"])
    busy = sum(os.times()[:2])
    with open(orders["out"], "w") as file:
        for record in log:
            file.write(json.dumps(record) + "\n")
        left = sum("end" not in record and "probe" not in record for record in log)
        file.write(json.dumps({"cpu": busy, "left": left, "asked_names": names.asked if names else 0}) + "\n")
    print("written", flush=True)
    os._exit(0)


asyncio.run(main())
