"""What is compared: each knows how to start itself in front of the mock's ports."""

from processes import Process, free_ports, wait_for_port


class Direct:
    """No gateway: what the two ends cost by themselves."""

    name = "direct"
    process = None

    def __init__(self, mock_ports, folder):
        self.port = mock_ports[0]

    def start(self):
        pass

    def stop(self):
        pass


class Nginx:
    """A plain reverse proxy: keep-alive on both sides, nothing buffered, nothing logged."""

    name = "nginx"

    def __init__(self, mock_ports, folder):
        [self.port] = free_ports(1)
        self.folder = folder / self.name
        self.folder.mkdir()
        self.config = self.folder / "nginx.conf"
        servers = " ".join(f"server 127.0.0.1:{port};" for port in mock_ports)
        self.config.write_text(f"""\
daemon off;
worker_processes 1;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/fastcgi;
    uwsgi_temp_path {self.folder}/uwsgi;
    scgi_temp_path {self.folder}/scgi;
    upstream mock {{ {servers} keepalive 256; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{self.port};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""")

    def start(self):
        argv = ["nginx", "-p", self.folder, "-c", self.config, "-e", self.folder / "error.log"]
        self.process = Process(argv, core=0, log=self.folder / "log", children=True)
        wait_for_port(self.port, self.process)

    def stop(self):
        self.process.stop()


class Mainstay:
    """The release build with the whole engine on: breakers, keys, budgets, metrics, retries."""

    name = "mainstay"
    process = None

    def __init__(self, mock_ports, folder, binary="mainstay"):
        self.port, self.admin = free_ports(2)
        self.folder = folder / self.name
        self.folder.mkdir()
        self.binary = binary
        self.config = self.folder / "routing.yaml"
        upstreams = "".join(
            f'  mock-{n}: {{provider: custom, dialect: openai, base_url: "http://127.0.0.1:{port}/v1", '
            f'credentials: ["${{BENCH_KEY}}"]}}\n'
            for n, port in enumerate(mock_ports)
        )
        channels = "".join(f"      - {{upstream: mock-{n}}}\n" for n in range(len(mock_ports)))
        # 1,000 streams at once must fit where there is one upstream only.
        self.config.write_text(f"""\
version: 1
server:
  listen: 127.0.0.1:{self.port}
  admin: 127.0.0.1:{self.admin}
  drain: {{pre_stop_delay: 0s, timeout: 1s, close_spread: 0s}}
upstreams:
{upstreams}\
routes:
  - model: bench
    channels:
{channels}\
defaults:
  max_inflight: 4096
  pool: {{max_connections: 4096}}
""")

    def start(self):
        argv = [self.binary, "--config", self.config]
        self.process = Process(argv, core=0, log=self.folder / "log", env={"BENCH_KEY": "sk-bench-0"})
        wait_for_port(self.port, self.process)

    def stop(self):
        self.process.stop()
