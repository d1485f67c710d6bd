"""Official Python SDKs as callers: each asks the same things in its own dialect and says what it understood.

Everything but the address and the key is the SDK's default, unless a scenario is about exactly that.
"""

import base64
import json

import anthropic
import boto3
import botocore.config
import cohere
import openai
from google import genai
from google.genai import types as google

from upstreams import CALLS, PERSON

KEY = "callers-key"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
    "required": ["city"],
}
CLOCK = {"type": "object", "properties": {}}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
#: The Cohere SDK's way to say that nothing is to be tried twice.
ONCE = {"max_retries": 0}
RESULTS = ['{"sky": "clear"}', "noon"]


class Said:
    """What a caller understood of an answer."""

    def __init__(self):
        self.text, self.thought, self.stop, self.usage = "", "", None, None
        self.calls = []

    def __repr__(self):
        return f"text={self.text!r} thought={self.thought!r} calls={self.calls} stop={self.stop} usage={self.usage}"


class Caller:
    """One SDK. `ask` takes a model and what to do; the kinds of request are the same for all.

    Those whose SDK has it can `embed` texts, `draw` (the picture's base64) and `count` the tokens of a request.
    """

    name = ""
    #: What its errors are called, by what happened.
    errors = {}

    def __init__(self, url):
        self.url = url

    def ask(self, model, kind="text", stream=False):
        raise NotImplementedError


