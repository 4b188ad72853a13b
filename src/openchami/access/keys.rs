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

/// How often keys are read.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// When all is well: issuers announce a new key well before they use it.
    again: Duration,
    /// First and longest wait after a failure; it doubles.
    retry: (Duration, Duration),
    /// Tokens by an unknown key make us read the set again, this often at most.
    unknown: Duration,
}

const PACE: Pace = Pace {
    again: Duration::from_secs(300),
    retry: (Duration::from_secs(1), Duration::from_secs(60)),
    unknown: Duration::from_secs(10),
};
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
    pub async fn follow(&self, tell: impl Fn(News), stop: watch::Receiver<bool>) {
        self.follow_at(PACE, tell, stop).await;
    }

    async fn follow_at(&self, pace: Pace, tell: impl Fn(News), mut stop: watch::Receiver<bool>) {
        let (mut wait, mut said) = (pace.retry.0, None);
        loop {
            let failure = match self.read_again().await {
                Ok(news) => {
                    if let Some(news) = news {
                        tell(news);
                    }
                    said = None;
                    wait = pace.retry.0;
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            let until = if failure.is_some() { wait } else { pace.again };
            if let Some(failure) = failure {
                wait = (wait * 2).min(pace.retry.1);
                if said.as_ref() != Some(&failure) {
                    tell(News::Failed(failure.clone()));
                    said = Some(failure);
                }
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(until) => {}
                () = async {
                    tokio::time::sleep(pace.unknown.min(until)).await;
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Mutex;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::openchami::access::key::Grant;
    use crate::openchami::access::token::BadToken;

    const QUICK: Pace = Pace {
        again: Duration::from_secs(600),
        retry: (Duration::from_millis(20), Duration::from_millis(100)),
        unknown: Duration::from_millis(20),
    };
    /// Generous: the machine may be busy.
    const LIMIT: Duration = Duration::from_secs(60);

    fn issuer() -> (TokenKey, String) {
        let folder = tempfile::tempdir().unwrap();
        let key = TokenKey::open_or_make(folder.path()).unwrap();
        let grant = Grant { subject: "s".into(), audience: "a".into(), lifetime: Duration::from_secs(60) };
        let token = key.sign(&grant, Uuid::nil(), now()).unwrap();
        (key, token)
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn set(key: &TokenKey) -> String {
        serde_json::to_string(&key.set()).unwrap()
    }

    /// Answers every request with what `content` says then: status line and body.
    fn web(at: SocketAddr, content: Arc<Mutex<(String, String)>>) {
        let listener = TcpListener::bind(at).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let (status, body) = content.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 {status}\r\nLocation: /other\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
    }

    /// An issuer that is down at the start is waited for, one that changes its keys is asked again, one that
    /// breaks costs nothing that was known.
    #[test]
    fn a_key_set_is_fetched_until_it_comes_and_again_when_a_new_key_signs() {
        let (first, first_token) = issuer();
        let (second, second_token) = issuer();
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings =
            TokenSettings { jwks: Some(KeySource::Url(format!("http://{at}/jwks"))), ..Default::default() };
        let tokens = Tokens::open(&settings, None).unwrap();
        assert!(tokens.any() && tokens.verifier().incomplete);
        let content = Arc::new(Mutex::new(("302 Found".to_owned(), set(&first))));
        let (news, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let script = async {
            let failed = |news: Option<News>| match news {
                Some(News::Failed(text)) => text,
                other => panic!("{other:?}"),
            };
            assert!(failed(heard.recv().await).contains(&at.to_string()), "nobody listens yet");
            web(at, Arc::clone(&content));
            assert!(failed(heard.recv().await).contains("302"), "a redirect is not followed");
            *content.lock().unwrap() = ("200 OK".to_owned(), "no keys".to_owned());
            assert!(failed(heard.recv().await).contains("no JWKS"));
            assert!(tokens.verifier().incomplete);
            *content.lock().unwrap() = ("200 OK".to_owned(), set(&first));
            assert_eq!(heard.recv().await, Some(News::Read { keys: 1, problems: Vec::new() }));
            assert!(!tokens.verifier().incomplete);
            assert!(tokens.verifier().verify(&first_token, now()).is_ok());
            assert_eq!(tokens.verifier().verify(&second_token, now()), Err(BadToken::UnknownKey));
            *content.lock().unwrap() = ("200 OK".to_owned(), set(&second));
            tokens.unknown_key();
            assert!(matches!(heard.recv().await, Some(News::Read { keys: 1, .. })));
            assert!(tokens.verifier().verify(&second_token, now()).is_ok());
            *content.lock().unwrap() = ("500 Oh".to_owned(), " ".repeat(SET_MAX + 1));
            tokens.unknown_key();
            assert!(failed(heard.recv().await).contains("500"));
            assert!(tokens.verifier().verify(&second_token, now()).is_ok(), "the old keys go on counting");
            *content.lock().unwrap() = ("200 OK".to_owned(), " ".repeat(SET_MAX + 1));
            assert!(failed(heard.recv().await).contains("larger"));
            let _ = stop.send(true);
        };
        let told = |one| drop(news.send(one));
        let both = async { tokio::join!(tokens.follow_at(QUICK, told, stopped), script) };
        runtime.block_on(async { tokio::time::timeout(LIMIT, both).await }).expect("in time");
    }

    #[test]
    fn a_file_with_keys_is_read_at_the_start_and_what_is_wrong_with_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        let settings = TokenSettings { jwks: Some(KeySource::File(path.clone())), ..Default::default() };
        let (key, token) = issuer();
        std::fs::write(&path, set(&key)).unwrap();
        let tokens = Tokens::open(&settings, None).unwrap();
        assert!(tokens.verifier().verify(&token, now()).is_ok());
        for (content, words) in [
            ("{\"keys\": []}", "no keys"),
            ("{\"keys\": [{\"kty\": \"oct\", \"k\": \"AA\"}]}", "shared secret"),
            ("-----BEGIN", "no JWKS"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = Tokens::open(&settings, None).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("jwks.json"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Tokens::open(&settings, None).unwrap_err().to_string().contains("no such file"));
        assert!(!Tokens::open(&TokenSettings::default(), Some(folder.path())).unwrap().any());
    }

    #[test]
    fn a_key_that_everybody_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        TokenKey::open_or_make(folder.path()).unwrap();
        let path = super::super::key::path(folder.path());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let error = Tokens::open(&TokenSettings::default(), Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "no key").unwrap();
        let error = TokenKey::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("P-256") && error.contains("token-key.pem"), "{error}");
    }
}
