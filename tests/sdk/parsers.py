"""What the official SDKs see in an answer: every line of a file of answers, through the SDK of its caller.

A line is {"to": dialect, "kind": "reply" | "stream", "body": text | {"base64": text}}; for each one a line is
printed: {"seen": {"text", "thoughts", "calls"}}, "refused" with the SDK's complaint, and "loose" where only strict
validation complains. The SDKs are the real clients over a transport that answers in the process; nothing is sent anywhere.
Ollama, which has no callers here, is read by hand.
"""

import base64
import json
import logging
import multiprocessing
import os
import re
import sys
import warnings

import anthropic
import boto3
import botocore.awsrequest
import botocore.config
import botocore.validate
import cohere
import httpx
import httpx2
import openai
import pydantic
from anthropic.types import RawMessageStreamEvent
from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse
from google import genai
from google.genai import types as gemini_types
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

ASK = [{"role": "user", "content": "hello"}]
STREAM_TYPES = {"bedrock": "application/vnd.amazon.eventstream"}
EVENTS = {
    "anthropic": pydantic.TypeAdapter(RawMessageStreamEvent),
    "cohere": pydantic.TypeAdapter(V2ChatStreamResponse),
    "responses": pydantic.TypeAdapter(ResponseStreamEvent),
    "openai": pydantic.TypeAdapter(ChatCompletionChunk),
    "gemini": pydantic.TypeAdapter(gemini_types.GenerateContentResponse),
}
REPLIES = {
    "anthropic": pydantic.TypeAdapter(anthropic.types.Message),
    "cohere": pydantic.TypeAdapter(V2ChatResponse),
    "responses": pydantic.TypeAdapter(Response),
    "openai": pydantic.TypeAdapter(ChatCompletion),
    "gemini": pydantic.TypeAdapter(gemini_types.GenerateContentResponse),
}


class Answer:
    """What the transports answer next."""

    body = b""
    content_type = ""


def transport(library):
    def handle(_request):
        return library.Response(200, headers={"content-type": Answer.content_type}, content=Answer.body)

    return library.Client(transport=library.MockTransport(handle))


class Seen:
    """Texts and calls, as they come."""

    def __init__(self):
        self.text = ""
        self.thoughts = ""
        self.calls = {}

    def say(self, text):
        # An image that the model made, where it can be said in text only.
        self.text += re.sub(r"!\[image\]\([^)]*\)", "", text or "")

    def think(self, text):
        self.thoughts += text or ""

    def call(self, key, name, arguments=""):
        self.calls[key] = [name or "", arguments]

    def whole(self):
        calls = [[name, arguments_of(text)] for name, text in self.calls.values()]
        # Several thoughts are set apart by blank lines where there is one text for all of them.
        thoughts = self.thoughts.replace("\n", "")
        return {"text": self.text, "thoughts": thoughts, "calls": calls}


def arguments_of(text):
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


# ---- the six, and Ollama ----------------------------------------------------------------------


class OpenAi:
    def __init__(self):
        self.sdk = openai.OpenAI(api_key="k", base_url="http://sdk.test/v1", max_retries=0, http_client=transport(httpx2))

    def reply(self):
        return self.see(self.sdk.chat.completions.create(model="m", messages=ASK))

    def stream(self):
        with self.sdk.chat.completions.stream(model="m", messages=ASK) as stream:
            for _ in stream:
                pass
            # The final completion, without the SDK's own errors for those that are cut short.
            return self.see(stream.current_completion_snapshot)

    def see(self, completion):
        seen = Seen()
        for choice in (completion.choices or [])[:1]:
            content = choice.message.content
            # Some vendors answer in parts.
            parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
            for part in parts:
                seen.say(part["text"] if part.get("type") == "text" else "")
                if part.get("type") == "thinking":
                    seen.think("".join(one.get("text", "") for one in part["thinking"]))
            seen.say(choice.message.refusal)
            extra = choice.message.model_extra or {}
            seen.think(extra.get("reasoning_content") or extra.get("reasoning"))
            for call in choice.message.tool_calls or []:
                if call.type == "custom":
                    seen.call(len(seen.calls), call.custom.name, call.custom.input)
                else:
                    seen.call(len(seen.calls), call.function.name, call.function.arguments)
        return seen


class Responses:
    def __init__(self):
        self.sdk = openai.OpenAI(api_key="k", base_url="http://sdk.test/v1", max_retries=0, http_client=transport(httpx2))

    def reply(self):
        return self.see(self.sdk.responses.create(model="m", input="hello"))

    def stream(self):
        with self.sdk.responses.stream(model="m", input="hello") as stream:
            final, told = None, Seen()
            for event in stream:
                if event.type in ("response.output_text.delta", "response.refusal.delta"):
                    told.say(event.delta)
                # An incomplete response is the end as well.
                if event.type in ("response.completed", "response.incomplete"):
                    final = event.response
            assert final is not None, "the stream has no end"
            seen = self.see(final)
            if seen.text != told.text:
                # Recordings may be abridged; what we write may not.
                Strict.complaints.append(f"{told.text!r} was streamed, {seen.text!r} stands in the end")
            seen.text = told.text
            return seen

    def see(self, response):
        seen = Seen()
        for item in response.output or []:
            if item.type == "message":
                for part in item.content or []:
                    seen.say(part.refusal if part.type == "refusal" else part.text)
            elif item.type == "reasoning":
                # Whoever shows all of it has no need of a summary.
                for part in item.content or item.summary or []:
                    seen.think(part.text)
            elif item.type == "function_call":
                seen.call(len(seen.calls), item.name, item.arguments)
            elif item.type == "custom_tool_call":
                seen.call(len(seen.calls), item.name, item.input)
        return seen


