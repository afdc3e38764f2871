// What is known about a pair, in the words of docs/glossary.md.

import type {
  Allocation,
  Filtering,
  Lifetime,
  LossWindow,
  Mapping,
  NatProfile,
  PathStatus,
} from "../api/generated/api";
import { age } from "../ui/format";

/** What the page says of anything that nobody measured. */
export const NOT_KNOWN = "not known";

/** A status in words, as of the report that tells it. */
export function statusWords(status: PathStatus): string {
  if (status === "untried") return "not probed";
  if ("probing" in status) return "no answer";
  if ("silent" in status) return "went silent";
  const { unanswered } = status.answered;
  return unanswered === 0 ? "answers" : `answered, then ${unanswered} unanswered`;
}

/** Probes lost of the last ones. */
export function lossWords({ lost, seen }: LossWindow): string {
  if (seen === 0) return "–";
  let count = 0;
  for (let bits = lost >>> 0; bits !== 0; bits >>>= 1) count += bits & 1;
  return `${Math.round((100 * count) / seen)} % of ${seen}`;
}

/** A chance given in parts per million: never 100 % unless it is certain, never 0 % unless it is none. */
export function percent(ppm: number | null | undefined): string {
  if (ppm === null || ppm === undefined) return NOT_KNOWN;
  if (ppm > 0 && ppm < 10_000) return "under 1 %";
  if (ppm > 990_000 && ppm < 1_000_000) return `${(Math.floor(ppm / 1000) / 10).toFixed(1)} %`;
  return `${Math.floor(ppm / 10_000)} %`;
}

/** A number with commas between thousands. */
export function thousands(number: number): string {
  return number.toLocaleString("en-US");
}

/** A length of time given in milliseconds, with one digit after the point. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export interface Fact {
  name: string;
  value: string;
}

/** Everything that is known about a NAT, and by name what is not. */
export function factsOf(nat: NatProfile): Fact[] {
  return [
    { name: "UDP", value: nat.udp === null ? NOT_KNOWN : UDP[nat.udp] },
    { name: "Mapping", value: nat.mapping === null ? NOT_KNOWN : MAPPINGS[nat.mapping] },
    { name: "Filtering", value: nat.filtering === null ? NOT_KNOWN : FILTERINGS[nat.filtering] },
    { name: "Allocation", value: nat.allocation === null ? NOT_KNOWN : allocationWords(nat.allocation) },
    { name: "Hairpinning", value: nat.hairpin === null ? NOT_KNOWN : nat.hairpin ? "yes" : "no" },
    { name: "Mapping lifetime", value: nat.lifetime === null ? NOT_KNOWN : lifetimeWords(nat.lifetime) },
    {
      name: "Layers",
      value: nat.inner_address === null ? NOT_KNOWN : `a second NAT outside of ${nat.inner_address}`,
    },
    { name: "Ports that STUN servers see", value: stunWords(nat.is_contradicted) },
  ];
}

const UDP = { open: "gets out and back", blocked: "blocked: no STUN server answers" };

const MAPPINGS: Record<Mapping, string> = {
  none: "no NAT: its address is its own",
  "endpoint-independent": "endpoint-independent: one outside port for all destinations",
  "address-dependent": "address-dependent: one outside port per destination address",
  "address-and-port-dependent": "address-and-port-dependent: one outside port per destination address and port",
  dependent: "destination-dependent; whether by address or by port is not known",
};

/** A filter is only ever known to be as lax as what came in. */
const FILTERINGS: Record<Filtering, string> = {
  "endpoint-independent": "endpoint-independent: lets in packets from anyone",
  "address-dependent": "address-dependent or laxer: lets in addresses that were sent to",
  "address-and-port-dependent": "address-and-port-dependent or laxer: lets in endpoints that were sent to",
};

function allocationWords(allocation: Allocation): string {
  if (allocation === "preserving") return "preserving: the inside port";
  if (allocation === "random") return "random: any port";
  if ("sequential" in allocation) return `sequential: ${signed(allocation.sequential.step)} per mapping`;
  const { first, last } = allocation["port-block"];
  return `port block: ${first} to ${last}`;
}

/** A step between ports, with its sign. */
export function signed(step: number): string {
  return `${step < 0 ? "−" : "+"}${Math.abs(step)}`;
}

function lifetimeWords({ longer_than_ms: longer = null, shorter_than_ms: shorter = null }: Lifetime): string {
  if (longer !== null && shorter !== null) return `between ${age(longer)} and ${age(shorter)} without a packet`;
  if (longer !== null) return `longer than ${age(longer)} without a packet`;
  return shorter === null ? NOT_KNOWN : `shorter than ${age(shorter)} without a packet`;
}

function stunWords(isContradicted: boolean | null): string {
  if (isContradicted === null) return NOT_KNOWN;
  return isContradicted ? "peers see other ones" : "peers see the same";
}
