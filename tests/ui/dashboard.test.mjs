// A person with a browser before a real coordinator with five real agents. Usage: scripts/ui
// Leaves pictures in target/ui.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertAccessible, assertFits, launch, watch } from "./browser.mjs";
import { startLab } from "./lab.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const pictures = join(target, "ui");

const NODES = ["alpha", "bravo", "charlie", "delta", "echo"];
const DESKTOP = { width: 1440, height: 900 };
const TABLET = { width: 1024, height: 768 };
const PHONE = { width: 390, height: 844 };
const NARROWEST = { width: 320, height: 640 };

/** What the tests below provoke: being refused, and being cut off. */
const EXCUSED = [/status of (401|403)/, /net::ERR_INTERNET_DISCONNECTED/];

let lab;
let browser;
let context;
let page;
let faults;

before(async () => {
  mkdirSync(pictures, { recursive: true });
  lab = await startLab(join(target, "debug/lab"));
  browser = await launch();
  context = await browser.newContext({ baseURL: lab.url, viewport: DESKTOP, colorScheme: "light" });
  context.setDefaultTimeout(30_000);
  faults = watch(context, lab.url, EXCUSED);
  page = await context.newPage();
});

after(async () => {
  await browser?.close();
  // Whether each pair met as it must is scripts/demo's to judge.
  if (lab) assert.notEqual(await lab.stop(), null, "the lab ends by itself");
});

async function picture(name) {
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

/** The texts of one column, a row each. */
function column(label) {
  return page.locator(`tbody td[data-label="${label}"]`).allInnerTexts();
}

function names() {
  return page.locator("tbody th").allInnerTexts();
}

async function until(what, holds) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await holds();
    if (found === true) return;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test("a stranger learns what this is and how to sign in", async () => {
  await page.goto("/networks/default/nodes/alpha");
  await page.getByRole("heading", { name: "A mesh network of your own" }).waitFor();
  assert.equal(await page.getByRole("contentinfo").count(), 0, "no footer");
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  await assertAccessible(page, "the start page");
  await picture("signed-out");
});

test("the printed link signs in with one button", async () => {
  await page.goto(lab.sign_in_link);
  await assertAccessible(page, "the sign-in page");
  await picture("sign-in");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Networks" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/");
});

test("five nodes are online, with a path and a round-trip time to each other", async () => {
  await until("all online", async () => {
    const states = await column("State");
    return states.join() === NODES.map(() => "online").join() || states;
  });
  assert.deepEqual(await names(), NODES);
  await until("every path measured", async () => {
    const paths = (await column("Paths")).join("\n");
    return paths.match(/(direct|relay)\s+\d+(\.\d+)? ms/g)?.length === 20 || paths;
  });
  const figures = (await page.locator(".figures dd").allInnerTexts()).map(Number);
  const [nodes, online, direct, relayed] = figures;
  // Which pairs need the relay is the agents' affair, and the lab's to judge.
  assert.deepEqual([nodes, online, direct + relayed, figures.length], [5, 5, 10, 4], `figures ${figures}`);
});

test("each node's NAT behaviour and candidates are what its router and addresses are", async () => {
  const of = async (label, name) => (await column(label))[NODES.indexOf(name)];
  await until("mappings measured", async () => {
    const nats = await column("NAT");
    return !nats.some((nat) => nat.startsWith("not measured")) || nats;
  });
  assert.match(await of("NAT", "alpha"), /^endpoint-independent mapping/);
  assert.match(await of("NAT", "delta"), /^address-and-port-dependent mapping|^mapping depends on the destination/);
  assert.match(await of("NAT", "echo"), /^no NAT/);
  assert.match(await of("Candidates", "alpha"), /host\s+192\.168\.1\.10:\d+/);
  assert.match(await of("Candidates", "alpha"), /server-reflexive\s+203\.0\.113\.\d+:\d+/);
});

