"""The name server of a scenario in which a name moves: A records of `NAME.bench.test`, in UDP, kept for 5 s.

It listens on an address of the loopback network that is its own, on port 53, because a resolver's
configuration has no place for another port.
"""

import asyncio
import socket
import struct

DOMAIN = "bench.test"
TTL = 5
A = 1


class Names(asyncio.DatagramProtocol):
    def __init__(self, records):
        self.records = records
        self.asked = 0

    @classmethod
    async def serve(cls, address, names):
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            lambda: cls({name.lower(): "127.0.0.1" for name in names}), local_addr=(address, 53)
        )
        return protocol

    def point(self, name, address):
        self.records[name.lower()] = address

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        said = answer(data, self.records)
        if said:
            self.asked += 1
            self.transport.sendto(said, peer)


def answer(query, records):
    """None for what is no question. Other types than A have no records, other names do not exist."""
    if len(query) < 12 or query[2] & 0x80:
        return None
    labels, at = [], 12
    while at < len(query) and (length := query[at]):
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    if at + 5 > len(query):
        return None
    kind, _ = struct.unpack(">HH", query[at + 1 : at + 5])
    name, _, domain = ".".join(labels).partition(".")
    found = records.get(name) if domain == DOMAIN else None
    rdata = socket.inet_aton(found) if found and kind == A else b""
    # An answer, authoritative, recursion available; 3 is "no such name".
    flags = 0x8480 | (query[2] & 1) << 8 | (0 if found else 3)
    head = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if rdata else 0, 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", A, 1, TTL, len(rdata)) + rdata if rdata else b""
    return head + query[12 : at + 5] + record
