"""What callers of OpenAI's two dialects get, from an upstream of every dialect, against OpenAI's OpenAPI document.

Whole answers and each event of a stream; answers to vectors, pictures, counts, models; and errors. Asked by hand, for an
SDK would hide what it does not know. Any disagreement that `../openapi.py` does not list fails, and so does one that it
lists and nothing needs.

    MAINSTAY_URL=... UPSTREAMS_PORT=... python test_openapi.py
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import openapi
from callers import SCHEMA, Chat, Responses
from test_pairs import TASKS, UPSTREAMS

HOST = urllib.parse.urlsplit(os.environ["MAINSTAY_URL"]).netloc
FORM = {"name": "person", "schema": SCHEMA, "strict": True}
CHAT = {"messages": [{"role": "user", "content": "hello"}]}
#: Scenario of the upstreams -> members of the request.
ASKED = {
    "openai": {
        "text": CHAT,
        "tools": {**CHAT, "tools": Chat.TOOLS},
        "one-tool": {**CHAT, "tools": Chat.TOOLS, "parallel_tool_calls": False},
        "reasoning": {**CHAT, "reasoning_effort": "medium"},
        "reasoning-tools": {**CHAT, "tools": Chat.TOOLS, "reasoning_effort": "medium"},
        "structured": {**CHAT, "response_format": {"type": "json_schema", "json_schema": FORM}},
    },
    "responses": {
        "text": {"input": "hello", "instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5},
        "tools": {"input": "hello", "tools": Responses.TOOLS, "tool_choice": "auto"},
        "one-tool": {"input": "hello", "tools": Responses.TOOLS, "tool_choice": {"type": "function", "name": "get_weather"}},
        "reasoning": {"input": "hello", "reasoning": {"effort": "medium", "summary": "auto"}, "store": False},
        "reasoning-tools": {"input": "hello", "tools": Responses.TOOLS, "include": ["reasoning.encrypted_content"]},
        "structured": {"input": "hello", "text": {"format": {"type": "json_schema", **FORM}}},
    },
}
PLAIN = {"openai": CHAT, "responses": {"input": "hello"}}
PATHS = {"openai": "/v1/chat/completions", "responses": "/v1/responses"}
WHOLE = {"openai": "CreateChatCompletionResponse", "responses": "Response"}
#: What ends without an error, and what does not.
ENDS, ERRORS = ("length", "filter"), ("refused", "limited", "overloaded")


def ask(method, path, body=None):
    """Status, and what was said, for as long as there was anything."""
    connection = http.client.HTTPConnection(HOST, timeout=60)
    headers = {"content-type": "application/json", "authorization": "Bearer callers-key"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    try:
        said = response.read()
    except http.client.IncompleteRead as broken:
        said = broken.partial
    connection.close()
    return response.status, said


def data(said):
    """The events of a stream."""
    for line in said.decode().splitlines():
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            yield json.loads(line[5:])


class Round:
    """One caller's dialect and one upstream."""

    def __init__(self, dialect, upstream):
        self.dialect, self.upstream, self.judge = dialect, upstream, openapi.Judge()

    def all(self):
        asked = ASKED[self.dialect] | {name: PLAIN[self.dialect] for name in (*ENDS, *ERRORS)}
        for scenario, members in asked.items():
            body = {"model": f"{self.upstream}/{self.dialect}-document.{scenario}", **members}
            self.whole(scenario, body)
            more = {"stream_options": {"include_usage": True}} if self.dialect == "openai" else {}
            self.stream(scenario, {**body, "stream": True, **more})
        cut = {"model": f"{self.upstream}/{self.dialect}-document.cut", **PLAIN[self.dialect], "stream": True}
        self.stream("cut", cut)
        for name in ("embed", "images") if self.dialect == "openai" else ("count",):
            if self.upstream in TASKS[name][1]:
                getattr(self, name)()
        return self.judge

    def where(self, what):
        return f"{self.dialect}/{self.upstream}/{what}"

    def whole(self, scenario, body):
        status, said = ask("POST", PATHS[self.dialect], body)
        self.status(scenario, status)
        name = "ErrorResponse" if scenario in ERRORS else WHOLE[self.dialect]
        self.judge.judge(name, json.loads(said), self.where(scenario))

    def status(self, scenario, status):
        if (status == 200) == (scenario in ERRORS):
            self.judge.wrong.append(f"{self.where(scenario)}: status {status}")

    def stream(self, scenario, body):
        status, said = ask("POST", PATHS[self.dialect], body)
        where = self.where(f"{scenario}, streamed")
        self.status(scenario, status)
        if status != 200:
            return self.judge.judge("ErrorResponse", json.loads(said), where)
        events = list(data(said))
        if len(events) < 2:
            self.judge.wrong.append(f"{where}: only {len(events)} events")
        for event in events:
            if self.dialect == "responses":
                self.judge.response_event(event, where)
            else:
                self.judge.judge("ErrorResponse" if "error" in event else "CreateChatCompletionStreamResponse", event, where)
        return None

    def task(self, name, path, schema, **members):
        status, said = ask("POST", path, {"model": f"{self.upstream}/{self.dialect}-document.{name}", **members})
        self.status(name, status)
        self.judge.judge(schema, json.loads(said), self.where(name))

    def embed(self):
        self.task("vectors", "/v1/embeddings", "CreateEmbeddingResponse", input=["one", "two"], encoding_format="float")

    def images(self):
        self.task("picture", "/v1/images/generations", "ImagesResponse", prompt="a dot")

    def count(self):
        self.task("count", "/v1/responses/input_tokens", "TokenCountsResource", input="hello")


def of_no_upstream():
    """What the gateway says by itself."""
    judge = openapi.Judge()
    models = json.loads(ask("GET", "/v1/models")[1])
    judge.judge("ListModelsResponse", models, "models")
    if [model["id"] for model in models["data"]] != ["listed"]:
        judge.wrong.append(f"models: {models}")
    judge.judge("Model", json.loads(ask("GET", "/v1/models/listed")[1]), "model")
    for path in PATHS.values():
        for body in ({}, {"model": "nobody's"}, {"model": 1}, {"model": "openai/document.text", "messages": 1, "input": 1}):
            status, said = ask("POST", path, body)
            if status not in (400, 404):
                judge.wrong.append(f"{path} with {body}: status {status}")
            judge.judge("ErrorResponse", json.loads(said), f"{path} with {body}")
    status, said = ask("GET", "/v1/models/nobody's")
    judge.judge("ErrorResponse", json.loads(said), "a model that is not there")
    return judge


def main():
    openapi.document()
    total = of_no_upstream()
    rounds = [Round(dialect, upstream) for dialect in PATHS for upstream in UPSTREAMS]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for judge in pool.map(Round.all, rounds):
            total.wrong += judge.wrong
            total.needed |= judge.needed
            for name, count in judge.valid.items():
                total.valid[name] = total.valid.get(name, 0) + count
    wrong = total.wrong + total.unneeded()
    version = openapi.document()["info"]["version"]
    print(f"OpenAI's document {version}: {sum(total.valid.values())} answers and events are as it says, {len(wrong)} are not")
    print("; ".join(f"{count} {name}" for name, count in sorted(total.valid.items())))
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
