// Made from the Rust types by `cargo run -q --bin api-types`. Do not edit.

/**
 * How new nodes become part of a network.
 */
export type Admission = "automatic" | "manual";

/**
 * One thing to do.
 */
export type Advice = {
/**
 * What, for machines.
 */
code: AdviceCode,
/**
 * What, in words.
 */
sentence: string, };

/**
 * What to do.
 */
export type AdviceCode = "allow-udp" | "enable-port-mapping" | "enable-ipv6" | "enable-hairpinning" | "route-between-networks" | "open-firewall" | "raise-mtu" | "check-agents";

/**
 * Which outside port a new mapping gets (RFC 4787 §4.2.1).
 */
export type Allocation = "preserving" | { "sequential": {
/**
 * From one mapping to the next; never 0.
 */
step: number, } } | { "port-block": {
/**
 * The lowest port of the block, as far as it was seen.
 */
first: number,
/**
 * The highest.
 */
last: number, } } | "random";

/**
 * One answer of a STUN server.
 */
export type Binding = {
/**
 * The socket that asked.
 */
socket: SocketId,
/**
 * Its local port.
 */
local_port: number,
/**
 * The server.
 */
server: string,
/**
 * What the server saw.
 */
reflexive: string,
/**
 * When the request that made the mapping was sent. Requests of one time go out in order of server address, so time and
 * server give the order in which mappings were made; later answers with the same outcome do not move it.
 */
at: Timestamp, };

/**
 * The limits of one attempt. The defaults are what no router complains about: home routers hold 4,000 to 64,000
 * connections, some carriers give a subscriber 1,000, and a scanner is louder than 200 packets a second.
 */
export type Budget = {
/**
 * New mappings that an attempt may make on the own NAT by opening sockets.
 */
sockets_max: number,
/**
 * Probes per second.
 */
probes_per_s: number,
/**
 * Probes in all.
 */
probes_max: number,
/**
 * The pause after the first failed attempt, in seconds; each next one is twice as long…
 */
pause_min_s: number,
/**
 * …up to this. It never ends.
 */
pause_max_s: number, };

/**
 * An address that may reach a node.
 */
export type Candidate = {
/**
 * How it came to belong to the node.
 */
kind: CandidateKind,
/**
 * Where packets would be sent.
 */
address: string,
/**
 * The node's own address that it is sent from (RFC 8445 "base"), where known.
 */
base?: string | null,
/**
 * Who told it.
 */
source: CandidateSource, };

/**
 * How an address came to belong to a node (RFC 8445 §5.1.1.1 and §7.2.5.3); better knowledge first.
 */
export type CandidateKind = "host" | "port-mapped" | "peer-reflexive" | "server-reflexive" | "static" | "relayed";

/**
 * Who told the address.
 */
export type CandidateSource = { "interface": string } | { "router": PortMappingProtocol } | { "stun-server": string } | { "relay": string } | "peer" | "administrator";

/**
 * What carries the traffic.
 */
export type Carrier = "direct" | "relay" | "nothing";

/**
 * What stands between a node and a candidate, from what is known about both sides.
 */
export type Cause = "own-udp-blocked" | "peer-udp-blocked" | "other-network" | "other-carrier" | "no-hairpinning" | "no-such-family" | "peer-port-per-destination" | "own-port-per-destination" | "peer-stun-contradicted";

/**
 * The nearest box of a node behaves otherwise from some time on.
 */
export type Change = {
/**
 * When, in milliseconds.
 */
at_ms: number,
/**
 * The node: 0 or 1.
 */
node: number,
/**
 * How it behaves then; its tables are empty.
 */
behaviour: NatBehaviour, };

/**
 * What came of asking a server.
 */
export type CheckResult = "serves" | "silent" | "token-refused" | "token-expired" | "full" | "other-key" | "other-version" | "unroutable";

/**
 * What one attempt costs at most, both parties together.
 */
export type Cost = {
/**
 * Sockets opened beside the main one: as many new mappings.
 */
sockets: number,
/**
 * Probes sent by the party that sends more.
 */
probes: number,
/**
 * How long it takes until it has failed, in milliseconds.
 */
duration_ms: number, };

