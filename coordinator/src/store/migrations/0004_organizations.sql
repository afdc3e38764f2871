CREATE TABLE new_memberships (
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (person_id, organization_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_memberships
    SELECT person_id, organization_id, role, people.created_at FROM memberships JOIN people ON people.id = person_id;
DROP TABLE memberships;
ALTER TABLE new_memberships RENAME TO memberships;
CREATE INDEX memberships_organization ON memberships (organization_id);

ALTER TABLE people ADD COLUMN password_hash TEXT;

CREATE TABLE new_networks (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    ipv4 TEXT NOT NULL,
    ipv6 TEXT NOT NULL,
    default_access TEXT NOT NULL CHECK (default_access IN ('allow', 'deny')),
    admission TEXT NOT NULL CHECK (admission IN ('automatic', 'manual')),
    created_at INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;
INSERT INTO new_networks
    SELECT id, organization_id, name, ipv4, ipv6, 'allow', 'automatic', created_at FROM networks;
DROP TABLE networks;
ALTER TABLE new_networks RENAME TO networks;

ALTER TABLE enrollment_keys ADD COLUMN description TEXT NOT NULL DEFAULT '' CHECK (length(description) <= 200);
ALTER TABLE enrollment_keys ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE enrollment_keys ADD COLUMN is_ephemeral INTEGER NOT NULL DEFAULT 0 CHECK (is_ephemeral IN (0, 1));
CREATE INDEX enrollment_keys_network ON enrollment_keys (network_id);

ALTER TABLE nodes ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE nodes ADD COLUMN is_waiting INTEGER NOT NULL DEFAULT 0 CHECK (is_waiting IN (0, 1));
ALTER TABLE nodes ADD COLUMN is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1));
ALTER TABLE nodes ADD COLUMN is_ephemeral INTEGER NOT NULL DEFAULT 0 CHECK (is_ephemeral IN (0, 1));
ALTER TABLE nodes ADD COLUMN expires_at INTEGER;

CREATE TABLE access_rules (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    description TEXT NOT NULL CHECK (length(description) <= 200),
    verdict TEXT NOT NULL CHECK (verdict IN ('allow', 'deny')),
    sources TEXT NOT NULL,
    destinations TEXT NOT NULL,
    protocol TEXT NOT NULL CHECK (protocol IN ('any', 'tcp', 'udp', 'icmp')),
    ports TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_rules_network ON access_rules (network_id);

CREATE TABLE invitations (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_by TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by TEXT REFERENCES people (id) ON DELETE SET NULL
) STRICT;
CREATE INDEX invitations_organization ON invitations (organization_id);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    description TEXT NOT NULL CHECK (length(description) <= 200),
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
CREATE INDEX api_tokens_organization ON api_tokens (organization_id);

DROP TABLE sessions;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    browser TEXT NOT NULL CHECK (length(browser) <= 200),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_person ON sessions (person_id);

CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id TEXT CHECK (length(organization_id) = 36),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_organization ON audit_log (organization_id, id);
