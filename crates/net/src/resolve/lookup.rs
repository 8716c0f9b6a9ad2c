//! Following a plan with hickory.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig as Servers,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use sip::{Target, Targets, Transport};
use std::net::SocketAddr;

use super::plan::{Naptr, Plan, service_label, usable_naptr};
use super::srv::{Draw, Srv, order};
use super::{Located, ResolveError, ResolverConfig, TARGETS_MAX};

/// The name servers, behind hickory's cache. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Dns(TokioResolver);

impl Dns {
    pub(crate) fn new(config: &ResolverConfig) -> Result<Self, NetError> {
        let mut builder = if config.name_servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = config.name_servers.iter().map(name_server).collect();
            let servers = Servers::from_name_servers(servers);
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = config.query_timeout;
        options.attempts = 1;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self(builder.build()?))
    }

    /// The targets, at least one.
    pub(crate) async fn follow(
        &self,
        plan: Plan,
        draw: &mut Draw,
    ) -> Result<Targets, ResolveError> {
        let mut targets = Targets::new();
        match plan {
            Plan::Known(target) => targets.push(target),
            Plan::Addresses {
                host,
                transport,
                port,
            } => self.addresses(&host, transport, port, &mut targets).await?,
            Plan::Service { host, transport } => {
                if !self.service(&host, transport, draw, &mut targets).await? {
                    let port = transport.default_port();
                    self.addresses(&host, transport, port, &mut targets).await?;
                }
            }
            Plan::Anything { host, security } => {
                let naptr = usable_naptr(self.naptr(&host).await?, security);
                for (transport, name) in &naptr {
                    self.srv(name, *transport, draw, &mut targets).await?;
                }
                let services = Plan::services(security);
                let mut found = !targets.is_empty();
                for transport in services {
                    if found {
                        break;
                    }
                    found = self.service(&host, *transport, draw, &mut targets).await?;
                }
                if !found {
                    let transport = services[0];
                    let port = transport.default_port();
                    self.addresses(&host, transport, port, &mut targets).await?;
                }
            }
        }
        if targets.is_empty() {
            return Err(ResolveError::NotFound);
        }
        Ok(targets)
    }

    /// All addresses of a service of a host, each with the place that its SRV record gives it. With
    /// a port, and for hosts without SRV records, those of the host itself, all equal.
    pub(crate) async fn located(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Transport,
    ) -> Result<Vec<Located>, ResolveError> {
        let mut records = Vec::new();
        if let (None, Some(label)) = (port, service_label(transport)) {
            records = self.srv_records(&format!("{label}.{host}")).await?;
        }
        if records.is_empty() {
            let port = port.unwrap_or(transport.default_port());
            records.push(Srv {
                priority: 0,
                weight: 1,
                port,
                target: host.to_owned(),
            });
        }
        let mut located: Vec<Located> = Vec::new();
        for srv in records.iter().filter(|srv| srv.target != ".") {
            let mut found = Targets::new();
            // Without one of them a share would seem to be gone: all or nothing.
            self.addresses(&srv.target, transport, srv.port, &mut found)
                .await?;
            for Target { remote, .. } in found {
                if located.len() < TARGETS_MAX && located.iter().all(|l| l.remote != remote) {
                    located.push(Located {
                        remote,
                        priority: srv.priority,
                        weight: srv.weight,
                    });
                }
            }
        }
        if located.is_empty() {
            return Err(ResolveError::NotFound);
        }
        located.sort_by_key(|l| (l.priority, l.remote));
        Ok(located)
    }

    /// The targets of a service of a host; whether it has SRV records.
    async fn service(
        &self,
        host: &str,
        transport: Transport,
        draw: &mut Draw,
        targets: &mut Targets,
    ) -> Result<bool, ResolveError> {
        match service_label(transport) {
            Some(label) => {
                let name = format!("{label}.{host}");
                self.srv(&name, transport, draw, targets).await
            }
            None => Ok(false),
        }
    }

    /// The targets of SRV records; whether there are any.
    async fn srv(
        &self,
        name: &str,
        transport: Transport,
        draw: &mut Draw,
        targets: &mut Targets,
    ) -> Result<bool, ResolveError> {
        let records = self.srv_records(name).await?;
        let exists = !records.is_empty();
        for srv in order(records, draw) {
            if targets.len() >= TARGETS_MAX {
                break;
            }
            // A name among several that fails now leaves the others.
            let found = self.addresses(&srv.target, transport, srv.port, targets);
            if let Err(error) = found.await {
                tracing::debug!(name = srv.target, %error, "SRV target without address");
            }
        }
        Ok(exists)
    }

    async fn srv_records(&self, name: &str) -> Result<Vec<Srv>, ResolveError> {
        let records = self.records(name, RecordType::SRV).await?;
        let srv = records.into_iter().filter_map(|data| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_string(),
            }),
            _ => None,
        });
        Ok(srv.collect())
    }

    async fn naptr(&self, host: &str) -> Result<Vec<Naptr>, ResolveError> {
        let records = self.records(host, RecordType::NAPTR).await?;
        let naptr = records.into_iter().filter_map(|data| match data {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: naptr.flags,
                services: naptr.services,
                replacement: naptr.replacement.to_string(),
            }),
            _ => None,
        });
        Ok(naptr.collect())
    }

    /// Adds the addresses of a name, IPv4 first.
    async fn addresses(
        &self,
        name: &str,
        transport: Transport,
        port: u16,
        targets: &mut Targets,
    ) -> Result<(), ResolveError> {
        let found = match self.0.lookup_ip(name).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(()),
            Err(error) => return Err(reason(&error)),
        };
        let mut ips: Vec<IpAddr> = found.iter().collect();
        ips.sort_by_key(IpAddr::is_ipv6);
        for ip in ips {
            let target = Target {
                transport,
                remote: SocketAddr::new(ip, port),
            };
            if targets.len() < TARGETS_MAX && !targets.contains(&target) {
                targets.push(target);
            }
        }
        Ok(())
    }

    /// The records of a name; none if it does not exist.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, ResolveError> {
        match self.0.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().map(|r| r.data.clone()).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(reason(&error)),
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    udp.port = address.port();
    let mut tcp = ConnectionConfig::tcp();
    tcp.port = address.port();
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

fn reason(error: &NetError) -> ResolveError {
    match error {
        NetError::Timeout => ResolveError::TimedOut,
        NetError::Busy => ResolveError::Busy,
        _ => ResolveError::ServerFailed,
    }
}
