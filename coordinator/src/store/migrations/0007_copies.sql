-- A second copy of what no other index holds, see schema.sql.
CREATE INDEX coordinator_copy ON coordinator (boot_count, public_url, relay_private_key, token_signing_key, awaits_owner);
CREATE INDEX people_copy ON people (created_at, password_hash);
CREATE INDEX organizations_copy ON organizations (created_at);
CREATE INDEX memberships_copy ON memberships (role, created_at, given_role, group_role);
CREATE INDEX identities_copy ON identities (created_at);
CREATE INDEX networks_copy ON networks (ipv4, ipv6, default_access, admission, created_at);
CREATE INDEX enrollment_keys_copy ON enrollment_keys (
    single_use, created_at, expires_at, revoked_at, use_count, last_used_at, description, tags, is_ephemeral,
    public_key
);
CREATE INDEX nodes_copy ON nodes (
    name, public_key, enrollment_key_id, token_hash, pending_token_hash, plain_endpoint, created_at, deleted_at, may_relay,
    tags, is_waiting, is_disabled, is_ephemeral, expires_at, approved_routes
);
CREATE INDEX sign_in_links_copy ON sign_in_links (person_id, created_at, expires_at, used_at);
CREATE INDEX sessions_copy ON sessions (browser, created_at, expires_at);
CREATE INDEX invitations_copy ON invitations (role, created_by, created_at, expires_at, accepted_at, accepted_by, mail_address);
CREATE INDEX api_tokens_copy ON api_tokens (person_id, description, role, created_at, expires_at);
CREATE INDEX access_rules_copy ON access_rules (
    description, verdict, sources, destinations, protocol, ports, created_at
);
CREATE INDEX relays_copy ON relays (addresses, stun_servers, created_at);
