//! `admin` on what people administer, by the same calls as the API: same rules, same audit log.

use protocol::api::{DEFAULT_ROUTES, ROUTE_PRIORITY_DEFAULT, is_default};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::args::{
    AccessRuleCommand, ApiTokenCommand, InvitationCommand, MemberCommand, NetworkSetArgs, NodeSetArgs,
};
use super::super::config;
use super::super::error::CliError;
use super::super::mail::MailArgs;
use super::super::output::{answer, table, time};
use super::super::serve::runtime;
use super::Admin;
use crate::mail::{InvitationMail, Mailer};
use crate::service::resources::Call;
use crate::service::resources::access_rules::AccessRuleText;
use crate::service::resources::api_tokens::NewApiToken;
use crate::service::resources::invitations::NewInvitation;
use crate::service::resources::members::{MemberRole, Removal};
use crate::service::resources::networks::NetworkChange;
use crate::service::resources::nodes::{NodeChange, RouteApproval};
use crate::service::{AdminError, administration, operator};
use crate::store::NodeRow;

/// A value as JSON for programs.
pub(super) fn value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

pub(super) fn id(what: &'static str, text: &str) -> Result<Uuid, CliError> {
    text.parse()
        .map_err(|_| CliError::Usage(format!("`{text}` is no id of a {what}; the list shows the ids")))
}

