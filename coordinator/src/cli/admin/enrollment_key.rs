//! `admin enrollment-key`: secrets that let machines join.

use serde_json::json;

use super::super::args::EnrollmentKeyCommand;
use super::super::error::CliError;
use super::super::output::{answer, table, time};
use super::Admin;
use super::resources::id;
use crate::service::resources::enrollment_keys::{EnrollmentKey, KeyMaker, NewEnrollmentKey};

/// Whether a key still lets somebody in, in a word.
fn state(key: &EnrollmentKey, now_ms: i64) -> &'static str {
    if key.revoked_at_ms.is_some() {
        "revoked"
    } else if key.single_use && key.use_count > 0 {
        "used"
    } else if key.expires_at_ms <= now_ms {
        "expired"
    } else {
        "usable"
    }
}

impl Admin {
    pub(super) fn enrollment_key(&self, command: &EnrollmentKeyCommand) -> Result<(), CliError> {
        match command {
            EnrollmentKeyCommand::Create { network, reusable, expires, tags, ephemeral, description } => self
                .create_enrollment_key(NewEnrollmentKey {
                    network: self.network_id(network)?,
                    description: description.clone(),
                    reusable: *reusable,
                    tags: tags.iter().cloned().collect(),
                    ephemeral: *ephemeral,
                    lifetime_s: expires / 1000,
                }),
            EnrollmentKeyCommand::List => self.list_enrollment_keys(),
            EnrollmentKeyCommand::Revoke { id: text } => {
                let id = id("enrollment key", text)?;
                self.call(|call| Ok(call.revoke_enrollment_key(id)?))?;
                answer(self.json, &json!({"revoked": id}), &format!("revoked {id}"))
            }
        }
    }

    fn create_enrollment_key(&self, wanted: NewEnrollmentKey) -> Result<(), CliError> {
        let network = self.network_name(wanted.network)?;
        let made = self.call(|call| Ok(call.create_enrollment_key(wanted)?))?;
        let (key, expires_at) = (&made.enrollment_key, time(made.enrollment_key.expires_at_ms));
        let json = json!({
            "id": key.id, "key": made.key, "network": network, "reusable": !key.single_use, "tags": key.tags,
            "ephemeral": key.is_ephemeral, "expires_at": expires_at,
        });
        let uses = if key.single_use { "one machine" } else { "any number of machines" };
        let text = format!(
            "{}\n\nFor {uses} of network {network}, until {expires_at}; shown this once. Id {}.",
            made.key, key.id
        );
        answer(self.json, &json, &text)
    }

    fn list_enrollment_keys(&self) -> Result<(), CliError> {
        let (keys, networks) = self.call(|call| Ok((call.enrollment_keys()?, call.networks()?)))?;
        let (mut listed, mut rows) = (Vec::new(), Vec::new());
        for key in keys {
            let network = networks.iter().find(|network| network.id == key.network);
            let network = network.map_or_else(|| "?".to_owned(), |network| network.name.clone());
            let state = state(&key, self.now_ms);
            listed.push(json!({
                "id": key.id, "network": network, "reusable": !key.single_use, "state": state,
                "tags": key.tags, "ephemeral": key.is_ephemeral, "description": key.description,
                "use_count": key.use_count, "created_at": time(key.created_at_ms),
                "expires_at": time(key.expires_at_ms), "last_used_at": key.last_used_at_ms.map(time),
                "created_by": key.created_by,
            }));
            let uses = format!("{}{}", key.use_count, if key.single_use { "/1" } else { "" });
            let maker = key.created_by.map_or_else(String::new, |KeyMaker { name, is_member, .. }| {
                if is_member { name } else { format!("{name} (gone)") }
            });
            let tags = key.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            rows.push(vec![
                key.id.to_string(),
                network,
                state.into(),
                uses,
                tags,
                time(key.expires_at_ms),
                maker,
                key.description,
            ]);
        }
        let text =
            table(&["ID", "NETWORK", "STATE", "USES", "TAGS", "EXPIRES", "MADE BY", "DESCRIPTION"], &rows);
        answer(self.json, &json!({"enrollment_keys": listed}), &text)
    }
}
