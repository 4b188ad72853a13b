//! The edge that talks to one BMC.
//!
//! Name and password go to this host alone: no redirect is followed, no proxy is used, links to other hosts are
//! not read ([`Documents`]), the certificate must be the pinned one, and plain http is refused unless asked for.
//! The first refusal of the password ends the talk: many BMCs lock an account that fails too often. Every
//! request has its own limit and one retry, and the whole talk has one too, so a BMC that hangs is only named.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use serde_json::Value;
use tokio::net::TcpStream;

use super::credentials::Credential;
use super::documents::{Documents, Problem, ROOT, link};
use super::pins::{Fingerprint, Pin};
use super::targets::Target;
use crate::discover::push::reason;

/// Largest document, bytes; the largest seen in the field have some hundred thousand.
const DOCUMENT_MAX: usize = 4 << 20;

/// How long a BMC may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For everything.
    pub whole: Duration,
    /// For one request.
    pub request: Duration,
    /// For the connection, and for the first answer of an address in a range.
    pub probe: Duration,
}

/// How one BMC is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// Where.
    pub target: &'a Target,
    /// Port where the target states none.
    pub port: u16,
    /// As whom.
    pub credential: Option<&'a Credential>,
    /// The certificate that it showed before.
    pub pin: Option<&'a Pin>,
    /// Plain http is taken.
    pub insecure: bool,
    /// Limits.
    pub limits: Limits,
}

/// Why a BMC said nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The target says http.
    #[error("plain http: name and password would cross the network readable; use https, or --insecure")]
    PlainHttp,
    /// No machine at this address of a range takes a connection.
    #[error("nobody takes a connection")]
    Absent,
    /// Nobody answers there, or nothing of use.
    #[error("no answer: {0}")]
    Silent(String),
    /// Something answers that is no BMC.
    #[error("no Redfish service: {0}")]
    NoRedfish(String),
    /// Nothing is known to log in with.
    #[error("no credentials for it: add it, or default:, to the credentials file")]
    NoCredential,
    /// Name or password is wrong.
    #[error("it refuses user {user:?} (401): wrong name or password")]
    WrongCredential {
        /// As whom.
        user: String,
    },
    /// Another certificate than before.
    #[error(
        "its certificate changed: sha256 {shown} instead of {pinned}, known since {since}; nothing was sent to it. If \
         the BMC was replaced or got a new certificate, remove its entry from the file of certificates"
    )]
    CertificateChanged {
        /// The one before.
        pinned: Fingerprint,
        /// The one now.
        shown: Fingerprint,
        /// Since when.
        since: String,
    },
    /// It took too long.
    #[error("took longer than {} s for all of it", .0.as_secs())]
    TooSlow(Duration),
    /// It answers, and yet there is neither a System nor a Manager to be read.
    #[error("neither Systems nor Managers can be read: {0}")]
    Nothing(String),
    /// TLS cannot be set up here.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// What came of it.
#[derive(Debug)]
pub struct Talk {
    /// The certificate that was trusted; to be pinned.
    pub certificate: Option<Fingerprint>,
    /// The address that answered.
    pub address: Option<IpAddr>,
    /// What was read, or why not.
    pub result: Result<Documents, Refusal>,
}

impl Talk {
    /// One that never came about.
    pub(super) fn broken(problem: &str) -> Self {
        Self { certificate: None, address: None, result: Err(Refusal::Silent(problem.to_owned())) }
    }
}

/// Asks one BMC.
pub async fn talk(question: &Question<'_>) -> Talk {
    let seen = Arc::new(Seen { pin: question.pin.map(|pin| pin.fingerprint), shown: Mutex::new(None) });
    let mut session = match Session::new(question, Arc::clone(&seen)) {
        Ok(session) => session,
        Err(refusal) => return Talk { certificate: None, address: None, result: Err(refusal) },
    };
    let limit = question.limits.whole;
    let result = match tokio::time::timeout(limit, session.read_all()).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::TooSlow(limit)),
    };
    // Only a certificate that name and password were entrusted to is worth remembering.
    let certificate = seen.shown().filter(|_| session.entrusted);
    let result = match (result, question.pin, seen.shown()) {
        (Err(_), Some(pin), Some(shown)) if shown != pin.fingerprint => {
            Err(Refusal::CertificateChanged { pinned: pin.fingerprint, shown, since: pin.since.clone() })
        }
        (result, ..) => result,
    };
    Talk { certificate, address: session.address, result }
}

struct Session<'a> {
    question: &'a Question<'a>,
    client: Client,
    origin: String,
    /// Name and password were sent.
    entrusted: bool,
    address: Option<IpAddr>,
}

/// How a request ended that gave no document.
enum Ended {
    Problem(Problem),
    Unauthorized,
}

