"""The upstreams' HTTP/2, without TLS and with prior knowledge. Needs the h2 package (benches/scoreboard/install).

Two faults are its own: `goaway` ends a connection after `every` streams, the way servers behind a load
balancer do; `streams` sets SETTINGS_MAX_CONCURRENT_STREAMS to `limit` while connections are open.
"""

import asyncio
import sys
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

import wire
from answers import Answers

now = time.monotonic
STREAMS = 100
LIMIT = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class Connection(asyncio.Protocol):
    def __init__(self, upstream):
        self.up = upstream
        self.frozen = False
        self.streams = {}
        self.count = 0
        self.last = None
        # Not strict: a health check without an authority is a health check.
        config = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)

    def connection_made(self, transport):
        self.transport = transport
        self.up.open.add(self)
        fault = self.up.fault or {}
        limit = fault["limit"] if fault.get("kind") == "streams" else STREAMS
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values={LIMIT: limit})
        self.h2.initiate_connection()
        self.flush()

    def allow(self, limit):
        """So many streams at once from now on; None for the usual number."""
        self.h2.update_settings({LIMIT: limit or STREAMS})
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data and not self.frozen and not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data):
        if self.frozen:
            return
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            print(f"mock {self.up.name}: {error!r}", file=sys.stderr, flush=True)
            self.flush()
            self.transport.close()
            return
        for event in events:
            self.take(event)
        self.flush()

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            # Those after the GOAWAY are as if they had not been sent; whoever sent them knows.
            if self.last is None:
                self.begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if stream := self.streams.get(event.stream_id):
                stream.body += event.data
        elif isinstance(event, h2.events.StreamEnded):
            if stream := self.streams.get(event.stream_id):
                stream.task = asyncio.create_task(stream.serve())
        elif isinstance(event, h2.events.StreamReset):
            if stream := self.streams.pop(event.stream_id, None):
                stream.gone()
        elif isinstance(event, h2.events.WindowUpdated):
            for stream in list(self.streams.values()):
                stream.pump()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.transport.close()

    def begin(self, event):
        fault = self.up.fault or {}
        self.count += 1
        self.streams[event.stream_id] = Stream(self, event.stream_id, dict(event.headers))
        if fault.get("kind") == "goaway" and self.count >= fault["every"]:
            # Said by hand: the library's own would end its side of the connection at once.
            self.last = event.stream_id
            self.flush()
            frame = (8).to_bytes(3) + b"\x07\0" + (0).to_bytes(4) + self.last.to_bytes(4) + (0).to_bytes(4)
            self.transport.write(frame)

    def over(self, stream):
        self.streams.pop(stream.id, None)
        if self.last is not None and not self.streams:
            self.transport.close()

    def connection_lost(self, _error):
        self.up.open.discard(self)
        for stream in list(self.streams.values()):
            stream.gone()
        self.streams.clear()

    def reset(self):
        self.transport.abort()


class Stream(Answers):
    """One request. Its data waits in `pending` for the peer's window."""

    old = False

    def __init__(self, conn, number, headers):
        self.conn, self.id, self.headers = conn, number, headers
        self.up = conn.up
        self.body = bytearray()
        self.pending = bytearray()
        self.closing = False
        self.ended = asyncio.get_running_loop().create_future()
        self.writable = asyncio.Event()
        self.writable.set()

    def gone(self):
        if not self.ended.done():
            self.ended.set_result(now())

    async def serve(self):
        fault = self.up.fault or {}
        credential = self.headers.get(b"authorization", b"").removeprefix(b"Bearer ").decode()
        record = {"up": self.up.name, "t": now(), "cred": credential, "stage": "body", "bytes": len(self.body), "tokens": 0}
        self.up.log.append(record)
        try:
            if self.headers[b":method"] != b"POST":
                record["probe"] = True
                await self.health(fault)
                return
            body = bytes(self.body)
            found, model = wire.ID_IN_BODY.search(body), wire.MODEL_IN_BODY.search(body)
            if found:
                record["id"] = found[1].decode()
            record["model"] = model[1].decode() if model else ""
            stream = b'"stream": true' in body or b'"stream":true' in body
            # Both faults are the connection's: what is said is as good as ever.
            await self.answer({} if fault.get("kind") in ("goaway", "streams", "freeze") else fault, record, stream)
            if self.ended.done() and "end" not in record:
                record["end"], record["gone"] = "abort", self.ended.result()
        except h2.exceptions.ProtocolError as error:
            print(f"mock {self.up.name}: {error!r}", file=sys.stderr, flush=True)
            record.setdefault("end", "abort")

    # --- what is said -----------------------------------------------------------------------------

    def head(self, code, kind, headers=()):
        said = [(b":status", str(code).encode()), (b"content-type", kind)]
        said += [tuple(part.strip().encode() for part in line.split(":", 1)) for line in headers]
        self.conn.h2.send_headers(self.id, said)

    def whole(self, code, body, headers=()):
        if not self.ended.done():
            self.head(code, b"application/json", headers)
            self.send(body)
            self.finish()
        return True

    def begin(self):
        self.head(200, b"text/event-stream")
        self.conn.flush()

    def send(self, data):
        self.pending += data
        self.pump()

    def finish(self):
        self.closing = True
        self.pump()
        return True

    def pump(self):
        if self.ended.done():
            return
        while self.pending:
            room = min(self.conn.h2.local_flow_control_window(self.id), self.conn.h2.max_outbound_frame_size, len(self.pending))
            if room <= 0:
                break
            self.conn.h2.send_data(self.id, bytes(self.pending[:room]))
            del self.pending[:room]
        if self.closing and not self.pending:
            self.conn.h2.end_stream(self.id)
            self.closing = False
            self.conn.flush()
            self.conn.over(self)
        self.conn.flush()

    def reset(self):
        self.conn.h2.reset_stream(self.id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        self.conn.flush()
