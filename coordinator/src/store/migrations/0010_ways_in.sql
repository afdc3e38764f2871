ALTER TABLE enrollment_keys ADD COLUMN created_by TEXT REFERENCES people (id) ON DELETE SET NULL;
-- Who made a key was only in the log until now; names are unique, and nobody changes theirs.
-- By way of the log, which is read once, and the keys' own index.
UPDATE enrollment_keys SET created_by = people.id
FROM audit_log JOIN people ON people.name = audit_log.actor
WHERE audit_log.action = 'enrollment-key.create' AND audit_log.subject = enrollment_keys.id;
DROP INDEX enrollment_keys_copy;
CREATE INDEX enrollment_keys_copy ON enrollment_keys (
    single_use, created_at, expires_at, revoked_at, use_count, last_used_at, description, tags, is_ephemeral,
    public_key, created_by
);
CREATE INDEX audit_log_invitations ON audit_log (at) WHERE action = 'invitation.create';
