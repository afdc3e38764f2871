//! Who is let in, and who is not.

use super::*;

#[test]
fn a_node_with_a_token_and_its_key_is_let_in_and_told_its_address() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let request = world.request(&node);
    let registered = world.registered(&node, &request);
    assert_eq!(registered.observed, node.from);
    assert_eq!(u64::from(registered.lifetime_s), TOKEN_LIFETIME_S);
    assert_eq!(registered.nonce, [4; 8]);
    assert!(world.is_known(registered.session, node.from));
    assert_eq!(world.core.counters().registered, 1);
}

#[test]
fn a_request_without_a_cookie_leaves_no_session_behind() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let token = node.token_until(NOW_UNIX_S + 1);
    let request = world.relay_key(&node).encode_register([0; 16], [4; 8], &token);
    for _ in 0..1000 {
        let reply = world.send(node.from, &request).unwrap();
        assert!(matches!(decode(&reply), Ok(Frame::Challenge(_))));
    }
    let counters = world.core.counters();
    assert_eq!((counters.challenged, counters.sessions), (1000, 0));
}

#[test]
fn a_captured_request_replayed_from_another_address_gets_only_a_challenge() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let request = world.request(&node);
    let session = world.registered(&node, &request).session;
    for thief in ["198.51.100.9:41641", "203.0.113.1:41642", "[2001:db8::9]:41641"] {
        let reply = world.send(address(thief), &request).unwrap();
        assert!(matches!(decode(&reply), Ok(Frame::Challenge(_))), "{thief}");
    }
    assert!(world.is_known(session, node.from));
}

#[test]
fn a_cookie_is_valid_for_at_least_one_slot_and_at_most_two() {
    let node = Node::new(1, NETWORK);
    for offset_s in 0..COOKIE_SLOT.as_secs() {
        let mut world = World::new();
        world.pass(Duration::from_secs(offset_s));
        let request = world.request(&node);
        world.pass(COOKIE_SLOT);
        world.registered(&node, &request);
        world.pass(COOKIE_SLOT);
        let reply = world.send(node.from, &request).unwrap();
        assert!(matches!(decode(&reply), Ok(Frame::Challenge(_))), "issued {offset_s} s later");
    }
}

#[test]
fn an_address_is_the_same_in_its_ipv6_mapped_form() {
    let (mut world, mut node) = (World::new(), Node::new(1, NETWORK));
    let session = world.register(&node);
    node.from = address("[::ffff:203.0.113.1]:41641");
    assert!(world.is_known(session, node.from));
    let request = world.request(&node);
    assert_eq!(world.registered(&node, &request).observed, address("203.0.113.1:41641"));
}

#[test]
fn a_stolen_token_without_the_private_key_is_refused() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let thief = Node { key: PrivateKey::from_random([66; 32]), ..node.clone() };
    let cookie = world.cookie(&thief);
    let token = node.token_until(NOW_UNIX_S + 1);
    let request = world.relay_key(&thief).encode_register(cookie, [4; 8], &token);
    assert_eq!(world.refusal(thief.from, &request), RefusalReason::ProofInvalid);
    assert_eq!(world.core.counters().refused_proof_invalid, 1);
}

#[test]
fn a_token_for_a_key_of_low_order_is_refused() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let token =
        RelayToken { node: PublicKey::from_bytes([0; 32]), network: NETWORK, expires_unix_s: NOW_UNIX_S + 1 }
            .sign(&coordinator());
    let cookie = world.cookie(&node);
    let request = world.relay_key(&node).encode_register(cookie, [4; 8], &token);
    assert_eq!(world.refusal(node.from, &request), RefusalReason::ProofInvalid);
}

#[test]
fn an_expired_token_is_refused_as_expired() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let cookie = world.cookie(&node);
    let request = world.relay_key(&node).encode_register(cookie, [4; 8], &node.token_until(NOW_UNIX_S));
    assert_eq!(world.refusal(node.from, &request), RefusalReason::TokenExpired);
}

#[test]
fn a_token_of_another_coordinator_is_refused() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let other = TokenSigningKey::from_random(&Zeroizing::new([6; 32]));
    let token =
        RelayToken { node: node.public_key(), network: NETWORK, expires_unix_s: NOW_UNIX_S + 1 }.sign(&other);
    let cookie = world.cookie(&node);
    let request = world.relay_key(&node).encode_register(cookie, [4; 8], &token);
    assert_eq!(world.refusal(node.from, &request), RefusalReason::TokenInvalid);
}

#[test]
fn a_relay_without_a_verifying_key_lets_nobody_in() {
    let mut world = World::with(|config| config.verifying_keys.clear());
    let node = Node::new(1, NETWORK);
    let request = world.request(&node);
    assert_eq!(world.refusal(node.from, &request), RefusalReason::TokenInvalid);
}