class Chat(Caller):
    name = "openai"
    errors = {
        "refused": openai.BadRequestError,
        "limited": openai.RateLimitError,
        "overloaded": openai.APIStatusError,
        "cut": openai.APIError,
    }

    def __init__(self, url):
        super().__init__(url)
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    TOOLS = [
        {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": WEATHER}},
        {"type": "function", "function": {"name": "get_time", "parameters": CLOCK}},
    ]

    def body(self, kind, before):
        user = {"role": "user", "content": "hello"}
        if kind == "turns":
            first = [{"role": "system", "content": "Be brief."}, user, {"role": "assistant", "content": "Yes?"}]
            return {"messages": [*first, {"role": "user", "content": "Go on."}], "temperature": 0.5, "stop": ["END"]}
        if kind == "image":
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]}
        if kind == "tools":
            return {"messages": [user], "tools": self.TOOLS, "tool_choice": "auto"}
        if kind == "results":
            answered = {"role": "assistant", "content": before.message.content, "tool_calls": before.message.tool_calls}
            dump = before.message.model_dump(exclude_none=True)
            answered = {key: value for key, value in dump.items() if key not in ("annotations", "refusal")}
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": result}
                for call, result in zip(before.message.tool_calls, RESULTS)
            ]
            return {"messages": [user, answered, *results], "tools": self.TOOLS}
        if kind == "structured":
            form = {"name": "person", "schema": SCHEMA, "strict": True}
            return {"messages": [user], "response_format": {"type": "json_schema", "json_schema": form}}
        if kind == "reasoning":
            return {"messages": [user], "reasoning_effort": "medium", "max_completion_tokens": 20000}
        return {"messages": [user]}

    def ask(self, model, kind="text", stream=False, before=None):
        body = self.body(kind, before)
        said = Said()
        if stream:
            calls = {}
            options = {"include_usage": True}
            for chunk in self.client.chat.completions.create(model=model, stream=True, stream_options=options, **body):
                if chunk.usage:
                    said.usage = self.usage(chunk.usage)
                for choice in chunk.choices:
                    said.text += choice.delta.content or ""
                    said.thought += getattr(choice.delta, "reasoning_content", None) or ""
                    said.stop = choice.finish_reason or said.stop
                    for call in choice.delta.tool_calls or []:
                        if call.id:
                            calls[call.index] = [call.function.name, ""]
                        calls[call.index][1] += call.function.arguments or ""
            said.calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]
        else:
            answer = self.client.chat.completions.create(model=model, **body)
            said.raw = choice = answer.choices[0]
            said.text = choice.message.content or ""
            said.thought = getattr(choice.message, "reasoning_content", None) or ""
            said.calls = [
                (call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []
            ]
            said.stop, said.usage = choice.finish_reason, self.usage(answer.usage)
        said.stop = {"stop": "end", "tool_calls": "calls", "content_filter": "filter"}.get(said.stop, said.stop)
        return said

    @staticmethod
    def usage(usage):
        read = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        return usage.prompt_tokens, usage.completion_tokens, read or 0

    def embed(self, model, texts):
        return [one.embedding for one in self.client.embeddings.create(model=model, input=texts).data]

    def draw(self, model):
        return self.client.images.generate(model=model, prompt="a dot").data[0].b64_json


class Responses(Caller):
    name = "responses"
    errors = Chat.errors

    def __init__(self, url):
        super().__init__(url)
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    TOOLS = [
        {"type": "function", "name": "get_weather", "description": "The weather", "parameters": WEATHER, "strict": False},
        {"type": "function", "name": "get_time", "parameters": CLOCK, "strict": False},
    ]

    def body(self, kind, before):
        if kind == "turns":
            turns = [("user", "hello"), ("assistant", "Yes?"), ("user", "Go on.")]
            items = [{"role": role, "content": text} for role, text in turns]
            return {"instructions": "Be brief.", "input": items, "temperature": 0.5}
        if kind == "image":
            image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
            return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]}]}
        if kind == "tools":
            return {"input": "hello", "tools": self.TOOLS, "tool_choice": "auto"}
        if kind == "results":
            calls = [item for item in before.output if item.type == "function_call"]
            outputs = [
                {"type": "function_call_output", "call_id": call.call_id, "output": result}
                for call, result in zip(calls, RESULTS)
            ]
            items = [item.model_dump(exclude_none=True) for item in before.output]
            return {"input": [{"role": "user", "content": "hello"}, *items, *outputs], "tools": self.TOOLS, "store": False}
        if kind == "structured":
            return {"input": "hello", "text": {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA, "strict": True}}}
        if kind == "reasoning":
            extra = {"include": ["reasoning.encrypted_content"], "store": False, "max_output_tokens": 20000}
            return {"input": "hello", "reasoning": {"effort": "medium", "summary": "auto"}, **extra}
        return {"input": "hello"}

    def ask(self, model, kind="text", stream=False, before=None):
        body = self.body(kind, before)
        said = Said()
        if stream:
            answer, numbers, text, thought = None, [], "", ""
            for event in self.client.responses.create(model=model, stream=True, **body):
                numbers.append(event.sequence_number)
                if event.type == "response.output_text.delta":
                    text += event.delta
                if event.type == "response.reasoning_summary_text.delta":
                    thought += event.delta
                if event.type in ("response.completed", "response.incomplete"):
                    answer = event.response
            assert numbers == sorted(set(numbers)), f"sequence numbers {numbers}"
            assert answer is not None, "no response.completed"
        else:
            answer = self.client.responses.create(model=model, **body)
        said.raw = answer
        said.text = answer.output_text
        for item in answer.output:
            if item.type == "reasoning":
                said.thought += "".join(part.text for part in item.summary)
            if item.type == "function_call":
                said.calls.append((item.name, json.loads(item.arguments)))
        if stream:
            assert (text, thought) == (said.text, said.thought), f"deltas {text!r} {thought!r} are not the whole {said}"
        details = answer.incomplete_details.reason if answer.incomplete_details else None
        said.stop = {"max_output_tokens": "length", "content_filter": "filter"}.get(details, "calls" if said.calls else "end")
        usage = answer.usage
        said.usage = (usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens)
        return said

    def count(self, model):
        return self.client.responses.input_tokens.count(model=model, input="hello").input_tokens


