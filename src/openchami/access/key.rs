//! The key in the state folder that `bootlace token new` signs with.

#![allow(clippy::disallowed_methods, reason = "the edge where the key file is read and made")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use uuid::Uuid;

use super::files::{self, FileError, Old};
use super::token::{OWN_ISSUER, PublicKey, set_of};

/// Name of the file in the state folder.
pub const FILE: &str = "token-key.pem";
/// Elliptic curve signatures: short tokens, and a key that is made at once.
const ALGORITHM: Algorithm = Algorithm::ES256;

/// The key, and the public half that tokens are checked with.
#[derive(Clone)]
pub struct TokenKey {
    signing: EncodingKey,
    jwk: Jwk,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.jwk.common.key_id).finish_non_exhaustive()
    }
}

/// What a new token shall say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// `sub`
    pub subject: String,
    /// `aud`
    pub audience: String,
    /// From now to `exp`.
    pub lifetime: Duration,
}

/// Where the key of a state folder is.
pub fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

impl TokenKey {
    /// The key of a state folder; none: there is none yet.
    pub fn open(state: &Path) -> Result<Option<Self>, FileError> {
        let path = path(state);
        let Some(pem) = files::read_secret(&path)? else { return Ok(None) };
        Self::from_pem(&pem).map(Some).map_err(|error| {
            let what = format!(
                "is no private key on P-256 in PEM (PKCS #8): {error}; remove it, and `bootlace token new` makes one"
            );
            FileError::wrong(&path, what)
        })
    }

    /// The same, made now where there is none.
    pub fn open_or_make(state: &Path) -> Result<Self, FileError> {
        if let Some(key) = Self::open(state)? {
            return Ok(key);
        }
        let path = path(state);
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|error| FileError::wrong(&path, format!("cannot make a key: {error}")))?;
        files::write(&path, 0o600, made.serialize_pem().as_bytes(), Old::Keep)?;
        // Two that make it at once both go on with the one that is there now.
        Self::open(state)?.ok_or_else(|| FileError::wrong(&path, "went away as soon as it was made"))
    }

    fn from_pem(pem: &[u8]) -> Result<Self, jsonwebtoken::errors::Error> {
        let signing = EncodingKey::from_ec_pem(pem)?;
        let mut jwk = Jwk::from_encoding_key(&signing, ALGORITHM)?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { signing, jwk })
    }

    /// The public half, as other programs take it (RFC 7517, 5).
    pub fn set(&self) -> JwkSet {
        set_of(self.jwk.clone())
    }

    /// The public half, to check tokens with.
    pub fn public(&self) -> Result<PublicKey, super::token::BadKey> {
        PublicKey::from_jwk(&self.jwk)
    }

    /// Signs a token.
    pub fn sign(
        &self,
        grant: &Grant,
        id: Uuid,
        now: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = now.as_second();
        let lifetime = i64::try_from(grant.lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "sub": grant.subject,
            "iss": OWN_ISSUER,
            "aud": grant.audience,
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add(lifetime),
            "jti": id.to_string(),
        });
        let mut header = Header::new(ALGORITHM);
        header.kid.clone_from(&self.jwk.common.key_id);
        jsonwebtoken::encode(&header, &claims, &self.signing)
    }
}
