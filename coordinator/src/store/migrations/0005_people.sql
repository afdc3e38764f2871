ALTER TABLE enrollment_keys ADD COLUMN public_key TEXT CHECK (length(public_key) = 44);

ALTER TABLE coordinator ADD COLUMN awaits_owner INTEGER NOT NULL DEFAULT 0 CHECK (awaits_owner IN (0, 1));

ALTER TABLE memberships ADD COLUMN given_role TEXT CHECK (given_role IN ('owner', 'admin', 'member', 'viewer'));
ALTER TABLE memberships ADD COLUMN group_role TEXT CHECK (group_role IN ('owner', 'admin', 'member', 'viewer'));
UPDATE memberships SET given_role = role;

CREATE TABLE identities (
    issuer TEXT NOT NULL CHECK (length(issuer) BETWEEN 1 AND 2048),
    subject TEXT NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_person ON identities (person_id);

ALTER TABLE invitations ADD COLUMN mail_address TEXT CHECK (length(mail_address) <= 254);
