"""Official SDKs, unmodified, with a key that is right, wrong, late, or replaced while they ask."""

import datetime
import hashlib
import os
import threading
import unittest
from pathlib import Path
from unittest import mock

import anthropic
import boto3
import botocore.auth
import botocore.config
import cohere
import openai
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors, types

from gateway import URL, admin, metric

OLD, NEW = Path(os.environ["SECRET_OLD"]), Path(os.environ["SECRET_NEW"])
RIGHT, WRONG = OLD.read_text(), "a-key-of-somebody-else"
HELLO = [{"role": "user", "content": "hello"}]


def chat(key):
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0)
    return client.chat.completions.create(model="demo", messages=HELLO).choices[0].message.content


class OpenAi(unittest.TestCase):
    def test_a_key_that_is_right(self):
        self.assertTrue(chat(RIGHT))
        client = openai.OpenAI(base_url=f"{URL}/v1", api_key=RIGHT, max_retries=0)
        self.assertTrue(client.responses.create(model="demo", input="hello", store=False).output_text)
        self.assertIn("demo", [model.id for model in client.models.list()])

    def test_one_that_is_wrong(self):
        client = openai.OpenAI(base_url=f"{URL}/v1", api_key=WRONG, max_retries=0)
        asks = [
            lambda: client.chat.completions.create(model="demo", messages=HELLO),
            lambda: client.chat.completions.create(model="demo", messages=HELLO, stream=True),
            lambda: client.responses.create(model="demo", input="hello"),
            lambda: client.models.list(),
        ]
        for ask in asks:
            with self.assertRaises(openai.AuthenticationError) as caught:
                ask()
            self.assertEqual(caught.exception.code, "invalid_api_key")
            self.assertNotIn(WRONG, str(caught.exception))


class Anthropic(unittest.TestCase):
    def ask(self, **key):
        client = anthropic.Anthropic(base_url=f"{URL}/anthropic", max_retries=0, **key)
        return client.messages.create(model="demo", max_tokens=99, messages=HELLO).content[0].text

    def test_a_key_that_is_right(self):
        self.assertTrue(self.ask(api_key=RIGHT))
        self.assertTrue(self.ask(auth_token=RIGHT))

    def test_one_that_is_wrong(self):
        for way in ("api_key", "auth_token"):
            with self.assertRaises(anthropic.AuthenticationError) as caught:
                self.ask(**{way: WRONG})
            self.assertEqual(caught.exception.body["error"]["type"], "authentication_error")


class Gemini(unittest.TestCase):
    def ask(self, key):
        self.client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=f"{URL}/gemini"))
        return self.client.models.generate_content(model="demo", contents="hello").text

    def test_a_key_that_is_right(self):
        self.assertTrue(self.ask(RIGHT))

    def test_one_that_is_wrong(self):
        with self.assertRaises(errors.ClientError) as caught:
            self.ask(WRONG)
        self.assertEqual((caught.exception.code, caught.exception.status), (400, "INVALID_ARGUMENT"))
        self.assertIn("API_KEY_INVALID", str(caught.exception.details))


class Cohere(unittest.TestCase):
    def ask(self, key):
        client = cohere.ClientV2(base_url=f"{URL}/cohere", api_key=key)
        answer = client.chat(model="demo", messages=HELLO, request_options={"max_retries": 0})
        return answer.message.content[0].text

    def test_a_key_that_is_right(self):
        self.assertTrue(self.ask(RIGHT))

    def test_one_that_is_wrong(self):
        with self.assertRaises(cohere.UnauthorizedError):
            self.ask(WRONG)


