"""The official OpenAI SDK, unmodified, through the gateway: everything but `base_url` is its default,
unless a test is about exactly that."""

import base64
import json
import unittest

import openai

from gateway import URL, arrived, fault
from oracle import speaker

HELLO = [{"role": "user", "content": "hello"}]


def client(**options) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{URL}/v1", api_key="callers-key", **options)


class Answers(unittest.TestCase):
    def test_plain(self):
        answer = client().chat.completions.create(model="demo", messages=HELLO)
        self.assertIn(speaker(answer.choices[0].message.content), ("sim-a", "sim-b", "sim-c"))
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertGreater(answer.usage.completion_tokens, 0)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_plain_headers_name_the_channel(self):
        raw = client().chat.completions.with_raw_response.create(model="demo", messages=HELLO)
        self.assertRegex(raw.headers["x-mainstay-channel"], r"^sim-[abc]/demo$")
        self.assertEqual(raw.headers["x-mainstay-attempts"], "1")
        self.assertTrue(raw.headers["x-mainstay-request-id"])

    def test_streamed(self):
        chunks = list(client().chat.completions.create(model="demo", messages=HELLO, stream=True))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        self.assertIn(speaker(text), ("sim-a", "sim-b", "sim-c"))
        self.assertGreater(len(chunks), 10)
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop", "a usage chunk that nobody asked for")
        self.assertTrue(all(chunk.usage is None for chunk in chunks))

    def test_streamed_with_usage(self):
        options = {"include_usage": True}
        chunks = list(client().chat.completions.create(model="demo", messages=HELLO, stream=True, stream_options=options))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        speaker(text)
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.completion_tokens, 13, "twelve words and the seal")
        self.assertEqual(len([chunk for chunk in chunks if chunk.usage is not None]), 1)

    def test_embeddings_in_the_default_base64(self):
        answer = client().embeddings.create(model="demo", input=["one", "two"])
        self.assertEqual([item.index for item in answer.data], [0, 1])
        first = answer.data[0].embedding
        self.assertTrue(first and all(isinstance(x, float) for x in first))
        plain = client().embeddings.create(model="demo", input="one", encoding_format="float")
        self.assertEqual(len(plain.data[0].embedding), len(first))
        raw = client().embeddings.with_raw_response.create(model="demo", input="one")
        sent = json.loads(raw.http_response.content)["data"][0]["embedding"]
        self.assertEqual(len(base64.b64decode(sent)), 4 * len(first), "the SDK asks for base64 by itself")

    def test_responses(self):
        answer = client().responses.create(model="demo", input="hello")
        speaker(answer.output_text)
        self.assertEqual(answer.status, "completed")

    def test_responses_streamed(self):
        events = list(client().responses.create(model="demo", input="hello", stream=True))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        self.assertEqual(events[0].type, "response.created")
        self.assertEqual(events[-1].type, "response.completed")
        self.assertEqual(speaker(text), speaker(events[-1].response.output_text))
        numbers = [event.sequence_number for event in events]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_models(self):
        self.assertEqual({model.id for model in client().models.list()} & {"demo", "alone"}, {"demo", "alone"})


