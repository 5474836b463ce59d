//! Which stream is read, from where on, and how.

use std::{fmt, time::Duration};

use dstream_core::{Error, Result, Time};

use crate::sign::Credentials;

/// The settings of a Kinesis source, see [`kinesis_stream`](crate::kinesis_stream).
///
/// What is not set comes from the environment, where the tools of AWS look, too:
///
/// | | |
/// |---|---|
/// | credentials | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, for temporary ones also `AWS_SESSION_TOKEN` |
/// | region | `AWS_REGION`, `AWS_DEFAULT_REGION` |
/// | endpoint | `AWS_ENDPOINT_URL_KINESIS`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT`; else that of the region |
///
/// Profiles, and the credentials of a machine or a container, are not looked up.
///
/// ```
/// use dstream_kinesis::{Kinesis, Start, kinesis_stream};
///
/// let clicks = Kinesis::new("clicks").region("eu-west-1").start(Start::Latest);
/// let stream = kinesis_stream(clicks);
/// ```
#[derive(Clone)]
pub struct Kinesis {
    pub(crate) stream: String,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) start: Start,
    pub(crate) on_loss: OnLoss,
    pub(crate) buffer_bytes: usize,
    pub(crate) poll: Duration,
    pub(crate) refresh: Duration,
    pub(crate) patience: Duration,
}

/// Where the stream is read from if a checkpoint says nothing.
///
/// A checkpoint keeps it, with its time: shards that come later are read from there on, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// From the oldest record that the stream still has.
    TrimHorizon,
    /// From what arrives after the start of the program.
    Latest,
    /// From the first record that has arrived at this time or later.
    Timestamp(Time),
}

/// What happens if records that no batch has had are gone: they are older than the retention period, or the
/// stream was deleted and made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnLoss {
    /// Every batch fails, with the shard and the position, until the program is changed.
    Fail,
    /// The stream goes on with the oldest record that is there. What may be lost is reported.
    Skip,
}

impl Kinesis {
    /// Reads the stream of this name.
    pub fn new(stream: impl Into<String>) -> Kinesis {
        Kinesis {
            stream: stream.into(),
            region: None,
            endpoint: None,
            credentials: None,
            start: Start::TrimHorizon,
            on_loss: OnLoss::Fail,
            buffer_bytes: 64 << 20,
            poll: Duration::from_secs(1),
            refresh: Duration::from_secs(30),
            patience: Duration::from_secs(30),
        }
    }

    /// The region in which the stream is: `eu-west-1`.
    pub fn region(mut self, region: impl Into<String>) -> Kinesis {
        self.region = Some(region.into());
        self
    }

