//! All networks in memory, kept in step with the database. On any doubt (a row that cannot be read, a database that
//! does not answer) what was known stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use protocol::api::Servers;
use protocol::relay_token::TokenVerifyingKey;
use uuid::Uuid;

use super::NodeIdentity;
use super::network_map::NetworkState;
use crate::store::{
    AccessRuleRow, CandidatesRow, NetworkRow, NodeRow, NodeRows, ReadTx, SecretHash, StoreError,
};

/// All networks in memory.
pub(crate) struct Directory {
    /// The last revision of any network.
    counter: Arc<AtomicU64>,
    verify_key: TokenVerifyingKey,
    /// What every map names.
    servers: Arc<Servers>,
    pub(super) networks: BTreeMap<Uuid, NetworkState>,
    /// Node and network of each token.
    tokens: HashMap<SecretHash, (Uuid, Uuid)>,
    /// The network of each node.
    homes: HashMap<Uuid, Uuid>,
    now_ms: i64,
    last_stream: u64,
    closing: bool,
}

impl Directory {
    /// An empty one. The boot count is the upper half of every revision; peer relays verify tokens with the key.
    pub(crate) fn new(boot_count: u32, verify_key: TokenVerifyingKey) -> Self {
        Self {
            counter: Arc::new(AtomicU64::new(u64::from(boot_count) << 32)),
            verify_key,
            servers: Arc::default(),
            networks: BTreeMap::new(),
            tokens: HashMap::new(),
            homes: HashMap::new(),
            now_ms: 0,
            last_stream: 0,
            closing: false,
        }
    }

