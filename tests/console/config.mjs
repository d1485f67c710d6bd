// The configuration is edited on the page: mistakes at their lines, applied, seen in force, and rolled back.

import assert from "node:assert/strict";
import { admin, call, isAccessible, open, withPage } from "./browser.mjs";

const field = (page) => page.getByRole("textbox", { name: "routing.yaml" });

async function edit(page, change) {
  const text = await field(page).inputValue();
  const changed = change(text);
  assert.notEqual(changed, text);
  await field(page).fill(changed);
  return changed;
}

export async function aMistakeIsShownAtItsLineAndNotApplied(browser) {
  await withPage(browser, { expects: ["422"] }, async (page) => {
    await open(page, "config");
    const text = await edit(page, (text) => text.replace("weight: 3", "wieght: 3"));
    const line = text.split("\n").findIndex((line) => line.includes("wieght")) + 1;
    await page.getByRole("button", { name: `line ${line}`, exact: true }).click();
    const before = await field(page).evaluate((area) => area.value.slice(0, area.selectionStart));
    assert.equal(before.split("\n").length, line, "the button leads there");
    await page.locator(".gutter .marked.bad").getByText(String(line)).waitFor();
    await page.getByText("weight", { exact: false }).first().waitFor();
    assert.ok(await page.getByRole("button", { name: "Apply" }).isDisabled());
    await isAccessible(page, "a configuration with a mistake");
    await page.getByRole("button", { name: "Undo all" }).click();
    await page.getByText("This is in force.").waitFor();
  });
  assert.equal((await call("demo")).status, 200);
}

export async function anEditIsAppliedAndRolledBack(browser) {
  await withPage(browser, { expects: ["404"] }, async (page) => {
    await open(page, "config");
    assert.equal((await call("newcomer")).status, 404);
    await edit(page, (text) => text.replace("routes:\n", "routes:\n  - {model: newcomer, channels: [{upstream: sim-b, model: gpt-5.4}]}\n"));
    await page.getByText("It can be used.").waitFor();
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    await page.getByText("added: newcomer").waitFor();
    await page.getByText("+  - {model: newcomer").waitFor();
    await isAccessible(page, "a comparison");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
    await page.getByText(/Revision \w+ is in force\./).waitFor();
    assert.equal((await call("newcomer")).status, 200);
    const { history } = await admin("GET", "/admin/config/history");
    const before = history.at(-2).revision;
    await page.getByRole("button", { name: `Roll back to ${before}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
    await page.getByText(`Revision ${before} is in force again.`).waitFor();
    assert.equal((await call("newcomer")).status, 404);
  });
}
