// Builds the scripts and styles of the pages into dagctl_provider/ui/static, with the licences of what they hold.
//
// Entries are the files named below; every other file of src/ is reached from one of them. What is built depends only on src/
// and package-lock.json, so the committed files can be compared with a fresh build (`node build.mjs /some/other/folder`).

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "../dagctl_provider/ui/static"));

// Entries of pages that other people add stand here as one line each.
const scripts = ["src/app.js", "src/plan.js", "src/plan-layout.js", "src/charts.js", "src/run.js"].filter((name) => existsSync(join(here, name)));
const styles = ["src/dagctl.css", "src/plan.css", "src/charts.css"].filter((name) => existsSync(join(here, name)));
const copied = ["src/icon.svg", "src/nav.svg", "src/nav-dark.svg"];

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  metafile: true,
  outdir: target,
  outbase: "src",
  target: ["chrome123", "firefox120", "safari17.5"],
  legalComments: "none",
  logLevel: "warning",
};

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
const built = [
  await build({ ...common, entryPoints: scripts, format: "esm", splitting: true, chunkNames: "chunks/[name]-[hash]" }),
  // Runs before the first paint, so it is no module.
  await build({ ...common, entryPoints: ["src/theme.js"], format: "iife" }),
  await build({ ...common, entryPoints: styles }),
];
for (const name of copied) await cp(join(here, name), join(target, relative("src", name)));
await writeFile(join(target, "LICENSES.txt"), await licences(built));
await writeFile(join(target, "built-from.json"), JSON.stringify({ sources: await hashes(here, sources(built)) }, null, 1) + "\n");

// What this build read, besides packages: those are pinned by the lock.
function sources(results) {
  const inputs = results.flatMap((result) => Object.keys(result.metafile.inputs)).filter((path) => path.startsWith("src/"));
  return [...new Set([...inputs, ...copied, "build.mjs", "package-lock.json"])].sort();
}

async function hashes(folder, names) {
  const entries = names.map(async (name) => [name, createHash("sha256").update(await readFile(join(folder, name))).digest("hex")]);
  return Object.fromEntries(await Promise.all(entries));
}

// The licence text of every package of which at least one file went into the output.
async function licences(results) {
  const inputs = results.flatMap((result) => Object.keys(result.metafile.inputs));
  const packages = new Set(inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean));
  const texts = [];
  for (const name of [...packages].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    if (!file) throw new Error(`${name} comes without a licence text`);
    texts.push(`${name} ${version} (${license})\n\n${(await readFile(join(folder, file), "utf8")).trim()}\n`);
  }
  return `Libraries inside the scripts of this folder.\n\n${texts.join("\n----------------------------------------\n\n")}`;
}
