//! The certificate in use, which can change while connections go on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::AdminError;
use crate::config::api::TlsFiles;
use crate::openchami::access::FileError;
use crate::openchami::access::certificate::{self, Origin};

/// Where the certificate is from, before it is read.
pub(super) struct Unread {
    origin: Origin,
    listen: SocketAddr,
    names: Vec<String>,
}

/// TLS as it is spoken here.
pub(super) struct Tls {
    from: Unread,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("origin", &self.from.origin).finish_non_exhaustive()
    }
}

/// What every handshake shows.
#[derive(Debug, Default)]
struct Shown(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl Tls {
    /// By files of the operator's own.
    pub(super) fn with_files(files: TlsFiles) -> Unread {
        let listen = crate::config::api::API_ADDRESS;
        Unread { origin: Origin::Files(files), listen, names: Vec::new() }
    }

    /// By a certificate that is made for `listen` and `names`, and kept in `state`.
    pub(super) fn made(state: PathBuf, listen: SocketAddr, names: Vec<String>) -> Unread {
        Unread { origin: Origin::Made(state), listen, names }
    }

    /// Serves handshakes.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads or makes the certificate again; says whether it is another one. After an error the old one stays.
    pub(super) fn renew(&self, now: Timestamp) -> Result<bool, FileError> {
        let found = self.from.read(&self.provider, now)?;
        let old = self.shown.0.load_full();
        if old.as_ref().is_some_and(|old| old.cert == found.cert) {
            return Ok(false);
        }
        self.shown.0.store(Some(Arc::new(found)));
        Ok(true)
    }
}

impl Unread {
    fn read(&self, provider: &Arc<CryptoProvider>, now: Timestamp) -> Result<CertifiedKey, FileError> {
        certificate::load(&self.origin, &certificate::names(self.listen, &self.names), provider, now)
    }

    /// Reads or makes the certificate, and what speaks TLS 1.2 and 1.3 with it.
    pub(super) fn load(self, now: Timestamp) -> Result<Tls, AdminError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let shown = Arc::new(Shown::default());
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Tls { from: self, provider, shown, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tls.renew(now)?;
        Ok(tls)
    }
}
