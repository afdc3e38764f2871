// Which network a machine that asks to join is let into.

import type { NetworkChoice, WaitingMachine } from "../api/generated/api";

/** The network where there is no other; of several, a person chooses: nobody lets a machine into one by a hasty click. */
export function onlyChoice(networks: NetworkChoice[]): NetworkChoice | undefined {
  return networks.length === 1 ? networks[0] : undefined;
}

/** Why there is no network to let a machine into. */
export function withoutNetwork(machine: WaitingMachine): string {
  return machine.may_let_in
    ? "There is no network to let it into. Make one first: warren-coordinator admin network create."
    : "You may let no machine in: this takes the role member. Ask an administrator.";
}
