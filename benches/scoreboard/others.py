"""Callers beside the load's: who uploads, who makes up names of models, and who means harm (frames of `frames.py`).

Takes its orders as one JSON argument, prints nothing, writes a line per request of the first two kinds, and
a last one with what the third did. Ends by itself.
"""

import asyncio
import json
import os
import random
import resource
import select
import socket
import sys
import time

import frames
import wire

now = time.monotonic
PATIENCE = 30.0


class Others:
    def __init__(self, orders):
        self.o = orders
        self.begin, self.end = orders["start"] + orders["begin"], orders["start"] + orders["end"]
        self.lines = []
        self.did = {}

    async def run(self):
        await asyncio.sleep(max(0.0, self.begin - now()))
        await {"uploads": self.uploads, "bogus": self.bogus, "hostile": self.hostile}[self.o["kind"]]()
        with open(self.o["out"], "w") as file:
            for line in [*self.lines, {"did": self.did, "cpu": sum(os.times()[:2])}]:
                file.write(json.dumps(line) + "\n")

    async def each(self, count, act):
        """So many, evenly until the end, none waiting for another."""
        running = []
        for n in range(count):
            await asyncio.sleep(max(0.0, self.begin + (self.end - self.begin) * n / count - now()))
            running.append(asyncio.create_task(act(n)))
        await asyncio.gather(*running)

    # --- uploads ----------------------------------------------------------------------------------

    async def uploads(self):
        await self.each(self.o["count"], self.upload)

    async def upload(self, n):
        record = {"id": f"u{n:04d}", "due": now(), "status": None}
        self.lines.append(record)
        try:
            record["status"] = await asyncio.to_thread(sent, self.o["port"], n, self.o["size"])
        except (OSError, ValueError, IndexError) as error:
            record["why"] = repr(error)
        record["end"] = now()

    # --- names of models that nobody has ------------------------------------------------------------

    async def bogus(self):
        await self.each(self.o["count"], self.guess)

    async def guess(self, n):
        # Every second one fits a pattern that a route has; that no upstream has it either, the upstream says.
        model = f"{self.o['prefix'] if n % 2 else 'bogus-'}{n:05d}"
        body = wire.ask(f"m{n:05d}", False, 256, model)
        record = {"id": f"m{n:05d}", "due": now(), "status": None}
        self.lines.append(record)
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.o["port"])
                writer.write(
                    f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench.localhost\r\ncontent-type: application/json\r\n"
                    f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
                )
                line = await reader.readline()
                record["status"] = int(line.split()[1]) if line else None
                writer.close()
        except (OSError, TimeoutError, ValueError, IndexError) as error:
            record["why"] = repr(error)
        record["end"] = now()

    # --- harm -------------------------------------------------------------------------------------

    async def hostile(self):
        kinds = [self.flood(kind, made) for kind, made in frames.FLOODS.items()]
        dawdlers = [self.dawdle(n) for n in range(int(self.o["slow"] * self.o["scale"]))]
        await asyncio.gather(*kinds, *dawdlers)

    async def flood(self, kind, made):
        """As many frames a second as asked for, in batches, and again from the start whenever the connection is closed."""
        done = self.did[kind] = {"frames": 0, "connections": 0}
        rate = self.o["rate"] * self.o["scale"]
        while now() < self.end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.o["h2_port"])
                done["connections"] += 1
                # What is said to it is never read: whoever answers has to see to it that this costs nothing.
                writer.transport.pause_reading()
                stream = made(random.Random(self.o["seed"]))
                writer.write(next(stream))
                while now() < self.end and not writer.is_closing():
                    batch = b"".join(next(stream) for _ in range(max(1, int(rate / 50))))
                    done["frames"] += max(1, int(rate / 50))
                    writer.write(batch)
                    async with asyncio.timeout(1.0):
                        await writer.drain()
                    await asyncio.sleep(0.02)
                    # Only a read notices that the other side has closed.
                    writer.transport.resume_reading()
                    await asyncio.sleep(0)
                    writer.transport.pause_reading()
                writer.transport.abort()
            except (OSError, TimeoutError, RuntimeError):
                done["refused"] = done.get("refused", 0) + 1
            await asyncio.sleep(0.1)

    async def dawdle(self, n):
        """Slowloris: a head that never ends, a line in five seconds."""
        done = self.did.setdefault("slow", {"connections": 0})
        await asyncio.sleep(n / max(1, self.o["slow"]) * 2)
        while now() < self.end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.o["port"])
                done["connections"] += 1
                writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench.localhost\r\n")
                while now() < self.end and not reader.at_eof():
                    writer.write(b"x-a: b\r\n")
                    try:
                        async with asyncio.timeout(min(5.0, max(0.1, self.end - now()))):
                            await reader.read(4096)
                    except TimeoutError:
                        pass
                writer.transport.abort()
            except OSError:
                done["refused"] = done.get("refused", 0) + 1
            await asyncio.sleep(1.0)


def sent(port, n, size):
    """The status of the answer, which may come before all is sent. By a plain socket, because what had arrived before a reset can
    still be read from one."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        head = f"POST /upload/{n} HTTP/1.1\r\nhost: bench.localhost\r\nx-test-id: u{n:04d}\r\ncontent-length: {size}\r\n\r\n"
        peer.sendall(head.encode())
        piece, left = bytes(1 << 18), size
        try:
            while left and not select.select([peer], [], [], 0)[0]:
                peer.sendall(piece[:left])
                left -= min(left, len(piece))
        except OSError:
            # The answer is what counts.
            pass
        said = b""
        while b"\r\n" not in said and (part := peer.recv(4096)):
            said += part
    return int(said.split()[1]) if said else None


def main():
    # Thousands of connections at once.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(Others(json.loads(sys.argv[1])).run())


if __name__ == "__main__":
    main()
