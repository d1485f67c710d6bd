"""Envoy, statically configured. Its panic threshold of 50 % is left alone in D and set to 0 in T."""

import json
import urllib.request

from certificates import NAME as SERVER

from .base import HOME, System, said


class Envoy(System):
    name = "envoy"
    cannot = {
        "keys": "it has no credentials of upstreams", "secrets": "its configuration here has none",
        "models": "it does not know of models", "clock": "it does not start with the library that moves clocks",
    }
    binary = HOME / "envoy/lib/python3.11/site-packages/envoy/_bin/envoy"
    start_seconds = 30

    @classmethod
    def version(cls):
        return "envoy " + said(str(cls.binary), "--version").split("version: ")[-1].split("/")[1]

    def prepare(self):
        w = self.wanted
        endpoints = [
            {"endpoint": {"address": address(self.ports[name], self.host(name)), "hostname": name}} for name in w.upstreams
        ]
        for endpoint in endpoints:
            if weight := w.weights.get(endpoint["endpoint"]["hostname"]):
                endpoint["load_balancing_weight"] = weight
        cluster = {
            "name": "bench",
            "type": "STRICT_DNS" if w.names else "STATIC",
            "load_assignment": {"cluster_name": "bench", "endpoints": [{"lb_endpoints": endpoints}]},
        }
        if w.http2:
            cluster["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }}
        if w.tls:
            cluster["transport_socket"] = self.secured()
        route = {"cluster": "bench"}
        if self.tuned:
            on = "5xx,connect-failure,refused-stream,reset,retriable-status-codes" if w.replay else "connect-failure,refused-stream"
            route |= {
                "timeout": "0s",
                "idle_timeout": seconds(w.idle),
                "retry_policy": {
                    "retry_on": on,
                    "retriable_status_codes": [429, 529],
                    "num_retries": 2,
                    # Ends with the response's headers; streams may take as long as they like.
                    "per_try_timeout": seconds(w.headers),
                    "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts",
                        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")],
                    "host_selection_retry_max_attempts": 3,
                },
            }
            cluster |= {
                "connect_timeout": seconds(w.connect),
                "circuit_breakers": {"thresholds": [
                    {"retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 3}}]},
                "outlier_detection": {
                    "consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "5s", "max_ejection_time": "300s",
                    "max_ejection_time_jitter": "2s", "max_ejection_percent": 67, "always_eject_one_host": True,
                },
                "health_checks": [{
                    "timeout": "2s", "interval": "2s", "unhealthy_threshold": 3, "healthy_threshold": 2,
                    "http_health_check": {"path": "/v1/models"} | ({"codec_client_type": "HTTP2"} if w.http2 else {}),
                }],
                "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
                "round_robin_lb_config": {"slow_start_config": {"slow_start_window": "30s"}},
            }
            if w.latency:
                cluster["lb_policy"] = "LEAST_REQUEST"
                cluster.pop("round_robin_lb_config")
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "callers",
            "route_config": {"virtual_hosts": [
                {"name": "bench", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]},
            "http_filters": [extension("envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router")],
        }
        listener = {"address": address(self.port), "filter_chains": [
            {"filters": [{"name": "http", "typed_config": manager}]}]}
        tree = {
            "admin": {"address": address(self.admin)},
            "static_resources": {"listeners": [listener], "clusters": [cluster]},
        }
        if w.reloads:
            # Its way to change while it runs: clusters from a file that is replaced.
            named = {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", **cluster}
            self.live = self.write("conf/clusters.json", json.dumps({"resources": [named]}, indent=1))
            tree["node"] = {"id": "bench", "cluster": "bench"}
            tree["static_resources"].pop("clusters")
            # The file's are not known yet when the routes are read.
            manager["route_config"]["validate_clusters"] = False
            tree["dynamic_resources"] = {"cds_config": {"path_config_source": {"path": str(self.live)}}}
        text = json.dumps(tree, indent=1)
        path = self.write("envoy.json", text)
        return text, [self.binary, "-c", path, "--disable-hot-restart", "--concurrency", "1", "-l", "error"], {}

    def secured(self):
        """D is what its documentation begins with, which looks at no certificate."""
        common = {}
        if self.tuned:
            common = {"validation_context": {
                "trusted_ca": {"filename": f"{self.wanted.tls}/ca.crt"},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": SERVER}}],
            }}
        context = {"sni": SERVER, "common_tls_context": common}
        kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": f"type.googleapis.com/{kind}", **context}}

    def cluster(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/clusters?format=json", timeout=5) as answer:
            [bench] = json.load(answer)["cluster_statuses"]
        for host in bench["host_statuses"]:
            yield host["hostname"], {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}

    def refused(self):
        return {name: stats["cx_connect_fail"] for name, stats in self.cluster()}


def address(port, host="127.0.0.1"):
    return {"socket_address": {"address": host, "port_value": port}}


def seconds(value):
    return f"{value:.3f}s"


def extension(name, kind):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}"}}
