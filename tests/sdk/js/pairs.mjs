// Every official JavaScript SDK against an upstream of every dialect, as `../pairs/test_pairs.py` does it in Python:
// what the SDK understood has to be what the upstream said.
//
//     MAINSTAY_URL=... node pairs.mjs [--matrix FILE] [--only caller/upstream/feature, each may be *]

import { writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

import { callers } from "./callers.mjs";

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

// caller/upstream/feature, each may be *: why it cannot be.
const EXCEPTIONS = {};

const same = (found, expected, what) => {
  if (!isDeepStrictEqual(found, expected)) {
    throw new Error(`${what}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  }
};

const fails = async (asked, what) => {
  let answer;
  try {
    answer = await asked;
  } catch {
    return;
  }
  throw new Error(`${what} went for an answer: ${JSON.stringify(answer)}`);
};

const FEATURES = {
  async text(ask) {
    const { text, calls, stop } = await ask("text", "text");
    same([text, calls, stop], [TEXT, [], "end"], "answer");
  },
  async parallel(ask) {
    const { text, calls, stop } = await ask("tools", "tools");
    same([text, calls, stop], ["Let me look.", CALLS, "calls"], "calls");
  },
  async results(ask) {
    same((await ask("text", "loop")).text, TEXT, "text");
  },
  async structured(ask) {
    same(JSON.parse((await ask("structured", "structured")).text), { name: "Ada", age: 36 }, "object");
  },
  async reasoning(ask) {
    const { thought, text } = await ask("reasoning", "reasoning");
    same([thought, text], [THOUGHT, TEXT], "thought and text");
  },
  async stop(ask) {
    same((await ask("length", "text")).stop, "length", "stop");
  },
  async usage(ask) {
    same((await ask("text", "text")).usage, USAGE, "usage");
    same((await ask("text", "text", true)).usage, USAGE, "streamed usage");
  },
  async error(ask) {
    for (const scenario of ["refused", "limited", "overloaded"]) await fails(ask(scenario, "text"), scenario);
  },
  async stream(ask) {
    const { text, calls, stop } = await ask("text", "text", true);
    same([text, calls, stop], [TEXT, [], "end"], "stream");
  },
  async "stream-tools"(ask) {
    const { text, calls, stop } = await ask("tools", "tools", true);
    same([text, calls, stop], ["Let me look.", CALLS, "calls"], "stream");
  },
  async "stream-reasoning"(ask) {
    const { thought, text } = await ask("reasoning", "reasoning", true);
    same([thought, text], [THOUGHT, TEXT], "stream");
  },
  async cut(ask) {
    await FEATURES.stream(ask);
    await fails(ask("cut", "text", true), "a cut stream");
  },
};

const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const wanted = (process.argv.includes("--only") ? option("--only") : "*/*/*").split("/");
const matches = (pattern, names) => pattern.every((want, at) => want === "*" || want === names[at]);
const excuse = (names) => Object.entries(EXCEPTIONS).find(([key]) => matches(key.split("/"), names))?.[1];

const cells = {};
const failures = [];
for (const caller of callers(process.env.MAINSTAY_URL)) {
  for (const upstream of UPSTREAMS) {
    for (const [feature, test] of Object.entries(FEATURES)) {
      const names = [caller.name, upstream, feature];
      if (!matches(wanted, names)) continue;
      const cell = names.join("/");
      const why = excuse(names);
      cells[cell] = why ? { holds: false, why: [why] } : true;
      if (why) continue;
      try {
        await test((scenario, kind, stream) => caller.ask(`${upstream}/js-${caller.name}.${scenario}`, kind, stream));
      } catch (error) {
        cells[cell] = false;
        failures.push(`${cell}: ${error.name}: ${String(error.message).slice(0, 300)}`);
      }
    }
  }
}
const good = Object.values(cells).filter((cell) => cell === true).length;
console.log(`JavaScript: ${good} of ${Object.keys(cells).length} cells hold, ${failures.length} fail`);
console.log(failures.join("\n"));
if (process.argv.includes("--matrix")) writeFileSync(option("--matrix"), JSON.stringify(cells, null, 0));
process.exit(failures.length || good === 0 ? 1 : 0);
