//! Certificates that BMCs showed when they were first asked.
//!
//! A BMC's certificate is self-signed as a rule, so no CA vouches for it. What can be known is that it is the
//! same as last time: its SHA-256 is kept, and a BMC that shows another one gets no password.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Name of the file.
pub const FILE: &str = "bmc-certificates.json";
/// Version of its form.
const VERSION: u32 = 1;

/// SHA-256 of a certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of these bytes.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`Fingerprint`].
#[derive(Debug, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(FingerprintError)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    version: u32,
    /// By `host:port`.
    certificates: BTreeMap<String, WrittenPin>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WrittenPin {
    sha256: String,
    /// When it was first seen, RFC 3339.
    since: String,
}

/// What is known of one BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// When it was first seen, RFC 3339.
    pub since: String,
}

/// Why pins cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read.
    #[error("cannot read the certificates of the BMCs, {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is damaged. Going on without it would trust any certificate again.
    #[error(
        "{path} is damaged or of another release ({problem}); mend it, or remove it to trust every BMC anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be written.
    #[error("cannot keep the certificates of the BMCs in {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// The pins of a file.
#[derive(Debug)]
pub struct Pins {
    path: PathBuf,
    pins: BTreeMap<String, Pin>,
}

impl Pins {
    /// Reads the pins of a folder; none where there is no file.
    ///
    /// # Errors
    /// See [`PinError`].
    #[allow(clippy::disallowed_methods, reason = "the edge where pins are read")]
    pub fn read(folder: &Path) -> Result<Self, PinError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return Ok(Self { path, pins: BTreeMap::new() });
            }
            Err(cause) => return Err(PinError::Read { path, cause }),
        };
        let pins = parse(&text).map_err(|problem| PinError::Damaged { path: path.clone(), problem })?;
        Ok(Self { path, pins })
    }

    /// Where they are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pin of `host:port`.
    pub fn get(&self, authority: &str) -> Option<&Pin> {
        self.pins.get(authority)
    }

    /// Keeps the first certificate of `host:port`, durably; one that is known already is left alone.
    ///
    /// # Errors
    /// See [`PinError`].
    pub fn keep(&mut self, authority: &str, fingerprint: Fingerprint, since: String) -> Result<(), PinError> {
        if self.pins.contains_key(authority) {
            return Ok(());
        }
        self.pins.insert(authority.to_owned(), Pin { fingerprint, since });
        self.write().map_err(|cause| PinError::Write { path: self.path.clone(), cause })
    }

    fn write(&self) -> std::io::Result<()> {
        let written =
            |pin: &Pin| WrittenPin { sha256: pin.fingerprint.to_string(), since: pin.since.clone() };
        let certificates = self.pins.iter().map(|(name, pin)| (name.clone(), written(pin))).collect();
        let text = serde_json::to_string_pretty(&Written { version: VERSION, certificates })?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        // Beside it and renamed: a cut in the middle leaves the old file whole.
        let new = self.path.with_extension("json.new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, Pin>, String> {
    let written: Written = serde_json::from_str(text).map_err(|problem| problem.to_string())?;
    if written.version != VERSION {
        return Err(format!("version {}, this release reads {VERSION}", written.version));
    }
    let pin = |(name, pin): (String, WrittenPin)| {
        let fingerprint = pin.sha256.parse().map_err(|problem| format!("{name}: {problem}"))?;
        Ok((name, Pin { fingerprint, since: pin.since }))
    };
    written.certificates.into_iter().map(pin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_stays_and_a_damaged_file_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (Fingerprint::of(b"one"), Fingerprint::of(b"two"));
        let mut pins = Pins::read(folder.path()).unwrap();
        pins.keep("h:443", one, "2026-01-01T00:00:00Z".to_owned()).unwrap();
        pins.keep("h:443", two, "2026-01-02T00:00:00Z".to_owned()).unwrap();
        let again = Pins::read(folder.path()).unwrap();
        assert_eq!(
            again.get("h:443").unwrap(),
            &Pin { fingerprint: one, since: "2026-01-01T00:00:00Z".to_owned() }
        );
        assert_eq!(again.get("h:444"), None);
        for damaged in [
            "",
            "{}",
            "{\"version\": 2, \"certificates\": {}}",
            "[",
            "{\"version\":1,\"certificates\":{\"h\":{\"sha256\":\"00\",\"since\":\"\"}}}",
        ] {
            std::fs::write(folder.path().join(FILE), damaged).unwrap();
            assert!(matches!(Pins::read(folder.path()), Err(PinError::Damaged { .. })), "{damaged}");
        }
    }
}
