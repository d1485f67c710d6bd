"""What Claude Code and Codex send, to an upstream of every dialect; what they need to go on has to come back.

The requests have the shape and the headers that these agents send, written by hand: the beta lists, a dozen
tools, cache marks, reasoning that comes back sealed, tools with a grammar. Standard library only.

    MAINSTAY_URL=... UPSTREAMS_PORT=... python agents.py [--matrix FILE] [--only AGENT/UPSTREAM/FEATURE]
"""

import argparse
import concurrent.futures
import json
import os
import sys
import traceback
import urllib.error
import urllib.request

from upstreams import AGENT_CALLS, IN, OUT, PATCH, TEXT

URL = os.environ["MAINSTAY_URL"]
UPSTREAMS = ["openai", "responses", "anthropic", "gemini", "cohere", "bedrock", "ollama"]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SESSION = "5e0c5c2c-4f9c-4d67-9a4b-6a1f3f1d8f10"
THOUGHT = "Let me think."


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


def big_schema(name):
    """As agents' tools have them: nested, described at length, with members that some vendors do not know."""
    item = {
        "type": "object",
        "properties": {
            "content": {"type": "string", "minLength": 1, "description": f"What {name} is to do. " * 30},
            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
            "offset": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        },
        "required": ["content", "status"],
        "additionalProperties": False,
    }
    properties = {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1}, "path": {"type": "string", "format": "uri"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "$defs": {"item": item},
        "required": ["items"],
        "additionalProperties": False,
    }


class Agent:
    """One agent at one upstream."""

    name, path, headers = "", "", {}
    #: What can be said in its own dialect only, so what has to be named as left out.
    own = ""

    def __init__(self, upstream):
        self.upstream = upstream
        self.tag = f"agent-{self.name}"

    def post(self, scenario, body):
        body = {"model": f"{self.upstream}/{self.tag}.{scenario}", **body}
        headers = {"content-type": "application/json", **self.headers}
        request = urllib.request.Request(URL + self.path, json.dumps(body).encode(), headers)
        try:
            response = OPENER.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.code}: {error.read().decode()}") from None
        with response:
            self.left_out = response.headers.get("x-mainstay-dropped") or ""
            return response.read().decode()

    def events(self, scenario, body):
        """`(event, data)` of each event of a stream."""
        events = []
        for block in self.post(scenario, {**body, "stream": True}).split("\n\n"):
            lines = [line.split(":", 1) for line in block.split("\n") if line and not line.startswith(":")]
            if lines:
                said = {key: value.removeprefix(" ") for key, value in lines}
                events.append((said["event"], json.loads(said["data"])))
                same(said["event"], events[-1][1]["type"], "event's name")
        return events

    def sent(self):
        with OPENER.open(f"http://127.0.0.1:{os.environ['UPSTREAMS_PORT']}/seen?{self.tag}", timeout=10) as response:
            return json.loads(response.read())[-1]

    def arrived(self, *words):
        sent = json.dumps(self.sent()["body"], ensure_ascii=False)
        for word in words:
            check(word in sent, f"{word!r} is not in {sent}")

    def dropped(self):
        """What the upstream cannot be told is named, and only where it is so."""
        self.turn("text")
        mine = self.upstream == self.own
        named = [name.strip() for name in self.left_out.split(",") if name.strip()]
        if mine:
            same(named, [], "left out")
        else:
            for name in self.foreign:
                check(any(name in one for one in named), f"{name} is not among what was left out: {named}")


