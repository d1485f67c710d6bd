"""Answers of an upstream that means harm, over HTTP/1.1. Each goes on until the other side hangs up, or to a bound.

No gateway has to make sense of any; it has to stay alive, keep its memory, and ask somebody else.
"""

import zlib

KINDS = ("head", "interim", "chunks", "line", "gzip", "comments")
"""In turn, so that every system meets all of them in the same order."""

PIECE = 1 << 16
HEAD = 100 << 20
LINE = 1 << 30
INFLATED = 1 << 30
PACE = 0.002
"""Seconds between pieces: some 30 MB/s. What is measured is a bound, not a bandwidth."""

START = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = START + b"transfer-encoding: chunked\r\n\r\n"


async def say(conn, how):
    await {"head": head, "interim": interim, "chunks": chunks, "line": line, "gzip": gzip, "comments": comments}[how](conn)


async def many(conn, piece, times, pace=PACE):
    for _ in range(times):
        if not await conn.room():
            return
        conn.raw(piece)
        if not await conn.pause(pace):
            return


async def head(conn):
    """A response's head of 100 MB."""
    conn.raw(START)
    line = b"x-padding: " + b"p" * 8000 + b"\r\n"
    await many(conn, line * (PIECE // len(line)), HEAD // PIECE)


async def interim(conn):
    """Interim responses without end."""
    await many(conn, b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n" * 8, 1 << 30, 0.01)


async def chunks(conn):
    """A chunk's size that is no number, and one that overflows."""
    conn.raw(CHUNKED + b'10\r\ndata: {"choices"\r\nFFFFFFFFFFFFFFFF1\r\n' + b"x" * 4096 + b"\r\n-5zz\r\n")
    await conn.forever()


async def line(conn):
    """A line of an event stream that is 1 GB long."""
    conn.raw(CHUNKED + b"6\r\ndata: \r\n")
    await many(conn, b"%x\r\n%b\r\n" % (PIECE, b"a" * PIECE), LINE // PIECE)


async def gzip(conn):
    """1 GB of nothing, deflated to 1 MB, that nobody asked to be encoded."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    conn.raw(START + b"content-encoding: gzip\r\nconnection: close\r\n\r\n" + b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
    # After a full flush nothing refers back, so a block can be said again.
    await many(conn, block, INFLATED >> 20)


async def comments(conn):
    """Comments, and never an event."""
    conn.raw(CHUNKED)
    await many(conn, b"f\r\n: still there\n\n\r\n" * 4, 1 << 30, 0.02)
