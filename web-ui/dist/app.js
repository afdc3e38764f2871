// The dashboard: asks for the overview every 2 seconds and shows it. Text is always set as text, never as markup.
"use strict";

const INTERVAL_MS = 2000;
const byId = (id) => document.getElementById(id);
const status = byId("status");
let shown = "";

function element(tag, options = {}, children = []) {
  const node = document.createElement(tag);
  if (options.text !== undefined) node.textContent = options.text;
  if (options.class) node.className = options.class;
  if (options.label) node.dataset.label = options.label;
  node.append(...children);
  return node;
}

const list = (items) => element("ul", {}, items.length ? items : [element("li", { class: "dim", text: "none" })]);
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function presence(node) {
  if (node.plain_endpoint) return element("td", { label: "State", text: "no agent", class: "dim" });
  return element("td", { label: "State", text: node.online ? "online" : "offline", class: node.online ? "good" : "dim" });
}

function pathItem(path) {
  const rtt = path.rtt_us === null ? "" : ` ${(path.rtt_us / 1000).toFixed(1)} ms`;
  const words = { direct: "direct", relay: "through a relay", none: "not reachable" };
  const kind = element("span", { text: words[path.kind] ?? path.kind, class: path.kind === "direct" ? "good" : "fair" });
  const item = element("li", {}, [`${path.peer} `, kind, rtt]);
  if (path.remote) item.title = path.remote;
  return item;
}

function nodeRow(node) {
  const addresses = node.addresses.map((net) => element("li", { text: net.split("/")[0] }));
  const candidates = node.plain_endpoint
    ? [element("li", { text: `endpoint ${node.plain_endpoint}` })]
    : node.candidates.map((one) => element("li", { text: `${one.kind} ${one.address}` }));
  const name = element("th", { text: node.name });
  name.scope = "row";
  return element("tr", {}, [
    name,
    presence(node),
    element("td", { label: "Mesh addresses", class: "mono" }, [list(addresses)]),
    element("td", { label: "Paths" }, [list(node.paths.map(pathItem))]),
    element("td", { label: "Candidates", class: "mono" }, [list(candidates)]),
  ]);
}

function headCell(text) {
  const cell = element("th", { text });
  cell.scope = "col";
  return cell;
}

function networkSection(network) {
  const online = network.nodes.filter((node) => node.online).length;
  const summary = `${network.ranges.join(" · ")} · ${plural(network.nodes.length, "node")}, ${online} online`;
  const parts = [element("h2", { text: network.name }), element("p", { class: "dim", text: summary })];
  if (network.nodes.length === 0) {
    const command = `warren-coordinator admin enrollment-key create --network ${network.name}`;
    parts.push(element("p", { text: "No node yet. Make an enrollment key, then run warren join on a machine:" }));
    parts.push(element("pre", {}, [element("code", { text: command })]));
    return element("section", {}, parts);
  }
  const titles = ["Name", "State", "Mesh addresses", "Paths", "Candidates"];
  const head = element("thead", {}, [element("tr", {}, titles.map(headCell))]);
  const body = element("tbody", {}, network.nodes.map(nodeRow));
  parts.push(element("div", { class: "frame" }, [element("table", {}, [head, body])]));
  return element("section", {}, parts);
}

function show(signedIn) {
  byId("signed-out").hidden = signedIn;
  byId("networks").hidden = !signedIn;
  byId("sign-out").hidden = !signedIn;
}

function say(text, failed) {
  if (status.textContent !== text) status.textContent = text;
  status.className = failed ? "failed" : "";
}

function render(overview) {
  // Rebuilt only when something changed, so that a selection or the scroll position survives.
  const now = JSON.stringify(overview.networks);
  if (now === shown) return;
  shown = now;
  byId("networks").replaceChildren(...overview.networks.map(networkSection));
}

async function refresh() {
  try {
    const response = await fetch("/api/v1/overview", { headers: { Accept: "application/json" } });
    if (response.status === 401) {
      show(false);
      say("", false);
      return false;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    const overview = await response.json();
    render(overview);
    show(true);
    say(`Signed in as ${overview.person}`, false);
  } catch (error) {
    say(`The coordinator does not answer (${error.message}); what you see may be old. Trying again.`, true);
  }
  return true;
}

async function loop() {
  if (document.hidden || (await refresh())) setTimeout(loop, INTERVAL_MS);
}

byId("sign-out").addEventListener("click", async () => {
  await fetch("/api/v1/sign-out", { method: "POST" });
  location.reload();
});
loop();
