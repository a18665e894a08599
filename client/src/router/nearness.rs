//! How near nodes are: by what their localities have in common with that of the client.
//!
//! Tiers are compared as the client names its own, from the widest place to the narrowest, up to the first that differs.

use std::collections::BTreeMap;

/// Where the client is: tiers, such as region and zone, the widest first.
pub(super) type Locality = Vec<(String, String)>;

/// How many tiers of `own` another one is not in; 0: it is as near as can be told.
pub(super) fn apart(own: &[(String, String)], other: &BTreeMap<String, String>) -> usize {
    let alike = own.iter().take_while(|(tier, place)| other.get(tier) == Some(place)).count();
    own.len() - alike
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locality(tiers: &[(&str, &str)]) -> Locality {
        tiers.iter().map(|(tier, place)| ((*tier).to_owned(), (*place).to_owned())).collect()
    }

    fn apart(own: &[(&str, &str)], other: &[(&str, &str)]) -> usize {
        super::apart(&locality(own), &locality(other).into_iter().collect())
    }

    #[test]
    fn the_widest_tier_that_differs_tells_how_near_a_node_is() {
        let own = [("region", "eu"), ("zone", "a"), ("rack", "7")];
        let rack = |region, zone, rack| apart(&own, &[("rack", rack), ("zone", zone), ("region", region)]);
        assert_eq!(rack("eu", "a", "7"), 0);
        assert_eq!(rack("eu", "a", "8"), 1);
        assert_eq!(rack("eu", "b", "7"), 2);
        assert_eq!(rack("us", "a", "7"), 3, "a zone of the same name elsewhere");
        assert_eq!(apart(&own, &[]), 3);
        assert_eq!(apart(&[], &own), 0, "who does not say where it is takes all for near");
    }

    #[test]
    fn which_tiers_are_wider_the_client_says() {
        let own = [("site", "north"), ("hall", "1")];
        assert_eq!(apart(&own, &[("site", "north"), ("hall", "2")]), 1);
        assert_eq!(apart(&own, &[("site", "south"), ("hall", "1")]), 2, "a hall of the same name elsewhere");
    }
}
