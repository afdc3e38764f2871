//! Who comes in, as whom, and with which role.

use std::sync::Arc;

use coordinator::service::resources::members::{MemberRole, Removal};
use coordinator::service::resources::organizations::{self, OrganizationName};
use coordinator::service::resources::{Membership, ResourceError};
use coordinator::service::{Caller, Credential};
use coordinator::store::Role;
use serde_json::{Value, json};

use super::fixture::START;
use super::hostile::Hostile;
use super::{Stage, group, now_ms};

#[test]
fn a_member_of_a_group_comes_in_with_its_role_and_back_to_the_page_where_they_began() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let begun = stage.begin();
    assert!(begun.url.starts_with(&format!("{}/authorize?", provider.issuer)));
    let query = |name: &str| begun.query.get(name).map(String::as_str);
    assert_eq!(query("redirect_uri"), Some("http://mesh.example/oidc/callback"));
    assert_eq!((query("response_type"), query("client_id")), (Some("code"), Some("warren")));
    assert_eq!(
        (query("code_challenge_method"), query("scope")),
        (Some("S256"), Some("openid profile email"))
    );
    let mut says = provider.says();
    says.claims =
        json!({"sub": "ada-1", "preferred_username": "ada", "groups": ["ops", "everybody", "others"]});
    says.nonce.clone_from(&begun.query["nonce"]);
    drop(says);
    let (location, session) = stage.finish(&begun);
    assert_eq!(location, "/join/WDJB-MJHT");
    let account = stage.account(&session.unwrap());
    assert_eq!(account["name"], "ada");
    assert_eq!(
        account["roles"][stage.organization().to_string()],
        "admin",
        "the higher of two groups' roles"
    );

    let asked = &provider.asked("/token")[0];
    assert!(asked.authorization.as_ref().unwrap().starts_with("Basic "), "{asked:?}");
    let challenge = ring::digest::digest(&ring::digest::SHA256, asked.form["code_verifier"].as_bytes());
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, challenge);
    assert_eq!(challenge, begun.query["code_challenge"]);
    assert_eq!(asked.form["redirect_uri"], "http://mesh.example/oidc/callback");
}

#[test]
fn two_people_with_one_mail_address_and_one_name_are_two_accounts() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let claims =
        |sub: &str| json!({"sub": sub, "email": "owner", "preferred_username": "owner", "groups": "ops"});
    assert_eq!(stage.sign_in(&provider, claims("one")).unwrap(), "owner-2", "never the account of that name");
    assert_eq!(stage.sign_in(&provider, claims("two")).unwrap(), "owner-3");
    assert_eq!(stage.sign_in(&provider, claims("one")).unwrap(), "owner-2");
    let renamed = json!({"sub": "one", "preferred_username": "somebody else", "groups": "ops"});
    assert_eq!(stage.sign_in(&provider, renamed).unwrap(), "owner-2", "known by the subject alone");
    assert_eq!(stage.people(), 3);
}

#[test]
fn a_name_that_cannot_be_one_is_replaced() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    for (sub, name, becomes) in [
        ("1", json!(""), "person"),
        ("2", json!("\u{1b}[2J"), "[2J"),
        ("3", json!("  "), "person-2"),
        ("4", json!("ä".repeat(400)), &*"ä".repeat(248)),
    ] {
        let claims = json!({"sub": sub, "preferred_username": name, "groups": ["ops"]});
        assert_eq!(stage.sign_in(&provider, claims).unwrap(), becomes, "{name}");
    }
}

