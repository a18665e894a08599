//! What goes wrong, and when: drawn from the seed by the scenario's odds.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use env::{clock, random};

use super::cluster::Cluster;
use super::faults::Faults;
use super::gateway::{self, Gateway};
use super::operator::Operator;
use super::queue;
use super::scenario::{Odds, Scenario};
use super::signals::Signals;
use super::workload::Workload;

/// The range that hands out timestamps.
const ROOT_RANGE: u64 = 1;

/// The range that holds the data.
const DATA_RANGE: u64 = 2;

/// How much longer an operator has whose commands have mostly been refused, or taken as long as they may.
const LATE: Duration = Duration::from_secs(60);

/// How long it may take until a node's replicas are replaced.
const REPLACING: Duration = Duration::from_secs(20);

/// How long it may take until another leads a range whose leader has died, where all others live.
const BEREAVED: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    Stop,
    Bounce,
    Blackout,
    Isolate,
    OneWay,
    LeaseTrap,
    Sever,
    Bereave,
    Split,
    MoveAway,
    Swap,
    Replace,
    Clock,
    Hang,
    Outdate,
    Freeze,
    Unreachable,
    Divide,
    Merge,
    Pause,
    Perish,
    Transfer,
    Shift,
    Resize,
    Drain,
    Decommission,
}

/// Torments the cluster for as long as the scenario says, and until an operator has got through what that asks for; what kept a
/// node from coming back.
pub(super) async fn torment(
    cluster: &mut Cluster,
    scenario: &Scenario,
    gateways: &[Gateway],
    workload: &Workload,
    signals: &[Signals],
    faults: &Cell<Faults>,
) -> Vec<String> {
    let end = clock::now() + Duration::from_secs(scenario.seconds);
    let mut violations = Vec::new();
    let is_due = || faults.get().operations() < scenario.floors.operations;
    while clock::now() < end || is_due() && clock::now() < end + LATE {
        pause(500, 3_000).await;
        let Some(fault) = draw(&scenario.faults) else { continue };
        let violations = &mut violations;
        let mut nemesis = Nemesis { cluster, scenario, gateways, workload, signals, faults, violations };
        nemesis.inflict(fault).await;
        // Sometimes the next fault comes while this one lasts.
        if random::below(3) > 0 {
            pause(200, 4_000).await;
            cluster.network().heal_all();
        }
    }
    violations
}

async fn pause(least_ms: u64, most_ms: u64) {
    clock::sleep(Duration::from_millis(least_ms + random::below(most_ms - least_ms))).await;
}

fn draw(odds: &Odds) -> Option<Fault> {
    let faults = [
        (Fault::Crash, odds.crash),
        (Fault::Stop, odds.stop),
        (Fault::Bounce, odds.bounce),
        (Fault::Blackout, odds.blackout),
        (Fault::Isolate, odds.isolate),
        (Fault::OneWay, odds.one_way),
        (Fault::LeaseTrap, odds.lease_trap),
        (Fault::Sever, odds.sever),
        (Fault::Bereave, odds.bereave),
        (Fault::Split, odds.split),
        (Fault::MoveAway, odds.move_away),
        (Fault::Swap, odds.swap),
        (Fault::Replace, odds.replace),
        (Fault::Clock, odds.clock),
        (Fault::Hang, odds.hang),
        (Fault::Outdate, odds.outdate),
        (Fault::Freeze, odds.freeze),
        (Fault::Unreachable, odds.unreachable),
        (Fault::Divide, odds.divide),
        (Fault::Merge, odds.merge),
        (Fault::Pause, odds.pause),
        (Fault::Perish, odds.perish),
        (Fault::Transfer, odds.transfer),
        (Fault::Shift, odds.shift),
        (Fault::Resize, odds.resize),
        (Fault::Drain, odds.drain),
        (Fault::Decommission, odds.decommission),
    ];
    let mut ticket = random::below(faults.iter().map(|(_, odds)| odds).sum());
    faults.into_iter().find_map(|(fault, odds)| {
        if ticket < odds {
            return Some(fault);
        }
        ticket -= odds;
        None
    })
}

/// A key of the bank or the lists, or the place of one.
fn any_key() -> Bytes {
    let (prefix, keys) = match random::below(5) {
        0 => ("transfer/", 300),
        1 | 2 => ("account/", 24),
        _ => ("list/", 16),
    };
    let mut name = [prefix.as_bytes(), &(random::below(keys) as u32).to_be_bytes()].concat();
    if prefix == "transfer/" {
        name = [prefix.as_bytes(), &random::below(keys).to_be_bytes()].concat();
    }
    keys::sql::kv_key(1, &name)
}