class ClaudeCode(Agent):
    name, own, path = "claude-code", "anthropic", "/anthropic/v1/messages?beta=true"
    foreign = ["context_management"]
    features = ["text", "tools", "results", "failed", "whole", "dropped"]
    headers = {
        "accept": "application/json",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05,effort-2025-11-24",
        "anthropic-dangerous-direct-browser-access": "true",
        "authorization": "Bearer callers-key",
        "user-agent": "claude-cli/2.1.50 (external, cli)",
        "x-app": "cli",
        "x-claude-code-session-id": SESSION,
        "x-stainless-arch": "x64",
        "x-stainless-lang": "js",
        "x-stainless-os": "Linux",
        "x-stainless-package-version": "1.11.0",
        "x-stainless-retry-count": "0",
        "x-stainless-runtime": "node",
        "x-stainless-runtime-version": "v24.3.0",
        "x-stainless-timeout": "600",
    }
    MARK = {"cache_control": {"type": "ephemeral"}}
    NAMES = "shell update_plan Read Edit Write Glob Grep WebFetch TodoWrite Task NotebookEdit mcp__github__search".split()

    def body(self, messages):
        tools = [{"name": name, "description": f"{name}: use it well. " * 40, "input_schema": big_schema(name)} for name in self.NAMES]
        tools[-1].update(self.MARK)
        return {
            "max_tokens": 32000,
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.50; cc_entrypoint=cli;"},
                {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", **self.MARK},
                {"type": "text", "text": "Use the tools that you have. " * 200, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ],
            "messages": messages,
            "tools": tools,
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": SESSION})},
        }

    def question(self):
        reminder = "<system-reminder>\nToday's date is 2026-11-20.\n</system-reminder>"
        return {"role": "user", "content": [{"type": "text", "text": reminder}, {"type": "text", "text": "list the files", **self.MARK}]}

    def turn(self, scenario, *before):
        """The blocks and the stop reason of a streamed answer, put together as the agent does it."""
        events = self.events(scenario, self.body([self.question(), *before]))
        same(events[-1][0], "message_stop", "the last event")
        blocks, stop, usage = [], None, {}
        for kind, data in events:
            if kind == "message_start":
                usage.update(data["message"]["usage"])
            if kind == "content_block_start":
                same(data["index"], len(blocks), "index of a block")
                blocks.append({**data["content_block"], "json": ""})
            if kind == "content_block_delta":
                delta, block = data["delta"], blocks[data["index"]]
                if delta["type"] == "input_json_delta":
                    block["json"] += delta["partial_json"]
                else:
                    key = delta["type"].removesuffix("_delta")
                    block[key] = block.get(key, "") + delta[key]
            if kind == "message_delta":
                stop = data["delta"]["stop_reason"]
                usage.update(data["usage"])
        for block in blocks:
            text = block.pop("json")
            if block["type"] == "tool_use":
                block["input"] = json.loads(text or "{}")
        read = usage.get("cache_read_input_tokens") or 0
        same((usage["input_tokens"] + read, usage["output_tokens"]), (IN, OUT), "usage")
        return blocks, stop

    def text(self):
        blocks, stop = self.turn("text")
        same(("".join(block.get("text", "") for block in blocks), stop), (TEXT, "end_turn"), "answer")
        self.arrived("You are Claude Code", "Today's date", "list the files", "mcp__github__search", "What TodoWrite is to do.")

    def calls(self):
        blocks, stop = self.turn("agent")
        calls = [block for block in blocks if block["type"] == "tool_use"]
        same(([(call["name"], call["input"]) for call in calls], stop), (AGENT_CALLS, "tool_use"), "calls")
        thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
        same("".join(thoughts), THOUGHT, "thinking")
        return blocks, calls

    def tools(self):
        self.calls()

    def second_turn(self, mark):
        blocks, calls = self.calls()
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": f"result of {call['name']}", **mark} for call in calls
        ]
        results[-1]["content"] = [{"type": "text", "text": results[-1]["content"]}]
        results[-1].update(self.MARK)
        after = {"type": "text", "text": "<system-reminder>Go on.</system-reminder>"}
        answer, stop = self.turn("text", {"role": "assistant", "content": blocks}, {"role": "user", "content": [*results, after]})
        same(("".join(block.get("text", "") for block in answer), stop), (TEXT, "end_turn"), "answer to the results")
        self.arrived("result of shell", "result of update_plan", "Let me look.", "/src", "Go on.")

    def results(self):
        self.second_turn({})

    def failed(self):
        self.second_turn({"is_error": True})

    def whole(self):
        """It names a session with a small model: not streamed, no tools, a schema for the answer."""
        schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"], "additionalProperties": False}
        form = {"format": {"type": "json_schema", "schema": schema}}
        body = {**self.body([self.question()]), "tools": [], "output_config": form, "temperature": 1, "stream": False}
        del body["thinking"], body["context_management"]
        answer = json.loads(self.post("structured", body))
        same((answer["type"], answer["stop_reason"]), ("message", "end_turn"), "answer")
        same(json.loads(answer["content"][0]["text"])["name"], "Ada", "title")

    def dropped(self):
        super().dropped()
        headers = {key.lower(): value for key, value in self.sent()["headers"].items()}
        check(not any("callers-key" in value for value in headers.values()), "the caller's key arrived at the upstream")


