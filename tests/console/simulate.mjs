// Outages are rehearsed on the page: what they come to, what is wrong with a script, and another configuration beside it.

import assert from "node:assert/strict";
import { PHONE, WIDE, admin, isAccessible, open, withPage } from "./browser.mjs";

/** A rehearsal of some hours takes a moment, and longer on a loaded machine. */
const DONE = 60_000;
const WISH = { outages: ["provider-down=sim-a"], rate: 1, duration: "2h", seed: 3, claims: ["success >= 99%"] };

const report = (page, name) => page.getByRole("region", { name: `Report of ${name}` });
const fill = (page, label, text) => page.getByLabel(label, { exact: true }).fill(text);

async function wish(page) {
  await fill(page, "Of which upstream", "sim-a");
  await fill(page, "Requests a second", String(WISH.rate));
  await fill(page, "For how long", WISH.duration);
  await fill(page, "Seed", String(WISH.seed));
  await fill(page, "What should hold", WISH.claims[0]);
}

export async function aRehearsedOutageIsCharted(browser) {
  const expected = await admin("POST", "/admin/simulate", WISH);
  const { totals, minutes } = expected.reports[0];
  assert.ok(totals.success > 0.99 && totals.requests > 5_000, JSON.stringify(totals));
  for (const [size, scheme] of [[WIDE, "light"], [PHONE, "dark"]]) {
    await withPage(browser, { size, scheme }, async (page) => {
      await open(page, "simulate");
      await wish(page);
      await page.getByRole("button", { name: "Rehearse", exact: true }).click();
      const shown = report(page, "what is in force");
      await shown.waitFor({ timeout: DONE });
      await shown.getByText(totals.requests.toLocaleString("en-US"), { exact: true }).waitFor();
      await shown.getByText(`${totals.attempts.toLocaleString("en-US")} in all`).waitFor();
      await page.getByText(expected.claims[0].claim).waitFor();
      assert.match(expected.claims[0].claim, /^holds/);
      const served = shown.getByRole("img", { name: /^Attempts on each upstream/ });
      // While sim-a is away, which is most of the time, its bars are missing and those of sim-b stand higher.
      const bars = (upstream) => served.locator("rect").filter({ hasText: `${upstream}:` }).count();
      assert.ok((await bars("sim-a")) < (await bars("sim-b")) / 2, `${await bars("sim-a")} of ${await bars("sim-b")}`);
      await shown.getByRole("img", { name: /^sim-a: closed from 0:00, .*open from 0:05/ }).waitFor();
      await shown.getByRole("img", { name: /^What callers saw/ }).waitFor();
      await shown.getByRole("img", { name: /^Time to the first token: at most/ }).waitFor();
      await shown.getByText("Minute by minute").first().click();
      const rows = shown.getByRole("table", { name: "Minute by minute" }).getByRole("row");
      assert.equal(await rows.count(), minutes.length + 1);
      await isAccessible(page, `a rehearsal, ${scheme}, ${size.width}`);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wider <= 0, `it is ${wider} px too wide for ${size.width}`);
    });
  }
}

export async function aMistakeInAScriptIsShownAtItsLine(browser) {
  await withPage(browser, { expects: ["422"] }, async (page) => {
    await open(page, "simulate");
    await page.getByText("Outages of your own").click();
    const script = page.getByRole("textbox", { name: "Outages of your own" });
    await script.fill("outages:\n  - {upstream: sim-b, from: 1m, to: 5m, fault: connect}\n  - {upstream: sim-c, from: 1m, to: 2m, fault: connect}\n");
    await wish(page);
    await page.getByRole("button", { name: "Rehearse", exact: true }).click();
    await page.getByRole("button", { name: "line 3", exact: true }).click();
    await page.getByText("there is no upstream `sim-c`").waitFor();
    await page.locator(".gutter .marked.bad").getByText("3").waitFor();
    const before = await script.evaluate((area) => area.value.slice(0, area.selectionStart));
    assert.equal(before.split("\n").length, 3);
    await isAccessible(page, "a script with a mistake");
    await script.fill("outages:\n  - {upstream: sim-b, from: 1m, to: 5m, fault: connect}\n");
    await page.getByRole("combobox", { name: "Outage" }).selectOption("");
    await fill(page, "For how long", "10m");
    await page.getByRole("button", { name: "Rehearse", exact: true }).click();
    await report(page, "what is in force").waitFor({ timeout: DONE });
    await page.getByText("sim-b: connect from 60.0s to 5.0m").waitFor();
  });
}

export async function anotherConfigurationStandsBesideIt(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "config");
    const text = page.getByRole("textbox", { name: "routing.yaml" });
    const alone = (await text.inputValue()).replace(", {upstream: sim-b, model: gpt-5.4}]", "]");
    await text.fill(alone);
    await page.getByRole("link", { name: "Rehearse it" }).click();
    const beside = page.getByRole("textbox", { name: "Another configuration beside it" });
    assert.equal(await beside.inputValue(), alone);
    await wish(page);
    await fill(page, "For how long", "30m");
    await page.getByRole("button", { name: "Rehearse", exact: true }).click();
    const other = report(page, "the other one");
    await other.waitFor({ timeout: DONE });
    await page.getByText(/FAILS in the other one/).waitFor();
    await page.getByText(/holds in what is in force/).waitFor();
    await isAccessible(page, "two configurations beside each other");
  });
}

export async function aLongOneIsStopped(browser) {
  await withPage(browser, { expects: ["429"] }, async (page) => {
    await open(page, "simulate");
    // As many requests as are allowed: on a machine that does nothing else they take half a minute.
    await fill(page, "Requests a second", "69");
    await fill(page, "For how long", "4h");
    const run = page.getByRole("button", { name: "Rehearse", exact: true });
    const asked = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/admin/simulate"));
    await run.click();
    await asked;
    const rehearses = () => fetch(`${process.env.MAINSTAY_ADMIN_URL}/admin/simulate`, { method: "POST", body: '{"duration": "1s"}' });
    const before = Date.now();
    do {
      await page.waitForTimeout(500);
      // Where these were quicker than the page, it was the page that was told to wait.
      if (await run.isVisible()) await run.click();
      assert.ok(Date.now() - before < 30_000, "one at a time");
    } while ((await rehearses()).status !== 429);
    await page.getByRole("button", { name: "Stop" }).click();
    await run.waitFor();
    const begun = Date.now();
    while ((await rehearses()).status === 429) assert.ok(Date.now() - begun < 15_000, "it goes on with nobody waiting");
  });
}