class Messages(Caller):
    name = "anthropic"
    errors = {
        "refused": anthropic.BadRequestError,
        "limited": anthropic.RateLimitError,
        "overloaded": anthropic.APIStatusError,
        "cut": anthropic.APIError,
    }

    def __init__(self, url):
        super().__init__(url)
        self.client = anthropic.Anthropic(base_url=f"{url}/anthropic", api_key=KEY, max_retries=0)

    TOOLS = [
        {"name": "get_weather", "description": "The weather", "input_schema": WEATHER},
        {"name": "get_time", "input_schema": CLOCK},
    ]

    def body(self, kind, before):
        user = {"role": "user", "content": "hello"}
        if kind == "turns":
            system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
            turns = [user, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go on."}]
            return {"system": system, "messages": turns, "stop_sequences": ["END"]}
        if kind == "image":
            image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
            return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]}
        if kind == "tools":
            return {"messages": [user], "tools": self.TOOLS, "tool_choice": {"type": "auto"}}
        if kind == "results":
            calls = [block for block in before.content if block.type == "tool_use"]
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": result} for call, result in zip(calls, RESULTS)
            ]
            answered = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in before.content]}
            return {"messages": [user, answered, {"role": "user", "content": results}], "tools": self.TOOLS}
        if kind == "structured":
            return {"messages": [user], "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
        if kind == "reasoning":
            return {"messages": [user], "thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}, "max_tokens": 20000}
        return {"messages": [user]}

    def ask(self, model, kind="text", stream=False, before=None):
        body = {"max_tokens": 1000, **self.body(kind, before)}
        said = Said()
        if stream:
            with self.client.messages.stream(model=model, **body) as events:
                text = "".join(events.text_stream)
                answer = events.get_final_message()
        else:
            answer = self.client.messages.create(model=model, **body)
        said.raw = answer
        for block in answer.content:
            if block.type == "text":
                said.text += block.text
            if block.type == "thinking":
                said.thought += block.thinking
            if block.type == "tool_use":
                said.calls.append((block.name, block.input))
        if stream:
            assert text == said.text, f"{text!r} is not {said.text!r}"
        stops = {"end_turn": "end", "tool_use": "calls", "max_tokens": "length", "refusal": "filter"}
        said.stop = stops.get(answer.stop_reason, answer.stop_reason)
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        said.usage = (usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0), usage.output_tokens, cached)
        return said

    def count(self, model):
        return self.client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "hello"}]).input_tokens


