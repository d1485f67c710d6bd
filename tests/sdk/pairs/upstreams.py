"""Upstreams that speak each dialect as its vendor does, for tests: one server, one path prefix a dialect.

What they say is chosen by the model's name, `TAG.SCENARIO` or `SCENARIO` (`text`, `tools`, `reasoning` ...); the
tag tells apart who asked. How they say it was written by hand after recorded exchanges of the vendors, and shares
no code with the gateway. Each request is checked for what the vendor would refuse; that is a 400 here as well.

    python upstreams.py        prints its port, serves until it is killed
"""

import base64
import binascii
import http.server
import json
import struct
import threading
import time
import urllib.parse

import tasks

TEXT = 'Hello "you"\nthere, é'
WORDS = ["Hello", ' "you"', "\nthere", ", é"]
THOUGHT = ["Let me", " think."]
#: Each vendor seals thoughts in its own way, and takes back no other's seal.
SIGNED = {name: base64.b64encode(f"signed by {name}".encode()).decode() for name in ("responses", "anthropic", "gemini", "bedrock")}
#: What Google documents for calls that another model made.
UNSIGNED = "skip_thought_signature_validator"
CALLS = [("get_weather", {"city": "Rome", "unit": "c"}), ("get_time", {})]
#: What agents' tools are asked to do.
AGENT_CALLS = [("shell", {"command": ["ls", "-l"], "workdir": "/src"}), ("update_plan", {"plan": [{"step": "é", "status": "pending"}]})]
PATCH = '*** Begin Patch\n*** Add File: a.txt\n+say "hi" \\ é\n*** End Patch\n'
#: Tools with free text stand behind functions, where the vendor has none: so the gateway names those.
CUSTOM = "mainstay_custom_"
PERSON = {"name": "Ada", "age": 36}
IN, OUT, CACHED, REASONED = 21, 34, 8, 13
#: How many requests are remembered for whoever wants to see what arrived.
KEPT = 500


class Script:
    """What one scenario says: thoughts, texts, calls, and why it ends."""

    def __init__(self, words=(), calls=(), thought=(), stop="end", error=None, cut=False):
        self.words, self.calls, self.thought = list(words), list(calls), list(thought)
        self.stop, self.error, self.cut = stop, error, cut


SCENARIOS = {
    "text": Script(WORDS),
    "tools": Script(["Let me look."], CALLS, stop="calls"),
    "one-tool": Script([], CALLS[:1], stop="calls"),
    "reasoning": Script(WORDS, thought=THOUGHT),
    "reasoning-tools": Script([], CALLS[:1], thought=THOUGHT, stop="calls"),
    "agent": Script(["Let me look."], AGENT_CALLS, thought=THOUGHT, stop="calls"),
    "custom-call": Script(["Let me edit."], [(f"{CUSTOM}apply_patch", {"input": PATCH})], stop="calls"),
    "structured": Script(['{"name": "Ada",', ' "age": 36}']),
    "length": Script(["Once upon"], stop="length"),
    "filter": Script([], stop="filter"),
    "limited": Script(error=429),
    "overloaded": Script(error=503),
    "refused": Script(error=400),
    "cut": Script(["Half a"], cut=True),
}


class Refused(Exception):
    """The vendor would not take the request."""


def need(condition, why):
    if not condition:
        raise Refused(why)


def script(model):
    name = model.rsplit(".", 1)[-1]
    need(name in SCENARIOS, f"no such model: {model}")
    return SCENARIOS[name]


