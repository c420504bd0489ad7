//! The accounts of a grant, and who answers for an account and a region.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::Page;
use super::answers::Answers;
use super::bound::XrayError;
use super::failure::{Failure, FailureKind};
use super::flight::{Flights, Item};
use super::pace::Level;
use super::places::{Account, Place};
use crate::grant::aws;
use crate::pipeline::AccountsGrant;

/// Every account and region of a grant.
pub struct Accounts {
    places: Vec<Arc<Place>>,
    flights: Flights,
}

/// How many calls of a grant are under way at once: each may answer with some megabytes.
const ROOM: usize = 128;

/// Items of one account and region, each with its index in what was asked for.
pub(super) type Items<I> = Vec<(usize, I)>;

/// An account and a region.
pub(super) type Where = (String, String);

impl Accounts {
    pub(super) async fn open(grant: &AccountsGrant) -> Result<Accounts, XrayError> {
        Accounts::with(&aws::shared().await, grant).await
    }

    /// Makes the clients; nobody is spoken to.
    pub(super) async fn with(shared: &SdkConfig, grant: &AccountsGrant) -> Result<Accounts, XrayError> {
        let room = Arc::new(Semaphore::new(ROOM));
        let at_hand = shared.region().map(ToString::to_string);
        let mut places = Vec::new();
        for account in &grant.accounts {
            let regions = match &at_hand {
                _ if !account.regions.is_empty() => account.regions.clone(),
                Some(region) => vec![region.clone()],
                None => return Err(XrayError::NoRegion),
            };
            let first = regions.first().cloned().unwrap_or_default();
            let (config, account) = Account::open(shared, account, &first, &grant.endpoints).await;
            let place = |region| Arc::new(Place::new(account.clone(), region, &config, &grant.endpoints, room.clone()));
            places.extend(regions.into_iter().map(place));
        }
        Ok(Accounts { places, flights: Flights::default() })
    }

    pub(crate) fn places(&self) -> &[Arc<Place>] {
        &self.places
    }

    pub(super) fn levels(&self) -> Vec<Level> {
        self.places.iter().flat_map(|place| place.levels()).collect()
    }

    /// Learns whose the credentials of each place are.
    pub(super) async fn identify(&self, answers: &Answers<super::Place>) {
        let looks = self.places.iter().enumerate().map(|(index, place)| async move {
            let found = place.account().await;
            let found = found.map(|account| super::Place { account, region: place.region().to_owned() });
            answers.put(index, found.map_err(|failure| failure.for_guest()));
        });
        join_all(looks).await;
    }

    /// Answers the items of each place, all places at once. The items of a place that is not the grant's, or whose
    /// credentials do not work, are answered so.
    pub(super) async fn ask<T, I>(&self, items: impl IntoIterator<Item = (Where, (usize, I))>, answers: &Answers<T>)
    where
        T: From<Page>,
        I: Item,
    {
        let mut groups: BTreeMap<Where, Items<I>> = BTreeMap::new();
        for (place, item) in items {
            groups.entry(place).or_default().push(item);
        }
        let works = groups.into_iter().map(|(at, items)| async move {
            match self.find(&at).await {
                Ok(place) => self.flights.ask(&place, &at, items, answers).await,
                Err(failure) => {
                    for (index, _) in items {
                        answers.put(index, Err(failure.for_guest()));
                    }
                }
            }
        });
        join_all(works).await;
    }

    /// Who answers for this account in this region. All that may are asked at once: one may be long in saying who it is.
    async fn find(&self, (account, region): &Where) -> Result<Arc<Place>, Failure> {
        let may_be = |place: &&Arc<Place>| {
            place.region() == region && place.expects().is_none_or(|expected| expected == account)
        };
        let mut looks: FuturesUnordered<_> =
            self.places.iter().filter(may_be).map(|place| async move { (place, place.account().await) }).collect();
        let mut unknown = None;
        while let Some((place, found)) = looks.next().await {
            match found {
                Ok(found) if found == *account => return Ok(place.clone()),
                Ok(_) => {}
                Err(failure) => unknown = Some(failure),
            }
        }
        let nowhere = || {
            let reason = format!("the account {account} in {region} is not one of those that are granted");
            Failure::new(FailureKind::Invalid, reason)
        };
        Err(unknown.unwrap_or_else(nowhere))
    }
}