    /// The service that is asked, for one that is not that of the region: `http://localhost:4568`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Kinesis {
        self.endpoint = Some(url.into());
        self
    }

    /// The key with which requests are signed, and its secret.
    pub fn credentials(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Kinesis {
        self.credentials = Some(Credentials {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
        });
        self
    }

    /// Where the stream is read from at first. Default: [`Start::TrimHorizon`].
    pub fn start(mut self, start: Start) -> Kinesis {
        self.start = start;
        self
    }

    /// What happens if records are gone before they were read. Default: [`OnLoss::Fail`].
    pub fn on_loss(mut self, on_loss: OnLoss) -> Kinesis {
        self.on_loss = on_loss;
        self
    }

    /// How many bytes of records are read ahead of the batches, to which come the answers to the requests
    /// that are under way: at most eight, of 10 MB each. A batch has no more than that. Default: 64 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Kinesis {
        self.buffer_bytes = bytes;
        self
    }

    /// How long after an answer a shard without more records is asked again. Default: one second. A shard
    /// answers five requests a second, of all programs that read it together: less than 200 ms is taken for
    /// that.
    pub fn poll_interval(mut self, interval: Duration) -> Kinesis {
        self.poll = interval;
        self
    }

    /// How often new shards are looked for; they are also when a shard has been read to its end. Default: 30
    /// seconds.
    pub fn refresh_interval(mut self, interval: Duration) -> Kinesis {
        self.refresh = interval;
        self
    }

    /// How long the service may be unreachable at the start, or while a batch runs again, before batches
    /// fail. Later it is asked again and again, and warned of. Default: 30 seconds.
    pub fn patience(mut self, patience: Duration) -> Kinesis {
        self.patience = patience;
        self
    }

    pub(crate) fn name(&self) -> String {
        format!("kinesis_stream({})", self.stream)
    }

    /// What is set, completed from the environment.
    pub(crate) fn resolve(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Resolved> {
        let invalid = |what: String| Error::Invalid(format!("`{}`: {what}", self.name()));
        let first =
            |names: &[&str]| names.iter().find_map(|name| environment(name).filter(|v| !v.is_empty()));
        let name = &self.stream;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
            return Err(invalid(
                "no stream has such a name: expected 1 to 128 letters, digits, `_`, `.` and `-`, and no ARN"
                    .into(),
            ));
        }
        let region = self.region.clone().or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let region = region.ok_or_else(|| {
            invalid("no region is known: set `Kinesis::region` or AWS_REGION, as in `eu-west-1`".into())
        })?;
        let of_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(of_region) {
            return Err(invalid(format!("found the region `{region}`, expected one like `eu-west-1`")));
        }
        let endpoint = self.endpoint.clone();
        let endpoint = endpoint
            .or_else(|| first(&["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]))
            .unwrap_or_else(|| {
                let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                format!("https://kinesis.{region}.{domain}")
            });
        let (endpoint, host) = parse_endpoint(&endpoint).map_err(invalid)?;
        let credentials = match &self.credentials {
            Some(given) => given.clone(),
            None => {
                let variable = |name: &str| {
                    first(&[name]).ok_or_else(|| {
                        invalid(format!(
                            "no credentials are known: {name} is not set. Set AWS_ACCESS_KEY_ID and \
                             AWS_SECRET_ACCESS_KEY, with temporary ones also AWS_SESSION_TOKEN, or \
                             `Kinesis::credentials`; profiles and roles of a machine are not looked up"
                        ))
                    })
                };
                Credentials {
                    access_key: variable("AWS_ACCESS_KEY_ID")?,
                    secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
                    session_token: first(&["AWS_SESSION_TOKEN"]),
                }
            }
        };
        Ok(Resolved { stream: name.clone(), region, endpoint, host, credentials })
    }
}

/// All that a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) stream: String,
    pub(crate) region: String,
    /// With a slash at its end, which is the path of all requests.
    pub(crate) endpoint: String,
    /// The header `Host`.
    pub(crate) host: String,
    pub(crate) credentials: Credentials,
}

/// The URL of all requests, and its host.
fn parse_endpoint(given: &str) -> Result<(String, String), String> {
    let wrong = |what: &str| {
        format!(
            "found the endpoint `{given}`, {what}: expected one like `https://kinesis.eu-west-1.amazonaws.com`"
        )
    };
    let url = reqwest::Url::parse(given).map_err(|error| wrong(&format!("which is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("which is neither `https://` nor `http://`"));
    }
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(wrong("which has more than a host and a port"));
    }
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok((format!("{}://{host}/", url.scheme()), host))
}

impl fmt::Debug for Kinesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kinesis")
            .field("stream", &self.stream)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(kinesis: &Kinesis, variables: &[(&str, &str)]) -> Result<Resolved> {
        kinesis.resolve(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    #[test]
    fn what_is_not_set_comes_from_the_environment() {
        let mut variables = KEYS.to_vec();
        variables.extend([
            ("AWS_REGION", "cn-north-1"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_ENDPOINT", ""),
        ]);
        let found = resolve(&Kinesis::new("clicks"), &variables).unwrap();
        assert_eq!(found.endpoint, "https://kinesis.cn-north-1.amazonaws.com.cn/");
        assert_eq!(found.credentials.session_token.as_deref(), Some("token"));
        variables.push(("AWS_ENDPOINT_URL", "http://localhost:4568"));
        let found = resolve(&Kinesis::new("clicks").credentials("a", "b"), &variables).unwrap();
        assert_eq!(
            (found.endpoint.as_str(), found.host.as_str()),
            ("http://localhost:4568/", "localhost:4568")
        );
        assert_eq!((found.credentials.access_key.as_str(), found.credentials.session_token), ("a", None));
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        let region = Kinesis::new("clicks").region("eu-west-1");
        let failure =
            |kinesis: &Kinesis, variables: &[_]| resolve(kinesis, variables).unwrap_err().to_string();
        for (found, expected) in [
            (failure(&region, &[]), "no credentials are known: AWS_ACCESS_KEY_ID is not set"),
            (failure(&region, &KEYS[..1]), "AWS_SECRET_ACCESS_KEY is not set"),
            (failure(&Kinesis::new("clicks"), &KEYS), "no region is known"),
            (failure(&Kinesis::new("a b"), &KEYS), "no stream has such a name"),
            (failure(&region.clone().region("Europe"), &KEYS), "found the region `Europe`"),
            (
                failure(&region.clone().endpoint("localhost:4568"), &KEYS),
                "found the endpoint `localhost:4568`",
            ),
            (failure(&region.clone().endpoint("localhost"), &KEYS), "no URL"),
            (failure(&region.endpoint("http://localhost/a"), &KEYS), "more than a host"),
        ] {
            assert!(found.starts_with("`kinesis_stream(") && found.contains(expected), "{found}");
        }
    }
}
