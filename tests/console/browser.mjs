// A real Chromium, and pages of the console in it that tell of every error.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const ADMIN = process.env.MAINSTAY_ADMIN_URL;
export const CALLERS = process.env.MAINSTAY_URL;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const WIDE = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 800 };

/** Longest that anything on a page may take to appear, in milliseconds; a beat comes each second. */
export const SOON = 10_000;

export async function launch() {
  // Root has no sandbox; the only pages here are our own.
  return chromium.launch({ executablePath: process.env.MAINSTAY_CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
}

/** Runs `work` with a page, and fails on whatever the page complains of, or asks of anybody but the gateway. */
export async function withPage(browser, { size = WIDE, scheme = "light", expects = [] } = {}, work) {
  const context = await browser.newContext({ viewport: size, colorScheme: scheme, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(ADMIN) && !request.url().startsWith("blob:")) complaints.push(`asks ${request.url()}`);
  });
  try {
    await work(page);
  } catch (error) {
    error.message += `\nthe page said: ${complaints.join("\n")}\n${await page.locator("body").innerText().catch(() => "")}`;
    throw error;
  } finally {
    await context.close();
  }
  const unexpected = complaints.filter((complaint) => !expects.some((expected) => complaint.includes(expected)));
  assert.deepEqual(unexpected, [], "the page complains of nothing");
}

/** Opens the page of this name, and waits until it has heard of the gateway. */
export async function open(page, name) {
  await page.goto(`${ADMIN}/#/${name}`);
  await page.getByRole("status").filter({ hasText: "live" }).first().waitFor();
  await page.locator("main h1").first().waitFor({ state: "attached" });
  await page.waitForFunction(() => !document.body.innerText.includes("Asking …"));
}

/** What axe-core finds, but for nothing. Evaluated by the debugger, which the page's policy does not concern. */
export async function isAccessible(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(said, [], `axe at ${where}`);
}

export async function call(model, { key, stream = false } = {}) {
  return fetch(`${CALLERS}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "hi" }] }),
  });
}

export async function admin(method, path, body) {
  const answer = await fetch(`${ADMIN}${path}`, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${answer.ok ? "" : await answer.clone().text()}`);
  return answer.json();
}

/** The id of a request that another channel answered, since sim-a failed it. */
export async function failedOver() {
  // Whoever asks whether it is well, and not for an answer, does not use it up.
  await admin("PUT", "/admin/simulated/sim-a", { when: { path_prefix: "/v1/chat/" }, first: 1, fault: { kind: "status", status: 500 } });
  for (let number = 0; number < 20; number += 1) {
    const answer = await call("demo", { stream: true });
    await answer.text();
    if (answer.headers.get("x-mainstay-attempts") === "2") return answer.headers.get("x-mainstay-request-id");
  }
  assert.fail("none of twenty requests needed another attempt");
}

/** Calls `work` again and again for as long as `meanwhile` takes. */
export async function under(work, meanwhile, every = 100) {
  let goesOn = true;
  const calls = (async () => {
    while (goesOn) {
      await work();
      await new Promise((wake) => setTimeout(wake, every));
    }
  })();
  try {
    return await meanwhile();
  } finally {
    goesOn = false;
    await calls;
  }
}