class Anthropic:
    def __init__(self):
        self.sdk = anthropic.Anthropic(api_key="k", base_url="http://sdk.test", max_retries=0, http_client=transport(httpx2))

    def reply(self):
        return self.see(self.sdk.messages.create(model="m", max_tokens=9, messages=ASK))

    def stream(self):
        with self.sdk.messages.stream(model="m", max_tokens=9, messages=ASK) as stream:
            return self.see(stream.get_final_message())

    def see(self, message):
        seen = Seen()
        for block in message.content or []:
            if block.type == "text":
                seen.say(block.text)
            elif block.type == "thinking":
                seen.think(block.thinking)
            elif block.type == "tool_use":
                seen.call(len(seen.calls), block.name, block.input)
        return seen


class Gemini:
    def __init__(self):
        options = gemini_types.HttpOptions(base_url="http://sdk.test", httpx_client=transport(httpx))
        self.sdk = genai.Client(api_key="k", http_options=options)

    def reply(self):
        return self.see([self.sdk.models.generate_content(model="m", contents="hello")])

    def stream(self):
        return self.see(self.sdk.models.generate_content_stream(model="m", contents="hello"))

    def see(self, answers):
        seen = Seen()
        for answer in answers:
            for candidate in [one for one in answer.candidates or [] if not one.index]:
                for part in (candidate.content and candidate.content.parts) or []:
                    (seen.think if part.thought else seen.say)(part.text)
                    call = part.function_call
                    # The pieces of a call that comes in several have no name.
                    if call and (call.name or not seen.calls):
                        seen.call(len(seen.calls), call.name, call.args or {})
                    for piece in (call and call.partial_args) or []:
                        put_piece(seen.calls[len(seen.calls) - 1][1], piece)
        return seen


def put_piece(arguments, piece):
    """A piece of arguments, by its path: `$.items[0].name`."""
    path = [int(place) if place else name for name, place in re.findall(r"\.(\w+)|\[(\d+)\]", piece.json_path)]
    values = (piece.string_value, piece.number_value, piece.bool_value)
    value = next((one for one in values if one is not None), None)
    for step, following in zip(path, path[1:] + [None]):
        if isinstance(step, int):
            arguments.extend([None] * (step + 1 - len(arguments)))
            held = arguments[step]
        else:
            held = arguments.get(step)
        if following is not None and held is None:
            held = [] if isinstance(following, int) else {}
        elif following is None:
            # Strings grow.
            held = held + value if isinstance(held, str) else value
        arguments[step] = held
        arguments = held


class Cohere:
    def __init__(self):
        self.sdk = cohere.ClientV2(api_key="k", base_url="http://sdk.test", httpx_client=transport(httpx))

    def reply(self):
        seen = Seen()
        message = self.sdk.chat(model="m", messages=ASK).message
        seen.say(message.tool_plan)
        for block in message.content or []:
            if block.type == "text":
                seen.say(block.text)
            else:
                seen.think(block.thinking)
        for call in message.tool_calls or []:
            seen.call(len(seen.calls), call.function.name, call.function.arguments)
        return seen

    def stream(self):
        seen, ended = Seen(), False
        for event in self.sdk.chat_stream(model="m", messages=ASK):
            delta = getattr(event, "delta", None)
            message = delta and getattr(delta, "message", None)
            if event.type in ("content-start", "content-delta"):
                seen.say(message.content.text)
                seen.think(message.content.thinking)
            elif event.type == "tool-plan-delta":
                seen.say(message.tool_plan)
            elif event.type == "tool-call-start":
                function = message.tool_calls.function
                seen.call(event.index, function.name, function.arguments or "")
            elif event.type == "tool-call-delta":
                seen.calls[event.index][1] += message.tool_calls.function.arguments or ""
            ended = event.type == "message-end"
        assert ended, "the stream has no end"
        return seen