def sse(event, data):
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def halves(arguments):
    text = json.dumps(arguments)
    return [text[: len(text) // 2], text[len(text) // 2 :]]


# ---- OpenAI chat -------------------------------------------------------------------------------------

CHAT_MEMBERS = set(
    "model messages tools tool_choice parallel_tool_calls response_format max_tokens max_completion_tokens temperature "
    "top_p stop n seed presence_penalty frequency_penalty logit_bias logprobs top_logprobs stream stream_options user "
    "safety_identifier prompt_cache_key service_tier reasoning_effort metadata store modalities audio verbosity "
    "web_search_options prediction".split()
)


def openai_check(body):
    unknown = set(body) - CHAT_MEMBERS
    need(not unknown, f"Unrecognized request argument supplied: {sorted(unknown)}")
    need(isinstance(body.get("messages"), list) and body["messages"], "messages")
    open_calls = set()
    for message in body["messages"]:
        role = message["role"]
        need(role in ("system", "developer", "user", "assistant", "tool"), f"role {role}")
        content = message.get("content")
        need(content is None or isinstance(content, (str, list)), "content")
        for part in content if isinstance(content, list) else []:
            need(part["type"] in ("text", "image_url", "input_audio", "file", "refusal"), f"part {part['type']}")
            if part["type"] == "image_url":
                need(part["image_url"]["url"].startswith(("http", "data:image/")), "image url")
        if role == "tool":
            need(message["tool_call_id"] in open_calls, "a tool message without its call")
            open_calls.discard(message["tool_call_id"])
        else:
            need(not open_calls, "tool calls without their results")
        for call in message.get("tool_calls") or []:
            need(call["type"] == "function" and call["id"], "tool call")
            json.loads(call["function"]["arguments"])
            open_calls.add(call["id"])
        if role == "assistant":
            need(content is not None or message.get("tool_calls"), "an assistant's message without anything")
    for tool in body.get("tools") or []:
        need(tool["type"] == "function" and tool["function"]["name"], "tool")
    form = body.get("response_format")
    if form and form["type"] == "json_schema":
        need(form["json_schema"]["name"] and form["json_schema"]["schema"], "json_schema")


def openai_usage():
    return {
        "prompt_tokens": IN,
        "completion_tokens": OUT,
        "total_tokens": IN + OUT,
        "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": REASONED, "audio_tokens": 0},
    }


OPENAI_STOPS = {"end": "stop", "calls": "tool_calls", "length": "length", "filter": "content_filter"}


def openai_calls(said):
    return [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for index, (name, arguments) in enumerate(said.calls)
    ]


def openai_whole(said, model):
    message = {"role": "assistant", "content": "".join(said.words) or None, "refusal": None, "annotations": []}
    if said.thought:
        message["reasoning_content"] = "".join(said.thought)
    if said.calls:
        message["tool_calls"] = openai_calls(said)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": OPENAI_STOPS[said.stop]}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [choice],
        "usage": openai_usage(),
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def openai_stream(said, model, body):
    def chunk(delta, finish=None, **extra):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000, "model": model}
        return sse(None, {**head, "choices": [choice], **extra})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for thought in said.thought:
        yield chunk({"reasoning_content": thought})
    for word in said.words:
        yield chunk({"content": word})
    if said.cut:
        return
    for index, (name, arguments) in enumerate(said.calls):
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]})
        for half in halves(arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": half}}]})
    yield chunk({}, OPENAI_STOPS[said.stop])
    if (body.get("stream_options") or {}).get("include_usage"):
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000, "model": model}
        yield sse(None, {**head, "choices": [], "usage": openai_usage()})
    yield b"data: [DONE]\n\n"


OPENAI_ERRORS = {
    400: {"message": "That is wrong.", "type": "invalid_request_error", "param": "messages", "code": "invalid_value"},
    429: {"message": "Rate limit reached.", "type": "requests", "param": None, "code": "rate_limit_exceeded"},
    503: {"message": "Overloaded.", "type": "server_error", "param": None, "code": "server_is_overloaded"},
}

# ---- OpenAI responses --------------------------------------------------------------------------------

RESPONSES_MEMBERS = set(
    "model input instructions tools tool_choice parallel_tool_calls text reasoning include max_output_tokens temperature "
    "top_p stream store metadata user safety_identifier prompt_cache_key service_tier truncation previous_response_id "
    "top_logprobs max_tool_calls stream_options background conversation client_metadata".split()
)


def responses_check(body):
    unknown = set(body) - RESPONSES_MEMBERS
    need(not unknown, f"Unknown parameter: {sorted(unknown)}")
    items = body["input"]
    open_calls = set()
    for item in items if isinstance(items, list) else []:
        kind = item.get("type", "message")
        if kind == "message":
            need(item["role"] in ("user", "assistant", "system", "developer"), "role")
            for part in item["content"] if isinstance(item["content"], list) else []:
                allowed = ("output_text", "refusal") if item["role"] == "assistant" else ("input_text", "input_image", "input_file", "input_audio")
                need(part["type"] in allowed, f"part {part['type']} of {item['role']}")
        elif kind == "function_call":
            need(item["call_id"] and item["name"], "function_call")
            json.loads(item["arguments"])
            open_calls.add(item["call_id"])
        elif kind == "custom_tool_call":
            need(item["call_id"] and item["name"] and isinstance(item["input"], str), "custom_tool_call")
            open_calls.add(item["call_id"])
        elif kind in ("function_call_output", "custom_tool_call_output"):
            need(item["call_id"] in open_calls, "No tool call found for function call output")
            need(isinstance(item["output"], (str, list)), "output")
        else:
            need(kind == "reasoning", f"item {kind}")
            sealed = item.get("encrypted_content")
            need(sealed or body.get("store") is not False, "Item not found")
            need(sealed in (None, SIGNED["responses"]), "The encrypted content could not be verified.")
    for tool in body.get("tools") or []:
        need(tool["type"] in ("function", "custom", "web_search", "local_shell"), "tool")
        need(tool["type"] != "function" or tool["name"], "tool name")
    need(body.get("max_output_tokens", 16) >= 16, "max_output_tokens is below the minimum")


