// Every page opens without complaint and is accessible: light and dark, wide and on a phone.

import { ADMIN, PHONE, SOON, WIDE, call, isAccessible, open, withPage } from "./browser.mjs";

export const PAGES = ["overview", "channels", "channels/sim-a", "routes", "routes/demo", "requests", "keys", "budgets", "usage", "faults", "config", "simulate", "audit"];

export async function everyPageOpensAndIsAccessible(browser) {
  for (let number = 0; number < 5; number += 1) await call("demo");
  for (const [size, scheme] of [
    [WIDE, "light"],
    [WIDE, "dark"],
    [PHONE, "light"],
    [PHONE, "dark"],
  ]) {
    await withPage(browser, { size, scheme }, async (page) => {
      for (const name of PAGES) {
        await open(page, name);
        await isAccessible(page, `${name}, ${scheme}, ${size.width}`);
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (wider > 0) throw new Error(`${name} is ${wider} px too wide for ${size.width}`);
      }
    });
  }
}

/** The theme can be set by hand, whatever the system has. */
export async function theThemeCanBeChosen(browser) {
  await withPage(browser, { scheme: "light" }, async (page) => {
    await open(page, "overview");
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    await page.keyboard.press("t");
    await page.keyboard.press("t");
    await page.getByRole("button", { name: "Theme: dark" }).waitFor();
    if ((await ground()) === light) throw new Error("dark is as light");
    await page.reload();
    await page.getByRole("button", { name: "Theme: dark" }).waitFor();
    await isAccessible(page, "overview, dark by choice");
  });
}

/** Everything that a mouse can reach can be reached by keys. */
export async function theKeyboardReachesEverything(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "overview");
    await page.keyboard.press("Tab");
    await page.getByRole("link", { name: "Skip to the content" }).waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);
    await page.keyboard.press("Enter");
    if ((await focused()) !== "content") throw new Error(`the skip link leads to ${await focused()}`);
    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Shortcuts" });
    await help.waitFor();
    await isAccessible(page, "the list of shortcuts");
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "hidden" });
    for (const [key, title] of [["k", "Keys"], ["r", "Routes"], ["o", "Overview"]]) {
      await page.keyboard.press("g");
      await page.keyboard.press(key);
      await page.waitForFunction((title) => document.title.startsWith(title), title);
    }
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.getByRole("searchbox").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("gk");
    await page.getByText("None has that in its name.").waitFor();
  });
}

/** Whoever cannot see the page goes on at the head of what a link led to. */
export async function aLinkLeadsToTheHeadOfWhatItNames(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "overview");
    for (const [place, title, head] of [
      ["channels", "Channels · Mainstay", "Channels"],
      ["channels/sim-a", "sim-a · Channels · Mainstay", "sim-a"],
      ["__proto__", "Not here · Mainstay", "There is no such page"],
      ["constructor", "Not here · Mainstay", "There is no such page"],
      ["routes/demo", "demo · Routes · Mainstay", "demo"],
    ]) {
      await page.evaluate((place) => (location.hash = `#/${place}`), place);
      await page.waitForFunction(([title, head]) => document.title === title && document.activeElement?.matches("h1") && document.activeElement.textContent === head, [title, head]);
    }
  });
}

/** A browser has six connections to a gateway for all its tabs: one that nobody sees gives its own back. */
export async function aHiddenPageHoldsNoConnection(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "overview");
    const hide = (hidden) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await Promise.all([
      page.waitForEvent("requestfailed", { predicate: (request) => request.url().endsWith("/admin/live"), timeout: 2 * SOON }),
      page.getByRole("status").filter({ hasText: "paused" }).first().waitFor({ timeout: 2 * SOON }),
      hide(true),
    ]);
    await hide(false);
    await page.getByRole("status").filter({ hasText: "live" }).first().waitFor();
  });
}

/** So do all that are seen at the same moment, in windows side by side: one of them holds a stream and tells the others. */
export async function eightPagesHoldOneConnection(browser) {
  await withPage(browser, {}, async (page) => {
    const begun = new Set();
    const pages = [page, ...(await Promise.all(Array.from({ length: 7 }, () => page.context().newPage())))];
    for (const one of pages) {
      one.setDefaultTimeout(SOON);
      one.on("request", (request) => request.url().endsWith("/admin/live") && begun.add(request));
      for (const end of ["requestfailed", "requestfinished"]) one.on(end, (request) => begun.delete(request));
    }
    await Promise.all(pages.map((one) => one.goto(`${ADMIN}/#/overview`)));
    for (const one of pages) await one.getByRole("status").filter({ hasText: "live" }).first().waitFor();
    const settled = async () => {
      for (let tries = 0; begun.size !== 1 && tries < 100; tries += 1) await new Promise((wake) => setTimeout(wake, 100));
      if (begun.size !== 1) throw new Error(`${begun.size} streams are held`);
    };
    await settled();
    // Who holds it leaves, and another takes it up.
    const [held] = begun;
    const holder = held.frame().page();
    begun.clear();
    await holder.close();
    await settled();
    for (const one of pages.filter((one) => one !== holder)) await one.getByRole("status").filter({ hasText: "live" }).first().waitFor();
  });
}

/** An answer that takes longer than the time between two questions is shown all the same. */
export async function aSlowAnswerIsShown(browser) {
  await withPage(browser, {}, async (page) => {
    await page.route("**/admin/status", async (route) => {
      await new Promise((wake) => setTimeout(wake, 3_000));
      await route.continue().catch(() => undefined);
    });
    await page.goto(`${ADMIN}/#/channels`);
    await page.getByRole("link", { name: "sim-a" }).waitFor({ timeout: 2 * SOON });
  });
}

/** No limit, for a machine may be slow: the figure stands in what the test prints. */
export async function theFirstPaintIsTimed(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "overview");
    const paints = await page.evaluate(() => performance.getEntriesByType("paint").map(({ name, startTime }) => `${name} after ${Math.round(startTime)} ms`));
    if (paints.length === 0) throw new Error("nothing was painted");
    console.log(`        ${paints.join(", ")}`);
  });
}

/** As narrow as a phone its letters would be of four pixels. */
export async function aPictureCanBeReadOnAPhone(browser) {
  await withPage(browser, { size: { ...PHONE, width: 360 } }, async (page) => {
    await open(page, "routes/demo");
    await page.getByRole("group", { name: "Where demo goes" }).waitFor();
    const { width } = await page.getByRole("img", { name: /^demo goes to/ }).boundingBox();
    if (width < 700) throw new Error(`it is of ${width} px`);
    await open(page, "usage");
    await page.getByText(/\d UTC$/).or(page.getByText("Nothing was used")).first().waitFor();
  });
}