impl<'a> Session<'a> {
    fn new(question: &'a Question<'a>, seen: Arc<Seen>) -> Result<Self, Refusal> {
        if !(question.target.https || question.insecure) {
            return Err(Refusal::PlainHttp);
        }
        let tls = tls(seen).map_err(|problem| Refusal::Tls(problem.to_string()))?;
        let client = Client::builder()
            .user_agent(concat!("bootlace/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(question.limits.probe)
            .timeout(question.limits.request)
            .build()
            .map_err(|problem| Refusal::Tls(reason(&problem)))?;
        let origin = question.target.origin(question.port);
        Ok(Self { question, client, origin, entrusted: false, address: None })
    }

    async fn read_all(&mut self) -> Result<Documents, Refusal> {
        if self.question.target.from_range {
            self.dial().await?;
        }
        let mut documents = Documents::default();
        documents.take(ROOT.to_owned(), Ok(self.root().await?));
        let credential = self.question.credential.ok_or(Refusal::NoCredential)?;
        loop {
            let wanted = documents.wanted();
            if wanted.is_empty() {
                break;
            }
            for path in wanted {
                let result = match self.read(&path, Some(credential), true).await {
                    Ok(document) => Ok(document),
                    Err(Ended::Problem(problem)) => Err(problem),
                    Err(Ended::Unauthorized) => return Err(self.wrong(credential)),
                };
                documents.take(path, result);
            }
        }
        let read = |paths: Vec<&str>| paths.into_iter().any(|path| documents.get(path).is_some());
        if read(documents.systems()) || read(documents.managers()) {
            return Ok(documents);
        }
        let mut problems: Vec<String> =
            documents.problems().map(|(path, problem)| format!("{path}: {problem}")).collect();
        if problems.is_empty() {
            problems.push("it names none".to_owned());
        }
        Err(Refusal::Nothing(problems.join("; ")))
    }

    /// Tells an address without a machine from a BMC that hangs.
    async fn dial(&self) -> Result<(), Refusal> {
        let (host, port) = (self.question.target.host.as_str(), self.question.target.port);
        let connection = TcpStream::connect((host, port.unwrap_or(self.question.port)));
        match tokio::time::timeout(self.question.limits.probe, connection).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refusal::Absent),
        }
    }

    fn wrong(&self, credential: &Credential) -> Refusal {
        Refusal::WrongCredential { user: credential.user.clone() }
    }

    /// The ServiceRoot, which is open to all (DSP0266, 13.3.4); with name and password where it is not.
    async fn root(&mut self) -> Result<Value, Refusal> {
        let patient = !self.question.target.from_range;
        let document = match self.read(ROOT, None, patient).await {
            Ok(document) => document,
            Err(Ended::Unauthorized) => {
                let credential = self.question.credential.ok_or(Refusal::NoCredential)?;
                match self.read(ROOT, Some(credential), true).await {
                    Ok(document) => document,
                    Err(Ended::Unauthorized) => return Err(self.wrong(credential)),
                    Err(Ended::Problem(problem)) => return Err(Refusal::NoRedfish(problem.to_string())),
                }
            }
            Err(Ended::Problem(Problem::Status(status @ 500..=599))) => {
                return Err(Refusal::Silent(format!("{ROOT} is answered {status}")));
            }
            Err(Ended::Problem(Problem::Status(status))) => {
                return Err(Refusal::NoRedfish(format!("{ROOT} is answered {status}")));
            }
            Err(Ended::Problem(Problem::Broken(problem))) if self.address.is_some() => {
                return Err(Refusal::NoRedfish(problem));
            }
            Err(Ended::Problem(Problem::Broken(problem))) => return Err(Refusal::Silent(problem)),
        };
        let named = ["Systems", "Managers", "Chassis"].iter().any(|key| link(&document, key).is_some());
        if named || document.get("RedfishVersion").is_some() {
            return Ok(document);
        }
        Err(Refusal::NoRedfish(format!("{ROOT} is no ServiceRoot")))
    }

    /// Reads one document; once more after a failure that may pass.
    async fn read(
        &mut self,
        path: &str,
        credential: Option<&Credential>,
        patient: bool,
    ) -> Result<Value, Ended> {
        let first = self.read_once(path, credential, patient).await;
        match first {
            Err(Ended::Problem(Problem::Broken(_) | Problem::Status(500..=599))) if patient => {
                self.read_once(path, credential, patient).await
            }
            other => other,
        }
    }

    async fn read_once(
        &mut self,
        path: &str,
        credential: Option<&Credential>,
        patient: bool,
    ) -> Result<Value, Ended> {
        let broken = |problem: String| Ended::Problem(Problem::Broken(problem));
        let mut request = self
            .client
            .get(format!("{}{path}", self.origin))
            .header("accept", "application/json")
            .header("odata-version", "4.0");
        if !patient {
            request = request.timeout(self.question.limits.probe);
        }
        if let Some(credential) = credential {
            self.entrusted = true;
            request = request.basic_auth(&credential.user, Some(&credential.password));
        }
        let mut response = request.send().await.map_err(|cause| broken(reason(&cause)))?;
        self.address = response.remote_addr().map(|address| address.ip()).or(self.address);
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(Ended::Unauthorized),
            other => return Err(Ended::Problem(Problem::Status(other.as_u16()))),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|cause| broken(reason(&cause)))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > DOCUMENT_MAX {
                return Err(broken(format!("has more than {DOCUMENT_MAX} bytes")));
            }
        }
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|problem| broken(format!("is no JSON: {problem}")))?;
        if document.is_object() { Ok(document) } else { Err(broken("is no JSON object".to_owned())) }
    }
}

/// The certificate of one BMC: what it must be, and what it is.
#[derive(Debug)]
struct Seen {
    pin: Option<Fingerprint>,
    shown: Mutex<Option<Fingerprint>>,
}

impl Seen {
    fn shown(&self) -> Option<Fingerprint> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls(seen: Arc<Seen>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(PinnedCertificate { seen, provider: Arc::clone(&provider) });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Takes the pinned certificate, or the first one where none is pinned. Names and dates in it are not looked at:
/// BMCs come with certificates for other names that ended years ago. That the other side has its key is checked.
#[derive(Debug)]
struct PinnedCertificate {
    seen: Arc<Seen>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let shown = Fingerprint::of(certificate);
        let mut first = self.seen.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a pin, the first connection's certificate holds for the whole talk.
        let expected = self.seen.pin.or(*first).unwrap_or(shown);
        if self.seen.pin.is_some() || first.is_none() {
            *first = Some(shown);
        }
        if shown == expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
