-- The coordinator's database, whole: SQLite, one file, `warren.db` in the data directory.
--
-- This file is the readable truth. The program builds the database from the numbered steps in
-- coordinator/src/store/migrations; a test compares the result with this file, statement by statement.
--
-- Conventions: ids are UUIDs as text; times are Unix milliseconds; `_hash` columns hold the SHA-256 of a random
-- secret of 256 bits (which needs no slow hash), never the secret; `deleted_at` marks a row that is kept for a reason
-- given beside it. What changes by the minute (presence, paths, times of reports) is not here: it stays in memory.
--
-- Indexes called `…_copy` serve no query. SQLite has no checksums, but its integrity check compares tables with their indexes:
-- with a second copy of each value that no other index holds, a byte that a disk changed is found at the next start, and never
-- served. Only `node_candidates`, `audit_log` and `changes` have none: nodes report the first each minute, the others decide nothing.

PRAGMA application_id = 1467117123; -- 0x57726E43, "WrnC": refuses files of other programs
PRAGMA user_version = 10;           -- the number of the last migration

-- The coordinator itself: one row.
CREATE TABLE coordinator (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot_count INTEGER NOT NULL CHECK (boot_count >= 0), -- upper half of every map revision, so revisions only grow
    public_url TEXT,                                     -- as `serve` was last told; admin commands make links from it
    relay_private_key BLOB NOT NULL CHECK (length(relay_private_key) = 32), -- X25519, of the relay inside
    token_signing_key BLOB NOT NULL CHECK (length(token_signing_key) = 32), -- Ed25519, signs relay tokens
    -- Whether `serve` made the first owner itself and nobody has signed in since: then a start makes a link for them.
    awaits_owner INTEGER NOT NULL DEFAULT 0 CHECK (awaits_owner IN (0, 1))
) STRICT;
CREATE INDEX coordinator_copy ON coordinator (boot_count, public_url, relay_private_key, token_signing_key, awaits_owner);

-- People who may sign in to the dashboard.
CREATE TABLE people (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 254), -- a name or an e-mail address
    created_at INTEGER NOT NULL,
    password_hash TEXT -- argon2id in PHC form; null for who signs in by link only
) STRICT;
CREATE INDEX people_copy ON people (created_at, password_hash);

