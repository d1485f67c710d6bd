// The configuration is edited on the page: mistakes at their lines, applied, seen in force, and rolled back; and nobody's
// edit is lost.

import assert from "node:assert/strict";
import { ADMIN, admin, call, isAccessible, open, withPage } from "./browser.mjs";

const field = (page) => page.getByRole("textbox", { name: "routing.yaml" });

async function edit(page, change) {
  const text = await field(page).inputValue();
  const changed = change(text);
  assert.notEqual(changed, text);
  await field(page).fill(changed);
  return changed;
}

const withRoute = (name) => (text) => text.replace("routes:\n", `routes:\n  - {model: ${name}, channels: [{upstream: sim-b, model: gpt-5.4}]}\n`);

async function undoAll(page) {
  await page.getByRole("button", { name: "Undo all" }).click();
  await page.getByRole("dialog", { name: "Undo all" }).getByRole("button", { name: "Undo all" }).click();
}

async function apply(page) {
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
}

export async function aMistakeIsShownAtItsLineAndNotApplied(browser) {
  await withPage(browser, { expects: ["422"] }, async (page) => {
    await open(page, "config");
    await page.getByText(/warnings: worth a look, and no hindrance/).waitFor();
    const text = await edit(page, (text) => text.replace("weight: 3", "wieght: 3"));
    const line = text.split("\n").findIndex((line) => line.includes("wieght")) + 1;
    await page.getByRole("button", { name: `line ${line}`, exact: true }).first().click();
    const before = await field(page).evaluate((area) => area.value.slice(0, area.selectionStart));
    assert.equal(before.split("\n").length, line, "the button leads there");
    await page.locator(".gutter .marked.bad").getByText(String(line)).waitFor();
    await page.getByText("did you mean `weight`?").first().waitFor();
    assert.ok(await page.getByRole("button", { name: "Apply" }).isDisabled());
    await isAccessible(page, "a configuration with a mistake");
    await page.getByRole("button", { name: "Undo all" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    assert.equal(await field(page).inputValue(), text, "nothing is undone that was not meant to be");
    await undoAll(page);
    await page.getByText("This is in force.").waitFor();
  });
  assert.equal((await call("demo")).status, 200);
}

export async function anEditIsComparedAppliedAndRolledBack(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "config");
    assert.equal((await call("newcomer")).status, 404);
    await edit(page, withRoute("newcomer"));
    await page.getByText("It can be used.").waitFor();
    await page.evaluate(() => (location.hash = "#/overview"));
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor({ state: "attached" });
    await page.evaluate(() => (location.hash = "#/config"));
    await page.getByText("What it would change").click();
    await page.getByText("added: newcomer").waitFor();
    await isAccessible(page, "a comparison");
    await page.getByText("What it would change").click();
    await page.getByRole("button", { name: "Apply" }).click();
    const dialog = page.getByRole("dialog", { name: "Apply" });
    await dialog.getByText("+  - {model: newcomer").waitFor();
    await isAccessible(page, "the question before it is applied");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await page.getByText(/Revision \w+ is in force\./).waitFor();
    await page.getByText("This is in force.").waitFor();
    await page.waitForFunction(() => document.activeElement?.tagName === "H2", null, { polling: 100 });
    assert.equal((await call("newcomer")).status, 200);
    const { history } = await admin("GET", "/admin/config/history");
    const before = history.at(-2).revision;
    await page.getByRole("button", { name: `Compare ${before}` }).click();
    await page.getByText("removed: newcomer").waitFor();
    await page.getByRole("button", { name: `Roll back to ${before}` }).click();
    await page.getByRole("dialog").getByText("-  - {model: newcomer").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
    await page.getByText(`Revision ${before} is in force again.`).waitFor();
    await page.getByRole("button", { name: `Roll back to ${before}` }).waitFor({ state: "detached" });
    assert.equal((await call("newcomer")).status, 404);
  });
}

export async function nobodysEditIsWrittenOverUnseen(browser) {
  await withPage(browser, { expects: ["412"] }, async (page) => {
    await open(page, "config");
    const was = await field(page).inputValue();
    const mine = await edit(page, withRoute("mine"));
    await page.getByText("It can be used.").waitFor();
    const put = (text) => fetch(`${ADMIN}/admin/config`, { method: "PUT", body: text, headers: { "content-type": "application/yaml" } });
    assert.ok((await put(withRoute("theirs")(was))).ok);
    // Whether the page has heard of it by itself is a matter of time.
    if (await page.getByRole("button", { name: "Apply" }).isEnabled()) await apply(page).catch(() => {});
    await page.getByText("has come into force since you began").waitFor({ timeout: 20_000 });
    await page.getByText("removed: theirs").waitFor();
    await page.getByText("-  - {model: theirs").waitFor();
    // And once more, while the comparison is open.
    assert.ok((await put(withRoute("others")(was))).ok);
    await page.getByText("removed: others").waitFor({ timeout: 20_000 });
    assert.equal(await page.getByText("removed: theirs").count(), 0);
    assert.equal(await field(page).inputValue(), mine, "nothing that was typed is lost");
    assert.equal((await call("others")).status, 200);
    assert.equal((await call("mine")).status, 404);
    assert.ok(await page.getByRole("button", { name: "Apply" }).isDisabled());
    await isAccessible(page, "a configuration that was overtaken");
    await page.getByRole("button", { name: /^Go on from revision/ }).click();
    await apply(page);
    await page.getByText("This is in force.").waitFor();
    assert.equal((await call("others")).status, 404);
    assert.equal((await call("mine")).status, 200);
    assert.ok((await put(was)).ok);
  });
}

/** Tab indents there, so it takes Escape before it to go on. */
export async function theEditorIsNoTrapForTheKeyboard(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "overview");
    await page.keyboard.press("g");
    await page.keyboard.press("e");
    await field(page).focus();
    const text = await field(page).inputValue();
    await page.keyboard.press("Tab");
    assert.equal((await field(page).inputValue()).length, text.length + 2);
    await page.keyboard.press("Control+z");
    assert.equal(await field(page).inputValue(), text, "an indent can be taken back");
    await page.keyboard.press("Tab");
    const isIn = () => field(page).evaluate((area) => area === document.activeElement);
    assert.ok(await isIn());
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    assert.ok(!(await isIn()), "it is left");
    await undoAll(page);
    assert.equal(await field(page).inputValue(), text);
  });
}

/** A text field knows one end of a line only. */
export async function windowsEndsOfLinesAreKept(browser) {
  await withPage(browser, {}, async (page) => {
    const put = async (text) => assert.ok((await fetch(`${ADMIN}/admin/config`, { method: "PUT", body: text, headers: { "content-type": "application/yaml" } })).ok);
    const was = (await admin("GET", "/admin/config")).text;
    const theirs = was.replaceAll("\n", "\r\n");
    await put(theirs);
    await open(page, "config");
    await page.getByText("This is in force.").waitFor();
    await edit(page, withRoute("windows"));
    await page.getByText("It can be used.").waitFor();
    await apply(page);
    await page.getByText("This is in force.").waitFor();
    assert.equal((await admin("GET", "/admin/config")).text, withRoute("windows")(was).replaceAll("\n", "\r\n"));
    await put(was);
  });
}
