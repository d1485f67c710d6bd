// Takes the pictures of docs/img, of a gateway that serves routing.yaml beside this file; no test:
//
//   MAINSTAY_URL=… MAINSTAY_ADMIN_URL=… MAINSTAY_CHROMIUM=/usr/bin/chromium node tests/console/shots.mjs

import { join } from "node:path";
import { admin, call, failedOver, launch, open, under, WIDE } from "./browser.mjs";

const TO = join(import.meta.dirname, "../../docs/img");

const browser = await launch();
const page = await (await browser.newContext({ viewport: { ...WIDE, height: 800 }, colorScheme: "light" })).newPage();
const shoot = (name) => page.screenshot({ path: join(TO, `console-${name}.png`) });
const id = await failedOver();
await admin("DELETE", "/admin/simulated/sim-a");
await open(page, `requests/${id}`);
await shoot("request");

const caller = async () => {
  await Promise.all(["demo", "demo", "smart"].map(async (model) => (await call(model)).text()));
};
await under(
  caller,
  async () => {
    await open(page, "overview");
    await page.waitForTimeout(40_000);
    await admin("PUT", "/admin/simulated/sim-a", { fault: "refuse" });
    await page.waitForTimeout(20_000);
    await shoot("overview");
    await open(page, "routes/demo");
    await page.waitForTimeout(2_000);
    await shoot("route");
    await admin("DELETE", "/admin/simulated/sim-a");
  },
  150,
);

await open(page, "config");
const field = page.getByRole("textbox", { name: "routing.yaml" });
await field.fill((await field.inputValue()).replace("weight: 3", "wieght: 3"));
await page.getByRole("button", { name: /^line/ }).first().click();
await page.setViewportSize({ ...WIDE, height: 620 });
await page.evaluate(() => document.querySelector(".editor").style.setProperty("height", "330px"));
await shoot("config");

await page.setViewportSize({ ...WIDE, height: 1_060 });
await open(page, "simulate");
await page.getByLabel("Of which upstream").fill("sim-a");
await page.getByLabel("Requests a second").fill("2");
await page.getByLabel("What should hold").fill("success >= 99.9%");
await page.getByRole("button", { name: "Rehearse", exact: true }).click();
await page.getByRole("region", { name: /^Report of/ }).waitFor({ timeout: 60_000 });
await page.mouse.wheel(0, 190);
await page.waitForTimeout(500);
await shoot("simulate");
await browser.close();
