"""nginx, the open-source one: passive checks only."""

import os
import signal

from certificates import NAME as SERVER

from .base import DEB, System, free_ports, said


class Nginx(System):
    name = "nginx"
    cannot = {
        "keys": "it has no credentials of upstreams", "http2": "it speaks HTTP/1.1 to upstreams",
        "secrets": "it has no credentials of upstreams", "models": "it does not know of models",
    }
    children = True
    binary = DEB / "usr" / "sbin" / "nginx"

    @classmethod
    def version(cls):
        return said(str(cls.binary), "-v").removeprefix("nginx version: ").replace("/", " ")

    def prepare(self):
        w, folder = self.wanted, self.folder
        also = ""
        if w.callers_http2:
            # A port speaks the one or the other.
            [self.h2_port] = free_ports(1)
            also = f"\n        listen 127.0.0.1:{self.h2_port} http2;"
        tuned = " max_fails=3 fail_timeout=10s" if self.tuned else ""
        servers = " ".join(
            f"server {self.host(name)}:{self.ports[name]}{f' weight={w.weights[name]}' if name in w.weights else ''}{tuned};"
            for name in w.upstreams
        )
        upstream, location = "", ""
        if self.tuned:
            upstream = "zone up 64k; keepalive 64;"
            if w.latency:
                upstream = "zone up 64k; least_conn; keepalive 64;"
            replay = " non_idempotent" if w.replay else ""
            location = f"""
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504 http_429{replay};
            proxy_next_upstream_tries 3;
            proxy_connect_timeout {w.connect * 1000:.0f}ms;
            proxy_read_timeout {w.idle * 1000:.0f}ms;"""
            if w.tls:
                location += f"""
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {w.tls}/ca.crt;
            proxy_ssl_server_name on;
            proxy_ssl_name {SERVER};"""
        scheme = "https" if w.tls else "http"
        temporary = "\n    ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # As root, its workers would be somebody who may not write into our folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        text = f"""\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_max_body_size 64m;
    {temporary}
    upstream bench {{ {servers} {upstream} }}
    server {{
        listen 127.0.0.1:{self.port};{also}
        location / {{
            proxy_pass {scheme}://bench;{location}
        }}
    }}
}}
"""
        path = self.live = self.write("conf/nginx.conf", text)
        return text, [self.binary, "-p", folder, "-c", path, "-e", folder / "error.log"], {}

    def hash(self, text):
        return super().hash(text.replace(str(self.h2_port), "_"))

    def nudge(self):
        self.process.child.send_signal(signal.SIGHUP)

    def refused(self):
        counts = dict.fromkeys(self.wanted.upstreams, 0)
        with open(self.folder / "error.log", errors="replace") as log:
            for line in log:
                if "connect() failed" in line or "SSL_do_handshake() failed" in line or "upstream SSL certificate" in line:
                    for name in counts:
                        counts[name] += f":{self.ports[name]}/" in line
        return counts
