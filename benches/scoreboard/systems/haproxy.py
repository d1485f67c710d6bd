"""HAProxy. D has the timeouts of Debian's own haproxy.cfg, without which it warns."""

import csv
import io
import signal
import socket

from certificates import NAME as SERVER

from .base import DEB, LIBRARIES, System, said


class HAProxy(System):
    name = "haproxy"
    cannot = {
        "keys": "it has no credentials of upstreams", "secrets": "it has no credentials of upstreams",
        "models": "it does not know of models",
    }
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
        if w.http2:
            check += " proto h2"
        if w.tls:
            # Required is its own default; the name is looked at only where it is told.
            check += f" ssl ca-file {w.tls}/ca.crt" + (f" sni str({SERVER}) check-sni {SERVER}" if self.tuned else "")
        resolvers = ""
        if w.names and self.tuned:
            resolvers = f"resolvers own\n    nameserver own {w.names}:53\n    hold valid 5s\n    timeout resolve 1s\n"
            check += " resolvers own init-addr libc,none"
        servers = "".join(
            f"    server {name} {self.host(name)}:{self.ports[name]}{f' weight {w.weights[name]}' if name in w.weights else ''}{check}\n"
            for name in w.upstreams
        )
        text = f"""\
global
    stats socket {self.folder}/stats.sock level operator{" expose-fd listeners" if w.reloads and self.tuned else ""}
{glob}{resolvers}defaults
    mode http
    timeout connect {connect}
    timeout client {client}
    timeout server {server}
{defaults}frontend callers
    bind 127.0.0.1:{self.port}
    default_backend bench
backend bench
{backend}{servers}"""
        self.live = self.write("conf/haproxy.cfg", text)
        # Only a master can be told to read its file again.
        return text, [self.binary, "-q", "-W" if w.reloads else "-db", "-f", self.live], LIBRARIES

    @property
    def children(self):
        return self.wanted.reloads

    def nudge(self):
        self.process.child.send_signal(signal.SIGUSR2)

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
