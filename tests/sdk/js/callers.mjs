// Official JavaScript SDKs as callers: each asks the same things in its own dialect and says what it understood.
// Everything but the address and the key is the SDK's default, unless a feature is about exactly that. Where the SDK has
// it, a caller can `embed` texts, `draw` (the picture's base64) and `count` the tokens of a request as well.

import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { GoogleGenAI } from "@google/genai";
import { embedMany, generateImage, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import * as vercel from "ai";
import OpenAI from "openai";

const KEY = "callers-key";
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const IMAGE = `data:image/png;base64,${PNG}`;
const WEATHER = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string", enum: ["c", "f"] } },
  required: ["city"],
};
const CLOCK = { type: "object", properties: {} };
const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
// On a Node before 22 there is only the Vercel AI SDK before 7, where instructions have another name.
export const NEWEST = "isStepCount" in vercel;
export const RESULTS = { get_weather: '{"sky": "clear"}', get_time: "noon" };

const said = () => ({ text: "", thought: "", calls: [], stop: null, usage: null });
const named = (stops, stop) => stops[stop] ?? stop;

export class Chat {
  name = "openai";
  constructor(url) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });
  }
  tools = [
    { type: "function", function: { name: "get_weather", description: "The weather", parameters: WEATHER } },
    { type: "function", function: { name: "get_time", parameters: CLOCK } },
  ];
  async ask(model, kind, stream) {
    const messages = [{ role: "user", content: "hello" }];
    const more = {
      text: {},
      turns: {
        messages: [
          { role: "system", content: "Be brief." },
          ...messages,
          { role: "assistant", content: "Yes?" },
          { role: "user", content: "Go on." },
        ],
        temperature: 0.5,
        stop: ["END"],
      },
      image: {
        messages: [{ role: "user", content: [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: IMAGE } }] }],
      },
      tools: { tools: this.tools, tool_choice: "auto" },
      structured: { response_format: { type: "json_schema", json_schema: { name: "person", schema: SCHEMA, strict: true } } },
      reasoning: { reasoning_effort: "medium", max_completion_tokens: 20000 },
    }[kind];
    if (kind === "loop") return this.loop(model, messages);
    const out = said();
    const asked = { model, messages, ...more };
    let choice, usage;
    if (stream) {
      const events = this.client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
      for await (const chunk of events) {
        out.thought += chunk.choices[0]?.delta.reasoning_content ?? "";
        usage = chunk.usage ?? usage;
      }
      choice = (await events.finalChatCompletion()).choices[0];
    } else {
      const answer = await this.client.chat.completions.create(asked);
      [choice, usage] = [answer.choices[0], answer.usage];
      out.thought = choice.message.reasoning_content ?? "";
    }
    out.text = choice.message.content ?? "";
    out.calls = (choice.message.tool_calls ?? []).map((c) => [c.function.name, JSON.parse(c.function.arguments)]);
    out.stop = named({ stop: "end", tool_calls: "calls", content_filter: "filter" }, choice.finish_reason);
    out.usage = [usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0];
    return out;
  }
  async loop(model, messages) {
    const first = await this.client.chat.completions.create({ model: model.replace("text", "tools"), messages, tools: this.tools });
    const { message } = first.choices[0];
    const results = message.tool_calls.map((c) => ({ role: "tool", tool_call_id: c.id, content: RESULTS[c.function.name] }));
    const turns = [...messages, message, ...results];
    const answer = await this.client.chat.completions.create({ model, messages: turns, tools: this.tools });
    return { ...said(), text: answer.choices[0].message.content };
  }
  status = (error) => error.status;
  async embed(model, texts) {
    return (await this.client.embeddings.create({ model, input: texts })).data.map((one) => one.embedding);
  }
  async draw(model) {
    return (await this.client.images.generate({ model, prompt: "a dot" })).data[0].b64_json;
  }
}

