// A gateway that wants a token is asked with one, and the token stays in the tab.

import assert from "node:assert/strict";
import { ADMIN, isAccessible, withPage } from "./browser.mjs";

export async function theTokenIsAskedForAndSentAlong(browser) {
  await withPage(browser, { expects: ["401"] }, async (page) => {
    await page.goto(ADMIN);
    const field = page.getByLabel("Admin token");
    await field.waitFor();
    await isAccessible(page, "the question for the token");
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
