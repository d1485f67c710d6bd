// What became of a request is found on the page, with its attempts along its time and why not elsewhere.

import { admin, failedOver, isAccessible, open, withPage } from "./browser.mjs";

export async function aFailoverIsFoundWithItsAttempts(browser) {
  const id = await failedOver();
  await withPage(browser, { expects: ["404"] }, async (page) => {
    await open(page, "requests");
    await isAccessible(page, "the list of requests");
    await page.getByRole("textbox", { name: "Channel" }).fill("sim-a");
    await page.getByRole("textbox", { name: "Verdict or fault" }).fill("server_error");
    await page.getByRole("button", { name: "Look" }).click();
    const rows = page.getByRole("table", { name: "Requests" }).getByRole("row");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await rows.nth(1).getByRole("link").click();
    await page.getByRole("heading", { name: `Request ${id}` }).waitFor();
    await page.getByRole("img", { name: /sim-a\/gpt-5.4: server_error .*; sim-b\/gpt-5.4: ok/ }).waitFor();
    await page.getByRole("table", { name: "Looks at the channels" }).getByText("sim-b/gpt-5.4").first().waitFor();
    await isAccessible(page, "a request");
    await open(page, "requests/req_of_long_ago");
    await page.getByRole("alert").getByText("no request of this id").waitFor();
  });
  await admin("DELETE", "/admin/simulated/sim-a");
}
