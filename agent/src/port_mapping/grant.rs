//! What a router granted, and what of it is refused.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::{PortMappingProtocol, Unusable, check_address};

/// A mapping that lives for a shorter time than this could not be renewed in time: RFC 6887 §11.2.1 allows a renewal every four
/// seconds.
const LIFETIME_MIN: Duration = Duration::from_secs(8);

/// A longer lifetime is taken for this one (RFC 6887 §15): no router remembers longer than it runs.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a router granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant<T> {
    /// Where packets from outside are to be sent.
    pub(super) external: SocketAddr,
    /// How long, unless it is renewed.
    pub(super) lifetime: Duration,
    /// How the router was asked.
    pub(super) protocol: PortMappingProtocol,
    /// The router's counter of seconds since it started, where the protocol has one.
    pub(super) epoch: Option<u32>,
    /// What renewing and releasing it takes.
    pub(super) ticket: T,
}

impl<T> Grant<T> {
    /// The grant within its bounds, where it can be of use.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence's end.
    pub(super) fn checked(mut self) -> Result<Self, String> {
        if self.external.is_ipv6() {
            return Err(format!("it answered with the IPv6 address {}", self.external.ip()));
        }
        if let Err(why) = check_address(self.external, &[]) {
            let what = match why {
                Unusable::NoPort => "port 0".to_owned(),
                Unusable::NotUnicast | Unusable::LinkLocal | Unusable::InsideMesh => {
                    format!("the outside address {}, which nobody can send to", self.external.ip())
                }
            };
            return Err(format!("it answered with {what}"));
        }
        if self.lifetime < LIFETIME_MIN {
            return Err(format!("it opens the port for {} s only", self.lifetime.as_secs()));
        }
        self.lifetime = self.lifetime.min(LIFETIME_MAX);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(external: &str, lifetime_s: u64) -> Grant<()> {
        Grant {
            external: external.parse().unwrap(),
            lifetime: Duration::from_secs(lifetime_s),
            protocol: PortMappingProtocol::NatPmp,
            epoch: None,
            ticket: (),
        }
    }

    #[test]
    fn an_outside_address_that_nobody_can_send_to_is_refused_by_name() {
        for external in ["224.0.0.1:5", "127.0.0.1:5", "0.0.0.0:5", "255.255.255.255:5", "169.254.1.1:5"] {
            let why = grant(external, 7200).checked().unwrap_err();
            assert!(why.contains(external.split(':').next().unwrap()), "{why}");
        }
        assert!(grant("203.0.113.1:0", 7200).checked().unwrap_err().contains("port 0"));
        assert!(grant("[2001:db8::1]:5", 7200).checked().unwrap_err().contains("IPv6"));
    }

    #[test]
    fn addresses_of_the_internet_a_carrier_and_a_house_are_taken() {
        for external in ["203.0.113.1:5", "100.64.0.9:5", "192.168.1.2:5"] {
            assert!(grant(external, 7200).checked().is_ok(), "{external}");
        }
    }

    #[test]
    fn a_lifetime_is_bounded_on_both_ends() {
        assert!(grant("203.0.113.1:5", 0).checked().is_err());
        assert!(grant("203.0.113.1:5", 7).checked().is_err());
        let endless = grant("203.0.113.1:5", u64::from(u32::MAX)).checked().unwrap();
        assert_eq!(endless.lifetime, LIFETIME_MAX);
    }
}
