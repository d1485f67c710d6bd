// Runs the laws of test/, made into one script as the console is.

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = await mkdtemp(join(tmpdir(), "console-"));
try {
  await build({
    absWorkingDir: here,
    entryPoints: ["test/laws.mjs"],
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    logLevel: "warning",
    // The router reads where the page is when it is loaded.
    banner: { js: 'globalThis.location ??= { hash: "" }; globalThis.window ??= { addEventListener() {} };' },
  });
  const { status } = spawnSync(process.execPath, ["--test", join(out, "laws.mjs")], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  await rm(out, { recursive: true });
}
