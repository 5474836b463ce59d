//! A connection to the server.

use std::{path::Path, time::Duration};

use dstream_core::sink::SinkError;
use postgres::{Client, Config, config::Host};

use crate::errors::failed;

/// How long a server may take to accept a connection, if the address does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may leave what was sent to it unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// The settings of a connection. What can't be read is not shown: there may be a password in it.
fn config(url: &str) -> Result<Config, SinkError> {
    let mut config: Config = url.parse().map_err(|error: postgres::Error| {
        // Which option has a wrong value can be said.
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let which = match cause.starts_with("invalid value for option") {
            true => format!(": {cause}"),
            false => String::new(),
        };
        SinkError::permanent(format!(
            "the address of the database can't be read{which}: it is written as \
             `postgres://user:password@host:port/database`, with special characters in the password \
             percent-encoded, as `%40` for `@`"
        ))
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    if config.get_application_name().is_none() {
        config.application_name("dstream");
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host("localhost");
    }
    Ok(config)
}

/// Where a database is, for messages: `user@host:port/database`.
pub(crate) fn place(url: &str) -> String {
    match config(url) {
        Ok(config) => place_of(&config),
        Err(_) => "an address that can't be read".into(),
    }
}

fn place_of(config: &Config) -> String {
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{user}{}:{port}/{database}", hosts.join(","))
}

pub(crate) fn connect(url: &str, ca_file: Option<&Path>) -> Result<Client, SinkError> {
    let config = config(url)?;
    connect_with(&config, ca_file, &place_of(&config))
}

#[cfg(feature = "ssl")]
fn connect_with(config: &Config, ca_file: Option<&Path>, place: &str) -> Result<Client, SinkError> {
    let mut tls = native_tls::TlsConnector::builder();
    if let Some(file) = ca_file {
        let unreadable = |error: String| {
            SinkError::permanent(format!("the certificates in `{}` can't be read: {error}", file.display()))
        };
        let pem = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
        let certificates =
            native_tls::Certificate::stack_from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
        for certificate in certificates {
            tls.add_root_certificate(certificate);
        }
    }
    let tls = tls.build().map_err(SinkError::permanent)?;
    config
        .connect(postgres_native_tls::MakeTlsConnector::new(tls))
        .map_err(|error| failed(&error, &format!("connecting to {place}")))
}

#[cfg(not(feature = "ssl"))]
fn connect_with(config: &Config, ca_file: Option<&Path>, place: &str) -> Result<Client, SinkError> {
    if ca_file.is_some() || config.get_ssl_mode() == postgres::config::SslMode::Require {
        return Err(SinkError::permanent(format!(
            "a connection to {place} with TLS is asked for, which needs the feature `ssl` of \
             `dstream-postgres`, or `postgres-ssl` of `dstream`"
        )));
    }
    config.connect(postgres::NoTls).map_err(|error| failed(&error, &format!("connecting to {place}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_can_not_be_read_is_not_repeated() {
        let error = |url: &str| config(url).map(drop).unwrap_err().to_string();
        let message = error("postgres://ann:hunter2@db:port/shop");
        assert!(
            message.contains("invalid value for option `port`") && !message.contains("hunter2"),
            "{message}"
        );
        let message = error("host=db hunter2=x");
        assert!(message.contains("postgres://user:password@host:port/database"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(place("postgres://ann:hunter2@db/shop"), "ann@db:5432/shop");
    }
}
