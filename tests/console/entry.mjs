// A gateway that wants a token is asked with one, and the token stays in the tab.

import assert from "node:assert/strict";
import { ADMIN, isAccessible, withPage } from "./browser.mjs";

export async function theTokenIsAskedForAndSentAlong(browser) {
  await withPage(browser, { expects: ["401"] }, async (page) => {
    await page.goto(ADMIN);
    const field = page.getByLabel("Admin token");
    await field.waitFor();
    await isAccessible(page, "the question for the token");
    if (/stale|trying/.test(await page.locator("header").innerText())) throw new Error("nothing is tried while nobody has entered a token");
    const sent = [];
    page.on("request", (request) => sent.push(request.url()));
    await field.fill("copied\u200bbadly");
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByRole("alert").getByText("Nothing was sent").waitFor();
    assert.deepEqual(sent, []);
    await field.fill("not-the-one");
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByText("does not know that token").waitFor();
    await field.fill(process.env.MAINSTAY_IT_SECRET);
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByRole("status").filter({ hasText: "live" }).first().waitFor();
    const places = await page.evaluate(() => [JSON.stringify({ ...localStorage }), document.cookie, location.href]);
    assert.ok(!places.join().includes(process.env.MAINSTAY_IT_SECRET), "it is kept in the tab only");
    await page.reload();
    await page.getByRole("status").filter({ hasText: "live" }).first().waitFor();
    await page.getByRole("button", { name: "Forget token" }).click();
    await field.waitFor();
  });
}

/** Whoever may not read is told so, once. */
export async function aTokenThatMayNotReadIsNoOutage(browser) {
  await withPage(browser, { expects: ["403"] }, async (page) => {
    let asked = 0;
    await page.route("**/admin/live", (route) => {
      asked += 1;
      return route.fulfill({ status: 403, json: { error: "this takes the scope `read`" } });
    });
    await page.addInitScript((token) => sessionStorage.setItem("mainstay.token", token), process.env.MAINSTAY_IT_SECRET);
    await page.goto(ADMIN);
    await page.getByText("this token may not read what happens here: this takes the scope `read`").waitFor();
    await page.getByRole("status").filter({ hasText: "no access" }).waitFor();
    // Another try came after half a second.
    await page.waitForTimeout(1_500);
    assert.equal(asked, 1);
    assert.ok(!/stale|trying/.test(await page.locator("header").innerText()));
  });
}