export class Responses {
  name = "responses";
  constructor(url) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });
  }
  tools = [
    { type: "function", name: "get_weather", description: "The weather", parameters: WEATHER, strict: false },
    { type: "function", name: "get_time", parameters: CLOCK, strict: false },
  ];
  async ask(model, kind, stream) {
    const more = {
      text: {},
      turns: {
        instructions: "Be brief.",
        input: [
          { role: "user", content: "hello" },
          { role: "assistant", content: "Yes?" },
          { role: "user", content: "Go on." },
        ],
        temperature: 0.5,
      },
      image: {
        input: [
          { role: "user", content: [{ type: "input_text", text: "What is it?" }, { type: "input_image", image_url: IMAGE, detail: "auto" }] },
        ],
      },
      tools: { tools: this.tools, tool_choice: "auto" },
      structured: { text: { format: { type: "json_schema", name: "person", schema: SCHEMA, strict: true } } },
      reasoning: { reasoning: { effort: "medium", summary: "auto" }, store: false, include: ["reasoning.encrypted_content"] },
    }[kind];
    if (kind === "loop") return this.loop(model);
    const asked = { model, input: "hello", ...more };
    const answer = stream
      ? await this.client.responses.stream(asked).finalResponse()
      : await this.client.responses.create(asked);
    const out = said();
    for (const item of answer.output) {
      if (item.type === "message") out.text += item.content.map((part) => part.text ?? "").join("");
      if (item.type === "reasoning") out.thought += item.summary.map((part) => part.text).join("");
      if (item.type === "function_call") out.calls.push([item.name, JSON.parse(item.arguments)]);
    }
    const reason = answer.incomplete_details?.reason;
    out.stop = named({ max_output_tokens: "length", content_filter: "filter" }, reason) ?? (out.calls.length ? "calls" : "end");
    out.usage = [answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.input_tokens_details.cached_tokens];
    return out;
  }
  async loop(model) {
    const input = [{ role: "user", content: "hello" }];
    const first = await this.client.responses.create({ model: model.replace("text", "tools"), input, tools: this.tools });
    const results = first.output
      .filter((item) => item.type === "function_call")
      .map((item) => ({ type: "function_call_output", call_id: item.call_id, output: RESULTS[item.name] }));
    const answer = await this.client.responses.create({
      model,
      input: [...input, ...first.output, ...results],
      tools: this.tools,
      store: false,
    });
    return { ...said(), text: answer.output_text };
  }
  status = (error) => error.status;
  async count(model) {
    return (await this.client.responses.inputTokens.count({ model, input: "hello" })).input_tokens;
  }
}

export class Messages {
  name = "anthropic";
  constructor(url) {
    this.client = new Anthropic({ baseURL: `${url}/anthropic`, apiKey: KEY, maxRetries: 0 });
  }
  tools = [
    { name: "get_weather", description: "The weather", input_schema: WEATHER },
    { name: "get_time", input_schema: CLOCK },
  ];
  async ask(model, kind, stream) {
    const messages = [{ role: "user", content: "hello" }];
    const more = {
      text: {},
      turns: {
        system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
        messages: [...messages, { role: "assistant", content: "Yes?" }, { role: "user", content: "Go on." }],
        stop_sequences: ["END"],
      },
      image: {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "What is it?" },
              { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
            ],
          },
        ],
      },
      tools: { tools: this.tools, tool_choice: { type: "auto" } },
      structured: { output_config: { format: { type: "json_schema", schema: SCHEMA } } },
      reasoning: { thinking: { type: "adaptive" }, max_tokens: 20000 },
    }[kind];
    if (kind === "loop") return this.loop(model, messages);
    const asked = { model, messages, max_tokens: 1000, ...more };
    const answer = stream ? await this.client.messages.stream(asked).finalMessage() : await this.client.messages.create(asked);
    const out = said();
    for (const block of answer.content) {
      if (block.type === "text") out.text += block.text;
      if (block.type === "thinking") out.thought += block.thinking;
      if (block.type === "tool_use") out.calls.push([block.name, block.input]);
    }
    out.stop = named({ end_turn: "end", tool_use: "calls", max_tokens: "length", refusal: "filter" }, answer.stop_reason);
    const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens } = answer.usage;
    const cached = cache_read_input_tokens ?? 0;
    out.usage = [input_tokens + cached + (cache_creation_input_tokens ?? 0), output_tokens, cached];
    return out;
  }
  async loop(model, messages) {
    const tools = this.tools;
    const first = await this.client.messages.create({ model: model.replace("text", "tools"), messages, tools, max_tokens: 1000 });
    const results = first.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: RESULTS[block.name] }));
    const turns = [...messages, { role: "assistant", content: first.content }, { role: "user", content: results }];
    const answer = await this.client.messages.create({ model, messages: turns, tools, max_tokens: 1000 });
    return { ...said(), text: answer.content.map((block) => block.text ?? "").join("") };
  }
  status = (error) => error.status;
  async count(model) {
    return (await this.client.messages.countTokens({ model, messages: [{ role: "user", content: "hello" }] })).input_tokens;
  }
}

