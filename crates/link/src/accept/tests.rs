//! Strangers at the door, over real sockets.

use std::time::UNIX_EPOCH;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;
use tokio_rustls::client;
use tokio_stream::StreamExt as _;

use super::*;
use crate::token::Fingerprint;

/// An authority, its door, and the lines that come through.
struct Site {
    authority: Authority,
    address: SocketAddr,
    lines: ReceiverStream<io::Result<Line>>,
    refused: Arc<RefusedLines>,
    _directory: tempfile::TempDir,
}

impl Site {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let since = UNIX_EPOCH.elapsed().unwrap();
        let now_us = u64::try_from(since.as_micros()).unwrap();
        let authority = Authority::open(directory.path(), now_us).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refused = Arc::<RefusedLines>::default();
        let lines = accept(listener, &authority, now_us, refused.clone()).unwrap();
        Self {
            authority,
            address,
            lines,
            refused,
            _directory: directory,
        }
    }

    /// Both ends of the line of somebody who shows no certificate.
    async fn stranger(&mut self) -> (client::TlsStream<TcpStream>, Line) {
        let fingerprint = Fingerprint::of(self.authority.certificate());
        let config = Arc::new(tls::joining(fingerprint).unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(tls::CONTROL_NAME).unwrap();
        let theirs = TlsConnector::from(config).connect(name, stream).await;
        let ours = self.lines.next().await.unwrap().unwrap();
        (theirs.unwrap(), ours)
    }
}

/// What is read until the line ends, and how it ends.
async fn read_all(line: &mut Line) -> (usize, io::Result<()>) {
    let (mut all, mut bytes) = (0, [0; 4_096]);
    loop {
        match line.read(&mut bytes).await {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all += count,
            Err(error) => return (all, Err(error)),
        }
    }
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

#[test]
fn a_stranger_says_as_much_as_it_takes_to_join_and_no_more() {
    block_on(async {
        let mut site = Site::open().await;
        let (mut theirs, mut ours) = site.stranger().await;
        theirs.write_all(&[b'x'; 2_000]).await.unwrap();
        theirs.shutdown().await.unwrap();
        let (said, end) = read_all(&mut ours).await;
        assert_eq!((said, end.is_ok()), (2_000, true));

        let (mut theirs, mut ours) = site.stranger().await;
        let flood = tokio::spawn(async move { theirs.write_all(&vec![b'x'; 8 << 20]).await });
        let (said, end) = read_all(&mut ours).await;
        assert!(end.is_err());
        assert!(said <= STRANGER_BYTES_MAX + 4_096, "{said}");
        assert_eq!(site.refused.count(RefusedFor::Lingering), 1);
        drop(ours);
        assert!(flood.await.unwrap().is_err(), "nobody listens");
    });
}

#[test]
fn strangers_who_stay_make_room_for_others() {
    block_on(async {
        let mut site = Site::open().await;
        let mut all = Vec::new();
        for _ in 0..=STRANGERS_MAX {
            all.push(site.stranger().await);
        }
        let (said, end) = read_all(&mut all[0].1).await;
        assert_eq!((said, end.is_err()), (0, true));
        assert_eq!(site.refused.count(RefusedFor::Crowded), 1);
        // The next in line stays.
        let (theirs, ours) = &mut all[1];
        theirs.write_all(b"still here").await.unwrap();
        let mut heard = [0; 10];
        ours.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"still here");
    });
}