CREATE TABLE organizations (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX organizations_copy ON organizations (created_at);

-- Who belongs to which organization, as what: the higher of the role that somebody gave and the one that follows from the
-- groups at the OpenID provider, as of the last sign-in there.
CREATE TABLE memberships (
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at INTEGER NOT NULL,
    given_role TEXT CHECK (given_role IN ('owner', 'admin', 'member', 'viewer')),
    group_role TEXT CHECK (group_role IN ('owner', 'admin', 'member', 'viewer')),
    PRIMARY KEY (person_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_organization ON memberships (organization_id);
CREATE INDEX memberships_copy ON memberships (role, created_at, given_role, group_role);

-- Who somebody is at an OpenID provider. Nothing else that the provider says (name, e-mail address) tells people apart.
CREATE TABLE identities (
    issuer TEXT NOT NULL CHECK (length(issuer) BETWEEN 1 AND 2048),
    subject TEXT NOT NULL CHECK (length(subject) BETWEEN 1 AND 255), -- OpenID Connect Core §2
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_person ON identities (person_id);
CREATE INDEX identities_copy ON identities (created_at);

-- A mesh: its nodes see one another and nothing else.
CREATE TABLE networks (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    ipv4 TEXT NOT NULL, -- CIDR; two networks may overlap where somebody chose so, else none does
    ipv6 TEXT NOT NULL, -- CIDR; a random unique local /48 (RFC 4193)
    default_access TEXT NOT NULL CHECK (default_access IN ('allow', 'deny')), -- of traffic that no access rule matches
    admission TEXT NOT NULL CHECK (admission IN ('automatic', 'manual')),     -- whether new nodes wait for an administrator
    created_at INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;
CREATE INDEX networks_copy ON networks (ipv4, ipv6, default_access, admission, created_at);

-- Secrets that let a machine join.
CREATE TABLE enrollment_keys (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    network_id TEXT NOT NULL REFERENCES networks (id),
    single_use INTEGER NOT NULL CHECK (single_use IN (0, 1)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    use_count INTEGER NOT NULL DEFAULT 0 CHECK (use_count >= 0 AND (single_use = 0 OR use_count <= 1)),
    last_used_at INTEGER,
    description TEXT NOT NULL DEFAULT '' CHECK (length(description) <= 200), -- for people
    tags TEXT NOT NULL DEFAULT '[]',                                         -- JSON: the tags of the nodes that use it
    is_ephemeral INTEGER NOT NULL DEFAULT 0 CHECK (is_ephemeral IN (0, 1)),  -- whether they are deleted when they go offline
    public_key TEXT CHECK (length(public_key) = 44),                         -- the only machine that may use it, where it is for one
    created_by TEXT REFERENCES people (id) ON DELETE SET NULL                -- null for `admin` commands; it outlives the membership
) STRICT;
CREATE INDEX enrollment_keys_network ON enrollment_keys (network_id);
CREATE INDEX enrollment_keys_copy ON enrollment_keys (
    single_use, created_at, expires_at, revoked_at, use_count, last_used_at, description, tags, is_ephemeral,
    public_key, created_by
);

-- Machines of a network. A deleted node's row stays, so that its token is answered "deleted" and not "unknown".
CREATE TABLE nodes (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    network_id TEXT NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    public_key TEXT NOT NULL CHECK (length(public_key) = 44), -- WireGuard, base64 as `wg` prints it
    host_index INTEGER NOT NULL CHECK (host_index > 0),       -- its place in the network's ipv4 and ipv6 ranges
    enrollment_key_id TEXT REFERENCES enrollment_keys (id),   -- the key it came with last
    token_hash BLOB CHECK (length(token_hash) = 32),
    -- A token that was given out but not used yet; its first use makes it the token. So whoever repeats an enrollment
    -- cannot lock the node out: the new token is sealed to the node's key, and the old one counts until then.
    pending_token_hash BLOB CHECK (length(pending_token_hash) = 32),
    plain_endpoint TEXT,                                      -- ip:port of a WireGuard peer without an agent
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    may_relay INTEGER NOT NULL DEFAULT 0 CHECK (may_relay IN (0, 1)), -- whether it may be a relay for its network
    tags TEXT NOT NULL DEFAULT '[]',                                  -- JSON: what access rules know it by
    is_waiting INTEGER NOT NULL DEFAULT 0 CHECK (is_waiting IN (0, 1)),    -- for an administrator to admit it
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)),  -- switched off by an administrator
    is_ephemeral INTEGER NOT NULL DEFAULT 0 CHECK (is_ephemeral IN (0, 1)), -- deleted when it goes offline
    expires_at INTEGER,                                                    -- from then on it sees no peers, and they not it
    approved_routes TEXT NOT NULL DEFAULT '[]',                            -- JSON: networks that it may route to, with priority
    CHECK ((plain_endpoint IS NULL) = (token_hash IS NOT NULL))
) STRICT;

-- Rules among nodes that are not deleted: a key is one node everywhere; names and addresses are unique per network.
CREATE UNIQUE INDEX nodes_public_key ON nodes (public_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX nodes_name ON nodes (network_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX nodes_host_index ON nodes (network_id, host_index) WHERE deleted_at IS NULL;
-- Finding a node by its token, deleted ones too.
CREATE UNIQUE INDEX nodes_token_hash ON nodes (token_hash) WHERE token_hash IS NOT NULL;
CREATE UNIQUE INDEX nodes_pending_token_hash ON nodes (pending_token_hash) WHERE pending_token_hash IS NOT NULL;
-- Finding the highest place ever given out, so that a freed address is not given to the next machine at once.
CREATE INDEX nodes_host_index_ever ON nodes (network_id, host_index);
CREATE INDEX nodes_copy ON nodes (
    name, public_key, enrollment_key_id, token_hash, pending_token_hash, plain_endpoint, created_at, deleted_at, may_relay,
    tags, is_waiting, is_disabled, is_ephemeral, expires_at, approved_routes
);

-- Where nodes may be reached, by the report that changed it last: a coordinator that restarts must not take the
-- candidates out of everybody's map until each node has reported again.
CREATE TABLE node_candidates (
    node_id TEXT PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    candidates TEXT NOT NULL, -- JSON, as in the report
    reported_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Links that sign a person in, once.
CREATE TABLE sign_in_links (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_links_copy ON sign_in_links (person_id, created_at, expires_at, used_at);

-- Browsers that are signed in.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    browser TEXT NOT NULL CHECK (length(browser) <= 200), -- as it calls itself
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_copy ON sessions (browser, created_at, expires_at);

-- Links that let somebody into an organization, once.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_by TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE, -- it ends with that person's membership
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by TEXT REFERENCES people (id) ON DELETE SET NULL,
    mail_address TEXT CHECK (length(mail_address) <= 254) -- where the link was to be sent
) STRICT;
CREATE INDEX invitations_organization ON invitations (organization_id);
CREATE INDEX invitations_copy ON invitations (role, created_by, created_at, expires_at, accepted_at, accepted_by, mail_address);

-- What programs use the API with, in the name of a person and at most in that person's role.
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    description TEXT NOT NULL CHECK (length(description) <= 200),
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER -- null: never
) STRICT;
CREATE INDEX api_tokens_organization ON api_tokens (organization_id);
CREATE INDEX api_tokens_copy ON api_tokens (person_id, description, role, created_at, expires_at);

-- Who may send what to whom in a network; see protocol/src/access.rs.
CREATE TABLE access_rules (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    description TEXT NOT NULL CHECK (length(description) <= 200),
    verdict TEXT NOT NULL CHECK (verdict IN ('allow', 'deny')),
    sources TEXT NOT NULL,      -- JSON: tags; empty for all nodes
    destinations TEXT NOT NULL, -- JSON: tags; empty for all nodes
    protocol TEXT NOT NULL CHECK (protocol IN ('any', 'tcp', 'udp', 'icmp')),
    ports TEXT NOT NULL,        -- JSON: port ranges as text; empty for all ports
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_rules_network ON access_rules (network_id);
CREATE INDEX access_rules_copy ON access_rules (
    description, verdict, sources, destinations, protocol, ports, created_at
);

-- Who changed what. Rows outlive what they speak of, so nothing here refers to other tables.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id TEXT CHECK (length(organization_id) = 36), -- null for the installation as a whole
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,   -- a person's name, `api-token …`, `admin command`
    action TEXT NOT NULL,  -- noun and verb, such as `node.delete`
    subject TEXT NOT NULL, -- the name or id of what was changed
    details TEXT NOT NULL  -- JSON: the change as it was asked for, without secrets
) STRICT;
CREATE INDEX audit_log_organization ON audit_log (organization_id, id);
-- How many invitations went out by mail within an hour.
CREATE INDEX audit_log_invitations ON audit_log (at) WHERE action = 'invitation.create';

-- Relays on machines of their own; every network's map names them, after the coordinator's.
CREATE TABLE relays (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    public_key TEXT NOT NULL UNIQUE CHECK (length(public_key) = 44), -- X25519, base64
    addresses TEXT NOT NULL,                                        -- JSON: ip:port, one or more
    stun_servers TEXT NOT NULL,                                     -- JSON: ip:port, what answers STUN there
    created_at INTEGER NOT NULL,
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)) -- in no map; nodes leave it
) STRICT;
CREATE INDEX relays_copy ON relays (addresses, stun_servers, created_at, is_disabled);

-- STUN servers beside the coordinator's and those at relays; every network's map names them.
CREATE TABLE stun_servers (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    address TEXT NOT NULL UNIQUE CHECK (length(address) BETWEEN 9 AND 64), -- ip:port
    created_at INTEGER NOT NULL,
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)) -- in no map
) STRICT;
CREATE INDEX stun_servers_copy ON stun_servers (created_at, is_disabled);

-- What was changed lately, in order: a coordinator that serves reads what another process committed from here. It forgets all but
-- the last ten thousand.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('node', 'network', 'relay')), -- `relay`: a STUN server, too
    subject TEXT NOT NULL
) STRICT;
CREATE TRIGGER nodes_inserted AFTER INSERT ON nodes BEGIN
    INSERT INTO changes (kind, subject) VALUES ('node', new.id);