/**
 * On what of the remote endpoint a behaviour depends (RFC 4787 §4.1 and §5); the order is from lax to strict.
 */
export type Dependence = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

/**
 * Everything seen of the NAT so far.
 */
export type Evidence = {
/**
 * The machine's own addresses.
 */
local: Array<string>,
/**
 * Answers of STUN servers.
 */
bindings: Array<Binding>,
/**
 * Servers that left a whole transaction unanswered and have not answered since.
 */
unanswered: Array<string>,
/**
 * What peers saw.
 */
peer_views: Array<PeerView>,
/**
 * What came in from where nothing was sent to.
 */
heard: Array<Heard>,
/**
 * The outcome of the hairpin test (RFC 5780 §4.5), where it was made, and when.
 */
hairpin: [boolean, Timestamp] | null,
/**
 * What became of mappings over pauses.
 */
idle: Array<IdleOutcome>,
/**
 * The outside address that the router itself tells (PCP, NAT-PMP, UPnP-IGD), where it does, and when.
 */
router_address: [string, Timestamp] | null, };

/**
 * One candidate with its reason.
 */
export type ExplainedCandidate = {
/**
 * The candidate.
 */
candidate: Candidate,
/**
 * Whether its path works, as seen by the other side.
 */
status: PathStatus,
/**
 * How well.
 */
quality: PathQuality,
/**
 * Why it is used or not.
 */
reason: Reason,
/**
 * The reason in words.
 */
sentence: string, };

/**
 * The story.
 */
export type Explanation = {
/**
 * What carries the traffic from `own` to `peer`.
 */
carrier: Carrier,
/**
 * The address that it is sent to.
 */
chosen?: string | null,
/**
 * All of it in one or two sentences.
 */
sentence: string,
/**
 * What would make it better.
 */
advice: Array<Advice>,
/**
 * The peer's candidates, as `own` sees them.
 */
peer_candidates: Array<ExplainedCandidate>,
/**
 * The own candidates, as `peer` sees them.
 */
own_candidates: Array<ExplainedCandidate>,
/**
 * What is tried to open a direct path. Where all that plain opening should work with has gone unanswered, its chance is not
 * known any more.
 */
plan: Plan, };

/**
 * Which packets a NAT lets in (RFC 4787 §5).
 */
export type Filtering = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

/**
 * Whether inside hosts reach one another at their outside addresses (RFC 4787 §6). Where they do, the receiver sees
 * the sender's outside address.
 */
export type Hairpinning = "none" | "filtered" | "open";

/**
 * An authenticated datagram that came straight from a peer's address that we had not sent to.
 */
export type Heard = {
/**
 * Where it came from.
 */
from: string,
/**
 * Whether we had sent to another port of that address.
 */
is_address_known: boolean,
/**
 * When.
 */
at: Timestamp, };

/**
 * What became of a mapping over a pause.
 */
export type IdleOutcome = {
/**
 * Milliseconds without a packet from inside.
 */
idle_ms: number,
/**
 * Whether the mapping was the same after it.
 */
held: boolean,
/**
 * When it was seen.
 */
at: Timestamp, };

/**
 * How long a mapping lives without a packet from inside (RFC 4787 §4.3), bounded from both sides.
 */
export type Lifetime = {
/**
 * It outlived a pause of this many milliseconds.
 */
longer_than_ms?: number | null,
/**
 * It did not outlive one of this many.
 */
shorter_than_ms?: number | null, };

/**
 * What became of the last 32 probes.
 */
export type LossWindow = {
/**
 * One bit per probe, the newest lowest; set where it was lost.
 */
lost: number,
/**
 * Probes seen, at most 32.
 */
seen: number,
/**
 * Whether the path counts as lossy; it takes more to become so than to stay so.
 */
is_lossy: boolean, };

/**
 * How it stands with a machine that asked to be let in.
 */
export type MachineDecision = "waiting" | "approved" | "refused";

/**
 * How a NAT picks the outside port (RFC 4787 §4.1).
 */
export type Mapping = "none" | "endpoint-independent" | "address-dependent" | "address-and-port-dependent" | "dependent";

