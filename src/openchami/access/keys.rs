//! The keys that count now: our own, and those of another issuer, which are fetched again and again.
//!
//! An issuer that cannot be reached stops no boot: it is tried again, and what was fetched before goes on
//! counting.

#![allow(clippy::disallowed_methods, reason = "the edge where key files are read and key sets are fetched")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::files::{self, FileError};
use super::key::TokenKey;
use super::token::{PublicKey, Verifier};
use crate::config::api::{KeySource, TokenSettings};

/// How often a key set is read again: issuers announce a new key well before they use it.
const AGAIN: Duration = Duration::from_secs(300);
/// First and longest wait after a failure; it doubles.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Tokens by an unknown key make us read the set again, this often at most.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Time for one fetch.
const FETCH: Duration = Duration::from_secs(10);
/// Largest key set, bytes.
const SET_MAX: usize = 1 << 20;

/// Why tokens cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No JWKS, or none of its keys can be used.
    #[error("the keys in {from} cannot be used: {what}")]
    Set {
        /// Where they are from.
        from: String,
        /// What is wrong.
        what: String,
    },
    /// The URL does not answer as it should.
    #[error("cannot fetch the keys of {url}: {what}")]
    Fetch {
        /// The URL.
        url: String,
        /// What is wrong.
        what: String,
    },
}

/// What is to be told of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// A set was read: how many keys it has, and which of them cannot be used.
    Read {
        /// Usable keys.
        keys: usize,
        /// What is wrong with others.
        problems: Vec<String>,
    },
    /// It could not be read; told once for one and the same reason.
    Failed(String),
}

/// The keys that count now.
#[derive(Debug)]
pub struct Tokens {
    verifier: ArcSwap<Verifier>,
    settings: TokenSettings,
    state: Option<PathBuf>,
    unknown: Notify,
}

impl Tokens {
    /// Reads the key of the state folder and the file of `settings`. A URL is fetched by [`Self::follow`].
    pub fn open(settings: &TokenSettings, state: Option<&Path>) -> Result<Self, KeysError> {
        let mut verifier = Verifier {
            own: own_keys(state)?,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            ..Verifier::default()
        };
        match &settings.jwks {
            None => {}
            Some(KeySource::File(path)) => verifier.foreign = from_file(path)?.0,
            Some(KeySource::Url(_)) => verifier.incomplete = true,
        }
        Ok(Self {
            verifier: ArcSwap::from_pointee(verifier),
            settings: settings.clone(),
            state: state.map(Path::to_owned),
            unknown: Notify::new(),
        })
    }

    /// What tokens are checked by now.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.verifier.load_full()
    }

    /// False: no token can ever be good.
    pub fn any(&self) -> bool {
        let verifier = self.verifier.load();
        verifier.incomplete || !verifier.own.is_empty() || !verifier.foreign.is_empty()
    }

    /// A token came that is signed by none of the keys: there may be a new one.
    pub fn unknown_key(&self) {
        self.unknown.notify_one();
    }

    /// Reads keys again until `stop` says true or its sender is gone.
    pub async fn follow(&self, tell: impl Fn(News), mut stop: watch::Receiver<bool>) {
        let (mut wait, mut said) = (RETRY.0, None);
        loop {
            let failure = match self.read_again().await {
                Ok(news) => {
                    let changed = said.is_some() || news.is_some();
                    if let Some(news) = news.filter(|_| changed) {
                        tell(news);
                    }
                    said = None;
                    wait = RETRY.0;
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            let until = if failure.is_some() { wait } else { AGAIN };
            if let Some(failure) = failure {
                wait = (wait * 2).min(RETRY.1);
                if said.as_ref() != Some(&failure) {
                    tell(News::Failed(failure.clone()));
                    said = Some(failure);
                }
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(until) => {}
                () = async {
                    tokio::time::sleep(UNKNOWN.min(until)).await;
                    self.unknown.notified().await;
                } => {}
            }
        }
    }

    /// Reads everything once; says what is new.
    async fn read_again(&self) -> Result<Option<News>, KeysError> {
        let own = own_keys(self.state.as_deref())?;
        let before = self.verifier.load_full();
        let mut next = Verifier { own, ..(*before).clone() };
        let read = match &self.settings.jwks {
            None => None,
            Some(KeySource::File(path)) => Some(from_file(path)),
            Some(KeySource::Url(url)) => Some(fetch(url).await),
        };
        let mut news = None;
        let outcome = match read {
            None => Ok(()),
            Some(Ok((keys, problems))) => {
                let ids = |keys: &[PublicKey]| format!("{keys:?}");
                if before.incomplete || ids(&keys) != ids(&before.foreign) {
                    news = Some(News::Read { keys: keys.len(), problems });
                }
                next.foreign = keys;
                next.incomplete = false;
                Ok(())
            }
            Some(Err(error)) => Err(error),
        };
        self.verifier.store(Arc::new(next));
        outcome.map(|()| news)
    }
}

fn own_keys(state: Option<&Path>) -> Result<Vec<PublicKey>, KeysError> {
    let Some(state) = state else { return Ok(Vec::new()) };
    let Some(key) = TokenKey::open(state)? else { return Ok(Vec::new()) };
    let public = key.public().map_err(|error| KeysError::Set {
        from: super::key::path(state).display().to_string(),
        what: error.to_string(),
    })?;
    Ok(vec![public])
}

type Read = (Vec<PublicKey>, Vec<String>);

fn from_file(path: &Path) -> Result<Read, KeysError> {
    match files::read(path)? {
        Some(content) => from_set(&content, path.display().to_string()),
        None => {
            Err(KeysError::Set { from: path.display().to_string(), what: "there is no such file".to_owned() })
        }
    }
}

fn from_set(content: &[u8], from: String) -> Result<Read, KeysError> {
    match PublicKey::from_set(content) {
        Err(error) => Err(KeysError::Set { from, what: format!("it is no JWKS (RFC 7517): {error}") }),
        Ok((keys, problems)) if keys.is_empty() => {
            let what = if problems.is_empty() { "it has no keys".to_owned() } else { problems.join("; ") };
            Err(KeysError::Set { from, what })
        }
        Ok(read) => Ok(read),
    }
}

/// Fetches a key set. Redirects are not followed: the settings say whom to trust.
async fn fetch(url: &str) -> Result<Read, KeysError> {
    let failed = |what: String| KeysError::Fetch { url: url.to_owned(), what };
    let client = reqwest::Client::builder()
        .timeout(FETCH)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("bootlace/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(causes(&error)))?;
    let mut response = client.get(url).send().await.map_err(|error| failed(causes(&error)))?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(failed(format!("it answers {}, 200 is needed", response.status())));
    }
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(causes(&error)))? {
        if content.len() + chunk.len() > SET_MAX {
            return Err(failed(format!("it is larger than {SET_MAX} bytes")));
        }
        content.extend_from_slice(&chunk);
    }
    from_set(&content, url.to_owned())
}

/// An error with what it comes from; the first line alone says nothing.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
