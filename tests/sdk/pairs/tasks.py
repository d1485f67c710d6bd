"""What the upstreams of `upstreams.py` answer that is no generation: vectors, counts and pictures.

Written by hand after the vendors' documents; a ValueError is what the vendor would refuse. A dialect without such a
task has no answer here, so that it shows when the gateway asks for one.
"""

import base64
import struct
import urllib.parse

#: The same in 32 bits, in which some dialects carry them.
VECTORS = [[0.5, -1.0, 0.25], [1.0, 2.0, -0.5]]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
#: Tokens that were read, whatever was asked.
COUNTED = 21


def vectors_of(texts):
    texts = [texts] if isinstance(texts, str) else texts
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"texts are {texts!r}")
    return VECTORS[: len(texts)]


def openai_embed(body):
    def coded(vector):
        packed = struct.pack(f"<{len(vector)}f", *vector)
        return base64.b64encode(packed).decode() if body.get("encoding_format") == "base64" else vector

    data = [{"object": "embedding", "index": at, "embedding": coded(one)} for at, one in enumerate(vectors_of(body["input"]))]
    return {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": COUNTED, "total_tokens": COUNTED}}


def gemini_texts(requests):
    return ["".join(part["text"] for part in request["content"]["parts"]) for request in requests]


def gemini_embed(body):
    return {"embedding": {"values": vectors_of(gemini_texts([body]))[0]}}


def gemini_embed_many(body):
    if not all(request["model"].startswith("models/") for request in body["requests"]):
        raise ValueError("each request has to name its model")
    return {"embeddings": [{"values": vector} for vector in vectors_of(gemini_texts(body["requests"]))]}


def cohere_embed(body):
    if body["input_type"] not in ("search_document", "search_query", "classification", "clustering"):
        raise ValueError("input_type")
    if body.get("embedding_types", ["float"]) != ["float"]:
        raise ValueError("other types than float are not needed here")
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": COUNTED}}
    texts = body["texts"]
    return {"id": "e-1", "embeddings": {"float": vectors_of(texts)}, "texts": texts, "meta": meta, "response_type": "embeddings_by_type"}


def ollama_embed(body):
    durations = {"total_duration": 5, "load_duration": 1}
    return {"model": body["model"], "embeddings": vectors_of(body["input"]), **durations, "prompt_eval_count": COUNTED}


def openai_draw(body):
    if not body["prompt"]:
        raise ValueError("prompt")
    details = {"text_tokens": COUNTED, "image_tokens": 0}
    usage = {"input_tokens": COUNTED, "input_tokens_details": details, "output_tokens": 34, "total_tokens": COUNTED + 34}
    return {"created": 1760000000, "data": [{"b64_json": PICTURE}], "output_format": "png", "usage": usage}


def gemini_draw(body):
    if not body["contents"][0]["parts"][0]["text"]:
        raise ValueError("contents")
    part = {"inlineData": {"mimeType": "image/png", "data": PICTURE}}
    usage = {"promptTokenCount": COUNTED, "candidatesTokenCount": 34, "totalTokenCount": COUNTED + 34}
    return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}


def gemini_count(body):
    # A whole request wraps the contents, and names its model.
    if ("contents" in body) == ("generateContentRequest" in body):
        raise ValueError("contents or generateContentRequest")
    return {"totalTokens": COUNTED, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": COUNTED}]}


def anthropic_count(body):
    unknown = set(body) - set("model messages system tools tool_choice thinking output_config mcp_servers cache_control".split())
    if unknown or not body["messages"]:
        raise ValueError(f"{sorted(unknown)}: Extra inputs are not permitted")
    return {"input_tokens": COUNTED}


def responses_count(body):
    if not body["input"]:
        raise ValueError("input")
    return {"object": "response.input_tokens", "input_tokens": COUNTED}


def bedrock_count(body):
    if not body["input"]["converse"]["messages"]:
        raise ValueError("messages")
    return {"inputTokens": COUNTED}


PATHS = {
    ("openai", "/v1/embeddings"): openai_embed,
    ("openai", "/v1/images/generations"): openai_draw,
    ("responses", "/v1/responses/input_tokens"): responses_count,
    ("anthropic", "/v1/messages/count_tokens"): anthropic_count,
    ("cohere", "/v2/embed"): cohere_embed,
    ("ollama", "/api/embed"): ollama_embed,
}
GEMINI = {"embedContent": gemini_embed, "batchEmbedContents": gemini_embed_many, "countTokens": gemini_count}


def find(dialect, path, body):
    """The model that is asked, and what answers; nothing when a generation is asked for."""
    path = urllib.parse.unquote(path)
    if dialect == "gemini":
        model, verb = path.rsplit("/models/", 1)[1].rsplit(":", 1)
        return model, gemini_draw if model.endswith(".picture") and verb == "generateContent" else GEMINI.get(verb)
    if dialect == "bedrock":
        model, verb = path.removeprefix("/model/").rsplit("/", 1)
        return model, bedrock_count if verb == "count-tokens" else None
    return body.get("model"), PATHS.get((dialect, path))
