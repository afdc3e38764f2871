//! Building a planned internet in this machine, changing it, and taking it down.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Mutex;

use crate::error::LabError;
use crate::namespace::{Namespace, run_with_input};
use crate::plan::{CORE, Link, Plan, Setup};
use crate::recipe::{Recipe, recipe};
use crate::topology::Topology;
use crate::translator::Translator;
use crate::wire::Wire;

/// Namespaces that are set up at the same time.
const WORKERS: usize = 4;

/// A router that passes nothing and knows nobody.
const CLOSED: &str = "
flush ruleset
table inet closed {
	chain arriving { type filter hook input priority filter; policy drop; }
	chain passing { type filter hook forward priority filter; policy drop; }
}
";

/// A running internet. Dropping it takes all of it down.
#[derive(Debug)]
pub struct Internet {
    plan: Mutex<Plan>,
    wires: BTreeMap<String, Wire>,
    translators: Vec<Translator>,
}

impl Internet {
    /// Builds what the description says.
    ///
    /// # Errors
    /// When the description is wrong or the machine refuses.
    pub fn build(topology: &Topology) -> Result<Self, LabError> {
        let plan = Plan::of(topology)?;
        let mut internet =
            Self { plan: Mutex::new(Plan::default()), wires: BTreeMap::new(), translators: Vec::new() };
        let mut batch: Vec<String> = plan.setups.keys().map(|name| format!("netns add {name}")).collect();
        let (wired, plain): (Vec<&Link>, Vec<&Link>) =
            plan.links.iter().partition(|link| link.wire.is_some());
        for Link { ends: [(near, near_if), (far, far_if)], .. } in plain {
            batch.push(format!("link add {near_if} netns {near} type veth peer name {far_if} netns {far}"));
        }
        run_with_input(Command::new("ip").args(["-batch", "-"]), &batch.join("\n"))?;
        for Link { ends, wire } in wired {
            let wire = Wire::between(ends, wire.unwrap_or_default())?;
            internet.wires.insert(ends[1].0.clone(), wire);
        }
        let work: Mutex<Vec<(&String, &Setup)>> = Mutex::new(plan.setups.iter().collect());
        let failures: Mutex<Vec<LabError>> = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let Some((name, setup)) = locked(&work).pop() {
                        if let Err(error) = set_up(&Namespace::named(name), setup) {
                            locked(&failures).push(error);
                        }
                    }
                });
            }
        });
        let translated = plan.setups.iter().filter(|(_, setup)| setup.translates_ipv6);
        let translated: Vec<Namespace> = translated.map(|(name, _)| Namespace::named(name)).collect();
        internet.plan = Mutex::new(plan);
        if let Some(error) = failures.into_inner().unwrap_or_default().into_iter().next() {
            return Err(error);
        }
        for router in &translated {
            internet.translators.push(Translator::start(router)?);
        }
        Ok(internet)
    }

    /// The internet's core router.
    #[must_use]
    pub fn core(&self) -> Namespace {
        Namespace::named(CORE)
    }

    /// The namespace of a host.
    ///
    /// # Errors
    /// [`LabError::Description`] when the host does not exist.
    pub fn host(&self, name: &str) -> Result<Namespace, LabError> {
        Ok(Namespace::named(
            &locked(&self.plan).hosts.get(name).ok_or_else(|| unknown("host", name))?.namespace,
        ))
    }

    /// The IPv4 addresses of a host, public or private as its site has it; none behind NAT64.
    ///
    /// # Errors
    /// [`LabError::Description`] when the host does not exist.
    pub fn addresses(&self, name: &str) -> Result<Vec<Ipv4Addr>, LabError> {
        Ok(locked(&self.plan).hosts.get(name).ok_or_else(|| unknown("host", name))?.addresses.clone())
    }

    /// The IPv6 addresses of a host; none unless it is public and has them, or its site's recipe says so.
    ///
    /// # Errors
    /// [`LabError::Description`] when the host does not exist.
    pub fn ipv6_addresses(&self, name: &str) -> Result<Vec<Ipv6Addr>, LabError> {
        Ok(locked(&self.plan).hosts.get(name).ok_or_else(|| unknown("host", name))?.ipv6.clone())
    }

    /// The site of a host; `None` for a public one.
    #[must_use]
    pub fn site_of(&self, host: &str) -> Option<String> {
        locked(&self.plan).hosts.get(host)?.site.clone()
    }

    /// The router of a site and its outside address.
    ///
    /// # Errors
    /// [`LabError::Description`] when the site does not exist.
    pub fn router(&self, site: &str) -> Result<(Namespace, Ipv4Addr), LabError> {
        let plan = locked(&self.plan);
        let router = plan.routers.get(site).ok_or_else(|| unknown("site", site))?;
        Ok((Namespace::named(&router.namespace), router.wan))
    }

    /// A router loses its memory and gets a new outside address, as after a night's reconnect. Gives the address.
    ///
    /// # Errors
    /// When the site does not exist, is behind another one, or a command fails.
    pub fn rebind(&self, site: &str) -> Result<Ipv4Addr, LabError> {
        let mut plan = locked(&self.plan);
        let new = plan.spare()?;
        let router = plan.routers.get_mut(site).ok_or_else(|| unknown("site", site))?;
        let Some(uplink) = router.uplink.clone() else {
            return Err(LabError::Description(format!(
                "site `{site}` has no address of the internet to change"
            )));
        };
        let old = std::mem::replace(&mut router.wan, new);
        let namespace = Namespace::named(&router.namespace);
        Namespace::named(CORE).configure(&[
            format!("route del {old}/32 dev {uplink}"),
            format!("route add {new}/32 dev {uplink}"),
        ])?;
        // The last address takes the routes along when it goes, so the new one comes first.
        namespace.configure(&[format!("addr add {new}/32 dev wan"), format!("addr del {old}/32 dev wan")])?;
        namespace.load_rules(&router.recipe.script(new, &router.lan))?;
        namespace.flush_connections()?;
        Ok(new)
    }

    /// A router gets the rules of another recipe and loses its memory, but keeps its address.
    ///
    /// # Errors
    /// When there is no such site or recipe, the recipe asks for another kind of network, or a command fails.
    pub fn exchange_rules(&self, site: &str, name: &str) -> Result<(), LabError> {
        let mut plan = locked(&self.plan);
        let router = plan.routers.get_mut(site).ok_or_else(|| unknown("site", site))?;
        let new = recipe(name)?;
        let network = |recipe: &Recipe| {
            (recipe.translates(), recipe.claim.ipv6.is_some(), recipe.carrier, recipe.behind.is_some())
        };
        if network(&new) != network(&router.recipe) {
            return Err(LabError::Description(format!(
                "site `{site}` cannot change from `{}` to `{name}`: its hosts would need other addresses",
                router.recipe.name
            )));
        }
        let namespace = Namespace::named(&router.namespace);
        // Closed meanwhile: a packet of an old connection would leave its port in the new rules' memory.
        namespace.load_rules(CLOSED)?;
        namespace.flush_connections()?;
        namespace.load_rules(&new.script(router.wan, &router.lan))?;
        router.recipe = new;
        Ok(())
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.wires.clear();
        self.translators.clear();
        let lines: Vec<String> =
            locked(&self.plan).setups.keys().map(|name| format!("netns del {name}")).collect();
        // Whatever stays behind goes away with the sandbox.
        let _ = run_with_input(Command::new("ip").args(["-force", "-batch", "-"]), &lines.join("\n"));
    }
}

fn set_up(namespace: &Namespace, setup: &Setup) -> Result<(), LabError> {
    let mut settings = vec![("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")];
    if setup.forwards {
        settings.extend([
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            // A redirect would teach hosts of a hairpin to bypass the router.
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
            // Packets between hosts of one LAN must not meet the router's rules.
            ("bridge/bridge-nf-call-iptables", "0"),
            ("bridge/bridge-nf-call-ip6tables", "0"),
        ]);
    }
    namespace.set(&settings)?;
    namespace.configure(&setup.lines)?;
    if let Some(names) = &setup.names {
        namespace.set_names(names)?;
    }
    match &setup.rules {
        Some(rules) => namespace.load_rules(rules),
        None => Ok(()),
    }
}

fn unknown(kind: &str, name: &str) -> LabError {
    LabError::Description(format!("the internet has no {kind} `{name}`"))
}

/// Locks even after a panic of another thread: the values are plain data.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