export class Gemini {
  name = "gemini";
  constructor(url) {
    this.client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: `${url}/gemini` } });
  }
  tools = [
    {
      functionDeclarations: [
        { name: "get_weather", description: "The weather", parametersJsonSchema: WEATHER },
        { name: "get_time", parametersJsonSchema: CLOCK },
      ],
    },
  ];
  async ask(model, kind, stream) {
    const config = {
      text: {},
      turns: { systemInstruction: "Be brief.", temperature: 0.5, stopSequences: ["END"] },
      image: {},
      tools: { tools: this.tools },
      structured: { responseMimeType: "application/json", responseJsonSchema: SCHEMA },
      reasoning: { thinkingConfig: { includeThoughts: true, thinkingLevel: "MEDIUM" } },
    }[kind];
    if (kind === "loop") return this.loop(model);
    const turn = (role, ...parts) => ({ role, parts });
    const contents = {
      turns: [turn("user", { text: "hello" }), turn("model", { text: "Yes?" }), turn("user", { text: "Go on." })],
      image: [turn("user", { text: "What is it?" }, { inlineData: { mimeType: "image/png", data: PNG } })],
    }[kind];
    const asked = { model, contents: contents ?? "hello", config };
    const chunks = [];
    if (stream) for await (const chunk of await this.client.models.generateContentStream(asked)) chunks.push(chunk);
    else chunks.push(await this.client.models.generateContent(asked));
    const out = said();
    for (const chunk of chunks) {
      const candidate = chunk.candidates?.[0];
      for (const part of candidate?.content?.parts ?? []) {
        if (part.functionCall) out.calls.push([part.functionCall.name, part.functionCall.args ?? {}]);
        else if (part.thought) out.thought += part.text ?? "";
        else out.text += part.text ?? "";
      }
      out.stop = candidate?.finishReason ?? out.stop;
      const usage = chunk.usageMetadata;
      if (usage?.promptTokenCount) {
        const answered = (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0);
        out.usage = [usage.promptTokenCount, answered, usage.cachedContentTokenCount ?? 0];
      }
    }
    out.stop = named({ STOP: out.calls.length ? "calls" : "end", MAX_TOKENS: "length", SAFETY: "filter" }, out.stop);
    return out;
  }
  async loop(model) {
    const user = { role: "user", parts: [{ text: "hello" }] };
    const config = { tools: this.tools };
    const first = await this.client.models.generateContent({ model: model.replace("text", "tools"), contents: [user], config });
    const { content } = first.candidates[0];
    const parts = content.parts
      .filter((part) => part.functionCall)
      .map(({ functionCall: { id, name } }) => ({ functionResponse: { id, name, response: { result: RESULTS[name] } } }));
    const contents = [user, content, { role: "user", parts }];
    const answer = await this.client.models.generateContent({ model, contents, config });
    return { ...said(), text: answer.text };
  }
  status = (error) => error.status;
  async embed(model, texts) {
    // For some models the SDK makes one content of several bare texts.
    const contents = texts.map((text) => ({ role: "user", parts: [{ text }] }));
    return (await this.client.models.embedContent({ model, contents })).embeddings.map((one) => one.values);
  }
  async count(model) {
    return (await this.client.models.countTokens({ model, contents: "hello" })).totalTokens;
  }
}