class Bedrock:
    def __init__(self):
        self.sdk = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url="http://sdk.test",
            aws_access_key_id="k",
            aws_secret_access_key="s",
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        self.sdk.meta.events.register("before-send.bedrock-runtime.*", self.answer)
        self.shapes = self.sdk.meta.service_model
        self.ask = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "hello"}]}]}

    def answer(self, request, **_):
        headers = botocore.awsrequest.HeadersDict({"content-type": Answer.content_type})
        return botocore.awsrequest.AWSResponse(request.url, 200, headers, Raw(Answer.body))

    def reply(self):
        answer = self.sdk.converse(**self.ask)
        answer.pop("ResponseMetadata")
        self.validate(answer, self.shapes.operation_model("Converse").output_shape)
        seen = Seen()
        for block in answer["output"]["message"]["content"]:
            seen.say(block.get("text"))
            seen.think(block.get("reasoningContent", {}).get("reasoningText", {}).get("text"))
            call = block.get("toolUse")
            if call and call.get("type") != "server_tool_use":
                seen.call(len(seen.calls), call["name"], call["input"])
        return seen

    def stream(self):
        seen, last = Seen(), None
        shape = self.shapes.operation_model("ConverseStream").output_shape.members["stream"]
        for event in self.sdk.converse_stream(**self.ask)["stream"]:
            (name, data), = event.items()
            self.validate(data, shape.members[name])
            place, delta = data.get("contentBlockIndex"), data.get("delta", {})
            seen.say(delta.get("text"))
            seen.think(delta.get("reasoningContent", {}).get("text"))
            if "toolUse" in data.get("start", {}):
                seen.call(place, data["start"]["toolUse"]["name"])
            if "toolUse" in delta:
                seen.calls[place][1] += delta["toolUse"]["input"]
            last = name
        assert last in ("metadata", "messageStop"), f"the stream ends with {last}"
        return seen

    def validate(self, value, shape):
        report = botocore.validate.ParamValidator().validate(value, shape)
        if report.has_errors():
            Strict.complaints.append(report.generate_report())


class Raw:
    """What botocore reads from."""

    def __init__(self, body):
        self.body = body

    def stream(self, *_, **__):
        yield self.body

    def read(self, *_):
        body, self.body = self.body, b""
        return body

    def close(self):
        pass


class Ollama:
    def reply(self):
        return self.see([json.loads(Answer.body)])

    def stream(self):
        return self.see(map(json.loads, Answer.body.splitlines()))

    def see(self, lines):
        seen = Seen()
        for line in lines:
            seen.say(line["message"].get("content"))
            seen.think(line["message"].get("thinking"))
            for call in line["message"].get("tool_calls") or []:
                seen.call(len(seen.calls), call["function"]["name"], call["function"]["arguments"])
        return seen


# ---- strict validation ------------------------------------------------------------------------


class Strict(logging.Handler):
    """What only strict validation has to say, and what the SDKs only log."""

    complaints = []

    def emit(self, record):
        Strict.complaints.append(record.getMessage())


def validate(to, kind):
    """Every event and reply against the SDK's own types: no member is missing, none has another type."""
    if to not in EVENTS:
        return
    adapter = EVENTS[to] if kind == "stream" else REPLIES[to]
    for text in events(to) if kind == "stream" else [Answer.body]:
        if to == "gemini":
            # Google's own answers have it; the SDK forgets about it.
            text = re.sub(rb',"serviceTier":"[a-zA-Z]*"', b"", text)
        try:
            adapter.validate_json(text)
        except pydantic.ValidationError as error:
            Strict.complaints.append(f"{complaint(error)} in {text[:300]!r}")


def complaint(error):
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:4])


def events(to):
    """The data of a stream's events."""
    body = Answer.body
    if body.startswith(b"["):
        return [json.dumps(event).encode() for event in json.loads(body)]
    lines = (line[5:].strip() for line in body.splitlines() if line.startswith(b"data:"))
    # Pings are of the stream and not of the answer.
    return [line for line in lines if line and line != b"[DONE]" and not line.startswith(b'{"type": "ping"')
            and not line.startswith(b'{"type":"ping"')]


# ---- line by line -----------------------------------------------------------------------------

SDKS = {}


def begin():
    logging.getLogger().addHandler(Strict(level=logging.WARNING))
    warnings.simplefilter("ignore")
    kinds = {
        "openai": OpenAi, "responses": Responses, "anthropic": Anthropic, "gemini": Gemini,
        "cohere": Cohere, "bedrock": Bedrock, "ollama": Ollama,
    }
    for name, kind in kinds.items():
        SDKS[name] = kind()


def judge(line):
    item = json.loads(line)
    to, kind, body = item["to"], item["kind"], item["body"]
    Answer.body = body.encode() if isinstance(body, str) else base64.b64decode(body["base64"])
    streamed = STREAM_TYPES.get(to, "text/event-stream")
    if to == "gemini" and Answer.body.startswith(b"["):
        streamed = "application/json"
    Answer.content_type = streamed if kind == "stream" else "application/json"
    Strict.complaints = []
    try:
        seen = getattr(SDKS[to], kind)().whole()
        validate(to, kind)
    except Exception as error:
        text = complaint(error) if isinstance(error, pydantic.ValidationError) else str(error)
        return json.dumps({"refused": f"{type(error).__name__}: {text}"[:600]})
    judged = {"seen": seen}
    if Strict.complaints:
        judged["loose"] = Strict.complaints[0][:600]
    return json.dumps(judged)


if __name__ == "__main__":
    with open(sys.argv[1]) as answers, multiprocessing.Pool(os.cpu_count(), begin) as pool:
        for judged in pool.imap(judge, answers, chunksize=32):
            print(judged)