class Codex(Agent):
    name, own, path = "codex", "responses", "/v1/responses"
    foreign = ["local_shell", "tools.format"]
    features = ["text", "tools", "results", "custom", "custom-results", "dropped"]
    headers = {
        "accept": "text/event-stream",
        "authorization": "Bearer callers-key",
        "originator": "codex_cli_rs",
        "session_id": SESSION,
        "conversation_id": SESSION,
        "user-agent": "codex_cli_rs/0.98.0 (Debian 12.0.0; x86_64) xterm-256color",
        "version": "0.98.0",
        "x-codex-turn-metadata": "{\"workspaces\":{}}",
    }
    GRAMMAR = 'start: begin_patch hunk+ end_patch\nbegin_patch: "*** Begin Patch" LF\nend_patch: "*** End Patch" LF?\nhunk: /(.+)/ LF\n%import common.LF\n'
    NAMES = "shell update_plan view_image exec_command write_stdin spawn_agent wait list_mcp_resources mcp__github__search".split()

    def body(self, items):
        functions = [
            {"type": "function", "name": name, "description": f"{name}: use it well. " * 40, "strict": False, "parameters": big_schema(name)}
            for name in self.NAMES
        ]
        patch = {"type": "custom", "name": "apply_patch", "description": "Use the `apply_patch` tool to edit files."}
        patch["format"] = {"type": "grammar", "syntax": "lark", "definition": self.GRAMMAR}
        message = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions instructions>read-only"}]}
        context = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context><cwd>/src</cwd>"}]}
        question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list the files"}]}
        return {
            "instructions": "You are Codex, a coding agent. " * 100,
            "input": [message, context, question, *items],
            "tools": [*functions, patch, {"type": "local_shell"}, {"type": "web_search", "external_web_access": False}],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "service_tier": "auto",
            "prompt_cache_key": SESSION,
            "text": {"verbosity": "low"},
            "client_metadata": {"x-codex-installation-id": SESSION},
        }

    def turn(self, scenario, *items):
        """The items of an answer. The agent takes them from `output_item.done`, and needs `response.completed`."""
        events = self.events(scenario, self.body(items))
        same(events[-1][0], "response.completed", "the last event")
        numbers = [data["sequence_number"] for _, data in events]
        same(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "sequence numbers")
        done = [data["item"] for kind, data in events if kind == "response.output_item.done"]
        response = events[-1][1]["response"]
        same([item["type"] for item in response["output"]], [item["type"] for item in done], "items of the whole")
        usage = response["usage"]
        same((usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]), (IN, OUT, IN + OUT), "usage")
        self.deltas = [data["delta"] for kind, data in events if kind == "response.custom_tool_call_input.delta"]
        return done

    @staticmethod
    def text_of(items):
        return "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])

    @staticmethod
    def history(items):
        """As the agent sends items back: without their ids, for nothing is stored."""
        return [{key: value for key, value in item.items() if key not in ("id", "status")} for item in items]

    def text(self):
        same(self.text_of(self.turn("text")), TEXT, "answer")
        self.arrived("You are Codex", "<permissions instructions>", "<cwd>/src", "list the files", "mcp__github__search", "apply_patch", "What view_image is to do.")

    def calls(self):
        items = self.turn("agent")
        calls = [item for item in items if item["type"] == "function_call"]
        same([(call["name"], json.loads(call["arguments"])) for call in calls], AGENT_CALLS, "calls")
        thoughts = [part["text"] for item in items if item["type"] == "reasoning" for part in item["summary"]]
        same("".join(thoughts), THOUGHT, "reasoning")
        return items, calls

    def tools(self):
        self.calls()

    def results(self):
        items, calls = self.calls()
        outputs = [{"type": "function_call_output", "call_id": call["call_id"], "output": f"result of {call['name']}"} for call in calls]
        answer = self.turn("text", *self.history(items), *outputs)
        same(self.text_of(answer), TEXT, "answer to the results")
        self.arrived("result of shell", "result of update_plan", "Let me look.", "/src")

    def patch(self):
        items = self.turn("custom-call")
        calls = [item for item in items if item["type"] == "custom_tool_call"]
        same([(call["name"], call["input"]) for call in calls], [("apply_patch", PATCH)], "free text")
        same("".join(self.deltas), PATCH, "deltas of the free text")
        return items, calls[0]

    def custom(self):
        self.patch()
        self.arrived("begin_patch", "lark")

    def custom_results(self):
        items, call = self.patch()
        output = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "Success. Updated a.txt"}
        same(self.text_of(self.turn("text", *self.history(items), output)), TEXT, "answer to the results")
        self.arrived("Success. Updated a.txt", "*** Begin Patch")


AGENTS = [ClaudeCode, Codex]


def run(kind, wanted):
    cells, failures = {}, []
    for upstream in UPSTREAMS:
        for feature in kind.features:
            names = (kind.name, upstream, feature)
            if any(want not in ("*", name) for want, name in zip(wanted, names)):
                continue
            cell = "/".join(names)
            try:
                getattr(kind, feature.replace("-", "_"))(kind(upstream))
                cells[cell] = True
            except Exception as error:  # whatever an answer makes of a reader that trusts it
                cells[cell] = False
                last = traceback.extract_tb(error.__traceback__)[-1]
                failures.append(f"{cell}: {type(error).__name__}: {str(error)[:1000]} ({last.name}:{last.lineno})")
    return cells, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--matrix", help="write what holds to this file, as JSON")
    parser.add_argument("--only", help="agent/upstream/feature, each may be *", default="*/*/*")
    options = parser.parse_args()
    cells, failures = {}, []
    with concurrent.futures.ThreadPoolExecutor(len(AGENTS)) as pool:
        for some, wrong in pool.map(lambda kind: run(kind, options.only.split("/")), AGENTS):
            cells |= some
            failures += wrong
    print(f"Agents: {sum(value is True for value in cells.values())} of {len(cells)} cells hold, {len(failures)} fail")
    print("\n".join(failures))
    if options.matrix:
        with open(options.matrix, "w", encoding="utf-8") as file:
            json.dump(cells, file, indent=0)
    sys.exit(1 if failures or not cells else 0)


if __name__ == "__main__":
    main()
