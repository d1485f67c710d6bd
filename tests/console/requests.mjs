// What became of a request is found on the page, with its attempts along its time and why not elsewhere.

import assert from "node:assert/strict";
import { admin, call, failedOver, isAccessible, open, withPage } from "./browser.mjs";

export async function aFailoverIsFoundWithItsAttempts(browser) {
  const id = await failedOver();
  await withPage(browser, { expects: ["404"] }, async (page) => {
    await open(page, "requests");
    await isAccessible(page, "the list of requests");
    await page.getByRole("textbox", { name: "Channel" }).fill("sim-a");
    await page.getByRole("textbox", { name: "Verdict or fault" }).fill("server_error");
    await page.getByRole("button", { name: "Look" }).click();
    const rows = page.getByRole("table", { name: "Requests" }).getByRole("row");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await rows.nth(1).getByRole("link").click();
    await page.getByRole("heading", { name: `Request ${id}` }).waitFor();
    await page.getByRole("img", { name: /sim-a\/gpt-5.4: server_error .*; sim-b\/gpt-5.4: ok/ }).waitFor();
    await page.getByRole("table", { name: "Looks at the channels" }).getByText("sim-b/gpt-5.4").first().waitFor();
    await isAccessible(page, "a request");
    await page.goBack();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    assert.equal(await page.getByRole("textbox", { name: "Channel" }).inputValue(), "sim-a", "what was looked for is still there");
    await page.evaluate(() => (location.hash = "#/requests?model=nobody_asked"));
    await page.getByText(/^None of the last/).waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Channel" }).inputValue(), "");
    await open(page, "requests/req_of_long_ago");
    await page.getByRole("alert").getByText("no request of this id").waitFor();
  });
  await admin("DELETE", "/admin/simulated/sim-a");
}

/** What stands in the fields counts when somebody looks, and not before. */
export async function olderOnesAreOfWhatWasAsked(browser) {
  for (let number = 0; number < 60; number += 1) await (await call("demo")).text();
  await withPage(browser, {}, async (page) => {
    await open(page, "requests?route=demo");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 50);
    await page.getByRole("textbox", { name: "Route" }).fill("smart");
    await page.getByRole("button", { name: "Older ones" }).click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length >= 60);
    await page.getByRole("button", { name: "Look" }).click();
    await page.getByText(/^None of the last/).waitFor();
  });
}

export async function anExplanationIsOfItsOwnRoute(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "routes/demo");
    const panel = page.getByRole("region", { name: "Where would this request go?" });
    await panel.getByRole("button", { name: "Explain" }).click();
    await panel.getByText("takes it").waitFor();
    await page.evaluate(() => (location.hash = "#/routes/smart"));
    await page.getByRole("heading", { name: "smart", level: 1 }).waitFor();
    assert.equal(await panel.getByRole("textbox", { name: "Model" }).inputValue(), "smart");
    assert.equal(await panel.getByText("takes it").count(), 0);
  });
}