fn words(items: &[impl ToString]) -> String {
    if items.is_empty() {
        return "all".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Admin {
    pub(super) fn call<T>(&self, work: impl FnOnce(&Call<'_>) -> Result<T, CliError>) -> Result<T, CliError> {
        let member = operator(&self.store, self.organization.as_deref())?;
        work(&member.call(&self.store, &self.entropy, self.now_ms))
    }

    /// The organization that commands speak of.
    pub(super) fn organization_id(&self) -> Result<Uuid, CliError> {
        self.call(|call| Ok(call.organization))
    }

    pub(super) fn network_id(&self, wanted: &str) -> Result<Uuid, CliError> {
        let networks = self.call(|call| Ok(call.networks()?))?;
        let found =
            networks.iter().find(|network| network.name == wanted || network.id.to_string() == wanted);
        let missing =
            AdminError::NotFound { what: "network", given: wanted.to_owned(), list: "network list" };
        Ok(found.map(|network| network.id).ok_or(missing)?)
    }

    /// The name of a network of the organization.
    pub(super) fn network_name(&self, id: Uuid) -> Result<String, CliError> {
        let networks = self.call(|call| Ok(call.networks()?))?;
        let found = networks.into_iter().find(|network| network.id == id);
        Ok(found.map_or_else(|| "?".to_owned(), |network| network.name))
    }

    pub(super) fn set_network(&self, args: &NetworkSetArgs) -> Result<(), CliError> {
        let id = self.network_id(&args.network)?;
        let change = NetworkChange {
            name: args.name.clone(),
            default_access: args.default_access.map(Into::into),
            admission: args.admission.map(Into::into),
        };
        let network = self.call(|call| Ok(call.update_network(id, change)?))?;
        answer(self.json, &value(&network), &format!("changed network {}", network.name))
    }

    pub(super) fn delete_network(&self, wanted: &str) -> Result<(), CliError> {
        let id = self.network_id(wanted)?;
        self.call(|call| Ok(call.delete_network(id)?))?;
        answer(self.json, &json!({"deleted": id}), &format!("deleted network {wanted}"))
    }

    pub(super) fn set_node(&self, args: &NodeSetArgs) -> Result<(), CliError> {
        let exits = DEFAULT_ROUTES.iter().filter(|_| args.approve_exit_node);
        let exits = exits.map(|prefix| RouteApproval { prefix: *prefix, priority: ROUTE_PRIORITY_DEFAULT });
        let mut withdraw_routes = args.withdraw_route.clone();
        if args.withdraw_exit_node {
            let approved = self.find_node(&args.node)?.approved_routes;
            withdraw_routes.extend(approved.iter().map(|route| route.prefix).filter(is_default));
        }
        let change = NodeChange {
            name: args.name.clone(),
            tags: args.tags.clone().map(|tags| tags.0.into_iter().collect()),
            expires_at_ms: args.expires.map(|expiry| expiry.0.map(|ms| self.now_ms.saturating_add(ms))),
            network: args.network.as_deref().map(|network| self.network_id(network)).transpose()?,
            approve_routes: args.approve_route.iter().copied().chain(exits).collect(),
            withdraw_routes,
            ..NodeChange::default()
        };
        self.change_node(&args.node, change, "changed")
    }

    /// Changes a node, given by id or by a name that only one node has.
    pub(super) fn change_node(&self, wanted: &str, change: NodeChange, done: &str) -> Result<(), CliError> {
        let node = self.find_node(wanted)?;
        self.call(|call| Ok(call.update_node(node.id, change)?))?;
        answer(
            self.json,
            &json!({"id": node.id, "name": node.name}),
            &format!("{done} {} ({})", node.name, node.id),
        )
    }

    /// The node of the organization with this id, or with this name where only one has it.
    pub(super) fn find_node(&self, wanted: &str) -> Result<NodeRow, CliError> {
        let nodes = administration::list_nodes(&self.store, self.organization_id()?, None)?;
        Ok(administration::find_node(nodes.iter().map(|(node, _)| node), wanted)?)
    }

    pub(super) fn member(&self, command: &MemberCommand) -> Result<(), CliError> {
        let members = self.call(|call| Ok(call.members()?))?;
        let find = |wanted: &str| {
            let found =
                members.iter().find(|member| member.name == wanted || member.id.to_string() == wanted);
            let missing =
                AdminError::NotFound { what: "member", given: wanted.to_owned(), list: "member list" };
            found.map(|member| (member.id, member.name.clone())).ok_or(missing)
        };
        match command {
            MemberCommand::List => {
                let row = |member: &crate::service::resources::members::Member| {
                    vec![
                        member.name.clone(),
                        member.role.as_str().into(),
                        time(member.created_at_ms),
                        member.id.to_string(),
                    ]
                };
                let rows: Vec<_> = members.iter().map(row).collect();
                answer(
                    self.json,
                    &json!({"members": value(&members)}),
                    &table(&["NAME", "ROLE", "SINCE", "ID"], &rows),
                )
            }
            MemberCommand::SetRole { person, role } => {
                let (id, name) = find(person)?;
                self.call(|call| Ok(call.set_member_role(id, MemberRole { role: *role })?))?;
                answer(
                    self.json,
                    &json!({"id": id, "role": role}),
                    &format!("{name} is now {}", role.as_str()),
                )
            }
            MemberCommand::Remove { person, revoke_keys } => {
                let (id, name) = find(person)?;
                let removal = Removal { revoke_keys: *revoke_keys };
                let left = self.call(|call| Ok(call.remove_member(id, removal)?))?;
                let keys = match (left.enrollment_keys, left.revoked) {
                    (0, _) => String::new(),
                    (count, true) => format!("; revoked {count} enrollment keys of theirs"),
                    (count, false) => format!(
                        "; {count} enrollment keys of theirs still let machines in: `admin enrollment-key list` shows them, `revoke ID` ends one"
                    ),
                };
                let json =
                    json!({"removed": id, "enrollment_keys": left.enrollment_keys, "revoked": left.revoked});
                answer(self.json, &json, &format!("removed {name}{keys}"))
            }
        }
    }

    pub(super) fn invitation(&self, command: &InvitationCommand) -> Result<(), CliError> {
        match command {
            InvitationCommand::Create { role, expires, public_url, mail, smtp } => {
                let url = self.public_url(public_url.as_deref())?;
                let mailer = mail.as_ref().map(|_| self.mailer(smtp)).transpose()?;
                let wanted =
                    NewInvitation { role: *role, lifetime_s: expires / 1000, mail_address: mail.clone() };
                let made = self.call(|call| Ok(call.create_invitation(wanted)?))?;
                let link = format!("{url}/invitation/{}", made.token);
                let expires_at = time(made.invitation.expires_at_ms);
                let by = self.call(|call| Ok(call.caller.person.name.clone()))?;
                let send = |(to, mailer): (&String, &Mailer)| {
                    let mail = InvitationMail { to, link: &link, by: &by, until: &expires_at };
                    Ok::<_, CliError>(runtime()?.block_on(mailer.invite(mail)))
                };
                let sent = mail.as_ref().zip(mailer.as_ref()).map(send).transpose()?;
                let told =
                    sent.as_ref().map(|sent| json!({"sent": sent.is_ok(), "why": sent.as_ref().err()}));
                let json = json!({
                    "id": made.invitation.id, "link": link, "role": role, "expires_at": expires_at, "mail": told,
                });
                let rest = match &sent {
                    None => String::new(),
                    Some(Ok(())) => "\nSent.".to_owned(),
                    Some(Err(why)) => format!("\nNot sent: {why}"),
                };
                let text = format!(
                    "{link}\n\nLets one person in as {}, until {expires_at}; shown this once.{rest}",
                    role.as_str()
                );
                answer(self.json, &json, &text)
            }
            InvitationCommand::List => {
                let invitations = self.call(|call| Ok(call.invitations()?))?;
                let row = |known: &crate::service::resources::invitations::Invitation| {
                    let state = known.accepted_at_ms.map_or("open", |_| "accepted");
                    let state =
                        if state == "open" && known.expires_at_ms <= self.now_ms { "expired" } else { state };
                    vec![
                        known.id.to_string(),
                        known.role.as_str().into(),
                        state.into(),
                        time(known.expires_at_ms),
                    ]
                };
                let rows: Vec<_> = invitations.iter().map(row).collect();
                let text = table(&["ID", "ROLE", "STATE", "EXPIRES"], &rows);
                answer(self.json, &json!({"invitations": value(&invitations)}), &text)
            }
            InvitationCommand::Delete { id: text } => {
                let id = id("invitation", text)?;
                self.call(|call| Ok(call.delete_invitation(id)?))?;
                answer(self.json, &json!({"deleted": id}), &format!("deleted {id}"))
            }
        }
    }

    /// What sends mail, by the settings of `serve`.
    fn mailer(&self, args: &MailArgs) -> Result<Mailer, CliError> {
        let config = config::mail(args, &self.place)?;
        let missing = "--mail needs --smtp-url and --mail-from, here or in the configuration file";
        config.ok_or_else(|| CliError::Usage(missing.to_owned()))?.start()
    }

    pub(super) fn access_rule(&self, command: &AccessRuleCommand) -> Result<(), CliError> {
        match command {
            AccessRuleCommand::Create { network, verdict, from, to, protocol, ports, description } => {
                let network = self.network_id(network)?;
                let rule = AccessRuleText {
                    description: description.clone(),
                    verdict: (*verdict).into(),
                    sources: from.iter().cloned().collect(),
                    destinations: to.iter().cloned().collect(),
                    protocol: (*protocol).into(),
                    ports: ports.clone(),
                };
                let made = self.call(|call| Ok(call.create_access_rule(network, rule)?))?;
                answer(self.json, &value(&made), &format!("added access rule {}", made.id))
            }
            AccessRuleCommand::List { network } => {
                let network = self.network_id(network)?;
                let rules = self.call(|call| Ok(call.access_rules(network)?))?;
                let row = |rule: &crate::service::resources::access_rules::AccessRule| {
                    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
                    vec![
                        rule.id.to_string(),
                        word(value(&rule.verdict)),
                        words(&rule.sources),
                        words(&rule.destinations),
                        word(value(&rule.protocol)),
                        words(&rule.ports),
                        rule.description.clone(),
                    ]
                };
                let rows: Vec<_> = rules.iter().map(row).collect();
                let text = table(&["ID", "VERDICT", "FROM", "TO", "PROTOCOL", "PORTS", "DESCRIPTION"], &rows);
                answer(self.json, &json!({"access_rules": value(&rules)}), &text)
            }
            AccessRuleCommand::Delete { network, id: text } => {
                let (network, id) = (self.network_id(network)?, id("access rule", text)?);
                self.call(|call| Ok(call.delete_access_rule(network, id)?))?;
                answer(self.json, &json!({"deleted": id}), &format!("deleted {id}"))
            }
        }
    }

    pub(super) fn api_token(&self, command: &ApiTokenCommand) -> Result<(), CliError> {
        match command {
            ApiTokenCommand::Create { description, role, expires } => {
                let wanted = NewApiToken {
                    description: description.clone(),
                    role: *role,
                    lifetime_s: expires.map(|ms| ms / 1000),
                };
                let made = self.call(|call| Ok(call.create_api_token(wanted)?))?;
                let text = format!(
                    "{}\n\nActs as {}; shown this once. Id {}.",
                    made.token,
                    role.as_str(),
                    made.api_token.id
                );
                answer(self.json, &value(&made), &text)
            }
            ApiTokenCommand::List => {
                let tokens = self.call(|call| Ok(call.api_tokens()?))?;
                let row = |token: &crate::service::resources::api_tokens::ApiToken| {
                    let expires = token.expires_at_ms.map_or("never".to_owned(), time);
                    vec![
                        token.id.to_string(),
                        token.role.as_str().into(),
                        token.person.clone(),
                        expires,
                        token.description.clone(),
                    ]
                };
                let rows: Vec<_> = tokens.iter().map(row).collect();
                let text = table(&["ID", "ROLE", "PERSON", "EXPIRES", "DESCRIPTION"], &rows);
                answer(self.json, &json!({"api_tokens": value(&tokens)}), &text)
            }
            ApiTokenCommand::Revoke { id: text } => {
                let id = id("API token", text)?;
                self.call(|call| Ok(call.delete_api_token(id)?))?;
                answer(self.json, &json!({"revoked": id}), &format!("revoked {id}"))
            }
        }
    }

    pub(super) fn audit_log(&self) -> Result<(), CliError> {
        let log = self.call(|call| Ok(call.audit_log(None)?))?;
        let row = |entry: &crate::service::resources::audit_log::AuditEntry| {
            vec![
                time(entry.at_ms),
                entry.actor.clone(),
                entry.action.clone(),
                entry.subject.clone(),
                entry.details.to_string(),
            ]
        };
        let rows: Vec<_> = log.iter().map(row).collect();
        answer(
            self.json,
            &json!({"audit_log": value(&log)}),
            &table(&["AT", "ACTOR", "ACTION", "SUBJECT", "DETAILS"], &rows),
        )
    }
}
