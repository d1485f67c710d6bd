"""One scriptable upstream: its sockets, which can refuse, fall silent, move or fail to shake hands; its present fault; its capacity.

What a connection says is `mock.py`'s.
"""

import asyncio
import socket
import ssl
import time
from pathlib import Path

now = time.monotonic
HANDSHAKE = 10.0
"""Seconds for a handshake, ours."""


class Upstream:
    def __init__(self, name, port, log, connection, certs=None, second=None):
        self.name, self.port, self.log, self.connection = name, port, log, connection
        self.fault = None
        self.since = 0.0
        self.count = 0
        self.credit, self.credited = 0.0, now()
        self.free_at = 0.0
        self.open = set()
        self.listener = self.accepting = None
        self.fillers, self.stalled = [], []
        self.tasks = set()
        self.tls = {kind: context(Path(certs), kind) for kind in ("good", "expired", "name")} if certs else {}
        if second:
            # Where the name will point to: it is there from the beginning, and nobody knows.
            self.tasks.add(asyncio.get_running_loop().create_task(self.accept(self.bound(second, listen=True))))

    # --- the socket -------------------------------------------------------------------------------

    def bound(self, address, listen):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((address, self.port))
        if listen:
            listener.listen(1024)
        return listener

    def bind(self):
        self.listener = self.bound("127.0.0.1", listen=False)

    def listen(self):
        self.listener.listen(1024)
        self.accepting = asyncio.create_task(self.accept(self.listener))

    async def accept(self, listener):
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(listener)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            how = self.fault["how"] if (self.fault or {}).get("kind") == "tls" else "good"
            if how == "stall":
                self.stalled.append(peer)
                continue
            task = loop.create_task(self.greet(peer, how))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def greet(self, peer, how):
        secured = {"ssl": self.tls[how], "ssl_handshake_timeout": HANDSHAKE} if self.tls else {}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self.connection(self), peer, **secured)
        except (OSError, ssl.SSLError):
            # Who looks at certificates hangs up; that is what is asked for.
            peer.close()

    def shut(self):
        if self.accepting:
            self.accepting.cancel()
            self.accepting = None
        self.listener.close()
        for other in self.fillers + self.stalled:
            other.close()
        self.fillers, self.stalled = [], []

    def set(self, fault):
        before, kind = (self.fault or {}).get("kind"), (fault or {}).get("kind")
        self.fault, self.since, self.credit, self.credited = fault, now(), 0.0, now()
        if before in ("refuse", "blackhole", "tls"):
            self.shut()
            self.bind()
            self.listen()
        if kind == "refuse":
            # Bound and not listening: the port stays ours, and a SYN is answered with a reset.
            self.shut()
            self.bind()
            self.reset_all()
        elif kind in ("blackhole", "move"):
            # A listener with a full backlog: a SYN gets no answer. Those that are connected hear nothing more.
            self.shut()
            self.bind()
            self.listener.listen(0)
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", self.port))
                self.fillers.append(filler)
        elif kind == "tls":
            self.reset_all()
        if "streams" in (before, kind):
            for connection in self.open:
                connection.allow((fault or {}).get("limit"))
        if kind in ("blackhole", "freeze", "move"):
            for connection in self.open:
                connection.frozen = True

    def reset_all(self):
        for connection in list(self.open):
            connection.reset()

    # --- capacity ---------------------------------------------------------------------------------

    def admits(self, fault):
        """A token bucket of `rps`; with `ramp`, it grows from `rps` to `to` within so many seconds."""
        rate = fault["rps"]
        if "ramp" in fault:
            done = min(1.0, (now() - self.since) / fault["ramp"])
            rate += (fault["to"] - rate) * done
        at = now()
        self.credit = min(max(1.0, rate * 0.1), self.credit + rate * (at - self.credited))
        self.credited = at
        if self.credit < 1.0:
            return False
        self.credit -= 1.0
        return True


def context(folder, kind):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / f"{kind}.crt", folder / f"{kind}.key")
    return made
