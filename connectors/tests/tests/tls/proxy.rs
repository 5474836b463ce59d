//! TLS and SASL/PLAIN in front of a broker that has neither.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use native_tls::{Identity, TlsAcceptor};

use crate::broker::Broker;

const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

/// Lets in who has the password, and is the only way to the broker that the broker's answers name.
pub(crate) struct Proxy {
    port: u16,
    certificate: PathBuf,
    _folder: tempfile::TempDir,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Settings {
    broker: u16,
    port: u16,
    /// As SASL/PLAIN sends them.
    credentials: Vec<u8>,
}

impl Proxy {
    pub(crate) fn start(broker: &Broker, user: &str, password: &str) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("ca.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=broker"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let identity =
            Identity::from_pkcs8(&std::fs::read(&certificate).unwrap(), &std::fs::read(key).unwrap())
                .unwrap();
        let acceptor = Arc::new(TlsAcceptor::new(identity).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = broker.address().rsplit(':').next().unwrap().parse().unwrap();
        let settings = Settings { broker, port, credentials: format!("\0{user}\0{password}").into_bytes() };
        let connections = Arc::<AtomicUsize>::default();
        let accepted = Arc::clone(&connections);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (acceptor, settings) = (Arc::clone(&acceptor), settings.clone());
                let accepted = Arc::clone(&accepted);
                thread::spawn(move || {
                    let Ok(mut client) = acceptor.accept(connection) else { return };
                    // It ends when either side does.
                    let _ = settings.serve(&mut client, &accepted);
                });
            }
        });
        Proxy { port, certificate, _folder: folder, connections }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file of its certificate, which has signed itself.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// How many connections were let in.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Settings {
    /// One request after the other: a broker answers them in order.
    fn serve(&self, client: &mut (impl Read + Write), accepted: &AtomicUsize) -> io::Result<()> {
        let mut broker = TcpStream::connect(("127.0.0.1", self.broker))?;
        let mut is_let_in = false;
        loop {
            let request = read(client)?;
            let number = &request[4..8];
            let (kind, version) = (short(&request, 0), short(&request, 2));
            let answer = match kind {
                // It is asked again with the oldest version, whose answer is simple.
                API_VERSIONS if version > 0 => [number, &[0, 35, 0, 0, 0, 0]].concat(),
                API_VERSIONS => with_sasl(&ask(&mut broker, &request)?),
                SASL_HANDSHAKE => [number, &[0, 0, 0, 0, 0, 1, 0, 5], b"PLAIN"].concat(),
                SASL_AUTHENTICATE => {
                    is_let_in = request.ends_with(&self.credentials);
                    match is_let_in {
                        true => {
                            accepted.fetch_add(1, Ordering::Relaxed);
                            [number, &[0, 0, 0xff, 0xff, 0, 0, 0, 0]].concat()
                        }
                        false => [number, &[0, 58, 0, 11], b"who is that", &[0, 0, 0, 0]].concat(),
                    }
                }
                _ if is_let_in => self.through_here(ask(&mut broker, &request)?),
                _ => return Err(io::ErrorKind::PermissionDenied.into()),
            };
            write(client, &answer)?;
        }
    }

    /// Puts the port of the proxy in the place of the broker's.
    fn through_here(&self, mut answer: Vec<u8>) -> Vec<u8> {
        for host in ["127.0.0.1", "localhost"] {
            let address = [host.as_bytes(), &u32::from(self.broker).to_be_bytes()].concat();
            let found: Vec<usize> = answer
                .windows(address.len())
                .enumerate()
                .filter(|(_, at)| *at == address)
                .map(|(at, _)| at)
                .collect();
            for at in found {
                answer[at + host.len()..at + address.len()]
                    .copy_from_slice(&u32::from(self.port).to_be_bytes());
            }
        }
        answer
    }
}

/// Says that there are the two requests of SASL, too.
fn with_sasl(answer: &[u8]) -> Vec<u8> {
    let count = u32::from_be_bytes([answer[6], answer[7], answer[8], answer[9]]) as usize;
    let entries = &answer[10..10 + 6 * count];
    let kept: Vec<&[u8]> = entries
        .chunks(6)
        .filter(|entry| ![SASL_HANDSHAKE, SASL_AUTHENTICATE].contains(&short(entry, 0)))
        .collect();
    let mut all = answer[..6].to_vec();
    all.extend((kept.len() as u32 + 2).to_be_bytes());
    all.extend(kept.concat());
    for (kind, last) in [(SASL_HANDSHAKE, 1), (SASL_AUTHENTICATE, 0)] {
        all.extend([kind.to_be_bytes(), [0, 0], [0, last]].concat());
    }
    all
}

fn ask(broker: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    write(broker, request)?;
    read(broker)
}

fn short(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[&(bytes.len() as u32).to_be_bytes(), bytes].concat())?;
    to.flush()
}
