// Takes the pictures of docs/img, of a gateway that serves routing.yaml beside this file; no test:
//
//   MAINSTAY_URL=… MAINSTAY_ADMIN_URL=… MAINSTAY_CHROMIUM=/usr/bin/chromium node tests/console/shots.mjs

import { join } from "node:path";
import { admin, call, launch, open, under, WIDE } from "./browser.mjs";

const TO = join(import.meta.dirname, "../../docs/img");

const browser = await launch();
const page = await (await browser.newContext({ viewport: { ...WIDE, height: 800 }, colorScheme: "light" })).newPage();
const shoot = (name) => page.screenshot({ path: join(TO, `console-${name}.png`) });
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
await browser.close();
