// Builds the console into src/admin/assets, byte for byte the same wherever it runs: `scripts/console` holds that.

import { build } from "esbuild";
import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../src/admin/assets");

await build({
  absWorkingDir: here,
  entryPoints: { console: "src/main.tsx" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome123", "firefox128", "safari17.5"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
await build({
  absWorkingDir: here,
  entryPoints: { console: "src/style/console.css" },
  outdir: out,
  bundle: true,
  minify: true,
  target: ["chrome123", "firefox128", "safari17.5"],
  charset: "utf8",
  logLevel: "warning",
});
for (const file of ["index.html", "icon.svg"]) await copyFile(join(here, "static", file), join(out, file));
