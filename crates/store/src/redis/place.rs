//! Where Redis is: at one address, or wherever Sentinels say that its master is now.

use std::time::Duration;

use ::redis::{Client, Connection};

use crate::StoreError;

/// How the server is found.
pub(super) enum Place {
    /// It is always there.
    Server(Client),
    /// Ask these which of the servers of this name is the master.
    Sentinels {
        sentinels: Vec<Client>,
        /// That of the servers and of the Sentinels.
        scheme: &'static str,
        name: String,
        /// `user:password@`, or nothing.
        credentials: String,
        /// What follows the master's address: `/1`, or nothing.
        database: String,
    },
}

impl Place {
    /// `redis://…`, or `redis+sentinel://user:password@host:port,host:port/NAME/database`, where name
    /// and password are those of the servers; `rediss` in place of `redis` is over TLS. Errors:
    /// `Misconfigured`.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let plain = url
            .strip_prefix(SENTINEL_SCHEME)
            .map(|rest| ("redis", rest));
        let secure = || url.strip_prefix(SECURE_SENTINEL_SCHEME);
        let Some((scheme, rest)) = plain.or_else(|| secure().map(|rest| ("rediss", rest))) else {
            return Ok(Self::Server(client(url)?));
        };
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, database) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            let text = format!("{SENTINEL_SCHEME}… needs the name of the master at its end");
            return Err(StoreError::Misconfigured(text));
        }
        let (credentials, hosts) = match place.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), place),
        };
        let sentinels = hosts.split(',').map(|host| match host.rsplit_once(':') {
            Some(_) => client(&format!("{scheme}://{host}")),
            None => client(&format!("{scheme}://{host}:{SENTINEL_PORT}")),
        });
        Ok(Self::Sentinels {
            sentinels: sentinels.collect::<Result<_, _>>()?,
            scheme,
            name: name.to_owned(),
            credentials,
            database: match database {
                "" => String::new(),
                number => format!("/{number}"),
            },
        })
    }

    /// A connection to the server. Nothing on it takes longer than `patience`.
    pub(super) fn connect(&self, patience: Duration) -> Result<Connection, StoreError> {
        match self {
            Self::Server(server) => open(server, patience),
            Self::Sentinels {
                sentinels,
                scheme,
                name,
                credentials,
                database,
            } => {
                let mut failure = None;
                for sentinel in sentinels {
                    match master(sentinel, name, patience) {
                        Ok((host, port)) => {
                            let url = format!("{scheme}://{credentials}{host}:{port}{database}");
                            return open(&client(&url)?, patience);
                        }
                        Err(error) => failure = Some(error),
                    }
                }
                Err(failure.unwrap_or_else(|| StoreError::Unavailable("no Sentinel".into())))
            }
        }
    }
}

/// How many Sentinels a URL of a live store names; 0 if it leads to one server, or nowhere.
#[must_use]
pub fn sentinels(url: &str) -> usize {
    match Place::parse(url) {
        Ok(Place::Sentinels { sentinels, .. }) => sentinels.len(),
        Ok(Place::Server(_)) | Err(_) => 0,
    }
}

/// Where a Sentinel says that the master is.
fn master(sentinel: &Client, name: &str, patience: Duration) -> Result<(String, u16), StoreError> {
    let mut connection = open(sentinel, patience)?;
    let found: Option<(String, u16)> = ::redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name)
        .query(&mut connection)?;
    let unknown = || StoreError::Unavailable(format!("the Sentinel knows no master {name}"));
    let (host, port) = found.ok_or_else(unknown)?;
    // An IPv6 address in a URL.
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    };
    Ok((host, port))
}

fn open(client: &Client, patience: Duration) -> Result<Connection, StoreError> {
    let connection = client.get_connection_with_timeout(patience)?;
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(patience))?;
    Ok(connection)
}

fn client(url: &str) -> Result<Client, StoreError> {
    Client::open(url).map_err(|error| StoreError::Misconfigured(error.to_string()))
}

const SENTINEL_SCHEME: &str = "redis+sentinel://";
/// The same over TLS.
const SECURE_SENTINEL_SCHEME: &str = "rediss+sentinel://";
const SENTINEL_PORT: u16 = 26_379;