/**
 * A node, by name.
 */
export type NamedNode = {
/**
 * Its name.
 */
name: NodeName,
/**
 * Its id.
 */
id: string, };

/**
 * How a box in front of a network behaves.
 */
export type NatBehaviour = {
/**
 * `None`: addresses stay as they are; a stateful firewall.
 */
mapping: Dependence | null,
/**
 * Who may send in.
 */
filtering: Dependence,
/**
 * How ports are chosen.
 */
allocation: PortAllocation,
/**
 * How long a mapping lives after the last packet that refreshes it, in milliseconds.
 */
mapping_timeout_ms: number,
/**
 * How long a permission to send in lives after the last packet that refreshes it, in milliseconds; never longer
 * than its mapping.
 */
filter_timeout_ms: number,
/**
 * Whether packets from outside refresh the mapping and the permission as well (RFC 4787 REQ-6 allows both).
 */
inbound_refresh: boolean,
/**
 * Whether inside hosts reach one another at their outside addresses.
 */
hairpinning: Hairpinning,
/**
 * The most mappings at one time (of a firewall: the most inside endpoints); beyond it a packet that needs a new
 * one is dropped. `None`: as many as there are ports.
 */
mappings_max: number | null, };

/**
 * Everything that is known about the NAT in front of a node; `None` is "not known", never "good".
 */
export type NatProfile = {
/**
 * Mapping behaviour, towards servers and peers alike.
 */
mapping: Mapping | null,
/**
 * Filtering behaviour; only ever known to be as lax as what came in.
 */
filtering: Filtering | null,
/**
 * How ports are chosen.
 */
allocation: Allocation | null,
/**
 * Whether two inside hosts meet at outside addresses (RFC 4787 §6).
 */
hairpin: boolean | null,
/**
 * How long a mapping lives.
 */
lifetime: Lifetime | null,
/**
 * The node's address between two layers of NAT, seen by a server or told by the router: it reaches the node from
 * behind the same carrier.
 */
inner_address: string | null,
/**
 * Whether UDP works at all.
 */
udp: UdpReach | null,
/**
 * Peers see other ports than STUN servers do, though those agree: STUN's word is not to be trusted here.
 */
is_contradicted: boolean | null, };

/**
 * A network that a machine may be let into.
 */
export type NetworkChoice = {
/**
 * The organization's id.
 */
organization: string,
/**
 * The organization's name.
 */
organization_name: string,
/**
 * The network's id.
 */
network: string,
/**
 * The network's name.
 */
network_name: string,
/**
 * Whether new nodes wait for an administrator there.
 */
admission: Admission, };

/**
 * A network.
 */
export type NetworkOverview = {
/**
 * Its id.
 */
id: string,
/**
 * Its name.
 */
name: string,
/**
 * Its ranges.
 */
ranges: Array<string>,
/**
 * Its nodes, by name.
 */
nodes: Array<NodeOverview>, };

/**
 * How nodes see one server.
 */
export type NodeFigures = {
/**
 * Nodes online that reach it: that have a session there, or that it answered last.
 */
reached: number,
/**
 * Nodes online that do not reach it.
 */
unreached: number,
/**
 * The median of their RTTs in microseconds. A node tells an RTT that moved by 2 ms and by half.
 */
rtt_median_us: number | null,
/**
 * The RTT that 95 of 100 nodes have or stay below, in microseconds.
 */
rtt_p95_us: number | null,
/**
 * When a node that reaches it last reported, Unix milliseconds; nodes report each minute.
 */
last_reached_at_ms: number | null,
/**
 * Those that do not reach it, by name, the first 20, of the caller's own organizations only.
 */
unreached_by: Array<NamedNode>, };

/**
 * A node's name: 1 to 63 of `a-z`, `0-9` and `-`, neither first nor last a hyphen.
 */
export type NodeName = string;

/**
 * A node.
 */
