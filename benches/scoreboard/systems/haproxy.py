"""HAProxy. D has the timeouts of Debian's own haproxy.cfg, without which it warns."""

import csv
import io
import socket

from .base import DEB, LIBRARIES, System, said


class HAProxy(System):
    name = "haproxy"
    cannot = frozenset({"keys"})
    binary = DEB / "usr" / "sbin" / "haproxy"

    @classmethod
    def version(cls):
        return said(str(cls.binary), "-v", env=LIBRARIES).split(" - ")[0]

    def prepare(self):
        w = self.wanted
        glob, defaults, check, backend = "", "", "", ""
        if self.tuned:
            glob = "    tune.bufsize 131072\n"
            # 2.6 cannot be told to retry a 429.
            on = "all-retryable-errors" if w.replay else "conn-failure"
            defaults = f"    option redispatch 1\n    retries 2\n    retry-on {on}\n"
            backend = "    option httpchk GET /v1/models\n"
            check = " check inter 2s rise 2 fall 3 observe layer7 error-limit 5 on-error mark-down slowstart 30s"
            if w.latency:
                backend += "    balance leastconn\n"
            timeouts = (w.connect, w.idle, w.headers if w.headers > w.idle else w.idle)
        else:
            timeouts = (5, 50, 50)
        connect, client, server = (f"{seconds * 1000:.0f}ms" for seconds in timeouts)
        servers = "".join(f"    server {name} 127.0.0.1:{self.ports[name]}{check}\n" for name in w.upstreams)
        text = f"""\
global
    stats socket {self.folder}/stats.sock level operator
{glob}defaults
    mode http
    timeout connect {connect}
    timeout client {client}
    timeout server {server}
{defaults}frontend callers
    bind 127.0.0.1:{self.port}
    default_backend bench
backend bench
{backend}{servers}"""
        path = self.write("haproxy.cfg", text)
        return text, [self.binary, "-q", "-db", "-f", path], LIBRARIES

    def stats(self, column):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(5)
            peer.connect(f"{self.folder}/stats.sock")
            peer.sendall(b"show stat\n")
            data = b""
            while part := peer.recv(65536):
                data += part
        rows = csv.DictReader(io.StringIO(data.decode().removeprefix("# ")))
        known = self.wanted.upstreams
        return {row["svname"]: int(row[column] or 0) for row in rows if row["pxname"] == "bench" and row["svname"] in known}

    def refused(self):
        return self.stats("econ")

    def transitions(self):
        return self.stats("chkdown") if self.tuned else None
