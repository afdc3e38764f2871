ALTER TABLE relays ADD COLUMN is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1));
DROP INDEX relays_copy;
CREATE INDEX relays_copy ON relays (addresses, stun_servers, created_at, is_disabled);
CREATE TABLE stun_servers (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    address TEXT NOT NULL UNIQUE CHECK (length(address) BETWEEN 9 AND 64),
    created_at INTEGER NOT NULL,
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1))
) STRICT;
CREATE INDEX stun_servers_copy ON stun_servers (created_at, is_disabled);
CREATE TRIGGER stun_servers_inserted AFTER INSERT ON stun_servers BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', new.id);
END;
CREATE TRIGGER stun_servers_updated AFTER UPDATE ON stun_servers BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', new.id);
END;
CREATE TRIGGER stun_servers_deleted AFTER DELETE ON stun_servers BEGIN
    INSERT INTO changes (kind, subject) VALUES ('relay', old.id);
END;
