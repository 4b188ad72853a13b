//! What the API proves itself with: the operator's own certificate, or one that bootlace makes, of a CA that it
//! makes too.
//!
//! The CA stays for good, so that clients trust it once; the certificate lives a year and is made anew before it
//! ends or when the machine has other names and addresses.

#![allow(clippy::disallowed_methods, reason = "the edge where certificate files are read and made")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;

use super::files::{self, FileError, Old};
use crate::config::api::TlsFiles;

/// The CA's certificate: clients need this file.
pub const CA: &str = "ca.pem";
/// The CA's key.
pub const CA_KEY: &str = "ca-key.pem";
/// The server's certificate.
pub const SERVER: &str = "server.pem";
/// The server's key.
pub const SERVER_KEY: &str = "server-key.pem";

/// The CA's life has no end and begins before any clock of today (RFC 5280, 4.1.2.5): what a machine makes whose
/// clock is not set yet must still hold when it is.
const CA_LIFE: [(i32, u8, u8); 2] = [(2020, 1, 1), (9999, 12, 31)];
/// How long a server certificate lives, days: some clients take none that lives longer than 398.
const SERVER_DAYS: i64 = 365;
/// It is made anew when less is left.
const LEFT_MIN: Duration = Duration::from_secs(30 * 86_400);

/// Where the certificate is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Files of the operator's own.
    Files(TlsFiles),
    /// Made in this state folder.
    Made(PathBuf),
}

/// What a certificate has to be good for.
pub fn names(listen: SocketAddr, stated: &[String]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = stated.iter().cloned().collect();
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    // The kernel's own name for this machine; a name that DNS could not have stays away.
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        names.extend(crate::config::api::tls_name(host.trim()).ok());
    }
    let address = listen.ip().to_canonical();
    if address.is_unspecified() {
        let interfaces = pnet::datalink::interfaces().into_iter();
        let addresses = interfaces.flat_map(|interface| interface.ips).map(|network| network.ip());
        let link_local = |address: &std::net::IpAddr| matches!(address, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
        names.extend(addresses.filter(|address| !link_local(address)).map(|address| address.to_string()));
    } else {
        names.insert(address.to_string());
    }
    names
}

/// The certificate to use now; makes what is missing, wrong or about to end.
pub fn load(
    origin: &Origin,
    names: &BTreeSet<String>,
    provider: &Arc<CryptoProvider>,
    now: Timestamp,
) -> Result<CertifiedKey, FileError> {
    match origin {
        Origin::Files(files) => pair(&files.certificate, &files.key, provider),
        Origin::Made(state) => {
            let (certificate, key) = (state.join(SERVER), state.join(SERVER_KEY));
            let there = certificate.exists() && key.exists() && state.join(CA).exists();
            if there
                && let Ok(found) = pair(&certificate, &key, provider)
                && good(&found, &authority(state)?, names, provider, now).is_ok()
            {
                return Ok(found);
            }
            make(state, names, now)?;
            let made = pair(&certificate, &key, provider)?;
            let ca = state.join(CA);
            good(&made, &authority(state)?, names, provider, now).map_err(|error| {
                FileError::wrong(
                    &ca,
                    format!(
                        "does not make good certificates ({error}); remove it and {CA_KEY} for a new one"
                    ),
                )
            })?;
            Ok(made)
        }
    }
}

/// Reads certificate and key.
fn pair(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, FileError> {
    let missing = |path: &Path| FileError::wrong(path, "there is no such file");
    let chain = files::read(certificate)?.ok_or_else(|| missing(certificate))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|error| FileError::wrong(certificate, format!("is no PEM with certificates: {error}")))?;
    if chain.is_empty() {
        return Err(FileError::wrong(certificate, "holds no certificate (BEGIN CERTIFICATE)"));
    }
    let secret = files::read_secret(key)?.ok_or_else(|| missing(key))?;
    let secret = PrivateKeyDer::from_pem_slice(&secret)
        .map_err(|error| FileError::wrong(key, format!("is no PEM with a private key: {error}")))?;
    let signing = provider
        .key_provider
        .load_private_key(secret)
        .map_err(|error| FileError::wrong(key, format!("is of a kind that cannot be used: {error}")))?;
    let pair = CertifiedKey::new(chain, signing);
    match pair.keys_match() {
        // Kinds of keys whose public half cannot be told are left to the handshake.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
        Err(error) => {
            Err(FileError::wrong(certificate, format!("is not for the key in {} ({error})", key.display())))
        }
    }
}

