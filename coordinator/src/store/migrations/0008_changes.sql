CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('node', 'network', 'relay')),
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