    /// The servers that every map names.
    pub(crate) const fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }

    /// Takes over the servers that every map names; all nodes hear of it where they are others than before.
    pub(crate) fn set_servers(&mut self, servers: Servers) {
        if *self.servers != servers {
            self.servers = Arc::new(servers);
            self.networks.values_mut().for_each(NetworkState::note_servers);
        }
    }

    /// Takes over the clock.
    pub(crate) fn advance(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.networks.values_mut().for_each(|network| network.advance(now_ms));
    }

    /// Takes over the whole database.
    pub(crate) fn replace_all(&mut self, everything: Everything) {
        let Everything { networks, network_ids, rules: (rules, bad_rules), nodes: (nodes, bad) } = everything;
        self.networks.retain(|id, _| network_ids.contains(id));
        for network in networks {
            self.put_network(network);
        }
        self.put_all_rules(rules, &bad_rules);
        let mut keep = BTreeSet::new();
        for row in &bad {
            tracing::error!(node = ?row.id, error = %row.error, "a node's row cannot be read; what was known of it stays");
            keep.extend(row.id);
        }
        // An unreadable id may be any node's: then nothing is removed.
        let removals_certain = bad.iter().all(|row| row.id.is_some());
        keep.extend(nodes.iter().map(|node| node.id));
        if removals_certain {
            self.remove_all_but(&keep);
        }
        for node in nodes {
            self.put_node(node);
        }
    }

    /// Takes over the candidates that were reported before the coordinator started.
    pub(crate) fn put_old_candidates(&mut self, rows: Vec<CandidatesRow>) {
        for row in rows {
            for network in self.networks.values_mut() {
                network.put_old_candidates(row.node_id, row.candidates.clone(), row.reported_at_ms);
            }
        }
    }

    /// Networks with a rule that cannot be read keep the rules that they have.
    fn put_all_rules(&mut self, rules: Vec<AccessRuleRow>, bad: &[Option<Uuid>]) {
        if bad.contains(&None) {
            return;
        }
        let mut by_network: BTreeMap<Uuid, Vec<AccessRuleRow>> = BTreeMap::new();
        for rule in rules {
            by_network.entry(rule.network_id).or_default().push(rule);
        }
        for (id, network) in &mut self.networks {
            if !bad.contains(&Some(*id)) {
                network.set_rules(by_network.remove(id).unwrap_or_default());
            }
        }
    }

    fn remove_all_but(&mut self, keep: &BTreeSet<Uuid>) {
        for network in self.networks.values_mut() {
            let gone: Vec<Uuid> = network.nodes.keys().filter(|id| !keep.contains(id)).copied().collect();
            for id in gone {
                network.remove(id);
            }
        }
        self.tokens.retain(|_, (node, _)| keep.contains(node));
        self.homes.retain(|node, _| keep.contains(node));
    }

    /// Adds a network, or takes over its changed row.
    pub(crate) fn put_network(&mut self, row: NetworkRow) {
        if let Some(known) = self.networks.get_mut(&row.id) {
            known.set_row(row);
        } else {
            let mut network = NetworkState::new(row, Arc::clone(&self.counter), self.verify_key);
            network.advance(self.now_ms);
            self.networks.insert(network.row().id, network);
        }
    }

    /// Takes over a network's row and rules.
    pub(crate) fn put_network_with_rules(&mut self, row: NetworkRow, rules: Vec<AccessRuleRow>) {
        let id = row.id;
        self.put_network(row);
        if let Some(network) = self.networks.get_mut(&id) {
            network.set_rules(rules);
        }
    }

    /// Forgets a network.
    pub(crate) fn remove_network(&mut self, id: Uuid) {
        self.networks.remove(&id);
    }

    /// Whether the network is known.
    pub(crate) fn knows_network(&self, id: Uuid) -> bool {
        self.networks.contains_key(&id)
    }

    /// Takes over one node's row; a deleted one goes.
    pub(crate) fn put_node(&mut self, row: NodeRow) {
        if let Some(home) = self.homes.insert(row.id, row.network_id)
            && home != row.network_id
        {
            self.leave(home, row.id);
        }
        let Some(network) = self.networks.get_mut(&row.network_id) else {
            tracing::error!(node = %row.id, "a node's network cannot be read; the node is left out");
            return;
        };
        let unchanged = network.nodes.get(&row.id).is_some_and(|known| known.row == row);
        if unchanged {
            return;
        }
        if let Some(known) = network.nodes.get(&row.id) {
            for token in tokens(&known.row) {
                self.tokens.remove(&token);
            }
        }
        if row.deleted_at_ms.is_some() {
            network.remove(row.id);
            self.homes.remove(&row.id);
        } else {
            self.tokens.extend(tokens(&row).map(|token| (token, (row.id, row.network_id))));
            network.put(row);
        }
    }

    /// A node goes to another network.
    fn leave(&mut self, home: Uuid, node: Uuid) {
        let left = self.networks.get_mut(&home).and_then(|network| network.remove(node));
        for token in left.iter().flat_map(|node| tokens(&node.row)) {
            self.tokens.remove(&token);
        }
    }

    /// Who a token belongs to, and whether this is its first use.
    pub(crate) fn identify(&self, token: SecretHash) -> Option<(NodeIdentity, bool)> {
        let (node, network) = *self.tokens.get(&token)?;
        let row = &self.networks.get(&network)?.nodes.get(&node)?.row;
        let identity = NodeIdentity { node, network, public_key: row.public_key };
        Some((identity, row.pending_token_hash == Some(token)))
    }

    /// A number for a new stream.
    pub(crate) fn next_stream(&mut self) -> u64 {
        self.last_stream += 1;
        self.last_stream
    }

    /// The network that a node is in now; it may have moved since it was identified.
    pub(crate) fn home(&self, identity: &NodeIdentity) -> Uuid {
        self.homes.get(&identity.node).copied().unwrap_or(identity.network)
    }

    /// The network that a node is in.
    pub(crate) fn network_of(&self, node: Uuid) -> Option<&NetworkState> {
        self.networks.get(self.homes.get(&node)?)
    }

    /// A network.
    pub(crate) fn network_mut(&mut self, id: Uuid) -> Option<&mut NetworkState> {
        self.networks.get_mut(&id)
    }

    /// Ends all streams, now and later.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        for network in self.networks.values_mut() {
            network.wake();
        }
    }

    /// Whether the coordinator stops.
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing
    }
}

/// What the database says of all networks.
pub(crate) struct Everything {
    /// Those that can be read.
    networks: Vec<NetworkRow>,
    /// All of them.
    network_ids: BTreeSet<Uuid>,
    rules: (Vec<AccessRuleRow>, Vec<Option<Uuid>>),
    nodes: NodeRows,
}

impl Everything {
    /// Reads it.
    pub(crate) fn read(tx: &ReadTx<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            networks: tx.networks()?,
            network_ids: tx.network_ids()?,
            rules: tx.all_access_rules()?,
            nodes: tx.nodes()?,
        })
    }
}

fn tokens(row: &NodeRow) -> impl Iterator<Item = SecretHash> {
    row.token_hash.into_iter().chain(row.pending_token_hash)
}
