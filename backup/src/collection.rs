//! A collection: the chains at one place.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::key::{DataKey, SecretKey};
use crate::manifest::{self, Manifest, Scope};
use crate::place::Place;

/// How many bits of a timestamp count within a millisecond.
const LOGICAL_BITS: u32 = 18;

/// A chain has no more links: who restores reads a file of each at a time.
pub const LINKS_MAX: usize = 16;

/// A link of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it holds.
    pub manifest: Manifest,
    /// What its files are sealed with.
    pub key: Option<DataKey>,
}

/// What holds a moment.
#[derive(Clone, Debug)]
pub struct Held {
    /// The links of a chain up to the one that the moment lies in, the full one first.
    pub links: Vec<Link>,
    /// The timestamp that is meant.
    pub at: u64,
}

/// The chains at one place.
#[derive(Clone, Debug)]
pub struct Collection {
    place: Place,
    secret: Option<SecretKey>,
    /// Chain and timestamp of each link, ascending.
    links: Vec<(u64, u64)>,
    /// The same of those that are not finished.
    unfinished: Vec<(u64, u64)>,
}

impl Collection {
    /// Looks what there is.
    pub async fn open(place: Place, secret: Option<SecretKey>) -> Result<Self> {
        let names = place.names().await?;
        let mut links: Vec<_> = names.iter().filter_map(|name| Manifest::of_name(name)).collect();
        links.sort_unstable();
        let begun = names.iter().filter_map(|name| Manifest::of_progress_name(name));
        let mut unfinished: Vec<_> = begun.filter(|begun| links.binary_search(begun).is_err()).collect();
        unfinished.sort_unstable_by_key(|(_, at)| *at);
        Ok(Self { place, secret, links, unfinished })
    }

    /// Where they are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The chains, the oldest first.
    pub fn chains(&self) -> Vec<u64> {
        let chains: BTreeSet<u64> = self.links.iter().map(|(chain, _)| *chain).collect();
        chains.into_iter().collect()
    }

    /// The timestamps of a chain's links that are there, ascending.
    pub fn of_chain(&self, chain: u64) -> impl Iterator<Item = u64> {
        self.links.iter().filter(move |(own, _)| *own == chain).map(|(_, at)| *at)
    }

    /// Whether a link is there.
    pub fn has(&self, chain: u64, at: u64) -> bool {
        self.links.binary_search(&(chain, at)).is_ok()
    }

    /// Whether one is begun that is not finished.
    pub fn has_begun(&self, chain: u64, at: u64) -> bool {
        self.unfinished.contains(&(chain, at))
    }

    /// That what is here is sealed with the key, or nothing is where there is none: of what was made last that is looked at.
    ///
    /// # Errors
    /// [`Error::Key`]: it is another.
    pub async fn check_key(&self) -> Result<()> {
        if let Some((chain, at)) = self.links.iter().max_by_key(|(_, at)| *at) {
            self.link(*chain, *at).await?;
        }
        Ok(())
    }

    /// A link.
    pub async fn link(&self, chain: u64, at: u64) -> Result<Link> {
        self.read(&Manifest::name(chain, at)).await
    }

    async fn read(&self, name: &str) -> Result<Link> {
        let file = self.place.get(name, manifest::BYTES_MAX).await?;
        let (manifest, key) = Manifest::decode_file(name, &file, self.secret.as_ref())?;
        Ok(Link { manifest, key })
    }