def responses_items(said):
    if said.thought:
        yield {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "".join(said.thought)}],
            "encrypted_content": SIGNED["responses"],
        }
    if said.words:
        part = {"type": "output_text", "text": "".join(said.words), "annotations": [], "logprobs": []}
        yield {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    for index, (name, arguments) in enumerate(said.calls):
        if name.startswith(CUSTOM):
            call = {"call_id": f"call_{index}", "name": name.removeprefix(CUSTOM), "input": arguments["input"]}
            yield {"id": f"ctc_{index}", "type": "custom_tool_call", "status": "completed", **call}
            continue
        yield {
            "id": f"fc_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{index}",
            "name": name,
            "arguments": json.dumps(arguments),
        }


def responses_object(said, model, status=None, items=(), usage=True):
    if status is None:
        status = "incomplete" if said.stop in ("length", "filter") else "completed"
    reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(said.stop)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": None,
        "model": model,
        "output": list(items),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": IN,
            "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": OUT,
            "output_tokens_details": {"reasoning_tokens": REASONED},
            "total_tokens": IN + OUT,
        }
        if usage
        else None,
    }


def responses_whole(said, model):
    return responses_object(said, model, items=responses_items(said))


def responses_stream(said, model, body):
    number = -1

    def event(kind, **members):
        nonlocal number
        number += 1
        return sse(kind, {"type": kind, "sequence_number": number, **members})

    begun = responses_object(said, model, "in_progress", usage=False)
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(responses_items(said)):
        at = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "reasoning":
            yield event("response.output_item.added", output_index=index, item={**item, "summary": [], "encrypted_content": ""})
            yield event("response.reasoning_summary_part.added", **at, summary_index=0, part={"type": "summary_text", "text": ""})
            for thought in said.thought:
                yield event("response.reasoning_summary_text.delta", **at, summary_index=0, delta=thought)
            yield event("response.reasoning_summary_text.done", **at, summary_index=0, text="".join(said.thought))
            yield event("response.reasoning_summary_part.done", **at, summary_index=0, part=item["summary"][0])
        elif item["type"] == "message":
            yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []})
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            yield event("response.content_part.added", **at, content_index=0, part=empty)
            for word in said.words:
                yield event("response.output_text.delta", **at, content_index=0, delta=word, logprobs=[])
            if said.cut:
                return
            yield event("response.output_text.done", **at, content_index=0, text="".join(said.words), logprobs=[])
            yield event("response.content_part.done", **at, content_index=0, part=item["content"][0])
        elif item["type"] == "custom_tool_call":
            yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "input": ""})
            yield event("response.custom_tool_call_input.delta", **at, delta=item["input"])
            yield event("response.custom_tool_call_input.done", **at, input=item["input"])
        else:
            yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "arguments": ""})
            for half in halves(json.loads(item["arguments"])):
                yield event("response.function_call_arguments.delta", **at, delta=half)
            yield event("response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"])
        yield event("response.output_item.done", output_index=index, item=item)
    done = responses_object(said, model, items=responses_items(said))
    yield event(f"response.{done['status']}", response=done)


# ---- Anthropic ---------------------------------------------------------------------------------------

ANTHROPIC_MEMBERS = set(
    "model messages system max_tokens tools tool_choice thinking output_config temperature top_p top_k stop_sequences stream "
    "metadata service_tier cache_control context_management".split()
)


