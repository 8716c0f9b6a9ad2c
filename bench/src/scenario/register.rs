//! Processor time of a register cycle with digest.

use std::any::Any;

use anyhow::Result;
use testkit::ports;

use crate::load::register::{RegisterLoad, RegisterPlan};
use crate::peers::kamailio::{self, Kamailio, REGISTRAR_DOMAIN};
use crate::peers::tandem::Tandem;
use crate::scenario::{Effort, Side, us_per_unit};
use crate::table::{Row, Series, Table};
use crate::usage;

/// Both servers stay up and are loaded in turn: making the users takes longer than measuring.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut loads = Vec::new();
    for &side in effort.sides {
        loads.push(Loaded::start(side, effort)?);
    }
    for run in 0..effort.runs {
        for loaded in &mut loads {
            loaded.measure(effort);
            eprintln!(
                "register run {}: {:?} {}",
                run + 1,
                loaded.side,
                loaded.remarks()
            );
        }
    }
    let mut row = Row {
        work: format!(
            "401 and 200, {} users, one core saturated, CPU us",
            effort.users
        ),
        peer: Series::default(),
        ours: Series::default(),
        remarks: String::new(),
    };
    for loaded in loads {
        row.remarks
            .push_str(&format!("{:?}: {}; ", loaded.side, loaded.remarks()));
        match loaded.side {
            Side::Peer => row.peer = loaded.cpu,
            Side::Ours => row.ours = loaded.cpu,
        }
    }
    Ok(Table {
        title: "Register cycles with digest".to_owned(),
        peer: format!(
            "Kamailio registrar, usrloc in memory (bench/peers/registrar.cfg), {}",
            kamailio::OPTIONS.join(" ")
        ),
        rows: vec![row],
    })
}

/// A server with its load.
struct Loaded {
    side: Side,
    load: RegisterLoad,
    pid: u32,
    cpu: Series,
    rate: Series,
    /// Held for its end only.
    _server: Box<dyn Any>,
}

impl Loaded {
    fn start(side: Side, effort: &Effort) -> Result<Self> {
        let users = effort.users;
        let (server, address, domain, pid): (Box<dyn Any>, _, _, _) = match side {
            Side::Peer => {
                let kamailio = Kamailio::registrar(users)?;
                let (address, pid) = (kamailio.address, kamailio.pid());
                (
                    Box::new(kamailio),
                    address,
                    REGISTRAR_DOMAIN.to_owned(),
                    pid,
                )
            }
            Side::Ours => {
                let mut tandem = Tandem::start_traced(effort.trace)?;
                tandem.add_users(users)?;
                let (address, pid) = (tandem.address, tandem.pid());
                let domain = tandem.domain().to_owned();
                (Box::new(tandem), address, domain, pid)
            }
        };
        let port = ports::one();
        let load = RegisterLoad::new(RegisterPlan {
            server: address,
            port,
            domain,
            phones: 0..users,
            phones_per_user: 1,
        })?;
        let (cpu, rate) = (Series::default(), Series::default());
        Ok(Self {
            side,
            load,
            pid,
            cpu,
            rate,
            _server: server,
        })
    }

    fn measure(&mut self, effort: &Effort) {
        self.load.run_for(AT_ONCE, effort.warm_up);
        let cpu = usage::cpu(self.pid);
        let completed = self.load.counts.completed;
        let start = std::time::Instant::now();
        self.load.run_for(AT_ONCE, effort.window);
        let cpu = usage::cpu(self.pid).saturating_sub(cpu);
        let units = self.load.counts.completed - completed;
        self.cpu.push(us_per_unit(cpu, units));
        self.rate.push(units as f64 / start.elapsed().as_secs_f64());
        self.load.drain();
    }

    fn remarks(&self) -> String {
        let counts = self.load.counts;
        let mut text = format!(
            "{} us, {:.0}/s, lost {}, repeated {}",
            self.cpu,
            self.rate.median(),
            counts.lost,
            counts.repeated
        );
        if counts.last_refusal != 0 {
            text.push_str(&format!(", last refusal {}", counts.last_refusal));
        }
        text
    }
}

const AT_ONCE: usize = 200;
