// An upstream is taken out of use on the page and given back, and its timeline says so; everything else that can be done to one.

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
    await page.evaluate(() => (location.hash = "#/overview"));
    await page.getByRole("region", { name: "What is wrong" }).getByText("an operator wants it so").waitFor();
    await page.evaluate(() => (location.hash = "#/channels/sim-a"));
    for (let number = 0; number < 8; number += 1) {
      const answer = await call("demo");
      assert.deepEqual([answer.status, answer.headers.get("x-mainstay-channel")], [200, "sim-b/gpt-5.4"], "nothing goes there");
    }
    await page.getByRole("row", { name: /override sim-a|override transport/ }).first().waitFor();
    await isAccessible(page, "an upstream with a timeline");
    await page.getByRole("button", { name: "Take back what is said of sim-a", exact: true }).click();
    await page.getByText("The gateway decides about sim-a by itself again.").waitFor();
    await page.getByRole("button", { name: "Probe sim-a" }).click();
    await page.getByText(/sim-a answered a probe/).waitFor();
  });
}

export async function everythingThatCanBeDoneIsAskedForFirst(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "channels/sim-b");
    const kind = async () => (await admin("GET", "/admin/upstreams/sim-b")).override?.kind;
    const modelsKind = async () => (await admin("GET", "/admin/upstreams/sim-b")).models.find(({ model }) => model === "gpt-5.4").override?.kind;
    const button = (name) => page.getByRole("button", { name, exact: true });
    const dialog = page.getByRole("dialog");
    await button("Drain sim-b").click();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await kind(), undefined, "whoever thinks better of it has done nothing");
    for (const [label, expected] of [["Drain", "draining"], ["Trip", "forced_open"], ["Restore", "forced_closed"]]) {
      await button(`${label} sim-b`).click();
      await dialog.getByRole("button", { name: label }).click();
      await page.getByText(`${label}: done for sim-b`).first().waitFor();
      assert.equal(await kind(), expected);
    }
    await button("Take back what is said of sim-b").click();
    await page.getByText("The gateway decides about sim-b by itself again.").waitFor();
    assert.equal(await kind(), undefined);
    await button("Trip sim-b/gpt-5.4").click();
    await dialog.getByRole("button", { name: "Trip" }).click();
    await page.getByText("Trip: done for sim-b/gpt-5.4").waitFor();
    assert.deepEqual([await kind(), await modelsKind()], [undefined, "forced_open"]);
    await button("Take back what is said of sim-b/gpt-5.4").click();
    await page.getByText("The gateway decides about sim-b/gpt-5.4 by itself again.").waitFor();
    await button("Reset sim-b").click();
    await dialog.getByRole("button", { name: "Reset" }).click();
    await page.getByText("Reset: done for sim-b.").waitFor();
    const { audit } = await admin("GET", "/admin/audit");
    for (const verb of ["drain", "trip", "restore", "enable", "reset"]) assert.ok(audit.some(({ action, subject }) => action === `upstream.${verb}` && subject.startsWith("sim-b")), verb);
  });
}