    /// The links that are not finished, the oldest first: they are being made, or nobody goes on with them.
    pub async fn unfinished(&self) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        for (chain, at) in &self.unfinished {
            match self.read(&Manifest::progress_name(*chain, *at)).await {
                Ok(link) => links.push(link),
                // It is finished by now.
                Err(Error::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(links)
    }

    /// All links of a chain that are there, the oldest first.
    pub async fn chain(&self, chain: u64) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        for at in self.of_chain(chain) {
            links.push(self.link(chain, at).await?);
        }
        Ok(links)
    }

    /// The links that a link rests on, the full one first, and itself. Of two that were made behind the same one at once neither rests
    /// on the other.
    ///
    /// # Errors
    /// One is missing, or damaged.
    async fn behind(&self, link: Link) -> Result<Vec<Link>> {
        let mut links = vec![link];
        while let Some(first) = links.last().filter(|first| first.manifest.since != 0) {
            let (chain, since) = (first.manifest.chain, first.manifest.since);
            links.push(self.link(chain, since).await?);
        }
        links.reverse();
        Ok(links)
    }

    /// The newest link of the newest chain of this scope, and what it rests on; none: there is no such chain.
    pub async fn newest(&self, scope: &Scope) -> Result<Vec<Link>> {
        for (chain, at) in self.links.iter().rev() {
            let link = self.link(*chain, *at).await?;
            if link.manifest.scope.as_ref() == Some(scope) {
                return self.behind(link).await;
            }
        }
        Ok(Vec::new())
    }

    /// The links that hold something as of a timestamp, or as of the newest of them, whichever chain that is of.
    ///
    /// # Errors
    /// [`Error::NotCovered`]: none do. One that is to be looked at is damaged, or missing.
    pub async fn holding(&self, wanted: &Scope, moment: Option<u64>) -> Result<Held> {
        let mut looked = self.links.clone();
        looked.sort_unstable_by_key(|(_, at)| *at);
        match moment {
            None => looked.reverse(),
            Some(moment) => looked.retain(|(_, at)| ms(*at) >= ms(moment)),
        }
        for (chain, at) in looked {
            let link = self.link(chain, at).await?;
            if !link.manifest.scope.as_ref().is_some_and(|scope| scope.holds(wanted)) {
                continue;
            }
            // Of a moment of the clock a link's own timestamp is the one that is meant.
            let meant = moment.filter(|moment| ms(*moment) != ms(at)).unwrap_or(at);
            if meant >= link.manifest.begins() {
                return Ok(Held { links: self.behind(link).await?, at: meant });
            }
        }
        let url = self.place.url();
        Err(Error::NotCovered(match moment {
            None => format!("there is no backup of {wanted} in {url}"),
            Some(_) => format!("no backup of {wanted} in {url} holds that moment"),
        }))
    }
}

const fn ms(timestamp: u64) -> u64 {
    timestamp >> LOGICAL_BITS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use env::disk::MemoryDisk;

    use super::*;
    use crate::manifest::Covered;

    const fn at(ms: u64) -> u64 {
        (ms << LOGICAL_BITS) | 5
    }

    async fn put(place: &Place, chain: u64, link: u64, since: u64, scope: &Scope, readable_from: u64) {
        let covered = Covered { start: "a".into(), end: "b".into(), since, readable_from };
        let manifest = Manifest {
            chain,
            at: link,
            since,
            scope: Some(scope.clone()),
            covered: vec![covered],
            ..Manifest::default()
        };
        let name = Manifest::name(chain, link);
        place.put(&name, manifest.encode_file(&name, None).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_moment_is_held_by_the_links_up_to_its_own() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        let (whole, other) = (Scope::database("d"), Scope::database("e"));
        put(&place, at(10), at(10), 0, &whole, at(10)).await;
        put(&place, at(10), at(20), at(10), &whole, at(20)).await;
        put(&place, at(10), at(30), at(20), &whole, at(20)).await;
        put(&place, at(40), at(40), 0, &other, at(40)).await;
        let collection = Collection::open(place.clone(), None).await.unwrap();
        assert_eq!(collection.chains(), [at(10), at(40)]);
        assert_eq!(collection.newest(&whole).await.unwrap().len(), 3);
        let held = async |moment: Option<u64>| {
            let held = collection.holding(&Scope::table("d", "public", "t"), moment).await;
            held.map(|held| (held.links.len(), held.at)).ok()
        };
        assert_eq!(held(None).await, Some((3, at(30))));
        assert_eq!(held(Some((20 << LOGICAL_BITS) | 9)).await, Some((2, at(20))));
        assert_eq!(held(Some(10 << LOGICAL_BITS)).await, Some((1, at(10))));
        // Only the last link holds all that was between.
        assert_eq!(held(Some(at(15))).await, None);
        assert_eq!(held(Some(at(25))).await, Some((3, at(25))));
        assert_eq!(held(Some(at(31))).await, None);
        assert!(collection.holding(&Scope::cluster(), None).await.is_err());
    }

    #[tokio::test]
    async fn a_link_that_is_missing_is_named() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        put(&place, at(10), at(10), 0, &Scope::cluster(), at(10)).await;
        put(&place, at(10), at(30), at(20), &Scope::cluster(), at(30)).await;
        let collection = Collection::open(place, None).await.unwrap();
        let missing = collection.holding(&Scope::cluster(), None).await.unwrap_err();
        assert!(matches!(missing, Error::Missing(name) if name == Manifest::name(at(10), at(20))));
        // What does not rest on it is there still.
        let before = collection.holding(&Scope::cluster(), Some(at(10))).await.unwrap();
        assert_eq!((before.links.len(), before.at), (1, at(10)));
        let found = collection.verify().await.unwrap().findings;
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[tokio::test]
    async fn links_that_were_made_behind_the_same_one_stand_beside_each_other() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        put(&place, at(10), at(10), 0, &Scope::cluster(), at(10)).await;
        put(&place, at(10), at(20), at(10), &Scope::cluster(), at(10)).await;
        put(&place, at(10), at(21), at(10), &Scope::cluster(), at(10)).await;
        put(&place, at(10), at(30), at(21), &Scope::cluster(), at(21)).await;
        let collection = Collection::open(place, None).await.unwrap();
        let held = async |moment: Option<u64>| {
            let held = collection.holding(&Scope::cluster(), moment).await.unwrap();
            held.links.iter().map(|link| ms(link.manifest.at)).collect::<Vec<_>>()
        };
        assert_eq!(held(None).await, [10, 21, 30]);
        assert_eq!(held(Some(at(20))).await, [10, 20]);
        assert_eq!(held(Some(at(15))).await, [10, 20]);
        assert_eq!(collection.newest(&Scope::cluster()).await.unwrap().len(), 3);
        assert!(collection.verify().await.unwrap().findings.is_empty());
    }

    #[tokio::test]
    async fn the_newest_backup_is_the_one_of_the_latest_moment() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        let database = Scope::database("d");
        put(&place, at(10), at(10), 0, &database, at(10)).await;
        put(&place, at(10), at(30), at(10), &database, at(30)).await;
        put(&place, at(20), at(20), 0, &Scope::cluster(), at(20)).await;
        let collection = Collection::open(place, None).await.unwrap();
        let held = collection.holding(&database, None).await.unwrap();
        assert_eq!((held.links.len(), held.at), (2, at(30)));
    }

    #[tokio::test]
    async fn of_two_who_begin_the_same_one_does() {
        let place = Place::on(Arc::new(MemoryDisk::new()), "file:///backups").unwrap();
        let name = Manifest::progress_name(at(10), at(10));
        place.claim(&name, b"one".to_vec()).await.unwrap();
        let taken = place.claim(&name, b"other".to_vec()).await.unwrap_err();
        assert!(matches!(taken, Error::Exists(own) if own == name));
        assert_eq!(place.get(&name, 3).await.unwrap().as_ref(), b"one");
        assert_eq!(place.names().await.unwrap(), std::slice::from_ref(&name));
        assert!(matches!(place.get(&name, 2).await, Err(Error::Damaged { .. })));
    }
}
