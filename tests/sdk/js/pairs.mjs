// Every official JavaScript SDK against an upstream of every dialect, as `../pairs/test_pairs.py` does it in Python:
// what the SDK understood has to be what the upstream said, and the upstream has to hear what the caller meant.
//
//     MAINSTAY_URL=... UPSTREAMS_PORT=... node pairs.mjs [--matrix FILE] [--only caller/upstream/feature, each may be *]

import { writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

import { callers, NEWEST } from "./callers.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const UPSTREAMS = ["openai", "responses", "anthropic", "gemini", "cohere", "bedrock", "ollama"];

// As in ../pairs/upstreams.py.
const TEXT = 'Hello "you"\nthere, é';
const THOUGHT = "Let me think.";
const CALLS = [
  ["get_weather", { city: "Rome", unit: "c" }],
  ["get_time", {}],
];
const USAGE = [21, 34];
const CACHED = 8;
// As in ../pairs/tasks.py.
const VECTORS = [
  [0.5, -1, 0.25],
  [1, 2, -0.5],
];
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const COUNTED = 21;

// caller/upstream/feature or feature:part, each may be *: why it cannot be, or differs. As in ../pairs/test_pairs.py.
const EXCEPTIONS = {
  "*/ollama/stop:filter": "Ollama has no filter that ends an answer",
  "*/ollama/usage:cached": "Ollama does not say how many tokens came from a cache",
  "responses/*/turns:stop": "Responses has no stop sequences",
  "vercel-openai/*/turns:stop": "Responses has no stop sequences",
  "anthropic/*/turns:temperature": "Anthropic's newest version has no temperature",
};

const check = (condition, what) => {
  if (!condition) throw new Error(what);
};

const same = (found, expected, what) =>
  check(isDeepStrictEqual(found, expected), `${what}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);

const matches = (pattern, names) => pattern.every((want, at) => want === "*" || want === names[at]);

// One SDK and one upstream.
class Pair {
  excuses = [];

  constructor(caller, upstream) {
    this.caller = caller;
    this.upstream = upstream;
    // It ends a part of the model's name, and `anthropic.` begins those of Claude's on Bedrock.
    this.tag = `js-${caller.name}-sdk`;
  }

  // Is there a reason why this part of a feature cannot be?
  lacks(part) {
    const names = [this.caller.name, this.upstream, part];
    const why = Object.entries(EXCEPTIONS).find(([key]) => matches(key.split("/"), names))?.[1];
    if (why) this.excuses.push(why);
    return Boolean(why);
  }

  model = (scenario) => `${this.upstream}/${this.tag}.${scenario}`;
  ask = (scenario, kind = "text", stream = false) => this.caller.ask(this.model(scenario), kind, stream);

  // What the upstream was asked last, by this caller.
  async sent() {
    const seen = await fetch(`http://127.0.0.1:${process.env.UPSTREAMS_PORT}/seen?${this.tag}`);
    return JSON.stringify((await seen.json()).at(-1).body);
  }

  async hears(...words) {
    const sent = await this.sent();
    for (const word of words) check(sent.includes(word), `${word} is not in ${sent}`);
  }

  async fails(scenario, stream) {
    let answer;
    try {
      answer = await this.ask(scenario, "text", stream);
    } catch (error) {
      return error;
    }
    throw new Error(`${scenario} went for an answer: ${JSON.stringify(answer)}`);
  }
}

