//! `bootlace ochami-config`: the ochami client's configuration for this appliance, and what else it needs.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::json;

use super::token::{self, state};
use crate::config::Settings;
use crate::config::api::{ApiFlags, ApiListen};
use crate::config::file::Flags;
use crate::config::state::StateFolder;
use crate::openchami::access::certificate::CA;

/// Flags of `bootlace ochami-config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the cluster in the configuration; the token's variable has it too.
    #[arg(long, value_name = "NAME", default_value = "bootlace", value_parser = cluster)]
    cluster: String,
    /// File to write, such as ~/.config/ochami/config.yaml; one that exists is left alone [default: stdout].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Settings file of this appliance.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the API is served [default: as for serve].
    #[arg(long, value_name = "ADDR:PORT")]
    api: Option<ApiListen>,
    /// URL by which clients reach the API [default: of the address that it listens on].
    #[arg(long, value_name = "URL", value_parser = uri)]
    uri: Option<String>,
    /// State folder [default: as for serve].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

fn cluster(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err("letters, digits, '-' and '_', a letter first: the token's variable is named by it".to_owned())
}

fn uri(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("an http or https URL is needed, such as https://boot.example.org:8443".to_owned()),
    }
}

/// The variable that the client reads a cluster's token from.
fn variable(cluster: &str) -> String {
    format!("{}_ACCESS_TOKEN", cluster.to_ascii_uppercase().replace('-', "_"))
}

/// What a client has to know of the listener.
struct Reached {
    uri: String,
    /// It needs a token.
    tokens: bool,
    /// It shows a certificate that bootlace makes.
    own_ca: bool,
}

fn reached(settings: &Settings, uri: Option<String>) -> anyhow::Result<Reached> {
    let api = &settings.api;
    let ApiListen::At(address) = api.listen else {
        return Err(anyhow!(
            "the API is switched off (api: none), so there is nothing to configure a client for"
        ));
    };
    let loopback = address.ip().to_canonical().is_loopback();
    let secure = !loopback || api.tls.is_some();
    let uri = match uri {
        Some(uri) => uri,
        None => {
            let scheme = if secure { "https" } else { "http" };
            format!("{scheme}://{}", authority(address, &api.tls_names)?)
        }
    };
    // The client may do without a token only where it and the API are on one machine.
    let local = reqwest::Url::parse(&uri).is_ok_and(|uri| match uri.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    });
    let tokens = !loopback || !local || api.tokens.is_some();
    Ok(Reached { uri, tokens, own_ca: secure && api.tls.is_none() })
}

/// Host and port that clients can use.
fn authority(address: SocketAddr, names: &[String]) -> anyhow::Result<String> {
    if !address.ip().is_unspecified() {
        return Ok(address.to_string());
    }
    let name = names.first().ok_or_else(|| {
        anyhow!(
            "the API listens on all addresses: say by which URL clients reach it, with --uri https://NAME:{}",
            address.port()
        )
    })?;
    Ok(if name.contains(':') {
        format!("[{name}]:{}", address.port())
    } else {
        format!("{name}:{}", address.port())
    })
}

/// Text as one word of a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { cluster, output, config, api, uri, state: folder } = args;
    let settings = token::settings(&Flags {
        config: config.clone(),
        state: folder.map(|path| StateFolder::read(&path, Path::new(""))),
        api: ApiFlags { listen: api, ..ApiFlags::default() },
        ..Flags::default()
    })?;
    let reached = reached(&settings, uri)?;
    // JSON texts are YAML texts, whatever is in them. A file named by `ochami --config` is all that the client
    // then reads, and without a level for its log it does not start.
    let text = format!(
        "log:\n  format: rfc3339\n  level: warning\ndefault-cluster: {name}\nclusters:\n- name: {name}\n  \
         cluster:\n    uri: {}\n    enable-auth: {}\n",
        json!(reached.uri),
        reached.tokens,
        name = json!(cluster),
    );
    let advice = advice(&settings, &reached, &cluster, config.as_deref())?;
    match output {
        Some(path) => {
            write(&path, &text)?;
            println!("wrote {}\n{advice}", path.display());
        }
        None => {
            print!("{text}");
            eprintln!("{advice}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is left to do: the token, and the CA.
fn advice(
    settings: &Settings,
    reached: &Reached,
    cluster: &str,
    config: Option<&Path>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    if let Ok(state) = state(settings) {
        let config = config.map(|path| format!(" --config {}", word(&path.to_string_lossy())));
        let why = if reached.tokens {
            "The client needs a token"
        } else {
            "No token is needed; but `smd component get --xname`, `smd iface get --id` and old clients want one to be set"
        };
        text += &format!(
            "\n{why}:\n  export {}=$(bootlace token new{} --state {})\n",
            variable(cluster),
            config.unwrap_or_default(),
            word(&state.to_string_lossy()),
        );
    } else if reached.tokens {
        text +=
            &format!("\nThe client needs a token of your issuer:\n  export {}=TOKEN\n", variable(cluster));
    }
    if reached.tokens && !settings.api.public_inventory {
        text += "\n`ochami smd component get` and `smd iface get` send no token, whatever is set, and are refused, unless serve\n\
                 is told --public-inventory (public_inventory: true): then everybody may list components and cards.\n";
    }
    if reached.own_ca {
        let state = state(settings).context("off loopback the API has its CA there")?;
        let ca = state.join(CA);
        let ca = word(&ca.to_string_lossy());
        text += &format!(
            "\nThe client must trust the CA {ca}, which serve makes when it first starts off loopback. Copy it, and\n\
             \u{20}\u{20}ochami --cacert {ca} ...\n\
             or install it for all programs of the client's machine:\n\
             \u{20}\u{20}Debian, Ubuntu: cp {ca} /usr/local/share/ca-certificates/bootlace.crt && update-ca-certificates\n\
             \u{20}\u{20}Fedora, RHEL:   cp {ca} /etc/pki/ca-trust/source/anchors/bootlace.pem && update-ca-trust\n"
        );
    }
    Ok(text)
}

/// Writes a new file; what is there may hold other clusters.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut file = match std::fs::File::create_new(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(anyhow!(
                "{} exists and is left alone: write to another file, or add the cluster with `ochami config cluster set`",
                path.display()
            ));
        }
        made => made.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_variable_is_the_clusters_name_as_the_client_derives_it() {
        assert_eq!(variable("demo"), "DEMO_ACCESS_TOKEN");
        assert_eq!(variable("my-lab_2"), "MY_LAB_2_ACCESS_TOKEN");
        assert!(cluster("2fast").is_err() && cluster("a b").is_err() && cluster("a;b").is_err());
    }

    #[test]
    fn only_on_loopback_and_without_own_tokens_the_client_needs_none() {
        let of = |text: &str| {
            let settings = token::settings(&Flags {
                api: ApiFlags { listen: Some(text.parse().unwrap()), ..ApiFlags::default() },
                ..Flags::default()
            });
            reached(&settings.unwrap(), None).map(|reached| (reached.uri, reached.tokens, reached.own_ca))
        };
        assert_eq!(of("127.0.0.1:8082").unwrap(), ("http://127.0.0.1:8082".to_owned(), false, false));
        assert_eq!(of("172.16.0.254:8443").unwrap(), ("https://172.16.0.254:8443".to_owned(), true, true));
        assert!(of("0.0.0.0:8443").unwrap_err().to_string().contains("--uri"));
        assert!(of("none").is_err());
    }

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        assert_eq!(word("/var/lib/bootlace"), "/var/lib/bootlace");
        assert_eq!(word("/a b/it's"), "'/a b/it'\\''s'");
    }
}