def anthropic_check(body):
    unknown = set(body) - ANTHROPIC_MEMBERS
    need(not unknown, f"{sorted(unknown)}: Extra inputs are not permitted")
    need(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    need(0 <= body.get("temperature", 0) <= 1, "temperature: range: 0..1")
    messages = body["messages"]
    need(messages and messages[0]["role"] == "user", "messages: first message must use the user role")
    calls, before = [], None
    for message in messages:
        need(message["role"] in ("user", "assistant"), "role")
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        need(parts, "messages: content must not be empty")
        results = [part["tool_use_id"] for part in parts if part["type"] == "tool_result"]
        need(sorted(results) == sorted(calls), f"tool_use ids {calls} were found without tool_result blocks ({results})")
        need([part["type"] for part in parts[: len(results)]] == ["tool_result"] * len(results), "tool_result blocks must come first")
        need(message["role"] != before, "roles must alternate")
        before = message["role"]
        calls = []
        for part in parts:
            need(part["type"] in ("text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"), part["type"])
            if part["type"] == "text":
                need(part["text"].strip(), "text content blocks must be non-empty")
            if part["type"] == "tool_use":
                need(isinstance(part["input"], dict) and part["id"] and part["name"], "tool_use")
                calls.append(part["id"])
            if part["type"] == "thinking":
                need(part["signature"] == SIGNED["anthropic"], "Invalid `signature` in `thinking` block")
            if part["type"] == "image" and part["source"]["type"] == "base64":
                base64.b64decode(part["source"]["data"], validate=True)
                need(part["source"]["media_type"].startswith("image/"), "media_type")
    for tool in body.get("tools") or []:
        # Those with a type are Anthropic's own.
        need(tool["name"] and ("type" in tool or tool["input_schema"]["type"] == "object"), "tools.0.input_schema.type: Field required")
    thinking = body.get("thinking") or {}
    need(thinking.get("type") in (None, "adaptive", "enabled", "disabled"), "thinking")
    if thinking.get("type") == "enabled":
        need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "max_tokens must be greater than budget_tokens")


ANTHROPIC_STOPS = {"end": "end_turn", "calls": "tool_use", "length": "max_tokens", "filter": "refusal"}


def anthropic_blocks(said):
    if said.thought:
        yield {"type": "thinking", "thinking": "".join(said.thought), "signature": SIGNED["anthropic"]}
    if said.words:
        yield {"type": "text", "text": "".join(said.words)}
    for index, (name, arguments) in enumerate(said.calls):
        yield {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": arguments}


def anthropic_usage(output=OUT):
    usage = {"input_tokens": IN - CACHED, "cache_creation_input_tokens": 0, "cache_read_input_tokens": CACHED}
    return {**usage, "output_tokens": output, "service_tier": "standard"}


def anthropic_whole(said, model):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(anthropic_blocks(said)),
        "stop_reason": ANTHROPIC_STOPS[said.stop],
        "stop_sequence": None,
        "usage": anthropic_usage(),
    }


def anthropic_stream(said, model, body):
    def event(kind, **members):
        return sse(kind, {"type": kind, **members})

    message = {**anthropic_whole(said, model), "content": [], "stop_reason": None, "usage": anthropic_usage(1)}
    yield event("message_start", message=message)
    yield event("ping")
    for index, block in enumerate(anthropic_blocks(said)):
        if block["type"] == "thinking":
            yield event("content_block_start", index=index, content_block={"type": "thinking", "thinking": "", "signature": ""})
            deltas = [{"type": "thinking_delta", "thinking": thought} for thought in said.thought]
            deltas.append({"type": "signature_delta", "signature": SIGNED["anthropic"]})
        elif block["type"] == "text":
            yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            deltas = [{"type": "text_delta", "text": word} for word in said.words]
        else:
            yield event("content_block_start", index=index, content_block={**block, "input": {}})
            parts = ["", *halves(block["input"])] if block["input"] else [""]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        if said.cut:
            return
        yield event("content_block_stop", index=index)
    delta = {"stop_reason": ANTHROPIC_STOPS[said.stop], "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": OUT})
    yield event("message_stop")


# ---- Gemini ------------------------------------------------------------------------------------------

GEMINI_MEMBERS = set("contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent labels serviceTier".split())
GENERATION_MEMBERS = set(
    "temperature topP topK maxOutputTokens stopSequences candidateCount seed presencePenalty frequencyPenalty responseMimeType "
    "responseSchema responseJsonSchema responseLogprobs logprobs thinkingConfig responseModalities".split()
)


