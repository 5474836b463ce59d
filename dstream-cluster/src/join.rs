//! The processes find one another: each listens, connects to those before it, and waits for those behind it.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    thread,
    time::{Duration, Instant},
};

use dstream_core::{clock::CancellationToken, exchange::ExchangeError};

use crate::{
    handshake::{Member, Refused, shake},
    settings::Settings,
};

/// How long one attempt to connect may take, and how long to wait before the next.
const CONNECT: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(100);

/// How often those are named who are waited for.
const NOTICE: Duration = Duration::from_secs(10);

/// Connects to all other processes; by process, with nothing for this one. Waits for them as long as the
/// settings say.
pub(crate) fn join(
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Vec<Option<TcpStream>>, ExchangeError> {
    let listener = listen(settings)?;
    let (began, mut told) = (Instant::now(), Instant::now());
    let mut sockets: Vec<Option<TcpStream>> = settings.hosts.iter().map(|_| None).collect();
    let missing = |sockets: &[Option<TcpStream>]| {
        (0..sockets.len()).filter(|at| *at != settings.index && sockets[*at].is_none()).collect::<Vec<_>>()
    };
    loop {
        // One that was there may have ended meanwhile, and come back.
        sockets
            .iter_mut()
            .filter(|socket| socket.as_ref().is_some_and(is_gone))
            .for_each(|socket| *socket = None);
        for to in missing(&sockets).into_iter().filter(|to| *to < settings.index) {
            sockets[to] = connect(settings, to);
        }
        accept_all(settings, &listener, &mut sockets)?;
        let missing = missing(&sockets);
        if missing.is_empty() {
            return Ok(sockets);
        }
        if stop.is_cancelled() {
            return Err(ExchangeError::new("this process stops while it waits for the others"));
        }
        let names: Vec<_> =
            missing.iter().map(|at| format!("process {at} at {}", settings.hosts[*at])).collect();
        if settings.join_timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            return Err(ExchangeError::new(format!(
                "{} has not come within {:?}",
                names.join(", "),
                settings.join_timeout.unwrap_or_default()
            )));
        }
        if told.elapsed() >= NOTICE {
            told = Instant::now();
            tracing::warn!("process {} waits for {}", settings.index, names.join(", "));
        }
        stop.wait_timeout(RETRY);
    }
}

fn listen(settings: &Settings) -> Result<TcpListener, ExchangeError> {
    let address = settings.listen_address();
    let listener =
        TcpListener::bind(&address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|error| {
        let what = format!(
            "process {} can't listen at {address}: its address must be one of this host, and the port free",
            settings.index
        );
        ExchangeError::new(what).caused_by(error)
    })
}

/// A connection to a process that listens already.
fn connect(settings: &Settings, to: usize) -> Option<TcpStream> {
    let host = &settings.hosts[to];
    let addresses = match host.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            tracing::debug!("the address {host} of process {to} is not known: {error}");
            return None;
        }
    };
    let mut sockets = addresses.filter_map(|address| TcpStream::connect_timeout(&address, CONNECT).ok());
    let socket = sockets.next()?;
    match shake(&socket, settings.member()) {
        Ok(index) if index == to => Some(socket),
        Ok(index) => {
            tracing::warn!(
                "process {to} is to be at {host}, and process {index} is: all need the same DSTREAM_HOSTS"
            );
            None
        }
        Err(Refused::Stranger(why)) => {
            tracing::warn!("what is at {host}, where process {to} is to be, {why}");
            None
        }
        Err(Refused::Io(error)) => {
            tracing::debug!("process {to} at {host} is not ready: {error}");
            None
        }
    }
}

/// Takes the connections that wait. Those of strangers are closed; each is asked on a thread of its own, so
/// that one which says nothing costs the others no time.
fn accept_all(
    settings: &Settings,
    listener: &TcpListener,
    sockets: &mut [Option<TcpStream>],
) -> Result<(), ExchangeError> {
    let mut waiting = Vec::new();
    while waiting.len() < 64 {
        match listener.accept() {
            Ok(accepted) => waiting.push(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // Such as that the other side is gone already, or too many open files.
            Err(error) => {
                tracing::debug!("a connection can't be accepted: {error}");
                break;
            }
        }
    }
    let member = settings.member();
    let known = thread::scope(|scope| {
        let asked: Vec<_> = waiting
            .into_iter()
            .map(|(socket, address)| scope.spawn(move || known(socket, address, member)))
            .collect();
        asked.into_iter().filter_map(|asked| asked.join().ok().flatten()).collect::<Vec<_>>()
    });
    for (index, socket) in known {
        // The newest is the one that lives.
        sockets[index] = Some(socket);
    }
    Ok(())
}

fn known(socket: TcpStream, address: SocketAddr, member: Member<'_>) -> Option<(usize, TcpStream)> {
    socket.set_nonblocking(false).ok()?;
    match shake(&socket, member) {
        Ok(index) => Some((index, socket)),
        Err(Refused::Stranger(why)) => {
            tracing::warn!("a connection from {address} is refused, since it {why}");
            None
        }
        Err(Refused::Io(error)) => {
            tracing::debug!("a connection from {address} has said nothing: {error}");
            None
        }
    }
}

/// Whether the process at the other end has ended.
fn is_gone(socket: &TcpStream) -> bool {
    let looked = socket.set_nonblocking(true).and_then(|()| socket.peek(&mut [0]));
    let back = socket.set_nonblocking(false);
    match looked {
        // What comes before this process has joined is read later.
        Ok(n) => n == 0 || back.is_err(),
        Err(error) => error.kind() != io::ErrorKind::WouldBlock || back.is_err(),
    }
}
