// Runs the checks of one file of this folder, or those named behind it, and says how long each took.

import { launch } from "./browser.mjs";

const [file, ...names] = process.argv.slice(2);
const checks = Object.entries(await import(`./${file}`)).filter(([name, check]) => typeof check === "function" && (names.length === 0 || names.includes(name)));
const browser = await launch();
let failed = 0;
for (const [name, check] of checks) {
  const begun = Date.now();
  try {
    await check(browser);
    console.log(`ok      ${name} (${Date.now() - begun} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack ?? error}`);
  }
}
await browser.close();
process.exit(failed === 0 && checks.length > 0 ? 0 : 1);
