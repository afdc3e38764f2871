//! Passwords: argon2id (RFC 9106).

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// The shortest password: NIST SP 800-63B asks for 8 at least, and says that length is what counts.
pub const PASSWORD_MIN: usize = 12;
/// The longest: hashing costs the same, but somebody may send megabytes.
pub const PASSWORD_MAX: usize = 256;

/// How many may be hashed at once: each takes 19 MiB and 20 ms and more of a core, which a small VPS has one of. Whoever calls
/// from many threads keeps to it.
pub const AT_ONCE_MAX: usize = 2;

/// The hash of a new password, in PHC form.
///
/// # Errors
/// What is wrong with the password, as a sentence.
pub fn hash(password: &str) -> Result<String, String> {
    let length = password.chars().count();
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&length) {
        return Err(format!("{PASSWORD_MIN} to {PASSWORD_MAX} characters"));
    }
    let hashed = Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string());
    hashed.map_err(|error| format!("cannot be hashed: {error}"))
}

/// Whether a password is the one with this hash. Without a hash it takes as long and is never right, so that nobody learns
/// from the time which names exist.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.chars().count() > PASSWORD_MAX {
        return false;
    }
    let Some(hash) = hash else {
        let _ = Argon2::default().hash_password(password.as_bytes());
        return false;
    };
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognized_by_its_hash_and_another_one_is_not() {
        let hash = hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(verify("correct horse battery", Some(&hash)));
        assert!(!verify("correct horse battery ", Some(&hash)));
        assert!(!verify("correct horse battery", Some("nonsense")));
        assert!(!verify("correct horse battery", None));
    }

    #[test]
    fn a_password_has_twelve_to_256_characters() {
        assert!(hash("ä".repeat(11).as_str()).is_err());
        assert!(hash("ä".repeat(12).as_str()).is_ok());
        assert!(hash(&"a".repeat(257)).is_err());
        assert!(!verify(&"a".repeat(1_000_000), None));
    }
}
