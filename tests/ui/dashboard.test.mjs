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
const EXCUSED = [/status of (401|403|404)/, /net::ERR_INTERNET_DISCONNECTED/];

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

/** What a person reads in it, as soon as it is there. */
async function text(locator) {
  await locator.waitFor({ state: "attached" });
  return (await locator.allInnerTexts()).join("\n");
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
  await page.getByRole("link", { name: "alpha", exact: true }).waitFor({ state: "detached" });
  assert.deepEqual(await names(), ["echo"]);
  await page.getByRole("button", { name: "Node" }).click();
  await page.waitForURL("/?filter=no+nat&sort=-name");
  await page.getByLabel("Filter nodes").fill("");
  await page.waitForURL("/?sort=-name");
  await page.reload();
  await page.getByRole("link", { name: "alpha", exact: true }).waitFor();
  assert.deepEqual(await names(), NODES.toReversed());
  await page.getByRole("button", { name: "Node" }).click();
  await page.waitForURL("/");
});

test("what paths the nodes may expect is compared when it is asked for", async () => {
  await page.getByRole("button", { name: "Expected paths" }).click();
  await page.getByText(/^Of 10 pairs: /).waitFor();
  const rows = page.locator(".expected tbody tr");
  assert.deepEqual((await rows.locator("th").allInnerTexts()).toSorted(), NODES);
  for (const row of await rows.all()) {
    const peers = (await row.locator("td").allInnerTexts()).map(Number);
    const sum = peers.reduce((sum, number) => sum + number, 0);
    assert.equal(sum, 4, `peers ${peers}`);
  }
  for (const [name, size] of Object.entries({ desktop: DESKTOP, phone: PHONE, narrowest: NARROWEST })) {
    await page.setViewportSize(size);
    await assertAccessible(page, `expected paths, ${name}`);
    await assertFits(page, `expected paths, ${name}`);
    await picture(`expected-paths-${name}`);
  }
  await page.setViewportSize(DESKTOP);
});

test("everything is reached by keyboard alone, and a node has a page of its own", async () => {
  await page.goto("/");
  await page.getByRole("link", { name: "alpha", exact: true }).waitFor();
  const reached = [];
  for (let step = 0; step < 15; step += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.textContent || document.activeElement?.tagName));
  }
  const order = ["Skip to content", "Warren", "Relays", "owner", "Sign out", "INPUT", "Node", "State", "NAT"];
  // A row: the node, and the pair with each of its peers.
  assert.deepEqual(reached, [...order, ...NODES, "bravo"]);
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

test("every pair is explained in the browser, as its agents decided", async () => {
  await page.goto("/");
  await page.getByRole("link", { name: "alpha to bravo" }).waitFor();
  assert.deepEqual(await modules(), [], "no other page loads the selection");
  await page.getByRole("link", { name: "alpha to bravo" }).click();
  for (const [index, own] of NODES.entries()) {
    for (const peer of NODES.slice(index + 1)) {
      await page.goto(`/networks/default/pairs/${own}/${peer}`);
      const story = await text(page.getByRole("region", { name: "Explanation" }));
      assert.ok(story.includes(own) && story.includes(peer), `${own} and ${peer}: ${story}`);
      // A path that changes is in one report at once, and in the other one a little later.
      await until(`${own} and ${peer} decided what is computed`, async () => {
        const results = await column("Result");
        return results.join() === "agree,agree" || [results, await text(page.locator(".decisions"))];
      });
      assert.deepEqual(await column("Computed here"), await column("Decided by agent"));
    }
  }
  assert.equal((await modules()).length, 1, "the pair's page loads the selection");
});

/** The WebAssembly modules that the page has loaded. */
function modules() {
  return page.evaluate(() =>
    performance.getEntriesByType("resource").flatMap(({ name }) => (name.endsWith(".wasm") ? [name] : [])),
  );
}