test("the table is legible, accessible and fits, in both schemes and at every width", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [name, size] of Object.entries({
      desktop: DESKTOP,
      tablet: TABLET,
      phone: PHONE,
      narrowest: NARROWEST,
    })) {
      await page.setViewportSize(size);
      await assertAccessible(page, `the networks, ${name}, ${colorScheme}`);
      await assertFits(page, `the networks, ${name}`);
      if (size === DESKTOP || size === PHONE) await picture(`networks-${name}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESKTOP);
  const { x, width } = await page.getByRole("button", { name: "Sign out" }).boundingBox();
  assert.ok(DESKTOP.width - (x + width) < 40, "the way out is at the page's right edge");
});

test("filter and order stand in the address", async () => {
  await page.getByLabel("Filter nodes").fill("no nat");
  await page.getByRole("link", { name: "alpha" }).waitFor({ state: "detached" });
  assert.deepEqual(await names(), ["echo"]);
  await page.getByRole("button", { name: "Node" }).click();
  await page.waitForURL("/?filter=no+nat&sort=-name");
  await page.getByLabel("Filter nodes").fill("");
  await page.waitForURL("/?sort=-name");
  await page.reload();
  await page.getByRole("link", { name: "alpha" }).waitFor();
  assert.deepEqual(await names(), NODES.toReversed());
  await page.getByRole("button", { name: "Node" }).click();
  await page.waitForURL("/");
});

test("everything is reached by keyboard alone, and a node has a page of its own", async () => {
  await page.goto("/");
  await page.getByRole("link", { name: "alpha" }).waitFor();
  const reached = [];
  for (let step = 0; step < 9; step += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.textContent || document.activeElement?.tagName));
  }
  const order = ["Skip to content", "Warren", "Sign out", "INPUT", "Node", "State", "NAT", "alpha", "bravo"];
  assert.deepEqual(reached, order);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "bravo" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/networks/default/nodes/bravo");
  for (const [name, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    await page.setViewportSize(size);
    await assertAccessible(page, `a node, ${name}`);
    await assertFits(page, `a node, ${name}`);
    await picture(`node-${name}`);
  }
  await page.setViewportSize(DESKTOP);
  await page.goBack();
  await page.getByRole("heading", { name: "Networks" }).waitFor();
});

test("the selection gives the same bytes in the browser as natively", async () => {
  const scenarios = join(root, "endpoint-selection/scenarios");
  for (const name of readdirSync(scenarios)) {
    for (const file of readdirSync(join(scenarios, name))) {
      const { about, input, output } = JSON.parse(readFileSync(join(scenarios, name, file), "utf8"));
      assert.equal(await inPage(name, JSON.stringify(input)), JSON.stringify(output), about);
    }
  }
  await assert.rejects(inPage("select", '{"now":"x","candidates":[]}'), /now: invalid type/);
});

/** Calls a function of the served module. */
function inPage(name, input) {
  const call = async ([name, input]) => {
    const files = await (await fetch("/build.json")).json();
    const { load } = await import(`/${files["src/selection/selection.ts"].file}`);
    return (await load()).raw[name](input);
  };
  return page.evaluate(call, [name, input]);
}

test("a coordinator that stops answering is told, and so is its return", async () => {
  await context.setOffline(true);
  const alert = page.getByText("The coordinator does not answer");
  await alert.waitFor();
  assert.deepEqual(await names(), NODES, "what was known stays");
  await assertAccessible(page, "the networks, cut off");
  await picture("no-answer");
  await context.setOffline(false);
  await alert.waitFor({ state: "detached" });
});

test("signing out ends it, and the used link says that it is used", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal((await context.request.get("/api/v1/overview")).status(), 401);
  await page.goto(lab.sign_in_link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This sign-in link is unknown, used or expired").waitFor();
  await assertAccessible(page, "a used link");
  await picture("used-link");
});

test("no page threw, complained, broke its policy or asked another server", () => {
  assert.deepEqual(faults, []);
});
