// A simulated upstream is broken on the page, and the page shows soon that it is, and that nobody suffers.

import assert from "node:assert/strict";
import { call, isAccessible, open, under, withPage } from "./browser.mjs";

/** It takes less than three seconds where nothing else runs; a loaded machine's browser alone may take as long. */
const LIMIT = 10_000;

export async function aBrokenUpstreamIsSeenSoon(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "faults");
    let failed = 0;
    const caller = async () => {
      const answer = await call("demo");
      await answer.text();
      if (!answer.ok) failed += 1;
    };
    await under(caller, async () => {
      await page.getByRole("button", { name: "Break sim-a" }).click();
      await page.evaluate(() => (location.hash = "#/overview"));
      const begun = Date.now();
      const wrong = page.getByRole("region", { name: "What is wrong" });
      await wrong.getByRole("link", { name: "sim-a", exact: true }).waitFor({ timeout: LIMIT });
      const took = Date.now() - begun;
      console.log(`        it is seen after ${took} ms`);
      assert.ok(took < LIMIT, `it took ${took} ms`);
      await wrong.getByText("its requests go to sim-b/gpt-5.4").first().waitFor();
      await wrong.getByText("no errors").first().waitFor();
      await page.evaluate(() => (location.hash = "#/faults"));
      await page.getByRole("button", { name: "Make well: sim-a" }).click();
      await page.evaluate(() => (location.hash = "#/overview"));
      await page.getByText("Everything works.").waitFor({ timeout: 40_000 });
    });
    assert.equal(failed, 0, "no caller noticed");
  });
}

export async function aRequestCanBeTriedOut(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "faults");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const row = page.getByRole("table", { name: "Requests that were sent from here" }).getByRole("row").nth(1);
    await row.getByText("200").waitFor();
    await row.getByText("channel: sim-").waitFor();
    await page.getByText("Own rules").first().click();
    await page.getByRole("textbox", { name: "Rules as JSON" }).first().fill("{");
    await page.getByRole("button", { name: "Set the rules of sim-a" }).click();
    await page.getByText("that is no JSON").waitFor();
  });
}

/** What a page shows while the gateway is silent is called old, and is new again when it speaks. */
export async function silenceIsSaid(browser) {
  await withPage(browser, { expects: ["Failed to load resource", "net::"] }, async (page) => {
    await open(page, "overview");
    const gateway = Number(process.env.MAINSTAY_PID);
    process.kill(gateway, "SIGSTOP");
    try {
      await page.getByText(/last heard .* ago/).waitFor({ timeout: 20_000 });
      await page.getByText("This is not of now.").waitFor();
      assert.equal(await page.getByText("Everything works.").count(), 0, "nobody knows that");
      await isAccessible(page, "the overview of a gateway that is silent");
    } finally {
      process.kill(gateway, "SIGCONT");
    }
    await page.getByRole("status").filter({ hasText: "live" }).first().waitFor({ timeout: 20_000 });
  });
}

export async function aRouteIsExplained(browser) {
  await withPage(browser, { expects: ["404"] }, async (page) => {
    await open(page, "routes");
    await page.getByRole("textbox", { name: "Model" }).fill("smart");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("img", { name: /smart goes to openai\/gpt-5.4 \(tier 0, unconfigured\), sim-a\/gpt-5.4 \(tier 1, 100 %\)/ }).waitFor();
    await page.getByText("set MAINSTAY_IT_NO_SUCH_KEY").first().waitFor();
    await page.getByRole("textbox", { name: "Model" }).fill("smrt");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("alert").getByText("no route takes smrt; near it: smart").waitFor();
  });
}

/** Requests that never come back leave the page its connections, and none goes on without it. */
export async function sendingOnEndsWithThePage(browser) {
  await withPage(browser, {}, async (page) => {
    let sent = 0;
    let left = 0;
    await page.route("**/admin/try", () => {
      sent += 1;
    });
    page.on("requestfailed", (request) => (left += request.url().endsWith("/admin/try") ? 1 : 0));
    await open(page, "faults");
    await page.getByRole("button", { name: "Send two a second" }).click();
    await page.getByText("3 are under way").waitFor();
    await page.waitForTimeout(1_500);
    assert.equal(sent, 3);
    await page.evaluate(() => (location.hash = "#/routes"));
    await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
    await page.waitForTimeout(1_500);
    assert.deepEqual([sent, left], [3, 3], "they are given up with the page");
    await page.evaluate(() => (location.hash = "#/faults"));
    await page.getByRole("button", { name: "Send two a second" }).waitFor();
  });
}

/** What callers see decides whether everything works. Made up, for here they see no failures. */
export async function whatCallersSawIsSaid(browser) {
  const quiet = { ok: 0, client_fault: 0, refused: 0, failed: 0, broken: 0, cancelled: 0, saved: 0 };
  const told = (seconds) => {
    const beat = { at: Date.now() / 1000, phase: "serving", connections: 0, in_flight: 0, revision: "", refused: false, alerts: 0, now: seconds.at(-1), upstreams: [], routes: [] };
    return `event: history\ndata: ${JSON.stringify({ seconds })}\n\nevent: beat\ndata: ${JSON.stringify(beat)}\n\n`;
  };
  for (const [seconds, banner, figures] of [
    [[quiet, { ...quiet, failed: 2, broken: 1 }], "3 requests in 5 min", ["0 % 3 in 5 min", "3 in 5 min"]],
    [[quiet, { ...quiet, refused: 7 }], "7 requests were refused", ["– all refused or given up", "7 limits, budgets, keys, no room"]],
    [[quiet, quiet], "Everything works.", ["– no traffic in 5 min"]],
  ]) {
    await withPage(browser, {}, async (page) => {
      await page.route("**/admin/live", (route) => route.fulfill({ contentType: "text/event-stream", body: told(seconds) }));
      await open(page, "overview");
      await page.locator(".banner").getByText(banner).waitFor();
      assert.equal(await page.getByText("Everything works.").count(), seconds[1].failed > 0 ? 0 : 1);
      const shown = (await page.locator(".figures dd").allInnerTexts()).map((text) => text.replace(/\s+/g, " ").trim());
      await page.locator("figcaption").getByText(`refused by the gateway: ${seconds[1].refused}`).waitFor();
      for (const figure of figures) assert.ok(shown.includes(figure), `${figure} is not in ${shown.join(" | ")}`);
      await isAccessible(page, `the overview that says ${banner}`);
    });
  }
}