def gemini_check(body):
    unknown = set(body) - GEMINI_MEMBERS
    need(not unknown, f"Invalid JSON payload received. Unknown name {sorted(unknown)}")
    unknown = set(body.get("generationConfig") or {}) - GENERATION_MEMBERS
    need(not unknown, f"Unknown name {sorted(unknown)} at 'generation_config'")
    need(body.get("contents"), "contents is not specified")
    need(len(body.get("generationConfig", {}).get("stopSequences", [])) <= 5, "stop sequences")
    before, names = None, []
    for content in body["contents"]:
        role = content.get("role", "user")
        need(role in ("user", "model"), f"Please use a valid role: user, model (not {role})")
        need(content["parts"] and role != before, "contents must alternate and have parts")
        before = role
        for part in content["parts"]:
            kinds = set(part) & set("text inlineData fileData functionCall functionResponse".split())
            need(len(kinds) == 1, f"part {sorted(part)}")
            if "functionCall" in part:
                need(isinstance(part["functionCall"].get("args", {}), dict), "args")
                names.append(part["functionCall"]["name"])
            if "functionResponse" in part:
                need(isinstance(part["functionResponse"]["response"], dict), "response")
                need(part["functionResponse"]["name"] in names, "function response without its call")
            if "inlineData" in part:
                base64.b64decode(part["inlineData"]["data"], validate=True)
        for part in content["parts"]:
            signature = part.get("thoughtSignature", UNSIGNED)
            need(signature in (UNSIGNED, SIGNED["gemini"]), "Corrupted thought signature.")
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        need(first is None or first.get("thoughtSignature"), "Function call is missing a thought_signature")
    for tool in body.get("tools") or []:
        for function in tool.get("functionDeclarations", []):
            need(function["name"], "name")


GEMINI_STOPS = {"end": "STOP", "calls": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}


def gemini_usage():
    return {
        "promptTokenCount": IN,
        "candidatesTokenCount": OUT - REASONED,
        "thoughtsTokenCount": REASONED,
        "cachedContentTokenCount": CACHED,
        "totalTokenCount": IN + OUT,
    }


def gemini_calls(said):
    for index, (name, arguments) in enumerate(said.calls):
        part = {"functionCall": {"name": name, "args": arguments, "id": f"fc-{index}"}}
        if index == 0:
            part["thoughtSignature"] = SIGNED["gemini"]
        yield part


def gemini_answer(parts, model, stop=None):
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    if stop:
        candidate["finishReason"] = stop
    return {"candidates": [candidate], "usageMetadata": gemini_usage(), "modelVersion": model, "responseId": "resp-1"}


def gemini_whole(said, model):
    parts = [{"text": "".join(said.thought), "thought": True}] if said.thought else []
    if said.words:
        parts.append({"text": "".join(said.words), **({"thoughtSignature": SIGNED["gemini"]} if said.thought else {})})
    return gemini_answer([*parts, *gemini_calls(said)], model, GEMINI_STOPS[said.stop])


def gemini_stream(said, model, body):
    def chunk(parts, stop=None):
        return f"data: {json.dumps(gemini_answer(parts, model, stop), ensure_ascii=False)}\r\n\r\n".encode()

    for thought in said.thought:
        yield chunk([{"text": thought, "thought": True}])
    for word in said.words:
        yield chunk([{"text": word}])
    if said.cut:
        return
    for part in gemini_calls(said):
        yield chunk([part])
    signed = [{"text": "", "thoughtSignature": SIGNED["gemini"]}] if said.thought and not said.calls else [{"text": ""}]
    yield chunk(signed, GEMINI_STOPS[said.stop])


# ---- Cohere ------------------------------------------------------------------------------------------

COHERE_MEMBERS = set(
    "model messages tools tool_choice documents citation_options response_format safety_mode max_tokens stop_sequences temperature "
    "seed frequency_penalty presence_penalty k p logprobs strict_tools thinking priority stream".split()
)


def cohere_check(body):
    unknown = set(body) - COHERE_MEMBERS
    need(not unknown, f"unknown field: {sorted(unknown)}")
    open_calls = set()
    for message in body["messages"]:
        need(message["role"] in ("system", "user", "assistant", "tool"), "role")
        if message["role"] == "tool":
            need(message["tool_call_id"] in open_calls, "tool result without its call")
        for call in message.get("tool_calls") or []:
            need(call["type"] == "function", "tool call")
            json.loads(call["function"]["arguments"])
            open_calls.add(call["id"])
    for tool in body.get("tools") or []:
        need(tool["type"] == "function" and tool["function"]["parameters"]["type"] == "object", "tool")
    need(body.get("tool_choice") in (None, "REQUIRED", "NONE"), "tool_choice")


