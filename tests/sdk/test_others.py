"""The official Anthropic and Google SDKs, unmodified, through the gateway: plain, streamed, refused."""

import unittest

import anthropic
from google import genai
from google.genai import errors, types

from gateway import URL, fault
from oracle import speaker

HELLO = [{"role": "user", "content": "hello"}]


class Anthropic(unittest.TestCase):
    def ask(self):
        return anthropic.Anthropic(base_url=f"{URL}/anthropic", api_key="callers-key").messages

    def test_plain(self):
        answer = self.ask().create(model="demo", max_tokens=100, messages=HELLO)
        speaker(answer.content[0].text)
        self.assertEqual(answer.stop_reason, "end_turn")
        self.assertGreater(answer.usage.output_tokens, 0)

    def test_streamed(self):
        with self.ask().stream(model="demo", max_tokens=100, messages=HELLO) as stream:
            speaker("".join(stream.text_stream))
            self.assertEqual(stream.get_final_message().stop_reason, "end_turn")

    def test_streamed_and_explained(self):
        asks = {"x-mainstay-explain": "1"}
        client = anthropic.Anthropic(base_url=f"{URL}/anthropic", api_key="callers-key", default_headers=asks)
        asking = client.messages
        with asking.stream(model="demo", max_tokens=100, messages=HELLO) as stream:
            speaker("".join(stream.text_stream))
            self.assertEqual(stream.get_final_message().stop_reason, "end_turn")
            self.assertIn('"outcome":"under_way"', stream.response.headers["x-mainstay-decision"])
        create = asking.with_streaming_response.create
        with create(model="demo", max_tokens=100, messages=HELLO, stream=True) as response:
            last = [line for line in response.iter_lines() if line][-1]
        self.assertTrue(last.startswith(': mainstay-decision {"request"'), last)

    def test_a_head_that_goes_out_before_anybody_has_answered(self):
        with self.ask().stream(model="late", max_tokens=100, messages=HELLO) as stream:
            self.assertNotIn("x-mainstay-channel", stream.response.headers)
            self.assertEqual(speaker("".join(stream.text_stream)), "late")
        fault("late", {"fault": {"kind": "hang"}})
        try:
            with self.assertRaises(anthropic.APIStatusError) as raised:
                list(self.ask().create(model="late", max_tokens=100, messages=HELLO, stream=True))
        finally:
            fault("late")
        self.assertEqual(raised.exception.body["error"]["type"], "timeout_error")

    def test_without_the_prefix(self):
        bare = anthropic.Anthropic(base_url=URL, api_key="callers-key").messages
        self.assertGreater(bare.count_tokens(model="demo", messages=HELLO).input_tokens, 0)

    def test_an_unknown_model(self):
        with self.assertRaises(anthropic.NotFoundError) as caught:
            self.ask().create(model="demmo", max_tokens=100, messages=HELLO)
        self.assertIn("demo", caught.exception.body["error"]["message"])


class Vertex(unittest.TestCase):
    """Who asked Gemini at Vertex AI, and changes the host."""

    def test_plain_and_streamed(self):
        for base in (URL, f"{URL}/gemini"):
            options = types.HttpOptions(base_url=base)
            with genai.Client(vertexai=True, api_key="callers-key", http_options=options) as client:
                speaker(client.models.generate_content(model="demo", contents="hello").text)
                chunks = client.models.generate_content_stream(model="demo", contents="hello")
                speaker("".join(chunk.text or "" for chunk in chunks))
                self.assertGreater(client.models.count_tokens(model="demo", contents="hello").total_tokens, 0)


class Gemini(unittest.TestCase):
    def ask(self):
        # Kept: the models object does not hold the client, which closes itself when it is collected.
        self.client = genai.Client(api_key="callers-key", http_options=types.HttpOptions(base_url=f"{URL}/gemini"))
        return self.client.models

    def test_plain(self):
        answer = self.ask().generate_content(model="demo", contents="hello")
        speaker(answer.text)
        self.assertGreater(answer.usage_metadata.candidates_token_count, 0)

    def test_streamed(self):
        chunks = list(self.ask().generate_content_stream(model="demo", contents="hello"))
        speaker("".join(chunk.text or "" for chunk in chunks))

    def test_streamed_and_explained(self):
        asks = types.HttpOptions(base_url=f"{URL}/gemini", headers={"x-mainstay-explain": "1"})
        client = genai.Client(api_key="callers-key", http_options=asks)
        chunks = list(client.models.generate_content_stream(model="demo", contents="hello"))
        speaker("".join(chunk.text or "" for chunk in chunks))

    def test_an_unknown_model(self):
        with self.assertRaises(errors.ClientError) as caught:
            self.ask().generate_content(model="demmo", contents="hello")
        self.assertEqual(caught.exception.code, 404)
        self.assertIn("demo", caught.exception.message)


if __name__ == "__main__":
    unittest.main(verbosity=2)