export type NodeOverview = {
/**
 * Its id.
 */
id: string,
/**
 * Its name.
 */
name: NodeName,
/**
 * Its DNS name.
 */
dns_name: string,
/**
 * Its public key.
 */
public_key: PublicKey,
/**
 * Its mesh addresses, with the prefix of the network.
 */
addresses: Array<string>,
/**
 * Whether it holds a map stream open.
 */
online: boolean,
/**
 * When it last reported, Unix milliseconds.
 */
reported_at_ms: number | null,
/**
 * Its candidates.
 */
candidates: Array<Candidate>,
/**
 * The NAT in front of it, where measured.
 */
nat: NatProfile,
/**
 * Version of its agent.
 */
agent_version: string,
/**
 * Set for a plain WireGuard peer without an agent.
 */
plain_endpoint: string | null,
/**
 * The path in use to each peer, by the node's last report.
 */
paths: Array<PathOverview>, };

/**
 * A node of the pair, by its own report.
 */
export type NodeView = {
/**
 * Its name.
 */
name: string,
/**
 * Addresses that may reach it.
 */
candidates: Array<Candidate>,
/**
 * The NAT in front of it.
 */
nat: NatProfile,
/**
 * What it knows about its paths to the other node; `None`: it did not report any.
 */
paths?: Snapshot | null, };

/**
 * A fact about the path to `remote`.
 */
export type Observation = {
/**
 * The remote address of the path; for a relayed path, the relay's.
 */
remote: string,
/**
 * When it was seen.
 */
at: Timestamp,
/**
 * What was seen.
 */
kind: ObservationKind, };

/**
 * What was seen.
 */
export type ObservationKind = "probe-sent" | { "probe-answered": {
/**
 * Round-trip time in microseconds.
 */
rtt_us: number, } } | "probe-unanswered" | "probe-lost" | { "payload-measured": {
/**
 * Bytes.
 */
payload_max: number, } } | "data-lost" | { "relay-registered": {
/**
 * Round-trip time to the relay in microseconds, where measured.
 */
rtt_us: number | null, } } | "relay-lost";

/**
 * Why no direct path is to be expected over IPv4.
 */
export type Obstacle = { "kind": "udp-blocked",
/**
 * Whose.
 */
party: Party, } | { "kind": "ports-on-both-sides",
/**
 * Packets that each side would have to send for an even chance.
 */
packets: number, } | { "kind": "no-hairpinning" };

/**
 * Plain opening: each side begins when it is called over a relay, so within one relay trip of the other.
 */
export type Opening = {
/**
 * The paths to probe, all in each step; the ones that open most likely, and then the shortest ones, first.
 */
pairs: Array<PlannedPair>,
/**
 * Milliseconds after the start at which probes leave.
 */
rhythm_ms: Array<number>,
/**
 * The chance that one of the paths opens, in parts per million; `None` where too little is known.
 */
chance_ppm?: number | null, };

/**
 * What one node may expect of its paths to the others: how many peers there are of each kind.
 */
export type Outlook = {
/**
 * Reached directly by plain opening.
 */
direct: number,
/**
 * Reached directly where a technique succeeds.
 */
technique: number,
/**
 * Reached over a relay only.
 */
relay: number,
/**
 * Of which too little is known.
 */
unknown: number, };

/**
 * What [`outlook`] takes.
 */
export type OutlookInput = {
/**
 * The nodes of a network; at most 1,024.
 */
nodes: Array<Side>, };

/**
 * Everything that a person may see.
 */
export type Overview = {
/**
 * Who looks.
 */
person: string,
/**
 * When, Unix milliseconds by the coordinator's clock.
 */
now_ms: number,
/**
 * The networks, by name.
 */
networks: Array<NetworkOverview>, };

/**
 * A pair to explain, seen from `own`.
 */
export type Pair = {
/**
 * The node that the story is told from.
 */
own: NodeView,
/**
 * The other one.
 */
peer: NodeView,
/**
 * The prefixes of the mesh, as network and length.
 */
mesh: Array<[string, number]>,
/**
 * The relays, for their names.
 */
relays: Array<RelayName>, };

/**
 * A pair of nodes.
 */
export type PairReport = {
/**
 * The facts, in the form that the selection module explains.
 */
pair: Pair,
/**
 * What the first node's agent decided, by its last report.
 */
own_decision: PathOverview | null,
/**
 * What the other node's agent decided.
 */
peer_decision: PathOverview | null,
/**
 * When each reported last, Unix milliseconds.
 */
reported_at_ms: [number | null, number | null], };

