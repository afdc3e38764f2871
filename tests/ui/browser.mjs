// A headless Chromium, and what must hold of every page in it.

import assert from "node:assert/strict";
import { accessSync, constants, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** WCAG 2.2, levels A and AA, and axe's own best practices. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Without these, a headless Chromium talks to its maker's servers at every start. */
const FLAGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

/** The browser of this machine. */
export function launch() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = ["chromium", "google-chrome", "chromium-browser"].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  );
  const executablePath = candidates.find(isProgram);
  assert.ok(executablePath, "no browser: scripts/needs ui installs one");
  // Chromium's sandbox does not start for root; the pages here are our own.
  return chromium.launch({ executablePath, args: FLAGS, chromiumSandbox: process.getuid?.() !== 0 });
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Collects what no page may do: throw, complain on the console (also about the content security policy), or ask another
 * server than its own. `excused` are complaints that a test provokes. */
export function watch(context, origin, excused = []) {
  const faults = [];
  context.on("weberror", (error) => faults.push(`threw ${error.error()}`));
  context.on("console", (message) => {
    const text = `${message.text()} at ${message.location().url}`;
    const isFault = ["error", "warning"].includes(message.type());
    if (isFault && !excused.some((pattern) => pattern.test(text))) faults.push(`console: ${text}`);
  });
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`asked ${request.url()}`);
  });
  return faults;
}

/** Fails with every accessibility violation of the page. The script runs as the debugger's, so the page's policy stays. */
export async function assertAccessible(page, what) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(
    (values) => globalThis.axe.run(document, { runOnly: { type: "tag", values } }),
    RULES,
  );
  assert.ok(passes.length > 5, `axe looked at something: ${passes.length} rules passed`);
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], `accessibility of ${what}`);
}

/** Fails where the page is wider than its window. */
export async function assertFits(page, what) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(content <= window, `${what} is ${content} px wide in a window of ${window}`);
}