test("a pair shows every candidate with its reason, and its other side at a click", async () => {
  await page.goto("/networks/default/nodes/alpha");
  await page
    .getByRole("row", { name: /^bravo/ })
    .getByRole("link", { name: "why?" })
    .click();
  await page.waitForURL("/networks/default/pairs/alpha/bravo");
  await page.getByText("connected directly inside one network").waitFor();
  const chosen = page.getByRole("row", { name: /carries the traffic/ });
  assert.equal(await chosen.count(), 2, "one carries in each direction");
  assert.match(await text(chosen.first()), /192\.168\.1\.\d+:\d+\s+host\s+(interface eth0|peer)/);
  assert.equal((await column("Reason")).includes(""), false, "no candidate without a reason");
  await page.getByRole("link", { name: "See it from bravo" }).click();
  await page.getByRole("heading", { name: "bravo to alpha" }).waitFor();
  await page.getByText("bravo and alpha are connected directly").waitFor();
});

test("a relayed pair says why and what would help, and a difference is shown with both values", async () => {
  await page.route("**/api/v1/pairs/**", async (route) => {
    const response = await route.fetch();
    const report = await response.json();
    for (const node of [report.pair.own, report.pair.peer]) {
      node.nat = { ...node.nat, mapping: "address-and-port-dependent", allocation: "random" };
      node.paths.paths = node.paths.paths.filter(({ candidate }) => candidate.kind === "relayed");
      node.paths.current = node.paths.paths[0].candidate.address;
    }
    report.own_decision = { ...report.own_decision, kind: "relay", remote: report.pair.own.paths.current };
    report.peer_decision = { ...report.peer_decision, kind: "direct", remote: "192.0.2.1:9" };
    await route.fulfill({ response, json: report });
  });
  await page.goto("/networks/default/pairs/charlie/delta");
  await page.getByText("Both sides are behind NATs that use a new port per destination").waitFor();
  await page.getByRole("heading", { name: "What would help" }).waitFor();
  assert.deepEqual(await column("Result"), ["agree", "differ"]);
  const [computed, decided] = [await column("Computed here"), await column("Decided by agent")];
  assert.match(computed[1], /^relay 198\.51\.100\.10:443$/);
  assert.match(decided[1], /^direct 192\.0\.2\.1:9$/);
  await page.getByText("delta decided otherwise than this page computes").waitFor();
  await assertAccessible(page, "a pair that differs");
  await picture("pair-differs");
  await page.unroute("**/api/v1/pairs/**");
});

