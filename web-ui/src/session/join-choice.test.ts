import { expect, test } from "vitest";
import type { NetworkChoice, WaitingMachine } from "../api/generated/api";
import { onlyChoice, withoutNetwork } from "./join-choice";

const choice = (network: string): NetworkChoice => ({
  organization: "o",
  organization_name: "default",
  network,
  network_name: network,
  admission: "automatic",
});

test("a network is chosen beforehand only where there is no other", () => {
  expect(onlyChoice([])).toBeUndefined();
  expect(onlyChoice([choice("a")])).toEqual(choice("a"));
  expect(onlyChoice([choice("a"), choice("b")])).toBeUndefined();
});

test("no network at all and a role that is too low are told apart", () => {
  const machine = (may_let_in: boolean) => ({ networks: [] as NetworkChoice[], may_let_in }) as WaitingMachine;
  expect(withoutNetwork(machine(true))).toContain("no network");
  expect(withoutNetwork(machine(false))).toContain("role member");
});
