//! JSON Web Tokens (RFC 7519, RFC 7515): is this one good, now, by these keys?
//!
//! The type of the key fixes the algorithm, never the token: so neither `none` nor an HMAC over a public key
//! gets through. The texts of the refusals are those that OpenCHAMI's services send.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token that is looked at, bytes; real ones have one or two thousand.
const TOKEN_MAX: usize = 16 << 10;
/// Most keys of a set that are used.
const KEYS_MAX: usize = 64;
/// How far an issuer's clock may be ahead of ours, for `nbf` and `iat`.
const SKEW_SECONDS: f64 = 30.0;

/// `iss` of the tokens that `bootlace token new` makes.
pub const OWN_ISSUER: &str = "bootlace";
/// `aud` of them where nothing else is said.
pub const OWN_AUDIENCE: &str = "bootlace";

/// What a good token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// `sub`: who.
    pub subject: String,
    /// `iss`: who says so.
    pub issuer: String,
    /// `jti`: which token.
    pub id: Option<String>,
}

/// Why a token does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadToken {
    /// There is none.
    #[error("no token found")]
    None,
    /// No token at all, a wrong signature, or an algorithm that its key is not for.
    #[error("token is unauthorized")]
    Unauthorized,
    /// Signed by a key that is not among ours; the issuer may have a new one.
    #[error("token is unauthorized")]
    UnknownKey,
    /// `exp` has come.
    #[error("token is expired")]
    Expired,
    /// `nbf` has not come yet.
    #[error("token nbf validation failed")]
    Early,
    /// `iat` has not come yet.
    #[error("token iat validation failed")]
    IssuedLater,
    /// One of `sub`, `iss`, `aud`, `exp` is not there.
    #[error("missing required claim")]
    Missing,
    /// `iss` is not the one that is set.
    #[error("token is by another issuer")]
    Issuer,
    /// `aud` is not the one that is set.
    #[error("token is for another audience")]
    Audience,
}

/// A key that tokens can be checked with.
#[derive(Clone)]
pub struct PublicKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("algorithms", &self.algorithms).finish()
    }
}

/// Why a key of a set cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadKey {
    /// A secret is no public key: whoever can read the set could sign with it.
    #[error("is a shared secret; only public keys (RSA, EC, OKP) can be used")]
    Secret,
    /// Meant for encryption.
    #[error("is for encryption (use: enc), not for signatures")]
    Use,
    /// `alg` and the type of the key do not fit together.
    #[error("says alg {0}, which does not fit its type")]
    Algorithm(String),
    /// A type or curve that is not known here.
    #[error("is of a type that is not known here; RSA, P-256, P-384 and Ed25519 are")]
    Type,
    /// The numbers in it are none.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl PublicKey {
    /// Takes a key of a set.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, BadKey> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let fitting: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[ES256],
                EllipticCurve::P384 => &[ES384],
                _ => return Err(BadKey::Type),
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[EdDSA],
            AlgorithmParameters::OctetKey(_) => return Err(BadKey::Secret),
            _ => return Err(BadKey::Type),
        };
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err(BadKey::Use);
        }
        let algorithms = match jwk.common.key_algorithm {
            None => fitting.to_vec(),
            Some(stated) => {
                let stated = stated.to_string();
                match stated.parse::<Algorithm>() {
                    Ok(algorithm) if fitting.contains(&algorithm) => vec![algorithm],
                    _ => return Err(BadKey::Algorithm(stated)),
                }
            }
        };
        let key = DecodingKey::from_jwk(jwk).map_err(|error| BadKey::Unreadable(error.to_string()))?;
        Ok(Self { id: jwk.common.key_id.clone(), algorithms, key })
    }

    /// All keys of a set that can be used, and what is wrong with the others. Keys may be of kinds that came
    /// after this program, so one that is not known spoils none of the others (RFC 7517, 5).
    pub fn from_set(set: &[u8]) -> Result<(Vec<Self>, Vec<String>), serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(set)?;
        let (mut keys, mut problems) = (Vec::new(), Vec::new());
        for (index, value) in set.keys.into_iter().take(KEYS_MAX).enumerate() {
            let named = match value.get("kid").and_then(Value::as_str) {
                Some(id) => format!("key {}", id.escape_debug()),
                None => format!("key {}", index + 1),
            };
            let key = serde_json::from_value::<Jwk>(value)
                .map_err(|error| BadKey::Unreadable(error.to_string()))
                .and_then(|jwk| Self::from_jwk(&jwk));
            match key {
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(format!("{named} {problem}")),
            }
        }
        Ok((keys, problems))
    }

    /// May this key have signed a token whose header says so?
    fn fits(&self, header: &Header) -> bool {
        let named = match (&self.id, &header.kid) {
            (Some(own), Some(stated)) => own == stated,
            _ => true,
        };
        named && self.algorithms.iter().any(|algorithm| format!("{algorithm:?}") == header.alg)
    }
}