COHERE_STOPS = {"end": "COMPLETE", "calls": "TOOL_CALL", "length": "MAX_TOKENS", "filter": "ERROR_TOXIC"}


def cohere_usage():
    return {
        "billed_units": {"input_tokens": IN, "output_tokens": OUT},
        "tokens": {"input_tokens": IN, "output_tokens": OUT},
        "cached_tokens": CACHED,
    }


def cohere_whole(said, model):
    message = {"role": "assistant"}
    content = [{"type": "thinking", "thinking": "".join(said.thought)}] if said.thought else []
    if said.words and not said.calls:
        content.append({"type": "text", "text": "".join(said.words)})
    if content:
        message["content"] = content
    if said.calls:
        message["tool_plan"] = "".join(said.words)
        message["tool_calls"] = openai_calls(said)
    return {"id": "co-1", "message": message, "finish_reason": COHERE_STOPS[said.stop], "usage": cohere_usage()}


def cohere_stream(said, model, body):
    def event(kind, **members):
        return sse(kind, {"type": kind, **members})

    def delta(**members):
        return {"message": members}

    yield event("message-start", id="co-1", delta=delta(role="assistant", content=[], tool_plan="", tool_calls=[], citations=[]))
    blocks = [("thinking", said.thought)] if said.thought else []
    if said.words and not said.calls:
        blocks.append(("text", said.words))
    for index, (kind, words) in enumerate(blocks):
        yield event("content-start", index=index, delta=delta(content={"type": kind, kind: ""}))
        for word in words:
            yield event("content-delta", index=index, delta=delta(content={kind: word}))
        if said.cut:
            return
        yield event("content-end", index=index)
    if said.calls:
        for word in said.words:
            yield event("tool-plan-delta", delta=delta(tool_plan=word))
    for index, call in enumerate(openai_calls(said)):
        start = {**call, "function": {**call["function"], "arguments": ""}}
        yield event("tool-call-start", index=index, delta=delta(tool_calls=start))
        for half in halves(said.calls[index][1]):
            yield event("tool-call-delta", index=index, delta=delta(tool_calls={"function": {"arguments": half}}))
        yield event("tool-call-end", index=index)
    yield event("message-end", delta={"finish_reason": COHERE_STOPS[said.stop], "usage": cohere_usage()})
    yield b"data: [DONE]\n\n"


# ---- Bedrock -----------------------------------------------------------------------------------------

BEDROCK_MEMBERS = set(
    "messages system inferenceConfig toolConfig guardrailConfig additionalModelRequestFields additionalModelResponseFieldPaths "
    "outputConfig performanceConfig requestMetadata promptVariables serviceTier".split()
)


def bedrock_check(body):
    unknown = set(body) - BEDROCK_MEMBERS
    need(not unknown, f"extraneous key {sorted(unknown)} is not permitted")
    unknown = set(body.get("inferenceConfig") or {}) - {"maxTokens", "temperature", "topP", "stopSequences"}
    need(not unknown, f"inferenceConfig: extraneous key {sorted(unknown)}")
    before, calls = None, []
    need(body["messages"] and body["messages"][0]["role"] == "user", "A conversation must start with a user message.")
    for message in body["messages"]:
        need(message["role"] != before and message["content"], "roles must alternate")
        before = message["role"]
        results = [part["toolResult"]["toolUseId"] for part in message["content"] if "toolResult" in part]
        need(sorted(results) == sorted(calls), f"Expected toolResult blocks for {calls}")
        calls = []
        for part in message["content"]:
            kinds = set("text image document video audio toolUse toolResult reasoningContent cachePoint guardContent".split())
            need(len(part) == 1 and set(part) <= kinds, f"content {sorted(part)}")
            if "toolUse" in part:
                need(isinstance(part["toolUse"]["input"], dict), "input")
                calls.append(part["toolUse"]["toolUseId"])
            if "reasoningContent" in part:
                need(part["reasoningContent"]["reasoningText"]["signature"] == SIGNED["bedrock"], "Invalid signature")
            if "text" in part:
                need(part["text"].strip(), "The text field in the ContentBlock object is blank.")
    for tool in (body.get("toolConfig") or {}).get("tools", []):
        need("cachePoint" in tool or tool["toolSpec"]["inputSchema"]["json"]["type"] == "object", "inputSchema")


BEDROCK_STOPS = {"end": "end_turn", "calls": "tool_use", "length": "max_tokens", "filter": "guardrail_intervened"}