const FEATURES = {
  async text(pair) {
    const { text, calls, stop } = await pair.ask("text");
    same([text, calls, stop], [TEXT, [], "end"], "answer");
  },
  async turns(pair) {
    same((await pair.ask("text", "turns")).text, TEXT, "text");
    const sent = await pair.sent();
    for (const words of ["Be brief.", "hello", "Yes?", "Go on."]) {
      check(sent.split(words).length === 2, `${words} is not there once in ${sent}`);
    }
    check(pair.lacks("turns:temperature") || sent.includes("0.5"), `no temperature in ${sent}`);
    // Responses has none: the gateway heeds them itself.
    const heeded = pair.lacks("turns:stop") || pair.upstream === "responses" || sent.includes("END");
    check(heeded, `no stop sequence in ${sent}`);
  },
  async tools(pair) {
    const { calls, stop } = await pair.ask("one-tool", "tools");
    same([calls, stop], [CALLS.slice(0, 1), "calls"], "call");
    await pair.hears("get_weather", "The weather", '"city"', "get_time");
  },
  async parallel(pair) {
    const { text, calls, stop } = await pair.ask("tools", "tools");
    same([text, calls, stop], ["Let me look.", CALLS, "calls"], "calls");
  },
  async results(pair) {
    same((await pair.ask("text", "loop")).text, TEXT, "text");
    await pair.hears("Rome", "clear", "noon", "The weather");
  },
  async image(pair) {
    same((await pair.ask("text", "image")).text, TEXT, "text");
    await pair.hears("What is it?", "iVBORw0KGgoAAAANSUhEUg");
  },
  async structured(pair) {
    same(JSON.parse((await pair.ask("structured", "structured")).text), { name: "Ada", age: 36 }, "object");
    // Vercel's older Google provider leaves this out itself.
    const all = NEWEST || pair.caller.name !== "vercel-google";
    await pair.hears("age", all ? "additionalProperties" : "integer");
  },
  async reasoning(pair) {
    const { thought, text } = await pair.ask("reasoning", "reasoning");
    same([thought, text], [THOUGHT, TEXT], "thought and text");
  },
  async stop(pair) {
    for (const scenario of ["length", "filter"]) {
      if (!pair.lacks(`stop:${scenario}`)) same((await pair.ask(scenario)).stop, scenario, "stop");
    }
  },
  async usage(pair) {
    const expected = [...USAGE, pair.lacks("usage:cached") ? 0 : CACHED];
    same((await pair.ask("text")).usage, expected, "usage");
    same((await pair.ask("text", "text", true)).usage, expected, "streamed usage");
  },
  async error(pair) {
    const refused = await pair.fails("refused");
    same(pair.caller.status(refused), 400, "status");
    check(refused.message.includes("That is wrong."), `refused: ${refused.message}`);
    same(pair.caller.status(await pair.fails("limited")), 429, "status");
    const status = pair.caller.status(await pair.fails("overloaded"));
    check(status >= 500, `status ${status}`);
  },
  async stream(pair) {
    const { text, calls, stop } = await pair.ask("text", "text", true);
    same([text, calls, stop], [TEXT, [], "end"], "stream");
  },
  async "stream-tools"(pair) {
    const { text, calls, stop } = await pair.ask("tools", "tools", true);
    same([text, calls, stop], ["Let me look.", CALLS, "calls"], "stream");
  },
  async "stream-reasoning"(pair) {
    const { thought, text, stop } = await pair.ask("reasoning", "reasoning", true);
    same([thought, text, stop], [THOUGHT, TEXT, "end"], "stream");
  },
  async cut(pair) {
    await FEATURES.stream(pair);
    await pair.fails("cut", true);
  },
  async embed(pair) {
    same(await pair.caller.embed(pair.model("vectors"), ["one", "two"]), VECTORS, "vectors");
    await pair.hears('"one"', '"two"');
  },
  async images(pair) {
    same(await pair.caller.draw(pair.model("picture")), PICTURE, "picture");
    await pair.hears("a dot");
  },
  async count(pair) {
    const found = await pair.caller.count(pair.model("count"));
    if (["anthropic", "gemini", "bedrock", pair.caller.name].includes(pair.upstream)) {
      same(found, COUNTED, "tokens");
      await pair.hears("hello");
    } else {
      check(found > 0 && found < 20, `${found} tokens are no count of a word`);
    }
  },
};

// What is no generation: what a caller calls it, and the upstreams whose dialect has it.
const TASKS = {
  embed: ["embed", ["openai", "gemini", "cohere", "ollama"]],
  images: ["draw", ["openai", "gemini"]],
  // Where the upstream does not count, the gateway does.
  count: ["count", UPSTREAMS],
};
const exists = (caller, upstream, feature) => {
  const [call, upstreams] = TASKS[feature] ?? ["ask", UPSTREAMS];
  return call in caller && upstreams.includes(upstream);
};

const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const wanted = (process.argv.includes("--only") ? option("--only") : "*/*/*").split("/");

const cells = {};
const failures = [];

// All cells of one caller, one after the other: what the upstream heard last belongs to what was just asked.
const run = async (caller) => {
  for (const upstream of UPSTREAMS) {
    for (const [feature, test] of Object.entries(FEATURES)) {
      const names = [caller.name, upstream, feature];
      if (!exists(caller, upstream, feature) || !matches(wanted, names)) continue;
      const cell = names.join("/");
      const pair = new Pair(caller, upstream);
      try {
        await test(pair);
        cells[cell] = pair.excuses.length ? { holds: true, why: pair.excuses } : true;
      } catch (error) {
        cells[cell] = false;
        failures.push(`${cell}: ${error.name}: ${String(error.message).slice(0, 600)}`);
      }
    }
  }
};

await Promise.all(callers(process.env.MAINSTAY_URL).map(run));
const good = Object.values(cells).filter(Boolean).length;
console.log(`JavaScript, Node ${process.version}: ${good} of ${Object.keys(cells).length} cells hold, ${failures.length} fail`);
console.log(failures.join("\n"));
// The callers ran side by side; what is written is in the order of the features, whoever was first.
const place = ([cell]) => Object.keys(FEATURES).indexOf(cell.split("/")[2]);
const sorted = Object.fromEntries(Object.entries(cells).sort((one, other) => place(one) - place(other)));
if (process.argv.includes("--matrix")) writeFileSync(option("--matrix"), JSON.stringify(sorted, null, 0));
process.exit(failures.length || good === 0 ? 1 : 0);
