// The official JavaScript SDKs, each asking why its requests went where they went: they leave out the comment after the
// end of a stream, and say the same as ever.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const url = process.env.MAINSTAY_URL;
const asks = { "x-mainstay-explain": "1" };
const apiKey = "callers-key";
const messages = [{ role: "user", content: "hello" }];

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, defaultHeaders: asks });
let text = "";
let stop = null;
for await (const chunk of await openai.chat.completions.create({ model: "demo", messages, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
  stop = chunk.choices[0]?.finish_reason ?? stop;
}
assert.ok(text.length > 20, text);
assert.equal(stop, "stop");

const types = [];
for await (const event of await openai.responses.create({ model: "demo", input: "hello", stream: true })) types.push(event.type);
assert.equal(types.at(-1), "response.completed");

const anthropic = new Anthropic({ baseURL: `${url}/anthropic`, apiKey, maxRetries: 0, defaultHeaders: asks });
const message = await anthropic.messages.stream({ model: "demo", max_tokens: 100, messages }).finalMessage();
assert.equal(message.stop_reason, "end_turn");
assert.ok(message.content[0].text.length > 20);

const gemini = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: `${url}/gemini`, headers: asks } });
let words = "";
for await (const chunk of await gemini.models.generateContentStream({ model: "demo", contents: "hello" })) words += chunk.text ?? "";
assert.ok(words.length > 20, words);

// All that was on the wire.
const raw = await fetch(`${url}/v1/chat/completions`, {
  method: "POST",
  headers: { ...asks, authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
  body: JSON.stringify({ model: "demo", messages, stream: true }),
});
const lines = (await raw.text()).trim().split("\n");
assert.ok(lines.at(-1).startsWith(': mainstay-decision {"request"'), lines.at(-1));
assert.equal(lines.at(-3), "data: [DONE]");
console.log("the SDKs for JavaScript leave decisions out");
