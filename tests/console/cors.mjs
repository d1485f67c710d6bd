// A page of another site, with the official SDKs in it, asks the gateway by itself.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CALLERS, SOON } from "./browser.mjs";

const MODULES = new URL("../sdk/js/node_modules/", import.meta.url);
const KEY = process.env.MAINSTAY_IT_SECRET;
const WELCOME = "http://chat.localhost";
const STRANGE = "http://evil.localhost";

const PACKAGES = ["openai", "@anthropic-ai/sdk", "@google/genai", "@opentelemetry/api"];
/** What the SDKs import by name and use in none of the calls here. */
const UNUSED = ["p-retry", "standardwebhooks"];
const NOTHING = "export default undefined; export const Webhook = undefined;";
const IMPORTS = Object.fromEntries([...PACKAGES.map((name) => [name, `/${name}/${entry(name)}`]), ...UNUSED.map((name) => [name, "/nothing.mjs"])]);
const PAGE = `<!doctype html><title>a page</title><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

/** Where a package begins for a browser, as its package.json has it. */
function entry(name) {
  let place = JSON.parse(readFileSync(new URL(`./${name}/package.json`, MODULES), "utf8")).exports["."];
  while (typeof place === "object") place = place.browser ?? place.import ?? place.default;
  return place.replace("./", "");
}

async function withPage(browser, origin, work) {
  // The page is nowhere, and a browser asks before one that is elsewhere may reach into this machine.
  const context = await browser.newContext({ permissions: ["local-network-access"] });
  await context.route(`${origin}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === "/") return route.fulfill({ contentType: "text/html", body: PAGE });
    return route.fulfill({ contentType: "text/javascript", body: pathname === "/nothing.mjs" ? NOTHING : readFileSync(new URL(`.${pathname}`, MODULES), "utf8") });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  try {
    await page.goto(`${origin}/`);
    await work(page, said);
  } catch (error) {
    error.stack += `\nthe page said: ${said.join("\n")}`;
    throw error;
  } finally {
    await context.close();
  }
}

export async function openAisSdkAsksFromAPage(browser) {
  await withPage(browser, WELCOME, async (page) => {
    const seen = await page.evaluate(async ([baseURL, apiKey]) => {
      const { default: OpenAI } = await import("openai");
      const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0 });
      const messages = [{ role: "user", content: "hi" }];
      const whole = await client.chat.completions.create({ model: "demo", messages }).withResponse();
      const stream = await client.chat.completions.create({ model: "demo", messages, stream: true });
      let words = "";
      for await (const event of stream) words += event.choices[0]?.delta?.content ?? "";
      const refused = await new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "wrong", dangerouslyAllowBrowser: true, maxRetries: 0 }).models.list().catch((error) => error.status);
      return { whole: whole.data.choices[0].message.content, id: whole.request_id, channel: whole.response.headers.get("x-mainstay-channel"), words, refused };
    }, [CALLERS, KEY]);
    assert.ok(seen.whole.length > 0 && seen.words.length > 0, JSON.stringify(seen));
    assert.match(seen.id, /^req_/);
    assert.match(seen.channel, /^sim-[ab]\//);
    assert.equal(seen.refused, 401, "an error is read as well");
  });
}

export async function anthropicsSdkAsksFromAPage(browser) {
  await withPage(browser, WELCOME, async (page) => {
    const words = await page.evaluate(async ([baseURL, apiKey]) => {
      const { default: Anthropic } = await import("@anthropic-ai/sdk");
      const client = new Anthropic({ baseURL, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0 });
      const stream = client.messages.stream({ model: "demo", max_tokens: 99, messages: [{ role: "user", content: "hi" }] });
      return stream.finalText();
    }, [CALLERS, KEY]);
    assert.ok(words.length > 0);
  });
}

export async function googlesSdkAsksFromAPage(browser) {
  await withPage(browser, WELCOME, async (page) => {
    const words = await page.evaluate(async ([baseUrl, apiKey]) => {
      const { GoogleGenAI } = await import("@google/genai");
      const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });
      let words = "";
      for await (const chunk of await client.models.generateContentStream({ model: "demo", contents: "hi" })) words += chunk.text ?? "";
      return words;
    }, [CALLERS, KEY]);
    assert.ok(words.length > 0);
  });
}

export async function aPageThatIsNotNamedReadsNothing(browser) {
  await withPage(browser, STRANGE, async (page, said) => {
    const outcome = await page.evaluate(async ([baseURL, apiKey]) => {
      const ask = { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` }, body: '{"model":"demo","messages":[]}' };
      return fetch(`${baseURL}/v1/chat/completions`, ask).then((answer) => answer.status, (error) => String(error));
    }, [CALLERS, KEY]);
    assert.equal(outcome, "TypeError: Failed to fetch");
    assert.match(said.join("\n"), /blocked by CORS policy/);
  });
}