test("what if: other routers, another end", async () => {
  await page.goto("/networks/default/pairs/alpha/delta");
  const routers = page.getByLabel("Its nearest router");
  const outcome = page.getByRole("status");
  const play = async (one, other) => {
    await routers.nth(0).selectOption({ label: one });
    await routers.nth(1).selectOption({ label: other });
    await page.getByRole("button", { name: "Run" }).click();
    return text(outcome);
  };
  assert.match(await play("no NAT", "no NAT"), /^Direct after \d\.\d s\./);
  const random = "address-and-port-dependent mapping, random ports";
  const stays = await play(random, random);
  assert.match(stays, /^It stays on the relay\./);
  assert.match(stays, /an even chance would take about [\d,]+ packets from each side/);
  await page.getByLabel("UDP blocked").first().check();
  assert.equal(await text(outcome), "", "no result beside a form that says something else");
  assert.match(await play("as measured", random), /UDP does not leave alpha's network/);
  await page.getByLabel("UDP blocked").first().uncheck();
  const portFilter = "endpoint-independent mapping, address-and-port-dependent filtering";
  assert.match(await play(portFilter, random), /birthday: delta opens 256 sockets/);
  await page.emulateMedia({ reducedMotion: "reduce" });
  const animation = () => page.evaluate(() => getComputedStyle(document.querySelector(".track")).animationName);
  assert.equal(await animation(), "none");
  await page.emulateMedia({ reducedMotion: "no-preference" });
  assert.notEqual(await animation(), "none");
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    for (const [name, size] of Object.entries({ desktop: DESKTOP, phone: PHONE, narrowest: NARROWEST })) {
      await page.setViewportSize(size);
      await assertAccessible(page, `a pair, ${name}, ${colorScheme}`);
      await assertFits(page, `a pair, ${name}`);
      if (size !== NARROWEST) await picture(`pair-${name}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await page.setViewportSize(DESKTOP);
  await page.goto("/");
});

test("relays and STUN servers have a page that says who reaches them and what they answer", async () => {
  await page.goto("/");
  await page.getByRole("link", { name: "Relays" }).click();
  await page.getByRole("heading", { name: "Relays and STUN servers" }).waitFor();
  await until("all nodes reach the relay, and it lets the coordinator in", async () => {
    const [reached, here] = [await column("Reached by"), await column("From the coordinator")];
    const isAll = reached.length > 1 && reached.every((cell) => cell.startsWith("5 of 5 nodes"));
    return (isAll && here.every((cell) => /^serves in \d/.test(cell))) || [reached, here];
  });
  assert.equal((await names())[0].split("\n")[0], "coordinator");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [name, size] of Object.entries({
      desktop: DESKTOP,
      tablet: TABLET,
      phone: PHONE,
      narrowest: NARROWEST,
    })) {
      await page.setViewportSize(size);
      await assertAccessible(page, `the servers, ${name}, ${colorScheme}`);
      await assertFits(page, `the servers, ${name}`);
      if (size === DESKTOP || size === PHONE) await picture(`servers-${name}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESKTOP);
  await page.getByRole("link", { name: "Warren" }).click();
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

test("a guest joins by an invitation, chooses a password, and signs in with it", async () => {
  const [organization] = await (await page.request.get("/api/v1/organizations")).json();
  const path = `/api/v1/organizations/${organization.id}/invitations`;
  const invitation = await (await page.request.post(path, { data: { role: "viewer" } })).json();
  const elsewhere = await browser.newContext({ baseURL: lab.url, viewport: PHONE, colorScheme: "dark" });
  watch(elsewhere, lab.url, EXCUSED);
  const guest = await elsewhere.newPage();
  await guest.goto(`/invitation/${invitation.token}`);
  await assertAccessible(guest, "the invitation");
  await assertFits(guest, "the invitation");
  await guest.screenshot({ path: join(pictures, "invitation.png") });
  const fill = async () => {
    await guest.getByLabel("Name or e-mail address").fill("guest");
    await guest.getByLabel("Password").fill("four words and more");
  };
  await fill();
  await guest.getByRole("button", { name: "Join" }).click();
  await guest.getByRole("button", { name: "Sign out" }).click();
  await guest.getByRole("heading", { name: "A mesh network of your own" }).waitFor();
  await fill();
  await guest.getByRole("button", { name: "Sign in" }).click();
  await guest.getByRole("link", { name: "alpha" }).first().waitFor();
  await guest.goto(`/invitation/${invitation.token}`);
  await guest.getByRole("button", { name: "Join as guest" }).click();
  await guest.getByText("This invitation is unknown, used or expired; ask for a new one.").waitFor();
  await elsewhere.close();
});

test("a machine without a key is let in by a member who signs in on its page, or refused", async () => {
  const [organization] = await (await page.request.get("/api/v1/organizations")).json();
  const path = `/api/v1/organizations/${organization.id}/members`;
  const { id } = (await (await page.request.get(path)).json()).find(({ name }) => name === "guest");
  assert.equal((await page.request.patch(`${path}/${id}`, { data: { role: "member" } })).status(), 204);
  const asks = async (name, letter) => {
    const data = { name, public_key: `${"A".repeat(42)}${letter}=`, os: "Debian GNU/Linux 12 (bookworm)" };
    const answer = await page.request.post("/api/v1/device-authorization", { data });
    assert.equal(answer.status(), 200, await answer.text());
    return answer.json();
  };
  const decision = async ({ device_code }) => {
    const answer = await page.request.post("/api/v1/device-authorization/enrollment-key", { data: { device_code } });
    return answer.json();
  };
  const first = await asks("new-machine", "E");
  const elsewhere = await browser.newContext({ baseURL: lab.url, viewport: PHONE, colorScheme: "dark" });
  const complaints = watch(elsewhere, lab.url, EXCUSED);
  const member = await elsewhere.newPage();
  await member.goto(`/join/${first.user_code}`);
  await member.getByText("Sign in to see which one").waitFor();
  await assertAccessible(member, "a machine, signed out");
  await member.getByLabel("Name or e-mail address").fill("guest");
  await member.getByLabel("Password").fill("four words and more");
  await member.getByRole("button", { name: "Sign in" }).click();
  await member.getByRole("heading", { name: "new-machine asks to join" }).waitFor();
  await member.getByText(first.user_code).waitFor();
  await member.getByText("Debian GNU/Linux 12 (bookworm)").waitFor();
  for (const colorScheme of ["dark", "light"]) {
    await member.emulateMedia({ colorScheme });
    await assertAccessible(member, `a machine, ${colorScheme}`);
    await assertFits(member, "a machine");
    await member.screenshot({ path: join(pictures, `join-${colorScheme}.png`), fullPage: true });
  }
  await member.getByRole("button", { name: "Let it in" }).click();
  await member.getByText("new-machine joins default now.").waitFor();
  await assertAccessible(member, "a machine that was let in");
  assert.match((await decision(first)).enrollment_key, /^wek_/);

  const second = await asks("stranger", "I");
  await member.goto("/join");
  await assertAccessible(member, "the form for a code");
  await member.getByLabel("Code").fill(second.user_code.toLowerCase().replace("-", " "));
  await member.getByRole("button", { name: "Go on" }).click();
  await member.getByRole("button", { name: "Refuse" }).click();
  await member.getByText("It was refused, and is told so.").waitFor();
  assert.equal((await decision(second)).code, "access-denied");
  await member.goto("/join/BCDF-GHJK");
  await member.getByRole("heading", { name: "No such machine waits" }).waitFor();
  assert.deepEqual(complaints, []);
  await elsewhere.close();
});

test("who signs in with an OpenID provider is offered a button, and told why it does not work", async () => {
  const elsewhere = await browser.newContext({ baseURL: lab.url, viewport: PHONE, colorScheme: "light" });
  const complaints = watch(elsewhere, lab.url, [...EXCUSED, /status of 503/]);
  const stranger = await elsewhere.newPage();
  // The lab's coordinator has none; what a real one does is coordinator/tests/oidc's to try.
  await stranger.route("**/api/v1/sign-in-methods", (route) => route.fulfill({ json: { oidc: "Company" } }));
  const down = { title: "Company cannot be asked now", detail: "try again", status: 503 };
  await stranger.route("**/api/v1/oidc/sign-in", (route) => route.fulfill({ status: 503, json: down }));
  await stranger.goto("/?refused=no-access");
  await stranger.getByText("You have no access here. Ask an administrator.").waitFor();
  await stranger.getByRole("button", { name: "Sign in with Company" }).click();
  await stranger.getByText("Company cannot be asked now; try again.").waitFor();
  for (const colorScheme of ["dark", "light"]) {
    await stranger.emulateMedia({ colorScheme });
    await assertAccessible(stranger, `signing in with a provider, ${colorScheme}`);
  }
  await assertFits(stranger, "signing in with a provider");
  await stranger.screenshot({ path: join(pictures, "sign-in-with-a-provider.png"), fullPage: true });
  await stranger.goto("/invitation/wiv_nothing");
  await stranger.getByRole("button", { name: "Join with Company" }).waitFor();
  await assertAccessible(stranger, "an invitation with a provider");
  await stranger.goto("/account");
  await stranger.getByLabel("Name or e-mail address").fill("guest");
  await stranger.getByLabel("Password").fill("four words and more");
  await stranger.getByRole("button", { name: "Sign in", exact: true }).click();
  await stranger.getByRole("heading", { name: "guest" }).waitFor();
  await stranger.getByRole("button", { name: "Link Company" }).waitFor();
  for (const colorScheme of ["dark", "light"]) {
    await stranger.emulateMedia({ colorScheme });
    await assertAccessible(stranger, `the account, ${colorScheme}`);
  }
  await assertFits(stranger, "the account");
  await stranger.screenshot({ path: join(pictures, "account.png"), fullPage: true });
  assert.deepEqual(complaints, []);
  await elsewhere.close();
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