/**
 * One of the two nodes of a pair, seen from one of them.
 */
export type Party = "own" | "peer";

/**
 * All that one node knows about one path to a peer: enough to repeat its decision elsewhere.
 */
export type PathEvidence = {
/**
 * The peer's address.
 */
candidate: Candidate,
/**
 * Whether the path works.
 */
status: PathStatus,
/**
 * How well.
 */
quality: PathQuality, };

/**
 * What kind of path carries the traffic.
 */
export type PathKind = "direct" | "idle" | "relay" | "none";

/**
 * A path.
 */
export type PathOverview = {
/**
 * The peer's name.
 */
peer: NodeName,
/**
 * What kind of path.
 */
kind: PathKind,
/**
 * Its remote address.
 */
remote: string | null,
/**
 * Smoothed RTT in microseconds.
 */
rtt_us: number | null, };

/**
 * What was measured on a path.
 */
export type PathQuality = {
/**
 * Smoothed RTT; to the relay only, for a relayed path without an answered probe.
 */
rtt: SmoothedRtt | null,
/**
 * What became of the last probes.
 */
loss: LossWindow,
/**
 * The largest UDP payload known to pass, in bytes, where it was measured.
 */
payload_max: number | null,
/**
 * When data was last seen to be lost, though probes were answered.
 */
data_lost_at: Timestamp | null,
/**
 * How often in a row that was so when the path was given a chance.
 */
data_losses: number, };

/**
 * Whether a path works, from no evidence to an answer.
 */
export type PathStatus = "untried" | { "probing": {
/**
 * Probes sent.
 */
sent: number, } } | { "answered": {
/**
 * When the last answer came.
 */
at: Timestamp,
/**
 * Unanswered probes of upkeep since.
 */
unanswered: number, } } | { "silent": {
/**
 * Since when.
 */
since: Timestamp, } };

/**
 * What a peer saw as the source of a probe of ours.
 */
export type PeerView = {
/**
 * The socket that sent it.
 */
socket: SocketId,
/**
 * Where it was sent.
 */
remote: string,
/**
 * What the peer saw.
 */
observed: string,
/**
 * When.
 */
at: Timestamp, };

/**
 * The plan of one pair.
 */
export type Plan = {
/**
 * What both sides send to at once, as soon as they know each other.
 */
opening: Opening,
/**
 * What follows where that opens nothing, in order.
 */
techniques: Array<PlannedTechnique>,
/**
 * What no technique overcomes.
 */
obstacle?: Obstacle | null,
/**
 * The chance that the plan opens a direct path, in parts per million; `None` where too little is known.
 */
chance_ppm?: number | null,
/**
 * What it may cost.
 */
budget: Budget, };

/**
 * What [`plan`] takes.
 */
export type PlanInput = {
/**
 * The node that plans.
 */
own: Side,
/**
 * The other one.
 */
peer: Side,
/**
 * Attempts that have failed so far.
 */
failures: number, };

/**
 * One path to probe.
 */
export type PlannedPair = {
/**
 * The own address that probes will leave from, where it is known; the routing table decides.
 */
base?: string | null,
/**
 * The peer's address.
 */
remote: string, } & ({ "prospect": "opens" } | { "prospect": "opens-for-peer" } | { "prospect": "unknown" } | { "prospect": "unlikely",
/**
 * Why.
 */
cause: Cause, });

/**
 * A technique with its price.
 */
export type PlannedTechnique = {
/**
 * The chance that it opens a path, in parts per million.
 */
chance_ppm: number,
/**
 * What it costs.
 */
cost: Cost, } & ({ "technique": "prediction",
/**
 * Whose ports are predicted.
 */
mapper: Party,
/**
 * From one mapping to the next; 0 where the own port is kept.
 */
step: number,
/**
 * Ports that the prober sends to.
 */
window: number, } | { "technique": "mutual-prediction",
/**
 * Foreign flows that may come between, on both NATs together.
 */
window: number, } | { "technique": "port-block",
/**
 * Whose block it is.
 */
mapper: Party,
/**
 * Its lowest port.
 */
first: number,
/**
 * Its highest port.
 */
last: number,
/**
 * Sockets that the mapper opens.
 */
sockets: number, } | { "technique": "birthday",
/**
 * Whose ports are guessed.
 */
mapper: Party,
/**
 * Sockets that the mapper opens.
 */
sockets: number,
/**
 * Ports that the prober sends to.
 */
probes: number, });