struct Nemesis<'a> {
    cluster: &'a mut Cluster,
    scenario: &'a Scenario,
    gateways: &'a [Gateway],
    workload: &'a Workload,
    signals: &'a [Signals],
    faults: &'a Cell<Faults>,
    violations: &'a mut Vec<String>,
}

impl Nemesis<'_> {
    async fn inflict(&mut self, fault: Fault) {
        tracing::info!(?fault, "begins");
        if self.scenario.sleep_after_ms.is_some() && self.cluster.asleep().await.1 > 0 {
            self.count(|faults| faults.asleep += 1);
        }
        match fault {
            Fault::Crash => self.crash_one(200, 6_000).await,
            Fault::Stop => self.stop_one().await,
            Fault::Bounce => self.crash_one(1, 50).await,
            Fault::Blackout => self.blackout().await,
            Fault::Isolate => self.isolate(),
            Fault::OneWay => self.one_way(),
            Fault::LeaseTrap => self.lease_trap().await,
            Fault::Sever => self.sever().await,
            Fault::Bereave => self.bereave().await,
            Fault::Split => self.split(),
            Fault::MoveAway => self.move_away().await,
            Fault::Swap => self.swap().await,
            Fault::Replace => self.replace().await,
            Fault::Clock => {
                self.cluster.set_clock(self.any_node());
                self.count(|faults| faults.clocks += 1);
            }
            Fault::Hang => self.hang().await,
            Fault::Outdate => self.outdate().await,
            Fault::Freeze => self.freeze().await,
            Fault::Unreachable => self.unreachable().await,
            Fault::Merge => {
                for _ in 0..1 + random::below(3) {
                    self.merge().await;
                }
            }
            Fault::Divide => {
                for _ in 0..1 + random::below(3) {
                    self.divide().await;
                    pause(50, 900).await;
                }
            }
            Fault::Pause => self.pause_gateway().await,
            Fault::Perish => self.perish().await,
            Fault::Transfer => self.transfer().await,
            Fault::Shift => self.shift().await,
            Fault::Resize => self.resize().await,
            Fault::Drain => self.drain().await,
            Fault::Decommission => self.decommission().await,
        }
    }

    fn crash(&mut self, place: usize) {
        if self.cluster.is_running(place) {
            self.cluster.crash(place);
            self.count(|faults| faults.crashes += 1);
        }
    }

    async fn start(&mut self, place: usize) {
        self.violations.extend(self.cluster.start(place).await.err());
    }

    fn count(&self, add: impl FnOnce(&mut Faults)) {
        let mut faults = self.faults.get();
        add(&mut faults);
        self.faults.set(faults);
    }

    /// A node; the leader is worth more than the others.
    async fn victim(&self) -> usize {
        match self.cluster.leader(DATA_RANGE).await {
            Some(leader) if random::below(2) == 0 => leader,
            _ => self.any_node(),
        }
    }

    /// Long enough, mostly, for a leader to be missed.
    async fn hang(&mut self) {
        let place = self.victim().await;
        self.cluster.hold_disk(place, true);
        self.count(|faults| faults.hangs += 1);
        pause(500, 9_000).await;
        self.cluster.hold_disk(place, false);
    }

    async fn outdate(&mut self) {
        let place = self.victim().await;
        self.crash(place);
        self.violations.extend(self.cluster.start_outdated(place).await.err());
        pause(2_000, 6_000).await;
        self.crash(place);
        self.start(place).await;
    }

    async fn crash_one(&mut self, down_ms_min: u64, down_ms_max: u64) {
        let place = self.victim().await;
        self.crash(place);
        pause(down_ms_min, down_ms_max).await;
        self.start(place).await;
    }

    async fn stop_one(&mut self) {
        let place = self.victim().await;
        if self.cluster.is_running(place) {
            self.violations.extend(self.cluster.stop(place).await.err());
            self.count(|faults| faults.stops += 1);
        }
        pause(50, 3_000).await;
        self.start(place).await;
    }

    async fn blackout(&mut self) {
        for place in 0..self.cluster.nodes() {
            self.crash(place);
            // Power fails everywhere at once, or nearly so.
            if random::below(3) == 0 {
                pause(1, 20).await;
            }
        }
        pause(10, 2_000).await;
        let first = self.any_node();
        let nodes = self.cluster.nodes();
        for turn in 0..nodes {
            self.start((first + turn) % nodes).await;
            pause(1, 500).await;
        }
    }

    /// A node alone, with or without the gateways.
    fn isolate(&mut self) {
        let alone = self.any_node();
        for other in self.others(alone) {
            self.cluster.network().cut_both(self.cluster.address(alone), self.cluster.address(other));
        }
        for number in 1..=2 {
            if random::below(2) == 0 {
                self.cluster.network().cut_both(self.cluster.address(alone), &gateway::name(number));
            }
        }
        self.count(|faults| faults.cuts += 1);
    }

    fn one_way(&mut self) {
        let mut endpoints = self.cluster.addresses();
        endpoints.extend((1..=2).map(gateway::name));
        let from = random::below(endpoints.len() as u64) as usize;
        let to = random::below(self.cluster.nodes() as u64) as usize;
        if from != to {
            self.cluster.network().cut(&endpoints[from], &endpoints[to]);
            self.count(|faults| faults.cuts += 1);
        }
    }

    /// A leader is cut off from those who would elect another one, for long enough that they do, and mostly from one gateway, which
    /// then asks that one.
    async fn sever(&mut self) {
        let Some(sleeper) = self.cluster.sleeper().await else { return };
        let network = self.cluster.network();
        let leader = self.cluster.address(sleeper.leader);
        for other in sleeper.others {
            network.cut_both(leader, self.cluster.address(other));
        }
        if random::below(4) > 0 {
            network.cut_both(leader, &gateway::name(1 + random::below(2) as u32));
        }
        self.count(|faults| faults.cuts += 1);
        pause(2_000, 8_000).await;
    }

    /// The node of a leader that sleeps dies: another one must lead, whether somebody asks for it or not.
    async fn bereave(&mut self) {
        self.cluster.network().heal_all();
        self.start_all().await;
        let Some(sleeper) = self.cluster.sleeper().await.filter(|sleeper| sleeper.asleep) else { return };
        self.crash(sleeper.leader);
        let until = clock::now() + BEREAVED;
        while !self.cluster.is_served_by(sleeper.range_id, &sleeper.others).await {
            if clock::now() >= until {
                let range = sleeper.range_id;
                self.violations.push(format!("nobody leads range {range}, whose leader has died asleep"));
                break;
            }
            clock::sleep(Duration::from_millis(100)).await;
        }
        self.start(sleeper.leader).await;
    }

    /// A gateway with one node on one side, everybody else on the other.
    fn split(&mut self) {
        let (with, gateway) = (self.any_node(), 1 + random::below(2) as u32);
        let (here, there) = (gateway::name(gateway), gateway::name(3 - gateway));
        let network = self.cluster.network();
        network.cut_both(self.cluster.address(with), &there);
        for other in self.others(with) {
            network.cut_both(self.cluster.address(with), self.cluster.address(other));
            network.cut_both(&here, self.cluster.address(other));
        }
        self.count(|faults| faults.cuts += 1);
    }

    /// A node stops for a while, as under SIGSTOP, and goes on with what it believed then.
    async fn freeze(&mut self) {
        let place = match self.cluster.leader(DATA_RANGE).await {
            Some(leader) if random::below(3) > 0 => leader,
            _ => self.any_node(),
        };
        if self.cluster.freeze(place) {
            self.count(|faults| faults.freezes += 1);
            pause(500, 8_000).await;
            self.cluster.thaw(place);
        }
    }

    /// A leader is cut off from the gateways alone: there is no reason for another one to lead.
    async fn unreachable(&mut self) {
        let range = if random::below(2) == 0 { DATA_RANGE } else { ROOT_RANGE };
        let Some(leader) = self.cluster.leader(range).await else { return };
        for number in 1..=2 {
            self.cluster.network().cut_both(self.cluster.address(leader), &gateway::name(number));
        }
        self.count(|faults| faults.cuts += 1);
    }

    /// A gateway stops for so long, mostly, that its transactions are taken for dead.
    async fn pause_gateway(&mut self) {
        let Some(gateway) = self.gateways.get(random::below(self.gateways.len() as u64) as usize) else {
            return;
        };
        gateway.freeze();
        self.count(|faults| faults.gateways += 1);
        pause(2_000, 9_000).await;
        gateway.thaw();
    }

    /// A gateway of its own transfers money for a while, and dies with what it has begun.
    async fn perish(&mut self) {
        let doomed = Gateway::new(3, self.cluster);
        let mut scenario = self.scenario.clone();
        (scenario.auditors, scenario.appenders, scenario.historians, scenario.erasers) = (0, 0, 0, 0);
        scenario.pause_ms_max = 5;
        drop(self.workload.start(&scenario, &doomed, &Signals::default()));
        pause(300, 2_000).await;
        doomed.end();
        self.count(|faults| faults.gateways += 1);
    }

    /// The leader L of the data holds its lease by the word of one follower, F; the other one, C, leads the root, has
    /// missed nothing, and has not heard of L for so long that it may campaign. F crashes, comes back at once, and L is
    /// cut off from both. If F has forgotten its word, C is elected, and one gateway writes there while the other goes on
    /// reading at L.
    ///
    /// C misses nothing because nobody writes until F has crashed. It leads the root so that both gateways have
    /// timestamps. Writes of the gateway that reads would hang at L, and its reads behind them.
    async fn lease_trap(&mut self) {
        let Some((leader, candidate)) = self.separate_leaders().await else { return };
        let follower = (0..self.cluster.nodes()).find(|place| *place != leader && *place != candidate);
        let Some(follower) = follower else { return };
        let network = self.cluster.network().clone();
        let address = |place: usize| self.cluster.address(place).to_owned();
        let (leader, follower_address, candidate) = (address(leader), address(follower), address(candidate));
        self.quiet(true);
        pause(200, 500).await;
        network.cut_both(&leader, &candidate);
        // The gateway that is to write waits for nothing from there when the moment comes.
        let writer = 1 + random::below(2) as u32;
        network.cut_both(&leader, &gateway::name(writer));
        self.count(|faults| faults.cuts += 1);
        pause(1_700, 4_000).await;
        // From here on every moment of the lease counts.
        network.cut_both(&leader, &follower_address);
        self.crash(follower);
        self.start(follower).await;
        self.signals[writer as usize - 1].set_quiet(false);
        pause(1_500, 2_500).await;
        network.heal_all();
        self.quiet(false);
    }

    /// A node comes back at another address than its peers know.
    async fn move_away(&mut self) {
        let place = self.any_node();
        self.crash(place);
        pause(1, 3_000).await;
        if !self.cluster.is_running(place) {
            self.cluster.move_away(place);
        }
        self.start(place).await;
    }

    /// A range is divided where one of the workers' keys is, or right behind it; sometimes its leader dies meanwhile, or the
    /// new range's is sent away soon after.
    async fn divide(&mut self) {
        let queues = self.scenario.queuers > 0 && random::below(3) > 0;
        let key = if queues { queue::any_key() } else { any_key() };
        match random::below(4) {
            0 => {
                // Whoever leads the range that holds the key dies while it is divided.
                let leader = self.cluster.leader_at(&key).await;
                let dividing = self.cluster.start_division(key);
                clock::sleep(Duration::from_micros(random::below(8_000))).await;
                if let Some(leader) = leader {
                    self.crash(leader);
                }
                if dividing.await.unwrap_or(false) {
                    self.count(|faults| faults.divisions += 1);
                }
                pause(1, 3_000).await;
                if let Some(leader) = leader {
                    self.start(leader).await;
                }
            }
            turn => {
                if self.cluster.start_division(key.clone()).await.unwrap_or(false) {
                    self.count(|faults| faults.divisions += 1);
                }
                if turn == 1
                    && let Some(leader) = self.cluster.leader_at(&key).await
                {
                    self.crash(leader);
                    pause(1, 3_000).await;
                    self.start(leader).await;
                }
            }
        }
    }

    /// Ranges are merged; sometimes the leader of one of the two dies meanwhile, or any node, or the node is cut off that the
    /// merge was asked of.
    async fn merge(&mut self) {
        let operator = Operator::of(self.cluster);
        let Some(key) = operator.any_border().await else { return };
        let before = match random::below(5) {
            0 => self.cluster.leader_at(&key).await,
            1 => self.cluster.leader_before(&key).await,
            2 => Some(self.any_node()),
            _ => None,
        };
        let merging = operator.merge(key.clone());
        let crashing = async {
            let Some(victim) = before else { return };
            clock::sleep(Duration::from_micros(random::below(60_000))).await;
            self.crash(victim);
        };
        let (merged, ()) = futures::join!(merging, crashing);
        self.count(|faults| faults.merges += u64::from(merged));
        if random::below(4) == 0
            && let Some(leader) = self.cluster.leader_at(&key).await
        {
            self.crash(leader);
        }
        self.start_all().await;
    }

    /// Ranges are led elsewhere; sometimes a leader dies meanwhile.
    async fn transfer(&mut self) {
        for _ in 0..1 + random::below(3) {
            let operator = Operator::of(self.cluster);
            let (transferred, ()) = futures::join!(operator.transfer(), self.maybe_crash(6_000));
            self.count(|faults| faults.transfers += u64::from(transferred));
        }
        self.start_all().await;
    }

    /// Replicas move; sometimes somebody dies meanwhile.
    async fn shift(&mut self) {
        for _ in 0..1 + random::below(3) {
            let operator = Operator::of(self.cluster);
            let (moved, ()) = futures::join!(operator.shift(), self.maybe_crash(300_000));
            self.count(|faults| faults.moves += u64::from(moved));
        }
        self.start_all().await;
    }

    /// Ranges get one replica more or one less; sometimes somebody dies meanwhile.
    async fn resize(&mut self) {
        for _ in 0..1 + random::below(3) {
            let operator = Operator::of(self.cluster);
            let (resized, ()) = futures::join!(operator.resize(), self.maybe_crash(300_000));
            self.count(|faults| faults.resizes += u64::from(resized));
        }
        self.start_all().await;
    }

    async fn drain(&mut self) {
        let operator = Operator::of(self.cluster);
        let (drained, ()) = futures::join!(operator.drain(), self.maybe_crash(3_000_000));
        self.count(|faults| faults.drains += u64::from(drained));
        self.start_all().await;
    }

    /// A node is emptied. It is taken back, or a new one comes where it was.
    async fn decommission(&mut self) {
        self.cluster.network().heal_all();
        let operator = Operator::of(self.cluster);
        let (emptied, ()) = futures::join!(operator.decommission(), self.maybe_crash(3_000_000));
        self.start_all().await;
        if let Some(address) = emptied {
            self.count(|faults| faults.decommissions += 1);
            let place = self.cluster.addresses().iter().position(|known| *known == address);
            if let Some(place) = place.filter(|_| random::below(2) == 0) {
                self.crash(place);
                self.cluster.replace_machine(place);
                self.start(place).await;
            }
        }
        operator.restore().await;
    }

    /// In one of four cases a node crashes within so many microseconds.
    async fn maybe_crash(&mut self, us_max: u64) {
        if random::below(4) == 0 {
            clock::sleep(Duration::from_micros(random::below(us_max))).await;
            let victim = self.victim().await;
            self.crash(victim);
        }
    }

    async fn start_all(&mut self) {
        for place in 0..self.cluster.nodes() {
            if !self.cluster.is_running(place) {
                pause(1, 3_000).await;
                self.start(place).await;
            }
        }
    }

    /// Two nodes come back with each other's address.
    async fn swap(&mut self) {
        let one = self.any_node();
        let others = self.others(one);
        let other = others[random::below(others.len() as u64) as usize];
        self.crash(one);
        self.crash(other);
        pause(1, 1_000).await;
        self.cluster.swap(one, other);
        self.start(other).await;
        pause(1, 1_000).await;
        self.start(one).await;
    }

    /// A node is away for so long that another takes its replicas over. Whoever leads a range while its voters change
    /// dies with the change in its log and half done, or a little later.
    async fn replace(&mut self) {
        self.cluster.network().heal_all();
        let away = self.any_node();
        self.crash(away);
        let until = clock::now() + REPLACING;
        let mut left = 2;
        while clock::now() < until && left > 0 {
            let eager = self.cluster.is_learning().await;
            if let Some(leader) = self.cluster.changing().await {
                left -= 1;
                if random::below(3) == 0 {
                    pause(1, 10).await;
                }
                self.crash(leader);
                pause(2_000, 4_000).await;
                self.start(leader).await;
            }
            clock::sleep(if eager { Duration::from_micros(500) } else { Duration::from_millis(25) }).await;
        }
        self.start(away).await;
    }

    fn any_node(&self) -> usize {
        random::below(self.cluster.nodes() as u64) as usize
    }

    /// All but this one.
    fn others(&self, place: usize) -> Vec<usize> {
        (0..self.cluster.nodes()).filter(|other| *other != place).collect()
    }

    fn quiet(&self, quiet: bool) {
        self.signals.iter().for_each(|signals| signals.set_quiet(quiet));
    }

    /// The places of the data's leader and of the root's, made to be two.
    async fn separate_leaders(&mut self) -> Option<(usize, usize)> {
        let data = self.cluster.leader(DATA_RANGE).await?;
        if self.cluster.leader(ROOT_RANGE).await? == data {
            self.crash(data);
            pause(2_500, 4_000).await;
            self.start(data).await;
            pause(200, 1_000).await;
        }
        let (data, root) = (self.cluster.leader(DATA_RANGE).await?, self.cluster.leader(ROOT_RANGE).await?);
        (data != root).then_some((data, root))
    }
}
