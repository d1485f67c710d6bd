// An upstream is taken out of use on the page and given back, and its timeline says so.

import assert from "node:assert/strict";
import { admin, call, isAccessible, open, withPage } from "./browser.mjs";

export async function anUpstreamIsDisabledAndTakenBack(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "channels/sim-a");
    await page.getByRole("button", { name: "Disable sim-a", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Disable sim-a" });
    await isAccessible(page, "a question before something is done");
    await dialog.getByLabel(/^For how long/).fill("10m");
    await dialog.getByLabel(/^Why/).fill("the night before");
    await dialog.getByRole("button", { name: "Disable" }).click();
    await page.getByText(/disabled by .*the night before/).waitFor();
    const used = async () => (await admin("GET", "/admin/simulated/sim-a")).counts.arrived;
    const before = await used();
    await page.evaluate(() => (location.hash = "#/overview"));
    await page.getByRole("region", { name: "What is wrong" }).getByText("an operator wants it so").waitFor();
    await page.evaluate(() => (location.hash = "#/channels/sim-a"));
    for (let number = 0; number < 8; number += 1) assert.equal((await call("demo")).status, 200);
    assert.equal(await used(), before, "nothing goes there");
    await page.getByRole("row", { name: /override sim-a|override transport/ }).first().waitFor();
    await isAccessible(page, "an upstream with a timeline");
    await page.getByRole("button", { name: "Take back what is said of sim-a", exact: true }).click();
    await page.getByText("The gateway decides about sim-a by itself again.").waitFor();
    await page.getByRole("button", { name: "Probe sim-a" }).click();
    await page.getByText(/sim-a answered a probe/).waitFor();
  });
}
