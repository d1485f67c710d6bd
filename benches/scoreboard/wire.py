"""What is asked and what is answered, and how an answer proves itself.

Every answer names the upstream and the attempt that made it in each of its tokens, and ends with the
SHA-256 of all of them: a token that is lost, doubled, or of another attempt cannot go unnoticed.
Compared is the text, not the frames round it, because some of the systems rewrite those.
"""

import hashlib
import json
import re

TOKENS = 46
"""Content events of a stream. With the role's, the digest's, the finish and `[DONE]` it has 50."""
UNARY_TOKENS = 250
"""About 4 KiB."""
GAP = 0.020
"""Seconds between two content events of a stream."""
END = "#"

ID_IN_BODY = re.compile(rb"\[id (\w+)\]")
MODEL_IN_BODY = re.compile(rb'"model":\s*"([^"]+)"')
CONTENT_IN_REPLY = re.compile(rb'"content":\s*"[^"]')
LONGEST_MATCH = 32
"""More bytes than any match of it."""


def ask(test_id, stream, size, model="bench"):
    """A chat completion's request of about `size` bytes. The id is in the prompt because not every gateway passes a header or `user` on."""
    head = {"model": model, "stream": stream, "temperature": 0.7}
    pad = (f"[id {test_id}] " + "lorem ipsum dolor sit amet " * (size // 27 + 1))[: max(1, size - 140)]
    return json.dumps({**head, "messages": [{"role": "user", "content": pad}]}).encode()


def tokens(tag, count=TOKENS):
    return [f"{tag}.{n:03d} " for n in range(count)]


def digest(text):
    return END + hashlib.sha256(text.encode()).hexdigest()


def reply(tag):
    """A whole completion."""
    text = "".join(tokens(tag, UNARY_TOKENS))
    message = {"role": "assistant", "content": text + digest(text)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 500, "completion_tokens": UNARY_TOKENS, "total_tokens": 500 + UNARY_TOKENS}
    return json.dumps(
        {"id": tag, "object": "chat.completion", "created": 1780000000, "model": "bench", "choices": [choice], "usage": usage}
    ).encode()


def event(tag, delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": tag, "object": "chat.completion.chunk", "created": 1780000000, "model": "bench", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
OVERLOADED = {"error": {"message": "The engine is overloaded.", "type": "overloaded_error", "code": "overloaded"}}


def proven(text):
    """Whether the text is all of what one attempt said."""
    said, mark, proof = text.partition(END)
    return bool(mark) and END + proof == digest(said)


def read_reply(body):
    """`ok`, `error` or `wrong` of a whole answer."""
    try:
        tree = json.loads(body)
        if "error" in tree:
            return "error"
        return "ok" if proven(tree["choices"][0]["message"]["content"]) else "wrong"
    except (ValueError, KeyError, IndexError, TypeError):
        return "wrong"


def read_stream(body):
    """`ok`, `error` (the stream says that it failed) or `wrong` (it does not, and is not what was sent)."""
    text, finished = [], False
    for line in body.split(b"\n"):
        if line.startswith(b"event: error") or line.startswith(b"event:error"):
            return "error"
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            finished = True
            continue
        try:
            tree = json.loads(data)
        except ValueError:
            return "wrong"
        if tree.get("error"):
            return "error"
        for choice in tree.get("choices", []):
            text.append((choice.get("delta") or {}).get("content") or "")
    return "ok" if finished and proven("".join(text)) else "wrong"