#[test]
fn what_a_group_gave_is_taken_away_with_it_and_what_somebody_gave_stays() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let claims = |groups: &[&str]| json!({"sub": "ada-1", "preferred_username": "ada", "groups": groups});
    stage.sign_in(&provider, claims(&["ops"])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Admin));
    let owner = stage.server.fixture.member(Role::Owner);
    let call = stage.server.fixture.coordinator.call(START, &owner);
    let ada = call.members().unwrap().into_iter().find(|member| member.name == "ada").unwrap().id;
    let less = call.set_member_role(ada, MemberRole { role: Role::Viewer });
    assert!(less.unwrap_err().to_string().contains("change it there"));
    call.set_member_role(ada, MemberRole { role: Role::Owner }).unwrap();
    stage.sign_in(&provider, claims(&[])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Owner), "given by hand");
    call.set_member_role(ada, MemberRole { role: Role::Member }).unwrap();
    stage.sign_in(&provider, claims(&["ops"])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Admin), "the higher one counts");
    stage.sign_in(&provider, claims(&["everybody"])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Member));

    let claims = |groups: &[&str]| json!({"sub": "eve-1", "preferred_username": "eve", "groups": groups});
    stage.sign_in(&provider, claims(&["everybody"])).unwrap();
    let refused = stage.sign_in(&provider, claims(&["strangers"]));
    assert_eq!(refused, Err("/?refused=no-access".to_owned()));
    assert_eq!(stage.role_of("eve"), None, "taken away although nobody came in");
    let log = call.audit_log(None).unwrap();
    let last = (log[0].actor.as_str(), log[0].action.as_str(), log[0].subject.as_str());
    assert_eq!(last, ("OpenID provider", "member.role", "eve"));
}

#[test]
fn groups_never_take_the_last_owner_away() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let mut owner = stage.server.fixture.member(Role::Owner);
    // By a command, as the owner's own role goes and comes back.
    owner.caller = Arc::new(Caller { credential: Credential::Command, ..(*owner.caller).clone() });
    let claims = |groups: &[&str]| json!({"sub": "ada-1", "preferred_username": "ada", "groups": groups});
    stage.sign_in(&provider, claims(&["bosses"])).unwrap();
    let call = stage.server.fixture.coordinator.call(START, &owner);
    call.set_member_role(owner.caller.person.id, MemberRole { role: Role::Viewer }).unwrap();
    stage.sign_in(&provider, claims(&["everybody"])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Owner));
    let ada = call.members().unwrap().into_iter().find(|member| member.name == "ada").unwrap().id;
    assert!(call.remove_member(ada, Removal::default()).is_err());
    call.set_member_role(owner.caller.person.id, MemberRole { role: Role::Owner }).unwrap();
    stage.sign_in(&provider, claims(&["everybody"])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Viewer), "there is another one now");
}

#[test]
fn without_a_group_an_invitation_or_an_account_nobody_comes_in() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let claims =
        json!({"sub": "tom-1", "preferred_username": "owner", "email": "owner", "groups": ["strangers"]});
    assert_eq!(stage.sign_in(&provider, claims), Err("/?refused=no-access".to_owned()));
    assert_eq!(stage.people(), 1, "nothing is left of them");
}

#[test]
fn an_invitation_lets_somebody_in_by_the_provider_once() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let owner = stage.server.fixture.member(Role::Owner);
    let wanted = serde_json::from_value(json!({"role": "member", "lifetime_s": 60})).unwrap();
    let coordinator = &stage.server.fixture.coordinator;
    let token = coordinator.call(now_ms(), &owner).create_invitation(wanted).unwrap().token;
    let accept = |sub: &str| {
        let begun = stage.begin_at("/api/v1/oidc/sign-in", &json!({"invitation": token}), "");
        let mut says = provider.says();
        says.claims = json!({"sub": sub, "preferred_username": sub});
        says.nonce.clone_from(&begun.query["nonce"]);
        drop(says);
        stage.finish(&begun)
    };
    let (location, session) = accept("tom");
    assert_eq!((location.as_str(), session.is_some()), ("/", true));
    assert_eq!(stage.role_of("tom"), Some(Role::Member));
    assert_eq!(accept("eve").0, "/?refused=invitation");
    stage.sign_in(&provider, json!({"sub": "tom"})).unwrap();
    assert_eq!(stage.role_of("tom"), Some(Role::Member), "given by hand, so it stays");
}

