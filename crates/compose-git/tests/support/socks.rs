//! A SOCKS5 proxy (RFC 1928, 1929) that requires a login.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A running proxy; its threads end with their connections.
pub struct Socks {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    pub fn start(user: &'static str, password: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                // Errors are clients that were refused or have gone.
                thread::spawn(move || _ = serve(client, user, password, &log));
            }
        });
        Self { address, asked }
    }

    /// Returns `host:port` of each connection that was requested with the right login.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn take(client: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn counted(client: &mut TcpStream) -> io::Result<String> {
    let count = take(client, 1)?[0];
    Ok(String::from_utf8(take(client, count.into())?).unwrap())
}

fn serve(mut client: TcpStream, user: &str, password: &str, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let methods = take(&mut client, 2)?[1];
    let offered = take(&mut client, methods.into())?;
    if !offered.contains(&2) {
        return client.write_all(&[5, 0xff]);
    }
    client.write_all(&[5, 2])?;
    take(&mut client, 1)?;
    if (counted(&mut client)?.as_str(), counted(&mut client)?.as_str()) != (user, password) {
        return client.write_all(&[1, 1]);
    }
    client.write_all(&[1, 0])?;
    let kind = take(&mut client, 4)?[3];
    let host = match kind {
        1 => take(&mut client, 4)?
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join("."),
        _ => counted(&mut client)?,
    };
    let port = take(&mut client, 2)?;
    let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
    log.lock().unwrap().push(target.clone());
    let mut server = TcpStream::connect(target)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        _ = io::copy(&mut from, &mut to);
        _ = to.shutdown(std::net::Shutdown::Both);
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}
