use std::time::Duration;

use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::openchami::access::key::{Grant, TokenKey};

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A key pair that signs whatever it is told to.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    fn es256(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self::new(key, Algorithm::ES256, id)
    }

    fn rs256(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self::new(key, Algorithm::RS256, id)
    }

    fn new(key: EncodingKey, algorithm: Algorithm, id: &str) -> Self {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = id.into();
        Self { key, algorithm, jwk }
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": format!("{:?}", self.algorithm), "kid": self.jwk["kid"], "typ": "JWT"});
        self.signed(&header, claims)
    }

    fn verifier(&self) -> Verifier {
        let (keys, problems) =
            PublicKey::from_set(json!({"keys": [self.jwk]}).to_string().as_bytes()).unwrap();
        assert_eq!((keys.len(), problems), (1, Vec::new()));
        Verifier { foreign: keys, ..Verifier::default() }
    }
}

fn claims() -> Value {
    json!({"sub": "me", "iss": "https://id.example.org", "aud": "demo", "exp": NOW + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn a_token_of_the_key_in_the_state_folder_is_good_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let key = TokenKey::open_or_make(folder.path()).unwrap();
    let grant = Grant { subject: "me".into(), audience: "demo".into(), lifetime: Duration::from_secs(60) };
    let id = Uuid::nil();
    let token = key.sign(&grant, id, now()).unwrap();
    // The key stays: what is read again checks what was signed before.
    let again = TokenKey::open(folder.path()).unwrap().unwrap();
    let verifier = Verifier { own: vec![again.public().unwrap()], ..Verifier::default() };
    let good = Claims { subject: "me".into(), issuer: "bootlace".into(), id: Some(id.to_string()) };
    assert_eq!(verifier.verify(&token, now()), Ok(good));
    let later = Timestamp::from_second(NOW + 59).unwrap();
    assert!(verifier.verify(&token, later).is_ok());
    let end = Timestamp::from_second(NOW + 60).unwrap();
    assert_eq!(verifier.verify(&token, end), Err(BadToken::Expired));
    // An issuer that is set is the other one's; ours need not pretend to be it.
    let with_issuer = Verifier { issuer: Some("https://id.example.org".into()), ..verifier };
    assert!(with_issuer.verify(&token, now()).is_ok());
    // The printed set checks it too.
    let set = serde_json::to_vec(&key.set()).unwrap();
    assert!(!String::from_utf8_lossy(&set).contains("\"d\""), "the private half stays private");
    let foreign = Verifier { foreign: PublicKey::from_set(&set).unwrap().0, ..Verifier::default() };
    assert!(foreign.verify(&token, now()).is_ok());
}

/// R151, R154 and what the reference asks for beside: which claims, and in which words a token without is refused.
#[test]
fn claims_are_required_and_compared_in_the_words_of_the_reference() {
    let signer = Signer::es256("k");
    let verifier = Verifier { audience: Some("demo".into()), ..signer.verifier() };
    for (claims, expected) in [
        (claims(), "good"),
        (with("aud", json!(["other", "demo"])), "good"),
        (with("exp", json!(NOW as f64 + 0.5)), "good"),
        (with("nbf", json!(NOW)), "good"),
        (with("exp", json!(NOW)), "token is expired"),
        (with("exp", json!(-1)), "token is expired"),
        (without("exp"), "missing required claim"),
        (with("exp", Value::Null), "missing required claim"),
        (with("exp", json!("soon")), "token is unauthorized"),
        (with("nbf", json!(NOW + 3600)), "token nbf validation failed"),
        (with("iat", json!(NOW + 3600)), "token iat validation failed"),
        (without("sub"), "missing required claim"),
        (without("iss"), "missing required claim"),
        (without("aud"), "missing required claim"),
        (with("aud", json!("other")), "token is for another audience"),
        (with("aud", json!([])), "token is for another audience"),
        (with("aud", json!({"demo": 1})), "token is for another audience"),
        (json!([]), "token is unauthorized"),
    ] {
        let judged = verifier.verify(&signer.token(&claims), now());
        assert_eq!(judged.map_or_else(|bad| bad.to_string(), |_| "good".to_owned()), expected, "{claims}");
    }
    let strict = Verifier { issuer: Some("https://other.example.org".into()), ..verifier.clone() };
    assert_eq!(strict.verify(&signer.token(&claims()), now()), Err(BadToken::Issuer));
    // Who signs for another issuer does not speak for us.
    let as_ours = signer.token(&with("iss", json!(OWN_ISSUER)));
    assert_eq!(strict.verify(&as_ours, now()), Err(BadToken::Issuer));
    let lax = Verifier { audience: None, ..verifier };
    assert!(lax.verify(&signer.token(&with("aud", json!([]))), now()).is_ok());
}

/// R152, R153
#[test]
fn only_the_keys_own_algorithm_and_signature_count() {
    let (signer, other) = (Signer::es256("k"), Signer::es256("k"));
    let verifier = signer.verifier();
    let refused = |token: &str| verifier.verify(token, now()).unwrap_err();
    assert_eq!(refused(&other.token(&claims())), BadToken::Unauthorized);
    for text in ["", ".", "..", "a.b.c", "no token", &signer.token(&claims()).replace('.', ":")] {
        assert_eq!(refused(text).to_string(), "token is unauthorized", "{text}");
    }
    for none in ["none", "None", "NONE", ""] {
        let unsigned = format!("{}.{}.", encoded(&json!({"alg": none})), encoded(&claims()));
        assert_eq!(refused(&unsigned).to_string(), "token is unauthorized", "{none}");
    }
    // The secret of an HMAC that an attacker can know: everything that is public of the key.
    let x = URL_SAFE_NO_PAD.decode(signer.jwk["x"].as_str().unwrap()).unwrap();
    for secret in [signer.jwk.to_string().into_bytes(), x] {
        let key = EncodingKey::from_secret(&secret);
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let hmac = Signer { key: key.clone(), algorithm, jwk: signer.jwk.clone() };
            assert_eq!(refused(&hmac.token(&claims())).to_string(), "token is unauthorized");
            // The signature of one algorithm under the name of another.
            let disguised = hmac.signed(&json!({"alg": "ES256"}), &claims());
            assert_eq!(refused(&disguised), BadToken::Unauthorized);
        }
    }
    let renamed = signer.signed(&json!({"alg": "RS256"}), &claims());
    assert_eq!(refused(&renamed).to_string(), "token is unauthorized");
    let critical = signer.signed(&json!({"alg": "ES256", "crit": ["exp"]}), &claims());
    assert_eq!(refused(&critical), BadToken::Unauthorized);
    let strange = signer.signed(&json!({"alg": "ES256", "kid": "other"}), &claims());
    assert_eq!(refused(&strange), BadToken::UnknownKey, "the issuer may have a new key");
    let unnamed = signer.signed(&json!({"alg": "ES256"}), &claims());
    assert!(verifier.verify(&unnamed, now()).is_ok());
}

#[test]
fn an_issuers_rsa_keys_are_taken_and_secrets_never() {
    let signer = Signer::rs256("rsa");
    let mut enc = signer.jwk.clone();
    enc["use"] = "enc".into();
    let mut odd = signer.jwk.clone();
    odd["alg"] = "HS256".into();
    let set = json!({"keys": [
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
        enc,
        odd,
        {"kty": "future", "kid": "x"},
        {"no": "key"},
        signer.jwk,
    ]});
    let (keys, problems) = PublicKey::from_set(set.to_string().as_bytes()).unwrap();
    assert_eq!((keys.len(), problems.len()), (1, 5), "{problems:?}");
    assert!(problems[0].starts_with("key shared is a shared secret"), "{}", problems[0]);
    let verifier = Verifier { foreign: keys, ..Verifier::default() };
    assert!(verifier.verify(&signer.token(&claims()), now()).is_ok());
    for text in ["", "[]", "{}", "{\"keys\": 1}"] {
        assert!(PublicKey::from_set(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_token(text in "\\PC{0,80}|[A-Za-z0-9_.-]{0,120}") {
        let verifier = Signer::es256("k").verifier();
        prop_assert!(verifier.verify(&text, now()).is_err());
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_none(at in any::<prop::sample::Index>(), by in "[A-Za-z0-9_.-]") {
        let signer = Signer::es256("k");
        let token = signer.token(&claims());
        let at = at.index(token.len());
        let changed = format!("{}{by}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert!(signer.verifier().verify(&changed, now()).is_err(), "{} {}", token, changed);
    }

    #[test]
    fn any_set_of_keys_is_read_or_refused(text in "\\PC{0,60}", member in "[a-z]{1,4}", value in "[A-Za-z0-9+/=]{0,20}") {
        let _ = PublicKey::from_set(text.as_bytes());
        let key = json!({"kty": "EC", "crv": "P-256", "x": value, "y": value, (member): value});
        if let Ok((keys, _)) = PublicKey::from_set(json!({"keys": [key]}).to_string().as_bytes()) {
            let verifier = Verifier { foreign: keys, ..Verifier::default() };
            prop_assert!(verifier.verify(&Signer::es256("k").token(&claims()), now()).is_err());
        }
    }
}