/**
 * Which outside port a new mapping gets (RFC 4787 §4.2). All take ports from 1,024 up, 64,512 in all, and never one
 * that another mapping holds.
 */
export type PortAllocation = "preserving" | { "sequential": {
/**
 * How far the counter moves for each mapping; many boxes count down, or by two.
 */
step: number, } } | { "port-block": {
/**
 * Ports in a block; carriers give 64 to 4,096.
 */
size: number, } } | "random";

/**
 * How a router is asked for a port.
 */
export type PortMappingProtocol = "pcp" | "nat-pmp" | "upnp-igd";

/**
 * A node's WireGuard public key. It names the node towards relays and peers.
 */
export type PublicKey = string;

/**
 * Exactly one per candidate.
 */
export type Reason = { "code": "best" } | { "code": "within-switch-margin" } | { "code": "no-direct-path-answers" } | { "code": "direct-paths-serve-worse" } | { "code": "configured" } | { "code": "worse-tier" } | { "code": "not-faster-by-margin" } | { "code": "loses-probes",
/**
 * Of the last probes, in per cent.
 */
percent: number, } | { "code": "too-narrow",
/**
 * The largest UDP payload that passes, in bytes.
 */
payload_max: number, } | { "code": "loses-data" } | { "code": "answered-too-long-ago" } | { "code": "standby" } | { "code": "not-probed-yet",
/**
 * Why it will hardly work, where that is known.
 */
cause?: Cause | null, } | { "code": "no-answer",
/**
 * Probes sent.
 */
probes: number,
/**
 * Why, where that is known.
 */
cause?: Cause | null, } | { "code": "went-silent" } | { "code": "relay-not-registered" } | { "code": "unusable",
/**
 * Why.
 */
why: Unusable, };

/**
 * A relay.
 */
export type Relay = {
/**
 * Its id; absent for the coordinator's own.
 */
id: string | null,
/**
 * Its name, unique in the installation.
 */
name: string,
/**
 * Where it comes from: `settings` or `registered`.
 */
origin: ServerOrigin,
/**
 * Whether it is in no map: nodes are not there.
 */
disabled: boolean,
/**
 * Its X25519 public key, base64.
 */
public_key: PublicKey,
/**
 * Where it answers.
 */
addresses: Array<string>,
/**
 * Where it answers STUN.
 */
stun_servers: Array<string>,
/**
 * When it was registered, Unix milliseconds.
 */
created_at_ms: number | null,
/**
 * How nodes see it: of all organizations for the operator, else of the caller's.
 */
nodes: NodeFigures | null,
/**
 * How the coordinator's machine finds it, for each address; what nobody has looked at of late is not here.
 */
checks: Array<ServerCheck>, };

/**
 * The relays.
 */
export type RelayList = {
/**
 * The coordinator's own, then the others by name.
 */
relays: Array<Relay>,
/**
 * The public key that relays verify nodes' tokens with: `warren-coordinator relay --verify-key`. Absent before the first start.
 */
verify_key: string | null, };

/**
 * A relay by name.
 */
export type RelayName = {
/**
 * Its name.
 */
name: string,
/**
 * Its address, as in relayed candidates.
 */
address: string, };

/**
 * What happened.
 */
export type Run = {
/**
 * When both sent on a direct path first, in milliseconds after both had started.
 */
direct_after_ms: number | null,
/**
 * Whether both sent on a direct path at the end.
 */
is_direct: boolean,
/**
 * What happened when; at most 500 events.
 */
events: Array<RunEvent>,
/**
 * Probes that each node sent.
 */
probes: [number, number],
/**
 * The most mappings at one time on the box nearest to each node, foreign ones included.
 */
mappings_max: [number, number],
/**
 * The story of the pair at the end, told from the first node.
 */
explanation: Explanation, };