// The Vercel AI SDK speaks through a provider package; what it does with the answer is the same for all.
class Vercel {
  constructor(name, provider, ...can) {
    this.name = name;
    this.model = provider;
    if (can.includes("embed")) {
      this.embed = async (model, values) =>
        (await embedMany({ model: provider.embeddingModel(model), values, maxRetries: 0 })).embeddings;
    }
    if (can.includes("draw")) {
      this.draw = async (model) =>
        (await generateImage({ model: provider.imageModel(model), prompt: "a dot", maxRetries: 0 })).image.base64;
    }
  }
  tools = {
    get_weather: tool({ description: "The weather", inputSchema: jsonSchema(WEATHER) }),
    get_time: tool({ inputSchema: jsonSchema(CLOCK) }),
  };
  async ask(model, kind, stream) {
    const asked = { model: this.model(model), prompt: "hello", maxRetries: 0 };
    if (kind === "loop") return this.loop(model, asked);
    const out = said();
    if (kind === "structured") {
      const { object } = await generateObject({ ...asked, schema: jsonSchema(SCHEMA) });
      return { ...out, text: JSON.stringify(object), stop: "end" };
    }
    if (kind === "tools") asked.tools = this.tools;
    if (kind === "turns") {
      delete asked.prompt;
      asked[NEWEST ? "instructions" : "system"] = "Be brief.";
      asked.messages = [
        { role: "user", content: "hello" },
        { role: "assistant", content: "Yes?" },
        { role: "user", content: "Go on." },
      ];
      asked.temperature = 0.5;
      asked.stopSequences = ["END"];
    }
    if (kind === "image") {
      const image = { type: "file", data: PNG, mediaType: "image/png" };
      delete asked.prompt;
      asked.messages = [{ role: "user", content: [{ type: "text", text: "What is it?" }, image] }];
    }
    if (kind === "reasoning") {
      asked.providerOptions = {
        openai: { reasoningEffort: "medium", reasoningSummary: "auto", store: false, forceReasoning: true },
        anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } },
        google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } },
      };
    }
    let answer;
    if (stream) {
      let failed;
      const result = streamText({ ...asked, onError: ({ error }) => (failed = error) });
      await result.consumeStream();
      if (failed) throw failed;
      answer = {
        text: await result.text,
        reasoningText: await result.reasoningText,
        toolCalls: await result.toolCalls,
        finishReason: await result.finishReason,
        usage: await result.usage,
      };
      if (answer.finishReason === "error") throw new Error("finish reason: error");
    } else {
      answer = await generateText(asked);
    }
    out.text = answer.text;
    out.thought = answer.reasoningText ?? "";
    out.calls = answer.toolCalls.map((call) => [call.toolName, call.input]);
    out.stop = named({ stop: "end", "tool-calls": "calls", "content-filter": "filter" }, answer.finishReason);
    const { inputTokens, outputTokens, inputTokenDetails } = answer.usage;
    out.usage = [inputTokens, outputTokens, inputTokenDetails.cacheReadTokens ?? 0];
    return out;
  }
  // Two steps by hand: another model answers the results than made the calls.
  async loop(model, asked) {
    const first = await generateText({
      ...asked,
      model: this.model(model.replace("text", "tools")),
      tools: this.tools,
      stopWhen: stepCountIs(1),
    });
    const results = first.toolCalls.map((call) => ({
      type: "tool-result",
      toolCallId: call.toolCallId,
      toolName: call.toolName,
      output: { type: "text", value: RESULTS[call.toolName] },
    }));
    const messages = [{ role: "user", content: "hello" }, ...first.response.messages, { role: "tool", content: results }];
    // Its OpenAI provider refers to items that it believes to be stored; only the upstream of responses, whose
    // answers pass, stores none.
    const providerOptions = model.startsWith("responses/") ? { openai: { store: false } } : undefined;
    const answer = await generateText({ ...asked, prompt: undefined, messages, tools: this.tools, providerOptions });
    return { ...said(), text: answer.text };
  }
  // Some of its providers wrap what went wrong.
  status = (error) => error.statusCode ?? error.lastError?.statusCode ?? error.cause?.statusCode;
}

export const callers = (url) => [
  new Chat(url),
  new Responses(url),
  new Messages(url),
  new Gemini(url),
  new Vercel("vercel-openai", createOpenAI({ baseURL: `${url}/v1`, apiKey: KEY }), "embed", "draw"),
  new Vercel("vercel-compatible", createOpenAICompatible({
    name: "mainstay",
    baseURL: `${url}/v1`,
    apiKey: KEY,
    includeUsage: true,
    supportsStructuredOutputs: true,
  }), "embed", "draw"),
  new Vercel("vercel-anthropic", createAnthropic({ baseURL: `${url}/anthropic/v1`, apiKey: KEY })),
  new Vercel("vercel-google", createGoogleGenerativeAI({ baseURL: `${url}/gemini/v1beta`, apiKey: KEY }), "embed"),
];
