// A key is made on the page, called with, rotated, disabled and ended.

import assert from "node:assert/strict";
import { call, open, withPage } from "./browser.mjs";

export async function aKeyIsMadeAndCalledWith(browser) {
  await withPage(browser, { expects: ["422", "409"] }, async (page) => {
    await open(page, "keys");
    await page.getByRole("textbox", { name: "Name" }).fill("shop");
    await page.getByRole("textbox", { name: "Team" }).fill("nobody");
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("alert").getByText("no team is called `nobody`").waitFor();
    await page.getByRole("textbox", { name: "Team" }).fill("growth");
    await page.getByRole("button", { name: "Make it" }).click();
    const box = page.getByRole("region", { name: "The secret of shop" });
    const first = await box.getByRole("textbox", { name: "Secret" }).inputValue();
    const secure = (value) => page.evaluate((value) => void Object.defineProperty(window, "isSecureContext", { value, configurable: true }), value);
    await secure(false);
    await box.getByRole("button", { name: "Copy" }).click();
    await page.getByText("copies only over https").waitFor();
    await secure(true);
    await box.getByRole("button", { name: "Copy" }).click();
    await page.getByText("is in the clipboard").waitFor();
    // They would lie over the buttons below.
    for (let number = 0; number < 2; number += 1) await page.getByRole("button", { name: "Dismiss" }).first().click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), first);
    await box.getByRole("button", { name: "I have it" }).click();
    assert.equal(await page.locator(`text=${first}`).count(), 0, "it is shown once");
    assert.equal((await call("demo", { key: first })).status, 200);

    await page.getByRole("textbox", { name: "Name" }).fill("shop");
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("alert").getByText("shop").waitFor();

    const row = page.getByRole("row", { name: /shop/ });
    await row.getByRole("button", { name: "Rotate shop" }).click();
    await page.getByRole("dialog", { name: "Rotate shop" }).getByRole("button", { name: "Rotate" }).click();
    await page.getByRole("region", { name: "The secret of shop" }).waitFor();
    const second = await page.getByRole("textbox", { name: "Secret" }).inputValue();
    assert.notEqual(first, second);
    for (const key of [first, second]) assert.equal((await call("demo", { key })).status, 200, "both hold for a day");

    await row.getByRole("button", { name: "Disable shop" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await row.getByText(/disabled \d/).waitFor();
    assert.equal((await call("demo", { key: second })).status, 401);
    await row.getByRole("button", { name: "Enable shop" }).click();
    await row.getByText("ready").waitFor();
    await row.locator("button:focus").waitFor();
    assert.equal((await call("demo", { key: second })).status, 200);

    await row.getByRole("button", { name: "Delete shop" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "detached" });
    await page.getByRole("heading", { name: "All keys" }).and(page.locator(":focus")).waitFor();
    assert.equal((await call("demo", { key: second })).status, 401);

    // What is shown once stays until somebody says that he has it.
    await page.getByRole("textbox", { name: "Name" }).fill("other");
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("region", { name: "The secret of other" }).waitFor();
    await page.evaluate(() => (location.hash = "#/audit"));
    await page.getByRole("heading", { name: "Audit", level: 1 }).waitFor({ state: "attached" });
    const asksFirst = () => page.evaluate(() => !window.dispatchEvent(new Event("beforeunload", { cancelable: true })));
    assert.ok(await asksFirst());
    await page.evaluate(() => (location.hash = "#/keys"));
    assert.equal(await page.getByRole("region", { name: "The secret of shop" }).getByRole("textbox").inputValue(), second);
    for (const name of ["shop", "other"]) await page.getByRole("region", { name: `The secret of ${name}` }).getByRole("button", { name: "I have it" }).click();
    assert.ok(!(await asksFirst()));
    await page.getByRole("button", { name: "Delete other" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete other" }).waitFor({ state: "detached" });

    await open(page, "audit");
    for (const action of ["key.create", "key.rotate", "key.disable", "key.enable", "key.delete"]) {
      await page.getByRole("cell", { name: action }).first().waitFor();
    }
    const text = await page.locator("body").innerText();
    assert.ok(!text.includes(first) && !text.includes(second), "no secret is in the trail");
  });
}