#[test]
fn while_the_coordinator_changes_its_key_tokens_of_both_are_accepted() {
    let new = TokenSigningKey::from_random(&Zeroizing::new([6; 32]));
    let mut world = World::with(|config| config.verifying_keys.insert(0, new.verifying_key()));
    let (old_node, new_node) = (Node::new(1, NETWORK), Node::new(2, NETWORK));
    world.register(&old_node);
    let token = RelayToken { node: new_node.public_key(), network: NETWORK, expires_unix_s: NOW_UNIX_S + 1 };
    let cookie = world.cookie(&new_node);
    let request = world.relay_key(&new_node).encode_register(cookie, [4; 8], &token.sign(&new));
    world.registered(&new_node, &request);
}

#[test]
fn a_request_repeated_because_its_answer_was_lost_gets_the_same_answer() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let request = world.request(&node);
    let first = world.registered(&node, &request);
    assert_eq!(world.registered(&node, &request), first);
    let counters = world.core.counters();
    assert_eq!((counters.registered, counters.registration_repeated, counters.sessions), (1, 1, 1));
}

#[test]
fn an_older_token_shown_again_does_not_shorten_the_session() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let old = world.request(&node);
    world.pass(Duration::from_secs(30));
    let session = world.register(&node);
    assert_eq!(world.registered(&node, &old).session, session);
    world.pass(Duration::from_secs(TOKEN_LIFETIME_S - 1));
    assert!(world.is_known(session, node.from));
    world.pass(Duration::from_secs(1));
    assert!(!world.is_known(session, node.from));
}

#[test]
fn a_renewed_session_outlives_its_first_token() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let session = world.register(&node);
    world.pass(Duration::from_secs(TOKEN_LIFETIME_S / 2));
    assert_eq!(world.register(&node), session);
    world.pass(Duration::from_secs(TOKEN_LIFETIME_S - 1));
    assert!(world.is_known(session, node.from));
}

#[test]
fn the_newest_registration_of_a_node_wins() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let old = world.register(&node);
    let moved = Node { from: address("198.51.100.7:9"), ..node.clone() };
    let new = world.register(&moved);
    assert_ne!(old, new);
    assert!(!world.is_known(old, node.from));
    assert!(world.is_known(new, moved.from));
    assert_eq!(world.core.counters().sessions, 1);
}

#[test]
fn a_session_is_worth_nothing_at_another_address() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let session = world.register(&node);
    assert!(!world.is_known(session, address("203.0.113.1:41642")));
    assert!(world.is_known(session, node.from));
}

#[test]
fn a_session_ends_with_its_token_even_if_the_relay_hears_nothing() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    world.register(&node);
    world.pass(Duration::from_secs(TOKEN_LIFETIME_S));
    world.core.sweep(world.now);
    let counters = world.core.counters();
    assert_eq!((counters.sessions, counters.expired), (0, 1));
}

#[test]
fn a_full_relay_refuses_new_nodes_until_a_session_ends_but_lets_known_ones_renew() {
    let mut world = World::with(|config| config.sessions_max = 2);
    let [first, second, third] = [1, 2, 3].map(|seed| Node::new(seed, NETWORK));
    world.register(&first);
    world.pass(Duration::from_secs(10));
    world.register(&second);
    let request = world.request(&third);
    assert_eq!(world.refusal(third.from, &request), RefusalReason::Full);
    world.register(&Node { from: address("198.51.100.7:9"), ..second.clone() });
    world.pass(Duration::from_secs(TOKEN_LIFETIME_S - 10));
    world.register(&third);
    assert_eq!(world.core.counters().sessions, 2);
}

#[test]
fn a_flood_of_registrations_from_one_address_stops_costing_signatures() {
    let mut world = World::with(|config| config.registrations = Rate { per_second: 1, burst: 3 });
    let (node, neighbour) = (Node::new(1, NETWORK), Node::new(2, NETWORK));
    let request = world.request(&node);
    for _ in 0..3 {
        world.registered(&node, &request);
    }
    assert_eq!(world.drop_reason(node.from, &request), DropReason::RegistrationRate);
    world.register(&neighbour);
    world.pass(Duration::from_secs(1));
    world.registered(&node, &request);
}

#[test]
fn a_registration_in_another_version_is_told_ours_and_nothing_else_is_answered() {
    let (mut world, node) = (World::new(), Node::new(1, NETWORK));
    let mut request = world.request(&node);
    request[1] = 2;
    let reply = world.send(node.from, &request).unwrap();
    assert_eq!(decode(&reply), Ok(Frame::VersionUnsupported));
    for kind in (0..=u8::MAX).filter(|kind| *kind != Kind::Register as u8) {
        request[2] = kind;
        assert_eq!(world.drop_reason(node.from, &request), DropReason::OtherVersion, "kind {kind}");
    }
}

#[test]
fn a_peer_relay_lets_in_nodes_of_its_own_network_only() {
    let mut world = World::with(|config| config.network = Some(NETWORK));
    let (own, stranger) = (Node::new(1, NETWORK), Node::new(2, OTHER_NETWORK));
    world.register(&own);
    let request = world.request(&stranger);
    assert_eq!(world.refusal(stranger.from, &request), RefusalReason::TokenInvalid);
    let counters = world.core.counters();
    assert_eq!((counters.sessions, counters.refused_token_invalid), (1, 1));
}