/// What tokens are checked by.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    /// Keys of our own: they sign as [`OWN_ISSUER`].
    pub own: Vec<PublicKey>,
    /// Keys of the issuer that is set.
    pub foreign: Vec<PublicKey>,
    /// The keys of the issuer that is set were never got so far.
    pub incomplete: bool,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must be or hold.
    pub audience: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

impl Verifier {
    /// Judges a token.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, BadToken> {
        if token.len() > TOKEN_MAX {
            return Err(BadToken::Unauthorized);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Unauthorized)?;
        let (header, payload) = signed.split_once('.').ok_or(BadToken::Unauthorized)?;
        let header: Header = part(header)?;
        // We understand no extension that a token may insist on (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(BadToken::Unauthorized);
        }
        let mut unknown = true;
        let mut signed_by = |keys: &[PublicKey]| {
            keys.iter().filter(|key| key.fits(&header)).any(|key| {
                unknown = false;
                key.algorithms.iter().filter(|algorithm| format!("{algorithm:?}") == header.alg).any(
                    |algorithm| {
                        let verified =
                            jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, *algorithm);
                        verified.unwrap_or(false)
                    },
                )
            })
        };
        let own = signed_by(&self.own);
        if !own && !signed_by(&self.foreign) {
            let unknown = unknown || self.incomplete;
            return Err(if unknown { BadToken::UnknownKey } else { BadToken::Unauthorized });
        }
        self.claims(&part(payload)?, own, now)
    }

    /// Judges what a token says whose signature is right.
    fn claims(&self, claims: &Map<String, Value>, own: bool, now: Timestamp) -> Result<Claims, BadToken> {
        let now = now.as_second() as f64;
        let stated = |name: &str| claims.get(name).filter(|value| !value.is_null());
        let time = |name: &str| match stated(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(BadToken::Unauthorized),
        };
        let expires = time("exp")?;
        if expires.is_some_and(|expires| expires <= now) {
            return Err(BadToken::Expired);
        }
        if time("nbf")?.is_some_and(|start| start > now + SKEW_SECONDS) {
            return Err(BadToken::Early);
        }
        if time("iat")?.is_some_and(|issued| issued > now + SKEW_SECONDS) {
            return Err(BadToken::IssuedLater);
        }
        let text = |name: &str| stated(name).and_then(Value::as_str);
        let (Some(subject), Some(issuer), Some(audience), Some(_)) =
            (text("sub"), text("iss"), stated("aud"), expires)
        else {
            return Err(BadToken::Missing);
        };
        // Our own key speaks for us; a token of it need not pretend to be another issuer's.
        let issuer_fits = match &self.issuer {
            Some(wanted) => issuer == wanted || own && issuer == OWN_ISSUER,
            None => true,
        };
        if !issuer_fits {
            return Err(BadToken::Issuer);
        }
        if self.audience.as_ref().is_some_and(|wanted| !holds(audience, wanted)) {
            return Err(BadToken::Audience);
        }
        let id = text("jti").map(str::to_owned);
        Ok(Claims { subject: subject.to_owned(), issuer: issuer.to_owned(), id })
    }
}

/// `aud` is one text or a list of them (RFC 7519, 4.1.3).
fn holds(audience: &Value, wanted: &str) -> bool {
    match audience {
        Value::Array(several) => several.iter().any(|one| one.as_str() == Some(wanted)),
        one => one.as_str() == Some(wanted),
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Unauthorized)?;
    serde_json::from_slice(&bytes).map_err(|_| BadToken::Unauthorized)
}

/// A set of one key.
pub fn set_of(jwk: Jwk) -> JwkSet {
    JwkSet { keys: vec![jwk] }
}

#[cfg(test)]
mod tests;
