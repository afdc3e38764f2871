//! What the coordinator's answer to an enrollment holds for this node's eyes alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::EnrollResponse;
use protocol::key::PrivateKey;
use protocol::map_signature::MapVerifyingKey;
use protocol::sealed;
use zeroize::Zeroizing;

use super::Token;

/// The node token, and the key that maps are verified with where the coordinator signs them.
///
/// # Errors
/// What is wrong with the answer.
pub(crate) fn open_credentials(
    response: &EnrollResponse,
    key: &PrivateKey,
) -> Result<(Token, Option<MapVerifyingKey>), &'static str> {
    let token = open(&response.sealed_token, key)?;
    let map_key =
        response.sealed_credentials.as_ref().map(|sealed| map_key(sealed, &token, key)).transpose()?;
    let token = Token::from_bytes(&token).ok_or("the token cannot be a token")?;
    Ok((token, map_key))
}

fn open(sealed: &str, key: &PrivateKey) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let sealed = STANDARD.decode(sealed).map_err(|_| "the token is no base64")?;
    sealed::open(&sealed, key).ok_or("the token is not for this node")
}

/// Whoever sealed the key must have known the token, too.
fn map_key(sealed: &str, token: &[u8], key: &PrivateKey) -> Result<MapVerifyingKey, &'static str> {
    let credentials = open(sealed, key)?;
    let told = credentials.strip_prefix(token).and_then(|rest| rest.strip_prefix(b" "));
    let told = told.ok_or("the key of its maps does not come with the token")?;
    std::str::from_utf8(told).ok().and_then(|text| text.parse().ok()).ok_or("the key of its maps is no key")
}

#[cfg(test)]
mod tests {
    use protocol::map_signature::MapSigningKey;
    use uuid::Uuid;

    use super::*;

    fn own() -> PrivateKey {
        PrivateKey::from_random([7; 32])
    }

    fn response(credentials: Option<&str>) -> EnrollResponse {
        let seal = |text: &str| {
            STANDARD.encode(sealed::seal(text.as_bytes(), &own().public_key(), [8; 32]).unwrap())
        };
        EnrollResponse {
            node_id: Uuid::nil(),
            name: "a".parse().unwrap(),
            network: "n".into(),
            addresses: Vec::new(),
            sealed_token: seal("token"),
            sealed_credentials: credentials.map(seal),
        }
    }

    #[test]
    fn the_key_of_the_maps_comes_with_the_token() {
        let key = MapSigningKey::derive(&Zeroizing::new([1; 32])).verifying_key();
        let opened = open_credentials(&response(Some(&format!("token {key}"))), &own());
        assert_eq!(opened, Ok((Token::from_bytes(b"token").unwrap(), Some(key))));
        assert_eq!(open_credentials(&response(None), &own()).map(|(_, key)| key), Ok(None));
    }

    #[test]
    fn a_key_that_came_with_another_token_or_is_none_is_refused() {
        let key = MapSigningKey::derive(&Zeroizing::new([1; 32])).verifying_key();
        for bad in [&format!("other {key}"), "token", "token ", "token x", &format!("token{key}")] {
            assert!(open_credentials(&response(Some(bad)), &own()).is_err(), "{bad}");
        }
        let cut = EnrollResponse { sealed_credentials: Some("AAAA".into()), ..response(None) };
        assert!(open_credentials(&cut, &own()).is_err());
    }
}
