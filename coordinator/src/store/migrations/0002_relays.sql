CREATE TABLE relays (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    public_key TEXT NOT NULL UNIQUE CHECK (length(public_key) = 44),
    addresses TEXT NOT NULL,
    stun_servers TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
