"""LiteLLM's proxy, without a database. It gets the streamed profiles only."""

import json

from .base import HOME, System


class LiteLLM(System):
    name = "litellm"
    cannot = {
        "H": "it is too slow for the profile", "http2": "it speaks HTTP/1.1 to upstreams",
        "reloads": "it reads its configuration once", "secrets": "it reads its configuration once",
        "hostile": "its server speaks no HTTP/2",
    }
    binary = HOME / "litellm" / "bin" / "litellm"
    start_seconds = 300

    @classmethod
    def version(cls):
        [found] = (HOME / "litellm" / "lib").glob("python3*/site-packages/litellm-[0-9]*.dist-info")
        return "litellm " + found.name.split("-")[1].removesuffix(".dist")

    def prepare(self):
        w = self.wanted
        models = []
        for model in w.models:
            for name in w.upstreams:
                # A second credential is a second deployment here.
                for key in ["ka1", "ka2"] if w.keys and name == "A" else [f"k{name.lower()}" if name != "A" else "ka1"]:
                    params = {"model": f"openai/{model}", "api_base": f"http://{self.host(name)}:{self.ports[name]}/v1", "api_key": key}
                    if self.tuned:
                        params |= {"stream_timeout": w.headers, "timeout": w.idle}
                    models.append({"model_name": model, "litellm_params": params})
        config = {"model_list": models}
        if self.tuned:
            config["router_settings"] = {"num_retries": 2, "allowed_fails": 3, "cooldown_time": 10, "retry_after": 0}
            if w.latency:
                config["router_settings"]["routing_strategy"] = "latency-based-routing"
        text = json.dumps(config, indent=1)
        argv = [self.binary, "--config", self.write("config.yaml", text), "--host", "127.0.0.1", "--port", self.port]
        # No table of prices from elsewhere, no telemetry: nothing leaves this machine.
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
        return text, [*argv, "--telemetry", "False"], env
