"""The official Anthropic SDK in the modes that it has for clouds, unmodified, through the gateway: whole, streamed, with
tools, refused; with an upstream of its own dialect and with one of another."""

import json
import unittest

import anthropic
import boto3
from botocore.exceptions import ClientError

from gateway import URL, fault
from oracle import speaker

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
# A model of the gateway, and the upstream behind it: one that speaks Anthropic's dialect, and one that does not.
MODELS = {"alone": "lone", "translated": "chat"}


def canned(body: str, kind: str) -> dict:
    answer = {"kind": "canned", "status": 200, "headers": [["content-type", kind]], "chunks": [{"gap_ms": 0, "text": body}]}
    return {"fault": answer}


def call(model: str, streamed: bool) -> dict:
    """A call of the tool, as the model's upstream says it."""
    if model == "alone":
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [block],
                   "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 5}}
        if not streamed:
            return canned(json.dumps(message), "application/json")
        said = json.dumps(block["input"])
        events = [
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": said}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return canned(text, "text/event-stream")
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    answer = {"id": "c", "created": 1, "model": "m", "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
    choice = {"index": 0, "finish_reason": "tool_calls"}
    if not streamed:
        body = {**answer, "object": "chat.completion", "choices": [{**choice, "message": message}]}
        return canned(json.dumps(body), "application/json")
    body = {**answer, "object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
    return canned(f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n", "text/event-stream")


class Cloud:
    """What holds of every cloud; `client` is its own."""

    def tearDown(self):
        for upstream in MODELS.values():
            fault(upstream)

    def test_whole(self):
        for model, upstream in MODELS.items():
            answer = self.client().messages.create(model=model, max_tokens=100, messages=HELLO)
            self.assertEqual(speaker(answer.content[0].text), upstream)
            self.assertEqual((answer.stop_reason, answer.model), ("end_turn", model))
            self.assertGreater(answer.usage.output_tokens, 0)

    def test_streamed(self):
        for model, upstream in MODELS.items():
            with self.client().messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
                self.assertEqual(speaker("".join(stream.text_stream)), upstream)
                message = stream.get_final_message()
            self.assertEqual(message.stop_reason, "end_turn")
            self.assertGreater(message.usage.output_tokens, 0)

    def test_betas(self):
        answer = self.client().beta.messages.create(model="alone", max_tokens=100, messages=HELLO, betas=["context-1m-2025-08-07"])
        self.assertEqual(speaker(answer.content[0].text), "lone")

    def test_tools(self):
        for model, upstream in MODELS.items():
            asks = {"model": model, "max_tokens": 100, "messages": HELLO, "tools": [TOOL]}
            fault(upstream, call(model, streamed=False))
            whole = self.client().messages.create(**asks)
            fault(upstream, call(model, streamed=True))
            with self.client().messages.stream(**asks) as stream:
                streamed = stream.get_final_message()
            for answer in (whole, streamed):
                self.assertEqual(answer.stop_reason, "tool_use")
                self.assertEqual((answer.content[0].name, answer.content[0].input), ("weather", {"city": "Oslo"}))
                self.assertEqual(answer.usage.output_tokens, 5)

    def test_an_unknown_model(self):
        with self.assertRaises(anthropic.NotFoundError) as caught:
            self.client().messages.create(model="alonne", max_tokens=100, messages=HELLO)
        self.assertIn("did you mean `alone`?", str(caught.exception))

    def test_a_limit(self):
        for model, upstream in MODELS.items():
            fault(upstream, {"fault": {"kind": "rate_limited", "retry_after_ms": 60_000}})
            for stream in (False, True):
                with self.assertRaises(anthropic.RateLimitError):
                    self.client().messages.create(model=model, max_tokens=100, messages=HELLO, stream=stream)

    def test_an_error_in_a_stream(self):
        for model, upstream in MODELS.items():
            fault(upstream, {"fault": {"kind": "in_band_error", "after_events": 3}})
            with self.assertRaises(anthropic.APIStatusError):
                list(self.client().messages.create(model=model, max_tokens=100, messages=HELLO, stream=True))


class Vertex(Cloud, unittest.TestCase):
    def client(self, base="/v1"):
        return anthropic.AnthropicVertex(
            region="us-east5", project_id="project-1", access_token="callers-key", base_url=URL + base, max_retries=0
        )

    def test_the_bases_that_it_may_have(self):
        for base in ("", "/v1", "/v1beta1", "/anthropic/v1"):
            answer = self.client(base).messages.create(model="alone", max_tokens=100, messages=HELLO)
            self.assertEqual(speaker(answer.content[0].text), "lone", base)

    def test_tokens_are_counted(self):
        self.assertGreater(self.client().messages.count_tokens(model="alone", messages=HELLO).input_tokens, 0)
        with self.assertRaises(anthropic.NotFoundError):
            self.client().messages.count_tokens(model="alonne", messages=HELLO)


class Bedrock(Cloud, unittest.TestCase):
    def client(self, base="/bedrock"):
        return anthropic.AnthropicBedrock(
            aws_region="eu-central-1", api_key="callers-key", base_url=URL + base, max_retries=0
        )

    def test_at_the_bare_host(self):
        answer = self.client("").messages.create(model="alone", max_tokens=100, messages=HELLO)
        self.assertEqual(speaker(answer.content[0].text), "lone")

    def test_a_name_that_has_to_be_encoded(self):
        with self.assertRaises(anthropic.NotFoundError) as caught:
            arn = "arn:aws:bedrock:eu-central-1:1:inference-profile/us.anthropic.claude-x-v1:0"
            self.client().messages.create(model=arn, max_tokens=100, messages=HELLO)
        self.assertIn(arn, str(caught.exception))


class Invoke(unittest.TestCase):
    """AWS' own SDK, which has it that bodies are the model's affair."""

    BODY = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": HELLO})

    def client(self):
        return boto3.client(
            "bedrock-runtime",
            endpoint_url=f"{URL}/bedrock",
            region_name="eu-central-1",
            aws_access_key_id="caller",
            aws_secret_access_key="callers-key",
        )

    def test_whole(self):
        for model, upstream in MODELS.items():
            answer = self.client().invoke_model(modelId=model, body=self.BODY)
            self.assertEqual(answer["contentType"], "application/json")
            self.assertEqual(speaker(json.loads(answer["body"].read())["content"][0]["text"]), upstream)

    def test_streamed(self):
        for model, upstream in MODELS.items():
            answer = self.client().invoke_model_with_response_stream(modelId=model, body=self.BODY)
            self.assertEqual(answer["contentType"], "application/json")
            events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
            deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
            self.assertEqual(speaker("".join(delta["text"] for delta in deltas)), upstream)
            metrics = events[-1]["amazon-bedrock-invocationMetrics"]
            self.assertGreater(metrics["outputTokenCount"], 0)
            self.assertGreaterEqual(metrics["invocationLatency"], metrics["firstByteLatency"])

    def test_the_body_of_another_vendors_model(self):
        with self.assertRaises(ClientError) as caught:
            self.client().invoke_model(modelId="alone", body=json.dumps({"inputText": "hello"}))
        self.assertEqual(caught.exception.response["Error"]["Code"], "ValidationException")
        self.assertIn("Converse", caught.exception.response["Error"]["Message"])

    def test_a_limit(self):
        fault("lone", {"fault": {"kind": "rate_limited", "retry_after_ms": 60_000}})
        client = self.client()
        try:
            with self.assertRaises(client.exceptions.ThrottlingException):
                client.invoke_model(modelId="alone", body=self.BODY)
        finally:
            fault("lone")

    def test_an_error_in_a_stream(self):
        fault("lone", {"fault": {"kind": "in_band_error", "after_events": 3}})
        try:
            answer = self.client().invoke_model_with_response_stream(modelId="alone", body=self.BODY)
            with self.assertRaises(ClientError) as caught:
                list(answer["body"])
        finally:
            fault("lone")
        self.assertIn(caught.exception.response["Error"]["Code"], ("serviceUnavailableException", "internalServerException"))


del Cloud  # It is no test by itself.

if __name__ == "__main__":
    unittest.main(verbosity=2)