class Gemini(Caller):
    name = "gemini"
    errors = {
        "refused": genai.errors.ClientError,
        "limited": genai.errors.ClientError,
        "overloaded": genai.errors.ServerError,
        "cut": Exception,
    }

    def __init__(self, url):
        super().__init__(url)
        self.client = genai.Client(api_key=KEY, http_options=google.HttpOptions(base_url=f"{url}/gemini"))

    TOOLS = [
        google.Tool(
            function_declarations=[
                google.FunctionDeclaration(name="get_weather", description="The weather", parameters_json_schema=WEATHER),
                google.FunctionDeclaration(name="get_time", parameters_json_schema=CLOCK),
            ]
        )
    ]

    def request(self, kind, before):
        text = google.Part.from_text
        user = google.Content(role="user", parts=[text(text="hello")])
        manual = google.AutomaticFunctionCallingConfig(disable=True)
        if kind == "turns":
            turns = [user, google.Content(role="model", parts=[text(text="Yes?")]), google.Content(role="user", parts=[text(text="Go on.")])]
            return turns, {"system_instruction": "Be brief.", "temperature": 0.5, "stop_sequences": ["END"]}
        if kind == "image":
            image = google.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
            return [google.Content(role="user", parts=[text(text="What is it?"), image])], {}
        if kind == "tools":
            return [user], {"tools": self.TOOLS, "automatic_function_calling": manual}
        if kind == "results":
            model = before.candidates[0].content
            calls = [part.function_call for part in model.parts if part.function_call]
            results = [
                google.Part(function_response=google.FunctionResponse(id=call.id, name=call.name, response={"result": result}))
                for call, result in zip(calls, RESULTS)
            ]
            turns = [user, model, google.Content(role="user", parts=results)]
            return turns, {"tools": self.TOOLS, "automatic_function_calling": manual}
        if kind == "structured":
            return [user], {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        if kind == "reasoning":
            thinking = google.ThinkingConfig(thinking_level="MEDIUM", include_thoughts=True)
            return [user], {"thinking_config": thinking, "max_output_tokens": 20000}
        return [user], {}

    def ask(self, model, kind="text", stream=False, before=None):
        contents, config = self.request(kind, before)
        asked = {"model": model, "contents": contents, "config": google.GenerateContentConfig(**config)}
        said = Said()
        if stream:
            chunks = list(self.client.models.generate_content_stream(**asked))
        else:
            chunks = [self.client.models.generate_content(**asked)]
        said.raw = chunks[-1]
        for chunk in chunks:
            for candidate in chunk.candidates or []:
                for part in (candidate.content.parts if candidate.content else None) or []:
                    if part.function_call:
                        said.calls.append((part.function_call.name, part.function_call.args or {}))
                    elif part.thought:
                        said.thought += part.text or ""
                    else:
                        said.text += part.text or ""
                if candidate.finish_reason:
                    said.stop = candidate.finish_reason.value
            usage = chunk.usage_metadata
            if usage and usage.prompt_token_count is not None:
                out = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
                said.usage = (usage.prompt_token_count, out, usage.cached_content_token_count or 0)
        stops = {"STOP": "calls" if said.calls else "end", "MAX_TOKENS": "length", "SAFETY": "filter"}
        said.stop = stops.get(said.stop, said.stop)
        return said

    def embed(self, model, texts):
        # For some models the SDK makes one content of several bare texts.
        contents = [google.Content(role="user", parts=[google.Part.from_text(text=text)]) for text in texts]
        return [one.values for one in self.client.models.embed_content(model=model, contents=contents).embeddings]

    def count(self, model):
        return self.client.models.count_tokens(model=model, contents="hello").total_tokens


class Cohere(Caller):
    name = "cohere"
    errors = {
        "refused": cohere.BadRequestError,
        "limited": cohere.TooManyRequestsError,
        "overloaded": cohere.core.api_error.ApiError,
        "cut": Exception,
    }

    def __init__(self, url):
        super().__init__(url)
        self.client = cohere.ClientV2(api_key=KEY, base_url=f"{url}/cohere")

    TOOLS = Chat.TOOLS

    def body(self, kind, before):
        user = {"role": "user", "content": "hello"}
        if kind == "turns":
            first = [{"role": "system", "content": "Be brief."}, user, {"role": "assistant", "content": "Yes?"}]
            return {"messages": [*first, {"role": "user", "content": "Go on."}], "temperature": 0.5, "stop_sequences": ["END"]}
        if kind == "image":
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]}
        if kind == "tools":
            return {"messages": [user], "tools": self.TOOLS}
        if kind == "results":
            calls = before.message.tool_calls
            answered = {"role": "assistant", "tool_calls": calls, "tool_plan": before.message.tool_plan}
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": [{"type": "document", "document": {"data": {"result": result}}}]}
                for call, result in zip(calls, RESULTS)
            ]
            return {"messages": [user, answered, *results], "tools": self.TOOLS}
        if kind == "structured":
            return {"messages": [user], "response_format": {"type": "json_object", "json_schema": SCHEMA}}
        if kind == "reasoning":
            return {"messages": [user], "thinking": {"type": "enabled", "token_budget": 8192}, "max_tokens": 20000}
        return {"messages": [user]}

    def ask(self, model, kind="text", stream=False, before=None):
        body = self.body(kind, before)
        said = Said()
        if stream:
            calls = {}
            for event in self.client.chat_stream(model=model, request_options=ONCE, **body):
                if event.type == "content-delta":
                    said.text += event.delta.message.content.text or ""
                    said.thought += event.delta.message.content.thinking or ""
                if event.type == "tool-plan-delta":
                    said.text += event.delta.message.tool_plan
                if event.type == "tool-call-start":
                    call = event.delta.message.tool_calls
                    calls[event.index] = [call.function.name, call.function.arguments or ""]
                if event.type == "tool-call-delta":
                    calls[event.index][1] += event.delta.message.tool_calls.function.arguments
                if event.type == "message-end":
                    said.stop, said.usage = event.delta.finish_reason, self.usage(event.delta.usage)
            said.calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]
        else:
            said.raw = answer = self.client.chat(model=model, request_options=ONCE, **body)
            for part in answer.message.content or []:
                said.text += getattr(part, "text", None) or ""
                said.thought += getattr(part, "thinking", None) or ""
            said.text += answer.message.tool_plan or ""
            said.calls = [(call.function.name, json.loads(call.function.arguments)) for call in answer.message.tool_calls or []]
            said.stop, said.usage = answer.finish_reason, self.usage(answer.usage)
        stops = {"COMPLETE": "end", "TOOL_CALL": "calls", "MAX_TOKENS": "length", "ERROR_TOXIC": "filter"}
        said.stop = stops.get(said.stop, said.stop)
        return said

    @staticmethod
    def usage(usage):
        cached = int(getattr(usage, "cached_tokens", None) or 0)
        return int(usage.tokens.input_tokens), int(usage.tokens.output_tokens), cached

    def embed(self, model, texts):
        asked = {"texts": texts, "input_type": "search_document", "embedding_types": ["float"]}
        return self.client.embed(model=model, request_options=ONCE, **asked).embeddings.float_


