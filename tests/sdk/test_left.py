"""Files and batches by the official OpenAI and Anthropic SDKs, unmodified, through the gateway."""

import json
import unittest

import anthropic
import openai

from gateway import URL, arrived
from oracle import speaker

HELLO = [{"role": "user", "content": "hello"}]
SIMS = ("sim-a", "sim-b", "sim-c")


def asked() -> list[int]:
    return [arrived(name) for name in SIMS]


class OpenAi(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=f"{URL}/v1", api_key="callers-key")

    def test_files(self):
        files = self.client.files
        made = files.create(file=("notes.txt", b"hello " * 500_000), purpose="user_data")
        self.assertEqual((made.object, made.bytes), ("file", 3_000_000))
        before = asked()
        for _ in range(6):
            self.assertEqual(files.retrieve(made.id).id, made.id)
        moved = [now - then for now, then in zip(asked(), before)]
        self.assertEqual(sorted(moved), [0, 0, 6], "all of them ask the one who has it")
        self.assertEqual(files.content(made.id).content, b"hello " * 500_000)
        self.assertIn(made.id, [file.id for file in files.list()])
        part = {"type": "file", "file": {"file_id": made.id}}
        answer = self.client.chat.completions.create(model="demo", messages=[{"role": "user", "content": [part]}])
        home = SIMS[moved.index(6)]
        self.assertEqual(speaker(answer.choices[0].message.content), home)
        self.assertTrue(files.delete(made.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            files.retrieve(made.id)

    def test_batches(self):
        body = {"model": "demo", "messages": HELLO}
        line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}
        file = self.client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
        begin = lambda: self.client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = self.client.batches.retrieve(begin().id)
        self.assertEqual((batch.status, batch.request_counts.completed), ("completed", 1))
        result = json.loads(self.client.files.content(batch.output_file_id).text)
        self.assertEqual(result["custom_id"], "one")
        speaker(result["response"]["body"]["choices"][0]["message"]["content"])
        self.assertEqual(self.client.batches.cancel(begin().id).status, "cancelling")
        self.assertIn(batch.id, [batch.id for batch in self.client.batches.list()])

    def test_what_is_not_there(self):
        for look in (self.client.files.retrieve, self.client.files.delete, self.client.batches.retrieve):
            with self.assertRaises(openai.NotFoundError):
                look("file-nowhere")
        with self.assertRaises(openai.NotFoundError):
            self.client.batches.cancel("batch_nowhere")

    def test_a_route_that_is_none(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.files.create(
                file=("a", b"a"), purpose="user_data", extra_headers={"x-mainstay-route": "demmo"}
            )
        self.assertIn("demo", caught.exception.body["message"])


class Anthropic(unittest.TestCase):
    def setUp(self):
        self.clients = [
            anthropic.Anthropic(base_url=base, api_key="callers-key") for base in (URL, f"{URL}/anthropic")
        ]

    def test_files(self):
        for client in self.clients:
            files = client.beta.files
            made = files.upload(file=("notes.txt", b"hello", "text/plain"))
            self.assertEqual(made.size_bytes, 5)
            self.assertEqual(files.retrieve_metadata(made.id).filename, "notes.txt")
            self.assertEqual(files.download(made.id).read(), b"hello")
            self.assertIn(made.id, [file.id for file in files.list()])
            source = {"type": "file", "file_id": made.id}
            content = [{"type": "document", "source": source}, {"type": "text", "text": "hello"}]
            answer = client.beta.messages.create(
                model="demo", max_tokens=100, messages=[{"role": "user", "content": content}], betas=["files-api-2025-04-14"]
            )
            speaker(answer.content[0].text)
            self.assertEqual(files.delete(made.id).id, made.id)
            with self.assertRaises(anthropic.NotFoundError):
                files.retrieve_metadata(made.id)

    def test_batches(self):
        for client in self.clients:
            batches = client.messages.batches
            request = {"custom_id": "one", "params": {"model": "demo", "max_tokens": 100, "messages": HELLO}}
            batch = batches.retrieve(batches.create(requests=[request]).id)
            self.assertEqual((batch.processing_status, batch.request_counts.succeeded), ("ended", 1))
            [result] = batches.results(batch.id)
            self.assertEqual(result.custom_id, "one")
            speaker(result.result.message.content[0].text)
            second = batches.create(requests=[request])
            self.assertEqual(batches.cancel(second.id).processing_status, "canceling")
            self.assertIn(second.id, [batch.id for batch in batches.list()])
            self.assertEqual(batches.delete(batch.id).id, batch.id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