class Bedrock(unittest.TestCase):
    def client(self, secret=RIGHT, name="shop", **more):
        return boto3.client(
            "bedrock-runtime",
            endpoint_url=f"{URL}/bedrock",
            region_name="eu-central-1",
            aws_access_key_id=name,
            aws_secret_access_key=secret,
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
            **more,
        )

    def ask(self, client, model="demo"):
        messages = [{"role": "user", "content": [{"text": "hello"}]}]
        return client.converse(modelId=model, messages=messages)["output"]["message"]["content"][0]["text"]

    def test_anthropics_sdk_signs_too(self):
        client = anthropic.AnthropicBedrock(
            aws_region="eu-central-1", aws_access_key="shop", aws_secret_key=RIGHT, base_url=f"{URL}/bedrock", max_retries=0
        )
        for model in ("demo", "arn:aws:bedrock:eu-central-1:1:inference-profile/x y"):
            asks = {"model": model, "max_tokens": 99, "messages": HELLO, "betas": ["context-1m-2025-08-07"]}
            if model == "demo":
                self.assertTrue(client.beta.messages.create(**asks).content[0].text)
                with client.beta.messages.stream(**asks) as stream:
                    self.assertTrue("".join(stream.text_stream))
            else:
                with self.assertRaises(anthropic.NotFoundError):
                    client.beta.messages.create(**asks)

    def refused(self, code, client):
        with self.assertRaises(ClientError) as caught:
            self.ask(client)
        answer = caught.exception.response
        self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, 403))
        return answer["Error"]["Message"]

    def test_a_signature_that_holds(self):
        self.assertTrue(self.ask(self.client()))
        self.assertTrue(self.ask(self.client(aws_session_token="a+session/token==")))
        messages = [{"role": "user", "content": [{"text": "hello"}]}]
        stream = self.client().converse_stream(modelId="demo", messages=messages)["stream"]
        self.assertTrue(any("contentBlockDelta" in event for event in stream))
        counted = self.client().count_tokens(modelId="demo", input={"converse": {"messages": messages}})
        self.assertGreater(counted["inputTokens"], 0)

    def test_a_name_that_has_to_be_encoded(self):
        with self.assertRaises(ClientError) as caught:
            self.ask(self.client(), model="arn:aws:bedrock:eu-central-1:1:inference-profile/x y")
        self.assertEqual(caught.exception.response["Error"]["Code"], "ResourceNotFoundException")

    def test_what_is_wrong(self):
        self.assertIn("signature is not the one", self.refused("InvalidSignatureException", self.client(WRONG)))
        self.refused("InvalidSignatureException", self.client(name="till"))

    def test_a_clock_that_is_late_or_early(self):
        now = botocore.auth.get_current_datetime
        for minutes in (-6, 6):
            away = lambda *args, **kwargs: now(*args, **kwargs) + datetime.timedelta(minutes=minutes)
            with mock.patch.object(botocore.auth, "get_current_datetime", away):
                said = self.refused("InvalidSignatureException", self.client())
            self.assertIn("five minutes", said)

    def test_the_hash_of_the_body(self):
        def with_hash(value):
            client = self.client()
            put = lambda request, **_: request.headers.__setitem__("X-Amz-Content-SHA256", value(request))
            client.meta.events.register("before-sign.bedrock-runtime.Converse", put)
            return client

        self.assertTrue(self.ask(with_hash(lambda request: hashlib.sha256(request.data).hexdigest())))
        self.refused("InvalidSignatureException", with_hash(lambda _: hashlib.sha256(b"{}").hexdigest()))
        self.refused("InvalidSignatureException", with_hash(lambda _: "UNSIGNED-PAYLOAD"))


class ZRotation(unittest.TestCase):
    """Last, since it ends the first secret."""

    def test_a_secret_is_replaced_while_callers_ask(self):
        new, stop, errors, asked = "the-second-secret-of-shop", threading.Event(), [], [0]
        held = {"key": RIGHT}

        def ask():
            while not stop.is_set():
                try:
                    chat(held["key"])
                    asked[0] += 1
                except openai.OpenAIError as error:
                    errors.append(error)

        def more(count):
            wanted = asked[0] + count
            while asked[0] < wanted and not errors:
                stop.wait(0.01)

        callers = [threading.Thread(target=ask) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            more(10)
            NEW.write_text(new)
            admin("POST", "/admin/reload")
            more(10)
            held["key"] = new
            # Those who had begun with the old one have to come to an end.
            more(10)
            OLD.unlink()
            admin("POST", "/admin/reload")
            more(10)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        self.assertEqual(errors, [])
        # By now so many wrong keys have come from here that whoever sends another may be told to wait.
        with self.assertRaises((openai.AuthenticationError, openai.RateLimitError)):
            chat(RIGHT)
        self.assertGreater(metric("mainstay_access_total", key="shop", result="allowed"), 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
