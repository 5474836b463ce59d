//! Asks a program, over HTTP.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use serde::de::DeserializeOwned;

/// How long the program may take for each part of an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How large an answer may be: 10,000 batches have about a megabyte.
const LARGEST: u64 = 64 << 20;

/// Where a program serves its page.
#[derive(Clone)]
pub struct Client {
    /// As in `localhost:4040`.
    host: String,
    /// What stands before the path, as behind a proxy.
    prefix: String,
    token: Option<String>,
}

impl fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Client {
    /// A program by the URL of its page, as `http://localhost:4040`, or `localhost:4040`; its token may be in
    /// it, as the browser has it: `http://localhost:4040/?token=..`.
    pub fn new(url: &str, token: Option<String>) -> Result<Client, String> {
        let rest = match url.split_once("://") {
            None => url,
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!(
                    "`{url}` begins with `{scheme}://`: only `http://` can be read. Where a proxy has TLS, \
                     run this on the host of the program"
                ));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let in_url = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let token = token.or(in_url.map(str::to_owned));
        // They stand in the head of a request.
        let fits = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if host.is_empty() || !fits(rest) || !token.as_deref().is_none_or(fits) {
            return Err(format!("`{url}` is no address: one is as in http://localhost:4040"));
        }
        let host = if has_port(host) { host.to_owned() } else { format!("{host}:80") };
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Client { host, prefix, token })
    }

    /// Where the program is, for people.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A resource below `/api/v1/`.
    pub fn get<T: DeserializeOwned>(&self, resource: &str) -> Result<T, String> {
        let body = self.ask(resource).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it does not answer in time".to_owned(),
            _ => error.to_string(),
        })?;
        serde_json::from_slice(&body)
            .map_err(|error| format!("`{resource}` is not what a page of dstream answers: {error}"))
    }

    fn ask(&self, resource: &str) -> io::Result<Vec<u8>> {
        let mut refused = io::Error::other(format!("`{}` is no host that is known", self.host));
        for address in self.host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return self.ask_on(stream, resource),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn ask_on(&self, mut stream: TcpStream, resource: &str) -> io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Client { host, prefix, token } = self;
        let token = token.as_ref().map_or_else(String::new, |it| format!("Authorization: Bearer {it}\r\n"));
        let head = format!(
            "GET {prefix}/api/v1/{resource} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Accept: application/json\r\n{token}\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = BufReader::new(stream.take(LARGEST));
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = None;
        loop {
            line.clear();
            if answer.read_line(&mut line)? == 0 {
                return Err(io::Error::other("what answers there is no page of dstream: it is no HTTP"));
            }
            let field = line.trim_end().to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let mut body = Vec::new();
        answer.read_to_end(&mut body)?;
        if length.is_none_or(|length| length != body.len()) {
            return Err(io::Error::other("the answer is not complete, or has no length"));
        }
        match status.as_str() {
            "200" => Ok(body),
            "401" => {
                Err(io::Error::other("it asks for a token: give it as `--token ..`, or in DSTREAM_TOKEN"))
            }
            _ => Err(io::Error::other(format!("it answers with status {status}: {}", why(&body)))),
        }
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// What the page says is wrong.
fn why(body: &[u8]) -> String {
    let said = serde_json::from_slice::<serde_json::Value>(body).ok();
    let said = said.as_ref().and_then(|said| said["error"].as_str());
    said.unwrap_or("it does not say why").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (url, host, prefix, token) in [
            ("http://localhost:4040", "localhost:4040", "", None),
            ("localhost:4040/", "localhost:4040", "", None),
            ("http://a.example/x/?y=1&token=s3cret", "a.example:80", "/x", Some("s3cret")),
            ("http://[::1]:4040/?token=t", "[::1]:4040", "", Some("t")),
        ] {
            let client = Client::new(url, None).unwrap();
            assert_eq!(
                (&*client.host, &*client.prefix, client.token.as_deref()),
                (host, prefix, token),
                "{url}"
            );
            assert!(!format!("{client:?}").contains("s3cret"));
        }
        assert!(Client::new("https://a.example", None).unwrap_err().contains("only `http://`"));
        for wrong in ["", "http://", "http:///x", "a b:1", "a\r\nHost: b"] {
            assert!(Client::new(wrong, None).unwrap_err().contains("is no address"), "{wrong}");
        }
        assert!(Client::new("localhost", Some("a\r\nb".into())).is_err());
    }
}
