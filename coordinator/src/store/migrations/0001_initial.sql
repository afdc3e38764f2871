-- The first schema. Never change a step that was released: add the next one. Comments are in schema.sql.
CREATE TABLE coordinator (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot_count INTEGER NOT NULL CHECK (boot_count >= 0),
    public_url TEXT,
    relay_private_key BLOB NOT NULL CHECK (length(relay_private_key) = 32),
    token_signing_key BLOB NOT NULL CHECK (length(token_signing_key) = 32)
) STRICT;
CREATE TABLE people (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 254),
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE organizations (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE memberships (
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    PRIMARY KEY (person_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE networks (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    ipv4 TEXT NOT NULL UNIQUE,
    ipv6 TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;
CREATE TABLE enrollment_keys (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    network_id TEXT NOT NULL REFERENCES networks (id),
    single_use INTEGER NOT NULL CHECK (single_use IN (0, 1)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    use_count INTEGER NOT NULL DEFAULT 0 CHECK (use_count >= 0 AND (single_use = 0 OR use_count <= 1)),
    last_used_at INTEGER
) STRICT;
CREATE TABLE nodes (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    network_id TEXT NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    public_key TEXT NOT NULL CHECK (length(public_key) = 44),
    host_index INTEGER NOT NULL CHECK (host_index > 0),
    enrollment_key_id TEXT REFERENCES enrollment_keys (id),
    token_hash BLOB CHECK (length(token_hash) = 32),
    pending_token_hash BLOB CHECK (length(pending_token_hash) = 32),
    plain_endpoint TEXT,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    CHECK ((plain_endpoint IS NULL) = (token_hash IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX nodes_public_key ON nodes (public_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX nodes_name ON nodes (network_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX nodes_host_index ON nodes (network_id, host_index) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX nodes_token_hash ON nodes (token_hash) WHERE token_hash IS NOT NULL;
CREATE UNIQUE INDEX nodes_pending_token_hash ON nodes (pending_token_hash) WHERE pending_token_hash IS NOT NULL;
CREATE INDEX nodes_host_index_ever ON nodes (network_id, host_index);
CREATE TABLE node_candidates (
    node_id TEXT PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    candidates TEXT NOT NULL,
    reported_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sign_in_links (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
