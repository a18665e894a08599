//! What went wrong in a run, counted.

/// What a nemesis did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nodes crashed.
    pub crashes: u64,
    /// Nodes ended in order.
    pub stops: u64,
    /// Cuts made, each of one or more directions.
    pub cuts: u64,
    /// Jumps of a wall clock.
    pub clocks: u64,
    /// Disks that answered nothing for a while.
    pub hangs: u64,
    /// Nodes stopped for a while.
    pub freezes: u64,
    /// Ranges divided.
    pub divisions: u64,
    /// Ranges merged by an operator.
    pub merges: u64,
    /// Leaderships handed over to a node that an operator chose.
    pub transfers: u64,
    /// Replicas moved from one node to another by an operator.
    pub moves: u64,
    /// Replicas that an operator has had made, or taken away.
    pub resizes: u64,
    /// Nodes that led nothing for a while, as an operator wanted.
    pub drains: u64,
    /// Nodes that were emptied.
    pub decommissions: u64,
    /// Gateways stopped for a while, or for ever.
    pub gateways: u64,
    /// Of all these, those that struck while ranges slept.
    pub asleep: u64,
}

impl Faults {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.crashes
            + self.stops
            + self.cuts
            + self.clocks
            + self.hangs
            + self.freezes
            + self.divisions
            + self.merges
            + self.operations()
            + self.gateways
    }

    /// What an operator did.
    pub fn operations(&self) -> u64 {
        self.transfers + self.moves + self.resizes + self.drains + self.decommissions
    }
}
