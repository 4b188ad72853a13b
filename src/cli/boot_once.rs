//! `bootlace boot-once`: what a node boots next, in place of what selects it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::render::{TOKEN, certificate};
use crate::config::{Flags, StateFolder};
use crate::control;

/// How long the API may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flags of `bootlace boot-once`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node: its xname, its name in nodes.yaml, or a MAC.
    node: String,
    /// What it boots next: a profile that a boot entry is for, or `local` for its own disk; without it what holds
    /// now is shown.
    #[arg(value_name = "PROFILE|local")]
    boot: Option<String>,
    /// What it boots once it says that this boot is done: a profile, `local`, or `normal` for what selects it
    /// [default: local after a profile, normal after local].
    #[arg(long, value_name = "PROFILE|local|normal", requires = "boot")]
    then: Option<String>,
    /// Let it boot what selects it again.
    #[arg(long, conflicts_with = "boot")]
    cancel: bool,
    /// Ask an appliance by the base URL of its API, such as http://127.0.0.1:8082 [default: the one that runs on
    /// this machine, by its control socket].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Token for the API, as `bootlace token new` prints it [default: the variable BOOTLACE_TOKEN].
    #[arg(long, requires = "url")]
    token: Option<String>,
    /// Certificate of the CA that the API's certificate is checked with.
    #[arg(long, value_name = "FILE", requires = "url")]
    cacert: Option<PathBuf>,
    /// Settings file that names the state folder.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// State folder, where the control socket is [default: as for serve].
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    state: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let node = utf8_percent_encode(&args.node, NON_ALPHANUMERIC);
    let target = format!("/boot-service/boot-once/{node}");
    let (method, body) = match &args.boot {
        Some(boot) => (Method::PUT, said(boot, args.then.as_deref()).to_string()),
        None if args.cancel => (Method::DELETE, String::new()),
        None => (Method::GET, String::new()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, answer) = runtime.block_on(async {
        match &args.url {
            Some(url) => by_url(&args, url, method, &target, body).await,
            None => {
                let sockets = control::sockets(args.state()?.as_deref());
                let asked = control::client::request(&sockets, method, &target, Bytes::from(body)).await;
                asked.context("give --url for an appliance elsewhere")
            }
        }
    })?;
    let answer: Value = serde_json::from_slice(&answer)
        .with_context(|| format!("the answer ({status}) is not that of a bootlace"))?;
    if !status.is_success() {
        bail!("{}", answer["error"].as_str().unwrap_or("it is refused"));
    }
    println!("{}", sentence(&answer));
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The state folder that `serve` with the same settings uses.
    fn state(&self) -> anyhow::Result<Option<PathBuf>> {
        let state = self.state.as_deref().map(|folder| StateFolder::read(folder, Path::new("")));
        let flags = Flags { config: self.config.clone(), state, ..Flags::default() };
        let loaded = crate::config::load(&flags);
        let problems = || loaded.diagnostics.iter().map(|one| one.one_line()).collect::<Vec<_>>().join("; ");
        match &loaded.settings {
            Some(settings) => Ok(settings.state.clone()),
            None => Err(anyhow!("the settings are not usable: {}", problems())),
        }
    }
}

fn said(boot: &str, then: Option<&str>) -> Value {
    match then {
        Some("normal") => json!({"boot": boot, "then": ""}),
        Some(then) => json!({"boot": boot, "then": then}),
        None => json!({"boot": boot}),
    }
}

async fn by_url(
    args: &Args,
    url: &str,
    method: Method,
    target: &str,
    body: String,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let mut client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    if let Some(file) = &args.cacert {
        client = client.add_root_certificate(certificate(file)?);
    }
    let client = client.build().context("cannot prepare a request")?;
    let url = format!("{}{target}", url.trim_end_matches('/'));
    let mut request = client.request(method, &url).body(body);
    if let Some(token) = args.token.clone().or_else(|| std::env::var(TOKEN).ok()) {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.with_context(|| format!("cannot ask {url}"))?;
    let status = response.status();
    // A refusal before the service was reached is plain text.
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        bail!("{url} answers {status}: {}", response.text().await.unwrap_or_default().trim());
    }
    Ok((status, response.bytes().await.with_context(|| format!("the answer of {url} broke off"))?))
}

/// What the service says, for people.
fn sentence(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let words = |what: &str| match what {
        "local" => "its own disk".to_owned(),
        "" => "what selects it".to_owned(),
        profile => format!("profile {profile}"),
    };
    let (node, boot, then) = (text("node"), text("boot"), text("then"));
    match (boot, then) {
        ("", "") => format!("{node} boots what selects it"),
        ("", then) => format!("{node} boots {}, until told otherwise", words(then)),
        (boot, then) => {
            let begun = answer["taken"] == true;
            let when = if begun { "now boots" } else { "boots next" };
            format!("{node} {when} {}; once it is done, {}", words(boot), words(then))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_one_sentence() {
        let of = |boot: &str, taken: bool, then: &str| {
            sentence(&json!({"node": "x1000c0s0b0n0", "boot": boot, "taken": taken, "then": then}))
        };
        assert_eq!(of("", false, ""), "x1000c0s0b0n0 boots what selects it");
        assert_eq!(of("", false, "local"), "x1000c0s0b0n0 boots its own disk, until told otherwise");
        let next = "x1000c0s0b0n0 boots next profile install; once it is done, its own disk";
        assert_eq!(of("install", false, "local"), next);
        let now = "x1000c0s0b0n0 now boots profile install; once it is done, what selects it";
        assert_eq!(of("install", true, ""), now);
    }
}
