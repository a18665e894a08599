//! What became of the jobs of a queue: who has put them, who has taken them, and which stand in the end.
//!
//! A job whose put was acknowledged, or that anybody has seen, is taken exactly once or stands. Of transactions whose outcome is not
//! known either may be.

use std::collections::{BTreeMap, BTreeSet};

use super::bank::Known;

/// The jobs that stand, by their slots.
pub(super) type Standing = BTreeMap<u32, u64>;

/// The jobs, and what is known of them.
#[derive(Default)]
pub(super) struct Jobs {
    puts: BTreeMap<u64, Known>,
    takes: Vec<(Vec<u64>, Known)>,
    /// Those that a read has shown.
    seen: BTreeSet<u64>,
}

impl Jobs {
    /// Whether nobody has put any.
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }

    /// A job that is about to be put. Whoever dies meanwhile does not know what becomes of it.
    pub(super) fn begin_put(&mut self) -> u64 {
        let job = self.puts.len() as u64 + 1;
        self.puts.insert(job, Known::Ambiguous);
        job
    }

    /// What is known of its put by now.
    pub(super) fn end_put(&mut self, job: u64, known: Known) {
        self.puts.insert(job, known);
    }

    /// Jobs that are about to be taken; the number of the take. Whoever dies meanwhile does not know.
    pub(super) fn begin_take(&mut self, jobs: Vec<u64>) -> usize {
        self.saw(jobs.iter().copied());
        self.takes.push((jobs, Known::Ambiguous));
        self.takes.len() - 1
    }

    /// What is known of a take by now.
    pub(super) fn end_take(&mut self, number: usize, known: Known) {
        if let Some((_, of_take)) = self.takes.get_mut(number) {
            *of_take = known;
        }
    }

    /// A read has shown these.
    pub(super) fn saw(&mut self, jobs: impl IntoIterator<Item = u64>) {
        self.seen.extend(jobs);
    }

    /// What is wrong with them, given those that stand in the end.
    pub(super) fn judge(&self, standing: &Standing) -> Vec<String> {
        let mut stands: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (slot, job) in standing {
            stands.entry(*job).or_default().push(*slot);
        }
        let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
        let mut maybe_taken: BTreeSet<u64> = BTreeSet::new();
        for (jobs, known) in &self.takes {
            match known {
                Known::Committed => jobs.iter().for_each(|job| *taken.entry(*job).or_default() += 1),
                Known::Ambiguous => maybe_taken.extend(jobs),
                Known::Failed => {}
            }
        }
        let all: BTreeSet<u64> = self.puts.keys().chain(&self.seen).chain(stands.keys()).copied().collect();
        let mut violations = Vec::new();
        for job in all {
            let slots = stands.get(&job).map_or(&[][..], Vec::as_slice);
            let times = taken.get(&job).copied().unwrap_or_default();
            let is_there = self.seen.contains(&job) || !slots.is_empty();
            let found = times + slots.len() as u64;
            match self.puts.get(&job) {
                None => violations.push(format!("job {job} was seen, and nobody has put it")),
                Some(Known::Failed) if is_there => {
                    violations.push(format!("job {job} was seen, and its put has failed"));
                }
                Some(known)
                    if found == 0
                        && !maybe_taken.contains(&job)
                        && (*known == Known::Committed || is_there) =>
                {
                    violations.push(format!("job {job} is lost, its put: {known:?}"));
                }
                _ if found > 1 => {
                    violations.push(format!("job {job} was taken {times} times and stands in {slots:?}"));
                }
                _ => {}
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jobs from 1 on, by what is known of their puts.
    fn put(known: &[Known]) -> Jobs {
        let mut jobs = Jobs::default();
        for known in known {
            let job = jobs.begin_put();
            jobs.end_put(job, *known);
        }
        jobs
    }

    fn take(jobs: &mut Jobs, taken: &[u64], known: Known) {
        let number = jobs.begin_take(taken.to_vec());
        jobs.end_take(number, known);
    }

    fn standing(jobs: &[(u32, u64)]) -> Standing {
        jobs.iter().copied().collect()
    }

    #[test]
    fn each_job_is_taken_once_or_stands() {
        let mut jobs = put(&[Known::Committed; 4]);
        take(&mut jobs, &[1, 2], Known::Committed);
        take(&mut jobs, &[3], Known::Failed);
        assert_eq!(jobs.judge(&standing(&[(7, 3), (9, 4)])), [""; 0]);
        assert_eq!(jobs.judge(&standing(&[(7, 3)])), ["job 4 is lost, its put: Committed"]);
        assert_eq!(
            jobs.judge(&standing(&[(7, 3), (8, 1), (9, 4)])),
            ["job 1 was taken 1 times and stands in [8]"]
        );
        assert_eq!(
            jobs.judge(&standing(&[(7, 3), (8, 3), (9, 4)])),
            ["job 3 was taken 0 times and stands in [7, 8]"]
        );
        take(&mut jobs, &[2], Known::Committed);
        assert_eq!(jobs.judge(&standing(&[(7, 3), (9, 4)])), ["job 2 was taken 2 times and stands in []"]);
    }

    #[test]
    fn what_is_not_known_may_be_either() {
        let mut jobs = put(&[Known::Ambiguous, Known::Committed]);
        let unfinished = jobs.begin_take(vec![2]);
        assert_eq!(jobs.judge(&standing(&[])), [""; 0]);
        assert_eq!(jobs.judge(&standing(&[(1, 1), (2, 2)])), [""; 0]);
        jobs.end_take(unfinished, Known::Failed);
        assert_eq!(jobs.judge(&standing(&[])), ["job 2 is lost, its put: Committed"]);
        // Who was seen is there.
        jobs.saw([1]);
        assert_eq!(jobs.judge(&standing(&[(2, 2)])), ["job 1 is lost, its put: Ambiguous"]);
        take(&mut jobs, &[1], Known::Ambiguous);
        assert_eq!(jobs.judge(&standing(&[(2, 2)])), [""; 0]);
    }

    #[test]
    fn nothing_is_taken_that_was_not_put() {
        let mut jobs = put(&[Known::Failed]);
        assert_eq!(jobs.judge(&standing(&[])), [""; 0]);
        assert_eq!(jobs.judge(&standing(&[(1, 1)])), ["job 1 was seen, and its put has failed"]);
        take(&mut jobs, &[1, 5], Known::Committed);
        assert_eq!(
            jobs.judge(&standing(&[])),
            ["job 1 was seen, and its put has failed", "job 5 was seen, and nobody has put it"]
        );
    }
}
