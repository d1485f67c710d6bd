"""One scriptable upstream: its socket, which can refuse or fall silent, its present fault, its capacity.

What a connection says is `mock.py`'s.
"""

import asyncio
import socket
import time

now = time.monotonic


class Upstream:
    def __init__(self, name, port, log, connection):
        self.name, self.port, self.log, self.connection = name, port, log, connection
        self.fault = None
        self.since = 0.0
        self.count = 0
        self.credit, self.credited = 0.0, now()
        self.free_at = 0.0
        self.open = set()
        self.listener = self.accepting = None
        self.fillers = []

    # --- the socket -------------------------------------------------------------------------------

    def bind(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setblocking(False)
        self.listener.bind(("127.0.0.1", self.port))

    def listen(self):
        self.listener.listen(1024)
        self.accepting = asyncio.create_task(self.accept())

    async def accept(self):
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(self.listener)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(lambda: self.connection(self), peer)

    def shut(self):
        if self.accepting:
            self.accepting.cancel()
            self.accepting = None
        self.listener.close()
        for filler in self.fillers:
            filler.close()
        self.fillers = []

    def set(self, fault):
        before, kind = (self.fault or {}).get("kind"), (fault or {}).get("kind")
        self.fault, self.since, self.credit, self.credited = fault, now(), 0.0, now()
        if before in ("refuse", "blackhole"):
            self.shut()
            self.bind()
            self.listen()
        if kind == "refuse":
            # Bound and not listening: the port stays ours, and a SYN is answered with a reset.
            self.shut()
            self.bind()
            self.reset_all()
        elif kind == "blackhole":
            # A listener with a full backlog: a SYN gets no answer. Those that are connected hear nothing more.
            self.shut()
            self.bind()
            self.listener.listen(0)
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", self.port))
                self.fillers.append(filler)
        if kind in ("blackhole", "freeze"):
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