/**
 * One thing that happened.
 */
export type RunEvent = {
/**
 * When, in milliseconds.
 */
at_ms: number,
/**
 * To which node: 0 or 1.
 */
node: number, } & ({ "event": "learnt",
/**
 * How it is.
 */
nat: NatProfile, } | { "event": "round-began" } | { "event": "attempt-began", } & ({ "technique": "prediction",
/**
 * Whose ports are predicted.
 */
mapper: Party,
/**
 * From one mapping to the next; 0 where the own port is kept.
 */
step: number,
/**
 * Ports that the prober sends to.
 */
window: number, } | { "technique": "mutual-prediction",
/**
 * Foreign flows that may come between, on both NATs together.
 */
window: number, } | { "technique": "port-block",
/**
 * Whose block it is.
 */
mapper: Party,
/**
 * Its lowest port.
 */
first: number,
/**
 * Its highest port.
 */
last: number,
/**
 * Sockets that the mapper opens.
 */
sockets: number, } | { "technique": "birthday",
/**
 * Whose ports are guessed.
 */
mapper: Party,
/**
 * Sockets that the mapper opens.
 */
sockets: number,
/**
 * Ports that the prober sends to.
 */
probes: number, }) | { "event": "attempt-ended", } & ({ "outcome": "opened",
/**
 * Which socket.
 */
socket: SocketId, } | { "outcome": "failed" }) | { "event": "path-changed",
/**
 * To this address; `None`: nowhere.
 */
remote: string | null,
/**
 * Whether that is a relay's.
 */
is_relay: boolean, });

/**
 * A scenario.
 */
export type Scenario = {
/**
 * Where chance begins.
 */
seed: number,
/**
 * The two nodes.
 */
nodes: [SimulatedNode, SimulatedNode],
/**
 * Boxes in front of both, such as a carrier's NAT, from the nodes outwards.
 */
shared: Array<NatBehaviour>,
/**
 * Inside the outermost box in front of the first node stands a STUN server as well, which so sees less of the way.
 */
carrier_server: boolean,
/**
 * The second node is in the first one's network; its own boxes do not count.
 */
same_network: boolean,
/**
 * Packets lost, in a million, on each way over the internet.
 */
loss_ppm: number,
/**
 * How long to play, in milliseconds; at most [`DURATION_MS_MAX`].
 */
duration_ms: number,
/**
 * What changes on the way.
 */
changes: Array<Change>, };

/**
 * What [`select`] takes: a peer's candidates and what was observed of them.
 */
export type SelectInput = {
/**
 * When to decide.
 */
now: Timestamp,
/**
 * The prefixes of the node's own meshes, as network and length.
 */
mesh: Array<[string, number]>,
/**
 * What a node knew before, if it did.
 */
snapshot: Snapshot,
/**
 * The peer's candidates; at most [`Policy::candidates_max`], with those of the snapshot.
 */
candidates: Array<Candidate>,
/**
 * What was observed, oldest first.
 */
observations: Array<Observation>, };

/**
 * What was decided for one peer.
 */
export type Selection = {
/**
 * The candidate whose path carries the traffic; `None` where nothing reaches the peer.
 */
chosen: Candidate | null,
/**
 * One verdict per candidate, ordered by address.
 */
verdicts: Array<Verdict>, };

/**
 * What came of asking a server from the coordinator's machine.
 */
export type ServerCheck = {
/**
 * The address that was asked.
 */
address: string,
/**
 * When, Unix milliseconds.
 */
at_ms: number,
/**
 * What came of it.
 */
result: CheckResult,
/**
 * The time to the first answer in microseconds.
 */
rtt_us: number | null, };

/**
 * Where a server comes from.
 */
export type ServerOrigin = "settings" | "registered" | "relay";

/**
 * One node of a pair.
 */
export type Side = {
/**
 * Addresses that may reach it.
 */
candidates: Array<Candidate>,
/**
 * The NAT in front of it.
 */
nat: NatProfile, };

