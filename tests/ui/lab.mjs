// The demonstration of the lab, held up for a browser: a coordinator and five agents behind real NATs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** How long five nodes may take to join and connect on a busy machine. */
const READY_MS = 180_000;
/** How long the lab may take to end by itself. */
const FAREWELL_MS = 10_000;

/** Starts it; gives the dashboard's address and a sign-in link. It ends with this process at the latest, since it lives
 * only as long as its standard input. */
export async function startLab(program) {
  const lab = spawn(program, ["demo", "--hold", "--json"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(lab, "exit");
  const stop = async () => {
    lab.stdin.end();
    const timer = setTimeout(() => lab.kill("SIGKILL"), FAREWELL_MS);
    const [code] = await ended;
    clearTimeout(timer);
    return code;
  };
  try {
    return { ...(await announcement(lab)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function announcement(lab) {
  const said = [];
  const timer = setTimeout(() => lab.kill("SIGKILL"), READY_MS);
  for await (const line of createInterface({ input: lab.stdout })) {
    if (line.startsWith("{")) {
      clearTimeout(timer);
      lab.stdout.resume();
      return JSON.parse(line);
    }
    said.push(line);
  }
  clearTimeout(timer);
  assert.fail(`the lab ended without an address:\n${said.join("\n")}`);
}