def bedrock_usage():
    counts = {"inputTokens": IN - CACHED, "outputTokens": OUT, "totalTokens": IN + OUT}
    return {**counts, "cacheReadInputTokens": CACHED, "cacheWriteInputTokens": 0}


def bedrock_whole(said, model):
    content = []
    if said.thought:
        content.append({"reasoningContent": {"reasoningText": {"text": "".join(said.thought), "signature": SIGNED["bedrock"]}}})
    if said.words:
        content.append({"text": "".join(said.words)})
    for index, (name, arguments) in enumerate(said.calls):
        content.append({"toolUse": {"toolUseId": f"tooluse_{index}", "name": name, "input": arguments}})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": BEDROCK_STOPS[said.stop],
        "usage": bedrock_usage(),
        "metrics": {"latencyMs": 7},
    }


def bedrock_message(event, payload, kind="event"):
    headers = b""
    name = ":event-type" if kind == "event" else ":exception-type"
    for key, value in ((name, event), (":content-type", "application/json"), (":message-type", kind)):
        key, value = key.encode(), value.encode()
        headers += bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(value)) + value
    data = json.dumps(payload, ensure_ascii=False).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    message = prelude + headers + data
    return message + struct.pack(">I", binascii.crc32(message))


def bedrock_stream(said, model, body):
    yield bedrock_message("messageStart", {"role": "assistant", "p": "abc"})
    index = 0
    if said.thought:
        for thought in said.thought:
            yield bedrock_message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": thought}}})
        yield bedrock_message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": SIGNED["bedrock"]}}})
        yield bedrock_message("contentBlockStop", {"contentBlockIndex": 0})
        index = 1
    if said.words:
        for word in said.words:
            yield bedrock_message("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": word}, "p": "ab"})
        if said.cut:
            return
        yield bedrock_message("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    for place, (name, arguments) in enumerate(said.calls):
        start = {"toolUse": {"toolUseId": f"tooluse_{place}", "name": name}}
        yield bedrock_message("contentBlockStart", {"contentBlockIndex": index, "start": start})
        for half in halves(arguments):
            yield bedrock_message("contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": half}}})
        yield bedrock_message("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    yield bedrock_message("messageStop", {"stopReason": BEDROCK_STOPS[said.stop]})
    yield bedrock_message("metadata", {"usage": bedrock_usage(), "metrics": {"latencyMs": 7}})


# ---- Ollama ------------------------------------------------------------------------------------------


def ollama_check(body):
    unknown = set(body) - set("model messages tools format options think stream keep_alive logprobs top_logprobs".split())
    need(not unknown, f"unknown {sorted(unknown)}")
    for message in body["messages"]:
        need(message["role"] in ("system", "user", "assistant", "tool"), "role")
        need(isinstance(message.get("content", ""), str), "json: cannot unmarshal array into Go struct field content")
        for image in message.get("images") or []:
            base64.b64decode(image, validate=True)
        for call in message.get("tool_calls") or []:
            need(isinstance(call["function"]["arguments"], dict), "arguments")
    need(isinstance(body.get("format", {}), (dict, str)), "format")


def ollama_part(model, message, **members):
    head = {"model": model, "created_at": "2026-11-20T10:00:00.123456Z"}
    return {**head, "message": {"role": "assistant", "content": "", **message}, "done": False, **members}


def ollama_end(said):
    counts = {"total_duration": 5, "load_duration": 1, "prompt_eval_count": IN, "prompt_eval_duration": 1, "eval_count": OUT}
    return {"done": True, "done_reason": "length" if said.stop == "length" else "stop", **counts, "eval_duration": 2}


def ollama_calls(said):
    return [{"function": {"index": index, "name": name, "arguments": arguments}} for index, (name, arguments) in enumerate(said.calls)]


def ollama_whole(said, model):
    message = {"content": "".join(said.words)}
    if said.thought:
        message["thinking"] = "".join(said.thought)
    if said.calls:
        message["tool_calls"] = ollama_calls(said)
    return ollama_part(model, message, **ollama_end(said))


def ollama_stream(said, model, body):
    def line(message, **members):
        return json.dumps(ollama_part(model, message, **members), ensure_ascii=False).encode() + b"\n"

    for thought in said.thought:
        yield line({"thinking": thought})
    for word in said.words:
        yield line({"content": word})
    if said.cut:
        return
    if said.calls:
        yield line({"tool_calls": ollama_calls(said)})
    yield line({}, **ollama_end(said))


# ---- the server --------------------------------------------------------------------------------------

GOOGLE_STATUS = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
ANTHROPIC_TYPE = {400: "invalid_request_error", 429: "rate_limit_error", 503: "overloaded_error"}
AMAZON_TYPE = {400: "ValidationException", 429: "ThrottlingException", 503: "ServiceUnavailableException"}


def error(dialect, status, message):
    if dialect in ("openai", "responses"):
        return {"error": {**OPENAI_ERRORS[status], "message": message}}
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": ANTHROPIC_TYPE[status], "message": message}, "request_id": "req_1"}
    if dialect == "gemini":
        return {"error": {"code": status, "message": message, "status": GOOGLE_STATUS[status]}}
    if dialect == "cohere":
        return {"id": "1", "message": message}
    return {"message": message} if dialect == "bedrock" else {"error": message}


DIALECTS = {
    "openai": (openai_check, openai_whole, openai_stream, "text/event-stream"),
    "responses": (responses_check, responses_whole, responses_stream, "text/event-stream"),
    "anthropic": (anthropic_check, anthropic_whole, anthropic_stream, "text/event-stream"),
    "gemini": (gemini_check, gemini_whole, gemini_stream, "text/event-stream"),
    "cohere": (cohere_check, cohere_whole, cohere_stream, "text/event-stream"),
    "bedrock": (bedrock_check, bedrock_whole, bedrock_stream, "application/vnd.amazon.eventstream"),
    "ollama": (ollama_check, ollama_whole, ollama_stream, "application/x-ndjson"),
}


def asked(dialect, path, body):
    """The model, and whether it has to stream."""
    path = urllib.parse.unquote(path)
    if dialect == "gemini":
        model, verb = path.rsplit("/models/", 1)[1].rsplit(":", 1)
        return model, verb == "streamGenerateContent"
    if dialect == "bedrock":
        model, verb = path.removeprefix("/model/").rsplit("/", 1)
        return model, verb == "converse-stream"
    return body["model"], body.get("stream", dialect == "ollama")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else each body waits 40 ms for the acknowledgement of its head.
    disable_nagle_algorithm = True
    seen = []
    lock = threading.Lock()
    dead = frozenset()

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        """What has been asked so far for models named `TAG.…`, where the query is the tag; forgets it."""
        tag = urllib.parse.urlsplit(self.path).query
        with self.lock:
            told = [one for one in self.seen if one["model"].startswith(tag + ".")]
            Handler.seen = [one for one in self.seen if one not in told]
        self.answer(200, told)

    def do_PUT(self):
        """Which dialects are dead from now on: their connections end without an answer."""
        Handler.dead = frozenset(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(200, sorted(self.dead))

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urllib.parse.urlsplit(self.path)
        _, dialect, rest = url.path.split("/", 2)
        if dialect in self.dead:
            self.close_connection = True
            return None
        try:
            body = json.loads(raw)
        except ValueError as wrong:
            return self.answer(400, error(dialect, 400, f"not JSON: {wrong}"), dialect)
        check, whole, stream, kind = DIALECTS[dialect]
        try:
            model, task = tasks.find(dialect, "/" + rest, body)
            streams = None if task else asked(dialect, "/" + rest, body)[1]
            self.note({"model": model, "dialect": dialect, "query": url.query, "body": body, "headers": dict(self.headers)})
            if task:
                return self.answer(200, task(body))
            said = script(model)
            check(body)
        except (Refused, KeyError, TypeError, ValueError, AttributeError) as wrong:
            return self.answer(400, error(dialect, 400, f"{type(wrong).__name__}: {wrong}"), dialect)
        if said.error:
            return self.answer(said.error, error(dialect, said.error, "That is wrong." if said.error == 400 else "Not now."), dialect)
        if not streams:
            return self.answer(200, whole(said, model))
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for part in stream(said, model, body):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            time.sleep(0.001)
        if said.cut:
            self.close_connection = True
            return None
        self.wfile.write(b"0\r\n\r\n")
        return None

    def note(self, request):
        with self.lock:
            Handler.seen = [*self.seen[-KEPT:], request]

    def answer(self, status, body, dialect=None):
        data = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if dialect == "bedrock":
            self.send_header("x-amzn-errortype", AMAZON_TYPE[status])
        self.end_headers()
        self.wfile.write(data)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    print(serve(), flush=True)
    threading.Event().wait()