END;
CREATE TRIGGER nodes_updated AFTER UPDATE ON nodes BEGIN
    INSERT INTO changes (kind, subject) VALUES ('node', new.id);
END;
CREATE TRIGGER networks_inserted AFTER INSERT ON networks BEGIN
    INSERT INTO changes (kind, subject) VALUES ('network', new.id);
END;
CREATE TRIGGER networks_updated AFTER UPDATE ON networks BEGIN
    INSERT INTO changes (kind, subject) VALUES ('network', new.id);
END;
CREATE TRIGGER networks_deleted AFTER DELETE ON networks BEGIN
    INSERT INTO changes (kind, subject) VALUES ('network', old.id);
END;
CREATE TRIGGER access_rules_inserted AFTER INSERT ON access_rules BEGIN
    INSERT INTO changes (kind, subject) VALUES ('network', new.network_id);
END;
CREATE TRIGGER access_rules_updated AFTER UPDATE ON access_rules BEGIN
    INSERT INTO changes (kind, subject) VALUES ('network', new.network_id);
END;
CREATE TRIGGER access_rules_deleted AFTER DELETE ON access_rules BEGIN
    INSERT INTO changes (kind, subject) VALUES ('network', old.network_id);
END;
CREATE TRIGGER relays_inserted AFTER INSERT ON relays BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', new.id);
END;
CREATE TRIGGER relays_updated AFTER UPDATE ON relays BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', new.id);
END;
CREATE TRIGGER relays_deleted AFTER DELETE ON relays BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', old.id);
END;
CREATE TRIGGER stun_servers_inserted AFTER INSERT ON stun_servers BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', new.id);
END;
CREATE TRIGGER stun_servers_updated AFTER UPDATE ON stun_servers BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', new.id);
END;
CREATE TRIGGER stun_servers_deleted AFTER DELETE ON stun_servers BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', old.id);
END;