class Bedrock(Caller):
    name = "bedrock"

    def __init__(self, url):
        super().__init__(url)
        self.client = boto3.client(
            "bedrock-runtime",
            endpoint_url=f"{url}/bedrock",
            region_name="us-east-1",
            aws_access_key_id="AKIDCALLER",
            aws_secret_access_key="secret-of-the-caller",
            config=botocore.config.Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        exceptions = self.client.exceptions
        self.errors = {
            "refused": exceptions.ValidationException,
            "limited": exceptions.ThrottlingException,
            "overloaded": exceptions.ClientError,
            "cut": Exception,
        }

    TOOLS = {
        "tools": [
            {"toolSpec": {"name": "get_weather", "description": "The weather", "inputSchema": {"json": WEATHER}}},
            {"toolSpec": {"name": "get_time", "inputSchema": {"json": CLOCK}}},
        ]
    }

    def body(self, kind, before):
        user = {"role": "user", "content": [{"text": "hello"}]}
        if kind == "turns":
            turns = [user, {"role": "assistant", "content": [{"text": "Yes?"}]}, {"role": "user", "content": [{"text": "Go on."}]}]
            return {"system": [{"text": "Be brief."}], "messages": turns, "inferenceConfig": {"temperature": 0.5, "stopSequences": ["END"]}}
        if kind == "image":
            image = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}}
            return {"messages": [{"role": "user", "content": [{"text": "What is it?"}, image]}]}
        if kind == "tools":
            return {"messages": [user], "toolConfig": {**self.TOOLS, "toolChoice": {"auto": {}}}}
        if kind == "results":
            answered = before["output"]["message"]
            calls = [part["toolUse"] for part in answered["content"] if "toolUse" in part]
            results = [
                {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": result}]}}
                for call, result in zip(calls, RESULTS)
            ]
            return {"messages": [user, answered, {"role": "user", "content": results}], "toolConfig": self.TOOLS}
        if kind == "structured":
            form = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "person"}}
            return {"messages": [user], "outputConfig": {"textFormat": {"type": "json_schema", "structure": form}}}
        if kind == "reasoning":
            thinking = {"thinking": {"type": "enabled", "budget_tokens": 8192}}
            return {"messages": [user], "additionalModelRequestFields": thinking, "inferenceConfig": {"maxTokens": 20000}}
        return {"messages": [user]}

    def ask(self, model, kind="text", stream=False, before=None):
        body = self.body(kind, before)
        said = Said()
        if stream:
            calls = {}
            for event in self.client.converse_stream(modelId=model, **body)["stream"]:
                if "contentBlockStart" in event:
                    start = event["contentBlockStart"]
                    calls[start["contentBlockIndex"]] = [start["start"]["toolUse"]["name"], ""]
                if "contentBlockDelta" in event:
                    at, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
                    said.text += delta.get("text", "")
                    said.thought += delta.get("reasoningContent", {}).get("text", "")
                    if "toolUse" in delta:
                        calls[at][1] += delta["toolUse"]["input"]
                if "messageStop" in event:
                    said.stop = event["messageStop"]["stopReason"]
                if "metadata" in event:
                    said.usage = self.usage(event["metadata"]["usage"])
            said.calls = [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()]
        else:
            said.raw = answer = self.client.converse(modelId=model, **body)
            for part in answer["output"]["message"]["content"]:
                said.text += part.get("text", "")
                said.thought += part.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
                if "toolUse" in part:
                    said.calls.append((part["toolUse"]["name"], part["toolUse"]["input"]))
            said.stop, said.usage = answer["stopReason"], self.usage(answer["usage"])
        stops = {"end_turn": "end", "tool_use": "calls", "max_tokens": "length", "guardrail_intervened": "filter", "content_filtered": "filter"}
        said.stop = stops.get(said.stop, said.stop)
        return said

    @staticmethod
    def usage(usage):
        cached = usage.get("cacheReadInputTokens", 0)
        return usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0), usage["outputTokens"], cached

    def count(self, model):
        messages = [{"role": "user", "content": [{"text": "hello"}]}]
        return self.client.count_tokens(modelId=model, input={"converse": {"messages": messages}})["inputTokens"]


CALLERS = [Chat, Responses, Messages, Gemini, Cohere, Bedrock]
EXPECTED = {"calls": CALLS, "person": PERSON}