class OtherBases(unittest.TestCase):
    """Callers of other vendors change the host and nothing else."""

    def test_azure_names_the_model_in_its_path(self):
        azure = openai.AzureOpenAI(azure_endpoint=URL, api_version="2024-10-21", api_key="callers-key")
        answer = azure.chat.completions.create(model="alone", messages=HELLO)
        self.assertEqual(speaker(answer.choices[0].message.content), "lone")
        chunks = list(azure.chat.completions.create(model="alone", messages=HELLO, stream=True))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        self.assertEqual(speaker(text), "lone")
        self.assertEqual(speaker(azure.responses.create(model="alone", input="hello").output_text), "lone")
        self.assertTrue(azure.embeddings.create(model="alone", input="one").data[0].embedding)
        self.assertIn("alone", {model.id for model in azure.models.list()})
        with self.assertRaises(openai.NotFoundError) as raised:
            azure.chat.completions.create(model="nobody", messages=HELLO)
        self.assertEqual(raised.exception.code, "model_not_found")

    def test_azures_deployment_counts_for_more_than_the_model(self):
        azure = openai.AzureOpenAI(
            azure_endpoint=URL, azure_deployment="alone", api_version="2024-10-21", api_key="callers-key"
        )
        answer = azure.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
        self.assertEqual(answer.headers["x-mainstay-channel"], "lone/alone")
        self.assertEqual(answer.parse().model, "alone")

    def test_the_base_urls_of_others(self):
        for base in ("", "/openai/v1", "/v1beta/openai", "/api/v1"):
            caller = openai.OpenAI(base_url=URL + base, api_key="callers-key")
            answer = caller.chat.completions.create(model="alone", messages=HELLO)
            self.assertEqual(speaker(answer.choices[0].message.content), "lone", base)

    def test_a_base_url_with_a_mistake_is_told_what_was_meant(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            openai.OpenAI(base_url=f"{URL}/v1/v1", api_key="k").chat.completions.create(model="alone", messages=HELLO)
        self.assertIn("did you mean /v1/chat/completions?", str(raised.exception))


class Early(unittest.TestCase):
    """A head that goes out before anybody has answered: a sign of life comes before the first event."""

    def tearDown(self):
        fault("late")

    def test_streamed(self):
        chunks = client().chat.completions.create(model="late", messages=HELLO, stream=True)
        self.assertNotIn("x-mainstay-channel", chunks.response.headers)
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        self.assertEqual(speaker(text), "late")
        with client().responses.stream(model="late", input="hello") as events:
            self.assertEqual(speaker(events.get_final_response().output_text), "late")

    def test_nobody_can_answer(self):
        fault("late", {"fault": {"kind": "hang"}})
        for create in (
            lambda: client().chat.completions.create(model="late", messages=HELLO, stream=True),
            lambda: client().responses.create(model="late", input="hello", stream=True),
        ):
            with self.assertRaises(openai.APIError) as raised:
                list(create())
            self.assertIn("no answer in time after 1 attempt", str(raised.exception))


class Explained(unittest.TestCase):
    """Who asks why gets the same answers, and a comment after the end of a stream that the SDK leaves out."""

    ASK = {"x-mainstay-explain": "1"}

    def test_streamed(self):
        asking = client(default_headers=self.ASK)
        chunks = list(asking.chat.completions.create(model="demo", messages=HELLO, stream=True))
        speaker("".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices))
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")
        events = list(asking.responses.create(model="demo", input="hello", stream=True))
        self.assertEqual(events[-1].type, "response.completed")

    def test_the_comment_is_there(self):
        create = client(default_headers=self.ASK).chat.completions.with_streaming_response.create
        with create(model="demo", messages=HELLO, stream=True) as response:
            self.assertEqual(json.loads(response.headers["x-mainstay-decision"])["route"], "demo")
            last = [line for line in response.iter_lines() if line][-1]
        told = json.loads(last.removeprefix(": mainstay-decision "))
        self.assertEqual((told["outcome"], len(told["tried"])), ("ok", 1))

    def test_refused(self):
        fault("lone", {"fault": {"kind": "status", "status": 503}})
        try:
            with self.assertRaises(openai.APIStatusError) as caught:
                client(default_headers=self.ASK, max_retries=0).chat.completions.create(model="alone", messages=HELLO)
        finally:
            fault("lone")
        told = json.loads(caught.exception.response.headers["x-mainstay-decision"])
        self.assertEqual((told["tried"][0]["channel"], told["tried"][0]["status"]), ("lone/alone", 503))


class Errors(unittest.TestCase):
    def tearDown(self):
        for upstream in ("sim-a", "sim-b", "sim-c", "lone"):
            fault(upstream)

    def test_an_unknown_model_names_the_closest(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            client().chat.completions.create(model="demmo", messages=HELLO)
        self.assertIn("demo", caught.exception.body["message"])
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_a_bad_request_is_the_callers_and_asked_once(self):
        before = arrived("lone")
        fault("lone", {"fault": {"kind": "status", "status": 400}})
        with self.assertRaises(openai.BadRequestError):
            client().chat.completions.create(model="alone", messages=HELLO)
        self.assertEqual(arrived("lone"), before + 1)

    def test_a_body_without_a_model(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().post("/chat/completions", body={"messages": HELLO}, cast_to=object)
        self.assertIn("model", caught.exception.message)

    def test_an_exhausted_gateway_tells_the_sdk_not_to_repeat_its_work(self):
        calls = []
        fault("lone", {"fault": {"kind": "status", "status": 500}})
        hooked = openai.DefaultHttpxClient(event_hooks={"request": [calls.append]})
        with self.assertRaises(openai.APIStatusError) as caught:
            client(http_client=hooked).chat.completions.create(model="alone", messages=HELLO)
        self.assertGreaterEqual(caught.exception.status_code, 500)
        self.assertEqual(caught.exception.response.headers["x-should-retry"], "false")
        self.assertEqual(len(calls), 1, "the SDK repeats what the gateway has tried already")

    def test_a_stream_that_breaks_is_an_exception_and_no_short_answer(self):
        for upstream in ("sim-a", "sim-b", "sim-c"):
            fault(upstream, {"fault": {"kind": "cut", "after_events": 4, "how": "rst"}})
        got = ""
        with self.assertRaises(openai.APIError):
            for chunk in client().chat.completions.create(model="demo", messages=HELLO, stream=True):
                got += chunk.choices[0].delta.content or ""
        self.assertGreater(len(got), 0)

    def test_a_failure_before_content_is_nobodys_business(self):
        for number, kind in enumerate(("reset", "empty_stream", "quota_exhausted")):
            with self.subTest(kind):
                fault("sim-a", {"fault": {"kind": kind}})
                fault("sim-b", {"fault": {"kind": kind}})
                for _ in range(2):
                    chunks = client(max_retries=0).chat.completions.create(model="demo", messages=HELLO, stream=True)
                    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
                    self.assertEqual(speaker(text), "sim-c", number)


if __name__ == "__main__":
    unittest.main(verbosity=2)