#[test]
fn who_is_signed_in_links_the_account_and_comes_in_that_way_from_then_on() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let link = |cookie: &str, sub: &str| {
        let begun = stage.begin_at("/api/v1/account/identities", &json!({}), cookie);
        let mut says = provider.says();
        says.claims = json!({"sub": sub, "preferred_username": "whoever"});
        says.nonce.clone_from(&begun.query["nonce"]);
        drop(says);
        stage.finish(&begun)
    };
    let owner = stage.session_of("owner");
    assert_eq!(link(&owner, "boss"), ("/account".to_owned(), None));
    assert_eq!(stage.sign_in(&provider, json!({"sub": "boss"})).unwrap(), "owner");
    let ada = json!({"sub": "ada-1", "preferred_username": "ada", "groups": "ops"});
    stage.sign_in(&provider, ada).unwrap();
    let ada = stage.session_of("ada");
    assert_eq!(link(&ada, "boss").0, "/account?refused=linked-elsewhere");

    let send = |method: &str, cookie: &str| {
        stage.server.send(method, "/api/v1/account/identities", &[("Cookie", cookie)], b"")
    };
    assert!(send("GET", &owner).body.contains(r#""subject":"boss""#));
    let locked_out = send("DELETE", &owner);
    assert_eq!(locked_out.status, 409, "nobody locks themselves out: {}", locked_out.body);
    let password = br#"{"new_password":"four words and more"}"#;
    assert_eq!(
        stage.server.send("PUT", "/api/v1/account/password", &[("Cookie", &owner)], password).status,
        204
    );
    assert_eq!(send("DELETE", &owner).status, 204);
    assert_eq!(
        stage.sign_in(&provider, json!({"sub": "boss", "groups": []})),
        Err("/?refused=no-access".to_owned())
    );
}

#[test]
fn a_link_that_began_in_a_session_that_ended_meanwhile_links_nothing() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let owner = stage.session_of("owner");
    let begun = stage.begin_at("/api/v1/account/identities", &json!({}), &owner);
    provider.says().nonce.clone_from(&begun.query["nonce"]);
    assert_eq!(stage.server.send("POST", "/api/v1/sign-out", &[("Cookie", &owner)], b"").status, 204);
    assert_eq!(stage.finish(&begun).0, "/account?refused=expired");
    assert_eq!(
        stage.sign_in(&provider, json!({"sub": "ada-1", "groups": []})),
        Err("/?refused=no-access".to_owned())
    );
}

#[test]
fn a_group_of_an_organization_that_is_not_there_leads_nowhere() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let fixture = &stage.server.fixture;
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let name = OrganizationName { name: "renamed".into() };
    let owner = fixture.caller(Some(Role::Owner));
    organizations::create(store, entropy, START, &owner, name).unwrap();
    fixture.raw().execute("UPDATE organizations SET name = 'other' WHERE name = 'default'", ()).unwrap();
    let claims = json!({"sub": "ada-1", "groups": ["ops"]});
    assert_eq!(stage.sign_in(&provider, claims), Err("/?refused=no-access".to_owned()));
}

#[test]
fn groups_that_only_the_user_info_endpoint_tells_count_and_another_ones_do_not() {
    let provider = Hostile::start();
    let claims = json!({"sub": "ada-1"});
    provider.says().user_info = Some(json!({"sub": "ada-1", "preferred_username": "ada", "groups": ["ops"]}));
    let stage = Stage::before(&provider);
    assert_eq!(stage.sign_in(&provider, claims.clone()).unwrap(), "ada");
    assert_eq!(stage.role_of("ada"), Some(Role::Admin));
    provider.says().user_info = Some(json!({"sub": "eve-1", "groups": ["bosses"]}));
    assert_eq!(stage.sign_in(&provider, claims), Err("/?refused=provider".to_owned()));
}

/// What the provider says where it does not tell the groups.
fn untold() -> [Value; 6] {
    let ada = json!({"sub": "ada-1", "preferred_username": "ada"});
    let with = |more: Value| {
        let mut claims = ada.clone();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    [
        ada.clone(),
        with(json!({"groups": null})),
        with(json!({"groups": {"everybody": true}})),
        with(
            json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}),
        ),
        with(json!({"groups": [], "_claim_names": {"groups": "src1"}})),
        with(json!({"groups": vec!["everybody"; 10_001]})),
    ]
}

