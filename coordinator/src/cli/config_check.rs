//! `config check`: what `serve` would run with, where each setting came from, and whether it would start.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use nix::unistd::{AccessFlags, access};
use serde_json::{Value, json};

use super::announce::host_addresses;
use super::args::ConfigCheckArgs;
use super::config::{ServeConfig, file_keys};
use super::error::CliError;
use super::mail::MailConfig;
use super::{output, tls};
use crate::store::{DataDir, StoreError};

/// `matches`: of the command itself; they know where clap found a value.
pub(super) fn check(args: &ConfigCheckArgs, matches: &ArgMatches) -> Result<(), CliError> {
    let file = args.serve.place.config.as_deref();
    let (settings, problems) = match ServeConfig::load(&args.serve) {
        Ok(config) => {
            let keys = file_keys(file)?;
            let from = |name: &str| origin(name, matches, keys.contains(name));
            let settings = config.settings().into_iter().map(|(name, value)| (name, value, from(name)));
            (settings.collect::<Vec<_>>(), problems(&config))
        }
        Err(error) => (Vec::new(), vec![error.to_string()]),
    };
    let rows: Vec<Vec<String>> = settings
        .iter()
        .map(|(name, value, from)| vec![(*name).into(), value.clone(), from.clone()])
        .collect();
    let as_json =
        |(name, value, from): &(&str, String, String)| json!({ "name": name, "value": value, "from": from });
    let json = json!({
        "file": file, "settings": settings.iter().map(as_json).collect::<Vec<Value>>(), "problems": problems,
    });
    let mut text =
        if rows.is_empty() { String::new() } else { output::table(&["setting", "value", "from"], &rows) };
    for problem in &problems {
        text += &format!("\nproblem: {problem}");
    }
    output::answer(args.json, &json, text.trim_start())?;
    match problems.len() {
        0 => Ok(()),
        1 => Err(CliError::Usage("the configuration has a problem".into())),
        more => Err(CliError::Usage(format!("the configuration has {more} problems"))),
    }
}

/// Where a setting came from. Its flag, its variable and its line of the file have one name.
fn origin(name: &str, matches: &ArgMatches, in_file: bool) -> String {
    match matches.value_source(name) {
        Some(ValueSource::CommandLine) => "flag".into(),
        Some(ValueSource::EnvVariable) => format!("variable WARREN_{}", name.to_uppercase()),
        _ if in_file => "file".into(),
        _ => "default".into(),
    }
}

/// What would keep `serve` from starting, tried out.
fn problems(config: &ServeConfig) -> Vec<String> {
    let dir = DataDir::new(&config.data_dir);
    let mut problems: Vec<String> = usable(dir.path()).err().into_iter().collect();
    problems.extend(tls::start(&config.tls).err().map(|error| error.to_string()));
    let oidc = config.oidc.as_ref().map(|oidc| oidc.start(config.public_url.as_deref()));
    problems.extend(oidc.and_then(Result::err).map(|error| error.to_string()));
    let mail = config.mail.as_ref().map(MailConfig::start);
    problems.extend(mail.and_then(Result::err).map(|error| error.to_string()));
    let announced = config.announce.is_empty().then_some(config.public_url.as_deref()).flatten();
    problems.extend(announced.and_then(|url| host_addresses(url).err()).map(|error| error.to_string()));
    // Its own coordinator is no reason to call an address taken.
    if is_served(&dir) {
        return problems;
    }
    for (setting, address) in [("listen", Some(config.listen)), ("metrics_listen", config.metrics_listen)] {
        let bound = address.map(|address| TcpListener::bind(address).map(drop));
        problems.extend(refusal(setting, address, bound));
    }
    let mut udp: Vec<(&str, SocketAddr)> = config.stun.iter().map(|address| ("stun", *address)).collect();
    udp.extend(config.relay.filter(|relay| !config.stun.contains(relay)).map(|relay| ("relay", relay)));
    for (setting, address) in udp {
        problems.extend(refusal(setting, Some(address), Some(UdpSocket::bind(address).map(drop))));
    }
    problems
}

fn refusal(setting: &str, address: Option<SocketAddr>, bound: Option<std::io::Result<()>>) -> Option<String> {
    let error = bound?.err()?;
    Some(format!("{setting}: {} cannot be had: {error}", address?))
}

/// Whether the data directory, or the nearest folder above it that exists, may be written.
fn usable(path: &Path) -> Result<(), String> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    if !existing.is_dir() {
        return Err(format!("data_dir: {} is no folder", existing.display()));
    }
    access(existing, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| format!("data_dir: {} may not be written by this user: {error}", existing.display()))
}

fn is_served(dir: &DataDir) -> bool {
    // Where there is no lock yet, looking must not make one.
    dir.path().join("serve.lock").exists() && matches!(dir.lock(), Err(StoreError::Locked(_)))
}