/// The CA of a state folder.
fn authority(state: &Path) -> Result<CertificateDer<'static>, FileError> {
    let path = state.join(CA);
    let pem = files::read(&path)?.ok_or_else(|| FileError::wrong(&path, "there is no such file"))?;
    CertificateDer::from_pem_slice(&pem)
        .map_err(|error| FileError::wrong(&path, format!("is no PEM with a certificate: {error}")))
}

/// Would a client that trusts `ca` take it, under each of `names`, today and for some time to come?
fn good(
    pair: &CertifiedKey,
    ca: &CertificateDer<'static>,
    names: &BTreeSet<String>,
    provider: &Arc<CryptoProvider>,
    now: Timestamp,
) -> Result<(), rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.clone())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    let (end, between) = pair.cert.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    for name in names {
        let name =
            ServerName::try_from(name.as_str()).map_err(|error| rustls::Error::General(error.to_string()))?;
        for moment in [now, now + LEFT_MIN] {
            let moment = UnixTime::since_unix_epoch(moment);
            verifier.verify_server_cert(end, between, &name, &[], moment)?;
        }
    }
    Ok(())
}

/// Makes a server certificate, and before it the CA where there is none.
fn make(state: &Path, names: &BTreeSet<String>, now: Timestamp) -> Result<(), FileError> {
    let (ca, ca_key) = (state.join(CA), state.join(CA_KEY));
    let cannot = |path: &Path| {
        let path = path.to_owned();
        move |error: rcgen::Error| FileError::wrong(&path, format!("cannot be made or used: {error}"))
    };
    let day = |date: Date| rcgen::date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8);
    let today = now.to_zoned(TimeZone::UTC).date();
    let yesterday = today.yesterday().unwrap_or(today);
    if !ca.exists() {
        let key = KeyPair::generate().map_err(cannot(&ca_key))?;
        let mut params = CertificateParams::default();
        // A second CA of the same name with another key would confuse clients that trust the first one.
        let mark: String =
            key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
        params.distinguished_name.push(DnType::CommonName, format!("bootlace CA {mark}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let [from, to] = CA_LIFE.map(|(year, month, day)| rcgen::date_time_ymd(year, month, day));
        (params.not_before, params.not_after) = (from, to);
        let made = params.self_signed(&key).map_err(cannot(&ca))?;
        // The key first: a certificate without its key would stay for ever.
        files::write(&ca_key, 0o600, key.serialize_pem().as_bytes(), Old::Replace)?;
        files::write(&ca, 0o644, made.pem().as_bytes(), Old::Replace)?;
    }
    let ca_pem = files::read(&ca)?.unwrap_or_default();
    let Some(ca_key_pem) = files::read_secret(&ca_key)? else {
        let what = format!(
            "the CA in {CA} has lost its key, so no certificate can be made: put {CA_KEY} back, or remove {CA} \
             and let clients trust the new one"
        );
        return Err(FileError::wrong(&ca_key, what));
    };
    let key = KeyPair::from_pem(&String::from_utf8_lossy(&ca_key_pem)).map_err(cannot(&ca_key))?;
    let issuer = Issuer::from_ca_cert_pem(&String::from_utf8_lossy(&ca_pem), key).map_err(cannot(&ca))?;

    let (certificate, server_key) = (state.join(SERVER), state.join(SERVER_KEY));
    let names: Vec<String> = names.iter().cloned().collect();
    let key = KeyPair::generate().map_err(cannot(&server_key))?;
    let mut params = CertificateParams::new(names).map_err(cannot(&certificate))?;
    params.distinguished_name.push(DnType::CommonName, "bootlace API");
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = day(yesterday);
    params.not_after = day(yesterday.saturating_add(jiff::Span::new().days(SERVER_DAYS)));
    let made = params.signed_by(&key, &issuer).map_err(cannot(&certificate))?;
    files::write(&server_key, 0o600, key.serialize_pem().as_bytes(), Old::Replace)?;
    files::write(&certificate, 0o644, made.pem().as_bytes(), Old::Replace)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls::crypto::aws_lc_rs;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn of(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn load_in(folder: &Path, names: &[&str], now: Timestamp) -> Result<Vec<u8>, FileError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = load(&Origin::Made(folder.to_owned()), &of(names), &provider, now)?;
        Ok(pair.cert[0].to_vec())
    }

    #[test]
    fn a_certificate_stays_until_it_ends_or_names_change_and_the_ca_stays_anyway() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = load_in(folder, &["boot", "10.0.0.1", "fd00::1"], at(0)).unwrap();
        let ca = std::fs::read(folder.join(CA)).unwrap();
        assert_eq!(load_in(folder, &["boot", "10.0.0.1", "fd00::1"], at(60)).unwrap(), first);
        assert_eq!(load_in(folder, &["boot"], at(60)).unwrap(), first, "more names than needed do no harm");
        let second = load_in(folder, &["boot", "10.0.0.2"], at(60)).unwrap();
        assert_ne!(second, first);
        let days = |days: i64| at(days * 86_400);
        assert_eq!(load_in(folder, &["boot", "10.0.0.2"], days(330)).unwrap(), second);
        let third = load_in(folder, &["boot", "10.0.0.2"], days(340)).unwrap();
        assert_ne!(third, second, "renewed before it ends");
        assert_ne!(load_in(folder, &["boot", "10.0.0.2"], days(4000)).unwrap(), third, "and long after");
        assert_eq!(std::fs::read(folder.join(CA)).unwrap(), ca);
        for (file, mode) in [(CA_KEY, 0o600), (SERVER_KEY, 0o600), (CA, 0o644), (SERVER, 0o644)] {
            let found = std::fs::metadata(folder.join(file)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{file}");
        }
        let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert_eq!(left.len(), 4, "nothing half-made is left: {left:?}");
    }

    #[test]
    fn a_half_written_pair_is_made_anew_and_a_lost_ca_key_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = load_in(folder, &["boot"], at(0)).unwrap();
        // Killed between the two files.
        let other = KeyPair::generate().unwrap().serialize_pem();
        files::write(&folder.join(SERVER_KEY), 0o600, other.as_bytes(), Old::Replace).unwrap();
        let second = load_in(folder, &["boot"], at(0)).unwrap();
        assert_ne!(second, first);
        std::fs::remove_file(folder.join(CA_KEY)).unwrap();
        assert_eq!(load_in(folder, &["boot"], at(0)).unwrap(), second, "it is not needed yet");
        let error = load_in(folder, &["other"], at(0)).unwrap_err().to_string();
        assert!(error.contains("has lost its key") && error.contains(CA_KEY), "{error}");
        std::fs::write(folder.join(CA), "no certificate").unwrap();
        let error = load_in(folder, &["other"], at(0)).unwrap_err().to_string();
        assert!(error.contains(CA), "{error}");
    }

    #[test]
    fn files_of_the_operators_own_are_checked_and_the_mistake_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        load_in(folder, &["boot"], at(0)).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        files::write(&folder.join("empty.pem"), 0o600, b"", Old::Replace).unwrap();
        let own = |certificate: &str, key: &str| {
            let files = TlsFiles { certificate: folder.join(certificate), key: folder.join(key) };
            load(&Origin::Files(files), &BTreeSet::new(), &provider, at(0))
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        assert_eq!(own(SERVER, SERVER_KEY), Ok(()));
        for (certificate, key, words) in [
            (SERVER, CA_KEY, "is not for the key in"),
            (SERVER_KEY, SERVER_KEY, "holds no certificate"),
            (SERVER, CA, "can be read by every user"),
            (SERVER, "empty.pem", "is no PEM with a private key"),
            ("missing.pem", SERVER_KEY, "missing.pem: there is no such file"),
        ] {
            let error = own(certificate, key).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        std::fs::set_permissions(folder.join(SERVER_KEY), PermissionsExt::from_mode(0o644)).unwrap();
        assert!(own(SERVER, SERVER_KEY).unwrap_err().contains("every user"));
    }
}
