// The page of a machine that asks to join: whoever is signed in sees what it is, and lets it in or not.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "../ui/theme.css";
import "../ui/base.css";
import "./sign-in.css";
import "./join.css";
import { approveMachine, type MachineAnswer, refuseMachine, waitingMachine } from "../api/client";
import type { NetworkChoice, WaitingMachine } from "../api/generated/api";
import { onlyChoice, withoutNetwork } from "./join-choice";
import { SignInForm } from "./sign-in-form";

/** The code of an address such as `/join/WDJB-MJHT`; empty where a person types it. */
function codeOf(path: string): string {
  return path.split("/")[2] ?? "";
}

export function JoinPage({ code }: { code: string }) {
  const [answer, setAnswer] = useState<MachineAnswer | null>(null);
  useEffect(() => {
    if (code !== "") waitingMachine(code).then(setAnswer);
  }, [code]);
  return (
    <>
      <img src="/icon.svg" alt="" width="40" height="40" />
      {code === "" ? <CodeForm /> : <Machine answer={answer} />}
    </>
  );
}

function CodeForm() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const code = String(new FormData(event.currentTarget as HTMLFormElement).get("code")).trim();
    if (code !== "") location.assign(`/join/${encodeURIComponent(code)}`);
  };
  return (
    <form class="card-form" onSubmit={submit}>
      <h1>Let a machine in</h1>
      <p>Type the code that the machine shows.</p>
      <label>
        Code
        <input name="code" required maxLength={32} autocomplete="off" autocapitalize="characters" spellcheck={false} />
      </label>
      <button type="submit" class="primary">
        Go on
      </button>
    </form>
  );
}

function Machine({ answer }: { answer: MachineAnswer | null }) {
  if (answer === null) return <p>Asking the coordinator…</p>;
  switch (answer.kind) {
    case "signed-out":
      return (
        <>
          <h1>A machine asks to join</h1>
          <p>Sign in to see which one, and to let it in or not.</p>
          <SignInForm back={location.pathname} />
        </>
      );
    case "trouble":
      return (
        <>
          <h1>No such machine waits</h1>
          <p class="refusal" role="alert">
            {answer.why}
          </p>
          <p>
            Check the code, or run <code>warren join</code> again on the machine.
          </p>
        </>
      );
    case "machine":
      return <Decision machine={answer.machine} />;
  }
}

function Decision({ machine }: { machine: WaitingMachine }) {
  const [network, setNetwork] = useState(onlyChoice(machine.networks));
  const [done, setDone] = useState(machine.decision === "waiting" ? null : decided(machine));
  const [why, setWhy] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // Whoever refuses does so as a member of an organization: of any where they might have let the machine in.
  const refusing = network ?? machine.networks[0];
  const decide = async (refusal: Promise<string | null>, end: string) => {
    setBusy(true);
    const why = await refusal;
    setBusy(false);
    setWhy(why);
    if (why === null) setDone(end);
  };
  if (done !== null) {
    return (
      <>
        <h1>{machine.name}</h1>
        <p role="status">{done}</p>
        <p>
          You may close this page, or go to <a href="/">your networks</a>.
        </p>
      </>
    );
  }
  return (
    <>
      <h1>{machine.name} asks to join</h1>
      <p>
        Let it in only if you have started this yourself just now, and the machine shows the code{" "}
        <b>{machine.user_code}</b>.
      </p>
      <Facts machine={machine} />
      {machine.networks.length > 0 ? (
        <Choice machine={machine} network={network} choose={setNetwork} />
      ) : (
        <p class="refusal">{withoutNetwork(machine)}</p>
      )}
      <button
        type="button"
        class="primary"
        disabled={busy || !network}
        onClick={() => network && decide(approveMachine(machine, network), letIn(machine, network))}
      >
        Let it in
      </button>
      <button
        type="button"
        disabled={busy || !refusing}
        onClick={() => refusing && decide(refuseMachine(machine, refusing), "It was refused, and is told so.")}
      >
        Refuse
      </button>
      <p class="refusal" role="alert">
        {why}
      </p>
    </>
  );
}

function Facts({ machine }: { machine: WaitingMachine }) {
  const facts = [
    ["System", machine.os ?? "not told"],
    ["Address", machine.address ?? "not known"],
    ["Public key", machine.public_key],
    ["Since", new Date(machine.created_at_ms).toLocaleTimeString("en-GB")],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Choice(props: {
  machine: WaitingMachine;
  network: NetworkChoice | undefined;
  choose: (network: NetworkChoice | undefined) => void;
}) {
  const { networks } = props.machine;
  const label = (choice: NetworkChoice) => `${choice.network_name} (${choice.organization_name})`;
  const chosen = (event: Event) => {
    const id = (event.currentTarget as HTMLSelectElement).value;
    props.choose(networks.find(({ network }) => network === id));
  };
  return (
    <label>
      Network
      <select value={props.network?.network ?? ""} onChange={chosen}>
        {networks.length > 1 && (
          <option value="" disabled>
            Choose one
          </option>
        )}
        {networks.map((choice) => (
          <option key={choice.network} value={choice.network}>
            {label(choice)}
          </option>
        ))}
      </select>
    </label>
  );
}

function letIn(machine: WaitingMachine, network: NetworkChoice | undefined): string {
  const joins = `${machine.name} joins ${network?.network_name ?? "the network"} now.`;
  return network?.admission === "manual" ? `${joins} It waits there until an administrator admits it.` : joins;
}

function decided(machine: WaitingMachine): string {
  return machine.decision === "approved" ? "It was let in already." : "It was refused already.";
}

const root = globalThis.document?.getElementById("join");
if (root) render(<JoinPage code={decodeURIComponent(codeOf(location.pathname))} />, root);
