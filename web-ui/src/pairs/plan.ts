// The plan of a pair in words: what is tried in which order, how likely it opens a direct path, and what it costs.

import type { Obstacle, Opening, Party, Plan, PlannedTechnique } from "../api/generated/api";
import { counted } from "../ui/format";
import { percent, seconds, signed, thousands } from "./words";

export interface Step {
  name: string;
  what: string;
  chance: string;
  cost: string;
}

export interface Names {
  own: string;
  peer: string;
}

/** What is tried, in order. */
export function stepsOf(plan: Plan, names: Names): Step[] {
  return [openingStep(plan.opening, names), ...plan.techniques.map((planned) => techniqueStep(planned, names))];
}

function openingStep({ pairs, rhythm_ms, chance_ppm }: Opening, { own, peer }: Names): Step {
  const count = (prospect: string) => pairs.filter((pair) => pair.prospect === prospect).length;
  const prospects = [
    [count("opens"), "with nothing known in the way"],
    [count("opens-for-peer"), `opened by ${peer} sending first`],
    [count("unknown"), "of which too little is known"],
    [count("unlikely"), "unlikely"],
  ] as const;
  const told = prospects.filter(([number]) => number > 0).map(([number, words]) => `${number} ${words}`);
  const last = seconds(Math.max(0, ...rhythm_ms));
  return {
    name: "plain opening",
    what:
      pairs.length === 0
        ? `${peer} has no address to probe.`
        : `${own} probes ${counted(pairs.length, "path")} at once (${told.join(", ")}), while ${peer} does the same.`,
    chance: percent(chance_ppm),
    cost: `${rhythm_ms.length} probes per path in ${last}`,
  };
}

function techniqueStep(planned: PlannedTechnique, names: Names): Step {
  const { sockets, probes, duration_ms } = planned.cost;
  return {
    ...techniqueWords(planned, names),
    chance: percent(planned.chance_ppm),
    cost: `at most ${thousands(probes)} probes, ${counted(sockets, "socket")}, ${seconds(duration_ms)}`,
  };
}

/** A technique as an attempt's event carries it. */
export type Technique = PlannedTechnique extends infer T
  ? T extends unknown
    ? Omit<T, "chance_ppm" | "cost">
    : never
  : never;

/** A technique's name, and what both sides do. */
export function techniqueWords(technique: Technique, names: Names): { name: string; what: string } {
  switch (technique.technique) {
    case "prediction": {
      const [mapper, prober] = roles(technique.mapper, names);
      const ports =
        technique.step === 0
          ? "the port that it keeps"
          : `the ${counted(technique.window, "port")} that come next (${signed(technique.step)} each)`;
      return {
        name: "prediction",
        what: `${mapper} tells its NAT's newest port; ${prober} probes ${ports}.`,
      };
    }
    case "mutual-prediction":
      return {
        name: "mutual prediction",
        what: `Both tell their NATs' newest ports, and each walks the ports that the other's come next; up to ${counted(technique.window, "foreign flow")} may come between.`,
      };
    case "port-block": {
      const [mapper, prober] = roles(technique.mapper, names);
      return {
        name: "port block",
        what: `${mapper} opens ${counted(technique.sockets, "socket")}; ${prober} probes every port of its block, ${technique.first} to ${technique.last}.`,
      };
    }
    case "birthday": {
      const [mapper, prober] = roles(technique.mapper, names);
      return {
        name: "birthday",
        what: `${mapper} opens ${counted(technique.sockets, "socket")}; ${prober} probes up to ${thousands(technique.probes)} random ports until one is hit.`,
      };
    }
  }
}

function roles(mapper: Party, { own, peer }: Names): [mapper: string, prober: string] {
  return mapper === "own" ? [own, peer] : [peer, own];
}

/** What no technique overcomes. */
export function obstacleWords(obstacle: Obstacle, { own, peer }: Names): string {
  switch (obstacle.kind) {
    case "udp-blocked":
      return `UDP does not leave ${obstacle.party === "own" ? own : peer}'s network: nothing can open a direct path.`;
    case "ports-on-both-sides":
      return `Both NATs take ports that cannot be told beforehand: an even chance would take about ${thousands(Number(obstacle.packets.toPrecision(2)))} packets from each side.`;
    case "no-hairpinning":
      return "Both are in different networks behind one NAT, and it does not hairpin.";
  }
}