#[test]
fn groups_that_the_provider_does_not_tell_take_nothing_away_and_an_empty_list_does() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let told = |groups: &[&str]| json!({"sub": "ada-1", "preferred_username": "ada", "groups": groups});
    stage.sign_in(&provider, told(&["ops"])).unwrap();
    let wanted = json!({"description": "backup", "role": "admin"});
    let caller = stage.caller_of("ada");
    let organization = stage.organization();
    let ada = Membership { caller: Arc::new(caller), organization, role: Role::Admin };
    let call = stage.server.fixture.coordinator.call(now_ms(), &ada);
    call.create_api_token(serde_json::from_value(wanted).unwrap()).unwrap();
    for claims in untold() {
        let brief: String = claims.to_string().chars().take(200).collect();
        assert_eq!(stage.sign_in(&provider, claims).unwrap(), "ada", "{brief}");
        assert_eq!(stage.role_of("ada"), Some(Role::Admin), "{brief}");
        assert_eq!(call.api_tokens().unwrap().len(), 1, "{brief}");
    }
    assert_eq!(stage.sign_in(&provider, told(&[])), Err("/?refused=no-access".to_owned()));
    assert_eq!(stage.role_of("ada"), None);
}

#[test]
fn who_has_no_access_but_by_groups_that_are_not_told_hears_that_they_are_not() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    for claims in untold() {
        assert_eq!(stage.sign_in(&provider, claims), Err("/?refused=groups-unknown".to_owned()));
    }
    assert_eq!(stage.people(), 1, "nothing is left of them");
}

#[test]
fn an_organization_that_got_another_name_keeps_whom_its_groups_let_in() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let claims = |groups: &[&str]| json!({"sub": "ada-1", "preferred_username": "ada", "groups": groups});
    stage.sign_in(&provider, claims(&["ops"])).unwrap();
    let owner = stage.server.fixture.member(Role::Owner);
    let name = OrganizationName { name: "renamed".into() };
    stage.server.fixture.coordinator.call(START, &owner).rename_organization(name).unwrap();
    stage.sign_in(&provider, claims(&["ops"])).unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Admin), "what leads into nothing says nothing");
    assert_eq!(stage.sign_in(&provider, claims(&["strangers"])), Err("/?refused=no-access".to_owned()));
    assert_eq!(stage.role_of("ada"), None, "no group of theirs could lead there");
}

#[test]
fn a_role_that_no_group_gives_any_more_is_changed_by_hand() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let claims = json!({"sub": "ada-1", "preferred_username": "ada", "groups": ["ops"]});
    stage.sign_in(&provider, claims.clone()).unwrap();
    let change = |stage: &Stage, role: Role| {
        let owner = stage.server.fixture.member(Role::Owner);
        let call = stage.server.fixture.coordinator.call(START, &owner);
        let ada = call.members().unwrap().into_iter().find(|member| member.name == "ada").unwrap().id;
        call.set_member_role(ada, MemberRole { role })
    };
    assert!(matches!(change(&stage, Role::Viewer), Err(ResourceError::Conflict(_))));
    let without_ops = stage.with_groups(&provider, vec![group("everybody", Role::Viewer)]);
    assert_eq!(without_ops.role_of("ada"), Some(Role::Admin));
    change(&without_ops, Role::Member).unwrap();
    assert_eq!(without_ops.role_of("ada"), Some(Role::Member));
    without_ops.sign_in(&provider, claims.clone()).unwrap();
    assert_eq!(without_ops.role_of("ada"), Some(Role::Member), "given by hand, so it stays");

    let again = without_ops.with_groups(&provider, vec![group("ops", Role::Admin)]);
    again.sign_in(&provider, claims).unwrap();
    assert!(matches!(change(&again, Role::Viewer), Err(ResourceError::Conflict(_))));
    let elsewhere = Hostile::start();
    let moved = again.with_groups(&elsewhere, vec![group("ops", Role::Admin)]);
    change(&moved, Role::Viewer).unwrap();
    assert_eq!(moved.role_of("ada"), Some(Role::Viewer), "whom the new provider does not know");
}

#[test]
fn a_command_changes_a_role_by_groups_as_it_knows_of_no_provider() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    stage
        .sign_in(&provider, json!({"sub": "ada-1", "preferred_username": "ada", "groups": ["ops"]}))
        .unwrap();
    let fixture = &stage.server.fixture;
    let changed = fixture.command(START, |call| {
        let ada = call.members()?.into_iter().find(|member| member.name == "ada").unwrap().id;
        call.set_member_role(ada, MemberRole { role: Role::Viewer })
    });
    changed.unwrap();
    assert_eq!(stage.role_of("ada"), Some(Role::Viewer));
}