/**
 * A node and what is in front of it.
 */
export type SimulatedNode = {
/**
 * Its name.
 */
name: string,
/**
 * Boxes in front of it alone, nearest first; none: it has a public address.
 */
boxes: Array<NatBehaviour>,
/**
 * UDP does not leave its network.
 */
is_udp_blocked: boolean,
/**
 * Its nearest box maps packets to STUN servers as if it were endpoint-independent, so that these see a port that no peer
 * ever sees.
 */
are_servers_exempt: boolean,
/**
 * Its nearest box opens a port on request (PCP, NAT-PMP, UPnP-IGD).
 */
has_port_mapping: boolean,
/**
 * It has an IPv6 address as well, behind a stateful firewall.
 */
has_ipv6: boolean,
/**
 * One way to the middle of the internet, in milliseconds.
 */
delay_ms: number,
/**
 * Flows that other hosts open per second on its nearest box.
 */
foreign_flows_per_s: number,
/**
 * When it starts, in milliseconds.
 */
starts_at_ms: number, };

/**
 * A smoothed RTT; starts with its first sample.
 */
export type SmoothedRtt = { rtt_us: number, variation_us: number, };

/**
 * The evidence on all paths to one peer at one time.
 */
export type Snapshot = {
/**
 * The time of the node's own clock that the evidence's times are of.
 */
now: Timestamp,
/**
 * The address of the path in use.
 */
current?: string | null,
/**
 * Nobody has used the tunnel of late, so nothing is probed.
 */
idle?: boolean,
/**
 * The paths, ordered by address.
 */
paths: Array<PathEvidence>, };

/**
 * One of a node's UDP sockets. Behind a NAT each is a mapping of its own.
 */
export type SocketId = number;

/**
 * A STUN server.
 */
export type StunServer = {
/**
 * Its id; absent for one that was not registered here.
 */
id: string | null,
/**
 * Its name: `coordinator`, that of the relay, or the one that it was registered with.
 */
name: string,
/**
 * Where it comes from.
 */
origin: ServerOrigin,
/**
 * Whether it is in no map.
 */
disabled: boolean,
/**
 * Where it answers.
 */
address: string,
/**
 * When it was registered, Unix milliseconds.
 */
created_at_ms: number | null,
/**
 * Whether nodes ask it: they ask the first eight of their map, and this list is in that order.
 */
asked: boolean,
/**
 * How nodes see it: of all organizations for the operator, else of the caller's.
 */
nodes: NodeFigures | null,
/**
 * How the coordinator's machine finds it; absent where nobody has looked of late.
 */
check: ServerCheck | null, };

/**
 * Microseconds since an origin of the caller's choice; it never goes back.
 */
export type Timestamp = number;

/**
 * Whether UDP gets out and back.
 */
export type UdpReach = "open" | "blocked";

/**
 * Why an address is never a candidate.
 */
export type Unusable = "no-port" | "not-unicast" | "link-local" | "inside-mesh";

/**
 * What was decided for one candidate.
 */
export type Verdict = {
/**
 * The candidate.
 */
candidate: Candidate,
/**
 * Whether its path works.
 */
status: PathStatus,
/**
 * How well.
 */
quality: PathQuality,
/**
 * Why it is used or not.
 */
reason: Reason, };

/**
 * A machine that waits, for the person who decides.
 */
export type WaitingMachine = {
/**
 * The code, which must be the one that the machine shows.
 */
user_code: string,
/**
 * The name that it wants.
 */
name: string,
/**
 * Its WireGuard public key.
 */
public_key: PublicKey,
/**
 * Its operating system, as it says.
 */
os: string | null,
/**
 * The address that its request came from.
 */
address: string | null,
/**
 * Since when it waits, Unix milliseconds.
 */
created_at_ms: number,
/**
 * Until when, Unix milliseconds.
 */
expires_at_ms: number,
/**
 * Whether somebody has decided.
 */
decision: MachineDecision,
/**
 * Where the caller may let it in.
 */
networks: Array<NetworkChoice>,
/**
 * Whether the caller's role suffices anywhere: where there are no networks, this tells why.
 */
may_let_in: boolean, };
